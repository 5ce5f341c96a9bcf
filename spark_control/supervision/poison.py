"""Inputs that wedge an engine every time: suspected, struck, quarantined for a day, or absolved.

What counts is in memory at once; the store has it a moment later, since a disk may take its time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from spark_control.store import Store, StoreError
from spark_control.supervision.lane import Flight, Lane

_STRIKES = 2
_DAY = 24 * 3600.0
_UNWRITTEN = 1000
"""What is kept for a store that takes nothing, before the oldest is forgotten."""


class Poison:
    """What is known of one engine's. Trouble that began while it had one work alone accuses that work."""

    def __init__(self, lane: Lane[Any], store: Store, wall: Callable[[], float]) -> None:
        self._lane = lane
        self._store = store
        self._wall = wall
        self._accused: Flight | None = None
        self._accusation: tuple[str, int] | None = None
        self._strikes: dict[str, int] = {}
        self._unwritten: deque[Callable[[], None]] = deque(maxlen=_UNWRITTEN)

    def trouble_began(self, flight: Flight) -> None:
        self._accused = flight if self._lane.was_alone(flight) else None
        self._accusation = None

    def trouble_was_nothing(self) -> None:
        self._accused = self._accusation = None

    def is_accused(self, flight: Flight) -> bool:
        return self._accused is flight

    def accuse(self, flight: Flight, fingerprint: str, strikes: int) -> None:
        """By its fingerprint, which may have taken so long to find that the trouble is over."""
        if self._accused is flight:
            self._accusation = (fingerprint, strikes)

    def convict(self) -> bool:
        """The engine has truly wedged: the accused gets its strikes. Whether it is quarantined for them."""
        if self._accusation is None:
            return False
        (fingerprint, strikes), self._accusation = self._accusation, None
        name, now = self._lane.name, self._wall()
        self._strikes[fingerprint] = self._strikes.get(fingerprint, 0) + strikes
        self._lane.struck.add(fingerprint)
        self._unwritten.extend([partial(self._store.strike, name, fingerprint, now)] * strikes)
        if self._strikes[fingerprint] >= _STRIKES:
            self._lane.quarantined.add(fingerprint)
            self._unwritten.append(partial(self._store.quarantine, name, fingerprint, now + _DAY))
        return fingerprint in self._lane.quarantined

    def absolve(self, fingerprint: str) -> None:
        """It has been done well since, so the wedge was not its fault."""
        self._lane.struck.discard(fingerprint)
        self._strikes.pop(fingerprint, None)
        self._unwritten.append(partial(self._store.absolve, self._lane.name, fingerprint))

    async def save(self) -> None:
        """Let the store have what it does not have yet. What it does not take, it is offered again."""
        with suppress(StoreError):
            while self._unwritten:
                write = self._unwritten[0]
                await asyncio.to_thread(write)
                if self._unwritten[0] is write:  # else it was the oldest, and has been forgotten meanwhile
                    self._unwritten.popleft()

    async def refresh(self) -> None:
        """Let requests see which inputs the engine is spared now: a day passes. Raises StoreError."""
        await self.save()
        known = await asyncio.to_thread(self._known)
        if (
            not self._unwritten
        ):  # else there is more by now than the store knew; it has time until the next look
            self._take(*known)

    def remember(self) -> None:
        """What earlier gateways left. Raises StoreError."""
        self._take(*self._known())

    def _known(self) -> tuple[dict[str, int], set[str]]:
        now = self._wall()
        return self._store.strikes(self._lane.name, now - _DAY), self._store.quarantined(self._lane.name, now)

    def _take(self, strikes: dict[str, int], quarantined: set[str]) -> None:
        self._strikes = strikes
        self._lane.struck, self._lane.quarantined = set(strikes), quarantined
