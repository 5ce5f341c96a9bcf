"""Temporary."""

from __future__ import annotations

from spark_control.settings import RestartSettings
from spark_control.supervision.restarters.base import Restarter, RestartFailed

__all__ = ["RestartFailed", "Restarter", "build_restarter"]


def build_restarter(settings: RestartSettings) -> Restarter:
    raise NotImplementedError
