from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop

from spark_control.machine.kernel_log import follow
from spark_control.machine.seen import Xid
from tests.machine.gpus import first_on_path
from tests.machine.test_xid import FAULT, LOST
from tests.processes import lives

both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


async def heard(kmsg: Path, enough: int, meanwhile: Callable[[int], None] = lambda _: None) -> list[Xid]:
    """The Xids that are told, until they are enough; `meanwhile` is done after each."""
    told: list[Xid] = []
    following = asyncio.create_task(follow(kmsg, told.append, lambda: 10.0, lambda: 1010.0))
    async with asyncio.timeout(10):
        known = 0
        while len(told) < enough:
            if len(told) > known:
                known = len(told)
                meanwhile(known)
            await asyncio.sleep(0.01)
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
    return told


@pytest.fixture
def kmsg(tmp_path):
    """A log that somebody holds open, so that it has no end."""
    path = tmp_path / "kmsg"
    os.mkfifo(path)
    holding = os.open(path, os.O_RDWR)
    yield path, lambda record: os.write(holding, record.encode(errors="surrogateescape") + b"\n")
    os.close(holding)


@both_loops
def test_what_is_there_is_told_and_then_what_comes(kmsg, run):
    path, write = kmsg
    write("6,1,1000,-;usb 1-1: new device\n SUBSYSTEM=usb\n DEVICE=+usb:1-1")
    write(f"3,2,5000000,-;{LOST}")
    write("6,3,5000001,-;half a character: \udcff")
    told = run(heard(path, 2, lambda _: write(f"3,4,6000000,c;{FAULT}")))
    assert [(xid.number, xid.at) for xid in told] == [(79, 1005.0), (31, 1006.0)]


@both_loops
def test_a_log_that_ends_is_left(tmp_path, run):
    path = tmp_path / "kmsg"
    os.mkfifo(path)
    holding = os.open(path, os.O_RDWR)

    async def left() -> None:
        following = asyncio.create_task(follow(path, lambda _: None, time.monotonic, time.time))
        await asyncio.sleep(0.05)
        os.close(holding)
        await asyncio.wait_for(following, 5)

    run(left())


@both_loops
def test_where_the_kernels_log_may_not_be_read_journald_is_asked(tmp_path, monkeypatch, run):
    journal = tmp_path / "journalctl"
    journal.write_text(f"""#!/bin/sh
echo $$ >{tmp_path}/pid
printf '%s\\n' '1716213600.250000 spark-1 kernel: {LOST.replace("'", "")}'
head -c 200000 /dev/zero | tr '\\0' x; echo
printf '%s\\n' '1716213601.250000 spark-1 kernel: {FAULT}'
exec sleep 1000
""")
    journal.chmod(0o755)
    first_on_path(tmp_path, monkeypatch)
    told = run(heard(tmp_path / "none", 2))
    assert [xid.number for xid in told] == [79, 31]
    assert not lives(int((tmp_path / "pid").read_text()))


def test_where_there_is_neither_nothing_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    uvloop.run(asyncio.wait_for(follow(tmp_path / "none", lambda _: None, time.monotonic, time.time), 5))
