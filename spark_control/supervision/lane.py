"""One engine as the requests meet it: open or closed, who is there, who waits for a turn, and who to be there alone."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from spark_control.errors import UpstreamError
from spark_control.evidence import Evidence, How
from spark_control.supervision.forecast import Pace
from spark_control.supervision.turns import Turns
from spark_control.supervision.work import Work
from spark_control.upstreams.base import Dialect
from spark_control.upstreams.client import Upstream

DialectT = TypeVar("DialectT", bound=Dialect, covariant=True)

_UNMEASURED_STAY = 5.0
"""Seconds that a request is believed to be there until one has been."""

_LEARNS = 0.2


@dataclass(frozen=True, slots=True)
class Outlook:
    """What those can be told whom an engine turns away."""

    open: bool = True
    sentence: str = ""
    code: str = "service_unavailable"
    back_at: float | None = None
    """When it should work again, by the lane's clock; None if nobody knows."""
    hopeless: bool = False
    """Whether waiting is of no use: a person has to do something first."""


class LaneClosed(Exception):
    """The engine has been closed to requests while this one waited for its turn."""


class Watcher(Protocol):
    """Who is told of what requests met. DeepHealth is."""

    def suspected(self, lane: Lane[Any], flight: Flight, evidence: Evidence) -> bool:
        """A request failed in a way that may be the engine's fault. Whether it alone can have been the cause."""

    def accused(self, lane: Lane[Any], flight: Flight, fingerprint: str, strikes: int) -> None:
        """The trouble began while the engine had nothing but the work of this fingerprint."""

    def absolved(self, lane: Lane[Any], fingerprint: str) -> None:
        """The work of this fingerprint has been done well, so it is no poison."""

    def succeeded(self, lane: Lane[Any], flight: Flight) -> None:
        """A request got its answer from an engine that is not known to be healthy."""

    def doubted(self, lane: Lane[Any], reason: str) -> None:
        """An answer was odd, and no failure: silence for words, no words for sound."""

    def count(self, lane: Lane[Any], what: str) -> None:
        """A request was `held`, `replayed`, `degraded` or `failed` on account of this engine."""


class Flight:
    """A work's stay at an engine."""

    __slots__ = (
        "aborted",
        "ahead",
        "began",
        "begun",
        "due",
        "first",
        "lane",
        "number",
        "overdue",
        "suspect",
        "task",
        "work",
    )

    def __init__(
        self,
        lane: Lane[Any],
        work: Work,
        began: float,
        ahead: float,
        due: float,
        *,
        first: bool,
        number: int,
        suspect: bool,
    ) -> None:
        self.lane = lane
        self.work = work
        self.suspect = suspect
        self.began = began
        self.ahead = ahead
        """Seconds of sound that the engine had to work on before this was done."""
        self.due = due
        """When no answer is suspicious."""
        self.first = first
        """Whether nobody was there when it came."""
        self.number = number
        """Which arrival there it was."""
        self.begun = False
        """Whether the client has got something of its answer: from then on nobody can send it again."""
        self.overdue = False
        self.aborted = False
        self.task = asyncio.current_task()

    def abort(self) -> None:
        """End the wait for an answer that will not come, since its engine is about to be restarted."""
        if not (self.aborted or self.begun) and self.task is not None:
            self.aborted = True
            self.task.cancel()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A block in which the answer is waited for; `abort` makes it an UpstreamError."""
        try:
            yield
        except asyncio.CancelledError:
            if self.aborted and self.task is not None and not self.task.uncancel():
                # As if it had answered what engines in its state answer.
                raise UpstreamError("The engine was restarted.").seen(Evidence(How.STATUS, 500)) from None
            raise


class Lane(Generic[DialectT]):
    """The way to one engine. Only DeepHealth opens and closes it."""

    def __init__(
        self, upstream: Upstream[DialectT], clock: Callable[[], float], *, most_waiting: int = 256
    ) -> None:
        self.upstream = upstream
        self.name = upstream.name
        self.clock = clock
        self.outlook = Outlook()
        self.drained = False
        """Whether its owner keeps requests away from it."""
        self.proven = False
        """Whether it is known to be healthy, so that a success is no news."""
        self.cleared = 0
        """How often it has been found to work, after there was doubt."""
        self.last_success = float("-inf")
        self.last_use = float("-inf")
        self.flights: set[Flight] = set()
        self.held = 0
        self.quarantined: set[str] = set()
        self.struck: set[str] = set()
        """Fingerprints that have been alone there when it wedged, once."""
        self.pace = Pace()
        self.watcher: Watcher | None = None
        self._unbegun = 0
        self._ahead = 0.0
        """Works that wait for their answers to begin, and their seconds of sound."""
        self._arrivals = 0
        self._promised = 0
        """Turns that have been given to those who are not here yet."""
        self._taken = False  # by a suspect, or promised to one
        self._to_be_alone: deque[asyncio.Future[None]] = deque()
        self._queue: Turns[_Waiting] = Turns()
        self.twins: Callable[[Lane[Any]], Sequence[tuple[Lane[Any], Callable[[Work], bool]]]] = lambda _: ()
        """Other engines from whose queues it may let somebody in, and which work it may take over from each."""
        self.most_waiting = most_waiting
        """Requests that may wait for their turn."""
        self._stay = _UNMEASURED_STAY

    @property
    def open(self) -> bool:
        """Whether requests may come."""
        return self.outlook.open and not self.drained

    @property
    def queued(self) -> int:
        """Requests that wait for their turn."""
        return len(self._queue) + len(self._to_be_alone)

    @property
    def load(self) -> float:
        """How much there is to do, as a share of what it can do at once."""
        return (len(self.flights) + self._promised + self.queued) / self.upstream.concurrency

    @property
    def taken(self) -> bool:
        """Whether a suspect has it for itself, or waits to."""
        return self._taken or bool(self._to_be_alone)

    def free_for(self, work: Work) -> bool:
        """Whether `enter` lets it in at once."""
        busy = self._unbegun or self._promised if self.name in work.suspect_on else self._to_be_alone
        return not (self._taken or busy or self._queue) and self.has_room

    def has_room_for(self, work: Work) -> bool:
        """Whether it may at least wait. Who has waited before, or been answered in part, always may."""
        return work.errand.admitted or self.free_for(work) or self.queued < self.most_waiting

    def until_free(self) -> float:
        """Seconds in which those who wait now should have had their turn."""
        return (self.queued + 1) * self._stay / self.upstream.concurrency

    async def enter(self, work: Work) -> Flight:
        """Come to the engine, at once if that may be, or else when it is this work's turn.

        A suspect waits until it can be there alone, others let it. Another
        engine may have room sooner: the flight says where it is. Raises
        LaneClosed if the engine is closed meanwhile.
        """
        if self.free_for(work):
            return self._flight(work)
        work.errand.admitted = True
        if self.name in work.suspect_on:
            await self._alone()
            return self._flight(work)
        there = await self._turn(work)
        return there._flight(work)  # noqa: SLF001 (one of its kind)

    def leave(self, flight: Flight) -> None:
        """Go, however it went. To go twice is to go once."""
        if flight not in self.flights:
            return
        self.flights.remove(flight)
        if not flight.begun:
            self._no_longer_ahead(flight)
        if flight.suspect:
            self._taken = False
        self._pump()

    def turn_away(self) -> None:
        """Send those who wait elsewhere: it has been closed."""
        waiting: list[asyncio.Future[Any]] = [*(each.turn for each in self._queue), *self._to_be_alone]
        self._queue = Turns()
        self._to_be_alone.clear()
        for turn in waiting:
            if not turn.done():
                turn.set_exception(LaneClosed)

    def answering(self, flight: Flight) -> None:
        """The first of its answer has come."""
        flight.begun = True
        self._no_longer_ahead(flight)
        self.pace.took(self.clock() - flight.began, flight.ahead)
        if self._to_be_alone:
            self._pump()

    def was_alone(self, flight: Flight) -> bool:
        """Whether no other work has been there since it came."""
        return flight.first and flight.number == self._arrivals

    def landed(self, flight: Flight) -> None:
        """It got its answer, all of it."""
        self.last_success = self.clock()
        self._stay += (self.last_success - flight.began - self._stay) * _LEARNS
        if not self.proven and self.watcher:
            self.watcher.succeeded(self, flight)

    def _flight(self, work: Work) -> Flight:
        now = self.clock()
        first = not self.flights
        self._arrivals += 1
        self._unbegun += 1
        self._ahead += work.size
        due = now + max(work.slack, self.pace.hangs_after(self._ahead))
        suspect = self.name in work.suspect_on
        self._taken = self._taken or suspect
        flight = Flight(
            self, work, now, self._ahead, due, first=first, number=self._arrivals, suspect=suspect
        )
        self.flights.add(flight)
        self.last_use = now
        return flight

    @property
    def has_room(self) -> bool:
        """Whether it works on less than it can."""
        return len(self.flights) + self._promised < self.upstream.concurrency

    async def _turn(self, work: Work) -> Lane[DialectT]:
        """Wait in the queue. The engine that has room for it is this one, or another that has taken it over."""
        waiting = _Waiting(asyncio.get_running_loop().create_future(), work, self.clock())
        self._queue.add(work.errand.client, waiting)
        try:
            there: Lane[DialectT] = await waiting.turn
        except asyncio.CancelledError:
            if _promised(waiting.turn):
                waiting.turn.result()._not_coming()  # noqa: SLF001
            else:
                with suppress(ValueError):  # it may have been sent away this very moment
                    self._queue.remove(work.errand.client, waiting)
                self._pump()
            raise
        there._promised -= 1
        return there

    def _not_coming(self) -> None:
        """Who had been promised a turn has left."""
        self._promised -= 1
        self._pump()

    async def _alone(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._to_be_alone.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if _promised(turn):
                self._taken = False
                self._promised -= 1
            elif turn in self._to_be_alone:
                self._to_be_alone.remove(turn)
            self._pump()
            raise
        self._promised -= 1

    def _pump(self) -> None:
        """Let the next suspect in if nobody is there, or others as far as there is room, if no suspect waits."""
        if self._taken:
            return
        while self._to_be_alone and not (self._unbegun or self._promised) and self.has_room:
            turn = self._to_be_alone.popleft()
            if not turn.done():  # its client may have left this very moment
                self._taken = True
                self._promise(turn)
                return
        while self.has_room and not self._to_be_alone and (waiting := self._next()):
            if not waiting.turn.done():
                self._promise(waiting.turn)

    def _next(self) -> _Waiting | None:
        """Whose turn it is: here, or at a twin where somebody has waited longer, since that one may be stuck."""
        queues: list[tuple[Turns[_Waiting], Callable[[_Waiting], bool]]] = [(self._queue, _anything)]
        for twin, may_do in self.twins(self) if self.open else ():
            queues.append((twin._queue, _of_work(may_do)))  # noqa: SLF001 (one of its kind)
        first = min(
            ((each.since, place) for place, (queue, fits) in enumerate(queues) for each in queue.peek(fits)),
            default=None,
        )
        if first is None:
            return None
        queue, fits = queues[first[1]]
        (waiting,) = queue.first_that(fits)
        return waiting

    def _promise(self, turn: asyncio.Future[Any]) -> None:
        self._promised += 1
        turn.set_result(self)

    def _no_longer_ahead(self, flight: Flight) -> None:
        self._unbegun -= 1
        self._ahead = self._ahead - flight.work.size if self._unbegun else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A work that waits for its turn, which is an engine, `since` when."""

    turn: asyncio.Future[Lane[Any]]
    work: Work
    since: float


def _anything(_: _Waiting) -> bool:
    return True


def _of_work(may_do: Callable[[Work], bool]) -> Callable[[_Waiting], bool]:
    return lambda waiting: may_do(waiting.work)


def _promised(turn: asyncio.Future[Any]) -> bool:
    """Whether its turn has been given to it."""
    return turn.done() and not turn.cancelled() and turn.exception() is None
