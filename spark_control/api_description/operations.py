"""What an operation takes and answers, in OpenAPI's words. Errors and headers are named, and described once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spark_control.api_description.failures import FAILURES, Failure, exactly
from spark_control.api_description.shapes import Schema, one_of, text, the

Json = dict[str, Any]
Paths = Mapping[str, Mapping[str, Json]]
"""Operations by address and verb."""

JSON = "application/json"
EVENTS = "text/event-stream"
REFUSED_BY_ENGINE: Json = {"$ref": "#/components/responses/RefusedByEngine"}

_SECONDS = {"type": "integer", "minimum": 1, "maximum": 60}
_AMOUNT = {"type": "integer", "minimum": 0}

HEADERS: Mapping[str, tuple[Schema, str]] = {
    "X-Request-ID": (
        {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
        "The request's name in the gateway's log: the client's own `X-Request-ID` if that is harmless.",
    ),
    "X-Model": (text(), "The model that did it."),
    "X-Voice": (text(), "The voice that was spoken in."),
    "X-Spark-Degraded": (text(), "Why it was not the first engine that did it."),
    "X-Spark-Cache": (
        one_of(["hit", "miss", "stale"]),
        "Whether the speech was remembered; `stale`: as another engine or model said it, since none can now. "
        "Absent where nothing is.",
    ),
    "Retry-After": (_SECONDS, "Seconds after which to try again."),
    "Retry-After-Ms": (_AMOUNT, "The same in milliseconds, where it is less than one second."),
    "X-Should-Retry": (one_of(["false"]), "`false`: trying again is of no use."),
    "WWW-Authenticate": (one_of(["Bearer"]), "How to show a key."),
    "Allow": (text(), "The verbs that are understood here."),
    "Connection": (one_of(["close"]), "The connection ends with this answer."),
    "X-RateLimit-Limit-Requests": (_AMOUNT, "How often the key may ask, where it has a limit."),
    "X-RateLimit-Remaining-Requests": (_AMOUNT, "How often still."),
    "X-RateLimit-Reset-Requests": (text(), "Until when, such as `12s`."),
}

PARAMETERS: Mapping[str, Json] = {
    "Patience": {
        "name": "X-Spark-Patience",
        "in": "header",
        "description": "Seconds that the request may be held while its engine is being cured; 0 for not at all. "
        "Unless given: what the key says, or what is usual for the client.",
        "schema": text(pattern=r"^([0-9]+\.?[0-9]*|\.[0-9]+)$", examples=["30"]),
    },
    "Remembering": {
        "name": "Cache-Control",
        "in": "header",
        "description": "`no-store`: nothing of this is remembered, nor made use of. "
        "`no-cache`: it is spoken anew, and remembered from then on.",
        "schema": text(examples=["no-store"]),
    },
}

_SURE = ("X-Request-ID", "WWW-Authenticate", "Allow", "Connection")
"""Headers that are there wherever they are named."""

_CLOSED = (401, 403, 429)
_ALWAYS = (500,)


def operation(
    identity: str,
    summary: str,
    answers: Mapping[str, Json],
    *,
    tag: str,
    fails: Iterable[int] = (),
    body: Json | None = None,
    parameters: Sequence[Json] = (),
    description: str = "",
    open_: bool = False,
) -> Json:
    """One operation. `fails` are the statuses of its errors, besides those that all have; `open_` is without a key."""
    statuses = sorted({*fails, *_ALWAYS, *(() if open_ else _CLOSED)})
    errors = {str(status): {"$ref": f"#/components/responses/{_error(status)}"} for status in statuses}
    described: Json = {
        "operationId": identity,
        "summary": summary,
        "tags": [tag],
        "security": [] if open_ else [{"key": []}, {}],
        "responses": dict(sorted((errors | dict(answers)).items())),
    }
    if description:
        described["description"] = description
    if parameters:
        described["parameters"] = list(parameters)
    if body:
        described["requestBody"] = body
    return described


def answer(description: str, content: Mapping[str, Schema], *headers: str) -> Json:
    """A good answer: its schema by media type, and the headers that it may have."""
    return {
        "description": description,
        "headers": _headers(headers),
        "content": {media_type: {"schema": schema} for media_type, schema in content.items()},
    }


def told(description: str, name: str, *headers: str) -> Json:
    """A good answer in JSON, of the schema of that name."""
    return answer(description, {JSON: the(name)}, *headers)


def body(content: Mapping[str, Schema], *, required: bool = True, **encodings: Json) -> Json:
    """What is sent: its schema by media type; `encodings` are of a form's parts."""
    sent: Json = {media_type: {"schema": schema} for media_type, schema in content.items()}
    if encodings:
        sent["multipart/form-data"]["encoding"] = encodings
    return {"required": required, "content": sent}


def parameter(name: str) -> Json:
    return {"$ref": f"#/components/parameters/{name}"}


def in_path(name: str, description: str, **more: Any) -> Json:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": text(**more)}


def in_query(name: str, description: str, schema: Schema) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def headers() -> Json:
    """`components.headers`."""
    return {
        name: {"description": meaning, "schema": schema, "required": name in _SURE}
        for name, (schema, meaning) in HEADERS.items()
    }


def responses() -> Json:
    """`components.responses`: one for each status of an error."""
    refused = {
        "description": "Neither the gateway nor the engine can do it as it is. The engine's refusals keep their "
        "status, their words and their code.",
        "headers": _headers(()),
        "content": {JSON: {"schema": the("Error")}},
    }
    return {
        **{_error(status): _failed(failure) for status, failure in FAILURES.items()},
        "RefusedByEngine": refused,
    }


def _failed(failure: Failure) -> Json:
    codes = "\n".join(f"- `{code}`: {meaning}" for code, meaning in failure.codes.items())
    return {
        "description": f"{failure.meaning}\n\n{codes}",
        "headers": _headers(failure.headers),
        "content": {JSON: {"schema": exactly(failure)}},
    }


def _headers(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", *names)}


def _error(status: int) -> str:
    return f"Error{status}"
