"""OpenAI's API for language models, as far as the gateway reads it: the engine's own documentation has the rest."""

from __future__ import annotations

from spark_control.api_description.failures import COUNTED
from spark_control.api_description.operations import (
    EVENTS,
    JSON,
    REFUSED_BY_ENGINE,
    Json,
    Paths,
    answer,
    body,
    operation,
    parameter,
)
from spark_control.api_description.shapes import (
    Schema,
    Schemas,
    either,
    event,
    flag,
    listing,
    maybe,
    text,
    the,
    thing,
)

_READ: dict[str, Schema] = {
    "model": maybe(
        text(
            "A name of `/v1/models`, or of the owner's own. Default: the owner's choice.",
            examples=["qwen3-30b"],
        )
    ),
    "stream": maybe(flag("The answer as events, as it is made.")),
}
_TEXTS = either(text(), listing(text(), minItems=1))
_ITEMS = either(text(), listing({"type": "object"}, minItems=1))
_MESSAGE = thing("", {"role": text(examples=["user"]), "content": maybe(_ITEMS)}, optional=("content",))


def _asked(description: str, own: dict[str, Schema], example: Json, *, streams: bool = True) -> Schema:
    """The fields that make it what it is, and those that the gateway reads."""
    read = _READ if streams else {"model": _READ["model"]}
    about = f"{description} Every other field is passed on as it is."
    return thing(about, {**own, **read}, optional=tuple(read), examples=[example])


SCHEMAS: Schemas = {
    "ChatRequest": _asked(
        "A conversation.",
        {"messages": listing(_MESSAGE, minItems=1)},
        {"messages": [{"role": "user", "content": "Good morning."}], "stream": True},
    ),
    "CompletionRequest": _asked("A text to go on with.", {"prompt": _TEXTS}, {"prompt": "Once upon a"}),
    "ResponsesRequest": _asked("OpenAI's newer form.", {"input": _ITEMS}, {"input": "Good morning."}),
    "EmbeddingsRequest": _asked(
        "Texts to make vectors of.", {"input": _TEXTS}, {"input": ["one", "two"]}, streams=False
    ),
    "RerankRequest": _asked(
        "Documents to put in order.",
        {"query": text(), "documents": listing(text(), minItems=1)},
        {"query": "a pet", "documents": ["a cat", "a car"]},
        streams=False,
    ),
    "EngineAnswer": {
        "type": "object",
        "description": "What the engine says, byte for byte.",
    },
}

_FAILS = (403, 404, 499, 502, 503, 504)
_REFUSED = dict.fromkeys(("400", "413", "422", "4XX"), REFUSED_BY_ENGINE)


def _relayed(identity: str, summary: str, request: str, *, streams: bool = True) -> dict[str, Json]:
    said: dict[str, Schema] = {JSON: the("EngineAnswer"), "application/x-ndjson": {}, "text/plain": text()}
    if streams:
        said[EVENTS] = event(the("EngineAnswer"), named=True, ends_with="[DONE]")
    return {
        "post": operation(
            identity,
            summary,
            {
                "200": answer(
                    "The engine's answer, byte for byte.", said, "X-Model", "X-Spark-Degraded", *COUNTED
                ),
                **_REFUSED,
            },
            tag="language models",
            fails=_FAILS,
            body=body({JSON: the(request)}),
            parameters=[parameter("Patience")],
        )
    }


PATHS: Paths = {
    "/v1/chat/completions": _relayed("chat", "The next message of a conversation.", "ChatRequest"),
    "/v1/completions": _relayed("complete", "How a text goes on.", "CompletionRequest"),
    "/v1/responses": _relayed("respond", "An answer in OpenAI's newer form.", "ResponsesRequest"),
    "/v1/embeddings": _relayed("embed", "Texts as vectors.", "EmbeddingsRequest", streams=False),
    "/v1/rerank": _relayed(
        "rerank", "Documents in the order of how well they fit a query.", "RerankRequest", streams=False
    ),
}
