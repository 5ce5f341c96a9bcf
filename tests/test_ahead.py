"""Work done ahead, handed out in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.ahead import in_order


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers()), max_size=5), max_size=8),
    st.integers(1, 4),
    st.integers(0, 3),
)
def test_pieces_come_in_order_whatever_takes_long_and_never_too_many_are_under_way(
    items, concurrency, slowness
):
    """An item is a list of (turns of the loop to wait, piece)."""
    at_once = most_at_once = begun = 0

    async def work(item: list[tuple[int, int]]) -> AsyncGenerator[int, None]:
        nonlocal at_once, most_at_once, begun
        begun += 1
        at_once += 1
        most_at_once = max(most_at_once, at_once)
        for turns, piece in item:
            for _ in range(turns):
                await asyncio.sleep(0)
            yield piece
        at_once -= 1

    async def scenario() -> list[int]:
        got = []
        async for piece in in_order(items, work, concurrency):
            got.append(piece)
            for _ in range(slowness):
                await asyncio.sleep(0)
        return got

    assert asyncio.run(scenario()) == [piece for item in items for _, piece in item]
    assert most_at_once <= concurrency
    assert begun == len(items)


def test_work_does_not_run_away_from_one_who_is_slow():
    begun = []

    async def work(item: int) -> AsyncGenerator[int, None]:
        begun.append(item)
        yield item

    async def scenario() -> None:
        pieces = in_order(range(100), work, 2)
        assert await anext(pieces) == 0
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(begun) <= 4
        await pieces.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize("fails_at", [0, 1, 4])
def test_a_failure_comes_in_its_turn_and_ends_the_rest(fails_at):
    ended = []

    async def work(item: int) -> AsyncGenerator[int, None]:
        try:
            await asyncio.sleep(0)
            if item == fails_at:
                raise ZeroDivisionError
            yield item
        finally:
            ended.append(item)

    got: list[int] = []

    async def scenario() -> None:
        async for piece in in_order(range(10), work, 3):
            got.append(piece)  # noqa: PERF401 (what came before the failure counts)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(scenario())
    assert got == list(range(fails_at))
    assert max(ended) < 10


def test_who_stops_listening_ends_the_work_under_way():
    ended = []

    async def work(item: int) -> AsyncGenerator[int, None]:
        try:
            yield item
            await asyncio.sleep(3600)
        finally:
            ended.append(item)

    async def scenario() -> None:
        pieces = in_order(range(3), work, 2)
        await anext(pieces)
        await asyncio.sleep(0)
        await pieces.aclose()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scenario())
    assert 0 in ended
