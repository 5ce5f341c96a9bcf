"""Real machines to restart engines on: systemd, Docker and sshd, each started here and taken along at the end.

An engine on one of them is a `Place`. None of it outlives the tests, not even when these are killed.
"""

from __future__ import annotations

from typing import Protocol


class Place(Protocol):
    """An engine that something real starts and restarts."""

    url: str
    restart: dict[str, object]
    """How the gateway is told to restart it."""

    def began(self) -> str:
        """When its process began, or which it is, in the words of what started it."""

    def starts(self) -> int:
        """How often it has been started."""
