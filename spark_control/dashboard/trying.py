"""What a visitor can try: the voices there are, and how a program of theirs would ask for the same. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spark_control.speaking import SAMPLES
from spark_control.upstreams.base import Voice

_LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fi": "Finnish", "fr": "French", "he": "Hebrew",
    "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese",
    "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "nb": "Norwegian", "nl": "Dutch", "no": "Norwegian",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian",
    "sv": "Swedish", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip

_SEVERAL = "Other voices"


@dataclass(frozen=True, slots=True)
class Choice:
    """A voice to be picked: the name to send, and what to show for it."""

    name: str
    shown: str
    words: str
    """What a search looks through besides."""


@dataclass(frozen=True, slots=True)
class Group:
    """The voices of one language, and a sentence in it."""

    language: str
    sample: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Trying:
    """What there is to try. `key` says whether a program needs one."""

    speaks: bool
    hears: bool
    key: bool
    origin: str
    sample: str
    groups: tuple[Group, ...]
    how_many: int


def trying_view(
    voices: Iterable[tuple[str, Voice, str]], origin: str, *, speaks: bool, hears: bool, key: bool
) -> Trying:
    """`voices` as `Catalog.listed_voices` gives them; `origin` is the gateway's, as the visitor reaches it."""
    by_language: dict[str, list[Choice]] = {}
    codes: dict[str, str] = {}
    for name, voice, engine in voices:
        language = _language(voice.language)
        codes.setdefault(language, (voice.language or "").partition("-")[0].lower())
        by_language.setdefault(language, []).append(_choice(name, voice, engine))
    groups = tuple(
        Group(language, SAMPLES.get(codes[language], SAMPLES["en"]), tuple(by_language[language]))
        for language in sorted(by_language, key=_english_first)
    )
    how_many = sum(len(each.choices) for each in groups)
    return Trying(speaks, hears, key, origin, SAMPLES["en"], groups, how_many)


def _english_first(language: str) -> tuple[bool, bool, str]:
    """Languages by name, English before the others, as most voices and most visitors have it."""
    return language == _SEVERAL, not language.startswith("English"), language


def _language(tag: str | None) -> str:
    """`en-US` as `English (US)`."""
    if not tag:
        return _SEVERAL
    code, _, region = tag.partition("-")
    name = _LANGUAGES.get(code.lower(), code)
    return f"{name} ({region})" if region else name


def _choice(name: str, voice: Voice, engine: str) -> Choice:
    return Choice(
        name, _shown(name, voice), " ".join(filter(None, (voice.language, voice.description, engine)))
    )


def _shown(name: str, voice: Voice) -> str:
    """What tells it from others of its language: `Family.EN-US.Mia.Calm` is shown as `Mia, Calm`."""
    parts = name.split(".")
    tag = (voice.language or "").casefold()
    at = next((index for index, part in enumerate(parts) if part.casefold() == tag), None)
    return ", ".join(parts[at + 1 :]) or name if at is not None else name
