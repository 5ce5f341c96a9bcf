"""The machines that engines run on: looked at every few seconds, shown as JSON, and their figures kept for a day."""

from __future__ import annotations

import asyncio
import shutil
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import structlog

from spark_control.history import HOURS, History
from spark_control.machine.kernel_log import follow
from spark_control.machine.looking import Elsewhere, Here, Looker
from spark_control.machine.seen import Gpu, Look, Xid
from spark_control.machine.xid import meaning
from spark_control.settings import MachineSettings, OtherMachineSettings
from spark_control.supervision.chronicle import iso

log = structlog.get_logger()

_QUARTERS = HOURS * 4
_XIDS = 20
_CHARTS = ("memory_used", "gpu", "temperature", "power", "load")
_KMSG = Path("/dev/kmsg")

Fault = Callable[[str, int, str], None]
"""Is told of an Xid: the machine, its number, and what it means."""


class Machines:
    """All of them. `fault` is told of each Xid that is new."""

    def __init__(
        self,
        settings: MachineSettings,
        others: Mapping[str, OtherMachineSettings],
        history: History,
        fault: Fault,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._wall = wall
        self._began = wall()
        here = Here(settings.disks, clock, gpu=settings.gpu)
        host = socket.gethostname()
        name = "this machine" if host in others else host
        self._here = Machine(name, "here", here.look, history, wall, fault)
        self._others = {
            name: Machine(
                name,
                f"machine/{name}",
                Elsewhere(each.command, settings.every, clock, wall).look,
                history,
                wall,
                fault,
            )
            for name, each in others.items()
        }

    def snapshot(self) -> list[dict[str, object]]:
        """How they are, as JSON; the gateway's own machine first."""
        return [
            {"name": each.name, "local": each is self._here, **each.shown()}
            for each in (self._here, *self._others.values())
        ]

    def of(self, engine: str) -> str:
        """The machine that an engine's setting `machine` means: the gateway's own, unless it names another."""
        return engine if engine in self._others else self._here.name

    async def look_forever(self) -> None:
        """Now and then, until cancelled."""
        looking = [self._keep_looking(each) for each in (self._here, *self._others.values())]
        await asyncio.gather(*looking, self._follow_kernel_log())

    async def _keep_looking(self, machine: Machine) -> None:
        while True:
            began = self._clock()
            try:
                await machine.look()
            except Exception:  # one odd look must not be the last
                log.exception("machine not looked at", machine=machine.name)
            await asyncio.sleep(max(1.0, began + self._settings.every - self._clock()))

    async def _follow_kernel_log(self) -> None:
        # Without NVIDIA's tools there is no driver that could write an Xid.
        if not self._settings.gpu or shutil.which("nvidia-smi") is None:
            return
        try:
            await follow(_KMSG, self._logged, self._clock, self._wall)
        except Exception:  # the gateway does without
            log.exception("kernel log lost")

    def _logged(self, xid: Xid) -> None:
        self._here.note(xid, new=xid.at >= self._began)


class Machine:
    """One machine, as it was last seen. `series` begins the names of its figures."""

    def __init__(
        self,
        name: str,
        series: str,
        looker: Looker,
        history: History,
        wall: Callable[[], float],
        fault: Fault,
    ) -> None:
        self.name = name
        self._series = series
        self._looker = looker
        self._history = history
        self._wall = wall
        self._fault = fault
        self._looked = False
        self._last = Look(problem="It has not been looked at yet.")
        self._at = wall()
        self._xids: deque[Xid] = deque(maxlen=_XIDS)
        self._charts = self._drawn()

    async def look(self) -> None:
        seen = await self._looker()
        self._last, self._at = seen, self._wall()
        if seen.problem is None:
            for xid in seen.xids:
                self.note(xid, new=self._looked)
            self._looked = True
            self._remember(seen)
        self._charts = self._drawn()

    def note(self, xid: Xid, *, new: bool) -> None:
        """An Xid stands in the kernel's log; whether it was written since the gateway began to look."""
        if xid in self._xids:
            return
        self._xids.append(xid)
        if new:
            means = f"Xid {xid.number}: {meaning(xid.number)}"
            log.warning("xid", machine=self.name, number=xid.number, meaning=meaning(xid.number))
            self._fault(self.name, xid.number, means)

    def shown(self) -> dict[str, object]:
        seen = self._last
        return {
            "at": iso(self._at),
            "problem": seen.problem,
            "memory": asdict(seen.memory) if seen.memory else None,
            "load": list(seen.load) if seen.load else None,
            "cpus": seen.cpus,
            "disks": [asdict(disk) for disk in seen.disks],
            "gpus": [asdict(gpu) for gpu in seen.graphics.gpus],
            "gpu_problem": seen.graphics.problem,
            "processes": [asdict(process) for process in seen.graphics.processes],
            "xids": [_xid_shown(xid) for xid in reversed(self._xids)],
            "history": {"hours": HOURS, **self._charts},
        }

    def _remember(self, seen: Look) -> None:
        figures = {
            "memory_used": seen.memory.total - seen.memory.available if seen.memory else None,
            "load": seen.load[0] if seen.load else None,
            **_busiest(seen.graphics.gpus),
        }
        for name, value in figures.items():
            if value is not None:
                self._history.add(f"{self._series}/{name}", value)

    def _drawn(self) -> dict[str, list[float | None]]:
        return {
            name: [
                None if value is None else round(value, 2)
                for value in self._history.since(f"{self._series}/{name}", HOURS * 3600, _QUARTERS)
            ]
            for name in _CHARTS
        }


def _busiest(gpus: tuple[Gpu, ...]) -> dict[str, float | None]:
    """One figure of each kind, of however many GPUs: those of the busiest and the hottest, and all of the power."""
    power = [gpu.power for gpu in gpus if gpu.power is not None]
    return {
        "gpu": max((gpu.utilisation for gpu in gpus if gpu.utilisation is not None), default=None),
        "temperature": max((gpu.temperature for gpu in gpus if gpu.temperature is not None), default=None),
        "power": sum(power) if power else None,
    }


def _xid_shown(xid: Xid) -> dict[str, object]:
    return {"at": iso(xid.at), "number": xid.number, "meaning": meaning(xid.number), "text": xid.text}
