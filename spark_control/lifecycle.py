"""Whether the gateway is starting, serving or draining, how much it has in hand, and whether all of it lives."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import structlog

log = structlog.get_logger()


class Watcher(Protocol):
    """Whoever looks after the engines."""

    def lives(self) -> bool:
        """Whether it has done something lately."""

    def sentence(self) -> str:
        """How the engines are."""


class Lifecycle:
    """The one note of it, shared by the server, `/readyz`, the drain and the watchdog."""

    def __init__(self, *, inherited: bool = False) -> None:
        """With an `inherited` socket, whoever connects during a drain waits there for the next gateway."""
        self.ready = False
        self.draining = False
        self.over = False
        """Whether the drain is, and with it the time for what was under way."""
        self.broken = False
        """Whether a part that must run for ever has ended."""
        self.watcher: Watcher | None = None
        self.inherited = inherited
        self._in_flight: set[asyncio.Task[Any] | None] = set()

    @property
    def turns_away(self) -> bool:
        """Whether new work is refused."""
        return self.over or (self.draining and not self.inherited)

    def has_ended(self, running: asyncio.Task[None]) -> None:
        """What must run for ever has ended, unless it was told to."""
        if not running.cancelled():
            self.broken = True
            log.error("watcher died", exc_info=running.exception())

    def lives(self) -> bool:
        return not self.broken and (self.watcher is None or self.watcher.lives())

    def sentence(self) -> str:
        """What it does, for whoever manages it."""
        if self.draining:
            return f"It is stopping; requests under way: {self.in_flight}."
        if not self.ready:
            return "It is starting."
        return self.watcher.sentence() if self.watcher else "Serving."

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    def enter(self) -> None:
        """A request comes, in a task of its own."""
        self._in_flight.add(asyncio.current_task())

    def leave(self) -> None:
        self._in_flight.discard(asyncio.current_task())

    def end(self) -> None:
        """The drain is over: what is still under way is cancelled."""
        self.over = True
        for task in self._in_flight:
            if task:
                task.cancel()
