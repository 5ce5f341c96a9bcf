"""One engine's restarts, as they are written down before they begin, and how long they take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from spark_control.store import Store, StoreError
from spark_control.store.records import Stamp
from spark_control.supervision import forecast
from spark_control.supervision.budget import age

log = structlog.get_logger()


class Attempts:
    """The restart under way, if there is one, and those before it."""

    def __init__(self, service: str, store: Store, clock: Callable[[], float]) -> None:
        self._service = service
        self._store = store
        self._clock = clock
        self._row: int | None = None
        self._adopted = False
        """Whether an earlier gateway began it, so that its time has not been measured."""
        self._began = clock()
        self._measured: list[float] = []

    def remember(self, now: Stamp, young: float) -> bool:
        """Read what earlier gateways left. Whether one of them did not live to see the end of a `young` restart."""
        self._measured = self._store.recovery_seconds(self._service)
        for row in self._store.restarts(self._service):
            if row.outcome is None and self._row is None and age(row.at, now) < young:
                self._row, self._adopted = row.id, True
                self._began = self._clock() - age(row.at, now)
            elif row.outcome is None:
                self._store.restart_ended(row.id, "interrupted", None)
        return self._adopted

    def decided(self) -> None:
        """One is about to begin, and those who wait for it count from now on."""
        self._began = self._clock()

    async def begin(self, at: Stamp, reason: str, who: str) -> bool:
        """Write one down, durably. False if that cannot be done, and so the restart must not be."""
        await self.end("not healthy in time")
        try:
            self._row = await asyncio.to_thread(self._store.restart_began, self._service, at, reason, who)
        except StoreError as exc:
            log.warning("restart not recorded", upstream=self._service, reason=str(exc))
            return False
        self._began = self._clock()
        return True

    async def end(self, outcome: str, seconds: float | None = None) -> None:
        """Write down what became of the one under way."""
        row, self._row, self._adopted = self._row, None, False
        if row is not None:
            with suppress(StoreError):  # the spend itself is on disk
                await asyncio.to_thread(self._store.restart_ended, row, outcome, seconds)

    async def healthy(self) -> None:
        """The engine works again, and if that is the doing of a restart it has been measured."""
        if self._row is not None:
            took = None if self._adopted else self._clock() - self._began
            if took is not None:
                self._measured = [took, *self._measured]
            await self.end("healthy", took)

    def usually(self) -> float | None:
        """Seconds that one takes; None while nothing has been measured."""
        return forecast.recovery(self._measured)

    def rest(self) -> float | None:
        """Seconds until the one under way should be over, if that is known."""
        return forecast.rest(self._measured, self._clock() - self._began)
