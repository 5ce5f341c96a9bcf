"""What was seen of an engine's failure, before anybody says what it means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class How(StrEnum):
    """In which way an answer failed to be one."""

    STATUS = "status"  # an error status
    REFUSED = "refused"  # no connection, so nothing was sent
    CUT = "cut"  # it broke off
    NO_ANSWER = "no answer"  # nothing within the time it had
    IMPOSSIBLE = "impossible"  # a 200 whose body cannot be


@dataclass(frozen=True, slots=True)
class Evidence:
    """One failure. `text` is what the engine said, which is for `wedge.py` to read and for no client to see."""

    how: How
    status: int | None = None
    text: str = ""
