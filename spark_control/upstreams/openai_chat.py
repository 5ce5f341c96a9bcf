"""Language models behind OpenAI's API: vLLM, Ollama, llama.cpp and their kin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import httpx

from spark_control.upstreams.base import Engine, ProbeWhen


@dataclass(frozen=True, slots=True)
class OpenAIChat(Engine):
    """The dialect."""

    title: ClassVar[str] = "language model"
    longest: ClassVar[float] = 1.0
    concurrency: ClassVar[int] = 64

    @property
    def probe_when(self) -> ProbeWhen:
        return "after_use"

    def relay_request(self, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Request:
        raise NotImplementedError

    def canary_request(self, model: str) -> httpx.Request:
        raise NotImplementedError

    def read_canary(self, body: bytes) -> str | None:
        raise NotImplementedError

    def loaded_request(self) -> httpx.Request | None:
        raise NotImplementedError

    def read_loaded(self, body: bytes) -> tuple[str, ...]:
        raise NotImplementedError

    def ready_request(self) -> httpx.Request:
        raise NotImplementedError
