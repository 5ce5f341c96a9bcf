"""Pure: what makes two requests for speech the same, and whether one may be remembered at all."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from starlette.datastructures import Headers

_MAKING = 1
"""Goes up when the gateway makes other sound of the same words: another cleaning, cutting or encoding."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for speech, whoever speaks it.

    `voice` is the name that was asked for, not the one that an engine knows it
    by: an address that only a running engine could tell would be of no use
    while none runs.
    """

    text: str
    voice: str
    instructions: str | None
    speed: float
    format: str
    clean: bool
    """Whether Markdown is left out, and so on."""

    @property
    def key(self) -> str:
        """Its address: 64 hexadecimal digits."""
        return hashlib.sha256(b"".join(self._fields())).hexdigest()

    def _fields(self) -> Iterator[bytes]:
        """Each field behind its own length, so that no two requests read alike."""
        yield struct.pack(">Id?", _MAKING, self.speed, self.clean)
        yield b"\0" if self.instructions is None else b"\1"
        for text in (self.format, self.voice.casefold(), self.instructions or "", self.text):
            encoded = text.encode("utf-8", "surrogatepass")
            yield struct.pack(">Q", len(encoded)) + encoded


class Use(Enum):
    """What a request has of remembered speech."""

    NONE = "none"
    ANEW = "anew"
    """It is spoken anew, and remembered from then on."""
    FULL = "full"


def use_of(headers: Headers, *, remembers: bool) -> Use:
    """What a request's Cache-Control leaves it, if speech is remembered for its client at all."""
    lines = headers.getlist("cache-control")
    wanted = {each.strip().casefold() for line in lines for each in line.split(",")}
    if not remembers or "no-store" in wanted:
        return Use.NONE
    return Use.ANEW if "no-cache" in wanted else Use.FULL
