"""Pure: what the gateway tells of the machines, as lines for a terminal. They fit 80 columns.

What nobody told is "not told", and never 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from spark_control.screens import COLUMNS, ago, cut, moment, wrapped
from spark_control.wording import byte_count, plain

Json = dict[str, Any]

_METER = 20
_MOST_PROCESSES, _MOST_XIDS = 8, 5
_FULL, _NEARLY_FULL = 0.95, 0.85
_NOT_TOLD = "not told"


def machines_screen(machines: Sequence[Json], now: float, columns: int = COLUMNS) -> Iterator[str]:
    """Each machine: memory, load, disks, GPUs, who has their memory, and what the kernel said of them."""
    if not machines:
        yield "The gateway watches no machine."
    for number, machine in enumerate(machines):
        if number:
            yield ""
        yield from _machine(machine, now, columns)


def _machine(machine: Json, now: float, columns: int) -> Iterator[str]:
    seen = f", seen {ago(now - moment(machine['at']))}" if machine["at"] else ""
    here = "this machine" if machine["local"] else "another machine"
    yield click.style(plain(machine["name"])[: columns - 40], bold=True) + click.style(
        f"  {here}{seen}", dim=True
    )
    if machine["problem"]:
        yield from (click.style(line, fg="red") for line in wrapped(machine["problem"], 2, columns, 0))
    if memory := machine["memory"]:
        yield from _memory(memory, columns)
    if load := machine["load"]:
        cpus = f" on {machine['cpus']} CPUs" if machine["cpus"] else ""
        yield _fact("load", f"{', '.join(f'{each:.2f}' for each in load)}{cpus}")
    for disk in machine["disks"]:
        yield _meter("disk", disk["total"] - disk["free"], disk["total"], columns, plain(disk["path"]))
    for gpu in machine["gpus"]:
        yield from wrapped(f"{'GPU':<11}{_gpu(gpu)}", 2, columns, 11)
        if gpu["memory_total"] and gpu["memory_used"] is not None:
            yield _meter("GPU memory", gpu["memory_used"], gpu["memory_total"], columns)
    if machine["gpu_problem"]:
        yield from wrapped(f"{'GPU':<11}{machine['gpu_problem']}", 2, columns, 11)
    yield from _processes(machine["processes"], columns)
    yield from _xids(machine["xids"], now, columns)


def _memory(memory: Json, columns: int) -> Iterator[str]:
    used = memory["total"] - memory["available"]
    pressure = memory["pressure"]
    told = _NOT_TOLD if pressure is None else f"{pressure:.1f} %"
    yield _meter("memory", used, memory["total"], columns, f"pressure {told}")
    if memory["swap_total"]:
        yield _meter("swap", memory["swap_total"] - memory["swap_free"], memory["swap_total"], columns)


def _meter(what: str, used: float, total: float, columns: int, more: str = "") -> str:
    part = min(1.0, max(0.0, used / total)) if total else 0.0
    full = round(part * _METER)
    bar = click.style(
        "█" * full, fg="red" if part >= _FULL else "yellow" if part >= _NEARLY_FULL else "green"
    )
    amount = f"{byte_count(used)} of {byte_count(total)}"
    return cut(
        f"  {what:<11}{bar}{'░' * (_METER - full)} {part:4.0%}  {amount:<20}  {more}".rstrip(), columns
    )


def _fact(what: str, told: str) -> str:
    return f"  {what:<11}{told}"


def _gpu(gpu: Json) -> str:
    told = [
        ("busy", gpu["utilisation"], " %"),
        ("at", gpu["temperature"], " °C"),
        ("draws", gpu["power"], " W"),
    ]
    facts = [f"{what} {_NOT_TOLD if value is None else f'{value:.0f}{unit}'}" for what, value, unit in told]
    return f"{gpu['name']}: {', '.join(facts)}"


def _processes(processes: Sequence[Json], columns: int) -> Iterator[str]:
    if not processes:
        return
    yield ""
    yield click.style(f"  {'PID':>10}  {'GPU MEMORY':>10}  PROCESS", bold=True, dim=True)
    most_first = sorted(processes, key=lambda each: -(each["bytes"] or 0))
    for each in most_first[:_MOST_PROCESSES]:
        size = byte_count(each["bytes"])
        yield f"  {each['pid']:>10}  {size:>10}  {plain(each['name'])}"[:columns]
    if (left := len(processes) - _MOST_PROCESSES) > 0:
        yield f"  {'':>10}  {'':>10}  and {left} more"


def _xids(xids: Sequence[Json], now: float, columns: int) -> Iterator[str]:
    if not xids:
        return
    yield ""
    for each in sorted(xids, key=lambda each: moment(each["at"]), reverse=True)[:_MOST_XIDS]:
        told = f"Xid {each['number']}, {ago(now - moment(each['at']))}: {each['meaning'] or each['text']}"
        yield from (click.style(line, fg="red") for line in wrapped(told, 2, columns))
