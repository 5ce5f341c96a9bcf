from __future__ import annotations

import asyncio

import pytest

from spark_control.errors import QueueFull
from spark_control.trip import Trip, begin_trip, trip_of
from tests.supervision.household import FIRST, SECOND, Household, broken, with_engines


def test_a_request_that_nobody_began_has_a_trip_all_the_same():
    scope = {"type": "http"}
    assert trip_of(scope).told()["bytes_in"] == 0
    trip = Trip()
    begin_trip(scope, trip)
    assert trip_of(scope) is trip


def test_without_leave_no_content_is_kept():
    trip = Trip()
    trip.content("text", "a secret")
    assert trip.said == {}
    assert "text" not in trip.told()


def test_content_is_cut_and_moves_no_cursor():
    trip = Trip(keeps_content=True)
    trip.content("text", "\x1b[2Jgrüße\n" + "x" * 2000)
    trip.content("text", "and another")
    told = str(trip.told()["text"])
    assert told.startswith(" [2Jgrüße x")
    assert len(told) == 1000


def test_of_several_pieces_the_longest_wait_counts_and_the_first_answer():
    trip = Trip()
    for queued, engine in ((0.5, 1.0), (2.0, 3.0), (1.0, 0.1)):
        trip.waited(queued)
        trip.answered("magpie", engine)
    told = trip.told()
    assert (told["queue_ms"], told["engine_ms"]) == (2000.0, 1000.0)


def test_what_was_cut_off_says_so():
    trip = Trip()
    trip.status = 200
    assert trip.told()["cut"] is True
    assert not trip.good
    trip.whole = True
    assert "cut" not in trip.told()
    assert trip.good


def test_what_another_engine_did_is_degraded_and_replayed():
    async def life(house: Household) -> None:
        house.engines[FIRST].fails = iter([broken()])
        work = house.work()
        await house.take(work)
        trip = work.errand.trip
        assert (trip.upstream, trip.engine, trip.degraded, trip.replayed) == (SECOND, 1.0, True, True)

    with_engines(life)


def test_a_held_request_tells_how_long_it_was_held():
    async def life(house: Household) -> None:
        house.close(FIRST)
        work = house.work()
        waiting = asyncio.create_task(house.take(work))
        await asyncio.sleep(20)
        house.open(FIRST)
        await waiting
        trip = work.errand.trip
        assert (trip.upstream, trip.held, trip.engine, trip.replayed) == (FIRST, 20.0, 1.0, False)

    with_engines(life, FIRST)


def test_who_was_turned_away_at_once_was_not_held():
    trip = Trip()
    trip.was_held(0.00001)
    assert "held_ms" not in trip.told()


def test_a_queued_request_tells_how_long_it_waited_for_its_turn():
    async def life(house: Household) -> None:
        first, second = house.work("a"), house.work("b")
        await asyncio.gather(house.take(first, "a"), house.take(second, "b"))
        assert (first.errand.trip.queued, second.errand.trip.queued) == (0.0, 1.0)
        assert second.errand.trip.engine == 1.0

    with_engines(life, FIRST, concurrency=1)


def test_who_finds_the_queue_full_met_that_engine():
    async def life(house: Household) -> None:
        first, second = house.work("a"), house.work("b")
        working = asyncio.create_task(house.take(first, "a"))
        await asyncio.sleep(0.1)
        with pytest.raises(QueueFull):
            await house.take(second, "b")
        assert second.errand.trip.upstream == FIRST
        assert second.errand.trip.engine is None
        await working

    with_engines(life, FIRST, concurrency=1, most_waiting=0)
