"""What one request met on its way through the gateway: for its line in the log, and for the metrics.

The doorway makes it, whoever does a part of the work notes that part, and the
doorway reads it when the answer has gone.
"""

from __future__ import annotations

from starlette.types import Scope

_KNOWN_AS = "spark_control.trip"
_LONGEST_TEXT = 1000
"""Characters of a text that are kept for the log."""


class Trip:
    """One request. Times are in seconds."""

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "cache",
        "degraded",
        "engine",
        "first_byte",
        "held",
        "keeps_content",
        "queued",
        "replayed",
        "said",
        "status",
        "took",
        "upstream",
        "whole",
    )

    def __init__(self, *, keeps_content: bool = False) -> None:
        self.keeps_content = keeps_content
        """Whether the log may have what was said."""
        self.upstream: str | None = None
        """The engine that it came to last."""
        self.queued = 0.0
        """How long it waited for its turn; of several pieces, the one that waited longest."""
        self.held = 0.0
        """How long it waited for an engine's cure, likewise."""
        self.engine: float | None = None
        """What the engine took for the first byte of the first piece."""
        self.first_byte: float | None = None
        """From the request's head to the first byte of the answer's body."""
        self.took = 0.0
        self.status = 0
        """0 while there is none."""
        self.whole = False
        """Whether the answer was sent to its end."""
        self.bytes_in = 0
        self.bytes_out = 0
        self.replayed = False
        """Whether an engine failed with it before one did it."""
        self.degraded = False
        """Whether it was not the first engine that did it."""
        self.cache: str | None = None
        """What the speech cache had to do with it."""
        self.said: dict[str, str] = {}
        """The text that was spoken or heard. Empty unless it may be kept."""

    @property
    def good(self) -> bool:
        """Whether it got what it asked for."""
        return self.whole and self.status < 400

    def came_to(self, upstream: str) -> None:
        """An engine has it now, or has turned it away."""
        self.upstream = upstream

    def waited(self, queued: float) -> None:
        """A piece of it has had to wait so long for its turn."""
        self.queued = max(self.queued, queued)

    def was_held(self, seconds: float) -> None:
        """A piece of it has had to wait so long for a cure."""
        self.held = max(self.held, seconds)

    def answered(self, upstream: str, seconds: float) -> None:
        """The first of an answer has come from there, in that time."""
        self.upstream = upstream
        if self.engine is None:
            self.engine = seconds

    def content(self, what: str, text: str) -> None:
        """What was spoken or heard, as far as the log may have it; of several texts, the first."""
        if self.keeps_content:
            self.said.setdefault(what, text[:_LONGEST_TEXT])

    def told(self) -> dict[str, object]:
        """It as the fields of a line in the log: what there is to tell."""
        told: dict[str, object] = {"status": self.status, "ms": _ms(self.took)}
        if self.first_byte is not None:
            told["first_byte_ms"] = _ms(self.first_byte)
        told["bytes_in"], told["bytes_out"] = self.bytes_in, self.bytes_out
        if self.upstream is not None:
            told["upstream"] = self.upstream
            told["queue_ms"] = _ms(self.queued)
            told["engine_ms"] = None if self.engine is None else _ms(self.engine)
            told["replayed"] = self.replayed
        if held := _ms(self.held):  # who was turned away at once was not
            told["held_ms"] = held
        if self.degraded:
            told["degraded"] = True
        if self.cache is not None:
            told["cache"] = self.cache
        if not self.whole:
            told["cut"] = True
        for what, text in self.said.items():
            told[what] = _harmless(text)
        return told


def trip_of(scope: Scope) -> Trip:
    """What the request of `scope` has met so far."""
    trip: Trip | None = scope.get(_KNOWN_AS)
    return trip or Trip()


def begin_trip(scope: Scope, trip: Trip) -> None:
    """Have `trip` noted for the request of `scope`."""
    scope[_KNOWN_AS] = trip


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _harmless(text: str) -> str:
    """The same without what would move a terminal's cursor."""
    return "".join(each if each.isprintable() else " " for each in text)
