"""Runs a program to its end, and never longer than it may: it and all that it started are killed then."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from spark_control.supervision.restarters.base import RestartFailed
from spark_control.upstreams.refusals import harmless

_LAST_WORDS = 2.0
"""Seconds between the request to end and the end."""

_MOST_OUTPUT = 64 * 1024
_QUOTED = 300


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended, and what it said."""

    status: int
    output: str

    @property
    def words(self) -> str:
        """The last it said, fit to show; empty if there is nothing fit."""
        line = " ".join(self.output.split())[-_QUOTED:]
        return line if harmless(line) else ""


async def run(argv: Sequence[str], within: float, environ: Mapping[str, str] | None = None) -> Ran:
    """Run `argv` without a shell and without input, in a process group of its own. Raises RestartFailed."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            env=environ,
        )
    except FileNotFoundError:
        raise RestartFailed(f"there is no program {argv[0]!r} on this machine") from None
    except OSError as exc:
        raise RestartFailed(f"{argv[0]!r} cannot be run: {os.strerror(exc.errno or 0)}") from None
    try:
        async with asyncio.timeout(within):
            output = await _said(process)
            return Ran(await process.wait(), output)
    except TimeoutError:
        raise RestartFailed(f"{argv[0]!r} took longer than {within:g} s and was ended") from None
    finally:
        await _end(process)


async def _said(process: asyncio.subprocess.Process) -> str:
    """The end of what it says."""
    assert process.stdout is not None  # noqa: S101 (it was asked for)
    kept = b""
    while piece := await process.stdout.read(4096):
        kept = (kept + piece)[-_MOST_OUTPUT:]
    return kept.decode("utf-8", "replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """End what is left of its group: politely, then surely."""
    _signal(process.pid, signal.SIGTERM)
    if process.returncode is None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _LAST_WORDS)
    _signal(process.pid, signal.SIGKILL)
    await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
