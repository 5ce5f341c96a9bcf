"""Pure: what is said, by whom and how fast, of what a client asked to have said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from spark_control.audio.sentences import pieces
from spark_control.audio.speaking_time import speaking_time
from spark_control.audio.spoken_text import is_ssml, speakable
from spark_control.errors import InvalidRequest
from spark_control.upstreams.base import Speech, Voice

_SAFELY = 0.75
"""Part of an engine's limit that a piece may take: how long a text takes to say is an estimate."""

_FIRST = 4.0
"""Seconds of a long text's first piece: the sooner it is spoken, the sooner there is sound."""


@dataclass(frozen=True, slots=True)
class Script:
    """The pieces to be spoken, and how much faster the sound is to be played than it was spoken."""

    speeches: tuple[Speech, ...]
    tempo: float = 1.0


def write_script(
    text: str,
    voice: Voice,
    speed: float,
    *,
    longest: float,
    clean: bool,
    takes_ssml: bool,
    paces: tuple[float, float],
) -> Script:
    """Cut `text` into pieces that an engine can speak in `longest` seconds each.

    SSML goes whole to an engine that `takes_ssml`. The engine is asked to speak
    at `speed` as far as it `paces`; beyond that, and for SSML, the sound's
    tempo is changed afterwards. Raises InvalidRequest if there is nothing to say.
    """
    if is_ssml(text):
        if not takes_ssml:
            raise InvalidRequest(
                "This engine does not take SSML; send plain text.", code="ssml_not_taken", param="input"
            )
        return Script((Speech(text, voice, ssml=True),), tempo=speed)
    said = speakable(text) if clean else text
    if not any(map(str.isalnum, said)):
        raise InvalidRequest("There is nothing in input to say.", code="nothing_to_say", param="input")
    slowest, fastest = paces
    own_pace = min(max(speed, slowest), fastest)
    cut = _cut(said, longest * _SAFELY * own_pace, _FIRST * own_pace)
    return Script(tuple(Speech(piece, voice, own_pace) for piece in cut), tempo=speed / own_pace)


def _cut(text: str, longest: float, first: float) -> list[str]:
    """One piece if it fits. Pieces without a letter or digit, which an engine would say nothing to, go."""
    if speaking_time(text) <= longest:
        return [text]
    return [piece for piece in pieces(text, longest=longest, first=first) if any(map(str.isalnum, piece))]


def in_the_mood(voice: Voice, instructions: str, voices: Sequence[Voice]) -> Voice:
    """The same voice with an emotion that `instructions` name, if it has that one: `Mia` -> `Mia.Calm`.

    Home Assistant sends the word "None" for no instructions.
    """
    plain = voice.id.removesuffix(f".{voice.emotion}") if voice.emotion else voice.id
    words = re.findall(r"\w+", instructions.casefold())
    said = f" {' '.join(words)} "
    for other in voices:
        if other.emotion and other.id == f"{plain}.{other.emotion}" and f" {_spaced(other.emotion)} " in said:
            return other
    return voice


def _spaced(emotion: str) -> str:
    """`PleasantSurprised` as it is said: `pleasant surprised`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", emotion).casefold()
