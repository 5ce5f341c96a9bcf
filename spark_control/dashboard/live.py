"""The page, kept as things are: server-sent events, each with a piece of the page that has changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from starlette.types import Send

from spark_control.dashboard.board import Board
from spark_control.deep_health import DeepHealth
from spark_control.lifecycle import Lifecycle
from spark_control.news import Telling

_LOOK_EVERY = 1.0
"""Seconds between two looks when nothing is announced: figures change by themselves."""

_BREATH = 0.1
"""Seconds for which announcements gather: a burst of them is one change."""

_BEAT_AFTER = 15
"""Looks without any change, after which the page is told that the stream lives."""


class Live(Telling):
    """First `hello`, and every piece as an event `part`; then whichever changes, as soon as it does."""

    def __init__(self, board: Board, deep_health: DeepHealth, lifecycle: Lifecycle, edition: str) -> None:
        super().__init__(lifecycle)
        self._board = board
        self._deep_health = deep_health
        self._edition = edition

    async def _tell(self, send: Send) -> None:
        sent: dict[str, str] = {}
        quiet = 0
        with self._deep_health.subscribe() as announcements:
            at = self._deep_health.snapshot()["at"]
            await _send(send, b"retry: 1000\n" + _written("hello", {"at": at, "edition": self._edition}))
            while True:
                parts = await self._board.parts()
                changed = {name: html for name, html in parts.items() if sent.get(name) != html}
                sent.update(changed)
                quiet = 0 if changed else quiet + 1
                for name, html in changed.items():
                    await _send(send, _written("part", {"id": name, "html": html}))
                if quiet == _BEAT_AFTER:
                    quiet = 0
                    await _send(send, _written("beat", {}))
                await _next(announcements)


async def _next(announcements: asyncio.Queue[dict[str, object]]) -> None:
    """Wait until there may be something new."""
    try:
        async with asyncio.timeout(_LOOK_EVERY):
            await announcements.get()
    except TimeoutError:
        return
    await asyncio.sleep(_BREATH)
    while not announcements.empty():
        announcements.get_nowait()


async def _send(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})


def _written(event: str, data: Mapping[str, object]) -> bytes:
    told = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event}\ndata: {told}\n\n".encode()
