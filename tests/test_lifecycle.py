"""What the gateway knows of itself: by this a watchdog is petted, or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from structlog.testing import capture_logs

from spark_control.deep_health import DeepHealth
from spark_control.history import History
from spark_control.lifecycle import Lifecycle
from spark_control.measuring import Measuring
from spark_control.server import create_app
from spark_control.settings import Settings
from spark_control.store import Store
from spark_control.supervision.care import House
from spark_control.supervision.chronicle import Announcements
from tests.live import eventually, serving
from tests.virtual import Machine, VirtualLoop


def test_the_watcher_lives_for_as_long_as_its_clock_ticks():
    """And before it is started; a tick may take a minute, since a disk may."""
    machine = Machine()
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(machine)) as runner:
        loop = runner.get_loop()
        store = Store.open(None, machine.stamp)
        watcher = DeepHealth(
            [],
            House(store, machine.stamp, loop.time),
            Announcements(),
            [],
            history=History(store, lambda: machine.wall),
            measuring=Measuring(loop.time),
        )

        async def live_and_get_stuck() -> None:
            await asyncio.sleep(3600)
            assert watcher.lives()
            watching = asyncio.create_task(watcher.run_forever())
            await asyncio.sleep(3600)
            assert watcher.lives()
            watching.cancel()
            await asyncio.sleep(59)
            assert watcher.lives()
            await asyncio.sleep(2)
            assert not watcher.lives()

        runner.run(live_and_get_stuck())
        store.close()


def gateway(lifecycle: Lifecycle, engines_ready: Callable[[], Awaitable[None]]) -> object:
    return create_app(Settings(), lifecycle=lifecycle, engines_ready=engines_ready)


def test_engines_that_are_still_loading_are_no_reason_to_end_it():
    async def loading() -> None:
        await asyncio.sleep(3600)

    lifecycle = Lifecycle()
    with serving(gateway(lifecycle, loading)) as url:
        assert httpx.get(f"{url}/readyz").status_code == 503
        assert lifecycle.lives()
        assert lifecycle.sentence() == "It is starting."
    assert lifecycle.lives()


def test_when_the_watcher_dies_the_log_says_why_and_the_gateway_no_longer_counts_as_alive():
    async def failing() -> None:
        raise RuntimeError("the moon is full")

    lifecycle = Lifecycle()
    with capture_logs() as logs, serving(gateway(lifecycle, failing)) as url:
        eventually(lambda: not lifecycle.lives())
        answer = httpx.get(f"{url}/healthz")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_alive")
    [died] = [line for line in logs if line["event"] == "watcher died"]
    assert died["log_level"] == "error"
    assert str(died["exc_info"]) == "the moon is full"


@pytest.mark.parametrize("inherited", [True, False])
def test_new_work_is_turned_away_where_nobody_else_takes_it(inherited):
    lifecycle = Lifecycle(inherited=inherited)
    assert not lifecycle.turns_away
    lifecycle.draining = True
    assert lifecycle.turns_away is not inherited
    assert lifecycle.sentence() == "It is stopping; requests under way: 0."
    lifecycle.end()
    assert lifecycle.turns_away
