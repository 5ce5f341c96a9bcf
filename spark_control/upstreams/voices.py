"""Pure: which of an engine's voices a client means by the name it sent."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from spark_control.errors import InvalidRequest
from spark_control.upstreams.base import Voice

_LONGEST = 200
"""Characters of a name that are compared; comparing takes as long as the product of both lengths."""


def find_voice(
    asked: str, voices: Sequence[Voice], configured: Mapping[str, str], openai: Mapping[str, str]
) -> Voice:
    """The voice called `asked`: an engine's own name, a configured one, or OpenAI's; case does not matter.

    OpenAI's names always find a voice: where the engine lacks the usual one,
    its first. A configured name whose voice does not exist is an error.
    """
    known = {voice.id.casefold(): voice for voice in voices}
    name = asked.casefold()
    mine = {key.casefold(): target for key, target in configured.items()}
    if name in mine:
        if mine[name].casefold() not in known:
            raise missing_target(asked, mine[name])
        return known[mine[name].casefold()]
    if name in known:
        return known[name]
    if name in openai and voices:
        return known.get(openai[name].casefold()) or _first(voices)
    working = [key for key, target in configured.items() if target.casefold() in known]
    names = [*working, *openai, *(voice.id for voice in voices)]
    message = f"There is no voice {asked[:80]!r}. {_suggestion(name, names)}"
    raise InvalidRequest(message, code="voice_not_found", param="voice")


def missing_target(asked: str, target: str) -> InvalidRequest:
    """The error for a name of the settings whose voice there is not."""
    message = f"The settings give {asked!r} the voice {target!r}, which the engine does not have."
    return InvalidRequest(message, code="voice_not_found", param="voice")


def _first(voices: Sequence[Voice]) -> Voice:
    english = [voice for voice in voices if voice.language == "en-US" and not voice.emotion]
    return (english or list(voices))[0]


def _suggestion(name: str, names: Sequence[str]) -> str:
    """Names that are close by spelling, whole or by their speaker's part: `Mya` is near to `….Mia`."""
    by_part: dict[str, list[str]] = {}
    for known in names:
        for part in {known.casefold(), *known.casefold().split(".")[2:]}:
            by_part.setdefault(part, []).append(known)
    near = difflib.get_close_matches(name[:_LONGEST], by_part, n=3, cutoff=0.6)
    found = list(dict.fromkeys(known for part in near for known in by_part[part]))
    if found:
        return f"Did you mean {', '.join(found[:5])}?"
    return f"There are {', '.join(list(names)[:3])} and more; GET /v1/audio/voices lists the engine's own."
