from __future__ import annotations

import asyncio
import math
import sqlite3
from contextlib import closing, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.history import History
from spark_control.store import Store, StoreError
from spark_control.store.database import Database
from spark_control.store.records import Sample
from tests.conftest import engines
from tests.fakes.faults import Fault
from tests.live import eventually

QUARTER = 900.0
DAY = 86_400.0
NOON = 1_000_000 * QUARTER
BROKEN = Fault(500, b'{"detail": "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"}')


class Wall:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def history(wall):
    return History(Store.open(None), wall)


def saved(history: History) -> None:
    """What it does as its gateway ends."""

    async def a_moment() -> None:
        keeping = asyncio.create_task(history.keep())
        await asyncio.sleep(0)
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping

    asyncio.run(a_moment())


def test_each_part_of_the_time_has_the_mean_of_its_values(history, wall):
    history.add("gpu", 10)
    history.add("gpu", 20)
    wall.now += 2 * QUARTER
    history.add("gpu", 7)
    assert history.since("gpu", 4 * QUARTER, 4) == [None, 15.0, None, 7.0]
    assert history.times("gpu", 4 * QUARTER, 4) == [0, 2, 0, 1]


def test_parts_begin_at_round_times_so_that_nothing_moves_between_two_looks(history, wall):
    history.add("gpu", 1)
    shown = history.since("gpu", DAY, 96)
    wall.now += QUARTER - 1
    assert history.since("gpu", DAY, 96) == shown
    wall.now += 1
    assert history.since("gpu", DAY, 96) == [*shown[1:], None]


def test_a_series_that_nobody_knows_is_empty(history):
    assert history.since("none", DAY, 96) == [None] * 96
    assert history.times("none", DAY, 96) == [0] * 96


def test_another_gateway_on_the_same_folder_goes_on_where_the_first_ended(tmp_path, wall):
    with closing(Store.open(tmp_path)) as store:
        first = History(store, wall)
        first.add("gpu", 10)
        first.add("gpu", 30)
        saved(first)
    with closing(Store.open(tmp_path)) as store:
        second = History(store, wall)
        second.add("gpu", 50)
        assert second.since("gpu", DAY, 96)[-1] == 30.0
        assert second.times("gpu", DAY, 96)[-1] == 3
        saved(second)
        assert [each.times for each in store.samples(0)] == [3]


def test_what_is_older_than_a_day_is_forgotten_in_memory_and_on_disk(wall):
    store = Store.open(None)
    history = History(store, wall)
    history.add("old", 1)
    saved(history)
    wall.now += DAY + 60
    history.add("new", 1)
    saved(history)
    assert [each.series for each in store.samples(0)] == ["new"]
    assert history.since("old", 2 * DAY, 4) == [None] * 4


def test_a_clock_that_is_set_back_leaves_nothing_in_the_future(wall):
    store = Store.open(None)
    wall.now += 365 * DAY
    history = History(store, wall)
    history.add("gpu", 1)
    saved(history)
    wall.now -= 365 * DAY
    assert History(store, wall).since("gpu", DAY, 96) == [None] * 96
    history.add("gpu", 2)
    saved(history)
    assert [each.total for each in store.samples(0)] == [2.0]


def test_no_more_than_so_many_series_are_kept(history):
    for number in range(1000):
        history.add(f"series {number}", 1)
    assert history.times("series 127", DAY, 1) == [1]
    assert history.times("series 128", DAY, 1) == [0]


@given(st.lists(st.floats()))
def test_whatever_is_added_what_is_shown_is_a_number_or_nothing(values):
    history = History(Store.open(None), Wall())
    for value in values:
        history.add("odd", value)
    [mean] = history.since("odd", QUARTER, 1)
    assert mean is None or math.isfinite(mean)


class Full(Store):
    """Its disk is full until it is not."""

    full = True

    def save_samples(self, samples, oldest, newest):
        if self.full:
            raise StoreError("No space left.")
        super().save_samples(samples, oldest, newest)

    def samples(self, oldest):
        if self.full:
            raise StoreError("No space left.")
        return super().samples(oldest)


def test_a_store_that_fails_costs_nothing_but_what_a_restart_would_lose(wall):
    store = Full(Database.in_memory())
    history = History(store, wall)
    history.add("gpu", 4)
    saved(history)
    assert history.since("gpu", DAY, 1) == [4.0]
    store.full = False
    saved(history)
    assert len(store.samples(0)) == 1


def test_a_file_of_an_older_version_gets_its_table(tmp_path):
    Store.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "spark-control.db")) as older:
        older.executescript("DROP TABLE samples; PRAGMA user_version = 2;")
    with closing(Store.open(tmp_path)) as store:
        store.save_samples([Sample("gpu", 5, 1.0, 1)], 0, 9)
        assert store.samples(0) == [Sample("gpu", 5, 1.0, 1)]


def test_the_canaries_of_a_day_are_shown_with_each_engine(gateway):
    def probes():
        return [engine["probes"] for engine in engines(gateway)]

    eventually(lambda: all(any(each["seconds"][-2:]) for each in probes()))
    for each in probes():
        assert each["hours"] == 24
        assert len(each["seconds"]) == len(each["failed"]) == 96
        assert sum(each["failed"]) == 0


def test_a_canary_that_failed_is_counted(gateway_with, parakeet):
    with gateway_with() as client:
        parakeet.fault = BROKEN
        client.post("/api/upstreams/parakeet/probe")
        eventually(lambda: sum(engines(client)[0]["probes"]["failed"]))
