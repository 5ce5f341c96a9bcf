"""Looks at a machine: at this one, or by a command at another. However it goes, it ends, and never raises."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from spark_control.machine import nvidia_smi, report
from spark_control.machine.seen import Disk, Gpus, Look, harmless
from spark_control.supervision.restarters import RestartFailed
from spark_control.supervision.restarters.quoted import because
from spark_control.supervision.restarters.running import Ran, TookTooLong, run

Looker = Callable[[], Awaitable[Look]]

_NVIDIA_SMI = 5.0
"""Seconds it may take; it answers in 0.1, unless the driver hangs."""

_NVIDIA_SMI_HANGS = 124
_AGAIN_AFTER_HANG = 60.0
_AGAIN_AT_LAST = 600.0
"""Seconds until a nvidia-smi that hung is asked again, twice as long each time: one that hangs in the driver cannot
be ended, and many of them would be a burden of their own."""

_ELSEWHERE = 20.0
_AGAIN_ELSEWHERE = 60.0
"""Seconds until a machine that does not answer, or not to the end, is asked again, at last."""


class Here:
    """The machine that the gateway runs on. `proc` is where Linux tells of it."""

    def __init__(
        self, disks: Sequence[Path], clock: Callable[[], float], *, gpu: bool, proc: Path = Path("/proc")
    ) -> None:
        self._disks = tuple(dict.fromkeys(disks))  # Prometheus takes no figure twice
        self._clock = clock
        self._proc = proc
        self._gpu = gpu
        self._graphics = Gpus()
        self._ask_at = clock()
        self._pause = _AGAIN_AFTER_HANG

    async def look(self) -> Look:
        seen, graphics = await asyncio.gather(asyncio.to_thread(self._read), self._ask())
        return replace(seen, graphics=graphics)

    def _read(self) -> Look:
        files = {
            "meminfo": "meminfo",
            "pressure": "pressure/memory",
            "loadavg": "loadavg",
            "stat": "stat",
        }
        told = {name: _text(self._proc / file) for name, file in files.items()}
        disks = tuple(filter(None, map(_disk, self._disks)))
        return replace(report.read(told, 0.0), disks=disks)

    async def _ask(self) -> Gpus:
        if not self._gpu:
            return Gpus(problem="nvidia-smi is not asked: `gpu` is off in `[machine]`.")
        if shutil.which("nvidia-smi") is None:
            return Gpus(problem=nvidia_smi.NOT_INSTALLED)
        if self._clock() >= self._ask_at:
            self._graphics = await self._answer()
        return self._graphics

    async def _answer(self) -> Gpus:
        try:
            gpus = await run(["nvidia-smi", *nvidia_smi.GPU_QUERY], _NVIDIA_SMI)
            running = (
                await run(["nvidia-smi", *nvidia_smi.PROCESS_QUERY], _NVIDIA_SMI) if not gpus.status else gpus
            )
        except TookTooLong:
            self._ask_at = self._clock() + self._pause
            self._pause = min(self._pause * 2, _AGAIN_AT_LAST)
            return nvidia_smi.read(_NVIDIA_SMI_HANGS, "", "")
        except RestartFailed as exc:
            return Gpus(problem=f"{_sentence(str(exc))}.")
        self._pause = _AGAIN_AFTER_HANG
        return nvidia_smi.read(gpus.status, gpus.output, "" if running.status else running.output)


class Elsewhere:
    """Another machine, that `command` leads to: a shell there which takes a script, or what runs the same script."""

    def __init__(
        self, command: Sequence[str], every: float, clock: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self._command = command
        self._every = every
        self._clock = clock
        self._wall = wall
        self._last = Look()
        self._ask_at = clock()
        self._pause = every

    async def look(self) -> Look:
        if self._clock() >= self._ask_at:
            self._last, whole = await self._answer()
            self._pause = self._every if whole else min(self._pause * 2, max(self._every, _AGAIN_ELSEWHERE))
            self._ask_at = self._clock() + (0.0 if whole else self._pause)
        return self._last

    async def _answer(self) -> tuple[Look, bool]:
        """What was seen, and whether that is all. What hung over there may hang on: it is not to become many."""
        in_time = True
        try:
            ran = await run(self._command, _ELSEWHERE, given=report.SCRIPT.encode())
        except TookTooLong as exc:
            told, why, in_time = exc.output, str(exc), False
        except RestartFailed as exc:
            return Look(problem=f"{_sentence(str(exc))}."), False
        else:
            told, why = ran.output, _how_it_ended(PurePath(self._command[0]).name, ran)
        found = report.sections(told)
        if "loadavg" not in found:
            return Look(problem=f"{_sentence(why)}."), False
        seen = report.read(found, self._wall())
        return seen, in_time and seen.problem is None


def _how_it_ended(name: str, ran: Ran) -> str:
    if ran.status == 0:
        return f"the command {name!r} told nothing of the machine"
    how = f"status {ran.status}" if ran.status > 0 else f"signal {-ran.status}"
    return f"the command {name!r} ended with {how}{because(ran.output)}".rstrip(".")


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _disk(path: Path) -> Disk | None:
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return Disk(harmless(str(path)), found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)
