"""The engines behind the gateway: a dialect each, and the one client that reaches them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

import httpx

from spark_control.settings import Task, UpstreamSettings
from spark_control.upstreams.base import ChatDialect, Dialect, SpeechDialect, TranscriptionDialect
from spark_control.upstreams.client import Upstream
from spark_control.upstreams.magpie import Magpie
from spark_control.upstreams.openai_audio import OpenAISpeech, OpenAITranscription
from spark_control.upstreams.openai_chat import OpenAIChat
from spark_control.upstreams.parakeet import Parakeet, ParakeetNim
from spark_control.upstreams.qwen3 import Qwen3


class MakesDialect(Protocol):
    """A dialect's class."""

    def __call__(self, url: str, *, language: str | None, flavour: str | None) -> Dialect: ...


DIALECTS: Mapping[Task, Mapping[str, MakesDialect]] = {
    "speech": {"magpie": Magpie, "qwen3-tts": Qwen3, "openai": OpenAISpeech},
    "transcription": {"parakeet": Parakeet, "parakeet-nim": ParakeetNim, "openai": OpenAITranscription},
    "chat": {"openai": OpenAIChat},
}
"""By what an engine is there for, and then by its kind."""


def build_upstream(name: str, settings: UpstreamSettings, client: httpx.AsyncClient) -> Upstream[Dialect]:
    """The engine that `[upstreams.NAME]` describes."""
    dialect = DIALECTS[settings.task][settings.kind](
        str(settings.url).rstrip("/"),
        language=settings.language,
        flavour=settings.flavour,
    )
    return Upstream(
        name,
        dialect.of_model(settings.model) if settings.model else dialect,
        client,
        kind=settings.kind,
        longest=settings.longest,
        concurrency=settings.concurrency,
        pieces=settings.pieces,
        priority=settings.priority,
        probe_when=settings.probe_when,
        accepts=settings.accepts,
        api_key=settings.api_key.get_secret_value() if settings.api_key else None,
        timeout=settings.timeout,
    )


Upstreams = Mapping[str, UpstreamSettings]


def speakers(upstreams: Upstreams, client: httpx.AsyncClient) -> list[Upstream[SpeechDialect]]:
    """The engines that speak, in the order of the file."""
    return cast(list[Upstream[SpeechDialect]], _of("speech", upstreams, client))


def listeners(upstreams: Upstreams, client: httpx.AsyncClient) -> list[Upstream[TranscriptionDialect]]:
    """The engines that transcribe, in the order of the file."""
    return cast(list[Upstream[TranscriptionDialect]], _of("transcription", upstreams, client))


def thinkers(upstreams: Upstreams, client: httpx.AsyncClient) -> list[Upstream[ChatDialect]]:
    """The engines with language models, in the order of the file."""
    return cast(list[Upstream[ChatDialect]], _of("chat", upstreams, client))


def _of(task: Task, upstreams: Upstreams, client: httpx.AsyncClient) -> list[Upstream[Dialect]]:
    return [
        build_upstream(name, settings, client)
        for name, settings in upstreams.items()
        if settings.task == task
    ]
