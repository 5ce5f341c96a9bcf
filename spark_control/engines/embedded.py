"""The embedded engines as a household: started, watched, restarted when they die, and taken along at the end.

Each listens on a socket that the gateway opened and keeps, so its address is
known before it runs and a request that comes while it starts waits in the
socket's backlog instead of being refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import socket
import sys
from collections.abc import Sequence
from types import TracebackType

import structlog

from spark_control.engines.serving import LIBRARIES, MISSING_EXTRA

log = structlog.get_logger()

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_SETTLED = 60.0
"""Seconds after which a running engine counts as well, and its next death as its first."""

_LAST_WORDS = 5.0
"""Seconds an engine may take to end after SIGTERM."""


def missing_extra() -> str | None:
    """A sentence, if what the engines need is not installed."""
    return None if all(map(importlib.util.find_spec, LIBRARIES)) else MISSING_EXTRA


class EmbeddedEngine:
    """One engine process and the socket it answers on."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self, lifeline: int) -> None:
        """Start it, and start it again whenever it dies. `lifeline` is a pipe's read end; it dies when that closes."""
        await self._spawn(lifeline)
        self._watching = asyncio.create_task(self._watch(lifeline))

    async def ready(self) -> None:
        """Return once it has loaded its model, by waiting for its first answer."""
        while not await self._first_line():  # noqa: ASYNC110 (another process has no event to wait for)
            await asyncio.sleep(0.1)

    async def _first_line(self) -> bytes:
        """Of its answer; nothing if it died meanwhile."""
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._socket.getsockname()[1])
            with contextlib.closing(writer):
                writer.write(b"GET /health HTTP/1.0\r\n\r\n")
                return await reader.readline()
        return b""

    async def stop(self) -> None:
        if self._watching:
            self._watching.cancel()
        self._socket.close()
        if self.process and self.process.returncode is None:
            await _end(self.process)

    async def _spawn(self, lifeline: int) -> None:
        command = [sys.executable, "-m", "spark_control", "engine", self.kind]
        inherited = (self._socket.fileno(), lifeline)
        self.process = await asyncio.create_subprocess_exec(
            *command,
            "--fd",
            str(inherited[0]),
            "--lifeline",
            str(lifeline),
            pass_fds=inherited,
            # Ctrl-C in a terminal goes to the gateway alone, which then ends them.
            start_new_session=True,
        )

    async def _watch(self, lifeline: int) -> None:
        pause = _FIRST_PAUSE
        clock = asyncio.get_running_loop().time
        while True:
            assert self.process is not None  # noqa: S101 (start() comes first)
            began = clock()
            code = await self.process.wait()
            pause = _FIRST_PAUSE if clock() - began > _SETTLED else pause
            log.warning("embedded engine died", engine=self.kind, exit_code=code, starting_again_in=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            try:
                await self._spawn(lifeline)
            except OSError as exc:  # out of memory or processes, say: it may pass
                log.warning("embedded engine not started", engine=self.kind, reason=str(exc))


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _LAST_WORDS)
        except TimeoutError:
            process.kill()
            await process.wait()


class EmbeddedEngines:
    """All of them, for as long as the `async with` block lasts, and not a moment longer: kill -9 included."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self.engines = [EmbeddedEngine(kind) for kind in kinds]

    async def __aenter__(self) -> EmbeddedEngines:
        # The gateway holds the write end; the kernel closes it however the gateway ends.
        self._read_end, self._write_end = os.pipe()
        for engine in self.engines:
            await engine.start(self._read_end)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.gather(*(engine.stop() for engine in self.engines))
        os.close(self._read_end)
        os.close(self._write_end)

    async def ready(self) -> None:
        await asyncio.gather(*(engine.ready() for engine in self.engines))
