"""Whether the service that was started answers, and why not."""

from __future__ import annotations

import subprocess
import time

import httpx

from spark_control.service.names import SERVICE, SOCKET

_WITHIN = 30.0
_LINES = 12


def answers(base: str) -> bool:
    """Whether it does before long."""
    deadline = time.monotonic() + _WITHIN
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{base}/healthz", timeout=_WITHIN, trust_env=False).status_code == httpx.codes.OK:
                return True
        except httpx.TransportError:
            time.sleep(0.2)
    return False


def last_words() -> list[str]:
    """What the journal has of its last start."""
    asked = ["journalctl", "--no-pager", "--quiet", "--output=cat", f"--lines={_LINES}"]
    for unit in (SERVICE, SOCKET):
        asked += ["--unit", unit]
    ran = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 (nothing in it is a stranger's)
    return ran.stdout.splitlines()
