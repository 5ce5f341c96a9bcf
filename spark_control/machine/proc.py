"""Reads what Linux tells of a machine under `/proc`, and `df`. What it does not tell is None. Pure.

Memory is `MemAvailable`, which counts the page cache as free, since the kernel
takes it back: on a machine whose GPU shares that memory it is the one figure
that means the same to both.
"""

from __future__ import annotations

import re

from spark_control.machine.seen import Disk, Memory, harmless

_SIZE = re.compile(r"^(\w+):\s+(\d{1,15}) kB$", re.MULTILINE | re.ASCII)
_PRESSURE = re.compile(r"^some avg10=(\d{1,3}\.\d{1,4}) ", re.MULTILINE | re.ASCII)
_LOAD = re.compile(r"(\d{1,7}\.\d{1,4}) (\d{1,7}\.\d{1,4}) (\d{1,7}\.\d{1,4}) ", re.ASCII)
_CPU = re.compile(r"^cpu\d+ ", re.MULTILINE | re.ASCII)
_DISK = re.compile(r"\s(\d{1,15})\s+\d+\s+(\d{1,15})\s+\d+%\s+(/.*)$", re.MULTILINE | re.ASCII)
_KIB = 1024
_DISKS = 16


def memory(meminfo: str, pressure: str) -> Memory | None:
    """From `/proc/meminfo` and `/proc/pressure/memory`, which not every kernel has."""
    sizes = {name: int(kib) * _KIB for name, kib in _SIZE.findall(meminfo)}
    total, available = sizes.get("MemTotal"), sizes.get("MemAvailable")
    if not total or available is None:
        return None
    waited = _PRESSURE.search(pressure)
    return Memory(
        total=total,
        available=min(available, total),
        pressure=float(waited[1]) if waited else None,
        swap_total=sizes.get("SwapTotal", 0),
        swap_free=sizes.get("SwapFree", 0),
    )


def load(loadavg: str) -> tuple[float, ...] | None:
    """Of the last 1, 5 and 15 minutes, from `/proc/loadavg`."""
    found = _LOAD.match(loadavg)
    return tuple(map(float, found.groups())) if found else None


def cpus(stat: str) -> int | None:
    """From `/proc/stat`."""
    return len(_CPU.findall(stat)) or None


def disks(df: str) -> tuple[Disk, ...]:
    """From `df -kP`. Of what it tells of one path, the last."""
    found = {
        harmless(path): (int(total) * _KIB, int(free) * _KIB)
        for total, free, path in _DISK.findall(df)[:_DISKS]
    }
    return tuple(Disk(path, total, free) for path, (total, free) in found.items())
