"""`spark-control check`: is everything that the settings name there?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx

from spark_control.engines.embedded import missing_extra
from spark_control.errors import GatewayError
from spark_control.settings import Settings
from spark_control.upstreams import build_upstream, speakers
from spark_control.upstreams.base import Dialect, SpeechDialect
from spark_control.upstreams.catalog import Catalog
from spark_control.upstreams.client import Upstream, open_client

_ENOUGH = 1024 * 1024
_PATIENCE = 5
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A line for a person."""

    good: bool
    text: str


def check_upstreams(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> list[Finding]:
    """A finding for each upstream, or one on the embedded engines if there is none."""
    if not settings.upstreams:
        missing = missing_extra()
        found = "no upstream is configured: serve starts the embedded engines"
        return [Finding(not missing, missing or found)]
    return asyncio.run(_ask_all(settings, transport))


async def _ask_all(settings: Settings, transport: httpx.AsyncBaseTransport | None) -> list[Finding]:
    async with open_client(transport) as client:
        upstreams = [build_upstream(name, each, client) for name, each in settings.upstreams.items()]
        findings = list(await asyncio.gather(*map(_ask, upstreams)))
        return [*findings, *await _names(settings, speakers(settings.upstreams, client))]


async def _names(settings: Settings, speaking: list[Upstream[SpeechDialect]]) -> list[Finding]:
    """What is wrong with the names of voices in the settings, as far as the engine can tell now."""
    if not speaking:
        return []
    catalog = Catalog(
        speaking,
        own_names=settings.voices,
        default_voice=settings.speech.default_voice,
        models=settings.models,
    )
    try:
        for each in speaking:
            await catalog.refresh(each.name)
    except GatewayError:
        return []  # its own line says so
    asked = {f"voices.{name}": name for name in settings.voices} | {"speech.default_voice": None}
    return [finding for setting, name in asked.items() for finding in _unknown(catalog, setting, name)]


def _unknown(catalog: Catalog, setting: str, name: str | None) -> list[Finding]:
    try:
        catalog.known_cast(name)
    except GatewayError as exc:
        return [Finding(good=False, text=f"{setting}: {exc.message}")]
    return []


async def _ask(upstream: Upstream[Dialect]) -> Finding:
    try:
        async with asyncio.timeout(_PATIENCE):
            await upstream.fetch(upstream.dialect.ready_request, _ENOUGH)
    except TimeoutError:
        return Finding(
            good=False, text=f"{upstream.name} at {upstream.dialect.url}: no answer in {_PATIENCE} s"
        )
    except GatewayError as exc:
        return Finding(good=False, text=f"{upstream.name} at {upstream.dialect.url}: {exc.message}")
    return Finding(
        good=True,
        text=f"{upstream.name} at {upstream.dialect.url}: the {upstream.dialect.title} engine answers",
    )
