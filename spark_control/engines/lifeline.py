"""How an engine's process ends with the one that started it, kill -9 included."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


def end_when_closed(lifeline: int) -> None:
    """End this process once the other end of the pipe `lifeline` is closed, on any system."""
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def die_with_parent() -> None:
    """Have the kernel end this process the moment the thread that started it has ended; on Linux only.

    A pipe's end would do, were there not C libraries that hold the interpreter for seconds: the thread that
    watches the pipe has to wait for them.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died just before the kernel was asked
        os._exit(1)


def _end_with(lifeline: int) -> None:
    while os.read(lifeline, 1):
        pass
    os._exit(1)
