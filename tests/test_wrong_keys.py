"""Whoever shows wrong keys: how long that takes, and how little of it is remembered."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from spark_control.errors import RateLimited
from spark_control.wrong_keys import WrongKeys, source_of


class Time:
    """A clock, and the sleep that moves it on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def wrong_keys(time):
    return WrongKeys(time, time.sleep)


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("10.0.0.9", "10.0.0.9"),
        ("::1", "::1"),
        ("::ffff:10.0.0.9", "10.0.0.9"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (":nonsense", "?"),
        ("", ""),
    ],
)
def test_an_ipv6_network_is_one_client(host, source):
    assert source_of(host) == source


async def shown(wrong_keys: WrongKeys, source: str = "10.0.0.9", times: int = 1) -> None:
    for _ in range(times):
        await wrong_keys.slow_down(source)


def test_a_wrong_key_costs_a_moment_and_is_logged_with_its_address(wrong_keys, time):
    with capture_logs() as logs:
        asyncio.run(shown(wrong_keys, times=2))

    assert time.slept == [0.25, 0.25]
    assert [(each["event"], each["address"], each["failures"]) for each in logs] == [
        ("key refused", "10.0.0.9", 1),
        ("key refused", "10.0.0.9", 2),
    ]


def test_the_seventh_within_a_minute_is_told_to_wait_until_the_first_is_forgotten(wrong_keys, time):
    asyncio.run(shown(wrong_keys, times=6))
    time.now = 20.5
    with capture_logs() as logs, pytest.raises(RateLimited) as refused:
        asyncio.run(shown(wrong_keys))

    assert refused.value.retry_after == 40
    assert refused.value.headers["x-should-retry"] == "false", "an SDK would come again with the same key"
    assert logs == [], "a flood of wrong keys is none of log lines"
    asyncio.run(shown(wrong_keys, "10.0.0.8"))
    time.now = 60.0
    asyncio.run(shown(wrong_keys))


def test_what_a_source_got_wrong_is_forgotten_after_a_minute(wrong_keys, time):
    for _ in range(6):
        wrong_keys.add("10.0.0.9")
    assert wrong_keys.wait("10.0.0.9") == 60
    assert wrong_keys.wait("10.0.0.8") == 0
    time.now = 61.0
    assert wrong_keys.wait("10.0.0.9") == 0
    assert wrong_keys.add("10.0.0.9") == 1


def test_a_hundred_thousand_addresses_are_not_remembered(wrong_keys):
    for number in range(100_000):
        wrong_keys.add(f"2001:db8:{number:x}::/64")

    assert len(wrong_keys) <= 4096
    assert wrong_keys.add("2001:db8:1869f::/64") == 2, "the latest are"


def test_a_crowd_of_wrong_keys_does_not_fill_the_house_with_sleepers(time):
    async def crowd() -> int:
        sleeping, most, over = 0, 0, asyncio.Event()

        async def sleep(_: float) -> None:
            nonlocal sleeping, most
            sleeping += 1
            most = max(most, sleeping)
            await over.wait()
            sleeping -= 1

        wrong_keys = WrongKeys(time, sleep)
        async with asyncio.TaskGroup() as group:
            for number in range(500):
                group.create_task(wrong_keys.slow_down(f"10.0.{number // 250}.{number % 250}"))
            await asyncio.sleep(0.01)
            over.set()
        return most

    assert asyncio.run(crowd()) == 64
