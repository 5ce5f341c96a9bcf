from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.errors import UpstreamError
from spark_control.supervision.lane import Flight, Lane
from spark_control.supervision.work import Errand, Work
from spark_control.upstreams.base import TranscriptionDialect
from tests.virtual import upstream_named, virtually

NAME = "parakeet"
SUSPECT, ORDINARY = True, False


def work(suspect: bool = ORDINARY, size: float = 1.0) -> Work:
    async def fingerprint() -> str:
        return ""

    piece = Work(size, Errand(60.0), fingerprint)
    if suspect:
        piece.suspect_on.add(NAME)
    return piece


@dataclass
class Street:
    """A lane, and a note of who was there when."""

    lane: Lane[TranscriptionDialect]
    came: list[str] = field(default_factory=list)
    there: dict[str, bool] = field(default_factory=dict)
    crowded: list[dict[str, bool]] = field(default_factory=list)

    async def visit(self, name: str, *, suspect: bool = ORDINARY, stay: float = 1.0) -> None:
        flight = await self.lane.enter(work(suspect))
        self.came.append(name)
        self.there[name] = suspect
        if len(self.there) > 1 and any(self.there.values()):
            self.crowded.append(dict(self.there))
        try:
            await asyncio.sleep(stay)
        finally:
            del self.there[name]
            self.lane.leave(flight)


def on_a_street(life: Callable[[Street], Awaitable[None]]) -> Street:
    """Let `life` go on there. Nobody may be left over."""

    async def main() -> Street:
        street = Street(Lane(upstream_named(NAME), asyncio.get_running_loop().time))
        await life(street)
        assert street.crowded == []
        await asyncio.wait_for(street.visit("the next suspect", suspect=SUSPECT, stay=0), 0.01)
        await asyncio.wait_for(street.visit("the next", stay=0), 0.01)
        assert street.lane.flights == set()
        return street

    return virtually(main())


def later(seconds: float, what: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    async def wait() -> None:
        await asyncio.sleep(seconds)
        await what

    return asyncio.create_task(wait())


def test_ordinary_work_goes_to_the_engine_together() -> None:
    async def life(street: Street) -> None:
        began = street.lane.clock()
        await asyncio.gather(*(street.visit(f"{n}") for n in range(10)))
        assert street.lane.clock() - began == 1

    assert on_a_street(life).came[:10] == [f"{n}" for n in range(10)]


def test_a_suspect_is_alone_and_waits_for_those_who_are_there() -> None:
    async def life(street: Street) -> None:
        await asyncio.gather(
            street.visit("ordinary", stay=5),
            later(1, street.visit("suspect", suspect=SUSPECT)),
            later(2, street.visit("late")),
        )

    assert on_a_street(life).came[:3] == ["ordinary", "suspect", "late"]


def test_suspects_go_one_after_the_other_in_the_order_they_came() -> None:
    async def life(street: Street) -> None:
        began = street.lane.clock()
        await asyncio.gather(*(street.visit(f"{n}", suspect=SUSPECT) for n in range(4)))
        assert street.lane.clock() - began == 4

    assert on_a_street(life).came[:4] == ["0", "1", "2", "3"]


def test_at_the_cure_ordinary_work_goes_first() -> None:
    """All come in one moment, as the held do when their engine opens: those who came first are let in first."""

    async def life(street: Street) -> None:
        await asyncio.gather(
            street.visit("ordinary"),
            street.visit("ordinary too"),
            street.visit("suspect", suspect=SUSPECT),
        )

    assert on_a_street(life).came[:3] == ["ordinary", "ordinary too", "suspect"]


def test_to_leave_twice_is_to_leave_once() -> None:
    async def life(street: Street) -> None:
        lane = street.lane
        first = await lane.enter(work(SUSPECT))
        lane.leave(first)
        second = await lane.enter(work(SUSPECT))
        lane.leave(first)
        waiting = asyncio.create_task(street.visit("ordinary"))
        await asyncio.sleep(10)
        assert street.came == []
        lane.leave(second)
        await waiting

    on_a_street(life)


def test_who_gives_up_waiting_stands_in_nobodys_way() -> None:
    async def life(street: Street) -> None:
        there = later(0, street.visit("ordinary", stay=5))
        suspect = later(1, street.visit("suspect", suspect=SUSPECT))
        behind = later(2, street.visit("behind", stay=0))
        await asyncio.sleep(3)
        suspect.cancel()
        await asyncio.wait_for(behind, 0.01)
        await asyncio.gather(there, suspect, return_exceptions=True)

    assert on_a_street(life).came[:2] == ["ordinary", "behind"]


@pytest.mark.parametrize("first", ["goes", "gives up"])
@pytest.mark.parametrize("suspect", [SUSPECT, ORDINARY])
def test_who_gives_up_in_the_moment_the_way_is_free_hands_it_on(first: str, suspect: bool) -> None:
    async def life(street: Street) -> None:
        lane = street.lane
        there = await lane.enter(work(SUSPECT))
        leaving = asyncio.create_task(street.visit("leaving", suspect=suspect))
        after = asyncio.create_task(street.visit("after", suspect=suspect))
        behind = asyncio.create_task(street.visit("behind"))
        await asyncio.sleep(1)
        if first == "goes":
            lane.leave(there)  # the way is promised to one who will never go it
            leaving.cancel()
        else:
            leaving.cancel()  # who has given up stands there still
            lane.leave(there)
        await asyncio.wait_for(after, 2)
        await asyncio.wait_for(behind, 2)

    assert on_a_street(life).came[:2] == ["after", "behind"]


def test_who_is_there_with_others_is_not_alone_even_when_they_have_left() -> None:
    async def life(street: Street) -> None:
        lane = street.lane
        first = await lane.enter(work())
        assert lane.was_alone(first)
        second = await lane.enter(work())
        lane.leave(second)
        third = await lane.enter(work())
        lane.leave(first)
        assert not any(lane.was_alone(each) for each in (first, second, third))
        lane.leave(third)
        fourth = await lane.enter(work())
        assert lane.was_alone(fourth)
        lane.leave(fourth)

    on_a_street(life)


def test_an_answer_is_due_later_the_more_there_is_ahead_of_it() -> None:
    async def life(street: Street) -> None:
        lane, now = street.lane, street.lane.clock()
        first, second = await lane.enter(work(size=10)), await lane.enter(work(size=20))
        assert [(each.ahead, each.due - now) for each in (first, second)] == [(10, 40), (30, 120)]
        lane.answering(first)
        third = await lane.enter(work(size=5))
        assert third.ahead == 25
        for flight in (first, second, third):
            lane.leave(flight)

    on_a_street(life)


def test_an_aborted_wait_is_an_engine_that_broke_off_and_nothing_else_is() -> None:
    async def life(street: Street) -> None:
        async def wait() -> None:
            flight = await street.lane.enter(work())
            try:
                with flight.waiting():
                    await asyncio.sleep(60)
            finally:
                street.lane.leave(flight)

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(1)
        (flight,) = street.lane.flights
        flight.abort()
        flight.abort()
        with pytest.raises(UpstreamError):
            await waiting
        gone = asyncio.create_task(wait())
        await asyncio.sleep(1)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone

    on_a_street(life)


def test_who_has_been_aborted_and_then_leaves_has_left() -> None:
    async def life(street: Street) -> None:
        flights: list[Flight] = []

        async def wait() -> None:
            flights.append(await street.lane.enter(work()))
            try:
                with flights[0].waiting():
                    await asyncio.sleep(60)
            finally:
                street.lane.leave(flights[0])

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(1)
        flights[0].abort()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    on_a_street(life)


def test_what_has_begun_to_answer_is_not_aborted() -> None:
    async def life(street: Street) -> None:
        flight = await street.lane.enter(work())
        street.lane.answering(flight)
        flight.abort()
        await asyncio.sleep(1)
        street.lane.leave(flight)

    on_a_street(life)


@dataclass(frozen=True)
class Visit:
    """Somebody who comes, stays, and perhaps gives up some time after coming."""

    comes: float
    stays: float
    suspect: bool
    gives_up: float | None


# Whole seconds, so that much happens in the same moment.
visits = st.builds(
    Visit,
    st.integers(0, 6),
    st.integers(0, 3),
    st.booleans(),
    st.none() | st.none() | st.integers(0, 4),
)


@given(st.lists(visits, max_size=12))
def test_whoever_comes_and_goes_suspects_are_alone_and_nobody_is_forgotten(crowd: list[Visit]) -> None:
    async def life(street: Street) -> None:
        async def visit(name: str, each: Visit) -> None:
            with_patience = street.visit(name, suspect=each.suspect, stay=each.stays)
            async with asyncio.timeout(each.gives_up):
                await with_patience

        visiting = [later(each.comes, visit(f"{n}", each)) for n, each in enumerate(crowd)]
        results = await asyncio.wait_for(asyncio.gather(*visiting, return_exceptions=True), 6 + 3 * 12 + 1)
        for each, result in zip(crowd, results, strict=True):
            assert result is None or (isinstance(result, TimeoutError) and each.gives_up is not None)

    on_a_street(life)
