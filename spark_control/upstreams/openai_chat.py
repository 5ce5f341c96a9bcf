"""Language models behind OpenAI's API: vLLM, Ollama, llama.cpp and their kin.

What clients send goes through as it came. What differs from server to server
is how to ask whether it is up, and which of its models are in memory: some
load a model when it is asked for, which a canary must not make them do.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import httpx

from spark_control.errors import GatewayError
from spark_control.upstreams.base import Engine, ProbeWhen
from spark_control.upstreams.openai_errors import told_refusal

_PASSED_ON = ("accept",)
"""Of a client's headers, those that concern an engine. Keys, cookies and the names of users do not."""

_WHOLE = 512 * 1024
"""Bytes of a body that are sent as one piece; more at once would hold up everybody else."""

_LONGEST_NAME = 256
_READY = {"vllm": "/health", "llama.cpp": "/health", "localai": "/readyz", "ollama": "/api/version"}
_LOADED = {"localai": "/system", "ollama": "/api/ps"}
_MODELS = "/v1/models"
_PING = "Hello."

_address = lru_cache(maxsize=64)(httpx.URL)
"""The few addresses there are, parsed once."""


@dataclass(frozen=True, slots=True)
class OpenAIChat(Engine):
    """The dialect."""

    title: ClassVar[str] = "language model"
    longest: ClassVar[float] = 1.0
    concurrency: ClassVar[int] = 64
    flavours: ClassVar[tuple[str, ...]] = tuple(_READY)

    @property
    def probe_when(self) -> ProbeWhen:
        return "after_use"

    def relay_request(self, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Request:
        passed = {name: value for name in _PASSED_ON if _is_text(value := headers.get(name, ""))}
        return self._post(path, body, passed)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        return told_refusal(self.title, status, headers, body)

    def ready_request(self) -> httpx.Request:
        return self._get(_READY.get(self.flavour or "", _MODELS))

    def models_request(self) -> httpx.Request:
        return self._get(_MODELS)

    def read_models(self, body: bytes) -> tuple[str, ...]:
        return _names(_listed(body, "data"))

    def loaded_request(self) -> httpx.Request:
        return self._get(_LOADED.get(self.flavour or "", _MODELS))

    def read_loaded(self, body: bytes) -> tuple[str, ...]:
        if self.flavour == "ollama":
            return _names(_listed(body, "models"))
        if self.flavour == "localai":
            # It has models for everything in memory, of which only this one is known to be for words.
            return tuple(name for name in _names(_listed(body, "loaded_models")) if name == self.model)
        models = _listed(body, "data")
        if any(_state(model) for model in models):  # llama.cpp's router
            return _names([model for model in models if _state(model) == "loaded"])
        names = _names(models)
        if self.flavour is None and len(names) > 1:
            raise LookupError("any of them may be asleep")
        return names

    def canary_request(self, model: str) -> httpx.Request:
        messages = [{"role": "user", "content": _PING}]
        return self._ask("/v1/chat/completions", model, messages=messages, max_tokens=1, temperature=0)

    def embedding_canary_request(self, model: str) -> httpx.Request:
        return self._ask("/v1/embeddings", model, input=_PING)

    def read_canary(self, body: bytes) -> str | None:
        answer = json.loads(body)
        if not isinstance(answer, dict):
            raise ValueError("not an answer")
        return None if answer.get("choices") or answer.get("data") else "there is nothing in its answer"

    def _ask(self, path: str, model: str, **question: object) -> httpx.Request:
        return self._post(path, json.dumps({"model": model, **question}).encode(), {})

    def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Request:
        as_json = {**headers, "content-type": "application/json", "content-length": str(len(body))}
        content = body if len(body) <= _WHOLE else _pieces(body)
        return httpx.Request("POST", _address(self.url + path), headers=as_json, content=content)

    def _get(self, path: str) -> httpx.Request:
        return httpx.Request("GET", _address(self.url + path))


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _WHOLE):
        yield body[start : start + _WHOLE]


Entries = list[dict[str, object]]


def _listed(body: bytes, key: str) -> Entries:
    """The objects in `{key: […]}`, whatever else stands there. Raises ValueError if there is no such list."""
    said = json.loads(body)
    if not isinstance(said, dict) or not isinstance(listed := said.get(key, 0) or [], list):
        raise ValueError("not a list of models")
    return [each for each in listed if isinstance(each, dict)]


def _names(models: Entries) -> tuple[str, ...]:
    """Each name once, as far as it is one."""
    names = [model.get("id") or model.get("model") or model.get("name") for model in models]
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str) and _is_name(name)))


def _is_text(value: str) -> bool:
    """Whether it may stand in a header."""
    return value != "" and value.isascii() and value.isprintable()


def _is_name(name: str) -> bool:
    return len(name) <= _LONGEST_NAME and name.isprintable()


def _state(model: Mapping[str, object]) -> object:
    """Whether it is `loaded`, `sleeping` …; None where the server has no word for it."""
    status = model.get("status")
    return status.get("value") if isinstance(status, dict) else None
