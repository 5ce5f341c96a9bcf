"""What is told of the engines under `/api`, and the orders that they get."""

from __future__ import annotations

from typing import get_args

from spark_control.api_description.shapes import (
    Schema,
    Schemas,
    count,
    flag,
    listing,
    maybe,
    moment,
    number,
    one_of,
    text,
    the,
    thing,
)
from spark_control.engines.faults.plan import Plan
from spark_control.settings import Flavour, Kind
from spark_control.supervision.recovery import State
from spark_control.supervision.wedge import Verdict

_STATE = one_of(list(State), "How it is.")
_WHEN = moment("ISO 8601, in UTC.")
_PROBE = thing(
    "A canary.",
    {
        "at": _WHEN,
        "passed": flag(),
        "seconds": number("How long it took.", minimum=0),
        "detail": text("What came of it, for a person."),
    },
)

_ENGINE: dict[str, Schema] = {
    "name": text("Its name in the settings."),
    "kind": one_of(get_args(Kind), "Its kind in the settings."),
    "flavour": maybe(one_of(get_args(Flavour), "Which server it is, if that is known.")),
    "task": text("What it does."),
    "model": maybe(text("The model that it runs.")),
    "state": _STATE,
    "sentence": text("The same in a sentence."),
    "reason": maybe(text("Why it is not healthy.")),
    "since": moment("When that began."),
    "verdict": maybe(one_of(list(Verdict), "What the failure means.")),
    "maintenance": flag("Whether it is watched only."),
    "drained": flag("Whether new requests are kept away from it."),
    "priority": {"type": "integer", "description": "The lowest that works is asked first."},
    "in_flight": count("Requests that it works on."),
    "queued": count("Requests that wait for their turn."),
    "concurrency": count("How many it works on at once, at most.", minimum=1),
    "held": count("Requests that wait for its cure."),
    "per_minute": number("Answers of it in a minute, over the last five.", minimum=0),
    "first_byte": maybe(
        thing(
            "How soon those answers began.",
            {
                "p50": number("Seconds in which half of them did.", minimum=0),
                "p95": number("Seconds in which 95 of 100 did.", minimum=0),
            },
        )
    ),
    "last_probe": maybe(_PROBE),
    "probes": thing(
        "The canaries of the last day, by quarters of an hour.",
        {
            "hours": count(),
            "seconds": listing(maybe(number("How long they took; null where none passed.", minimum=0))),
            "failed": listing(count("How many failed.")),
        },
    ),
    "last_success": maybe(moment("When a client last got an answer of it.")),
    "restart": maybe(
        thing("Who can restart it, and what that is called there.", {"by": text(), "what": text()})
    ),
    "budget": thing(
        "How often it may be restarted.",
        {
            "limit": count(),
            "window": number("In so many seconds."),
            "left": count(),
            "known": flag("Whether the gateway remembers how many were spent; if not, all count as spent."),
            "next_in": maybe(
                number("Seconds until one may be restarted again; null while it may.", minimum=0)
            ),
            "frees_in": maybe(number("Seconds until one more is left; null while all are.")),
        },
    ),
    "back_in": maybe(number("Seconds until it should work again.", minimum=0)),
    "incident": maybe(text("The one under way.")),
}

_COUNTS = ("held", "replayed", "degraded", "failed", "restarts")


def _fault_switch() -> Schema:
    """Each field of it may be told, and may be ordered."""
    plan = Plan.model_json_schema(by_alias=True)
    for schema in plan["properties"].values():
        schema.pop("title", None)
    return {"type": "object", "properties": plan["properties"], "additionalProperties": False}


SCHEMAS: Schemas = {
    "Engine": thing("How one engine is.", _ENGINE),
    "Status": thing(
        "How everything is.",
        {
            "at": _WHEN,
            "sentence": text("The whole in a sentence."),
            "upstreams": listing(the("Engine")),
            "closed_loop": maybe(
                {**_PROBE, "description": "The last time that one engine heard what another had said."}
            ),
        },
    ),
    "Announcement": thing(
        "What happened to an engine, or to one request.",
        {
            "at": _WHEN,
            "upstream": text("The engine."),
            "what": text("Such as `ejected`, `restarting` or `healthy`."),
            "detail": text(),
            "state": _STATE,
            "incident": maybe(text()),
        },
    ),
    "Incident": thing(
        "One illness of an engine, from the first sign to the recovery.",
        {
            "id": text(),
            "service": text("The engine."),
            "opened": _WHEN,
            "closed": maybe(_WHEN),
            "verdict": text("What the failure meant."),
            "evidence": text("What was seen of it first."),
            **{name: count() for name in _COUNTS},
            "timeline": listing(thing("", {"at": _WHEN, "what": text(), "detail": text()})),
        },
    ),
    "IncidentList": thing("", {"incidents": listing(the("Incident"), maxItems=200)}),
    "RestartOrder": thing(
        "",
        {"force": flag("Spend more than the budget has.")},
        optional=("force",),
        additionalProperties=False,
    ),
    "SwitchOrder": thing("", {"on": flag()}, additionalProperties=False, examples=[{"on": False}]),
    "FaultOrder": {
        **_fault_switch(),
        "description": "A part of how the switch is to be set. Naming a `fault` forgets the details of the last.",
        "examples": [{"fault": "ok"}],
    },
    "FaultSwitch": thing("", {"upstream": text("The engine."), "switch": _fault_switch()}),
    "SpeechCache": thing(
        "How much is remembered, and of how much use that was since the gateway's start.",
        {
            "enabled": flag(),
            **{name: count() for name in ("entries", "bytes", "max_bytes", "hits", "stale", "misses")},
        },
    ),
    "Forgotten": thing("", {"entries": count(), "bytes": count()}),
    "Reloaded": thing(
        "The settings that have changed, by their dotted names.",
        {
            "applied": listing(text(), "In force from now on."),
            "needs_restart": listing(text(), "In force once the gateway has been restarted."),
        },
    ),
}
