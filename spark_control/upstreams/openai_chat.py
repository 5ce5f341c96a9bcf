"""Language models behind OpenAI's API: vLLM, Ollama, llama.cpp and their kin.

What clients send goes through as it came. What differs from server to server
is how to ask whether it is up, and which of its models are in memory: Ollama,
LocalAI and llama.cpp's router load a model when it is asked for, and a canary
must not do that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import httpx
from pydantic import BaseModel

from spark_control.errors import GatewayError
from spark_control.upstreams.base import Engine, ProbeWhen
from spark_control.upstreams.openai_errors import told_refusal

_PASSED_ON = ("accept",)
"""Of a client's headers, those that concern an engine. Keys, cookies and names of users do not."""

_READY = {"vllm": "/health", "llama.cpp": "/health", "localai": "/readyz", "ollama": "/api/version"}
_MODELS = "/v1/models"
_LOADED = {"localai": "/system", "ollama": "/api/ps"}

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
        passed = {name: headers[name] for name in _PASSED_ON if name in headers}
        return self._post(path, body, passed)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        return told_refusal(self.title, status, headers, body)

    def ready_request(self) -> httpx.Request:
        return self._get(_READY.get(self.flavour or "", _MODELS))

    def models_request(self) -> httpx.Request:
        return self._get(_MODELS)

    def read_models(self, body: bytes) -> tuple[str, ...]:
        return _named(_Models.model_validate_json(body).data)

    def loaded_request(self) -> httpx.Request:
        return self._get(_LOADED.get(self.flavour or "", _MODELS))

    def read_loaded(self, body: bytes) -> tuple[str, ...]:
        if self.flavour == "ollama":
            return _named(_Running.model_validate_json(body).models)
        if self.flavour == "localai":
            return _named(_System.model_validate_json(body).loaded_models)
        models = _Models.model_validate_json(body).data or []
        ...

    def canary_request(self, model: str) -> httpx.Request:
        canary = {
            "model": model,
            "messages": [{"role": "user", "content": "Hello."}],
            "max_tokens": 1,
            "temperature": 0,
        }
        return self._post("/v1/chat/completions", json.dumps(canary).encode())

    def embedding_canary_request(self, model: str) -> httpx.Request:
        return self._post("/v1/embeddings", json.dumps({"model": model, "input": "Hello."}).encode())

    def read_canary(self, body: bytes) -> str | None:
        answer = _Answer.model_validate_json(body)
        return None if answer.choices or answer.data else "its answer holds nothing"
