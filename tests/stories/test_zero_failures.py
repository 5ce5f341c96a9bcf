"""A wedge costs nobody a request: crowds of clients, engines that wedge again and again, and not one wrong answer."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.supervised import SupervisedEngine
from tests.wedges import Crowd, Speaking, Transcribing, check_history, household

CLIENTS = 16


async def live_through(
    url: str, crowds: list[Crowd], engines: dict[str, SupervisedEngine], wedges: int, *fault: Any
) -> None:
    """Let the crowds work until they are done, while the engine of each wedges again and again."""
    name, details = fault
    async with asyncio.timeout(200), asyncio.TaskGroup() as life:
        for crowd in crowds:
            engine = engines[crowd.doing.kind]
            life.create_task(crowd.work(url))
            wedge = partial(engine.wedge, name, **details)
            life.create_task(crowd.wedge_now_and_then(url, engine, wedges, wedge))


@pytest.mark.timeout(240)  # a hang takes thirteen seconds to be sure of
@pytest.mark.parametrize(
    ("fault", "details"), [("w1", {}), ("w5", {}), ("w6", {}), ("w8", {"after": 0}), ("w11", {})]
)
def test_five_wedges_of_each_engine_fail_none_of_two_thousand_requests(
    tmp_path: Path, fault: str, details: dict[str, object]
) -> None:
    crowds = [Crowd(doing, CLIENTS, 1008, patience=60) for doing in (Transcribing(), Speaking())]
    with household(tmp_path, ["parakeet", "magpie"]) as (url, engines):
        by_kind = {engine.kind: engine for engine in engines}
        asyncio.run(live_through(url, crowds, by_kind, 5, fault, details))
    for crowd in crowds:
        assert crowd.answers.wrong == []
        assert crowd.answers.right == len(crowd.requests()) >= 1000
        check_history(crowd, [by_kind[crowd.doing.kind]])
        assert by_kind[crowd.doing.kind].restarts == 5


@pytest.mark.parametrize(("fault", "details"), [("w1", {}), ("w5", {}), ("w6", {}), ("w8", {"after": 0})])
def test_with_a_second_engine_a_second_of_patience_is_enough(
    tmp_path: Path, fault: str, details: dict[str, object]
) -> None:
    crowds = [Crowd(doing, CLIENTS, 1008, patience=1) for doing in (Transcribing(), Speaking())]
    with household(tmp_path, ["parakeet", "parakeet", "magpie", "magpie"]) as (url, engines):
        firsts = {"parakeet": engines[0], "magpie": engines[2]}
        asyncio.run(live_through(url, crowds, firsts, 5, fault, details))
    for crowd in crowds:
        assert crowd.answers.wrong == []
        assert crowd.answers.right == len(crowd.requests()) >= 1000
        assert firsts[crowd.doing.kind].restarts == 5
        check_history(crowd, [engine for engine in engines if engine.kind == crowd.doing.kind])
