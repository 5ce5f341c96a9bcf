"""What the gateway's HTTP API is, as an OpenAPI 3.1 document at `/openapi.json`.

It is written by hand, since the busiest routes take the raw request and tell
FastAPI nothing: one file for each front door has the operations and the
schemas that are its own, `failures` has every error, and `operations` and
`shapes` are the words that they are written in. A test holds the routes to it,
and sends whatever it allows.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from fastapi import FastAPI

from spark_control.api_description import (
    admin,
    discovery,
    failures,
    health,
    language_models,
    machine,
    metrics,
    page,
    speech,
    transcription,
)
from spark_control.api_description.operations import PARAMETERS, headers, responses

_DOORS = (speech, transcription, language_models, discovery, health, admin, machine, metrics, page)

_TAGS = {
    "audio": "OpenAI's audio API, answered by the speech engines.",
    "language models": "OpenAI's API for language models, relayed byte for byte.",
    "discovery": "Which models and voices there are. Open to everybody.",
    "health": "Whether the gateway lives and takes work. Open to everybody.",
    "admin": "How the engines are, and what can be done about them.",
    "page": "What a person looks at.",
}

_ABOUT = (
    "One OpenAI-compatible address for the engines of a DGX Spark, and it keeps them alive.\n\n"
    "Paths are forgiven doubled and trailing slashes, a doubled `/v1` and a missing one. Every error has "
    "OpenAI's envelope, every answer an `X-Request-ID`."
)


def describe(app: FastAPI) -> None:
    """Have `app` answer with this description instead of the one that FastAPI would work out."""
    remembered = partial(cache(document), app.version)
    app.openapi = remembered  # type: ignore[method-assign] # FastAPI's own way to do this


def document(version: str) -> dict[str, Any]:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Spark Control",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This gateway."}],
        "tags": [{"name": name, "description": meaning} for name, meaning in _TAGS.items()],
        "paths": {path: dict(verbs) for door in _DOORS for path, verbs in door.PATHS.items()},
        "components": {
            "schemas": {
                name: schema for part in (failures, *_DOORS) for name, schema in part.SCHEMAS.items()
            },
            "parameters": dict(PARAMETERS),
            "headers": headers(),
            "responses": responses(),
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of `spark-control key add`. Without any keys nobody needs one. "
                    "A browser that has logged in shows a cookie instead, on the gateway's own pages.",
                }
            },
        },
    }
