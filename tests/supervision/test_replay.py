"""One piece of work through wedges, cures, other engines and clients that leave; the watcher is the test itself."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from spark_control.errors import (
    Busy,
    EngineDown,
    GatewayError,
    InvalidRequest,
    PoisonInput,
    UpstreamError,
)
from spark_control.evidence import Evidence, How
from tests.supervision.household import FIRST, SECOND, WEDGED, Household, broken, refused, with_engines
from tests.virtual import VirtualLoop


def test_the_first_open_engine_of_the_file_does_the_work() -> None:
    async def life(house: Household) -> None:
        assert await house.take(house.work()) == "work by first"
        house.close(FIRST)
        work = house.work()
        assert await house.take(work) == "work by second"
        assert work.errand.degraded == "first: It restarts."
        assert work.errand.headers["x-model"] == "model-of-second"
        house.open(FIRST)
        work = house.work()
        assert await house.take(work) == "work by first"
        assert work.errand.degraded is None

    assert with_engines(life).counts == {(FIRST, "degraded"): 1}


def test_what_one_engine_fails_another_does_at_once_and_says_so() -> None:
    async def life(house: Household) -> None:
        house.engines[FIRST].fails = iter([broken()])
        work = house.work()
        began = house.replay._clock()
        assert await house.take(work) == "work by second"
        assert house.replay._clock() - began == 2
        assert work.errand.degraded == "first: It restarts."

    assert with_engines(life).suspicions == [FIRST]


def test_the_work_is_held_until_its_engine_is_cured_and_then_goes_there_alone() -> None:
    async def life(house: Household) -> None:
        house.engines[FIRST].fails = iter([broken()])
        work = house.work(patience=60)
        waiting = asyncio.create_task(house.take(work))
        await asyncio.sleep(21)
        assert house.lanes[FIRST].held == 1
        house.open(FIRST)
        assert await waiting == "work by first"
        assert work.errand.patience == pytest.approx(40)
        assert house.engines[FIRST].alone == ["work"]

    house = with_engines(life, FIRST)
    assert house.counts == {(FIRST, "held"): 1, (FIRST, "replayed"): 1}


def test_an_engine_that_is_open_again_without_having_been_cleared_does_not_get_it_again() -> None:
    async def life(house: Household) -> None:
        house.closes = False
        house.engines[FIRST].fails = iter([broken()])
        waiting = asyncio.create_task(house.take(house.work(patience=60)))
        await asyncio.sleep(30)
        house.replay.changed()
        await asyncio.sleep(10)
        assert house.engines[FIRST].given == ["work"]
        house.open(FIRST)
        await waiting

    assert with_engines(life, FIRST).engines[FIRST].given == ["work", "work"]


def test_an_engine_gets_the_same_work_at_most_twice() -> None:
    async def life(house: Household) -> None:
        house.engines[FIRST].fails = iter([broken()] * 9)
        waiting = asyncio.create_task(house.take(house.work(patience=900)))
        await asyncio.sleep(10)
        house.open(FIRST)
        with pytest.raises(UpstreamError) as caught:
            await waiting
        assert caught.value.headers["x-should-retry"] == "false"
        assert caught.value.evidence == WEDGED

    assert with_engines(life, FIRST).engines[FIRST].executed == {"work": 2}


def test_it_gets_no_third_time_while_another_engine_is_waited_for() -> None:
    async def life(house: Household) -> None:
        house.close(SECOND)
        house.engines[FIRST].fails = iter([broken()] * 9)
        waiting = asyncio.create_task(house.take(house.work(patience=900)))
        for _ in range(5):
            await asyncio.sleep(10)
            house.open(FIRST)
        assert not waiting.done()
        house.open(SECOND)
        assert await waiting == "work by second"

    assert with_engines(life).engines[FIRST].executed == {"work": 2}


def test_who_waits_to_be_alone_at_an_engine_that_closes_meanwhile_does_not_go_there() -> None:
    async def life(house: Household) -> None:
        house.engines[FIRST].fails = iter([broken()])
        house.lanes[FIRST].struck = {"odd"}
        asked = [asyncio.create_task(house.take(house.work(each), each)) for each in ("plain", "odd")]
        await asyncio.sleep(10)
        assert house.engines[FIRST].given == ["plain"]
        assert house.lanes[FIRST].held == 2
        house.open(FIRST)
        await asyncio.gather(*asked)

    assert with_engines(life, FIRST).engines[FIRST].alone == ["plain", "odd"]


def test_work_that_an_engine_never_took_is_not_work_that_it_failed() -> None:
    async def life(house: Household) -> None:
        house.engines[FIRST].fails = iter([refused() for _ in range(5)])
        waiting = asyncio.create_task(house.take(house.work(patience=60)))
        for _ in range(5):
            await asyncio.sleep(5)
            house.open(FIRST)
        assert await waiting == "work by first"

    house = with_engines(life, FIRST)
    assert house.engines[FIRST].alone == []
    assert house.accusations == []


def test_without_patience_the_answer_comes_at_once() -> None:
    async def life(house: Household) -> None:
        house.close(FIRST)
        began = house.replay._clock()
        with pytest.raises(EngineDown) as caught:
            await house.take(house.work(patience=0))
        assert house.replay._clock() == began
        assert (caught.value.status, caught.value.code, caught.value.retry_after) == (
            503,
            "service_restarting",
            60,
        )
        assert "x-should-retry" not in caught.value.headers

    assert with_engines(life, FIRST).counts == {(FIRST, "failed"): 1}


def test_when_nobody_knows_how_long_it_takes_the_work_is_held_as_long_as_patience_lasts() -> None:
    async def life(house: Household) -> None:
        house.close(FIRST)
        began = house.replay._clock()
        with pytest.raises(EngineDown):
            await house.take(house.work(patience=60))
        assert house.replay._clock() - began == 60

    assert with_engines(life, FIRST).counts == {(FIRST, "held"): 1, (FIRST, "failed"): 1}


def test_what_takes_longer_than_patience_lasts_is_said_at_once_and_honestly() -> None:
    async def life(house: Household) -> None:
        house.close(FIRST, back_in=35.5)
        began = house.replay._clock()
        with pytest.raises(EngineDown) as caught:
            await house.take(house.work(patience=30))
        assert house.replay._clock() == began
        assert caught.value.retry_after == 36
        waiting = asyncio.create_task(house.take(house.work(patience=36)))
        await asyncio.sleep(35.5)
        house.open(FIRST)
        assert await waiting == "work by first"

    with_engines(life, FIRST)


@pytest.mark.parametrize(
    ("back_in", "hopeless", "should_retry"), [(30, False, None), (90, False, "false"), (None, True, "false")]
)
def test_a_client_is_told_not_to_try_again_when_that_is_of_no_use(
    back_in: float | None, hopeless: bool, should_retry: str | None
) -> None:
    async def life(house: Household) -> None:
        house.close(FIRST, back_in=back_in, hopeless=hopeless)
        with pytest.raises(EngineDown) as caught:
            await house.take(house.work(patience=0))
        assert caught.value.headers.get("x-should-retry") == should_retry
        assert caught.value.retry_after is not None
        assert 1 <= caught.value.retry_after <= 60

    with_engines(life, FIRST)


def test_an_engine_that_only_a_person_can_mend_is_not_waited_for() -> None:
    async def life(house: Household) -> None:
        house.close(FIRST, hopeless=True)
        began = house.replay._clock()
        with pytest.raises(EngineDown):
            await house.take(house.work(patience=900))
        assert house.replay._clock() == began

    with_engines(life, FIRST)


def test_the_held_who_learn_that_it_is_hopeless_are_told_at_once() -> None:
    async def life(house: Household) -> None:
        house.close(FIRST)
        waiting = asyncio.create_task(house.take(house.work(patience=900)))
        await asyncio.sleep(5)
        house.close(FIRST, hopeless=True)
        with pytest.raises(EngineDown) as caught:
            await asyncio.wait_for(waiting, 0.01)
        assert caught.value.headers["x-should-retry"] == "false"

    with_engines(life, FIRST)


def test_the_held_go_in_the_order_in_which_they_came() -> None:
    async def life(house: Household) -> None:
        house.close(FIRST)
        waiting = []
        for number in range(20):
            waiting.append(asyncio.create_task(house.take(house.work(), f"{number}")))
            await asyncio.sleep(0.1)
            if number == 10:
                house.replay.changed()
        house.open(FIRST)
        await asyncio.gather(*waiting)
        assert house.engines[FIRST].given == [f"{number}" for number in range(20)]

    with_engines(life, FIRST)


def test_an_input_in_quarantine_is_refused_before_any_engine_sees_it() -> None:
    async def life(house: Household) -> None:
        house.lanes[FIRST].quarantined = {"poison"}
        with pytest.raises(PoisonInput) as caught:
            await house.take(house.work("poison"))
        assert (caught.value.status, caught.value.code) == (422, "poison_input")
        assert caught.value.headers["x-should-retry"] == "false"
        assert await house.take(house.work("food")) == "work by first"

    assert with_engines(life, FIRST).engines[FIRST].given == ["work"]


def test_an_input_that_one_engine_is_spared_goes_to_another() -> None:
    async def life(house: Household) -> None:
        house.lanes[FIRST].quarantined = {"poison"}
        assert await house.take(house.work("poison")) == "work by second"

    assert with_engines(life).engines[FIRST].given == []


def test_the_held_whose_input_comes_into_quarantine_are_refused() -> None:
    async def life(house: Household) -> None:
        house.close(FIRST)
        waiting = asyncio.create_task(house.take(house.work("poison")))
        await asyncio.sleep(5)
        house.lanes[FIRST].quarantined = {"poison"}
        house.open(FIRST)
        with pytest.raises(PoisonInput):
            await waiting

    assert with_engines(life, FIRST).engines[FIRST].given == []


def test_an_input_that_was_alone_at_a_wedge_goes_alone_from_then_on_until_it_is_done_well() -> None:
    async def life(house: Household) -> None:
        house.lanes[FIRST].struck = {"odd"}
        await asyncio.gather(*(house.take(house.work("odd"), "odd") for _ in range(2)))
        await house.take(house.work("odd"), "odd")

    house = with_engines(life, FIRST)
    assert house.engines[FIRST].alone == ["odd", "odd"]
    assert house.lanes[FIRST].struck == set()


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("The engine refused the request."),
        UpstreamError("It does not know this request.").seen(Evidence(How.STATUS, 404)),
        Busy("It has its hands full.").seen(Evidence(How.STATUS, 429)),
    ],
)
def test_what_is_no_fault_of_the_engines_is_passed_on_at_once_and_is_no_suspicion(
    error: GatewayError,
) -> None:
    async def life(house: Household) -> None:
        house.engines[FIRST].fails = iter([error])
        with pytest.raises(type(error)) as caught:
            await house.take(house.work())
        assert caught.value is error

    house = with_engines(life)
    assert house.suspicions == []
    assert house.engines[SECOND].given == []


def test_a_surprise_is_passed_on_and_leaves_nothing_behind() -> None:
    async def life(house: Household) -> None:
        async def attempt(upstream: object, suspect: bool) -> str:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await house.replay.take(house.work(), attempt)

    with_engines(life)


def test_only_work_that_was_alone_is_accused() -> None:
    async def life(house: Household) -> None:
        house.engines[FIRST].fails = iter([broken(), broken()])
        await asyncio.gather(*(house.take(house.work(f"{n}"), f"{n}") for n in range(2)))
        assert house.accusations == []
        house.open(FIRST)
        house.engines[FIRST].fails = iter([broken()])
        await house.take(house.work("alone"), "alone")

    assert with_engines(life).accusations == [(FIRST, "alone", 1)]


def test_a_client_that_leaves_ends_its_hold() -> None:
    async def life(house: Household) -> None:
        house.close(FIRST)
        waiting = asyncio.create_task(house.take(house.work()))
        await asyncio.sleep(5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert house.left_over == []
        house.open(FIRST)
        await asyncio.sleep(5)

    assert with_engines(life, FIRST).engines[FIRST].given == []


@pytest.mark.parametrize("after", [0.0, 0.5, 1.0, 3.0, 11.0, 11.5])
def test_a_client_that_leaves_at_any_time_leaves_nothing_behind(after: float) -> None:
    async def life(house: Household) -> None:
        house.engines[FIRST].fails = iter([broken()])
        work = house.work()
        waiting = asyncio.create_task(house.take(work))
        await asyncio.sleep(min(after, 10))
        if after > 10:
            house.open(FIRST)
            await asyncio.sleep(after - 10)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert house.left_over == []
        house.open(FIRST)
        assert await asyncio.wait_for(house.take(house.work()), 2) == "work by first"

    with_engines(life, FIRST)


def test_patience_that_ends_leaves_nothing_behind() -> None:
    async def life(house: Household) -> None:
        house.close(FIRST)
        for _ in range(5):
            with pytest.raises(EngineDown):
                await house.take(house.work(patience=3))
        assert house.left_over == []

    with_engines(life, FIRST)


def test_a_failure_after_the_client_has_got_something_is_told_and_not_sent_again() -> None:
    async def life(house: Household) -> None:
        taken = await house.begin(house.work())
        taken.broke(broken())
        taken.leave()
        taken.leave()

    house = with_engines(life)
    assert house.suspicions == [FIRST]
    assert house.engines[SECOND].given == []
    assert house.counts == {(FIRST, "failed"): 1}


class Crowd(RuleBasedStateMachine):
    """Many who want something done, of two engines that fail, open and close as they please."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.house = Household(self.loop.time, (FIRST, SECOND))
        self.asked: dict[str, asyncio.Task[str]] = {}
        self.left: set[str] = set()
        self.plans: dict[str, list[GatewayError | None]] = defaultdict(list)
        for engine in self.house.engines.values():
            engine.fails = self._plan(engine.name)

    def _plan(self, name: str) -> Iterator[GatewayError | None]:
        while True:
            yield self.plans[name].pop(0) if self.plans[name] else None

    engines = st.sampled_from([FIRST, SECOND])
    moments = st.sampled_from([0.0, 0.3, 1.0, 5.0, 30.0])

    @rule(
        patience=st.sampled_from([0.0, 1.0, 20.0, 60.0]),
        count=st.sampled_from([1, 1, 1, 5]),
        fingerprint=st.sampled_from(["a", "b"]),
    )
    def ask(self, patience: float, count: int, fingerprint: str) -> None:
        for _ in range(count):
            name = f"{len(self.asked)}"
            work = self.house.work(fingerprint, patience)
            self.asked[name] = self.loop.create_task(self.house.take(work, name))

    @rule(
        name=engines,
        what=st.lists(
            st.sampled_from(["broken", "refused", "busy", "wrong", "good"]), min_size=1, max_size=4
        ),
    )
    def fail(self, name: str, what: list[str]) -> None:
        errors = {
            "broken": broken(),
            "refused": refused(),
            "busy": Busy("busy").seen(Evidence(How.STATUS, 429)),
            "wrong": InvalidRequest("wrong"),
            "good": None,
        }
        self.plans[name] += [errors[each] for each in what]

    @rule(name=engines, back_in=st.sampled_from([None, None, 0.5, 10.0, 100.0]), hopeless=st.booleans())
    def close(self, name: str, back_in: float | None, hopeless: bool) -> None:
        self.house.close(name, back_in=back_in, hopeless=hopeless)

    @rule(name=engines)
    def cure(self, name: str) -> None:
        self.house.open(name)

    @rule(name=engines)
    def restart(self, name: str) -> None:
        """As the watcher does: nobody gets there, and those who wait there are sent away."""
        self.house.close(name)
        for flight in list(self.house.lanes[name].flights):
            flight.abort()

    @rule(name=engines, fingerprints=st.sets(st.sampled_from(["a", "b"])))
    def strike(self, name: str, fingerprints: set[str]) -> None:
        self.house.lanes[name].struck = fingerprints

    @rule(name=engines, fingerprints=st.sets(st.sampled_from(["a", "b"]), max_size=1))
    def quarantine(self, name: str, fingerprints: set[str]) -> None:
        self.house.lanes[name].quarantined = fingerprints

    @rule(name=engines, takes=st.sampled_from([0.0, 0.2, 4.0]))
    def change_speed(self, name: str, takes: float) -> None:
        self.house.engines[name].takes = takes

    @rule(closes=st.booleans())
    def change_the_watcher(self, closes: bool) -> None:
        self.house.closes = closes

    @rule(chosen=st.integers(0, 5))
    def leave(self, chosen: int) -> None:
        waiting = [name for name, task in self.asked.items() if not task.done()]
        if waiting:
            name = waiting[chosen % len(waiting)]
            self.left.add(name)
            self.asked[name].cancel()

    @rule(seconds=moments)
    def wait(self, seconds: float) -> None:
        self.loop.run_for(seconds)

    @rule(count=st.integers(1, 12))
    def wait_hardly_at_all(self, count: int) -> None:
        self.loop.call_later(0.01, self.loop.stop)  # there may be nothing else to wait for
        self.loop.run_iterations(count)

    @invariant()
    def no_engine_does_the_same_work_three_times(self) -> None:
        for engine in self.house.engines.values():
            assert all(times <= 2 for times in engine.executed.values()), engine.executed

    @invariant()
    def every_answer_is_its_askers(self) -> None:
        for name, task in self.asked.items():
            if task.done() and not task.cancelled() and task.exception() is None:
                assert task.result() in (f"{name} by first", f"{name} by second")

    def teardown(self) -> None:
        try:
            self.plans.clear()
            for _ in range(3):
                for name in (FIRST, SECOND):
                    self.house.open(name)
                self.loop.run_for(100)
            self._everybody_has_one_answer()
        finally:
            self.loop.kill()

    def _everybody_has_one_answer(self) -> None:
        self.no_engine_does_the_same_work_three_times()
        self.every_answer_is_its_askers()
        for name, task in self.asked.items():
            assert task.done()
            assert task.cancelled() == (name in self.left)
            assert task.cancelled() or isinstance(task.exception(), GatewayError | None)
        assert self.house.left_over == []
        assert not self.loop.mishaps, self.loop.mishaps


Crowd.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestCrowd = Crowd.TestCase
