"""How figures went in the last day: one value a minute, for the charts of whoever looks.

A value is kept in memory at once and written down within a minute, so a
restart of the gateway costs its charts a minute at most.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Iterator

import structlog

from spark_control.store import Store, StoreError
from spark_control.store.records import Sample

log = structlog.get_logger()

HOURS = 24
_MINUTE = 60.0
_KEPT = HOURS * 60
"""Minutes."""

_SERIES = 128
_SAVE_EVERY = 60.0


class History:
    """Series of values by name; of each, what came within a minute is one value. `wall` gives Unix seconds."""

    def __init__(self, store: Store, wall: Callable[[], float]) -> None:
        self._store = store
        self._wall = wall
        self._series: dict[str, dict[int, tuple[float, int]]] = defaultdict(dict)
        self._unsaved: set[tuple[str, int]] = set()
        self._remember()

    def add(self, series: str, value: float) -> None:
        """One more value. It never waits; a series too many is not kept."""
        if series not in self._series and len(self._series) >= _SERIES:
            return
        minute = self._minute()
        total, times = self._series[series].get(minute, (0.0, 0))
        if math.isfinite(total + value):
            self._series[series][minute] = total + value, times + 1
            self._unsaved.add((series, minute))

    def since(self, series: str, seconds: float, buckets: int) -> list[float | None]:
        """The mean of each of `buckets` equal parts of the last `seconds`; None where there was no value."""
        return [total / times if times else None for total, times in self._parts(series, seconds, buckets)]

    def times(self, series: str, seconds: float, buckets: int) -> list[int]:
        """How many values came in each of those parts."""
        return [times for _, times in self._parts(series, seconds, buckets)]

    async def keep(self) -> None:
        """Write down what is new, each minute and at the end, until cancelled."""
        try:
            while True:
                await asyncio.sleep(_SAVE_EVERY)
                await self._save()
        finally:
            await self._save()

    def _parts(self, series: str, seconds: float, buckets: int) -> list[tuple[float, int]]:
        """The sum and the number of values in each part. Parts begin at round times, so a chart does not flicker."""
        parts = [(0.0, 0)] * buckets
        width = seconds / buckets
        first = math.floor(self._wall() / width) - buckets + 1
        for minute, (total, times) in self._series.get(series, {}).items():
            at = math.floor(minute * _MINUTE / width) - first
            if 0 <= at < buckets:
                parts[at] = parts[at][0] + total, parts[at][1] + times
        return parts

    def _minute(self) -> int:
        return math.floor(self._wall() / _MINUTE)

    def _remember(self) -> None:
        now = self._minute()
        try:
            for sample in self._store.samples(now - _KEPT):
                if sample.minute <= now and (sample.series in self._series or len(self._series) < _SERIES):
                    self._series[sample.series][sample.minute] = sample.total, sample.times
        except StoreError as exc:
            log.warning("history not remembered", reason=str(exc))

    async def _save(self) -> None:
        self._forget()
        new, self._unsaved = self._unsaved, set()
        if not new:
            return
        now = self._minute()
        try:
            await asyncio.to_thread(self._store.save_samples, list(self._of(new)), now - _KEPT, now)
        except StoreError as exc:
            self._unsaved |= new
            log.warning("history not saved", reason=str(exc))

    def _of(self, wanted: set[tuple[str, int]]) -> Iterator[Sample]:
        for series, minute in wanted:
            kept = self._series.get(series, {}).get(minute)
            if kept:
                yield Sample(series, minute, *kept)

    def _forget(self) -> None:
        """What is older than a day, and what lies in the future since somebody has set the clock back."""
        now = self._minute()
        for series, values in list(self._series.items()):
            for minute in [each for each in values if not now - _KEPT <= each <= now]:
                del values[minute]
            if not values:
                del self._series[series]
