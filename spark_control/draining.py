"""uvicorn with a calm end: on the first signal it finishes what it has in hand.

    the socket is   while it drains                                          afterwards
    --------------  -------------------------------------------------------  -------------------------
    its own         `/readyz` says so, new work gets 503 and Retry-After     nobody listens
    inherited       nobody is accepted: who connects waits in the backlog,   the next gateway answers
                    who is connected is served once more                     them all

Either way each answer says that its connection closes, streams have `drain` seconds, and what has no answer by then
gets 503 and Retry-After.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextvars import Context
from types import FrameType

import structlog
import uvicorn

from spark_control.guarded_http import GuardedHttp
from spark_control.lifecycle import Lifecycle
from spark_control.service_manager import ServiceManager

log = structlog.get_logger()

_IDLE = 1.0
"""Seconds: a client that has been quiet for so long is hardly about to ask something."""

_LAST_WORDS = 1.0
"""Seconds for the answers to those who wait no longer."""


class DrainingServer(uvicorn.Server):
    """A server of the sockets it is given, which tells the service manager how it goes."""

    def __init__(
        self, config: uvicorn.Config, lifecycle: Lifecycle, drain: float, manager: ServiceManager
    ) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._drain = drain
        self._manager = manager
        self._loop = asyncio.get_running_loop()
        self._until: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self._lifecycle.draining:
            self._manager.is_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: drain. Second: stop now."""
        first, self._lifecycle.draining = not self._lifecycle.draining, True
        # It comes in the midst of some request, whose id is none of its own.
        self._loop.call_soon_threadsafe(self._begin if first else self._lifecycle.end, context=Context())
        if not first:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if self._until is not None:
            self._go_on(self._until)
        return await super().on_tick(counter)

    def _begin(self) -> None:
        log.info("draining", in_flight=self._lifecycle.in_flight, seconds=self._drain)
        self._manager.is_stopping()
        self._until = self._loop.time() + self._drain
        if self.started:
            self._go_on(self._until)

    def _go_on(self, until: float) -> None:
        """One step of the drain."""
        if self._lifecycle.inherited:
            self._make_room()
        now = self._loop.time()
        if not self._lifecycle.over and (self._is_done() or now >= until):
            self._lifecycle.end()
            self._until = until = now + _LAST_WORDS
        if self._lifecycle.over and (not self._lifecycle.in_flight or now >= until):
            self.should_exit = True

    def _make_room(self) -> None:
        """Leave the clients to the next gateway, those who are yet to connect and those who ask nothing."""
        for server in self.servers:
            # That closes our copies of the sockets. To shut them down would do so for the service manager, too.
            server.close()
        for connection in self._connections():
            connection.close_if_idle(_IDLE)

    def _is_done(self) -> bool:
        if self._lifecycle.in_flight:
            return False
        connections = self._connections()
        return not connections if self._lifecycle.inherited else all(each.at_rest for each in connections)

    def _connections(self) -> Sequence[GuardedHttp]:
        return [each for each in self.server_state.connections if isinstance(each, GuardedHttp)]
