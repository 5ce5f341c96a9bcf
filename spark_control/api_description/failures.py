"""Every error that a client can meet: its status, its codes, and what comes in its headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spark_control.api_description.shapes import Schema, Schemas, maybe, one_of, text, the, thing

TYPES = (
    "authentication_error",
    "invalid_request_error",
    "not_found_error",
    "permission_error",
    "rate_limit_error",
    "server_error",
    "service_unavailable_error",
)

SCHEMAS: Schemas = {
    "Error": thing(
        "OpenAI's envelope.",
        {
            "error": thing(
                "",
                {
                    "message": text("A sentence for a person, who can act on it."),
                    "type": one_of(TYPES),
                    "param": maybe(text("The parameter at fault.")),
                    "code": text("A word for a program; each status tells which there are."),
                },
            ),
            "detail": text("The message once more, for clients that read FastAPI's errors."),
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What one status means, its codes with what each means, and the headers it may have."""

    meaning: str
    codes: Mapping[str, str]
    headers: tuple[str, ...] = ()
    """Names of `components.headers`."""


_LATER = ("Retry-After", "X-Should-Retry")

COUNTED = (
    "X-RateLimit-Limit-Requests",
    "X-RateLimit-Remaining-Requests",
    "X-RateLimit-Reset-Requests",
)
"""What is told to a key that may ask only so often."""

FAILURES: Mapping[int, Failure] = {
    400: Failure(
        "The request can never succeed as it is.",
        {
            "invalid_request": "See the message.",
            "invalid_json": "The body is not JSON.",
            "invalid_type": "The body, or a field, is of the wrong type.",
            "invalid_value": "A field has a value that it cannot have.",
            "invalid_parameter": "A header or a field is of the wrong form.",
            "invalid_multipart": "The form is broken, cut off, or none.",
            "missing_required_parameter": "A field is missing.",
            "string_above_max_length": "The text is too long; send it in parts.",
            "nothing_to_say": "Nothing of the text can be spoken.",
            "ssml_not_taken": "No engine here takes SSML.",
            "voice_not_found": "There is no such voice; the message names those that are near.",
            "unsupported_format": "That format cannot be made.",
            "unsupported_value": "Two parameters do not go together.",
            "unsupported_operation": "No engine here does that.",
            "audio_undecodable": "The file is empty, broken, or no sound.",
            "request_too_large": "The body has more values than a model can read.",
            "refused_by_engine": "The engine refuses it; the message has the engine's words.",
        },
    ),
    401: Failure(
        "A key is needed, and there was none, or a wrong one.",
        {"invalid_api_key": "Send `Authorization: Bearer …`."},
        headers=("WWW-Authenticate",),
    ),
    403: Failure(
        "Not for whoever asked.",
        {
            "forbidden": "See the message.",
            "key_needed": "It came through a proxy, and the gateway has no keys yet.",
            "key_not_for_this": "The key is for other uses.",
            "local_only": "Only this machine itself, or an admin key, may change something.",
            "origin_not_allowed": "No page of that origin may ask: the answer to a browser's preflight.",
        },
    ),
    404: Failure(
        "There is nothing of that name.",
        {
            "not_found": "Nothing at this address, or no such incident.",
            "not_configured": "The gateway has no engine of that kind.",
            "model_not_found": "No such model, where the owner wants names to be right.",
            "voice_not_found": "No such voice.",
            "upstream_not_found": "No such engine.",
            "unsupported_operation": "The engine does not offer this.",
        },
    ),
    405: Failure(
        "The address is right and the verb is not. It can come at every address.",
        {"method_not_allowed": "`Allow` tells the right ones."},
        headers=("Allow",),
    ),
    409: Failure(
        "What was asked for does not go with how things are.",
        {
            "conflict": "See the message.",
            "no_restarter": "Nobody can restart that engine.",
            "restart_under_way": "It is being restarted already.",
            "budget_spent": "No restarts are left, unless it is forced.",
            "no_fault_switch": "That engine cannot fail on purpose.",
            "invalid_settings": "The settings file does not hold; the message has every reason.",
        },
    ),
    413: Failure(
        "More bytes than the gateway takes. The connection closes.",
        {
            "audio_too_large": "The file, or a field of the form.",
            "request_too_large": "The body.",
        },
        headers=("Connection",),
    ),
    415: Failure(
        "The body is not what it has to be.",
        {"invalid_request": "Send it as `application/json`."},
    ),
    422: Failure(
        "A parameter of the wrong form, or an input that engines do not survive.",
        {
            "invalid_request": "See the message.",
            "invalid_parameter": "It has a value that it cannot have.",
            "unknown_parameter": "There is no such field.",
            "poison_input": "It has wedged every engine that got it: none gets it again for a day.",
        },
        headers=("X-Should-Retry",),
    ),
    429: Failure(
        "Too much at once. Nothing is wrong with the engines.",
        {
            "queue_full": "More is waiting than can be done in good time.",
            "rate_limit_exceeded": "The key's own limit, too many wrong keys, or an engine that has enough to do.",
        },
        headers=(*_LATER, *COUNTED),
    ),
    499: Failure(
        "The client left before its answer. Only the log has this one.",
        {"client_closed_request": "Nobody reads it."},
    ),
    500: Failure(
        "The gateway made a mistake of its own; its log tells more, under this answer's `X-Request-ID`.",
        {"internal_error": "A bug."},
    ),
    502: Failure(
        "An engine answered wrongly, or broke off.",
        {
            "upstream_error": "It failed.",
            "upstream_cut_short": "It fell silent too early.",
            "upstream_garbage": "What it answered makes no sense.",
            "upstream_not_understood": "It does not know such a request: its `kind` may be wrong in the settings.",
            "upstream_refused_key": "It refuses the gateway's own key.",
        },
        headers=_LATER,
    ),
    503: Failure(
        "It cannot be done just now.",
        {
            "service_unavailable": "An engine does not answer, or the gateway is about to restart.",
            "service_loading": "An engine is not ready yet.",
            "service_restarting": "An engine is being cured.",
            "service_drained": "The owner keeps requests away from the engine.",
            "restart_budget_exhausted": "Restarts did not help: its owner has to look after it.",
            "starting": "The gateway is starting its engines.",
            "draining": "The gateway is shutting down.",
            "not_alive": "What looks after the engines has stopped; the gateway has to be restarted.",
            "out_of_space": "There is no room left for the upload.",
        },
        headers=(*_LATER, "Retry-After-Ms"),
    ),
    504: Failure(
        "An engine took the work and did not answer in time.",
        {"upstream_timeout": "See the message.", "probe_timeout": "The canary has not come back yet."},
        headers=_LATER,
    ),
}


def exactly(failure: Failure) -> Schema:
    """The envelope with one of that failure's codes."""
    code = {"properties": {"code": {"enum": list(failure.codes)}}}
    return {"allOf": [the("Error"), {"properties": {"error": code}}]}
