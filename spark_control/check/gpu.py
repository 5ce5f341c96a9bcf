"""The machines: this one's GPU and memory, and whether the others can be looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from spark_control.check.disk import size
from spark_control.check.findings import Finding, joined, note, ok, warn, wrong
from spark_control.machine import nvidia_smi
from spark_control.machine.looking import Elsewhere, Here
from spark_control.machine.seen import Look
from spark_control.settings import OtherMachineSettings, Settings

_HOT = 90
_LITTLE = 0.05
"""The share of the memory below which a model that loads may freeze the machine."""

_CURES = {
    "lost": "Reboot it. If that does not help, look for Xid in `sudo dmesg`.",
    "not loaded": "`sudo modprobe nvidia`, or install the driver anew; then reboot.",
    "hang": "Look for Xid in `sudo dmesg`, and reboot it: a driver that hangs does not recover.",
    "does not fit": "Reboot it: the driver was updated, and the old one still runs.",
    "NVML": "Install the driver's libraries, libnvidia-compute, in the driver's version.",
    "power cable": "Switch it off, and plug the cable in.",
}


async def check_machines(settings: Settings) -> list[Finding]:
    """Here, and at each of `machines`, by the same means as the running gateway's."""
    here = Here(settings.machine.disks, time.monotonic, gpu=settings.machine.gpu)
    looks = await asyncio.gather(here.look(), *(_look(machine) for machine in settings.machines.values()))
    findings = [*_local(looks[0])]
    for name, look in zip(settings.machines, looks[1:], strict=True):
        findings.append(_other(name, look))
    return findings


async def _look(machine: OtherMachineSettings) -> Look:
    return await Elsewhere(machine.command, 10.0, time.monotonic, time.time).look()


def _local(look: Look) -> Iterator[Finding]:
    yield _gpu(look)
    if look.memory:
        share = look.memory.available / max(1, look.memory.total)
        said = f"{size(look.memory.available)} of {size(look.memory.total)} are available."
        if share < _LITTLE:
            cure = "End what is not needed: `ps aux --sort=-rss | head` shows the largest."
            yield warn("memory", f"Only {said}", cure)
        else:
            yield ok("memory", said)


def _gpu(look: Look) -> Finding:
    problem = look.graphics.problem
    if problem == nvidia_smi.NOT_INSTALLED:
        return note("GPU", "None here: nvidia-smi is not installed. Engines elsewhere need none here.")
    if problem and ("is off in" in problem or "tells of none" in problem):
        return note("GPU", problem)
    if problem:
        cure = next((cure for words, cure in _CURES.items() if words in problem), "Run `nvidia-smi` and see.")
        return wrong("GPU", problem, cure)
    hot = [gpu for gpu in look.graphics.gpus if (gpu.temperature or 0) >= _HOT]
    if hot:
        said = f"{hot[0].name} has {hot[0].temperature:g} °C, and slows down."
        return warn("GPU", said, "See that air gets to it, and that its fans turn.")
    return ok("GPU", f"{joined(gpu.name for gpu in look.graphics.gpus)} answers.")


def _other(name: str, look: Look) -> Finding:
    if look.problem is None:
        return ok(f"machine {name}", "It answers, and tells how it is.")
    cure = f"Run the command of machines.{name} by hand; docs/machine.md has the recipe."
    return wrong(f"machine {name}", look.problem, cure)
