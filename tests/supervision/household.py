"""Engines of one pool whose every step a test decides, and a watcher that does as it says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spark_control.errors import GatewayError, Unreachable, UpstreamError
from spark_control.evidence import Evidence, How
from spark_control.supervision.lane import Flight, Lane, Outlook
from spark_control.supervision.replay import Replay, Taken
from spark_control.supervision.work import Errand, Work
from spark_control.upstreams.base import TranscriptionDialect
from spark_control.upstreams.client import Upstream
from tests.virtual import upstream_named, virtually

Answered = Taken[TranscriptionDialect, str]

FIRST, SECOND = "first", "second"
WEDGED = Evidence(How.STATUS, 500, "CUBLAS_STATUS_EXECUTION_FAILED")


def broken() -> UpstreamError:
    return UpstreamError("The engine failed.").seen(WEDGED)


def refused() -> UpstreamError:
    return Unreachable("The engine cannot be reached.").seen(Evidence(How.REFUSED))


@dataclass
class Engine:
    """What an engine was given, and what it makes of the next."""

    name: str
    clock: Callable[[], float]
    takes: float = 1.0
    fails: Iterator[GatewayError | None] = field(default_factory=lambda: iter(()))
    given: list[str] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)
    executed: Counter[str] = field(default_factory=Counter)

    async def do(self, what: str, *, suspect: bool) -> str:
        self.given.append(what)
        if suspect:
            self.alone.append(what)
        error = next(self.fails, None)
        if isinstance(error, Unreachable):
            raise error
        self.executed[what] += 1
        await asyncio.sleep(self.takes)
        if error:
            raise error
        return f"{what} by {self.name}"


class Household:
    """Engines of one kind, and a watcher that closes one when it fails, and opens it when the test says so."""

    def __init__(
        self,
        clock: Callable[[], float],
        names: tuple[str, ...],
        *,
        alike: bool = False,
        concurrency: int = 1000,
        most_waiting: int = 256,
    ) -> None:
        """Unless they are `alike`, each has a lower priority than the one before it."""
        self.lanes = {
            name: Lane(
                upstream_named(name, 0 if alike else priority, concurrency), clock, most_waiting=most_waiting
            )
            for priority, name in enumerate(names)
        }
        self.engines = {name: Engine(name, clock) for name in names}
        self.replay = Replay(list(self.lanes.values()), clock)
        self.suspicions: list[str] = []
        self.accusations: list[tuple[str, str, int]] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self.closes = True
        for lane in self.lanes.values():
            lane.watcher = self

    def work(
        self,
        what: str = "work",
        patience: float = 60.0,
        *,
        client: str = "",
        wait: float = 60.0,
        among: Mapping[str, int] | None = None,
    ) -> Work:
        async def fingerprint() -> str:
            await asyncio.sleep(0)
            return what

        return Work(1.0, Errand(patience, client, wait), fingerprint, among=among)

    async def take(self, work: Work, what: str = "work") -> str:
        """Have it done, and read the answer to its end."""
        taken = await self.begin(work, what)
        taken.complete()
        return taken.value

    async def begin(self, work: Work, what: str = "work") -> Answered:
        async def attempt(upstream: Upstream[TranscriptionDialect], suspect: bool) -> str:
            return await self.engines[upstream.name].do(what, suspect=suspect)

        return await self.replay.take(work, attempt)

    def close(self, name: str, *, back_in: float | None = None, hopeless: bool = False) -> None:
        lane = self.lanes[name]
        back_at = None if back_in is None else lane.clock() + back_in
        lane.outlook = Outlook(False, "It restarts.", "service_restarting", back_at, hopeless)
        self.replay.changed()

    def open(self, name: str) -> None:
        lane = self.lanes[name]
        lane.cleared += 1
        lane.outlook = Outlook()
        self.replay.changed()

    @property
    def left_over(self) -> list[Any]:
        """What must be nothing once nobody wants anything any more."""
        lanes = self.lanes.values()
        return [*self.replay._waiting, *(each for lane in lanes for each in lane.flights)] + [
            waiting for lane in lanes for waiting in (lane.held, lane.queued, lane._promised) if waiting
        ]

    # The watcher.

    def suspected(self, lane: Lane[Any], flight: Flight, evidence: Evidence) -> bool:
        self.suspicions.append(lane.name)
        if self.closes and lane.outlook.open:
            self.close(lane.name)
        return lane.was_alone(flight)

    def accused(self, lane: Lane[Any], flight: Flight, fingerprint: str, strikes: int) -> None:
        self.accusations.append((lane.name, fingerprint, strikes))

    def absolved(self, lane: Lane[Any], fingerprint: str) -> None:
        lane.struck.discard(fingerprint)

    def succeeded(self, lane: Lane[Any], flight: Flight) -> None:
        pass

    def doubted(self, lane: Lane[Any], reason: str) -> None:
        pass

    def count(self, lane: Lane[Any], what: str) -> None:
        self.counts[lane.name, what] += 1


def with_engines(life: Callable[[Household], Awaitable[None]], *names: str, **how: Any) -> Household:
    """Let `life` go on. Nothing may be left over from it."""

    async def main() -> Household:
        house = Household(asyncio.get_running_loop().time, names or (FIRST, SECOND), **how)
        await life(house)
        assert house.left_over == []
        return house

    return virtually(main())
