"""Puts the watcher together: what the settings say of each engine's care, made into its parts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

import httpx

from spark_control.deep_health import DeepHealth
from spark_control.settings import Settings, Task
from spark_control.store import Store
from spark_control.supervision import stamps
from spark_control.supervision.alerts import Alerts
from spark_control.supervision.care import Care, House
from spark_control.supervision.chronicle import Announcements, Chronicle
from spark_control.supervision.lane import Lane
from spark_control.supervision.probes import (
    Canary,
    closed_loop,
    readiness,
    speech_canary,
    transcription_canary,
)
from spark_control.supervision.replay import Replay
from spark_control.supervision.restarters import Restarter, build_restarter
from spark_control.supervision.schedule import Schedule
from spark_control.upstreams import build_upstream
from spark_control.upstreams.base import Dialect, SpeechDialect, TranscriptionDialect
from spark_control.upstreams.client import Upstream

DialectT = TypeVar("DialectT", bound=Dialect)


def as_one(upstreams: Sequence[Upstream[DialectT]]) -> Replay[DialectT] | None:
    """The engines of one kind as one that does not fail; None if there are none."""
    return (
        Replay([Lane(upstream, time.monotonic) for upstream in upstreams], time.monotonic)
        if upstreams
        else None
    )


def watch(
    settings: Settings,
    replays: Sequence[Replay[Any]],
    canaries: httpx.AsyncClient,
    store: Store,
    restarters: Mapping[str, Restarter],
) -> DeepHealth:
    """The watcher over every engine of `replays`.

    `canaries` is a client of its own, so that a canary never waits behind
    requests for a connection. `restarters` are those of the embedded engines.
    """
    announcements = Announcements()
    house = House(store, stamps.now, time.monotonic)
    builder = _Builder(settings, canaries, house, announcements, restarters)
    schedules = [builder.schedule(lane, replay) for replay in replays for lane in replay.lanes]
    cares = [schedule.care for schedule in schedules]
    return DeepHealth(cares, house, announcements, schedules, closed_loop=builder.loop(replays))


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
        probed = self._probed(lane.name)
        return Care(
            self._house,
            lane,
            Chronicle(lane.name, self._announcements, time.time),
            self._settings.care_of(lane.name),
            kind=settings.kind,
            machine=settings.machine or "",
            canary=_canary(settings.task, probed),
            ready=readiness(probed),
            restarter=self._restarters.get(lane.name)
            or (build_restarter(settings.restart) if settings.restart else None),
            page=Alerts(self._settings.care_of(lane.name).alerts).send,
            on_change=replay.changed,
        )

    def _probed(self, name: str) -> Upstream[Dialect]:
        return build_upstream(name, self._settings.upstreams[name], self._canaries)

    def loop(self, replays: Sequence[Replay[Any]]) -> Canary | None:
        """The first engine that speaks heard by the first that hears, if there are both."""
        first = {self._task(replay.first.name): replay.first.name for replay in replays}
        if not {"speech", "transcription"} <= first.keys():
            return None
        speaker, listener = self._probed(first["speech"]), self._probed(first["transcription"])
        return closed_loop(
            cast("Upstream[SpeechDialect]", speaker), cast("Upstream[TranscriptionDialect]", listener)
        )

    def _task(self, name: str) -> Task:
        return self._settings.upstreams[name].task


def _canary(task: Task, upstream: Upstream[Dialect]) -> Canary:
    if task == "speech":
        return speech_canary(cast("Upstream[SpeechDialect]", upstream))
    return transcription_canary(cast("Upstream[TranscriptionDialect]", upstream))
