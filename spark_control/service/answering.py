"""Whether the service that was started answers, and why not."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress

import httpx

from spark_control.service.names import SERVICE, SOCKET

_WITHIN = 30.0
_PAUSE = 0.2
_LINES = 12


def no_good_answer(base: str, within: float = _WITHIN) -> str | None:
    """None as soon as it says that it is well, or why not, if that takes too long."""
    why = f"nobody answers at {base}"
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            status = httpx.get(f"{base}/healthz", timeout=within, trust_env=False).status_code
            if status == httpx.codes.OK:
                return None
            why = f"{base}/healthz answers {status}"
        time.sleep(_PAUSE)
    return why


def last_words() -> list[str]:
    """What the journal has of its last start."""
    asked = ["journalctl", "--no-pager", "--quiet", "--output=cat", f"--lines={_LINES}"]
    for unit in (SERVICE, SOCKET):
        asked += ["--unit", unit]
    ran = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 (nothing in it is a stranger's)
    return ran.stdout.splitlines()
