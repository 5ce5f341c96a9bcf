"""Several engines that do the same: who gets the work, who waits, who is sent away."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.errors import EngineDown, QueueFull
from tests.supervision.household import FIRST, SECOND, Household, broken, with_engines

THIRD = "third"


def test_engines_that_are_alike_share_the_work() -> None:
    async def life(house: Household) -> None:
        works = [house.work(f"{n}") for n in range(6)]
        await asyncio.gather(*(house.take(work, "any") for work in works))
        assert all(work.errand.degraded is None for work in works)

    house = with_engines(life, FIRST, SECOND, alike=True)
    assert [len(engine.given) for engine in house.engines.values()] == [3, 3]


def test_the_engine_with_the_least_to_do_for_its_size_gets_it() -> None:
    async def life(house: Household) -> None:
        house.engines[FIRST].takes = 10
        slow = asyncio.create_task(house.take(house.work()))
        await asyncio.sleep(0.1)
        for _ in range(3):
            assert await house.take(house.work()) == "work by second"
        await slow
        assert await house.take(house.work()) == "work by first"

    with_engines(life, FIRST, SECOND, alike=True)


def test_the_fallback_gets_nothing_while_the_first_works_however_busy_it_is() -> None:
    async def life(house: Household) -> None:
        await asyncio.gather(*(house.take(house.work()) for _ in range(20)))

    house = with_engines(life, concurrency=2)
    assert (len(house.engines[FIRST].given), len(house.engines[SECOND].given)) == (20, 0)


def test_only_when_the_first_s_queue_is_full_the_fallback_helps() -> None:
    async def life(house: Household) -> None:
        await asyncio.gather(*(house.take(house.work()) for _ in range(8)))

    house = with_engines(life, concurrency=1, most_waiting=3)
    assert (len(house.engines[FIRST].given), len(house.engines[SECOND].given)) == (4, 4)


def test_work_goes_to_no_engine_but_those_that_may_do_it_the_best_first() -> None:
    async def life(house: Household) -> None:
        ranks = {THIRD: 0, SECOND: 1}
        assert await house.take(house.work(among=ranks)) == "work by third"
        house.close(THIRD)
        work = house.work(among=ranks)
        assert await house.take(work) == "work by second"
        assert work.errand.degraded == "third: It restarts."
        house.close(SECOND)
        with pytest.raises(EngineDown):
            await house.take(house.work(patience=0, among=ranks))

    assert with_engines(life, FIRST, SECOND, THIRD).engines[FIRST].given == []


def test_a_client_with_a_hundred_requests_holds_up_another_by_one() -> None:
    async def life(house: Household) -> None:
        done: list[str] = []

        async def ask(client: str) -> None:
            await house.take(house.work(client=client, wait=1000))
            done.append(client)

        many = [asyncio.create_task(ask("many")) for _ in range(100)]
        await asyncio.sleep(10.5)
        await ask("one")
        assert len(done) <= 13
        await asyncio.gather(*many)

    with_engines(life, FIRST, concurrency=1)


def test_a_full_queue_says_when_to_come_again_and_is_no_illness() -> None:
    async def life(house: Household) -> None:
        await house.take(house.work())  # which takes a second, as the next will
        waiting = [asyncio.create_task(house.take(house.work())) for _ in range(11)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull, match="has its hands full") as caught:
            await house.take(house.work())
        assert caught.value.status == 429
        assert caught.value.retry_after is not None
        assert 11 <= caught.value.retry_after <= 60
        await asyncio.gather(*waiting)

    house = with_engines(life, FIRST, concurrency=1, most_waiting=10)
    assert house.suspicions == []
    assert house.engines[FIRST].executed.total() == 12


def test_who_has_waited_long_enough_is_told_and_does_no_work() -> None:
    async def life(house: Household) -> None:
        house.engines[FIRST].takes = 30
        began = house.replay._clock()
        first = asyncio.create_task(house.take(house.work("long"), "long"))
        await asyncio.sleep(1)
        with pytest.raises(QueueFull):
            await house.take(house.work("short", wait=5), "short")
        assert house.replay._clock() - began == pytest.approx(6)
        await first

    house = with_engines(life, FIRST, concurrency=1)
    assert house.engines[FIRST].given == ["long"]


def test_those_who_wait_at_an_engine_that_closes_go_elsewhere_at_once() -> None:
    async def life(house: Household) -> None:
        house.engines[FIRST].takes = 10
        asked = [asyncio.create_task(house.take(house.work(f"{n}"), f"{n}")) for n in range(4)]
        await asyncio.sleep(1)
        house.close(FIRST)
        await asyncio.gather(*asked)

    house = with_engines(life, concurrency=1)
    assert house.engines[FIRST].given == ["0"]
    assert sorted(house.engines[SECOND].given) == ["1", "2", "3"]


def test_who_waits_at_an_engine_that_is_stuck_is_let_in_by_its_twin() -> None:
    async def life(house: Household) -> None:
        house.engines[FIRST].takes = 1000
        asked = [
            asyncio.create_task(house.take(house.work(f"{n}", client=f"{n % 3}", wait=20), f"{n}"))
            for n in range(12)
        ]
        await asyncio.gather(*asked[1:])
        began = house.replay._clock()
        crowd = [asyncio.create_task(house.take(house.work(wait=20))) for _ in range(9)]
        await asyncio.gather(*crowd)
        assert house.replay._clock() - began == 9
        asked[0].cancel()
        await asyncio.gather(asked[0], return_exceptions=True)

    house = with_engines(life, alike=True, concurrency=1)
    assert house.engines[FIRST].given == ["0"]


def test_those_who_were_held_are_not_too_many_for_the_queue_when_the_engine_is_back() -> None:
    async def life(house: Household) -> None:
        house.close(FIRST, back_in=5)
        held = [asyncio.create_task(house.take(house.work(wait=1000))) for _ in range(20)]
        await asyncio.sleep(5)
        house.open(FIRST)
        await asyncio.gather(*held)

    assert with_engines(life, FIRST, concurrency=1, most_waiting=2).engines[FIRST].executed.total() == 20


def test_a_drained_engine_finishes_what_it_has_and_gets_nothing_new() -> None:
    async def life(house: Household) -> None:
        first = asyncio.create_task(house.take(house.work("before"), "before"))
        await asyncio.sleep(0.5)
        house.lanes[FIRST].drained = True
        house.replay.changed()
        assert await house.take(house.work("after"), "after") == "after by second"
        assert await first == "before by first"
        house.lanes[SECOND].drained = True
        with pytest.raises(EngineDown, match="keeps requests away") as caught:
            await house.take(house.work())
        assert caught.value.code == "service_drained"

    with_engines(life)


@given(
    st.integers(1, 3),
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0, 5), st.booleans(), st.booleans()),
        min_size=1,
        max_size=12,
    ),
)
def test_no_engine_has_more_at_once_than_it_can_and_everybody_is_answered(
    concurrency: int, arrivals: list[tuple[str, float, bool, bool]]
) -> None:
    """Clients come when they like, some leave before their turn, and now and then the first engine breaks."""
    most: Counter[str] = Counter()

    async def life(house: Household) -> None:
        async def ask(number: int, client: str, at: float) -> str:
            await asyncio.sleep(at)
            return await house.take(house.work(f"{number}", client=client, wait=1000), f"{number}")

        async def look() -> None:
            while True:
                for name, lane in house.lanes.items():
                    most[name] = max(most[name], len(lane.flights))
                await asyncio.sleep(0.05)

        looking = asyncio.create_task(look())
        house.engines[FIRST].fails = iter([broken() if breaks else None for *_, breaks in arrivals])
        asked = [
            asyncio.create_task(ask(number, client, at)) for number, (client, at, *_) in enumerate(arrivals)
        ]
        await asyncio.sleep(2)
        for task, (*_, leaves, _) in zip(asked, arrivals, strict=True):
            if leaves:
                task.cancel()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        looking.cancel()
        for number, answer in enumerate(answers):
            if not isinstance(answer, asyncio.CancelledError):
                assert str(answer).startswith(f"{number} by"), "its own answer"

    with_engines(life, concurrency=concurrency)
    assert all(there <= concurrency for there in most.values())
