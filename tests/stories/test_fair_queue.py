"""More clients than an engine can serve at once: each gets its own answer, and its fair share.

Clients come from addresses of their own (127.0.1.1, 127.0.1.2, …), as those of a house do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.supervised import Execution
from tests.wedges import Doing, Request, Speaking, Transcribing, household, upstreams_of

pytestmark = pytest.mark.alone

CLIENTS, GREEDY, AT_ONCE = 64, 4, 4
TAKES = 0.03
SECONDS = 6.0
EACH_OF_THE_GREEDY = 16
"""Requests that a greedy client has under way at any time; the others have one."""

FAIR = 1.5


class House:
    """All clients, each at an address of its own, until time is up."""

    def __init__(self, doing: Doing, url: str) -> None:
        self._doing = doing
        self._url = url
        self._number = 0
        self.end = time.monotonic() + SECONDS
        self.client_of: dict[str, int] = {}
        """Who asked for what, by the fingerprint that the engine notes."""
        self.wrong: list[str] = []

    async def live(self) -> None:
        await asyncio.gather(*(self._client(client) for client in range(CLIENTS)))

    async def _client(self, client: int) -> None:
        connector = aiohttp.TCPConnector(local_addr=(f"127.0.1.{client + 1}", 0), limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            lines = EACH_OF_THE_GREEDY if client < GREEDY else 1
            await asyncio.gather(*(self._ask_on(session, client) for _ in range(lines)))

    async def _ask_on(self, session: aiohttp.ClientSession, client: int) -> None:
        while time.monotonic() < self.end:
            self._number += 1
            request = Request(client, self._number)
            self.client_of[self._doing.sha256(request)] = client
            wrong = await self._doing.ask(session, self._url, request, {})
            if wrong:
                self.wrong.append(wrong)


def most_at_once(done: Sequence[Execution]) -> int:
    """Of the pieces of work that an engine was given, how many it had at the same moment."""
    steps = [(each.start, 1) for each in done] + [(each.end or each.start, -1) for each in done]
    there = most = 0
    for _, step in sorted(steps):
        there += step
        most = max(most, there)
    return most


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@pytest.mark.parametrize("doing", [Transcribing(), Speaking()], ids=["hear", "speak"])
def test_sixty_four_clients_each_get_their_own_answers_and_a_fair_share(tmp_path: Path, doing: Doing) -> None:
    with household(tmp_path, [doing.kind], engine={"takes": TAKES}, concurrency=AT_ONCE) as (url, engines):
        house = House(doing, url)
        asyncio.run(house.live())
        assert upstreams_of(url)[0]["state"] == "healthy"
        done = engines[0].executions()

    assert house.wrong == []
    assert most_at_once(done) == AT_ONCE
    assert engines[0].restarts == 0
    # In the time that a fair share takes, the engine serves each client once. Counted in what it did meanwhile, which
    # a busy machine does not change.
    rounds = [gap / CLIENTS for gap in gaps([house.client_of[each.sha256] for each in done])]
    assert percentile(rounds, 0.99) <= FAIR


def gaps(served: Sequence[int]) -> list[int]:
    """For each modest client, how many pieces of work the engine began from one of its own to the next."""
    last: dict[int, int] = {}
    found = []
    for place, client in enumerate(served):
        if client in last and client >= GREEDY:
            found.append(place - last[client])
        last[client] = place
    return found
