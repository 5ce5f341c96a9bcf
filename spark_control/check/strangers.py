"""What answers at an engine's address, where that is not what the settings say."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from spark_control.errors import GatewayError
from spark_control.settings import UpstreamSettings
from spark_control.upstreams.client import Upstream
from spark_control.upstreams.fingerprints import QUESTIONS, Identity, Reply, bystander, identify

_ANSWER_BYTES = 256 * 1024
_SECONDS = 3.0
_AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class Stranger:
    """What it is instead, and what to write then."""

    what: str
    cure: str
    is_no_engine: bool = False
    is_of_another_flavour: bool = False


async def stranger_at(upstream: Upstream[Any], settings: UpstreamSettings) -> Stranger | None:
    """None if it is what the settings say, as far as small questions tell."""
    replies = await _replies(upstream)
    if (other := bystander(replies)) and not other.startswith("something"):
        cure = f"Correct upstreams.{upstream.name}.url: an engine's address belongs there."
        if "loading" in other:
            return Stranger(f"this is {other}", "Ask again then.", is_no_engine=True)
        return Stranger(f"this is {other}, and no engine", cure, is_no_engine=True)
    found = identify(replies)
    mine = [each for each in found if each.kind == settings.kind and each.task == settings.task]
    if not found:
        return None
    if mine:
        return _of_another_flavour(settings, mine[0])
    return Stranger(f'this is {found[0].title}, not what kind = "{settings.kind}" speaks', _cure(found[0]))


def _of_another_flavour(settings: UpstreamSettings, found: Identity) -> Stranger | None:
    if settings.flavour is None or found.flavour in (None, settings.flavour):
        return None
    cure = f'Write flavour = "{found.flavour}", or leave the line out: it is found out.'
    return Stranger(
        f'this is {found.title}, not flavour = "{settings.flavour}"', cure, is_of_another_flavour=True
    )


def _cure(found: Identity) -> str:
    serves = f', serves = "{found.task}"' if found.kind == "openai" else ""
    return f'Write kind = "{found.kind}"{serves}; or correct the url.'


async def _replies(upstream: Upstream[Any]) -> Mapping[str, Reply]:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def ask(path: str) -> Reply | None:
        url = f"{upstream.dialect.url}{path}"
        try:
            async with turns, asyncio.timeout(_SECONDS):
                return Reply(*await upstream.peek(lambda: httpx.Request("GET", url), _ANSWER_BYTES))
        except (TimeoutError, GatewayError):
            return None

    replies = await asyncio.gather(*map(ask, QUESTIONS))
    return {path: reply for path, reply in zip(QUESTIONS, replies, strict=True) if reply}
