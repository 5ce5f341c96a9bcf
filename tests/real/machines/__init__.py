"""Real machines to restart engines on: systemd, Docker and sshd, each started here and taken along at the end.

An engine on one of them is a `Place`. None of it outlives the tests, not even when these are killed.
"""

from __future__ import annotations

import os
from typing import Protocol

import pytest


class Place(Protocol):
    """An engine that something real starts and restarts."""

    url: str
    restart: dict[str, object]
    """How the gateway is told to restart it."""

    def began(self) -> str:
        """When its process began, or which it is, in the words of what started it."""

    def starts(self) -> int:
        """How often it has been started."""


def need_root() -> None:
    """Namespaces and cgroups are for root. Others skip the test, and fail where it must not be skipped."""
    if os.geteuid() != 0:
        sentence = "this starts a machine of its own, which only root may do"
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
