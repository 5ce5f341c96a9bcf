"""Pure: where a recording is quiet, and whether there is anything in it to hear."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator

RATE = 16_000
_WINDOW = RATE // 10
_AUDIBLE = 100
"""Mean of the samples' absolute values, of 32,767, from which a tenth of a second counts as sound."""


def quietest(pcm: bytes) -> int:
    """The byte in the middle of the quietest tenth of a second of 16 kHz mono s16le: the best place to cut."""
    loudness = list(_loudness(pcm))
    if not loudness:
        return 0
    window = loudness.index(min(loudness))
    return 2 * (window * _WINDOW + _WINDOW // 2)


def is_audible(pcm: bytes) -> bool:
    """Whether any tenth of a second is louder than the noise of a quiet room."""
    return any(level > _AUDIBLE for level in _loudness(pcm))


def _loudness(pcm: bytes) -> Iterator[float]:
    samples = array("h", pcm[: len(pcm) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    for start in range(0, len(samples) - _WINDOW + 1, _WINDOW):
        yield sum(map(abs, samples[start : start + _WINDOW])) / _WINDOW
