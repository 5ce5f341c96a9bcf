"""A recording as its engine gets it: whole, or in parts cut where it is quiet."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

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
class Part:
    """A stretch of the recording. `start` is where it begins, in seconds."""

    start: float
    recording: Recording


class Prepared:
    """A recording as its engine gets it. Whoever holds it closes it."""

    def __init__(self, parts: list[Part], seconds: float | None, pcm: Spool | None, data_starts: int) -> None:
        self.parts = parts
        self.seconds = seconds
        self._pcm = pcm
        self._data_starts = data_starts
        self._own: Spool | None = None

    def owning(self, spool: Spool) -> Prepared:
        self._own = spool
        return self

    async def audible(self) -> bool:
        """Whether there is sound in its first minute; False where nobody can tell."""
        if self._pcm is None:
            return False
        end = self._data_starts + _LISTEN_FOR * _BYTES_PER_SECOND
        begun = b"".join([piece async for piece in self._pcm.pieces(self._data_starts, end)])
        return await asyncio.to_thread(is_audible, begun)

    def close(self) -> None:
        if self._own:
            self._own.close()


async def in_parts(
    pcm: Spool, start: int, size: int, wanted: Wanted, *, longest: float, whole: Source | None
) -> Prepared:
    """Parts of the samples at `start` in `pcm`: one if the engine takes them all, `whole` if that is a file."""
    end = start + size
    longest = int(longest * RATE) * 2
    cuts = [start]
    while end - cuts[-1] > longest:
        cuts.append(await _cut(pcm, cuts[-1], cuts[-1] + longest))
    parts = [
        Part((begin - start) / _BYTES_PER_SECOND, _clip(pcm, begin, finish, wanted))
        for begin, finish in zip(cuts, [*cuts[1:], end], strict=True)
    ]
    if whole is not None and len(parts) == 1:
        parts = [Part(0.0, recording_of(whole, WAV, size / _BYTES_PER_SECOND, wanted))]
    return Prepared(parts, size / _BYTES_PER_SECOND, pcm, start)


async def _cut(pcm: Spool, start: int, latest: int) -> int:
    """The quietest place shortly before `latest`."""
    earliest = max(start + _BYTES_PER_SECOND, latest - _LOOK_BACK * _BYTES_PER_SECOND)
    tail = b"".join([piece async for piece in pcm.pieces(earliest, latest)])
    return earliest + await asyncio.to_thread(quietest, tail)


def _clip(pcm: Spool, start: int, end: int, wanted: Wanted) -> Recording:
    source = Clip(canonical_header(end - start), pcm, start, end)
    return recording_of(source, WAV, (end - start) / _BYTES_PER_SECOND, wanted)


def recording_of(source: Source, format_: Format, duration: float | None, wanted: Wanted) -> Recording:
    return Recording(source, format_, duration, wanted.language, wanted.prompt, wanted.temperature)
