"""What is remembered, as plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stamp:
    """A moment. `since_boot` is CLOCK_BOOTTIME and `wall` Unix time, both in seconds; `boot` names the boot."""

    boot: str
    since_boot: float
    wall: float


@dataclass(frozen=True, slots=True)
class Restart:
    """One attempt to restart a service. Its outcome is None while it is under way."""

    id: int
    service: str
    at: Stamp
    reason: str
    who: str
    outcome: str | None
    seconds_to_healthy: float | None


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened in an incident at `at` (Unix time)."""

    at: float
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """One illness of a service, from the first sign to the recovery. Counts are of requests."""

    id: str
    service: str
    opened: float
    closed: float | None
    verdict: str
    evidence: str
    held: int
    replayed: int
    degraded: int
    failed: int
    restarts: int
    timeline: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of one minute: their sum, and how many they were. `minute` counts from the start of Unix time."""

    series: str
    minute: int
    total: float
    times: int
