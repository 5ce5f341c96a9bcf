"""Whether the gateway is starting, serving or draining, and how much it has in hand."""

from __future__ import annotations

import asyncio


class Lifecycle:
    """The one note of it, shared by the server, `/readyz` and the drain."""

    def __init__(self) -> None:
        self.ready = False
        self.draining = False
        self.in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def enter(self) -> None:
        self.in_flight += 1
        self._idle.clear()

    def leave(self) -> None:
        self.in_flight -= 1
        if not self.in_flight:
            self._idle.set()

    async def idle(self) -> None:
        """Return once nothing is in flight."""
        await self._idle.wait()
