"""Follows this machine's kernel log for Xids, from the start of what it still has. It never waits in the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from spark_control.machine import xid
from spark_control.machine.seen import Xid

log = structlog.get_logger()

_JOURNAL = (
    "journalctl",
    "--dmesg",
    "--follow",
    "--lines=1000",
    "--output=short-unix",
    "--no-pager",
    "--quiet",
)
_AGAIN = 600.0
_RECORD = 16 * 1024
"""Bytes; the kernel's records have 8 KB at most."""

_AT_ONCE = 256
"""Records that are read before others get their turn."""


async def follow(
    kmsg: Path, told: Callable[[Xid], None], clock: Callable[[], float], wall: Callable[[], float]
) -> None:
    """Tell of each Xid, until cancelled: from `/dev/kmsg`, or of journald where that may not be read."""
    try:
        opened = os.open(kmsg, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        log.info("kernel log not readable, so journald is asked", reason=exc.strerror)
        await _follow_journal(told)
        return
    try:
        await _Kmsg(opened, told, wall() - clock()).read_on()
    finally:
        os.close(opened)


class _Kmsg:
    """Each read gives a record, and another waits until there is one."""

    def __init__(self, opened: int, told: Callable[[Xid], None], booted: float) -> None:
        self._opened = opened
        self._told = told
        self._booted = booted

    async def read_on(self) -> None:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._opened, self._read, ended)
        try:
            await ended
        finally:
            loop.remove_reader(self._opened)

    def _read(self, ended: asyncio.Future[None]) -> None:
        try:
            for _ in range(_AT_ONCE):
                if not self._read_one() and not ended.done():
                    ended.set_result(None)
                    return
        except BlockingIOError:
            return
        except OSError as exc:
            if not ended.done():
                log.warning("kernel log lost", reason=exc.strerror)
                ended.set_result(None)

    def _read_one(self) -> bool:
        """False at the end, which a kernel's log does not have."""
        try:
            records = os.read(self._opened, _RECORD)
        except BrokenPipeError:  # it was overwritten before it was read; the next read goes on behind it
            return True
        for record in records.decode("utf-8", "replace").splitlines():
            found = xid.from_kmsg(record, self._booted)
            if found:
                self._told(found)
        return bool(records)


async def _follow_journal(told: Callable[[Xid], None]) -> None:
    while True:
        try:
            process = await asyncio.create_subprocess_exec(
                *_JOURNAL,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError:
            return
        try:
            await _read_journal(process, told)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await asyncio.sleep(_AGAIN)


async def _read_journal(process: asyncio.subprocess.Process, told: Callable[[Xid], None]) -> None:
    assert process.stdout is not None  # noqa: S101 (it is a pipe)
    while True:
        try:
            line = await process.stdout.readline()
        except ValueError:  # a line without an end; it is left out
            continue
        if not line:
            return
        found = xid.from_journal(line.decode("utf-8", "replace").strip())
        if found:
            told(found)
