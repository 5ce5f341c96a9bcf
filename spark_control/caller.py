"""Who asks: what the gateway knows of a client, once it has been let in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Scope

_KNOWN_AS = "spark_control.caller"


@dataclass(frozen=True, slots=True)
class Caller:
    """A client. `name` tells it from the others: its key's name, or its address."""

    name: str
    key: str | None = None
    """The name of its key; None if it has shown none."""
    admin: bool = False
    """Whether its key may change things."""
    patience: float | None = None
    """Seconds it may be held, if its key says so."""
    remembers: bool = True
    """Whether speech may be kept and reused for it."""
    by_cookie: bool = False
    """Whether it is a browser that has logged in: that shows its cookie whichever page asks."""
    may_log_in: bool = False
    """Whether it has shown no key, and there are some."""
    needs_key: bool = False
    """Whether it has to, before an engine works for it."""
    holds: Callable[[], bool] = lambda: True
    """Whether what let it in does so still, such as its key: what goes on without end has to ask again."""


NOBODY = Caller("")


def caller_of(scope: Scope) -> Caller:
    """Who sent the request of `scope`."""
    caller = scope.get(_KNOWN_AS, NOBODY)
    assert isinstance(caller, Caller)  # noqa: S101 (only `introduce` writes it)
    return caller


def introduce(scope: Scope, caller: Caller) -> None:
    """Have the request of `scope` known as `caller`'s."""
    scope[_KNOWN_AS] = caller
