"""The rules that never bend, against engines that do anything, people who interfere, kill -9 at any await and reboots.

The watcher, its store on disk and its budget are the real ones; time is virtual.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from spark_control.deep_health import DeepHealth
from spark_control.errors import GatewayError, UpstreamError
from spark_control.evidence import Evidence, How
from spark_control.settings import DeepHealthSettings
from spark_control.store import Store
from spark_control.store.records import Stamp
from spark_control.supervision.care import Care, House
from spark_control.supervision.chronicle import Announcements, Chronicle
from spark_control.supervision.lane import Lane
from spark_control.supervision.recovery import State
from spark_control.supervision.replay import Replay
from spark_control.supervision.restarters import RestartFailed
from spark_control.supervision.schedule import Schedule
from spark_control.supervision.work import Errand, Work
from tests.virtual import Machine, VirtualLoop, upstream_named

LIMIT, WINDOW = 3, 1800.0
DAY = 86_400.0
NAMES = ("parakeet", "magpie")
MENDED_WITHIN = 700.0
"""Seconds: two restarters that hang, one after the other, a canary that hangs, and the time until the next."""

FAILURES = {
    "sticky": Evidence(How.STATUS, 500, "CUBLAS_STATUS_EXECUTION_FAILED"),
    "gpu lost": Evidence(How.STATUS, 500, "no CUDA-capable device is detected"),
    "memory": Evidence(How.STATUS, 500, "CUDA out of memory"),
    "permanent": Evidence(How.STATUS, 500, "no kernel image is available for execution"),
    "unknown": Evidence(How.STATUS, 500),
    "loading": Evidence(How.STATUS, 503),
    "refused": Evidence(How.REFUSED),
    "cut": Evidence(How.CUT),
    "impossible": Evidence(How.IMPOSSIBLE),
    "no answer": Evidence(How.NO_ANSWER),
    "busy": Evidence(How.STATUS, 429),
    "not accepted": Evidence(How.STATUS, 422),
}
TOLD_BY_TEXT = ("sticky", "gpu lost", "memory", "permanent")
NEVER_RESTARTS = {"permanent", "busy", "not accepted", "surprise"}
BY_A_PERSON = "a person asked for it"


class Surprise(Exception):
    """What nobody has thought of."""


@dataclass
class Engine:
    """An engine that does as it is told, and the way to restart it, which does too."""

    name: str
    house: Household
    canary_gets: str = "passes"
    restarter_does: str = "works"
    takes: float = 0.0
    loads: float = 0.0
    heals: bool = True
    loaded_at: float = 0.0
    restarts: list[float] = field(default_factory=list)
    failed_canaries: set[str] = field(default_factory=set)
    said: str = ""
    kind: str = "process"

    @property
    def what(self) -> str:
        return self.name

    async def canary(self) -> str | None:
        await asyncio.sleep(0.05)
        gets = self.gets
        if gets == "passes":
            self.forget()
            return None
        if gets in TOLD_BY_TEXT:
            self.said = gets
        if gets == "gibberish":
            self.failed_canaries.add(gets)
            return "only 10 % of the words"
        return await self.turn_away(gets)

    async def ready(self) -> str | None:
        return await self.turn_away(self.gets) if self.gets in ("loading", "refused", "hangs") else None

    async def turn_away(self, how: str) -> None:
        self.failed_canaries.add(how)
        await self.fail(how)

    @property
    def gets(self) -> str:
        return "refused" if self.is_loading else self.canary_gets

    async def fail(self, how: str) -> None:
        if how == "hangs":
            await asyncio.sleep(200.0)
        if how == "surprise":
            raise Surprise
        raise UpstreamError(how).seen(FAILURES["no answer" if how == "hangs" else how])

    async def answer(self, how: str, after: float) -> str:
        """A live request's answer."""
        await asyncio.sleep(after)
        if how != "good":
            if how in TOLD_BY_TEXT and how != "permanent":
                self.said = how
            await self.fail(how)
        return how

    @property
    def is_loading(self) -> bool:
        return self.house.machine.true < self.loaded_at

    def forget(self) -> None:
        self.failed_canaries.clear()
        self.said = ""

    async def restart(self) -> None:
        self.house.restart_begins(self)
        try:
            await asyncio.sleep(self.takes)
            if self.restarter_does == "fails":
                raise RestartFailed("no such container")
            if self.restarter_does == "surprise":
                raise Surprise
            self.loaded_at = self.house.machine.true + self.loads
            if self.heals:
                self.canary_gets = "passes"
        finally:
            self.house.under_way.discard(self.name)


class Household:
    """A machine with two engines, and the gateway's lives one after another."""

    def __init__(self, folder: Path) -> None:
        self.machine = Machine()
        self.engines = {name: Engine(name, self) for name in NAMES}
        self.maintenance: set[str] = set()
        self.under_way: set[str] = set()
        self.recorded: set[int] = set()
        self.wrong: list[str] = []
        self.paged: list[str] = []
        self._folder = folder
        self.start()

    def start(self) -> None:
        self.store = Store.open(self._folder)
        self.loop = VirtualLoop(self.machine)
        house = House(self.store, self.machine.stamp, self.loop.time)
        announcements = Announcements()
        self.replays = {
            name: Replay([Lane(upstream_named(name), self.loop.time)], self.loop.time) for name in NAMES
        }
        cares = [self._care(house, announcements, engine) for engine in self.engines.values()]
        self.cares = {care.name: care for care in cares}
        schedules = [Schedule(care, 300.0, after_use=False) for care in cares]
        self.deep_health = DeepHealth(cares, house, announcements, schedules)
        self.watching = self.loop.create_task(self.deep_health.run_forever())

    def _care(self, house: House, announcements: Announcements, engine: Engine) -> Care:
        replay = self.replays[engine.name]
        engine.forget()
        return Care(
            house,
            replay.lanes[0],
            Chronicle(engine.name, announcements, lambda: self.machine.wall),
            DeepHealthSettings(restart_limit=LIMIT, restart_window=WINDOW),
            kind="parakeet",
            machine="spark",
            canary=engine.canary,
            ready=engine.ready,
            restarter=engine,
            page=lambda title, _: self.paged.append(title),
            on_change=replay.changed,
        )

    def kill(self, after: int) -> None:
        """Kill -9 the gateway, so many turns of its loop from now."""
        self.loop.run_iterations(after)
        self.store.close()  # the kernel closes a dead process's files
        self.loop.kill()

    def restart_begins(self, engine: Engine) -> None:
        """Note what is wrong with it: to raise would only be one more surprise."""
        row = next(iter(self.store.restarts(engine.name, 1)), None)
        if row is None or row.outcome is not None or row.id in self.recorded:
            self.wrong.append(f"{engine.name} is restarted, and the store does not know: {row}")
            return
        self.recorded.add(row.id)
        if self.under_way:
            self.wrong.append(f"{engine.name} is restarted during the restart of {self.under_way}")
        if any(other.is_loading for other in self.engines.values() if other is not engine):
            self.wrong.append(f"{engine.name} is restarted while the other loads")
        now = self.machine.true
        if row.reason != BY_A_PERSON:
            self._judge(engine, now)
        self.under_way.add(engine.name)
        engine.restarts.append(now)

    def _judge(self, engine: Engine, now: float) -> None:
        """What the watcher must not do, and a person may."""
        recent = [each for each in engine.restarts if now - each < WINDOW - 1e-6]
        if len(recent) >= LIMIT:
            self.wrong.append(f"{engine.name} is restarted at {now}, and was at {recent}")
        if engine.name in self.maintenance:
            self.wrong.append(f"{engine.name} is restarted in maintenance")
        if not engine.failed_canaries - NEVER_RESTARTS:
            self.wrong.append(f"{engine.name} is restarted for {engine.failed_canaries}")
        if engine.said == "permanent":
            self.wrong.append(f"{engine.name} is restarted, which cannot help")

    async def request(self, name: str, how: str, after: float, patience: float) -> None:
        async def fingerprint() -> str:
            return how

        with suppress(GatewayError, Surprise):
            work = Work(1.0, Errand(patience), fingerprint)
            taken = await self.replays[name].take(
                work, lambda upstream, suspect: self.engines[name].answer(how, after)
            )
            taken.complete()

    async def ask_to_restart(self, name: str, *, force: bool) -> None:
        with suppress(GatewayError):
            await self.deep_health.restart(name, force=force)


names = st.sampled_from(NAMES)
canaries = st.sampled_from(["passes", "hangs", "gibberish", "surprise", *FAILURES])
moments = st.sampled_from([0.1, 0.25, 1.0, 3.0, 5.0, 10.0, 30.0, 61.0, 125.0])
long_times = st.sampled_from([300.0, 600.0, 1200.0, 1700.0, 1800.0, 2400.0])
iterations = st.integers(0, 40)


class RulesThatNeverBend(RuleBasedStateMachine):
    """One household's life."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._logs = structlog.get_config()["processors"]
        self._processors = list(self._logs)
        self._logs[:] = [self._read_log]
        self.house = Household(Path(self._folder.name))

    def _read_log(self, _: object, __: str, event: MutableMapping[str, Any]) -> str:
        """Let no error pass that only the log knows of."""
        if event.get("exc_info") and not isinstance(sys.exc_info()[1], Surprise):
            self.house.wrong.append(f"{event['event']}: {sys.exc_info()[1]!r}")
        raise structlog.DropEvent

    @initialize(seconds=st.sampled_from([0.0, 0.02, 1.0]))
    def begin(self, seconds: float) -> None:
        self.house.loop.run_for(seconds)

    @rule(name=names, gets=canaries)
    def change_what_the_canary_gets(self, name: str, gets: str) -> None:
        self.house.engines[name].canary_gets = gets

    @rule(
        name=names,
        does=st.sampled_from(["works", "works", "fails", "surprise"]),
        takes=st.sampled_from([0.0, 0.5, 5.0, 40.0, 130.0]),
        loads=st.sampled_from([0.0, 2.0, 20.0, 50.0]),
        heals=st.booleans(),
    )
    def change_what_the_restarter_does(
        self, name: str, does: str, takes: float, loads: float, heals: bool
    ) -> None:
        engine = self.house.engines[name]
        engine.restarter_does, engine.takes, engine.loads, engine.heals = does, takes, loads, heals

    @rule(name=names, gets=canaries, seconds=moments)
    def wedge(self, name: str, gets: str, seconds: float) -> None:
        """What it was that only happens to engines at work: requests and canaries fail the same way."""
        self.house.engines[name].canary_gets = gets
        if gets in FAILURES:
            self.house.loop.create_task(self.house.request(name, gets, 0.01, 60.0))
        self.house.loop.run_for(seconds)

    @rule(
        name=names,
        how=st.sampled_from(["good", "hangs", "surprise", *FAILURES]),
        after=st.sampled_from([0.0, 0.1, 3.0]),
        patience=st.sampled_from([0.0, 60.0]),
        times=st.sampled_from([1, 1, 3]),
    )
    def requests(self, name: str, how: str, after: float, patience: float, times: int) -> None:
        for _ in range(times):
            self.house.loop.create_task(self.house.request(name, how, after, patience))

    @rule(seconds=moments)
    def time_passes(self, seconds: float) -> None:
        self.house.loop.run_for(seconds)

    @rule(seconds=long_times)
    def much_time_passes(self, seconds: float) -> None:
        self.house.loop.run_for(seconds)

    @rule(count=iterations)
    def hardly_any_time_passes(self, count: int) -> None:
        self.house.loop.run_iterations(count)

    @rule(name=names)
    def somebody_asks_for_a_check(self, name: str) -> None:
        self.house.loop.create_task(self.house.deep_health.run_one(name))

    @rule(name=names, on=st.booleans())
    def maintenance(self, name: str, on: bool) -> None:
        house = self.house
        if not on:
            house.maintenance.discard(name)
        house.loop.run_until_complete(house.deep_health.set_maintenance(name, on=on))
        if on:
            house.maintenance.add(name)

    @rule(name=names, force=st.booleans(), people=st.sampled_from([1, 1, 1, 2]))
    def a_person_restarts(self, name: str, force: bool, people: int) -> None:
        for _ in range(people):
            self.house.loop.create_task(self.house.ask_to_restart(name, force=force))

    @rule(after=iterations)
    def kill_9(self, after: int) -> None:
        self.house.kill(after)
        self.house.start()

    @rule(after=iterations, name=names, ahead=st.sampled_from([10.0, 3600.0, DAY]))
    def kill_9_and_a_stamp_of_the_future(self, after: int, name: str, ahead: float) -> None:
        self.house.kill(after)
        self.house.start()
        now = self.house.machine.stamp()
        later = Stamp(now.boot, now.since_boot + ahead, now.wall + ahead)
        self.house.store.restart_began(name, later, "who knows", "watcher")
        self.house.kill(0)
        self.house.start()

    @rule(by=st.sampled_from([-DAY, -1.0, 600.0, DAY]))
    def wall_clock_is_set(self, by: float) -> None:
        self.house.machine.wall_is_off_by += by

    @rule(
        after=iterations,
        down=st.sampled_from([5.0, 60.0, 1790.0, 7200.0]),
        by=st.sampled_from([-DAY, -1.0, 600.0, DAY]),
        cures=st.booleans(),
    )
    def reboot(self, after: int, down: float, by: float, cures: bool) -> None:
        self.house.kill(after)
        self.house.machine.reboot(down)
        self.house.machine.wall_is_off_by += by
        for engine in self.house.engines.values():
            engine.loaded_at = 0.0
            if cures:
                engine.canary_gets = "passes"
        self.house.start()

    @precondition(lambda self: len(self.house.engines["parakeet"].restarts) >= 2)
    @rule()
    def it_wedges_on_and_on(self) -> None:
        """The longest way to a fourth restart, which chance alone seldom takes."""
        engine = self.house.engines["parakeet"]
        engine.canary_gets, engine.restarter_does, engine.heals = "sticky", "works", False
        engine.takes = engine.loads = 0.0
        self.house.loop.run_for(400.0)

    @invariant()
    def nothing_went_wrong(self) -> None:
        assert not self.house.wrong, self.house.wrong
        assert not self.house.loop.mishaps, self.house.loop.mishaps

    @invariant()
    def the_watcher_lives(self) -> None:
        assert not self.house.watching.done()

    def teardown(self) -> None:
        try:
            self._calm_down()
        finally:
            self.house.kill(0)
            self._logs[:] = self._processors
            self._folder.cleanup()

    def _calm_down(self) -> None:
        """Once the engines are well, everything is, soon."""
        house = self.house
        for engine in house.engines.values():
            engine.canary_gets, engine.restarter_does, engine.heals = "passes", "works", True
            engine.takes = engine.loads = 0.0
        house.loop.run_for(MENDED_WITHIN)
        self.nothing_went_wrong()
        self.the_watcher_lives()
        assert [care.health.state for care in house.cares.values()] == [State.HEALTHY] * 2
        assert all(care.lane.outlook.open for care in house.cares.values())
        assert asyncio.all_tasks(house.loop) == {house.watching}
        assert [(lane.flights, lane.held) for each in house.replays.values() for lane in each.lanes] == [
            (set(), 0)
        ] * 2


RulesThatNeverBend.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestRulesThatNeverBend = RulesThatNeverBend.TestCase
