"""How often a service may be restarted: at most so many times in any stretch of time, whatever the clocks do.

Pure. All rests on one question, how long ago a restart was, and on never
answering it with more than the truth: who thinks a restart older than it is
forgets it too early, and then there is one too many.

    the restart was            its age counts as
    -------------------------  ---------------------------------------------------------------
    in this boot               what CLOCK_BOOTTIME has run since: nobody can set that clock, and
                               it runs on while the machine sleeps
    in this boot, and later    0. That cannot be, so nothing is known of it
    than now
    in another boot            the uptime. The restart was before this boot, so it is at least as
                               old as that; how long the machine was off, no clock can prove

Hence a reboot never makes the wait shorter; it makes it longer by what the
restart's age was when the boot began. The wall clock, which anybody can set
and which a machine without a battery loses, decides nothing: it is in a stamp
for people to read.

What the store lost counts as all that could have been spent before that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spark_control.store.records import Stamp


@dataclass(frozen=True, slots=True)
class RestartBudget:
    """At most `limit` restarts in any `window` seconds.

    A value, not a counter: `spend` returns the budget that is left, so a
    decision can be weighed and dropped without anything having happened.
    """

    limit: int
    window: float
    spent: tuple[Stamp, ...] = ()
    unknown_before: Stamp | None = None
    """When the store lost what it knew: until then, any number may have been spent."""

    def spend(self, now: Stamp) -> RestartBudget:
        """What is left after one more restart. Whether there may be one, `remaining` says: a person may go beyond."""
        return replace(self, spent=(*self._recent(now), now))

    def restamped(self, now: Stamp) -> RestartBudget:
        """The last restart, which had to wait, begins only now."""
        return replace(self, spent=(*self.spent[:-1], now))

    def remaining(self, now: Stamp) -> int:
        return 0 if self.is_blind(now) else max(0, self.limit - len(self._recent(now)))

    def is_blind(self, now: Stamp) -> bool:
        """Whether nobody knows how many restarts there were in the last `window`."""
        return self.unknown_before is not None and age(self.unknown_before, now) < self.window

    def wait(self, now: Stamp) -> float:
        """Seconds until one more restart is allowed; 0 if one is allowed now. A limit of 0 never allows any."""
        if self.remaining(now):
            return 0.0
        if not self.limit:
            return self.window
        youngest_first = sorted(_since(stamp, now) for stamp in self._recent(now))
        counted = self.window - youngest_first[self.limit - 1] if len(youngest_first) >= self.limit else 0.0
        return max(counted, self._sight(now))

    def frees(self, now: Stamp) -> float | None:
        """Seconds until there is one more left than now; None if there never is, or none is spent."""
        if not self.limit:
            return None
        if self.is_blind(now):
            return self.wait(now)
        oldest_first = sorted((_since(stamp, now) for stamp in self._recent(now)), reverse=True)
        if not oldest_first:
            return None
        return self.window - oldest_first[max(0, len(oldest_first) - self.limit)]

    def _sight(self, now: Stamp) -> float:
        """Seconds until it knows again how many there were."""
        if self.unknown_before is None or not self.is_blind(now):
            return 0.0
        return self.window - _since(self.unknown_before, now)

    def _recent(self, now: Stamp) -> tuple[Stamp, ...]:
        return tuple(stamp for stamp in self.spent if age(stamp, now) < self.window)


def age(stamp: Stamp, now: Stamp) -> float:
    """Seconds since `stamp`, at the very least."""
    return max(0.0, _since(stamp, now))


def _since(stamp: Stamp, now: Stamp) -> float:
    return now.since_boot - stamp.since_boot if stamp.boot == now.boot else now.since_boot
