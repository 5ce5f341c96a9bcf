"""Qwen3-TTS and its three servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import httpx

from spark_control.upstreams.base import Engine, Speech, Voice


@dataclass(frozen=True, slots=True)
class Qwen3(Engine):
    """The dialect."""

    model: str = "qwen3-tts"

    flavours: ClassVar[tuple[str, ...]] = ("groxaxo", "icantc0de1", "vllm-omni")
    title: ClassVar[str] = "text-to-speech"
    longest: ClassVar[float] = 60.0
    concurrency: ClassVar[int] = 1
    whole_files: ClassVar[bool] = False
    takes_ssml: ClassVar[bool] = False
    paces: ClassVar[tuple[float, float]] = (1.0, 1.0)
    stream_rate: ClassVar[int] = 24_000
    openai_voices: ClassVar[Mapping[str, str]] = {}

    def wav_request(self, speech: Speech) -> httpx.Request:
        raise NotImplementedError

    def stream_request(self, speech: Speech) -> httpx.Request:
        raise NotImplementedError

    def voices_request(self) -> httpx.Request:
        raise NotImplementedError

    def read_voices(self, body: bytes) -> tuple[Voice, ...]:
        raise NotImplementedError

    def ready_request(self) -> httpx.Request:
        raise NotImplementedError
