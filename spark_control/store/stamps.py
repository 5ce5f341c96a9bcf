"""The clocks of this machine."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

from spark_control.store.records import Stamp

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def now() -> Stamp:
    """The present moment, by a clock that runs on in sleep and nobody can set, and by the one on the wall."""
    return Stamp(_boot(), _since_boot(), time.time())


def _since_boot() -> float:
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return (
        time.monotonic()
    )  # elsewhere than on Linux: it may stand still in sleep, which only makes restarts younger


@cache
def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip() or "unknown"
    except OSError:
        # One name for every boot. What was spent before a reboot then looks younger than it is, or seems to lie in
        # the future and counts as now. With another name for each process, a restart of the gateway would look like
        # a reboot, and the machine's uptime like the age of what was spent a moment ago.
        return "unknown"
