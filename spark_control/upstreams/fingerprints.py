"""Pure: which server answers, by what it answers to small questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spark_control.settings import Task


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    content_type: str
    body: bytes


def questions(kind: str) -> tuple[str, ...]:
    """The paths to ask for, of an engine of that kind."""
    return ()


def flavour_of(kind: str, task: Task, answers: Mapping[str, Reply]) -> str | None:
    """The flavour; None if unsure."""
    return None
