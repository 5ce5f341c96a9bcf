"""What an engine's health is, and what to do about it next. Pure: `Care` brings the events and does what they ask for.

    event                while                      becomes      action
    -------------------  -------------------------  -----------  ----------------------------------------
    Passed, Failed       restarting                 (same)       -
    Passed               any other                  healthy      Tell, if a person had been called
    Succeeded            suspected                  healthy      -
    Suspected sticky…    open                       wedged       Probe: no request until a canary passes
    Suspected unknown…   open                       suspected    Probe: requests go on meanwhile
    Suspected loading…   open                       loading      Probe, again and again
    Failed               in the grace period        (same)       Probe again
    Failed loading       up to the grace period     loading      Probe again
    Failed unreachable   for less than 5 s, or up   loading      Probe again
                         to the grace period if it
                         was never seen to work
    Failed, any other    one witness                suspected    Probe: a restart needs two
    Failed memory        1st, 2nd in a row          wedged       Probe, later each time
    Failed permanent     two witnesses              given up     Page
    Failed gpu_lost      restarted for it before    given up     Page
    Failed, any other    two witnesses              restarting   Restart, if it may, else as the next line
    Failed               nothing may be restarted   given up     Page, the first time only
    Inconclusive         suspected, loading         unknown      -
    Inconclusive         wedged                     (same)       Probe; after the grace period Page, and
                                                    unknown
    Restarted            restarting                 loading      Probe; the grace period begins
    NotRestarted         restarting                 wedged       Probe, a little later

"Open" is unknown, healthy or suspected: requests reach the engine. A witness is
a failed canary or one suspicion of a live request, with no success since.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from spark_control.store.records import Stamp
from spark_control.supervision.budget import RestartBudget
from spark_control.supervision.wedge import Verdict

_SOON = 0.25
"""Seconds between two looks at an engine that is loading."""

_LATER = 5.0
_COMES_BACK = 5.0
"""Seconds in which a dead process is started again by whoever runs it, if anybody does."""

_MEMORY_FAILURES = 3

_NO_REQUEST_WILL_DO = (Verdict.STICKY, Verdict.GPU_LOST)
_NOT_UP = (Verdict.LOADING, Verdict.UNREACHABLE)
_TOLD_BY_TEXT = (Verdict.STICKY, Verdict.GPU_LOST, Verdict.MEMORY, Verdict.PERMANENT)


class State(StrEnum):
    """How an engine is."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    SUSPECTED = "suspected"
    WEDGED = "wedged"
    RESTARTING = "restarting"
    LOADING = "loading"
    GIVEN_UP = "given up"


OPEN = (State.UNKNOWN, State.HEALTHY, State.SUSPECTED)
SETTLED = (State.UNKNOWN, State.HEALTHY, State.GIVEN_UP)
"""States that nobody need look after: what comes next is the next canary's time."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A canary got real work out of the engine."""


@dataclass(frozen=True, slots=True)
class Succeeded:
    """A live request did, which began after the last suspicion."""


@dataclass(frozen=True, slots=True)
class Suspected:
    """A live request failed in a way that may be the engine's fault."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A canary failed."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Inconclusive:
    """A canary was turned away: the engine is busy, or does not take this canary."""

    reason: str


@dataclass(frozen=True, slots=True)
class Restarted:
    """The restart is proved; whether it helped is not."""


@dataclass(frozen=True, slots=True)
class NotRestarted:
    """The restart itself did not work."""

    reason: str


Event = Passed | Succeeded | Suspected | Failed | Inconclusive | Restarted | NotRestarted


@dataclass(frozen=True, slots=True)
class Probe:
    """Send a canary, `after` seconds from now."""

    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Restart:
    """Restart the engine. Its price has been taken from the budget."""

    reason: str


@dataclass(frozen=True, slots=True)
class Page:
    """Call a person: the gateway cannot mend this."""

    reason: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell whoever was called that it is over."""


Action = Probe | Restart | Page | Tell | None


@dataclass(frozen=True, slots=True)
class Health:
    """One engine's health. Times are seconds since boot."""

    budget: RestartBudget
    grace: float
    restartable: bool = True
    maintenance: bool = False
    state: State = State.UNKNOWN
    verdict: Verdict | None = None
    reason: str = ""
    witnesses: int = 0
    failures: int = 0
    troubled_at: float | None = None
    grace_until: float = 0.0
    restarted_at: float | None = None
    gpu_lost_at: float | None = None
    paged: bool = False
    worked: bool = False

    @property
    def open(self) -> bool:
        """Whether requests may reach the engine."""
        return self.state in OPEN

    def after(self, event: Event, now: Stamp) -> tuple[Health, Action]:
        """The health after `event`, and the action it calls for."""
        match event:
            case Passed() | Failed() if self.state is State.RESTARTING:
                return self, None  # a canary that was on its way when the restart began
            case Passed():
                return self._healthy(), Tell() if self.paged else None
            case Succeeded():
                return (self._healthy() if self.state is State.SUSPECTED else self), None
            case Suspected():
                return self._suspected(event, now.since_boot)
            case Failed():
                return self._failed(event, now)
            case Inconclusive():
                return self._inconclusive(event, now.since_boot)
            case Restarted():
                loading = replace(self, state=State.LOADING, restarted_at=now.since_boot)
                return replace(loading, grace_until=now.since_boot + self.grace), Probe(_SOON)
            case NotRestarted(reason):
                return replace(self, state=State.WEDGED, reason=reason, witnesses=1), Probe(_LATER)

    def restarting(self, reason: str, now: Stamp) -> tuple[Health, Action]:
        """Its restart, whatever the budget says: a person wants it."""
        spent = replace(self, budget=self.budget.spend(now), state=State.RESTARTING, reason=reason)
        return replace(spent, witnesses=0, failures=0, restarted_at=now.since_boot), Restart(reason)

    def not_begun(self) -> Health:
        """A restart that was decided and has not begun: it costs nothing."""
        spent = self.budget.spent[:-1]
        return replace(
            self, budget=replace(self.budget, spent=spent), state=State.WEDGED, witnesses=1, restarted_at=None
        )

    def resumed(self, now: Stamp) -> Health:
        """As it is when a gateway starts while an engine may still be loading: in its grace period."""
        loading = replace(self, state=State.LOADING, restarted_at=now.since_boot)
        return replace(loading, grace_until=now.since_boot + self.grace)

    def _healthy(self) -> Health:
        kept = Health(self.budget, self.grace, self.restartable, self.maintenance)
        return replace(kept, state=State.HEALTHY, worked=True, gpu_lost_at=self.gpu_lost_at)

    def _suspected(self, seen: Suspected, now: float) -> tuple[Health, Action]:
        if not self.open:
            return self, None
        troubled = replace(self, verdict=seen.verdict, reason=seen.reason, troubled_at=now, witnesses=1)
        if seen.verdict in _NO_REQUEST_WILL_DO:
            return replace(troubled, state=State.WEDGED), Probe()
        if seen.verdict in _NOT_UP:
            return replace(troubled, state=State.LOADING), Probe()
        if self.state is State.SUSPECTED:
            return self, Probe()
        return replace(troubled, state=State.SUSPECTED), Probe()

    def _inconclusive(self, seen: Inconclusive, now: float) -> tuple[Health, Action]:
        """It answers, and says nothing about its work: live requests will."""
        if self.state in SETTLED:
            return self, None
        began = now if self.troubled_at is None else self.troubled_at
        if self.state is State.WEDGED and now - began < self.grace:
            return self, Probe(_LATER)
        unknown = replace(
            self, state=State.UNKNOWN, witnesses=0, failures=0, troubled_at=None, restarted_at=None
        )
        if self.state is State.WEDGED and not self.paged and not self.maintenance:
            return replace(unknown, paged=True), Page(f"no canary can tell whether it works: {seen.reason}")
        return unknown, None

    def _failed(self, seen: Failed, now: Stamp) -> tuple[Health, Action]:
        verdict = (
            self.verdict
            if self.verdict in _TOLD_BY_TEXT and seen.verdict not in _TOLD_BY_TEXT
            else seen.verdict
        )
        failing = replace(
            self,
            verdict=verdict,
            reason=seen.reason,
            witnesses=self.witnesses + 1,
            failures=self.failures + 1,
            troubled_at=now.since_boot if self.troubled_at is None else self.troubled_at,
        )
        if now.since_boot < self.grace_until:
            state = State.LOADING if seen.verdict in _NOT_UP or self.state is State.LOADING else State.WEDGED
            return replace(failing, state=state), Probe(_SOON if state is State.LOADING else 1.0)
        return failing.judged(seen.verdict, now)

    def judged(self, seen: Verdict, now: Stamp) -> tuple[Health, Action]:
        """What a failed canary calls for once its failure has been noted, outside of the grace period."""
        began = now.since_boot if self.troubled_at is None else self.troubled_at
        if seen in _NOT_UP and self.state is not State.GIVEN_UP and self.restarted_at is None:
            dies = seen is Verdict.UNREACHABLE and self.restartable and self.worked
            if now.since_boot - began < (_COMES_BACK if dies else self.grace):
                return replace(self, state=State.LOADING), Probe(_SOON)
        if self.witnesses < 2 and self.state in OPEN:
            return replace(self, state=State.SUSPECTED), Probe()
        if self.verdict is Verdict.PERMANENT:
            return self._given_up("a restart cannot help: " + self.reason)
        if self.verdict is Verdict.GPU_LOST and self._gpu_lost_before(now.since_boot):
            return self._given_up("the GPU is lost again after a restart")
        if self.verdict is Verdict.MEMORY and self.failures < _MEMORY_FAILURES:
            return replace(self, state=State.WEDGED), Probe(_LATER * self.failures)
        return self._restarted_if_it_may(now)

    def _restarted_if_it_may(self, now: Stamp) -> tuple[Health, Action]:
        if self.maintenance:
            return replace(self, state=State.GIVEN_UP, reason="it is in maintenance"), None
        if not self.restartable:
            return self._given_up("no way to restart it is configured")
        if not self.budget.remaining(now):
            return self._given_up(self._why_no_more(now))
        restarting, action = self.restarting(self.reason, now)
        lost = now.since_boot if self.verdict is Verdict.GPU_LOST else self.gpu_lost_at
        return replace(restarting, gpu_lost_at=lost), action

    def _why_no_more(self, now: Stamp) -> str:
        if self.budget.is_blind(now):
            return "how often it was restarted lately is not known, so it is not restarted now"
        return f"{self.budget.limit} restarts did not cure it"

    def _gpu_lost_before(self, now: float) -> bool:
        return self.gpu_lost_at is not None and now - self.gpu_lost_at < self.budget.window

    def _given_up(self, reason: str) -> tuple[Health, Action]:
        if self.maintenance:
            return replace(self, state=State.GIVEN_UP), None
        given_up = replace(self, state=State.GIVEN_UP, reason=reason, paged=True)
        return given_up, None if self.paged else Page(reason)
