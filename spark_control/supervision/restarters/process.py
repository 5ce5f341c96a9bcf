"""Restarts an engine that the gateway runs itself."""

from __future__ import annotations

from spark_control.engines.embedded import EmbeddedEngine, NotRestarted
from spark_control.supervision.restarters.base import RestartFailed


class ProcessRestarter:
    """The embedded engine's own way: its process ends, and another takes its socket. The proof is the new pid."""

    kind = "process"

    def __init__(self, engine: EmbeddedEngine) -> None:
        self.what = engine.what
        self._engine = engine

    async def restart(self) -> None:
        try:
            await self._engine.restart()
        except NotRestarted as exc:
            raise RestartFailed(str(exc)) from None
