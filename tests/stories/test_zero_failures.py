"""A wedge costs nobody a request: crowds of clients, engines that wedge again and again, and not one wrong answer.

`bench/crowds.py` is the long form: five wedges of every shape.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.supervised import SupervisedEngine
from tests.wedges import Crowd, Speaking, Transcribing, check_history, household

pytestmark = pytest.mark.alone

Fault = tuple[str, dict[str, Any]]

CLIENTS, REQUESTS = 16, 1008
SHAPES: dict[str, Fault] = {
    "w1": ("w1", {}),
    "w5": ("w5", {}),
    "w6": ("w6", {}),
    "w8 before the first byte": ("w8", {"after": 0}),
    "w11": ("w11", {}),
}


async def live_through(
    url: str, crowds: Sequence[Crowd], engines: dict[str, SupervisedEngine], faults: Sequence[Fault]
) -> None:
    """Let the crowds work until they are done, while the engine of each wedges once for each of `faults`."""
    async with asyncio.timeout(200), asyncio.TaskGroup() as life:
        for crowd in crowds:
            engine = engines[crowd.doing.kind]
            life.create_task(crowd.work(url))
            wedges = [partial(engine.wedge, name, **details) for name, details in faults]
            life.create_task(crowd.wedge_now_and_then(url, engine, wedges))


def nobody_loses_a_request(folder: Path, faults: Sequence[Fault], *, patience: float, each: int) -> None:
    """Two crowds, and `each` engines of either kind, of which the first has all of `faults`."""
    crowds = [Crowd(doing, CLIENTS, REQUESTS, patience) for doing in (Transcribing(), Speaking())]
    kinds = [crowd.doing.kind for crowd in crowds for _ in range(each)]
    with household(folder, kinds) as (url, engines):
        firsts = {kind: next(engine for engine in engines if engine.kind == kind) for kind in kinds}
        asyncio.run(live_through(url, crowds, firsts, faults))
    for crowd in crowds:
        assert crowd.answers.wrong == []
        assert crowd.answers.right == len(crowd.requests()) >= 1000
        check_history(crowd, [engine for engine in engines if engine.kind == crowd.doing.kind])
        assert firsts[crowd.doing.kind].restarts == len(faults)


@pytest.mark.timeout(240)  # a hang takes thirteen seconds to be sure of
def test_five_wedges_of_each_engine_fail_none_of_two_thousand_requests(tmp_path: Path) -> None:
    nobody_loses_a_request(tmp_path, list(SHAPES.values()), patience=60, each=1)


@pytest.mark.timeout(240)
def test_with_a_second_engine_a_second_of_patience_is_enough(tmp_path: Path) -> None:
    nobody_loses_a_request(tmp_path, list(SHAPES.values()), patience=1, each=2)
