"""What a player makes of the bytes it got."""

from __future__ import annotations

import io
from dataclasses import dataclass

import av


@dataclass(frozen=True)
class Sound:
    codec: str
    rate: int
    channels: int
    seconds: float


def played(data: bytes, *, declared: str | None = None) -> Sound:
    """Decode all of it. `declared` is the container that the client believes it has, in FFmpeg's words."""
    with av.open(io.BytesIO(data), "r", format=declared) as container:
        codec = container.streams.audio[0].codec_context
        seconds = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
        return Sound(codec.name, codec.sample_rate, codec.channels, seconds)
