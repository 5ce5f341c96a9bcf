"""The little program by which another machine tells how it is, and the reading of what it prints. Pure.

It goes to that machine with every look, on the input of a shell there; where a
key may do one thing alone, that thing is the same program, as the file
`deploy/machine/spark-machine.sh`. What cannot answer comes last: were it cut
off there, the rest has been told.
"""

from __future__ import annotations

import re

from spark_control.machine import nvidia_smi, proc, xid
from spark_control.machine.seen import Gpus, Look, Xid

SCRIPT = r"""#!/bin/sh
# Tells a gateway on another machine how this one is. It only reads, takes no input, and needs no root.
# `docs/machine.md` has the line for ~/.ssh/authorized_keys that lets a key do this and nothing else.
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH
export LC_ALL PATH

# A program that hangs in a driver must not keep the rest waiting.
within() {
    if command -v timeout >/dev/null 2>&1; then timeout -k 1 5 "$@"; else "$@"; fi
}

echo '=== meminfo'
cat /proc/meminfo
echo '=== pressure'
cat /proc/pressure/memory 2>/dev/null
echo '=== loadavg'
cat /proc/loadavg
echo '=== stat'
grep '^cpu' /proc/stat
echo '=== uptime'
cat /proc/uptime
echo '=== df'
within df -kP / 2>/dev/null
echo '=== xids'
{ within dmesg || within journalctl -k -b -n 1000 -o short-monotonic --no-pager; } 2>/dev/null |
    grep 'NVRM: Xid' | tail -n 20
if ! command -v nvidia-smi >/dev/null 2>&1; then
    echo '=== gpu-status'
    echo 127
else
    echo '=== gpus'
    within nvidia-smi --query-gpu=name,utilization.gpu,temperature.gpu,power.draw,memory.used,memory.total \
        --format=csv,noheader,nounits 2>&1
    status=$?
    echo '=== gpu-status'
    echo "$status"
    if [ "$status" -eq 0 ]; then
        echo '=== processes'
        within nvidia-smi --query-compute-apps=pid,process_name,used_memory --format=csv,noheader,nounits 2>&1
    fi
fi
echo '=== end'
"""

_XIDS = 20
"""The program tells of no more; whoever answers instead of it may."""

_HEADING = re.compile(r"^=== ([a-z-]+)\n", re.MULTILINE)
_UPTIME = re.compile(r"\d{1,9}\.\d{1,6}", re.ASCII)
_STATUS = re.compile(r"\d{1,3}", re.ASCII)


def sections(printed: str) -> dict[str, str]:
    """By their headings; what comes before the first, such as a login's greeting, is nothing."""
    _, *found = _HEADING.split(printed)
    return dict(zip(found[::2], found[1::2], strict=True))


def read(told: dict[str, str], now: float) -> Look:
    """A look, out of the sections that were printed at `now`."""
    memory = proc.memory(told.get("meminfo", ""), told.get("pressure", ""))
    return Look(
        problem=None if memory else "It does not tell of its memory.",
        memory=memory,
        load=proc.load(told.get("loadavg", "")),
        cpus=proc.cpus(told.get("stat", "")),
        disks=proc.disks(told.get("df", "")),
        graphics=_graphics(told),
        xids=_xids(told, now),
    )


def _graphics(told: dict[str, str]) -> Gpus:
    status = _STATUS.match(told.get("gpu-status", ""))
    if status is None:
        return Gpus(problem=nvidia_smi.HANGS if "gpus" in told else None)
    return nvidia_smi.read(int(status[0]), told.get("gpus", ""), told.get("processes", ""))


def _xids(told: dict[str, str], now: float) -> tuple[Xid, ...]:
    uptime = _UPTIME.match(told.get("uptime", ""))
    if uptime is None:
        return ()
    lines = told.get("xids", "").splitlines()[-_XIDS:]
    return tuple(filter(None, (xid.from_dmesg(line, now - float(uptime[0])) for line in lines)))
