"""Gets a piece of work its answer: from the first engine that can, from another, or from the cured one later.

    choose -> enter -> attempt -> answer
       ^      (queue)     |
       |               failed: the watcher is told
       +-- hold <---------+        until an engine takes it, or patience ends

Of the engines that may do it, those of the best rank and priority share the
work: whichever has the least to do gets it. The others come after them.

The rules: an engine gets the same work at most twice, the second time only
after a canary has passed there; work that was there when the engine wedged
goes there alone; no answer reaches anybody but its asker.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

from spark_control.errors import (
    EngineDown,
    GatewayError,
    InvalidRequest,
    PoisonInput,
    QueueFull,
    UpstreamError,
)
from spark_control.supervision.forecast import LONGEST_PROMISE, retry_after
from spark_control.supervision.lane import DialectT, Flight, Lane, LaneClosed, Outlook
from spark_control.supervision.wedge import Verdict, verdict
from spark_control.supervision.work import MOST_EXECUTIONS, Work
from spark_control.upstreams.client import Upstream

ValueT = TypeVar("ValueT")

_MOST_HELD = 512
"""Requests of one kind that are held at once: each may keep an upload on the disk."""

_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
"""Seconds, for each time that an engine turned a work away before."""

_EXECUTED_NOTHING = (Verdict.UNREACHABLE, Verdict.LOADING)


class Taken(Generic[DialectT, ValueT]):
    """An answer under way, and the engine it comes from. Whoever holds it says how it ended."""

    def __init__(self, lane: Lane[DialectT], flight: Flight, value: ValueT) -> None:
        self.upstream = lane.upstream
        self.value = value
        self._lane = lane
        self._flight = flight

    def complete(self) -> None:
        """All of the answer has come, and it is good."""
        lane, work = self._lane, self._flight.work
        lane.landed(self._flight)
        if work.known_as in lane.struck and not work.raw and lane.watcher:
            lane.watcher.absolved(lane, work.known_as)
        self.leave()

    def alive(self) -> None:
        """More of it has come: a long answer is proof of life for those who wait behind it."""
        self._lane.last_success = self._lane.clock()

    def broke(self, error: UpstreamError) -> None:
        """It failed after the client had got something of it, so nobody can send it again."""
        if error.evidence and verdict(error.evidence) and self._lane.watcher:
            self._lane.watcher.suspected(self._lane, self._flight, error.evidence)
            self._lane.watcher.count(self._lane, "failed")

    def leave(self) -> None:
        """It is over, however it ended."""
        self._lane.leave(self._flight)

    def doubt(self, reason: str) -> None:
        """It is complete, and odd."""
        self._flight.work.errand.doubted = True
        if self._lane.watcher:
            self._lane.watcher.doubted(self._lane, reason)


class Replay(Generic[DialectT]):
    """The engines that do the same, in the order of the settings file, as one that does not fail."""

    def __init__(self, lanes: Sequence[Lane[DialectT]], clock: Callable[[], float]) -> None:
        self.lanes = lanes
        self._clock = clock
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._preferred = sorted(lanes, key=lambda lane: lane.upstream.priority)
        self._by_name = {lane.name: lane for lane in lanes}
        for lane in lanes if len(lanes) > 1 else ():
            lane.twins = self._twins

    @property
    def first(self) -> Upstream[DialectT]:
        """The engine that does the work in ordinary times, if nothing else is asked for."""
        return self._preferred[0].upstream

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._by_name)

    def any_open(self, engines: Iterable[str]) -> bool:
        """Whether one of those takes requests."""
        return any(self._by_name[engine].open for engine in engines)

    def named(self, engine: str) -> Upstream[DialectT]:
        """The engine of that name. Raises KeyError."""
        return self._by_name[engine].upstream

    def doubted(self, reason: str, engine: str | None) -> None:
        """An answer of that engine was odd; of the first one's, if nobody knows whose it was."""
        lane = self._by_name.get(engine or "", self._preferred[0])
        if lane.watcher:
            lane.watcher.doubted(lane, reason)

    def changed(self) -> None:
        """An engine has opened or closed: look again, first come first."""
        for lane in self.lanes:
            if not lane.open:
                lane.turn_away()
        waiting, self._waiting = self._waiting, {}
        for each in waiting:
            if not each.done():
                each.set_result(None)

    async def take(
        self, work: Work, attempt: Callable[[Upstream[DialectT], bool], Awaitable[ValueT]]
    ) -> Taken[DialectT, ValueT]:
        """Have it done. `attempt(upstream, suspect)` returns once the first of a good answer has come.

        Raises a GatewayError where no engine can do it in the time there is.
        """
        failure: UpstreamError | None = None
        while True:
            lane = await self._choice(work) or await self._hold(work, failure)
            flight = await self._enter(lane, work)
            if flight is None:
                continue
            lane = flight.lane
            if not lane.open:
                lane.leave(flight)
                continue
            work.errand.trip.came_to(lane.name)
            work.executions[lane.name] += 1
            try:
                with flight.waiting():
                    value = await attempt(lane.upstream, flight.suspect)
            except UpstreamError as exc:
                failure = exc
                await self._failed(lane, flight, exc)
            except InvalidRequest:
                lane.leave(flight)
                if lane is self._lanes_for(work)[0]:
                    raise
                # Another engine may lack the voice, say: that is no fault of the client's.
                work.executions[lane.name] = MOST_EXECUTIONS
            except BaseException:
                lane.leave(flight)
                raise
            else:
                lane.answering(flight)
                work.errand.admitted = True
                work.errand.model = lane.upstream.model
                work.errand.engine = lane.name
                work.errand.trip.answered(lane.name, self._clock() - flight.began)
                self._note(lane, work)
                return Taken(lane, flight, value)

    async def _enter(self, lane: Lane[DialectT], work: Work) -> Flight | None:
        """Come to the engine, or wait there for a turn; None if it has been closed meanwhile."""
        if lane.free_for(work):
            return await lane.enter(work)
        began, taken = self._clock(), lane.taken
        try:
            async with asyncio.timeout(work.errand.patience if taken else work.errand.wait):
                return await lane.enter(work)
        except LaneClosed:
            return None
        except TimeoutError:
            self._count(lane, "failed")
            raise (self._too_long_alone() if taken else self._queue_full(lane, work)) from None
        finally:
            waited = self._clock() - began
            work.errand.trip.waited(waited)
            if taken:
                work.errand.held(waited)

    def _too_long_alone(self) -> EngineDown:
        message = f"{self.first.dialect.title.capitalize()} is busy with a request that must be alone."
        return EngineDown(f"{message} Try again shortly.", code="service_unavailable", retry_after=5)

    def _queue_full(self, lane: Lane[DialectT], work: Work) -> QueueFull:
        work.errand.trip.came_to(lane.name)
        seconds = retry_after(lane.until_free())
        title = self.first.dialect.title.capitalize()
        return QueueFull(f"{title} has its hands full; try again in about {seconds} s.", retry_after=seconds)

    def _lanes_for(self, work: Work) -> Sequence[Lane[DialectT]]:
        """Those that may do it, the best first. Raises LookupError if there is none at all."""
        among = work.among
        if among is None:
            return self._preferred
        lanes = [lane for lane in self._preferred if lane.name in among]
        if not lanes:
            raise LookupError("no engine of this pool may do it")
        return sorted(lanes, key=lambda lane: among[lane.name])

    def _twins(self, lane: Lane[DialectT]) -> list[tuple[Lane[DialectT], Callable[[Work], bool]]]:
        """Engines at which somebody waits whose work `lane` may do, and whether it may do a work."""
        if lane.quarantined or lane.struck:
            return []  # it would have to be known first what the work is
        others = [other for other in self.lanes if other is not lane and other.queued]
        return [(other, partial(self._may_help, lane, other)) for other in others]

    def _may_help(self, lane: Lane[DialectT], other: Lane[DialectT], work: Work) -> bool:
        return (
            (work.among is None or lane.name in work.among)
            and self._rank(lane, work) <= self._rank(other, work)
            and work.executions[lane.name] < MOST_EXECUTIONS
            and work.failed_in.get(lane.name) != lane.cleared
            and lane.name not in work.suspect_on
        )

    def _rank(self, lane: Lane[DialectT], work: Work) -> tuple[int, int]:
        return (work.among or {}).get(lane.name, 0), lane.upstream.priority

    async def _choice(self, work: Work) -> Lane[DialectT] | None:
        """The engine with the least to do, of the best that may have `work` now. Raises QueueFull."""
        best: Lane[DialectT] | None = None
        full: Lane[DialectT] | None = None
        for lane in self._lanes_for(work):
            if best and self._rank(lane, work) != self._rank(best, work):
                break
            if not (lane.open and await self._may_have(lane, work)):
                continue
            if not lane.has_room_for(work):
                full = full or lane
            elif best is None or lane.load < best.load:
                best = lane
        if best is None and full:
            raise self._queue_full(full, work)
        return best

    async def _may_have(self, lane: Lane[DialectT], work: Work) -> bool:
        if work.executions[lane.name] >= MOST_EXECUTIONS or work.failed_in.get(lane.name) == lane.cleared:
            return False
        if lane.quarantined or lane.struck:
            fingerprint = await work.fingerprint()
            if fingerprint in lane.struck:
                work.suspect_on.add(lane.name)
            return fingerprint not in lane.quarantined
        return True

    async def _failed(self, lane: Lane[DialectT], flight: Flight, error: UpstreamError) -> None:
        """Tell the watcher, and note what it means for the work. Raises `error` if it says nothing of the engine."""
        lane.leave(flight)
        means = verdict(error.evidence) if error.evidence else None
        if means is None or error.evidence is None or lane.watcher is None:
            raise error
        work = flight.work
        work.failed_in[lane.name] = lane.cleared
        cause = lane.watcher.suspected(lane, flight, error.evidence)
        if means in _EXECUTED_NOTHING:
            work.executions[lane.name] -= 1
            await self._pause(work)
            return
        work.suspect_on.add(lane.name)
        if cause:
            # What was there when the engine wedged once, and is alone there when it wedges again, did both.
            strikes = 2 if flight.suspect else 1
            lane.watcher.accused(lane, flight, await work.fingerprint(), strikes)

    async def _pause(self, work: Work) -> None:
        """Do not knock again and again at an engine that is up and down."""
        seconds = min(work.turned_away * _PAUSE, _LONGEST_PAUSE, work.errand.patience)
        work.turned_away += 1
        if seconds:
            await asyncio.sleep(seconds)
            work.errand.held(seconds)

    def _note(self, lane: Lane[DialectT], work: Work) -> None:
        """Count it, if it took more than one engine's one try."""
        better = None if lane is self._preferred[0] else self._better(lane, work)
        if better and work.errand.degraded is None:
            why = better.outlook.sentence or _kept_free(better) or "it failed this request"
            work.errand.degraded = f"{better.name}: {why}"
            work.errand.trip.degraded = True
            self._count(better, "degraded")
        elif work.failed_in:
            self._count(lane, "replayed")
        work.errand.trip.replayed |= bool(work.failed_in)

    def _better(self, lane: Lane[DialectT], work: Work) -> Lane[DialectT] | None:
        """An engine that would have been chosen before, and could not do it."""
        for other in self._lanes_for(work):
            if other is lane:
                return None
            if not other.open or other.name in work.failed_in or work.executions[other.name]:
                return other
        return None

    async def _hold(self, work: Work, failure: UpstreamError | None) -> Lane[DialectT]:
        """Wait until an engine takes it. Raises what the client is to hear if that takes longer than it can wait."""
        began = self._clock()
        first = self._lanes_for(work)[0]
        held = False
        try:
            while True:
                # Waits from here on: the engine may open while a fingerprint is taken.
                turn = self._turn()
                if lane := await self._choice(work):
                    return lane
                hopes = await self._hopes(work)
                left = work.errand.patience - (self._clock() - began)
                rest = self._rest(hopes)
                if not hopes or left <= 0 or (rest is not None and rest > left) or first.held >= _MOST_HELD:
                    raise await self._refusal(work, hopes, None if held else failure, rest)
                if not held:
                    held = work.errand.admitted = True
                    first.held += 1
                    self._count(first, "held")
                with suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await turn
                self._waiting.pop(turn, None)
        except GatewayError:
            work.errand.trip.came_to(first.name)
            self._count(first, "failed")
            raise
        finally:
            self._waiting.pop(turn, None)
            first.held -= held
            work.errand.held(self._clock() - began)

    def _turn(self) -> asyncio.Future[None]:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = None
        return turn

    async def _hopes(self, work: Work) -> list[Lane[DialectT]]:
        """Engines that can still do it, once they are well."""
        return [
            lane
            for lane in self._lanes_for(work)
            if not (lane.outlook.hopeless or lane.drained)
            and work.executions[lane.name] < MOST_EXECUTIONS
            and not await self._quarantined(lane, work)
        ]

    def _rest(self, hopes: Sequence[Lane[DialectT]]) -> float | None:
        """Seconds until the first of them should be back; None if nobody knows."""
        now = self._clock()
        known = [lane.outlook.back_at - now for lane in hopes if lane.outlook.back_at is not None]
        return max(0.0, min(known)) if known else None

    async def _refusal(
        self, work: Work, hopes: Sequence[Lane[DialectT]], failure: UpstreamError | None, rest: float | None
    ) -> GatewayError:
        """What the client is to hear: its own failure, if nothing has happened since, or how the engine is."""
        lanes = self._lanes_for(work)
        title = lanes[0].upstream.dialect.title.capitalize()
        if not hopes and any([await self._quarantined(lane, work) for lane in lanes]):
            return PoisonInput(f"{title} has failed on this very input twice, and is spared it for a day.")
        if failure and self._tried_everything(work):
            failure.headers["x-should-retry"] = "false"
            return failure
        if not hopes and (drained := [lane for lane in lanes if lane.drained]):
            return EngineDown(
                f"{title}: {_kept_free(drained[0])}.", code="service_drained", retry_after=retry_after(None)
            )
        outlook = (hopes or lanes)[0].outlook
        if failure and not _says_500(failure):
            return failure
        if outlook.open:
            message = f"{title} failed and is being checked; try again in about a minute."
            return EngineDown(message, code="service_unavailable", retry_after=retry_after(None))
        return _turned_away(outlook, rest)

    def _tried_everything(self, work: Work) -> bool:
        return all(work.executions[lane.name] >= MOST_EXECUTIONS for lane in self._lanes_for(work))

    async def _quarantined(self, lane: Lane[DialectT], work: Work) -> bool:
        return bool(lane.quarantined) and await work.fingerprint() in lane.quarantined

    def _count(self, lane: Lane[DialectT], what: str) -> None:
        if lane.watcher:
            lane.watcher.count(lane, what)


def _kept_free(lane: Lane[Any]) -> str:
    return "its owner keeps requests away from it for now" if lane.drained else ""


def _says_500(failure: UpstreamError) -> bool:
    return failure.evidence is not None and failure.evidence.status == 500


def _turned_away(outlook: Outlook, rest: float | None) -> EngineDown:
    headers = {}
    if outlook.hopeless or (rest is not None and rest > LONGEST_PROMISE):
        headers["x-should-retry"] = "false"
    elif rest is not None and rest < 1:
        headers["retry-after-ms"] = str(round(rest * 1000))
    return EngineDown(
        f"{outlook.sentence} {_when(outlook, rest)}",
        code=outlook.code,
        retry_after=retry_after(rest),
        headers=headers,
    )


def _when(outlook: Outlook, rest: float | None) -> str:
    if outlook.hopeless:
        return "Its owner has to look after it."
    if rest is None:
        return "Try again in about a minute."
    if rest > LONGEST_PROMISE:
        return f"It should be back in about {math.ceil(rest / 60)} minutes."
    return f"It should be back in about {retry_after(rest)} seconds."
