"""`spark-control check`: is everything that the settings name there?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx

from spark_control.engines.embedded import missing_extra
from spark_control.errors import GatewayError
from spark_control.settings import Settings
from spark_control.upstreams import build_upstream
from spark_control.upstreams.base import Dialect
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
        return list(await asyncio.gather(*map(_ask, upstreams)))


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
