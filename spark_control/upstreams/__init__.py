"""The engines behind the gateway: a dialect each, and the one client that reaches them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import httpx

from spark_control.settings import UpstreamSettings
from spark_control.upstreams.base import Dialect, SpeechDialect, TranscriptionDialect
from spark_control.upstreams.client import Upstream
from spark_control.upstreams.magpie import Magpie
from spark_control.upstreams.parakeet import Parakeet, ParakeetNim

SPEECH_DIALECTS: dict[str, Callable[[str, str | None], SpeechDialect]] = {
    "magpie": Magpie,
}
TRANSCRIPTION_DIALECTS: dict[str, Callable[[str, str | None], TranscriptionDialect]] = {
    "parakeet": Parakeet,
    "parakeet-nim": ParakeetNim,
}
DIALECTS: dict[str, Callable[[str, str | None], Dialect]] = {**SPEECH_DIALECTS, **TRANSCRIPTION_DIALECTS}


def build_upstream(name: str, settings: UpstreamSettings, client: httpx.AsyncClient) -> Upstream[Dialect]:
    """The engine that `[upstreams.NAME]` describes."""
    dialect = DIALECTS[settings.kind](str(settings.url).rstrip("/"), settings.language)
    return Upstream(
        name,
        dialect,
        client,
        model=settings.model,
        longest=settings.longest,
        concurrency=settings.concurrency,
        accepts=settings.accepts,
        api_key=settings.api_key.get_secret_value() if settings.api_key else None,
        timeout=settings.timeout,
    )


def speakers(
    upstreams: dict[str, UpstreamSettings], client: httpx.AsyncClient
) -> list[Upstream[SpeechDialect]]:
    """The engines that speak, in the order of the file."""
    return [
        cast(Upstream[SpeechDialect], build_upstream(name, settings, client))
        for name, settings in upstreams.items()
        if settings.kind in SPEECH_DIALECTS
    ]


def listeners(
    upstreams: dict[str, UpstreamSettings], client: httpx.AsyncClient
) -> list[Upstream[TranscriptionDialect]]:
    """The engines that transcribe, in the order of the file."""
    return [
        cast(Upstream[TranscriptionDialect], build_upstream(name, settings, client))
        for name, settings in upstreams.items()
        if settings.kind in TRANSCRIPTION_DIALECTS
    ]
