from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.errors import EngineDown
from spark_control.supervision.forecast import Pace, recovery, rest, retry_after
from spark_control.supervision.work import Errand, Work
from tests.supervision.test_never_more_than_three import Household

CASES = 5000
SPREAD = 0.1
IN_TIME = 0.85
seconds = st.floats(0, 10_000)


def restarts_of_one_engine(chance: random.Random, count: int) -> list[float]:
    """How long they take: each engine has its own time, and each restart is a little off it."""
    usual = chance.uniform(10, 50)
    return [usual * chance.uniform(1 - SPREAD, 1 + SPREAD) for _ in range(count)]


def test_the_engine_is_back_when_it_was_promised_and_nobody_waits_much_longer() -> None:
    chance = random.Random(20)
    kept = 0
    for _ in range(CASES):
        *measured, real = restarts_of_one_engine(chance, 4)
        elapsed = chance.uniform(0, real)
        promised = elapsed + retry_after(rest(measured, elapsed))
        assert promised <= 1.5 * real + 2
        kept += promised >= real
    assert kept >= IN_TIME * CASES


def test_what_is_promised_at_one_moment_agrees_with_what_was_promised_before() -> None:
    chance = random.Random(21)
    for _ in range(CASES // 10):
        *measured, real = restarts_of_one_engine(chance, 4)
        moments = sorted(chance.uniform(0, real) for _ in range(20))
        promised = [moment + (rest(measured, moment) or 0) for moment in moments]
        assert all(later >= earlier - 1e-9 for earlier, later in pairwise(promised))


def test_a_minute_is_promised_until_a_restart_has_been_measured() -> None:
    assert [recovery([]), rest([], 0), rest([], 300)] == [None, None, None]
    assert retry_after(rest([], 25)) == 60


@given(st.lists(seconds, max_size=10), seconds)
def test_a_promise_is_always_whole_seconds_from_one_to_sixty(measured: list[float], elapsed: float) -> None:
    promised = retry_after(rest(measured, elapsed))
    assert isinstance(promised, int)
    assert 1 <= promised <= 60


@given(st.lists(seconds, min_size=1, max_size=10), seconds)
def test_a_restart_that_takes_longer_than_any_before_is_promised_ever_later(
    measured: list[float], late: float
) -> None:
    elapsed = max(measured) * 1.2 + late
    left = rest(measured, elapsed)
    assert left is not None
    assert left >= 0.5
    assert left <= max(0.5, 0.15 * elapsed)


@given(st.lists(seconds, min_size=1, max_size=10))
def test_one_restart_that_took_long_is_not_forgotten_by_one_that_did_not(measured: list[float]) -> None:
    whole = recovery(measured)
    assert whole is not None
    assert whole >= sorted(measured)[len(measured) // 2]
    assert whole <= max(measured) * 1.1


async def turned_away(house: Household, after: float) -> int:
    """What somebody without patience is told, so long after the engine failed."""

    async def fingerprint() -> str:
        return ""

    await asyncio.sleep(after)
    with pytest.raises(EngineDown) as caught:
        await house.replays["parakeet"].take(
            Work(1.0, Errand(0.0), fingerprint),
            lambda upstream, suspect: house.engines["parakeet"].answer("good", 0),
        )
    assert caught.value.retry_after is not None
    return caught.value.retry_after


def promises_of_the_watcher(chance: random.Random) -> list[bool]:
    """Whether each promise made in a fourth restart, after three that were measured, was kept."""
    with Household() as house:
        engine = house.engines["parakeet"]
        for takes in restarts_of_one_engine(chance, 4):
            engine.canary_gets, engine.takes, engine.loads = "sticky", takes / 4, takes * 3 / 4
            house.ask(house.deep_health.run_one("parakeet"))
            moments = [chance.uniform(1, takes - 1) for _ in range(10)]
            asking = [house.ask(turned_away(house, moment)) for moment in moments]
            house.loop.run_for(601)  # the budget has room for the fourth half an hour after the first
            assert house.cares["parakeet"].health.open
        back = [moment + task.result() for moment, task in zip(moments, asking, strict=True)]
        real = house.store.recovery_seconds("parakeet")[0]
    assert max(back) <= 1.5 * real + 2
    return [each >= real for each in back]


def test_the_watcher_makes_the_same_promises() -> None:
    chance = random.Random(22)
    kept = [each for _ in range(25) for each in promises_of_the_watcher(chance)]
    assert sum(kept) >= IN_TIME * len(kept)


def test_an_engine_nobody_has_seen_at_work_is_given_time() -> None:
    pace = Pace()
    assert pace.hangs_after(0) == 5
    assert pace.hangs_after(60) == 240


def test_the_speed_that_was_measured_says_when_no_answer_is_suspicious() -> None:
    pace = Pace()
    pace.took(1, ahead=10)
    assert pace.hangs_after(100) == pytest.approx(40)
    assert pace.hangs_after(1) == 5


def test_a_slower_answer_counts_at_once_and_faster_ones_little_by_little() -> None:
    pace = Pace()
    pace.took(1, ahead=10)
    pace.took(5, ahead=10)
    assert pace.hangs_after(100) == pytest.approx(200)
    pace.took(1, ahead=10)
    assert pace.hangs_after(100) == pytest.approx(152)
    for _ in range(100):
        pace.took(1, ahead=10)
    assert pace.hangs_after(100) == pytest.approx(40, rel=0.01)


def test_work_of_no_length_tells_nothing_of_the_speed() -> None:
    pace = Pace()
    pace.took(30, ahead=0)
    assert pace.hangs_after(10) == 40


@given(st.lists(st.tuples(st.floats(0.001, 5), st.floats(0.001, 1000)), min_size=1), st.floats(0, 5000))
def test_an_answer_as_slow_as_the_last_one_is_never_a_hang(
    answers: list[tuple[float, float]], ahead: float
) -> None:
    pace = Pace()
    for slow, size in answers:
        pace.took(slow * size, size)
    slow, _ = answers[-1]
    assert pace.hangs_after(ahead) >= 4 * slow * ahead * (1 - 1e-9)


@given(st.floats(0, 1e6), st.floats(0.001, 1000), st.floats(1, 100))
def test_no_answer_however_slow_makes_hangs_invisible(elapsed: float, size: float, ahead: float) -> None:
    pace = Pace()
    pace.took(elapsed, size)
    assert pace.hangs_after(ahead) <= 20 * ahead
