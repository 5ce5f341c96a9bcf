"""Work done ahead of the one who waits for it, and handed out in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")
PieceT = TypeVar("PieceT")


async def in_order(
    items: Iterable[ItemT], work: Callable[[ItemT], AsyncGenerator[PieceT, None]], concurrency: int
) -> AsyncGenerator[PieceT, None]:
    """The pieces that `work` makes of each item, item by item.

    At most `concurrency` items are worked on at once, and one more waits its
    turn: the worker goes on while somebody uses what is done, and never runs
    away from one who is slow.
    """
    at_once = asyncio.Semaphore(concurrency)
    left = iter(items)
    under_way: deque[_Work[PieceT]] = deque()

    def begin_next() -> None:
        for item in left:
            under_way.append(_Work(work(item), at_once))
            return

    try:
        for _ in range(concurrency + 1):
            begin_next()
        while under_way:
            async for piece in under_way[0].pieces():
                yield piece
            under_way.popleft()
            begin_next()
    finally:
        for unwanted in under_way:
            await unwanted.cancel()


class Begun(Generic[PieceT]):
    """Pieces of which the first has come already: what could fail before it, did not."""

    def __init__(self, made: AsyncGenerator[PieceT, None]) -> None:
        self._made = made
        self._first: list[PieceT] = []

    async def begin(self) -> None:
        """Wait for the first piece. Raises StopAsyncIteration if there is none, and lets go of what fails."""
        try:
            self._first.append(await anext(self._made))
        except BaseException:
            await self._made.aclose()
            raise

    async def pieces(self) -> AsyncGenerator[PieceT, None]:
        while self._first:
            yield self._first.pop()
        async for piece in self._made:
            yield piece

    async def aclose(self) -> None:
        await self._made.aclose()


class _Work(Generic[PieceT]):
    """One item being worked on, whether or not anybody waits for it yet."""

    def __init__(self, made: AsyncGenerator[PieceT, None], at_once: asyncio.Semaphore) -> None:
        # A list holds a piece; the end is None.
        self._pieces: asyncio.Queue[list[PieceT] | None] = asyncio.Queue()
        self._working = asyncio.create_task(self._run(made, at_once))

    async def _run(self, made: AsyncGenerator[PieceT, None], at_once: asyncio.Semaphore) -> None:
        try:
            async with at_once, aclosing(made):
                async for piece in made:
                    self._pieces.put_nowait([piece])
        finally:
            self._pieces.put_nowait(None)

    async def pieces(self) -> AsyncIterator[PieceT]:
        while (held := await self._pieces.get()) is not None:
            yield held[0]
        await self._working  # raises what the work raised

    async def cancel(self) -> None:
        self._working.cancel()
        await asyncio.wait([self._working])
        if not self._working.cancelled():
            self._working.exception()  # looked at, though nobody wants it any more
