"""What the page shows, rendered: one board for everybody who looks, made anew at most a few times a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import structlog

from spark_control.dashboard.incidents import MOST, incidents_view
from spark_control.dashboard.machine import machine_view
from spark_control.dashboard.now import card_view, house_view, second
from spark_control.dashboard.rendering import Pages
from spark_control.deep_health import DeepHealth
from spark_control.store import StoreError
from spark_control.store.records import Incident

log = structlog.get_logger()

_FRESH = 0.25

Parts = Mapping[str, str]
"""Pieces of the page, by the ids of the elements that they are the inside of."""


class Machinery(Protocol):
    """What tells of the machines."""

    def snapshot(self) -> list[dict[str, object]]: ...


class Board:
    """The pieces of the page that change."""

    def __init__(
        self,
        pages: Pages,
        deep_health: DeepHealth,
        machines: Machinery,
        clock: Callable[[], float],
    ) -> None:
        self._pages = pages
        self._deep_health = deep_health
        self._machines = machines
        self._clock = clock
        self._made_at: float | None = None
        self._parts: Parts = {}
        self._making = asyncio.Lock()

    async def parts(self) -> Parts:
        """All of them, as things are. Whoever comes while they are made gets the same."""
        async with self._making:
            if self._made_at is None or self._clock() - self._made_at >= _FRESH:
                self._parts = self._rendered(await self.values())
                self._made_at = self._clock()
            return self._parts

    async def values(self) -> dict[str, Any]:
        """What the templates of the whole page get."""
        incidents = await self._incidents()
        status: Mapping[str, Any] = self._deep_health.snapshot()
        now = datetime.fromisoformat(status["at"]).timestamp()
        house = house_view(status, incidents)
        return {
            "house": house,
            "last_opened": second(house.last.opened) if house.last else None,
            "cards": [card_view(each, now, incidents) for each in status["upstreams"]],
            "incidents": incidents_view(incidents, now),
            "machines": machine_view(self._machines.snapshot(), now),
        }

    def _rendered(self, values: Mapping[str, Any]) -> Parts:
        parts = {
            f"part-{name}": self._pages.part(f"{name}.html", **values)
            for name in ("house", "incidents", "machine")
        }
        cards = {
            f"part-card-{card.name}": self._pages.part("card.html", card=card) for card in values["cards"]
        }
        return parts | cards

    async def _incidents(self) -> Sequence[Incident]:
        try:
            return await self._deep_health.incidents(MOST)
        except StoreError as exc:
            log.warning("incidents cannot be read", reason=str(exc))
            return ()
