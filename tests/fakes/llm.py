"""Servers of language models, as far as the gateway can tell: vLLM, llama.cpp and Ollama, with their ways to fail.

    python -m tests.fakes.llm vllm --port 20001 --dies-of kaboom

The model answers each message with its own words, of which each is a token.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from spark_control.engines.lifeline import end_when_closed
from tests.fakes.faults import Fault, is_canary

MODEL, EMBEDDER = "qwen3-30b", "nomic-embed-text"
CONTEXT = 4096
"""Tokens, which are words here."""

_DIES_AFTER = 0.2


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    path: str
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> dict[str, Any]:
        asked: dict[str, Any] = json.loads(self.body)
        return asked


class FakeLLM:
    """What the three have in common: OpenAI's routes, and a record of what was asked."""

    def __init__(self, exit_: Callable[[int], object] = lambda _: None) -> None:
        """`exit_` ends the process, if it is one."""
        self._exit = exit_
        self.dies_of: str | None = None
        relayed = ["chat/completions", "completions", "responses", "embeddings", "rerank"]
        self.app = Starlette(
            routes=[
                *(Route(f"/v1/{path}", self._work, methods=["POST"]) for path in relayed),
                Route("/v1/models", self._models),
                *(Route(path, answer) for path, answer in self.own_routes().items()),
            ]
        )
        self.reset()

    def reset(self) -> None:
        self.asked: list[Asked] = []
        self.canaries: list[Asked] = []
        self.models = [MODEL, EMBEDDER]
        self.fault: Fault | None = None
        self.faults: list[Fault] = []
        """For one request each, before those of `fault`."""
        self.dead = False

    def own_routes(self) -> Mapping[str, Callable[[Request], Any]]:
        raise NotImplementedError

    def error(self, status: int, kind: str, message: str) -> Response:
        raise NotImplementedError

    def before_work(self, model: object) -> Response | None:
        """Why it cannot begin, if it cannot."""
        return None

    async def _models(self, _: Request) -> Response:
        entries = [{"id": name, "object": "model", "created": 1, "owned_by": "me"} for name in self.models]
        return JSONResponse({"object": "list", "data": entries})

    async def _work(self, request: Request) -> Response:
        asked = Asked(request.url.path, await request.body(), dict(request.headers))
        canary = is_canary(request)
        (self.canaries if canary else self.asked).append(asked)
        model = asked.json.get("model")
        self.dead = self.dead or (self.dies_of is not None and self.dies_of.encode() in asked.body)
        if refused := self.before_work(model):
            return refused
        if model not in self.models:
            return self.error(404, "NotFoundError", f"The model `{model}` does not exist.")
        good = self._answer(asked.path, asked.json)
        fault = self.faults.pop(0) if self.faults and not canary else self.fault
        if not fault or good.status_code != 200:
            return good
        answer = fault.response(bytes(good.body))
        answer.headers.setdefault("content-type", good.headers["content-type"])
        return answer

    def _answer(self, path: str, asked: dict[str, Any]) -> Response:
        if path.endswith("embeddings"):
            return self._embeddings(asked)
        if asked["model"] == EMBEDDER:
            return self.error(400, "BadRequestError", f'"{EMBEDDER}" does not support chat')
        if path.endswith("rerank"):
            ranked = [{"index": index, "relevance_score": 0.5} for index, _ in enumerate(asked["documents"])]
            return JSONResponse({"model": asked["model"], "results": ranked})
        words = said(asked).split()
        if len(words) > CONTEXT:
            message = (
                f"This model's maximum context length is {CONTEXT} tokens. However, your request has "
                f"{len(words)} input tokens. Please reduce the length of the input messages."
            )
            return self.error(400, "BadRequestError", message)
        words = words[: asked.get("max_tokens")]
        if asked.get("stream"):
            return Response(stream_of(path, asked["model"], words), media_type="text/event-stream")
        return JSONResponse(whole_of(path, asked["model"], words))

    def _embeddings(self, asked: dict[str, Any]) -> Response:
        if asked["model"] != EMBEDDER:
            return self.error(400, "BadRequestError", "The model does not support Embeddings API")
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        data = [
            {"object": "embedding", "index": index, "embedding": [0.25, float(len(text))]}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return JSONResponse({"object": "list", "model": EMBEDDER, "data": data, "usage": usage})


class FakeVLLM(FakeLLM):
    """Has one model. Once its engine has died, every answer is an empty 500; soon its process ends, with status 0."""

    def reset(self) -> None:
        super().reset()
        self.models = [MODEL]

    def own_routes(self) -> Mapping[str, Callable[[Request], Any]]:
        return {"/health": self._health, "/version": self._version}

    def error(self, status: int, kind: str, message: str) -> Response:
        error = {"message": message, "type": kind, "param": None, "code": status}
        return JSONResponse({"error": error}, status)

    def before_work(self, model: object) -> Response | None:
        if not self.dead:
            return None
        return Response(b"", 500, background=BackgroundTask(self._shut_down))

    async def _shut_down(self) -> None:
        await asyncio.sleep(_DIES_AFTER)
        self._exit(0)

    async def _health(self, _: Request) -> Response:
        return Response(b"", 503 if self.dead else 200)

    async def _version(self, _: Request) -> Response:
        return JSONResponse({"version": "0.11.0"})


class FakeLlamaCpp(FakeLLM):
    """Has one model. Answers 503 until it is loaded; a CUDA error is the end of its process."""

    def reset(self) -> None:
        super().reset()
        self.models = [MODEL]
        self.loading = False

    def own_routes(self) -> Mapping[str, Callable[[Request], Any]]:
        return {"/health": self._health, "/props": self._health}

    def error(self, status: int, kind: str, message: str) -> Response:
        kind = "exceed_context_size_error" if "context" in message else "invalid_request_error"
        return JSONResponse({"error": {"code": status, "message": message, "type": kind}}, status)

    def before_work(self, model: object) -> Response | None:
        if self.dead:
            self._exit(134)
        return self._loading() if self.loading else None

    async def _health(self, _: Request) -> Response:
        return self._loading() if self.loading else JSONResponse({"status": "ok"})

    def _loading(self) -> Response:
        error = {"code": 503, "message": "Loading model", "type": "unavailable_error"}
        return JSONResponse({"error": error}, 503)


class FakeOllama(FakeLLM):
    """Has several models, and loads one when it is asked for. A CUDA error ends that model's runner alone."""

    def reset(self) -> None:
        super().reset()
        self.loaded: list[object] = []
        self.busy = False

    def own_routes(self) -> Mapping[str, Callable[[Request], Any]]:
        return {"/": self._root, "/api/version": self._version, "/api/ps": self._ps}

    def error(self, status: int, kind: str, message: str) -> Response:
        kind = {400: "invalid_request_error", 404: "not_found_error"}.get(status, "api_error")
        return JSONResponse(
            {"error": {"message": message, "type": kind, "param": None, "code": None}}, status
        )

    def before_work(self, model: object) -> Response | None:
        if self.busy:
            return self.error(503, "", "server busy, please try again.  maximum pending requests exceeded")
        if self.dead:
            self.dead = False
            self.loaded.clear()
            return self.error(500, "", "llama runner process has terminated: exit status 2")
        if model in self.models and model not in self.loaded:
            self.loaded.append(model)
        return None

    async def _root(self, _: Request) -> Response:
        return PlainTextResponse("Ollama is running")

    async def _version(self, _: Request) -> Response:
        return JSONResponse({"version": "0.12.6"})

    async def _ps(self, _: Request) -> Response:
        return JSONResponse({"models": [{"name": name, "model": name} for name in self.loaded]})


FLAVOURS: Mapping[str, type[FakeVLLM] | type[FakeLlamaCpp] | type[FakeOllama]] = {
    "vllm": FakeVLLM,
    "llama.cpp": FakeLlamaCpp,
    "ollama": FakeOllama,
}


def said(asked: dict[str, Any]) -> str:
    """The words that are answered: those that were asked."""
    if messages := asked.get("messages"):
        return str(messages[-1]["content"])
    return str(asked.get("prompt") or asked.get("input"))


def whole_of(path: str, model: str, words: list[str]) -> dict[str, Any]:
    text = " ".join(words)
    usage = {"prompt_tokens": len(words), "completion_tokens": len(words), "total_tokens": 2 * len(words)}
    if path.endswith("responses"):
        return _response(model, "completed", [_message(text)])
    if path.endswith("chat/completions"):
        choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}}
        kind = "chat.completion"
    else:
        choice, kind = {"index": 0, "text": text, "logprobs": None}, "text_completion"
    choice["finish_reason"] = "stop"
    return {"id": "1", "object": kind, "created": 1, "model": model, "choices": [choice], "usage": usage}


def stream_of(path: str, model: str, words: list[str]) -> bytes:
    """All of a stream's events."""
    if path.endswith("responses"):
        return b"".join(_response_events(model, words))
    chat = path.endswith("chat/completions")
    kind = "chat.completion.chunk" if chat else "text_completion"
    chunks: list[dict[str, Any]] = [
        {"delta": {"content": f"{word} "}} if chat else {"text": f"{word} "} for word in words
    ]
    chunks = [{"delta": {"role": "assistant", "content": ""}}, *chunks] if chat else chunks
    last: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
    entries = [{"index": 0, "finish_reason": None, **chunk} for chunk in chunks]
    entries.append({"index": 0, "finish_reason": "stop", **last})
    common = {"id": "1", "object": kind, "created": 1, "model": model}
    return b"".join(event({**common, "choices": [entry]}) for entry in entries) + b"data: [DONE]\n\n"


def event(data: Mapping[str, Any], name: str = "") -> bytes:
    named = f"event: {name}\n" if name else ""
    return f"{named}data: {json.dumps(data)}\n\n".encode()


def _response(model: str, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": model,
        "status": status,
        "error": None,
        "output": output,
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    }


def _message(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


def _response_events(model: str, words: list[str]) -> list[bytes]:
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": _response(model, "in_progress", [])},
        *(
            {"type": "response.output_text.delta", **where, "delta": f"{word} ", "logprobs": []}
            for word in words
        ),
        {
            "type": "response.completed",
            "response": _response(model, "completed", [_message(" ".join(words))]),
        },
    ]
    return [event({**each, "sequence_number": number}, each["type"]) for number, each in enumerate(events)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("flavour", choices=FLAVOURS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dies-of", help="the word in a request that kills the engine")
    args = parser.parse_args()
    end_when_closed(0)
    fake = FLAVOURS[args.flavour](exit_=os._exit)
    fake.dies_of = args.dies_of
    with socket.create_server(("127.0.0.1", args.port), backlog=256) as listening:
        uvicorn.Server(uvicorn.Config(fake.app, log_config=None)).run(sockets=[listening])


if __name__ == "__main__":
    main()
