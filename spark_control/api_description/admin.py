"""How the engines are, and what can be done about them: `/api`."""

from __future__ import annotations

from spark_control.api_description.engine_shapes import SCHEMAS
from spark_control.api_description.operations import (
    EVENTS,
    JSON,
    Json,
    Paths,
    answer,
    body,
    in_path,
    in_query,
    operation,
    told,
)
from spark_control.api_description.shapes import count, either, event, flag, text, the

__all__ = ["PATHS", "SCHEMAS"]

_NEWS = either(the("Status"), the("Announcement"), the("Fault"))


def _reading(
    identity: str, summary: str, answered: Json, *parameters: Json, fails: list[int]
) -> dict[str, Json]:
    return {
        "get": operation(
            identity, summary, {"200": answered}, tag="admin", fails=fails, parameters=parameters
        )
    }


def _order(
    identity: str,
    summary: str,
    answers: Json,
    *parameters: Json,
    fails: tuple[int, ...] = (),
    sent: Json | None = None,
    description: str = "",
) -> dict[str, Json]:
    """Something to be done to one engine."""
    return {
        "post": operation(
            identity,
            summary,
            answers,
            tag="admin",
            fails=(403, 404, 415, 499, 503, *fails),
            body=sent,
            parameters=[
                in_path("name", "The engine's name in the settings.", examples=["parakeet"]),
                *parameters,
            ],
            description=description,
        )
    }


_THEN = {"200": told("How it is then.", "Engine")}
_BAD = (400, 413, 422)

PATHS: Paths = {
    "/api/status": _reading(
        "showStatus", "How everything is.", told("A sentence, and each engine.", "Status"), fails=[]
    ),
    "/api/events": {
        "get": operation(
            "watch",
            "What happens, as it happens.",
            {
                "200": answer(
                    "First an event named `status`, then announcements without a name. "
                    "It ends when the gateway is about to.",
                    {EVENTS: event(_NEWS, named=True)},
                )
            },
            tag="admin",
        )
    },
    "/api/incidents": _reading(
        "listIncidents",
        "What went wrong lately, the newest first.",
        told("The incidents.", "IncidentList"),
        in_query("limit", "At most so many.", count(minimum=1, maximum=200, default=50)),
        fails=[422, 503],
    ),
    "/api/incidents/{identity}": _reading(
        "showIncident",
        "One incident.",
        told("The incident.", "Incident"),
        in_path("identity", "Its `id`."),
        fails=[404, 503],
    ),
    "/api/upstreams/{name}/probe": _order("probe", "Have it do real work now.", _THEN, fails=(504,)),
    "/api/upstreams/{name}/restart": _order(
        "restart",
        "Begin to restart it.",
        {"202": told("How it is then.", "Engine")},
        in_query("force", "Spend more than the budget has.", flag(default=False)),
        fails=(*_BAD, 409),
        sent=body({JSON: the("RestartOrder")}, required=False),
    ),
    "/api/upstreams/{name}/maintenance": _order(
        "maintain",
        "Watch it, but neither restart it nor call anybody.",
        _THEN,
        fails=_BAD,
        sent=body({JSON: the("SwitchOrder")}),
    ),
    "/api/upstreams/{name}/drain": _order(
        "drain",
        "Keep new requests away from it, and let it finish those it has.",
        _THEN,
        fails=_BAD,
        sent=body({JSON: the("SwitchOrder")}),
    ),
    "/api/upstreams/{name}/fault": _order(
        "orderFault",
        "Have it fail on purpose, if it is an engine that can.",
        {"200": told("How its switch is set then.", "FaultSwitch")},
        fails=(*_BAD, 409, 504),
        sent=body({JSON: the("FaultOrder")}, required=False),
    ),
    "/api/reload": {
        "post": operation(
            "reload",
            "Read the settings again, and apply what can be without a restart.",
            {"200": told("What has changed.", "Reloaded")},
            tag="admin",
            fails=(403, 409, 415),
            description="Settings that do not hold change nothing.",
        )
    },
    "/api/speech-cache": {
        **_reading(
            "showSpeechCache",
            "What speech is remembered.",
            told("How much, and its use.", "SpeechCache"),
            fails=[],
        ),
        "delete": operation(
            "forgetSpeech",
            "Forget what a voice has said, or everything.",
            {"200": told("What was forgotten.", "Forgotten")},
            tag="admin",
            fails=(403, 415, 422, 503),
            parameters=[
                in_query("voice", "The voice, by any of its names.", text(minLength=1)),
                in_query("all", "Everything; then without `voice`.", flag(default=False)),
            ],
            description="Exactly one of `voice` and `all=true` is to be given.",
        ),
    },
}
