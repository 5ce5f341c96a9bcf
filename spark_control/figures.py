"""How each engine has done in the last minutes: how many answers, and how soon they began.

The time is cut into slices. Each counts its answers by how soon they began, in
steps of a twentieth; so what is kept is bounded, however many come.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

_WINDOW = 300.0
_SLICES = 30
_SLICE = _WINDOW / _SLICES

_LEAST_TIME = 60.0
"""Seconds over which a rate is told at least: one answer in the first second is not sixty a minute."""

_STEP = math.log(1.05)
_SHORTEST, _LONGEST = 1e-4, 3600.0


class _Slice(NamedTuple):
    """The answers of a stretch of time: how many of each step."""

    began: float
    steps: Counter[int]


class Figures:
    """The answers of the last five minutes, by engine. `clock` tells seconds, from anywhere."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._slices: dict[str, deque[_Slice]] = {}

    def answered(self, upstream: str, first_byte: float) -> None:
        """An answer has come from there. Its first byte took so many seconds to its client."""
        now = self._clock()
        slices = self._slices.get(upstream)
        if slices is None:
            slices = self._slices[upstream] = deque(maxlen=_SLICES)
        if not slices or now - slices[-1].began >= _SLICE:
            slices.append(_Slice(now, Counter()))
        slices[-1].steps[_step(first_byte)] += 1

    def of(self, upstream: str) -> dict[str, object]:
        """`{"per_minute": answers, "first_byte": {"p50": seconds, "p95": seconds}}`; null without any."""
        now = self._clock()
        steps: Counter[int] = Counter()
        for began, counted in self._slices.get(upstream, ()):
            if now - began < _WINDOW:
                steps.update(counted)
        span = min(_WINDOW, max(_LEAST_TIME, now - self._since))
        quantiles = {"p50": _quantile(steps, 0.5), "p95": _quantile(steps, 0.95)} if steps else None
        return {"per_minute": round(steps.total() * 60 / span, 2), "first_byte": quantiles}


def _step(seconds: float) -> int:
    return round(math.log(min(max(seconds, _SHORTEST), _LONGEST)) / _STEP)


def _quantile(steps: Counter[int], share: float) -> float:
    """Seconds in which that share of the answers had begun, to within a fortieth."""
    left = math.ceil(steps.total() * share)
    for step in sorted(steps):
        left -= steps[step]
        if left <= 0:
            break
    return float(f"{math.exp(step * _STEP):.3g}")
