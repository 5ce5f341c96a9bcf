"""What happens to the engines, as it is told: to the store, and to whoever listens now."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog

from spark_control.store.records import Entry, Incident

log = structlog.get_logger()

Announcement = dict[str, Any]

_UNREAD = 1000
"""Announcements kept for a listener that does not keep up; then the oldest go."""

_LONGEST_TIMELINE = 500
_AFTERMATH = 60.0
"""Seconds after an incident in which requests are still answered on its account."""


class Announcements:
    """Tells every listener what happens, from now on. `counted` hears of each at once."""

    def __init__(self, counted: Callable[[Announcement], None] | None = None) -> None:
        self._listeners: set[asyncio.Queue[Announcement]] = set()
        self._counted = counted

    @contextmanager
    def subscribe(self) -> Iterator[asyncio.Queue[Announcement]]:
        queue: asyncio.Queue[Announcement] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    def announce(self, announcement: Announcement) -> None:
        if self._counted:
            self._counted(announcement)
        for queue in self._listeners:
            if queue.qsize() >= _UNREAD:
                queue.get_nowait()
            queue.put_nowait(announcement)


class Chronicle:
    """The incidents of one engine. An incident that turns out to be nothing is never written down."""

    def __init__(self, service: str, announcements: Announcements, wall: Callable[[], float]) -> None:
        self.unsaved = False
        self._service = service
        self._announcements = announcements
        self._wall = wall
        self._latest: Incident | None = None
        self._serious = False

    @property
    def open(self) -> Incident | None:
        """The incident under way, if there is one worth telling."""
        return self._latest if self._latest and self._latest.closed is None and self._serious else None

    @property
    def to_save(self) -> Incident | None:
        """What the store does not have yet. Asking counts as having saved it."""
        wanted = self._latest if self.unsaved and self._serious else None
        self.unsaved = False
        return wanted

    def not_saved(self) -> None:
        """The store did not take it; the next time it may."""
        self.unsaved = True

    def happened(self, what: str, detail: str, state: str) -> None:
        """Note it, tell it, and log it."""
        incident = self._latest
        if incident is None or incident.closed is not None:
            if what in ("healthy", "turned away", "maintenance on", "maintenance off"):
                incident = None
            else:
                incident = self._begun()
        if incident is not None:
            entry = Entry(self._wall(), what, detail)
            self._latest = replace(incident, timeline=(*incident.timeline, entry)[-_LONGEST_TIMELINE:])
            self.unsaved = True
        log.info(what, upstream=self._service, detail=detail, state=state)
        self._tell(what, detail, state)

    def serious(self, verdict: str, evidence: str) -> None:
        """It is an incident: the engine no longer gets requests, or failed a canary."""
        self._serious = True
        if self._latest and self._latest.closed is None:
            self._latest = replace(self._latest, verdict=verdict, evidence=self._latest.evidence or evidence)
            self.unsaved = True

    def restarted(self) -> None:
        self._change(lambda incident: replace(incident, restarts=incident.restarts + 1))

    def over(self) -> None:
        """The engine works again; what was nothing is forgotten."""
        if not self._serious:
            self._latest = None
        if self._latest and self._latest.closed is None:
            self._change(lambda incident: replace(incident, closed=self._wall()))

    def count(self, what: str, state: str) -> None:
        """A request was held, replayed, degraded or failed: in this incident, or just after it."""
        if self._latest and (self._latest.closed is None or self._wall() - self._latest.closed < _AFTERMATH):
            self._change(lambda incident: replace(incident, **{what: getattr(incident, what) + 1}))
        self._tell(what, "", state)

    def _begun(self) -> Incident:
        self._serious = False
        return Incident(
            id=f"inc_{secrets.token_hex(6)}",
            service=self._service,
            opened=self._wall(),
            closed=None,
            verdict="",
            evidence="",
            held=0,
            replayed=0,
            degraded=0,
            failed=0,
            restarts=0,
            timeline=(),
        )

    def _change(self, change: Callable[[Incident], Incident]) -> None:
        if self._latest:
            self._latest = change(self._latest)
            self.unsaved = True

    def _tell(self, what: str, detail: str, state: str) -> None:
        self._announcements.announce(
            {
                "at": iso(self._wall()),
                "upstream": self._service,
                "what": what,
                "detail": detail,
                "state": state,
                "incident": self._latest.id if self._latest else None,
            }
        )


def iso(wall: float) -> str:
    """Unix seconds as `2026-05-04T12:00:00.000Z`."""
    moment = datetime.fromtimestamp(wall, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
