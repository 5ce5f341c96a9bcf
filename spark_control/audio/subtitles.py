"""Pure: what was said and when, as SubRip (`.srt`) and WebVTT (`.vtt`) subtitles."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cue:
    """A text, and the seconds from `start` to `end` at which it is shown."""

    start: float
    end: float
    text: str


def srt(cues: Iterable[Cue]) -> str:
    """Numbered from 1. Cues without words are left out: an empty line would end one."""
    shown = [cue for cue in cues if _folded(cue)]
    return "\n".join(f"{n}\n{_times(cue, ',')}\n{_folded(cue)}\n" for n, cue in enumerate(shown, start=1))


def vtt(cues: Iterable[Cue]) -> str:
    """Text escaped, so that neither `<` nor `-->` in it means anything. Cues without words are left out."""
    shown = [cue for cue in cues if _folded(cue)]
    return "\n".join(
        ["WEBVTT\n", *(f"{_times(cue, '.')}\n{html.escape(_folded(cue), quote=False)}\n" for cue in shown)]
    )


def _folded(cue: Cue) -> str:
    """On one line. NUL, which WebVTT forbids, goes."""
    return " ".join(cue.text.replace("\0", " ").split())


def _times(cue: Cue, point: str) -> str:
    """No cue begins before 0 or ends before it begins, whatever an engine said."""
    start = max(0, round(cue.start * 1000))
    end = max(start, round(cue.end * 1000))
    return f"{_time(start, point)} --> {_time(end, point)}"


def _time(milliseconds: int, point: str) -> str:
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{thousandths:03}"
