"""When an engine's next canary is due."""

from __future__ import annotations

from dataclasses import dataclass

from spark_control.supervision.care import Care
from spark_control.supervision.recovery import State

_GIVEN_UP_EVERY = 30.0
"""Seconds: a person may have mended it, and requests are turned away until somebody looks."""


@dataclass(slots=True)
class Schedule:
    """One engine's canaries: every `interval` seconds, or only `after_use`, and not while traffic proves health."""

    care: Care
    interval: float

    @property
    def after_use(self) -> bool:
        return self.care.lane.upstream.probe_when == "after_use"

    def is_due(self, now: float) -> bool:
        care, lane = self.care, self.care.lane
        if care.health.state is State.GIVEN_UP:
            return now - care.probed_at >= min(self.interval, _GIVEN_UP_EVERY)
        if self.after_use and lane.last_use <= care.probed_at:
            return False
        proven = max(
            care.probed_at, lane.last_success if care.health.state is State.HEALTHY else care.probed_at
        )
        return now - proven >= self.interval
