"""How long a client's request may be held while its engine is being cured."""

from __future__ import annotations

from collections.abc import Mapping

from spark_control.errors import InvalidRequest
from spark_control.settings import DeepHealthSettings
from spark_control.supervision.work import Errand

HEADER = "x-spark-patience"


def errand(headers: Mapping[str, str], settings: DeepHealthSettings) -> Errand:
    """A client's request, with the patience that it asks for, or that is usual for its kind of client.

    Raises InvalidRequest if the header is no number of seconds.
    """
    asked = headers.get(HEADER)
    if asked is not None:
        return Errand(min(_seconds(asked), settings.patience_max))
    agent = headers.get("user-agent", "").casefold()
    for client in settings.patience_for:
        if client.user_agent.casefold() in agent:
            return Errand(client.seconds)
    return Errand(settings.patience)


def _seconds(asked: str) -> float:
    if not (asked.isascii() and asked.replace(".", "", 1).isdigit()):
        message = f"X-Spark-Patience is a number of seconds, such as 30, and not {asked[:40]!r}."
        raise InvalidRequest(message, code="invalid_parameter", param="X-Spark-Patience")
    return float(asked)
