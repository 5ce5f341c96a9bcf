"""Two engines that do the same: work is shared, and either may die without costing anybody a request."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.fakes.supervised import SupervisedEngine
from tests.live import eventually
from tests.wedges import Crowd, Transcribing, check_history, household, upstreams_of

pytestmark = pytest.mark.alone

CLIENTS, REQUESTS = 16, 640


def healthy(url: str) -> bool:
    return all(each["state"] == "healthy" and not each["held"] for each in upstreams_of(url))


@pytest.mark.timeout(180)
def test_to_kill_either_ear_under_load_costs_no_request(tmp_path: Path) -> None:
    crowd = Crowd(Transcribing(), CLIENTS, REQUESTS, patience=1)

    async def killed(url: str, engine: SupervisedEngine, when: int) -> None:
        while crowd.answered < when or not await asyncio.to_thread(healthy, url):
            await asyncio.sleep(0.02)
        await asyncio.to_thread(engine.kill)

    async def one_after_the_other(url: str, engines: list[SupervisedEngine]) -> None:
        await killed(url, engines[0], REQUESTS // 4)
        await killed(url, engines[1], REQUESTS // 2)
        while crowd.answered < REQUESTS or not await asyncio.to_thread(healthy, url):
            await asyncio.sleep(0.02)
        crowd.end()

    async def life(url: str, engines: list[SupervisedEngine]) -> None:
        async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
            tasks.create_task(crowd.work(url))
            tasks.create_task(one_after_the_other(url, engines))

    with household(tmp_path, ["parakeet", "parakeet"], restart_takes=0.5) as (url, engines):
        asyncio.run(life(url, engines))
        did = [len(engine.executions()) for engine in engines]

    assert crowd.answers.wrong == []
    assert crowd.answers.right == len(crowd.requests()) >= REQUESTS
    check_history(crowd, engines)
    assert [engine.restarts for engine in engines] == [1, 1]
    assert min(did) > REQUESTS // 8, "both have had their share"


def test_a_small_model_on_the_cpu_helps_only_while_the_large_one_cannot(tmp_path: Path) -> None:
    settings = {"parakeet-1": {"priority": 1}}
    with household(tmp_path, ["parakeet", "parakeet"], each=settings) as (url, (large, small)):
        crowd = Crowd(Transcribing(), 8, 64, patience=1)
        crowd.end()
        asyncio.run(crowd.work(url))
        assert (crowd.answers.wrong, len(small.executions())) == ([], 0)

        httpx.post(f"{url}/api/upstreams/parakeet-0/drain", json={"on": True}).raise_for_status()
        before = len(large.executions())
        again = Crowd(Transcribing(), 8, 64, patience=1)
        again.end()
        asyncio.run(again.work(url))
        assert again.answers.wrong == []
        assert (len(large.executions()), len(small.executions())) == (before, 64)

        httpx.post(f"{url}/api/upstreams/parakeet-0/drain", json={"on": False}).raise_for_status()
        eventually(lambda: not upstreams_of(url)[0]["drained"])
