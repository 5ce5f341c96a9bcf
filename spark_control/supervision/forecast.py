"""How long things will take, from how long they took. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

UNMEASURED = 60.0
"""Seconds that a restart is said to take until one has been measured."""

LONGEST_PROMISE = 60.0
"""Seconds: the openai SDKs differ about what they do with a longer `Retry-After`."""

_ENOUGH = 0.9
_MARGIN = 1.1
"""Of three measured restarts the longest is only the third quartile, or so, of those to come."""

_OVERDUE = 0.15
"""Of the time it has taken so far, once it has taken longer than it ever did."""

_HANGS_AFTER = 5.0
_HANGS_TIMES = 4
_SLOWEST = 5.0
"""Seconds for a second of sound that an engine is believed to need at most: more was something else's fault."""

_LEARNS = 0.3


def recovery(measured: Sequence[float]) -> float | None:
    """Seconds from a restart's begin to a healthy engine: the 90th percentile with a margin; None if unmeasured."""
    if not measured:
        return None
    ordered = sorted(measured)
    return ordered[math.ceil(_ENOUGH * len(ordered)) - 1] * _MARGIN


def rest(measured: Sequence[float], elapsed: float) -> float | None:
    """Seconds until a recovery that has taken `elapsed` is over; None while nothing has been measured."""
    whole = recovery(measured)
    return None if whole is None else max(whole - elapsed, _OVERDUE * elapsed, 0.5)


def retry_after(seconds: float | None) -> int:
    """What to answer a client as `Retry-After`: whole seconds, 1 to 60."""
    return max(1, math.ceil(min(UNMEASURED if seconds is None else seconds, LONGEST_PROMISE)))


class Pace:
    """An engine's measured speed, in seconds of work for each second of sound."""

    def __init__(self) -> None:
        self._seconds = 1.0  # a slow engine, until it has shown that it is not
        self._measured = False

    def took(self, elapsed: float, ahead: float) -> None:
        """It took `elapsed` seconds for `ahead` seconds of sound. Slower counts at once, faster little by little."""
        if ahead <= 0:
            return
        sample = min(elapsed / ahead, _SLOWEST)
        if not self._measured or sample > self._seconds:
            self._seconds = sample
            self._measured = True
        else:
            self._seconds += (sample - self._seconds) * _LEARNS

    def hangs_after(self, ahead: float) -> float:
        """Seconds after which no answer for `ahead` seconds of sound is suspicious."""
        return max(_HANGS_AFTER, _HANGS_TIMES * self._seconds * ahead)
