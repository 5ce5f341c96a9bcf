"""How long a client's request may be held while its engine is being cured."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from spark_control.caller import Caller, caller_of
from spark_control.errors import InvalidRequest
from spark_control.settings import DeepHealthSettings, TrafficSettings
from spark_control.supervision.work import Errand
from spark_control.trip import Trip, trip_of

HEADER = "x-spark-patience"


def errand(
    headers: Mapping[str, str],
    caller: Caller,
    settings: DeepHealthSettings,
    traffic: TrafficSettings,
    trip: Trip | None = None,
) -> Errand:
    """A client's request, with the patience that it asks for, that its key gives it, or that is usual for its kind.

    Who has less patience than others waits no longer than that for its turn
    either. Raises InvalidRequest if the header is no number of seconds.
    """
    own = _own_patience(headers, caller, settings)
    if own is None:
        return Errand(settings.patience, caller.name, traffic.wait, trip)
    # Of a client that would not wait for a cure it is not known how long it waits for its turn.
    return Errand(own, caller.name, min(own, traffic.wait) if own else traffic.wait, trip)


class Errands:
    """Makes clients' requests errands, by the settings for one kind of engine."""

    def __init__(self, settings: DeepHealthSettings, traffic: TrafficSettings) -> None:
        self._settings = settings
        self._traffic = traffic

    def __call__(self, request: Request) -> Errand:
        scope = request.scope
        return errand(request.headers, caller_of(scope), self._settings, self._traffic, trip_of(scope))


def _own_patience(headers: Mapping[str, str], caller: Caller, settings: DeepHealthSettings) -> float | None:
    asked = headers.get(HEADER)
    if asked is not None:
        return min(_seconds(asked), settings.patience_max)
    if caller.patience is not None:
        return min(caller.patience, settings.patience_max)
    agent = headers.get("user-agent", "").casefold()
    for client in settings.patience_for:
        if client.user_agent.casefold() in agent:
            return client.seconds
    return None


def _seconds(asked: str) -> float:
    if not (asked.isascii() and asked.replace(".", "", 1).isdigit()):
        message = f"X-Spark-Patience is a number of seconds, such as 30, and not {asked[:40]!r}."
        raise InvalidRequest(message, code="invalid_parameter", param="X-Spark-Patience")
    return float(asked)
