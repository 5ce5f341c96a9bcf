"""Pure: what an engine answers that has lost a part of its work and does not know."""

from __future__ import annotations

import json
import struct

from spark_control.engines.faults.work import Good

_HEADER = 44
"""Bytes of the engines' WAV headers."""


def shortened(good: Good, share: float) -> bytes:
    """That share of the words or of the sound; an engine's refusal as it is."""
    if good.status != 200:
        return good.body
    media_type = (good.media_type or "").partition(";")[0]
    if media_type == "application/json":
        return _shortened_json(json.loads(good.body), share)
    if media_type.startswith("text/"):
        return _words(good.body.decode(), share).encode()
    if good.body[:4] == b"RIFF":
        samples = _samples(good.body[_HEADER:], share)
        sizes = struct.pack("<I", 36 + len(samples)), struct.pack("<I", len(samples))
        return b"RIFF" + sizes[0] + good.body[8:40] + sizes[1] + samples
    return _samples(good.body, share)


def _shortened_json(transcript: dict[str, object], share: float) -> bytes:
    """With the text, what else is told of it goes: times of words that are not there would be no such failure."""
    less = {name: [] if isinstance(value, list) else value for name, value in transcript.items()}
    return json.dumps({**less, "text": _words(str(transcript["text"]), share)}).encode()


def _words(text: str, share: float) -> str:
    words = text.split()
    return " ".join(words[: int(len(words) * share)])


def _samples(sound: bytes, share: float) -> bytes:
    """That share of it, and never less than 20 ms at 22 kHz, which is no empty answer."""
    return sound[: max(882, int(len(sound) * share) & ~1)]
