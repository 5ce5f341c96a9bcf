"""The watcher: asks the engines for real work, sees a wedge in live traffic, and has the engine cured that has one.

    a request fails, or a canary is due -> canary -> verdict -> restart -> proof -> canary -> healthy

What becomes of one engine is `supervision/care.py`; this is all of them, and the clock.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog

from spark_control.evidence import Evidence, How
from spark_control.history import HOURS, History
from spark_control.measuring import Measuring
from spark_control.store.records import Incident
from spark_control.supervision.care import Care, House
from spark_control.supervision.chronicle import Announcement, Announcements, iso
from spark_control.supervision.lane import Flight, Lane
from spark_control.supervision.outlooks import household, sentence
from spark_control.supervision.probes import Canary, Probed, probe
from spark_control.supervision.recovery import Failed, Health, Passed, State
from spark_control.supervision.schedule import Schedule
from spark_control.supervision.wedge import Verdict

log = structlog.get_logger()

_TICK = 0.25
_DOUBT_EVERY = 60.0
_LOOP_TIMEOUT = 30.0
_TIDY_EVERY = 60.0
_STUCK_AFTER = 60.0
"""Seconds: a tick may wait for a slow disk."""

_NO_ANSWER = Evidence(How.NO_ANSWER)
_QUARTERS = HOURS * 4
_NOT_UP = (Verdict.LOADING, Verdict.UNREACHABLE)


class DeepHealth:
    """Watches over every engine. Requests tell it what they met; people and programs ask it how things are."""

    def __init__(
        self,
        cares: Sequence[Care],
        house: House,
        announcements: Announcements,
        schedules: Sequence[Schedule],
        *,
        history: History,
        measuring: Measuring,
        closed_loop: Canary | None = None,
        looped: Collection[str] = (),
    ) -> None:
        """`closed_loop` is a canary that the engines `looped` do together."""
        self._cares = {care.name: care for care in cares}
        self._schedules = schedules
        self._house = house
        self._announcements = announcements
        self._history = history
        self._measuring = measuring
        self._closed_loop = closed_loop
        self._looped_engines = looped
        self._looped: tuple[float, Probed] | None = None
        self._next_loop = -math.inf
        self._next_tidying = house.clock() + _TIDY_EVERY
        self._ticked_at: float | None = None
        self._looping: asyncio.Task[None] | None = None
        for care in cares:
            care.lane.watcher = self
            care.remember()

    async def run_one(self, name: str) -> Health:
        """Probe `name` now, and see to its cure if that fails. Returns once a canary has been judged.

        A hundred requests may meet the same wedge at once: whoever comes
        second joins the check already under way. Raises KeyError for an unknown name.
        """
        care = self._cares[name]
        await asyncio.shield(care.look_after())
        return care.health

    async def run_forever(self) -> None:
        """A canary now, then whenever one is due, until cancelled."""
        try:
            for care in self._cares.values():
                await care.take_machine_back()
            while True:
                self._ticked_at = self._house.clock()
                try:
                    await self._tick()
                except Exception:  # the healer must not die of what it sees
                    log.exception("watcher stumbled")
                await asyncio.sleep(_TICK)
        finally:
            await asyncio.gather(*(care.stop() for care in self._cares.values()))
            if self._looping:
                self._looping.cancel()
            await self._save()

    def snapshot(self) -> dict[str, object]:
        """How everything is, as JSON."""
        wall = self._house.stamp().wall
        return {
            "at": iso(wall),
            "sentence": self.sentence(),
            "upstreams": [self._shown(care) for care in self._cares.values()],
            "closed_loop": _probe_shown(*self._looped) if self._looped else None,
        }

    def sentence(self) -> str:
        """How the engines are, as one."""
        return household([(care.title, care.health) for care in self._cares.values()], self._drained())

    def lives(self) -> bool:
        """Whether the clock ticks, once it has been started."""
        return self._ticked_at is None or self._house.clock() - self._ticked_at < _STUCK_AFTER

    def _drained(self) -> list[str]:
        """What nobody does, since each engine that could is kept from requests."""
        cares = self._cares.values()
        served = {care.title for care in cares if not care.lane.drained}
        return [care.title for care in cares if care.title not in served]

    async def restart(self, name: str, *, force: bool) -> None:
        """Restart it for a person; returns once that is under way. Raises KeyError, and Conflict if it may not be."""
        self._cares[name].restart(force=force)

    async def set_maintenance(self, name: str, *, on: bool) -> None:
        """While in maintenance it is watched, and neither restarted nor paged about. Raises KeyError."""
        care = self._cares[name]
        await asyncio.to_thread(self._house.store.set_maintenance, name, on)
        care.set_maintenance(on=on)

    async def set_drained(self, name: str, *, on: bool) -> None:
        """While drained it gets no new requests, and finishes those it has. Raises KeyError."""
        care = self._cares[name]
        await asyncio.to_thread(self._house.store.set_drained, name, on)
        care.set_drained(on=on)

    @contextmanager
    def subscribe(self) -> Iterator[asyncio.Queue[Announcement]]:
        """What happens, from now on."""
        with self._announcements.subscribe() as queue:
            yield queue

    async def incidents(self, most: int = 50) -> list[Incident]:
        """The newest first."""
        await self._save()
        return await asyncio.to_thread(self._house.store.incidents, most)

    async def incident(self, identity: str) -> Incident | None:
        await self._save()
        return await asyncio.to_thread(self._house.store.incident, identity)

    # What requests tell: supervision.lane.Watcher.

    def suspected(self, lane: Lane[Any], flight: Flight, evidence: Evidence) -> bool:
        return self._cares[lane.name].suspected(flight, evidence)

    def accused(self, lane: Lane[Any], flight: Flight, fingerprint: str, strikes: int) -> None:
        self._cares[lane.name].accused(flight, fingerprint, strikes)

    def absolved(self, lane: Lane[Any], fingerprint: str) -> None:
        self._cares[lane.name].absolved(fingerprint)

    def succeeded(self, lane: Lane[Any], flight: Flight) -> None:
        self._cares[lane.name].succeeded(flight)

    def doubted(self, lane: Lane[Any], reason: str) -> None:
        care = self._cares[lane.name]
        log.warning("odd answer", upstream=lane.name, reason=reason)
        if self._house.clock() - care.probed_at > _DOUBT_EVERY:
            care.look_after()

    def count(self, lane: Lane[Any], what: str) -> None:
        care = self._cares[lane.name]
        care.chronicle.count(what, care.health.state.value)

    def gpu_failed(self, machine: str, engines: Collection[str], number: int, means: str) -> None:
        """The kernel of a machine reported an Xid: told to whoever listens, and noted where an engine there is ill."""
        at = iso(self._house.stamp().wall)
        self._announcements.announce(
            {"at": at, "machine": machine, "what": "xid", "detail": means, "number": number}
        )
        for care in self._cares.values():
            if care.name in engines and care.chronicle.open:
                care.chronicle.happened("xid", f"{machine}: {means}", care.health.state.value)

    # The clock.

    async def _tick(self) -> None:
        now = self._house.clock()
        for schedule in self._schedules:
            care = schedule.care
            if care.at_rest and not care.under_restart and schedule.is_due(now):
                care.look_after()
            care.keep_time()
            self._look_for_hangs(care.lane, now)
            self._note_probes(care)
        self._close_the_loop(now)
        if now >= self._next_tidying:
            self._next_tidying = now + _TIDY_EVERY
            for care in self._cares.values():
                await care.forget_old_poison()
        await self._save()

    def _look_for_hangs(self, lane: Lane[Any], now: float) -> None:
        """A request without an answer long after its time is suspicious, unless others have been answered since."""
        for flight in list(lane.flights):
            if flight.begun or flight.overdue or now < flight.due:
                continue
            answered = lane.last_success + max(flight.work.slack, lane.pace.hangs_after(flight.ahead))
            if answered > now:
                flight.due = answered
            else:
                flight.overdue = True
                self.suspected(lane, flight, _NO_ANSWER)

    def _note_probes(self, care: Care) -> None:
        """Have them in the day's history; but for those of an engine that is not up, which is asked again and again."""
        while care.unnoted:
            probed = care.unnoted.popleft()
            self._measuring.probed(care.name, type(probed.outcome).__name__.lower(), probed.seconds)
            if isinstance(probed.outcome, Passed):
                self._history.add(f"probe/{care.name}", probed.seconds)
            elif isinstance(probed.outcome, Failed) and probed.outcome.verdict not in _NOT_UP:
                self._history.add(f"probe-failed/{care.name}", 1)

    def _close_the_loop(self, now: float) -> None:
        """Have one engine hear what another says, while both are well and nobody waits for them."""
        looped = [schedule for schedule in self._schedules if schedule.care.name in self._looped_engines]
        if any(schedule.after_use for schedule in looped):
            return  # it would wake an engine that may sleep
        calm = all(each.care.health.state is State.HEALTHY and not each.care.lane.flights for each in looped)
        if self._closed_loop and calm and now >= self._next_loop:
            self._next_loop = now + min(each.interval for each in looped)
            self._looping = asyncio.create_task(self._loop(self._closed_loop))

    async def _loop(self, canary: Canary) -> None:
        probed = await probe(canary, _LOOP_TIMEOUT, self._house.clock)
        self._looped = self._house.stamp().wall, probed
        if not isinstance(probed.outcome, Passed):
            log.warning("closed loop failed", detail=probed.detail)
            for name in self._looped_engines:
                self._cares[name].look_after()

    async def _save(self) -> None:
        for care in self._cares.values():
            await care.save()

    def _shown(self, care: Care) -> dict[str, object]:
        now, stamp = self._house.clock(), self._house.stamp()
        health, lane, incident = care.health, care.lane, care.chronicle.open
        back_at, budget = lane.outlook.back_at, health.budget
        frees_in = budget.frees(stamp)
        unanswered = lane.last_success == -math.inf
        return {
            "name": care.name,
            "kind": care.kind,
            "flavour": lane.upstream.dialect.flavour,
            "task": care.title,
            "model": lane.upstream.model,
            "state": health.state,
            "sentence": sentence(care.title, health) + ".",
            "reason": health.reason or None,
            "since": iso(care.since),
            "verdict": health.verdict,
            "maintenance": health.maintenance,
            "drained": lane.drained,
            "priority": lane.upstream.priority,
            "in_flight": len(lane.flights),
            "queued": lane.queued,
            "concurrency": lane.upstream.concurrency,
            "held": lane.held,
            **self._measuring.figures.of(care.name),
            "last_probe": _probe_shown(stamp.wall - (now - care.probed_at), care.probed)
            if care.probed
            else None,
            "probes": self._probes_shown(care.name),
            "last_success": None if unanswered else iso(stamp.wall - (now - lane.last_success)),
            "restart": {"by": care.restarter.kind, "what": care.restarter.what} if care.restarter else None,
            "budget": {
                "limit": budget.limit,
                "window": budget.window,
                "left": budget.remaining(stamp),
                "known": not budget.is_blind(stamp),
                "next_in": round(budget.wait(stamp), 1) or None,
                "frees_in": None if frees_in is None else round(frees_in, 1),
            },
            "back_in": None if back_at is None else round(max(0.0, back_at - now), 1),
            "incident": incident.id if incident else None,
        }

    def _probes_shown(self, name: str) -> dict[str, object]:
        """The canaries of a day, by quarters of an hour."""
        took = self._history.since(f"probe/{name}", HOURS * 3600, _QUARTERS)
        return {
            "hours": HOURS,
            "seconds": [None if each is None else round(each, 3) for each in took],
            "failed": self._history.times(f"probe-failed/{name}", HOURS * 3600, _QUARTERS),
        }


def _probe_shown(wall: float, probed: Probed) -> dict[str, object]:
    return {
        "at": iso(wall),
        "passed": isinstance(probed.outcome, Passed),
        "seconds": round(probed.seconds, 3),
        "detail": probed.detail,
    }
