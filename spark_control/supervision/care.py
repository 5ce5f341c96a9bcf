"""The care of one engine: it feeds the health with events, and carries out what that asks for.

Its concurrency is one idea: whoever comes second joins the care already under way.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from spark_control.errors import Conflict
from spark_control.evidence import Evidence
from spark_control.settings import DeepHealthSettings
from spark_control.store import Store, StoreError
from spark_control.store.records import Stamp
from spark_control.supervision.attempts import Attempts
from spark_control.supervision.budget import RestartBudget
from spark_control.supervision.chronicle import Chronicle
from spark_control.supervision.lane import Flight, Lane
from spark_control.supervision.outlooks import outlook
from spark_control.supervision.poison import Poison
from spark_control.supervision.probes import Canary, Probed, describe, probe
from spark_control.supervision.recovery import (
    SETTLED,
    Action,
    Event,
    Failed,
    Health,
    Inconclusive,
    NotRestarted,
    Page,
    Passed,
    Probe,
    Restart,
    Restarted,
    State,
    Succeeded,
    Suspected,
    Tell,
)
from spark_control.supervision.restarters import Restarter, RestartFailed
from spark_control.supervision.timeline import told
from spark_control.supervision.wedge import Verdict, verdict

log = structlog.get_logger()

_CANARY = 10.0
_CONFIRMING_HANG = 8.0
"""Seconds for a canary; fewer where a request that got no answer has already waited."""

_FIRST_AFTER_IDLE = 90.0
_IDLE = 600.0
"""Seconds without work after which an engine may have unloaded its model."""

_READY = 2.0
_LONGEST_RESTART = 2 * 3600.0
"""Seconds after which a restarter is taken to have lost itself; each has its own, shorter limit."""

_OLD_NEWS = 1.0
"""Seconds of waiting for the machine after which an engine is looked at once more before it is restarted."""

_LAST_WORDS = 1.0
"""Seconds for answers under way when the engine is about to be restarted."""

_WATCHER = "watcher"
_INCIDENTS = 20
"""Of an engine, that are looked through for such as an earlier gateway left open."""

_UNNOTED = 100
"""Canaries that nobody has noted, of which the oldest are forgotten."""


@dataclass(slots=True)
class House:
    """What the care of every engine shares."""

    store: Store
    stamp: Callable[[], Stamp]
    clock: Callable[[], float]
    machines: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """One restart at a time on each: two models that load at once freeze a box whose memory is one."""


class Care:
    """Takes care of one engine, and is the only one who changes its health."""

    def __init__(
        self,
        house: House,
        lane: Lane[Any],
        chronicle: Chronicle,
        settings: DeepHealthSettings,
        *,
        kind: str,
        machine: str,
        canary: Canary,
        ready: Canary,
        restarter: Restarter | None,
        page: Callable[[str, str], None],
        on_change: Callable[[], None],
    ) -> None:
        """`page` calls a person, with a title and a sentence, and does not wait; `on_change` wakes held requests."""
        self.lane = lane
        self.kind = kind
        self.name = lane.name
        self.title = lane.upstream.dialect.title
        self.restarter = restarter
        self.chronicle = chronicle
        self.health = Health(
            RestartBudget(settings.restart_limit, settings.restart_window),
            settings.startup_grace,
            restartable=restarter is not None and settings.restart_limit > 0,
        )
        self.since = house.stamp().wall
        self.probed: Probed | None = None
        self.probed_at = -math.inf
        self.unnoted: deque[Probed] = deque(maxlen=_UNNOTED)
        self._house = house
        self._machine = machine
        self._canary = canary
        self._ready = ready
        self._page = page
        self._on_change = on_change
        self._attempts = Attempts(lane.name, house.store, house.clock)
        self._poison = Poison(lane, house.store, lambda: house.stamp().wall)
        self._saving = asyncio.Lock()
        self._caring: asyncio.Task[None] | None = None
        self._judged: asyncio.Future[None] | None = None
        self._suspected_at = -math.inf
        self._shown = self.health.state
        self._holds_machine = False

    def remember(self) -> None:
        """Take up what an earlier gateway left: spent restarts, a restart that was under way, quarantined inputs."""
        store, now = self._house.store, self._house.stamp()
        self.health = replace(
            self.health,
            budget=replace(self.health.budget, spent=store.spent(self.name), unknown_before=store.gap()),
            maintenance=self.name in store.maintenance(),
        )
        self.lane.drained = self.name in store.drained()
        self._poison.remember()
        self.close_old_incidents()
        if self._attempts.remember(now, self.health.grace):
            self.health = self.health.resumed(now)
            self.chronicle.happened(
                "suspected", "the gateway ended while it was being restarted", self.health.state.value
            )
        self._show()

    async def take_machine_back(self) -> None:
        """Go on keeping other engines of the machine from a restart while this one is loading."""
        machine = self._house.machines[self._machine]
        if self.under_restart and not self._holds_machine and not machine.locked():
            await machine.acquire()
            self._holds_machine = True
        if self.under_restart:
            self.look_after()

    def close_old_incidents(self) -> None:
        """Those that were open when an earlier gateway ended."""
        store, wall = self._house.store, self._house.stamp().wall
        for incident in store.incidents(_INCIDENTS, self.name):
            if incident.closed is None:
                store.save_incident(replace(incident, closed=wall))

    async def forget_old_poison(self) -> None:
        """Read anew which inputs the engine is spared."""
        async with self._saving:
            await self._poison.refresh()

    async def save(self) -> None:
        """Let the store have what has happened. What it does not take, it is offered again."""
        async with self._saving:  # what is newer comes later
            await self._poison.save()
            if incident := self.chronicle.to_save:
                try:
                    await asyncio.to_thread(self._house.store.save_incident, incident)
                except StoreError as exc:
                    self.chronicle.not_saved()
                    log.warning("incident not saved", reason=str(exc))

    def keep_time(self) -> None:
        """Let those who come now see when it should be back, which changes while it takes longer than it ever did."""
        if self.under_restart:
            back_at = self._back_at(self._house.clock())
            self.lane.outlook = replace(self.lane.outlook, back_at=back_at)

    @property
    def under_restart(self) -> bool:
        return self.health.state is State.RESTARTING or (
            self.health.state is State.LOADING and self.health.restarted_at is not None
        )

    @property
    def at_rest(self) -> bool:
        """Whether nobody is taking care of it now."""
        return self._caring is None or self._caring.done()

    # What there is to be told of it.

    def suspected(self, flight: Flight, evidence: Evidence) -> bool:
        """A live request failed. Whether that request alone can have been the cause."""
        means = verdict(evidence)
        if means is None:
            return False
        if self.health.open:
            if self.health.state is not State.SUSPECTED:
                self._poison.trouble_began(flight)
            self._suspected_at = self._house.clock()
            self._feed(Suspected(means, describe(evidence)))
            self.look_after()
        return self._poison.is_accused(flight)

    def accused(self, flight: Flight, fingerprint: str, strikes: int) -> None:
        """The engine had nothing else when it failed. It counts once a canary has failed too."""
        self._poison.accuse(flight, fingerprint, strikes)
        if self.health.failures or self.under_restart:
            self._convict()

    def absolved(self, fingerprint: str) -> None:
        """What was alone there at a wedge has been done well since."""
        self._poison.absolve(fingerprint)

    def succeeded(self, flight: Flight) -> None:
        """A live request got its answer."""
        # Of an engine that hangs nothing succeeds, whenever it began.
        if flight.began > self._suspected_at or self.health.verdict is Verdict.HUNG:
            self._feed(Succeeded())

    # What can be asked of it.

    def look_after(self) -> asyncio.Future[None]:
        """Take care of it, if nobody does yet. The future is done once a canary has been judged."""
        if self.at_rest or self._judged is None:
            self._begin(Probe())
        assert self._judged is not None  # noqa: S101 (_begin made it)
        return self._judged

    def restart(self, *, force: bool) -> None:
        """Restart it because a person wants it. Raises Conflict where it may not be."""
        now = self._house.stamp()
        left = self.health.budget.remaining(now)
        self._refuse_restart(force or left > 0, now)
        beyond = "" if left else "beyond the budget"
        self.health, action = self.health.restarting("a person asked for it", now)
        self._attempts.decided()
        self._begin(action, who="person, forced" if beyond else "person")
        self._changed("asked to restart", beyond)
        self.chronicle.serious("", "a person asked for a restart")

    def set_maintenance(self, *, on: bool) -> None:
        """While on, it is watched, and neither restarted nor a person called."""
        self.health = replace(self.health, maintenance=on)
        self._changed("maintenance on" if on else "maintenance off", "")
        if not on:
            self.look_after()

    def set_drained(self, *, on: bool) -> None:
        """While on, new requests are kept away from it; those under way are finished."""
        self.lane.drained = on
        self._changed("drained" if on else "no longer drained", "")
        self._on_change()

    async def stop(self) -> None:
        if self._caring:
            self._caring.cancel()
            await asyncio.wait([self._caring])

    # How it goes.

    def _refuse_restart(self, may: bool, now: Stamp) -> None:  # noqa: FBT001 (the one thing that is asked)
        if self.restarter is None:
            raise Conflict(f"No way to restart {self.name} is configured.", code="no_restarter")
        if self.under_restart:
            raise Conflict(f"{self.name} is being restarted already.", code="restart_under_way")
        if not may:
            budget = self.health.budget
            minutes = math.ceil(budget.wait(now) / 60)
            had = f"has had its {budget.limit} restarts"
            if budget.is_blind(now):
                had = "may have had its restarts, which were forgotten with what the gateway remembered"
            message = f"{self.name} {had}; the next is free in {minutes} min."
            raise Conflict(f"{message} --force restarts it all the same.", code="budget_spent")

    def _begin(self, action: Action, who: str = _WATCHER) -> None:
        """Take care of it, in the place of whoever does so now."""
        judged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        caring = asyncio.create_task(self._care(action, who, judged, self._caring))
        # Even of care that ends before it has begun.
        caring.add_done_callback(lambda _: None if judged.done() else judged.set_result(None))
        self._judged, self._caring = judged, caring

    async def _care(
        self,
        action: Action,
        who: str,
        judged: asyncio.Future[None],
        before: asyncio.Task[None] | None,
    ) -> None:
        """One action after another, until it needs none; once the care `before` this one has ended."""
        if before and not before.done():
            before.cancel()
            await asyncio.wait([before])
        try:
            while action is not None or self.health.state not in SETTLED:
                probed = isinstance(action or Probe(), Probe)
                try:
                    action = await self._carry_out(action or Probe(1.0), who)
                    who = _WATCHER
                except Exception:  # a surprise today must not mean that nobody looks after it again
                    log.exception("watcher stumbled", upstream=self.name)
                    stuck = self.health.state is State.RESTARTING
                    action = self._feed(NotRestarted("the watcher stumbled")) if stuck else Probe(1.0)
                if probed and not judged.done():
                    judged.set_result(None)
        finally:
            self._let_machine_go()

    async def _carry_out(self, action: Action, who: str) -> Action:
        match action:
            case Probe(after):
                if after:
                    await asyncio.sleep(after)
                return await self._probe()
            case Restart(reason):
                return await self._restart(reason, who)
            case Page(reason):
                self._page(f"{self.name} needs a person", f"{self.title.capitalize()} is down: {reason}.")
            case Tell():
                self._page(f"{self.name} works again", f"{self.title.capitalize()} is back.")
        return None

    async def _probe(self) -> Action:
        """Send a canary; before it, while the engine is loading, the cheap question."""
        loading = self.health.state is State.LOADING
        probed = await probe(self._ready, _READY, self._house.clock) if loading else None
        if probed is None or not isinstance(probed.outcome, Failed):
            began = self._house.clock()
            probed = await probe(self._canary, self._time_for_canary(), self._house.clock)
            if self._means_nothing(probed, began):
                probed = replace(probed, outcome=Inconclusive(probed.detail))
        self.probed, self.probed_at = probed, self._house.clock()
        self.unnoted.append(probed)
        action = self._feed(probed.outcome)
        if isinstance(probed.outcome, Passed):
            await self._attempts.healthy()
        return action

    def _means_nothing(self, probed: Probed, began: float) -> bool:
        """Whether a failed canary has a better reason than a sick engine."""
        if probed.odd:
            return not self.health.worked  # it may speak another language than the canary does
        if not isinstance(probed.outcome, Failed) or probed.outcome.verdict is not Verdict.HUNG:
            return False
        working = [each for each in self.lane.flights if each.began < began and not each.begun]
        # Behind work that is not overdue a canary waits its turn, as anybody does.
        return self.lane.last_success > began or any(not each.overdue for each in working)

    def _time_for_canary(self) -> float:
        if self.health.state is State.LOADING or self._house.clock() - self.lane.last_use > _IDLE:
            return _FIRST_AFTER_IDLE
        return _CONFIRMING_HANG if self.health.verdict is Verdict.HUNG else _CANARY

    async def _restart(self, reason: str, who: str) -> Action:
        """Restart it, once no other engine of its machine is loading. What it costs is on disk before it begins."""
        restarter = self.restarter
        if restarter is None:
            return self._feed(NotRestarted("no way to restart it is configured"))
        if not self._holds_machine:
            asked = self._house.clock()
            await self._house.machines[self._machine].acquire()
            self._holds_machine = True
            if who == _WATCHER and self._house.clock() - asked > _OLD_NEWS:
                return self._look_again()
        for flight in list(self.lane.flights):
            flight.abort()
        await self._let_finish()
        if who == _WATCHER and self.health.maintenance:
            return self._look_again()
        at = self._house.stamp()
        self.health = replace(self.health, budget=self.health.budget.restamped(at))
        if not await self._attempts.begin(at, reason, who):
            return self._feed(NotRestarted("it could not be recorded, so it was not done"))
        self.chronicle.restarted()
        self._changed("restarting", f"{restarter.kind} {restarter.what}: {reason}")
        if who == _WATCHER and self.health.maintenance:  # which may have begun while it was written down
            await self._attempts.end("not done: maintenance")
            return self._feed(NotRestarted("it is in maintenance"))
        try:
            async with asyncio.timeout(_LONGEST_RESTART):
                await restarter.restart()
        except Exception as exc:  # whatever it was, the engine still needs its care
            why = str(exc) if isinstance(exc, RestartFailed) else "the restarter stumbled"
            log.warning("not restarted", upstream=self.name, exc_info=not isinstance(exc, RestartFailed))
            await self._attempts.end(f"failed: {why}")
            return self._feed(NotRestarted(why))
        return self._feed(Restarted())

    def _look_again(self) -> Action:
        """Take back a restart that has not begun: things may have changed."""
        self.health = self.health.not_begun()
        self._changed("", "")
        return Probe()

    async def _let_finish(self) -> None:
        """Give answers that have begun a moment to end: nobody can send them again."""
        end = self._house.clock() + _LAST_WORDS
        while self.lane.flights and self._house.clock() < end:  # noqa: ASYNC110 (they end in many places)
            await asyncio.sleep(0.02)

    def _feed(self, event: Event) -> Action:
        """The next health, and everything that follows from it at once."""
        before = self.health
        self.health, action = before.after(event, self._house.stamp())
        if isinstance(action, Restart):
            self._attempts.decided()
        if isinstance(event, Failed):
            self._convict()
        sound = self.health.state in (State.UNKNOWN, State.HEALTHY)
        if sound and (isinstance(event, Passed) or self.health.state is not before.state):
            self.lane.cleared += 1
            self._poison.trouble_was_nothing()
        if self.health.state is not before.state or isinstance(event, Passed | Failed):
            self._changed(*told(event, self.health, before))
        if isinstance(event, Failed) or not self.health.open:
            self.chronicle.serious(self.health.verdict or "", self.health.reason)
        if self._holds_machine and not self.under_restart:
            self._let_machine_go()
        return action

    def _changed(self, what: str, detail: str) -> None:
        if self.health.state is not self._shown:
            self.since = self._house.stamp().wall
        if what:
            self.chronicle.happened(what, detail, self.health.state.value)
        if self.health.state in (State.HEALTHY, State.UNKNOWN):
            self.chronicle.over()
        self._show()

    def _show(self) -> None:
        """Let the requests see how it is."""
        now = self._house.clock()
        self._shown = self.health.state
        self.lane.outlook = outlook(self.title, self.health, self._back_at(now))
        self.lane.proven = self.health.state is State.HEALTHY
        self._on_change()

    def _back_at(self, now: float) -> float | None:
        """When it should work again, by the clock; None if nobody knows."""
        if self.under_restart:
            left = self._attempts.rest()
        elif self.health.state is State.WEDGED and self.health.restartable:
            left = self._attempts.usually()
        else:
            left = None
        return None if left is None else now + left

    def _convict(self) -> None:
        if self._poison.convict():
            what = "an input that wedges it every time"
            self.chronicle.happened("quarantined", what, self.health.state.value)

    def _let_machine_go(self) -> None:
        if self._holds_machine:
            self._holds_machine = False
            self._house.machines[self._machine].release()
