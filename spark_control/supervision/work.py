"""What a client wants done, as something that can be sent to an engine more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from spark_control.trip import Trip

MOST_EXECUTIONS = 2
"""Times that one engine gets the same work."""


class Errand:
    """One client's request, all its pieces together: how long it may still be held, and what came of it.

    `client` tells whose it is, for the sake of fairness; `wait` is how many
    seconds a piece of it may wait for its turn; `trip` is told what it meets.
    """

    def __init__(
        self, patience: float, client: str = "", wait: float = 60.0, trip: Trip | None = None
    ) -> None:
        self.patience = patience
        self.client = client
        self.wait = wait
        self.trip = trip or Trip()
        self.admitted = False
        """Whether a piece of it has waited for its turn, or been answered: then no queue is too full for it."""
        self.degraded: str | None = None
        """Why it was not the first engine that did it."""
        self.model: str | None = None
        """The model that did it."""
        self.engine: str | None = None
        """The engine that did it."""
        self.voice: str | None = None
        """The voice that was spoken in."""
        self.doubted = False
        """Whether a part of the answer was complete, and odd."""

    @property
    def headers(self) -> dict[str, str]:
        """What the client is told of who did it."""
        told = {"x-model": self.model, "x-voice": self.voice, "x-spark-degraded": self.degraded}
        return {name: value for name, value in told.items() if value}

    def held(self, seconds: float) -> None:
        self.patience = max(0.0, self.patience - seconds)
        self.trip.was_held(seconds)


class Work:
    """A piece of an errand that one engine does, and what has become of it so far.

    `size` is its length in seconds of sound. `fingerprint` hashes what is
    known of it whatever its container: decoded samples, or text and voice.
    `among` names the engines that may do it, each with its rank: 0 is best.
    `slack` is how many seconds it may take, however fast the engine has been.
    """

    __slots__ = (
        "_fingerprint",
        "among",
        "errand",
        "executions",
        "failed_in",
        "known_as",
        "raw",
        "size",
        "slack",
        "suspect_on",
        "turned_away",
    )

    def __init__(
        self,
        size: float,
        errand: Errand,
        fingerprint: Callable[[], Awaitable[str]],
        *,
        raw: bool = False,
        among: Mapping[str, int] | None = None,
        slack: float = 0.0,
    ) -> None:
        self.size = size
        self.slack = slack
        self.among = among
        self.raw = raw
        """Whether a suspect of it goes in another form than it came in."""
        self.errand = errand
        self.executions: Counter[str] = Counter()
        self.suspect_on: set[str] = set()
        """Engines that wedged while they had this work: there it goes alone from now on, and decoded."""
        self.failed_in: dict[str, int] = {}
        """For each engine it failed on, how often that one had been cleared of doubt."""
        self.turned_away = 0
        """Times that an engine did not take it."""
        self._fingerprint = fingerprint
        self.known_as: str | None = None
        """Its fingerprint, if somebody has asked."""

    async def fingerprint(self) -> str:
        if self.known_as is None:
            self.known_as = await self._fingerprint()
        return self.known_as
