"""What happened to an engine, in the words of an incident's timeline. Pure."""

from __future__ import annotations

from spark_control.supervision.recovery import (
    Event,
    Failed,
    Health,
    NotRestarted,
    Passed,
    Restarted,
    State,
    Succeeded,
    Suspected,
)


def told(event: Event, health: Health, before: Health) -> tuple[str, str]:
    """(what, detail) of `event`, after which `before` became `health`; empty for what is no news."""
    match event:
        case Passed():
            return ("healthy", "a canary passed") if before.state is not State.HEALTHY else ("", "")
        case Succeeded():
            return "healthy", "a request succeeded"
        case Suspected(means, reason):
            return "suspected" if health.open else "ejected", f"{means}: {reason}"
        case Failed(means, reason) if health.state is State.GIVEN_UP:
            return ("given up", health.reason) if before.state is not State.GIVEN_UP else ("", "")
        case Failed(means, reason):
            quiet = health.state is State.LOADING and before.state is State.LOADING
            return ("", "") if quiet else ("canary failed", f"{means}: {reason}")
        case Restarted():
            return "restarted", ""
        case NotRestarted(reason):
            return "restart failed", reason
    return "turned away", event.reason
