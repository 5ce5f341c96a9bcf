"""What was seen of a machine, in bytes, percent, degrees Celsius and watts. None is what nobody told. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Memory:
    """`available` counts what the kernel can take back; `pressure` is the share of time that work waited for memory."""

    total: int
    available: int
    pressure: float | None
    swap_total: int
    swap_free: int


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system of a path."""

    path: str
    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. The GB10 has no memory of its own, and tells of none."""

    name: str
    utilisation: float | None
    temperature: float | None
    power: float | None
    memory_used: int | None
    memory_total: int | None


@dataclass(frozen=True, slots=True)
class Process:
    """A process that computes on the GPU, and how much memory it holds there."""

    pid: int
    name: str
    bytes: int | None


@dataclass(frozen=True, slots=True)
class Xid:
    """A fault of the GPU, as its driver reported it to the kernel's log. `mark` is the time written there."""

    number: int
    text: str
    mark: str
    at: float = field(compare=False)
    """Unix seconds; worked out from the mark, and not always to the same millisecond."""


@dataclass(frozen=True, slots=True)
class Gpus:
    """What nvidia-smi told, or why it told nothing."""

    gpus: tuple[Gpu, ...] = ()
    processes: tuple[Process, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a machine."""

    problem: str | None = None
    memory: Memory | None = None
    load: tuple[float, ...] | None = None
    cpus: int | None = None
    disks: tuple[Disk, ...] = ()
    graphics: Gpus = Gpus()
    xids: tuple[Xid, ...] = ()


def harmless(text: str, most: int = 200) -> str:
    """Text of a machine's without what could play with a terminal, and not too long."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:most]
