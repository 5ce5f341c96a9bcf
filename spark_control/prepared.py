"""A recording as its engine gets it: whole, or in parts cut where it is quiet."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from spark_control.audio.decode import canonical_header
from spark_control.audio.formats import WAV, Format
from spark_control.audio.silences import RATE, is_audible, quietest
from spark_control.transcription_form import Wanted
from spark_control.uploads import Clip, Source, Spool
from spark_control.upstreams.base import Recording

_BYTES_PER_SECOND = 2 * RATE
_LOOK_BACK = 20
"""Seconds before an engine's limit in which a quiet place to cut is looked for."""

_LISTEN_FOR = 60
"""Seconds of a recording without words that are looked at for sound."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """16 kHz mono samples, from one place of a spool to another."""

    pcm: Spool
    begin: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.begin) / _BYTES_PER_SECOND

    def clip(self) -> Clip:
        """It as a WAV file."""
        return Clip(canonical_header(self.end - self.begin), self.pcm, self.begin, self.end)

    async def fingerprint(self) -> str:
        """The same sound gives the same, whatever container it came in."""
        digest = hashlib.sha256()
        async for piece in self.pcm.pieces(self.begin, self.end):
            await asyncio.to_thread(digest.update, piece)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the recording. `start` is where it begins, in seconds."""

    start: float
    recording: Recording
    """As the engine gets it."""
    decoded: Callable[[], Awaitable[Stretch]]
    """Its samples, which may have to be decoded first."""
    raw: bool = False
    """Whether it goes to the engine as it came."""

    async def plainly(self) -> Recording:
        """The same as WAV, for an engine that may not get it as it came."""
        stretch = await self.decoded()
        return replace(self.recording, source=stretch.clip(), format=WAV, duration=stretch.seconds)


class Prepared:
    """A recording as its engine gets it. Whoever holds it closes it."""

    def __init__(self, parts: list[Part], seconds: float | None, audible: Stretch | None = None) -> None:
        self.parts = parts
        self.seconds = seconds
        self._audible = audible
        self._own: list[Spool] = []

    def owning(self, spool: Spool) -> Prepared:
        self._own.append(spool)
        return self

    async def audible(self) -> bool:
        """Whether there is sound in its first minute; False where nobody can tell."""
        if self._audible is None:
            return False
        begin, end = self._audible.begin, self._audible.begin + _LISTEN_FOR * _BYTES_PER_SECOND
        begun = b"".join(
            [piece async for piece in self._audible.pcm.pieces(begin, min(end, self._audible.end))]
        )
        return await asyncio.to_thread(is_audible, begun)

    def close(self) -> None:
        for spool in self._own:
            spool.close()


async def in_parts(
    pcm: Spool, start: int, size: int, wanted: Wanted, *, longest: float, whole: Source | None
) -> Prepared:
    """Parts of the samples at `start` in `pcm`: one if the engine takes them all, `whole` if that is a file."""
    end = start + size
    longest = int(longest * RATE) * 2
    cuts = [start]
    while end - cuts[-1] > longest:
        cuts.append(await _cut(pcm, cuts[-1], cuts[-1] + longest))
    stretches = [Stretch(pcm, begin, finish) for begin, finish in zip(cuts, [*cuts[1:], end], strict=True)]
    parts = [_part(stretch, (stretch.begin - start) / _BYTES_PER_SECOND, wanted) for stretch in stretches]
    if whole is not None and len(parts) == 1:
        parts = [replace(parts[0], recording=replace(parts[0].recording, source=whole))]
    return Prepared(parts, size / _BYTES_PER_SECOND, Stretch(pcm, start, end))


async def _cut(pcm: Spool, start: int, latest: int) -> int:
    """The quietest place shortly before `latest`."""
    earliest = max(start + _BYTES_PER_SECOND, latest - _LOOK_BACK * _BYTES_PER_SECOND)
    tail = b"".join([piece async for piece in pcm.pieces(earliest, latest)])
    return earliest + await asyncio.to_thread(quietest, tail)


def _part(stretch: Stretch, start: float, wanted: Wanted) -> Part:
    async def decoded() -> Stretch:
        return stretch

    return Part(start, recording_of(stretch.clip(), WAV, stretch.seconds, wanted), decoded)


def recording_of(source: Source, format_: Format, duration: float | None, wanted: Wanted) -> Recording:
    return Recording(source, format_, duration, wanted.language, wanted.prompt, wanted.temperature)
