"""The machines under the engines, as the page shows them. What nobody told is never a zero. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spark_control.wording import byte_count, figure

Json = Mapping[str, Any]
Series = Sequence[float | None]

NOT_TOLD = "not told"
_DAY = 86400
_SHORT, _VERY_SHORT = 0.92, 0.97
"""Parts of the memory in use from which there is little of it, and hardly any."""

_PRESSED = 10.0
_HOT = 88.0


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure, how it went, and the same in words."""

    title: str
    figure: str
    more: str
    values: Series
    label: str
    top: float | None
    tone: str

    @property
    def drawn(self) -> bool:
        """Whether there is a line to see, which takes two of its values."""
        return sum(each is not None for each in self.values) > 1


@dataclass(frozen=True, slots=True)
class Meter:
    """How much of something is used."""

    title: str
    part: float
    whole: float
    figure: str
    more: str
    label: str
    tone: str


@dataclass(frozen=True, slots=True)
class Process:
    """A process that computes on the GPU."""

    pid: int
    name: str
    memory: str


@dataclass(frozen=True, slots=True)
class Xid:
    """A fault of the GPU, as its driver reported it."""

    at: str
    number: int
    meaning: str
    text: str


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine."""

    name: str
    about: str
    tone: str
    word: str
    problem: str | None
    seen_at: str | None
    """When it was last asked, if it did not answer."""
    memory: Meter | None
    memory_chart: Chart | None
    charts: tuple[Chart, ...]
    disks: tuple[Meter, ...]
    gpu_problem: str | None
    processes: tuple[Process, ...]
    xids: tuple[Xid, ...]


def machine_view(machines: Sequence[Json], now: float) -> tuple[Machine, ...]:
    """What `GET /api/machine` lists, as it is at `now`."""
    return tuple(_machine(each, now) for each in machines)


def _machine(told: Json, now: float) -> Machine:
    tone, word = _standing(told, now)
    memory, history = told["memory"], told["history"]
    return Machine(
        name=told["name"],
        about=_about(told),
        tone=tone,
        word=word,
        problem=told["problem"],
        seen_at=_second(told["at"]) if told["problem"] else None,
        memory=_memory(memory, shared=_shared(told["gpus"])) if memory else None,
        memory_chart=_memory_chart(memory, history["memory_used"]) if memory else None,
        charts=tuple(_charts(told)),
        disks=tuple(_disk(each) for each in told["disks"]),
        gpu_problem=told["gpu_problem"],
        processes=tuple(_process(each) for each in _largest_first(told["processes"])),
        xids=tuple(
            Xid(_second(each["at"]), each["number"], each["meaning"], each["text"]) for each in told["xids"]
        ),
    )


def _standing(told: Json, now: float) -> tuple[str, str]:
    """The worst that can be said of it."""
    if told["problem"]:
        return "bad", "not seen"
    if any(now - datetime.fromisoformat(each["at"]).timestamp() < _DAY for each in told["xids"]):
        return "bad", "GPU fault"
    if any((each["temperature"] or 0) >= _HOT for each in told["gpus"]):
        return "busy", "hot"
    memory = told["memory"]
    if memory and (_used(memory) >= _SHORT or (memory["pressure"] or 0) >= _PRESSED):
        return "busy", "short of memory"
    if memory is None and told["load"] is None:
        return "idle", "nothing known"
    return "ok", "well"


def _about(told: Json) -> str:
    """What it is, as far as it told."""
    gpus = [each["name"] for each in told["gpus"]]
    names = [f"{gpus.count(name)} × {name}" if gpus.count(name) > 1 else name for name in dict.fromkeys(gpus)]
    cpus = f"{told['cpus']} CPUs" if told["cpus"] else ""
    memory = f"{byte_count(told['memory']['total'])} of memory" if told["memory"] else ""
    where = "This gateway's machine" if told["local"] else "Another machine"
    return ", ".join(filter(None, (where, *names, cpus, memory)))


def _used(memory: Json) -> float:
    """The part in use. The page cache is not: the kernel gives it back."""
    return (memory["total"] - memory["available"]) / memory["total"] if memory["total"] else 0.0


def _shared(gpus: Sequence[Json]) -> bool:
    """Whether a GPU has no memory of its own, and so uses the machine's."""
    return any(each["memory_total"] is None for each in gpus)


def _memory(memory: Json, *, shared: bool) -> Meter:
    total, available = memory["total"], memory["available"]
    used, part = total - available, _used(memory)
    swapped = memory["swap_total"] - memory["swap_free"]
    more = [f"{byte_count(available)} available", _pressure(memory["pressure"])]
    if memory["swap_total"]:
        more.append(f"{byte_count(swapped)} of {byte_count(memory['swap_total'])} swapped out")
    return Meter(
        "Unified memory" if shared else "Memory",
        used,
        total,
        byte_count(used),
        "; ".join(more),
        f"Memory: {byte_count(used)} of {byte_count(total)} in use, {part:.0%}",
        "bad" if part >= _VERY_SHORT else "busy" if part >= _SHORT else "accent",
    )


def _pressure(percent: float | None) -> str:
    if percent is None:
        return f"pressure {NOT_TOLD}"
    return (
        f"work waits for memory {figure(percent)} % of the time"
        if percent >= 0.05
        else "nothing waits for memory"
    )


def _memory_chart(memory: Json, values: Series) -> Chart:
    label = _label("Memory in use", values, byte_count)
    return Chart(
        "Memory in use",
        byte_count(memory["total"] - memory["available"]),
        "",
        values,
        label,
        memory["total"],
        "accent",
    )


def _charts(told: Json) -> Iterator[Chart]:
    history, gpus = told["history"], told["gpus"]
    if gpus:
        yield _of_gpus("GPU utilisation", gpus, "utilisation", history["gpu"], "%", 100.0)
        yield _of_gpus("GPU temperature", gpus, "temperature", history["temperature"], "°C", 100.0)
        yield _of_gpus("GPU power", gpus, "power", history["power"], "W", None)
    if load := told["load"]:
        cpus, values = told["cpus"], history["load"]
        yield Chart(
            "Load",
            figure(load[0]),
            f"of {cpus} CPUs" if cpus else "",
            values,
            _label("Load", values, figure),
            _reach(values, cpus),
            "accent",
        )


def _of_gpus(
    title: str, gpus: Sequence[Json], name: str, values: Series, unit: str, top: float | None
) -> Chart:
    def with_unit(value: float) -> str:
        return f"{figure(value)} {unit}"

    now = [each[name] for each in gpus]
    figures = [NOT_TOLD if each is None else with_unit(each) for each in now]
    peak = max((each for each in values if each is not None), default=None)
    more = "" if peak is None else f"highest {with_unit(peak)}"
    hot = name == "temperature" and any((each or 0) >= _HOT for each in now)
    shown = NOT_TOLD if set(figures) == {NOT_TOLD} else ", ".join(figures)
    return Chart(
        title, shown, more, values, _label(title, values, with_unit), top, "busy" if hot else "accent"
    )


def _reach(values: Series, least: float | None) -> float | None:
    """The top of a chart that shows at least up to `least`."""
    highest = max((each for each in values if each is not None), default=0.0)
    return max(highest, least or 0.0) or None


def _label(title: str, values: Series, told: Callable[[float], str]) -> str:
    known = [each for each in values if each is not None]
    if not known:
        return f"{title} over 24 hours: nothing is known yet"
    return f"{title} over 24 hours: last {told(known[-1])}, lowest {told(min(known))}, highest {told(max(known))}"


def _disk(disk: Json) -> Meter:
    used, total = disk["total"] - disk["free"], disk["total"]
    part = used / total if total else 0.0
    return Meter(
        f"Disk {disk['path']}",
        used,
        total,
        f"{byte_count(disk['free'])} free",
        f"of {byte_count(total)}",
        f"Disk {disk['path']}: {byte_count(used)} of {byte_count(total)} in use, {part:.0%}",
        "bad" if part >= _VERY_SHORT else "busy" if part >= _SHORT else "accent",
    )


def _largest_first(processes: Sequence[Json]) -> list[Json]:
    return sorted(processes, key=lambda each: -(each["bytes"] or 0))


def _process(process: Json) -> Process:
    return Process(process["pid"], process["name"], byte_count(process["bytes"]))


def _second(iso: str) -> str:
    return datetime.fromisoformat(iso).isoformat(timespec="seconds").replace("+00:00", "Z")
