"""Pure: the voices in any of the lists that servers give, of which no two are alike.

{"voices": ["aiden", "vivian"], "uploaded_voices": []}          vLLM-Omni, older Kokoro
{"voices": [{"id": "af_heart", "name": "af_heart"}]}            Kokoro, Speaches, groxaxo
{"voices": [{"voice_id": "alloy", "name": "Vivian"}]}           icantc0de1
[{"model_id": "…", "voice_id": "af_heart"}]                     older Speaches
{"en-US,de-DE": {"voices": ["Magpie-Multilingual.EN-US.Mia"]}}  Magpie
{"data": [{"id": "magpie", "voices": ["Mia"]}]}                 NeMo-Speech.cpp, in its list of models
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from itertools import chain

from spark_control.upstreams.base import Voice

_MOST = 2000
"""Voices that are kept of a list."""
_LONGEST = 200
"""Characters of a name, or of what is said of a voice."""

_LISTS = ("voices", "uploaded_voices", "data")

_CODE = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{2}))?")

LANGUAGES = {
    "Chinese": "zh",
    "English": "en",
    "French": "fr",
    "German": "de",
    "Hindi": "hi",
    "Italian": "it",
    "Japanese": "ja",
    "Korean": "ko",
    "Portuguese": "pt",
    "Russian": "ru",
    "Spanish": "es",
}
"""BCP-47 codes by the names that models know."""

_CODES = {name.casefold(): code for name, code in LANGUAGES.items()}


def read_voice_list(body: bytes, called: Sequence[str] = ("id", "voice_id", "name")) -> tuple[Voice, ...]:
    """Every voice once, by the first of the keys `called` that tells a usable name.

    What is no voice is left out. Raises ValueError if it is not a list of voices at all.
    """
    return _voices(_entries(_json(body)), called)


def read_model_voices(body: bytes) -> tuple[Voice, ...]:
    """The voices of the models in a list of models. Raises ValueError if it is none."""
    said = _json(body)
    listed = said.get("data") if isinstance(said, dict) else None
    if not isinstance(listed, list):
        raise ValueError("not a list of models")
    return _voices((entry for model in listed for entry in _list_in(model)), ("id", "name"))


def language_code(told: object) -> str | None:
    """BCP-47 for a language by its name or by any spelling of its code: `English` -> `en`, `en_us` -> `en-US`."""
    if not isinstance(told, str):
        return None
    if code := _CODES.get(told.casefold()):
        return code
    if not (known := _CODE.fullmatch(told)):
        return None
    language, region = known.groups()
    return f"{language.lower()}-{region.upper()}" if region else language.lower()


def _json(body: bytes) -> object:
    try:
        said: object = json.loads(body)
    except RecursionError:
        raise ValueError("not a voice list") from None
    return said


def _entries(said: object) -> Iterable[object]:
    """What may be a voice, wherever it stands."""
    if isinstance(said, list):
        return said
    if not isinstance(said, dict):
        raise ValueError("not a voice list")
    lists = [said[key] for key in _LISTS if isinstance(said.get(key), list)]
    lists += [voices for group in said.values() if (voices := _list_in(group))]
    if not lists:
        raise ValueError("not a voice list")
    return chain.from_iterable(lists)


def _list_in(group: object) -> list[object]:
    voices = group.get("voices") if isinstance(group, dict) else None
    return voices if isinstance(voices, list) else []


def _voices(entries: Iterable[object], called: Sequence[str]) -> tuple[Voice, ...]:
    voices: dict[str, Voice] = {}
    for voice in (_voice(entry, called) for entry in entries):
        if voice and len(voices) < _MOST:
            voices.setdefault(voice.id, voice)
    return tuple(voices.values())


def _voice(entry: object, called: Sequence[str]) -> Voice | None:
    if isinstance(entry, str):
        return Voice(entry) if _is_text(entry) else None
    if not isinstance(entry, dict):
        return None
    names = [name for key in called if _is_text(name := entry.get(key))]
    if not names:
        return None
    description = entry.get("description")
    return Voice(
        str(names[0]),
        language_code(entry.get("language")),
        description=str(description) if _is_text(description) else None,
    )


def _is_text(told: object) -> bool:
    """Whether it can be shown, and is not too long to be."""
    return isinstance(told, str) and 0 < len(told) <= _LONGEST and told.isprintable() and not told.isspace()
