"""The clock: incidents, logins and logs are read by its time."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from spark_control.check.findings import Finding, ok, warn, wrong

_RELEASED = 1_767_225_600
"""2026-01-01: no gateway runs before it was written."""

_FAR = 4_102_444_800
"""2100-01-01."""

_TIME_ERROR = 5
_UNSYNCHRONISED = 0x40
_TIMEX_BYTES = 256
_STATUS_AT = 40
"""Of `struct timex`: after an int, its padding, and four longs."""

_SUBJECT = "clock"
_SYNCHRONISE = "sudo timedatectl set-ntp true"


def check_clock(now: float, synchronised: Callable[[], bool | None]) -> Finding:
    """`synchronised` tells whether the kernel knows its clock to be right; None if it does not say."""
    if not _RELEASED <= now < _FAR:
        from datetime import UTC, datetime, timedelta

        day = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=max(0.0, min(now, 2e11)))
        return wrong(_SUBJECT, f"It says {day:%d %B %Y}, which cannot be.", _SYNCHRONISE)
    told = synchronised()
    if told is None:
        return ok(_SUBJECT, "The time is plausible; whether it is kept right, this system does not tell.")
    if not told:
        said = "It is not synchronised with any server, so incidents and logs may have the wrong time."
        return warn(_SUBJECT, said, f"{_SYNCHRONISE}   (`timedatectl timesync-status` then shows by whom)")
    return ok(_SUBJECT, "It is synchronised.")


def kernel_says() -> bool | None:
    """What adjtimex() tells, which asks for no right and works in containers."""
    try:
        buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
        state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (OSError, AttributeError):
        return None
    if state < 0 or ctypes.sizeof(ctypes.c_long) != ctypes.sizeof(ctypes.c_int64):
        return None
    status = ctypes.c_int.from_buffer(buffer, _STATUS_AT).value
    return state != _TIME_ERROR and not status & _UNSYNCHRONISED
