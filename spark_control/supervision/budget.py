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

    def spend(self, now: Stamp) -> RestartBudget:
        """What is left after one more restart. Whether there may be one, `remaining` says: a person may go beyond."""
        return replace(self, spent=(*self._recent(now), now))

    def restamped(self, now: Stamp) -> RestartBudget:
        """The last restart, which had to wait, begins only now."""
        return replace(self, spent=(*self.spent[:-1], now))

    def remaining(self, now: Stamp) -> int:
        return max(0, self.limit - len(self._recent(now)))

    def wait(self, now: Stamp) -> float:
        """Seconds until one more restart is allowed; 0 if one is allowed now. A limit of 0 never allows any."""
        if self.remaining(now):
            return 0.0
        if not self.limit:
            return self.window
        youngest_first = sorted(_since(stamp, now) for stamp in self._recent(now))
        return self.window - youngest_first[self.limit - 1]

    def frees(self, now: Stamp) -> float | None:
        """Seconds until there is one more left than now; None if there never is, or none is spent."""
        oldest_first = sorted((_since(stamp, now) for stamp in self._recent(now)), reverse=True)
        if not oldest_first or not self.limit:
            return None
        return self.window - oldest_first[max(0, len(oldest_first) - self.limit)]

    def _recent(self, now: Stamp) -> tuple[Stamp, ...]:
        return tuple(stamp for stamp in self.spent if age(stamp, now) < self.window)


def age(stamp: Stamp, now: Stamp) -> float:
    """Seconds since `stamp`, at the very least."""
    return max(0.0, _since(stamp, now))


def _since(stamp: Stamp, now: Stamp) -> float:
    return now.since_boot - stamp.since_boot if stamp.boot == now.boot else now.since_boot
