"""Asks an engine the small questions by whose answers its server is recognised."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from spark_control.errors import GatewayError
from spark_control.upstreams.client import Upstream
from spark_control.upstreams.fingerprints import Reply, questions

_ANSWER_BYTES = 256 * 1024
_ANSWER_SECONDS = 3.0


async def interview(upstream: Upstream[Any]) -> Mapping[str, Reply]:
    """What it answers to each question that it answers at all, by path."""
    paths = questions(upstream.kind)
    replies = await asyncio.gather(*(_ask(upstream, path) for path in paths))
    return {path: reply for path, reply in zip(paths, replies, strict=True) if reply}


async def _ask(upstream: Upstream[Any], path: str) -> Reply | None:
    url = f"{upstream.dialect.url}{path}"
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            return Reply(*await upstream.peek(lambda: httpx.Request("GET", url), _ANSWER_BYTES))
    except (TimeoutError, GatewayError):
        return None
