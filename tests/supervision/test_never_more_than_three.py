"""The rules that never bend, against engines that do anything, people who interfere, kill -9 at any await and reboots.

The watcher, its store on disk and its budget are the real ones; time is virtual.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Coroutine, Iterator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from spark_control.deep_health import DeepHealth
from spark_control.errors import GatewayError, UpstreamError
from spark_control.evidence import Evidence, How
from spark_control.history import History
from spark_control.measuring import Measuring
from spark_control.settings import DeepHealthSettings
from spark_control.store import Store, StoreError
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

_DISK = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 (a folder of its own in it)
"""In memory where that is possible: what kill -9 leaves is the same, and nobody waits for a real disk."""

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
    restarted_in_life: int = 0
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
        await self.turn_away(gets)
        return None

    async def ready(self) -> str | None:
        if self.gets in ("loading", "refused", "hangs"):
            await self.turn_away(self.gets)
        return None

    async def turn_away(self, how: str) -> None:
        self.failed_canaries.add(how)
        await self.fail(how)

    @property
    def gets(self) -> str:
        return "refused" if self.is_loading else self.canary_gets

    async def fail(self, how: str) -> None:
        if how == "hangs":
            await asyncio.sleep(100.0)
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

    def __init__(self) -> None:
        self.machine = Machine()
        self.engines = {name: Engine(name, self) for name in NAMES}
        self.maintenance: set[str] = set()
        self.under_way: set[str] = set()
        self.recorded: set[int] = set()
        self.wrong: list[str] = []
        self.lives = 0
        self.paged: list[str] = []
        self._disk = tempfile.TemporaryDirectory(dir=_DISK)
        self.folder = Path(self._disk.name)
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill(0)
        self._disk.cleanup()

    def start(self) -> None:
        self.lives += 1
        self.store = Store.open(self.folder, self.machine.stamp)
        self.loop = VirtualLoop(self.machine)
        house = House(self.store, self.machine.stamp, self.loop.time)
        announcements = Announcements()
        self.replays = {
            name: Replay([Lane(upstream_named(name), self.loop.time)], self.loop.time) for name in NAMES
        }
        cares = [self._care(house, announcements, engine) for engine in self.engines.values()]
        self.cares = {care.name: care for care in cares}
        schedules = [Schedule(care, 300.0) for care in cares]
        self.asked: list[asyncio.Task[Any]] = []
        history = History(self.store, lambda: self.machine.stamp().wall)
        self.deep_health = DeepHealth(
            cares, house, announcements, schedules, history=history, measuring=Measuring(self.loop.time)
        )
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

    def ask(self, what: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begin something that somebody wants of the gateway."""
        self.asked.append(self.loop.create_task(what))
        return self.asked[-1]

    def restart_begins(self, engine: Engine) -> None:
        """Note what is wrong with it: to raise would only be one more surprise."""
        row = next(iter(self.store.restarts(engine.name, 1)), None)
        if row is None or row.outcome is not None or row.id in self.recorded:
            self.wrong.append(f"{engine.name} is restarted, and the store does not know: {row}")
            return
        self.recorded.add(row.id)
        if self.under_way:
            self.wrong.append(f"{engine.name} is restarted during the restart of {self.under_way}")
        if any(other.is_loading and other.restarted_in_life == self.lives for other in self.engines.values()):
            self.wrong.append(f"{engine.name} is restarted while one loads")
        now = self.machine.true
        if row.reason != BY_A_PERSON:
            self._judge(engine, now)
        self.under_way.add(engine.name)
        engine.restarts.append(now)
        engine.restarted_in_life = self.lives

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
        self._logs = structlog.get_config()["processors"]
        self._processors = list(self._logs)
        self._logs[:] = [self._read_log]
        self.house = Household()

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
            self.house.ask(self.house.request(name, gets, 0.01, 60.0))
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
            self.house.ask(self.house.request(name, how, after, patience))

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
        self.house.ask(self.house.deep_health.run_one(name))

    @rule(name=names, on=st.booleans())
    def maintenance(self, name: str, on: bool) -> None:
        house = self.house
        if not on:
            house.maintenance.discard(name)
        house.loop.run_until_complete(house.deep_health.set_maintenance(name, on=on))
        if on:
            house.maintenance.add(name)

    @rule(
        name=names,
        force=st.booleans(),
        people=st.sampled_from([1, 1, 1, 2]),
        leaves_after=st.sampled_from([None, None, 0, 1, 2, 3]),
    )
    def a_person_restarts(self, name: str, force: bool, people: int, leaves_after: int | None) -> None:
        asking = [self.house.ask(self.house.ask_to_restart(name, force=force)) for _ in range(people)]
        if leaves_after is not None:
            self.house.loop.run_iterations(leaves_after)
            for each in asking:
                each.cancel()

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

    @rule(
        after=iterations,
        name=st.sampled_from(["spark-control.db", "spark-control.db-wal"]),
        content=st.binary(max_size=40),
        at=st.integers(0, 2**20),
    )
    def kill_9_and_a_disk_that_spoils_the_store(self, after: int, name: str, content: bytes, at: int) -> None:
        """What was in maintenance is forgotten with it, and nobody can blame the watcher for that."""
        self.house.kill(after)
        file = self.house.folder / name
        found = file.read_bytes() if file.exists() else b""
        place = at % (len(found) + 1)
        file.write_bytes(found[:place] + content + found[place + len(content) :] if at % 3 else content)
        try:
            self.house.start()
        except StoreError as exc:
            assert "newer version" in str(exc)  # it was the number of the version that was hit
            file.write_bytes(found)
            self.house.start()
        store = self.house.store
        self.house.maintenance = store.maintenance()
        self.house.recorded &= {row.id for each in NAMES for row in store.restarts(each, 10_000)}

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

    @rule(gets=canaries, seconds=moments)
    def both_wedge(self, gets: str, seconds: float) -> None:
        for engine in self.house.engines.values():
            engine.canary_gets = gets
            self.house.ask(self.house.deep_health.run_one(engine.name))
        self.house.loop.run_for(seconds)

    @rule(name=names, seconds=st.sampled_from([400.0, 1900.0]), by=st.sampled_from([0.0, 0.0, DAY]))
    def it_wedges_on_and_on(self, name: str, seconds: float, by: float) -> None:
        """The shortest way to a fourth restart, which chance alone seldom takes."""
        engine = self.house.engines[name]
        engine.canary_gets, engine.restarter_does, engine.heals = "sticky", "fails", False
        engine.takes = engine.loads = 0.0
        self.house.loop.run_for(seconds / 2)
        self.house.machine.wall_is_off_by += by
        self.house.loop.run_for(seconds / 2)

    @invariant()
    def nothing_went_wrong(self) -> None:
        assert not self.house.wrong, self.house.wrong
        assert not self.house.loop.mishaps, self.house.loop.mishaps[0]

    @invariant()
    def the_watcher_lives(self) -> None:
        assert not self.house.watching.done()

    def teardown(self) -> None:
        try:
            self._calm_down()
        finally:
            self.house.__exit__()
            self._logs[:] = self._processors

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


# What has gone wrong once.


@pytest.fixture
def house() -> Iterator[Household]:
    with Household() as house:
        house.loop.run_for(1.0)
        yield house
        assert house.wrong == []
        assert house.loop.mishaps == []


@pytest.mark.parametrize("after", range(3))
def test_who_waits_for_a_check_is_told_although_somebody_has_the_engine_restarted(
    house: Household, after: int
) -> None:
    asked = house.ask(house.deep_health.run_one("parakeet"))
    house.loop.run_iterations(after)
    house.ask(house.deep_health.restart("parakeet", force=False))
    house.loop.run_for(60)
    assert asked.done()


@pytest.mark.parametrize("after", range(4))
def test_somebody_who_asks_for_a_restart_and_leaves_does_not_leave_the_engine_behind(
    house: Household, after: int
) -> None:
    house.ask(house.deep_health.run_one("parakeet"))
    asking = house.ask(house.ask_to_restart("parakeet", force=False))
    house.loop.run_iterations(after)
    asking.cancel()
    house.loop.run_for(60)
    assert house.cares["parakeet"].health.state is State.HEALTHY


@pytest.mark.parametrize("first", ["refused", "loading", "unknown", "hangs"])
@pytest.mark.parametrize("canary", ["busy", "not accepted"])
def test_held_work_goes_to_an_engine_that_turns_out_to_be_open_and_only_turns_canaries_away(
    house: Household, first: str, canary: str
) -> None:
    engine, hows = house.engines["parakeet"], iter([first])
    engine.canary_gets = canary

    async def ask() -> str:
        work = Work(1.0, Errand(60.0), lambda: asyncio.sleep(0, ""))
        taken = await house.replays["parakeet"].take(work, lambda *_: engine.answer(next(hows, "good"), 0.1))
        taken.complete()
        return taken.value

    asked = house.ask(ask())
    house.loop.run_for(130)
    assert asked.result() == "good"


def test_maintenance_that_begins_while_the_last_answers_end_is_maintenance(house: Household) -> None:
    engine = house.engines["parakeet"]

    async def listen() -> None:
        work = Work(1.0, Errand(60.0), lambda: asyncio.sleep(0, ""))
        taken = await house.replays["parakeet"].take(work, lambda *_: engine.answer("good", 0.0))
        await asyncio.sleep(30)
        taken.complete()

    house.ask(listen())
    house.loop.run_for(1)
    engine.canary_gets = "sticky"
    house.ask(house.request("parakeet", "sticky", 0.0, 0.0))
    house.loop.run_for(0.5)
    assert house.cares["parakeet"].health.state is State.RESTARTING
    house.loop.run_until_complete(house.deep_health.set_maintenance("parakeet", on=True))
    house.maintenance.add("parakeet")
    house.loop.run_for(60)
    assert engine.restarts == []


def test_a_gateway_that_is_killed_while_one_engine_loads_restarts_no_other_before_that_is_up(
    house: Household,
) -> None:
    first, second = house.engines.values()
    first.canary_gets, first.loads = "sticky", 40.0
    house.ask(house.deep_health.run_one(first.name))
    house.loop.run_for(3)
    house.kill(0)
    house.start()
    second.canary_gets = "sticky"
    house.ask(house.request(second.name, "sticky", 0.0, 0.0))
    house.loop.run_for(90)
    assert second.restarts
    assert second.restarts[0] >= first.loaded_at


def test_what_a_person_asked_for_is_done_although_it_has_to_wait_for_the_other_engine(
    house: Household,
) -> None:
    first, second = house.engines.values()
    first.canary_gets, first.loads = "sticky", 40.0
    house.ask(house.deep_health.run_one(first.name))
    house.loop.run_for(3)
    house.loop.run_until_complete(house.deep_health.restart(second.name, force=False))
    house.loop.run_for(90)
    assert len(second.restarts) == 1
    assert second.restarts[0] >= first.loaded_at


def test_the_watchers_own_restart_after_a_persons_is_told_as_its_own(house: Household) -> None:
    engine = house.engines["parakeet"]
    engine.canary_gets, engine.heals = "sticky", False
    house.loop.run_until_complete(house.deep_health.restart("parakeet", force=False))
    house.loop.run_for(90)
    assert [row.who for row in house.store.restarts("parakeet")] == ["watcher", "person"]


def test_two_engines_whose_restarts_were_interrupted_are_both_looked_after_at_once(house: Household) -> None:
    first, second = house.engines.values()
    first.canary_gets, first.heals = "sticky", False
    house.ask(house.deep_health.run_one(first.name))
    house.loop.run_for(0.11)
    first.canary_gets = "busy"
    second.canary_gets, second.takes = "sticky", 5.0
    house.ask(house.deep_health.run_one(second.name))
    house.loop.run_for(3)
    assert [row.outcome for name in NAMES for row in house.store.restarts(name)] == [None, None]
    house.kill(0)
    first.canary_gets, second.canary_gets = "refused", "passes"
    house.start()
    house.loop.run_for(5)
    assert house.cares[second.name].health.state is State.HEALTHY
