"""Puts the watcher together: what the settings say of each engine's care, made into its parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import httpx

from spark_control.deep_health import DeepHealth
from spark_control.history import History
from spark_control.measuring import Measuring
from spark_control.settings import Settings, Task, TrafficSettings
from spark_control.store import Store, stamps
from spark_control.supervision.alerts import Alerts
from spark_control.supervision.care import Care, House
from spark_control.supervision.chronicle import Announcements, Chronicle
from spark_control.supervision.lane import Lane
from spark_control.supervision.probes import (
    Canary,
    chat_canary,
    closed_loop,
    readiness,
    speech_canary,
    transcription_canary,
)
from spark_control.supervision.replay import Replay
from spark_control.supervision.restarters import Restarter, build_restarter
from spark_control.supervision.schedule import Schedule
from spark_control.upstreams.base import Dialect
from spark_control.upstreams.client import Upstream

DialectT = TypeVar("DialectT", bound=Dialect)


CANARIES: Mapping[Task, Callable[[Upstream[Any]], Canary]] = {
    "speech": speech_canary,
    "transcription": transcription_canary,
    "chat": chat_canary,
}


def as_one(upstreams: Sequence[Upstream[DialectT]], traffic: TrafficSettings) -> Replay[DialectT] | None:
    """The engines that do the same as one that does not fail; None if there are none."""
    lanes = [Lane(upstream, time.monotonic, most_waiting=traffic.queue) for upstream in upstreams]
    return Replay(lanes, time.monotonic) if lanes else None


def watch(
    settings: Settings,
    replays: Sequence[Replay[Any]],
    canaries: httpx.AsyncClient,
    store: Store,
    restarters: Mapping[str, Restarter],
    history: History,
    measuring: Measuring,
) -> DeepHealth:
    """The watcher over every engine of `replays`.

    `canaries` is a client of its own, so that a canary never waits behind
    requests for a connection. `restarters` are those of the embedded engines.
    """
    announcements = Announcements(measuring.announced)
    house = House(store, stamps.now, time.monotonic)
    builder = _Builder(settings, canaries, house, announcements, restarters)
    schedules = [builder.schedule(lane, replay) for replay in replays for lane in replay.lanes]
    cares = [schedule.care for schedule in schedules]
    measuring.knows(care.name for care in cares)
    first = {settings.upstreams[replay.first.name].task: replay.first.over(canaries) for replay in replays}
    if not {"speech", "transcription"} <= first.keys():
        return DeepHealth(cares, house, announcements, schedules, history=history, measuring=measuring)
    return DeepHealth(
        cares,
        house,
        announcements,
        schedules,
        history=history,
        measuring=measuring,
        closed_loop=closed_loop(first["speech"], first["transcription"]),
        looped=(first["speech"].name, first["transcription"].name),
    )


class _Builder:
    def __init__(
        self,
        settings: Settings,
        canaries: httpx.AsyncClient,
        house: House,
        announcements: Announcements,
        restarters: Mapping[str, Restarter],
    ) -> None:
        self._settings = settings
        self._canaries = canaries
        self._house = house
        self._announcements = announcements
        self._restarters = restarters

    def schedule(self, lane: Lane[Any], replay: Replay[Any]) -> Schedule:
        return Schedule(self._care(lane, replay), self._settings.care_of(lane.name).interval)

    def _care(self, lane: Lane[Any], replay: Replay[Any]) -> Care:
        settings = self._settings.upstreams[lane.name]
        probed = lane.upstream.over(self._canaries)
        return Care(
            self._house,
            lane,
            Chronicle(lane.name, self._announcements, time.time),
            self._settings.care_of(lane.name),
            kind=settings.kind,
            machine=settings.machine or "",
            canary=CANARIES[settings.task](probed),
            ready=readiness(probed),
            restarter=self._restarters.get(lane.name)
            or (build_restarter(settings.restart) if settings.restart else None),
            page=Alerts(self._settings.care_of(lane.name).alerts).send,
            on_change=replay.changed,
        )
