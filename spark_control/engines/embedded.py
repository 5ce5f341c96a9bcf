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
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog

from spark_control.engines.serving import LIBRARIES, MISSING_EXTRA

log = structlog.get_logger()

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_SETTLED = 60.0
"""Seconds after which a running engine counts as well, and its next death as its first."""

_LAST_WORDS = 5.0
"""Seconds an engine may take to end after SIGTERM."""

_LAST_WORDS_OF_A_WEDGE = 1.0
"""The same for one that is restarted: users wait for it, and it may not listen."""


class NotRestarted(RuntimeError):
    """Why an engine has not been restarted, in a sentence."""


def missing_extra() -> str | None:
    """A sentence, if what the engines need is not installed."""
    return None if all(map(importlib.util.find_spec, LIBRARIES)) else MISSING_EXTRA


class EmbeddedEngine:
    """One engine process and the socket it answers on."""

    def __init__(self, kind: str, *, faults: bool = False) -> None:
        self.kind = kind
        self.fault_file: Path | None = None
        """Where its fault switch keeps what outlives a restart."""
        self.what = f"embedded {kind} engine"
        self._faults = faults
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._at_once = asyncio.Event()

    async def start(self, lifeline: int) -> None:
        """Start it, and start it again whenever it dies. `lifeline` is a pipe's read end; it dies when that closes."""
        await self._spawn(lifeline)
        self._next_start: asyncio.Future[OSError | None] = asyncio.get_running_loop().create_future()
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

    async def restart(self) -> None:
        """End it, wedged or not, and return once another process runs. Raises NotRestarted.

        Only `_watch` starts processes, so that there are never two: this ends the one and has that hurry.
        """
        if self.process is None or self._watching is None or self._watching.done():
            raise NotRestarted(f"The {self.what} is not running.")
        next_start = self._next_start
        self._at_once.set()
        if self.process.returncode is None:
            await _end(self.process, _LAST_WORDS_OF_A_WEDGE)
        either: set[asyncio.Future[Any]] = {next_start, self._watching}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        failure = next_start.result() if next_start.done() else "the gateway is stopping"
        if failure:
            raise NotRestarted(f"The {self.what} could not be started again: {failure}.")

    async def stop(self) -> None:
        if self._watching:
            self._watching.cancel()
        self._socket.close()
        if self.process and self.process.returncode is None:
            await _end(self.process, _LAST_WORDS)

    async def _spawn(self, lifeline: int) -> None:
        # Without -P, a module run by name is found in the current folder first.
        command = [sys.executable, "-P", "-m", "spark_control", "engine", self.kind]
        command += ["--faults"] if self._faults else []
        command += ["--fault-file", str(self.fault_file)] if self.fault_file else []
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
            if not self._at_once.is_set():
                log.warning(
                    "embedded engine died",
                    engine=self.kind,
                    exit_code=code,
                    starting_again_in=pause,
                )
                pause = await self._pause(pause)
            await self._start_again(lifeline)

    async def _pause(self, seconds: float) -> float:
        """Wait, unless someone asks for a restart; the next pause is longer."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._at_once.wait(), seconds)
        return min(seconds * 2, _LONGEST_PAUSE)

    async def _start_again(self, lifeline: int) -> None:
        """Try to, and tell those who wait for it. Where it fails, the next turn of `_watch` tries again."""
        failure = None
        try:
            await self._spawn(lifeline)
        except OSError as exc:  # out of memory or processes, say: it may pass
            failure = exc
            log.warning("embedded engine not started", engine=self.kind, reason=str(exc))
        # Whoever asked up to now gets this start.
        self._at_once.clear()
        started, self._next_start = self._next_start, asyncio.get_running_loop().create_future()
        started.set_result(failure)


async def _end(process: asyncio.subprocess.Process, patience: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), patience)
        except TimeoutError:
            process.kill()
            await process.wait()


class EmbeddedEngines:
    """All of them, for as long as the `async with` block lasts, and not a moment longer: kill -9 included."""

    def __init__(self, kinds: Sequence[str], *, faults: bool = False) -> None:
        self.engines = [EmbeddedEngine(kind, faults=faults) for kind in kinds]
        self._folder = tempfile.TemporaryDirectory(prefix="spark-control-") if faults else None

    async def __aenter__(self) -> EmbeddedEngines:
        for engine in self.engines:
            engine.fault_file = Path(self._folder.name, engine.kind) if self._folder else None
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
        if self._folder:
            self._folder.cleanup()

    async def ready(self) -> None:
        await asyncio.gather(*(engine.ready() for engine in self.engines))
