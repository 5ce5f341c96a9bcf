"""Inputs that wedge an engine every time: suspected, struck, quarantined for a day, or absolved."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from spark_control.store import Store, StoreError
from spark_control.supervision.lane import Flight, Lane

_STRIKES = 2
_DAY = 24 * 3600.0


class Poison:
    """What is known of one engine's. Trouble that began while it had one work alone accuses that work."""

    def __init__(self, lane: Lane[Any], store: Store, wall: Callable[[], float]) -> None:
        self._lane = lane
        self._store = store
        self._wall = wall
        self._accused: Flight | None = None
        self._accusation: tuple[str, int] | None = None

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
        with suppress(StoreError):  # an engine that is not spared an input is still cured of it
            for _ in range(strikes):
                self._store.strike(self._lane.name, fingerprint, self._wall())
            all_of_them = self._store.strikes(self._lane.name, self._wall() - _DAY)
            if all_of_them.get(fingerprint, 0) >= _STRIKES:
                self._store.quarantine(self._lane.name, fingerprint, self._wall() + _DAY)
            self.refresh()
        return fingerprint in self._lane.quarantined

    def absolve(self, fingerprint: str) -> None:
        """It has been done well since, so the wedge was not its fault."""
        self._lane.struck.discard(fingerprint)
        with suppress(StoreError):
            self._store.absolve(self._lane.name, fingerprint)

    def refresh(self) -> None:
        """Let requests see which inputs the engine is spared now: a day passes."""
        self._lane.quarantined = self._store.quarantined(self._lane.name, self._wall())
        self._lane.struck = set(self._store.strikes(self._lane.name, self._wall() - _DAY))
