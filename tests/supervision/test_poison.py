"""What wedges an engine counts at once, whatever the disk does, and is known to the gateway after this one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from spark_control.store import Store
from spark_control.store.errors import Unwritable
from spark_control.supervision.lane import Flight, Lane
from spark_control.supervision.poison import Poison
from tests.store.opening import opened
from tests.supervision.household import FIRST, Household

DAY = 24 * 3600.0


class Scene:
    """An engine, what is known of its poison, and the day it is."""

    def __init__(self, store: Store) -> None:
        self.house = Household(lambda: 0.0, (FIRST,))
        self.lane: Lane[Any] = self.house.lanes[FIRST]
        self.wall = 1000.0
        self.poison = Poison(self.lane, store, lambda: self.wall)
        self.poison.remember()

    async def wedge(self, fingerprint: str, strikes: int = 1) -> bool:
        """The engine wedges with this and nothing else."""
        flight: Flight = await self.lane.enter(self.house.work(fingerprint))
        self.poison.trouble_began(flight)
        self.poison.accuse(flight, fingerprint, strikes)
        self.lane.leave(flight)
        return self.poison.convict()


def scene(store: Store, story: Callable[[Scene], Awaitable[None]]) -> None:
    async def told() -> None:
        await story(Scene(store))

    asyncio.run(told())


class Stalled:
    """A disk that does not come back until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked: list[str] = []

    def strikes(self, service: str, since_wall: float) -> dict[str, int]:
        return {}

    def quarantined(self, service: str, wall: float) -> set[str]:
        return set()

    def __getattr__(self, name: str) -> Callable[..., None]:
        def write(*values: object) -> None:
            assert self.let_go.wait(30)
            self.asked.append(name)

        return write


def test_a_disk_that_stalls_holds_nobody_up() -> None:
    disk = Stalled()

    async def story(at: Scene) -> None:
        assert [await at.wedge("a"), await at.wedge("a")] == [False, True]
        at.poison.absolve("b")
        assert at.lane.quarantined == {"a"}
        saving = asyncio.create_task(at.poison.save())
        await asyncio.sleep(0.05)
        assert not saving.done()
        disk.let_go.set()
        await saving

    scene(cast("Store", disk), story)
    assert disk.asked == ["strike", "strike", "quarantine", "absolve"]


def test_the_next_gateway_knows_it(tmp_path: Path) -> None:
    async def before(at: Scene) -> None:
        await at.wedge("twice", 2)
        await at.wedge("once")
        await at.wedge("absolved")
        at.poison.absolve("absolved")
        await at.poison.save()

    async def after(at: Scene) -> None:
        assert at.lane.quarantined == {"twice"}
        assert at.lane.struck == {"twice", "once"}
        assert await at.wedge("once")
        assert not await at.wedge("absolved")

    with opened(tmp_path) as store:
        scene(store, before)
    with opened(tmp_path) as store:
        scene(store, after)


def test_what_the_store_has_not_got_yet_survives_a_look_at_it(tmp_path: Path) -> None:
    async def story(at: Scene) -> None:
        looking = asyncio.create_task(at.poison.refresh())
        await asyncio.sleep(0)  # it has begun to look
        await at.wedge("a", 2)
        await looking
        assert at.lane.quarantined == {"a"}
        await at.poison.refresh()
        assert at.lane.quarantined == {"a"}

    with opened(tmp_path) as store:
        scene(store, story)


def test_a_day_later_it_is_tried_again(tmp_path: Path) -> None:
    async def story(at: Scene) -> None:
        await at.wedge("a", 2)
        at.wall += DAY + 1
        await at.poison.refresh()
        assert (at.lane.quarantined, at.lane.struck) == (set(), set())

    with opened(tmp_path) as store:
        scene(store, story)


@pytest.mark.parametrize("strikes", [1, 2])
def test_a_store_that_takes_nothing_spares_the_engine_all_the_same_and_is_asked_again(
    tmp_path: Path, strikes: int
) -> None:
    class Refusing:
        def __init__(self, store: Store) -> None:
            self.store = store
            self.refuses = True

        def __getattr__(self, name: str) -> Callable[..., object]:
            does: Callable[..., object] = getattr(self.store, name)

            def unless_refused(*values: object) -> object:
                if self.refuses and name in ("strike", "quarantine", "absolve"):
                    raise Unwritable(name)
                return does(*values)

            return unless_refused

    async def story(at: Scene) -> None:
        assert await at.wedge("a", strikes) == (strikes == 2)
        for _ in range(2):
            await at.poison.refresh()
            assert (at.lane.struck, "a" in at.lane.quarantined) == ({"a"}, strikes == 2)
        disk.refuses = False
        await at.poison.refresh()
        assert store.strikes(FIRST, 0) == {"a": strikes}
        assert ("a" in store.quarantined(FIRST, 0)) == (strikes == 2)

    with opened(tmp_path) as store:
        disk = Refusing(store)
        scene(cast("Store", disk), story)
