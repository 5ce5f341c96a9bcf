"""OpenAI's API for language models, relayed byte for byte to the engines behind the gateway."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from spark_control.bodies import whole
from spark_control.chat_body import read_chat_body
from spark_control.errors import NotConfigured
from spark_control.routes import PlainRoute
from spark_control.thinking import Thinking
from spark_control.upstreams.relay import Relay, leaving_cancels

_BODY_BYTES = 64 * 1024 * 1024
"""Pictures come inside of the JSON."""

ROUTES = {
    "/v1/chat/completions": "The next message of a conversation, as a whole or as events with `stream`.",
    "/v1/completions": "How a text goes on, as a whole or as events with `stream`.",
    "/v1/responses": "An answer in OpenAI's newer form, as a whole or as events with `stream`.",
    "/v1/embeddings": "Texts as vectors.",
    "/v1/rerank": "Documents in the order of how well they fit a query.",
}
"""What is relayed, under the same address on both sides."""


def build_llm_router(thinking: Thinking | None) -> APIRouter:
    """The routes, which answer 404 if there is no language model."""
    router = APIRouter(tags=["language models"], route_class=PlainRoute)
    for path, description in ROUTES.items():
        router.add_api_route(
            path,
            _relaying(path, thinking),
            methods=["POST"],
            name=path.removeprefix("/v1/"),
            description=description,
            response_class=Response,
        )
    return router


def _relaying(path: str, thinking: Thinking | None) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def relay(request: Request) -> Response:
        if thinking is None:
            raise NotConfigured("No language model is configured on this gateway.")
        body = read_chat_body(await whole(request, _BODY_BYTES))
        asked = thinking.errand(request)
        async with leaving_cancels(request.receive):
            thought = await thinking.start(path, body, request.headers, asked)
        return Relay(thought, thought.headers)

    return relay
