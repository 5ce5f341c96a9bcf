"""Runs a program to its end, and never longer than it may: it and all that it started are ended then."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import PurePath

from spark_control.supervision.restarters.base import RestartFailed

_LAST_WORDS = 2.0
"""Seconds between the request to end and the end."""

_REST_OF_OUTPUT = 0.2
"""Seconds for what a program said just before it ended, if something it left behind holds its output open."""

_MOST_OUTPUT = 64 * 1024


class TookTooLong(RestartFailed):
    """It was ended because its time was up. `output` is what it had said."""

    output = ""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended, and the last it said."""

    status: int
    output: str


async def run(
    argv: Sequence[str], within: float, environ: Mapping[str, str] | None = None, *, given: bytes = b""
) -> Ran:
    """Run `argv` without a shell, in a process group of its own. Raises RestartFailed.

    Its input is what is `given`, which a pipe must hold at once. What a program
    leaves running when it succeeds is left alone: it may be the engine.
    """
    async with _heard() as (output, write_end):
        process = await _start(argv, write_end, environ, given)
        try:
            status = await _status(process, argv, within)
        except TookTooLong as exc:
            exc.output = output.text
            raise
        await asyncio.wait([output.ended], timeout=_REST_OF_OUTPUT)
        return Ran(status, output.text)


class _Output(asyncio.Protocol):
    """Keeps the end of what is said."""

    def __init__(self) -> None:
        self.kept = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def text(self) -> str:
        return self.kept.decode("utf-8", "replace")

    def data_received(self, data: bytes) -> None:
        self.kept = (self.kept + data)[-_MOST_OUTPUT:]

    def connection_lost(self, _: Exception | None) -> None:
        self.ended.set_result(None)


@asynccontextmanager
async def _heard() -> AsyncIterator[tuple[_Output, int]]:
    """What is said into the descriptor that comes with it, which whoever gets it closes."""
    # asyncio's own pipes would be waited for until all that was left behind has closed them.
    read_end, write_end = os.pipe()
    pipe = os.fdopen(read_end, "rb", buffering=0)
    connecting = asyncio.ensure_future(asyncio.get_running_loop().connect_read_pipe(_Output, pipe))
    try:
        _, output = await asyncio.shield(connecting)
    except BaseException:
        os.close(write_end)
        raise
    else:
        yield output, write_end
    finally:  # uvloop leaves the pipe open if it is cancelled while it connects
        (await connecting)[0].close()


async def _start(
    argv: Sequence[str], output: int, environ: Mapping[str, str] | None, given: bytes
) -> asyncio.subprocess.Process:
    stdin = _holding(given) if given else asyncio.subprocess.DEVNULL
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *argv,
            stdin=stdin,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=environ,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:  # it may run already, and then nobody else could end it
        with contextlib.suppress(OSError):
            await _end(await starting)
        raise
    except FileNotFoundError:
        raise RestartFailed(f"there is no program {_name(argv)} on this machine") from None
    except OSError as exc:
        raise RestartFailed(f"{_name(argv)} cannot be run: {os.strerror(exc.errno or 0)}") from None
    finally:
        os.close(output)
        if given:
            os.close(stdin)


def _holding(given: bytes) -> int:
    """The end of a pipe from which `given` can be read."""
    read_end, write_end = os.pipe()
    try:
        os.write(write_end, given)
    finally:
        os.close(write_end)
    return read_end


async def _status(process: asyncio.subprocess.Process, argv: Sequence[str], within: float) -> int:
    status = None
    try:
        async with asyncio.timeout(within):
            status = await process.wait()
            return status
    except TimeoutError:
        raise TookTooLong(f"{_name(argv)} took longer than {within:g} s and was ended") from None
    finally:
        if status != 0:
            await _end(process)


def _name(argv: Sequence[str]) -> str:
    return repr(PurePath(argv[0]).name)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End what is left of its group: politely, then surely."""
    try:
        _signal(process.pid, signal.SIGTERM)
        await _ended(process)
    finally:
        _signal(process.pid, signal.SIGKILL)
    await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Not for ever: one that hangs in a driver survives even the last signal."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _LAST_WORDS)


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
