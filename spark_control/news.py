"""What happens to the engines, told as it happens to whoever watches: server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from spark_control import events
from spark_control.caller import caller_of
from spark_control.deep_health import DeepHealth
from spark_control.lifecycle import Lifecycle

_STILL_HERE = 15.0
"""Seconds of quiet after which a comment shows that the connection lives: many proxies cut one after 30 or 60."""

_LOOK_EVERY = 0.25
_LAST_WORD = 0.5


class Telling(Response):
    """Server-sent events to one reader, of which `_tell` writes one after the other, and never an end.

    It ends when the reader leaves, when its key is revoked, and when the gateway drains, which would
    otherwise wait for a reader who never leaves. Nothing is written before
    the reader has taken what came before, so one who is slow, or asleep,
    costs no more than the announcements' bounded queue.
    """

    def __init__(self, lifecycle: Lifecycle) -> None:
        headers = {
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
        }  # nginx would keep the news to itself
        super().__init__(headers=headers, media_type=events.MEDIA_TYPE)
        del self.headers["content-length"]
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        telling, leaving = asyncio.create_task(self._tell(send)), asyncio.create_task(_has_left(receive))
        try:
            holds = caller_of(scope).holds
            while holds() and not (self._lifecycle.draining or telling.done() or leaving.done()):
                await asyncio.wait(
                    [telling, leaving], timeout=_LOOK_EVERY, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            telling.cancel()
            leaving.cancel()
            await asyncio.wait([telling, leaving])
        if not telling.cancelled():
            telling.result()  # it never ends by itself, so this raises
        # A reader that takes nothing would not take the end either: its connection is cut.
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORD):
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, send: Send) -> None:
        raise NotImplementedError


class News(Telling):
    """First how everything is, as an event named `status`; then each announcement, as an event without a name."""

    def __init__(self, deep_health: DeepHealth, lifecycle: Lifecycle) -> None:
        super().__init__(lifecycle)
        self._deep_health = deep_health

    async def _tell(self, send: Send) -> None:
        with self._deep_health.subscribe() as announcements:
            piece = b"event: status\n" + _written(self._deep_health.snapshot())
            while True:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                try:
                    async with asyncio.timeout(_STILL_HERE):
                        piece = _written(await announcements.get())
                except TimeoutError:
                    piece = b": still here\n\n"


async def _has_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _written(event: Mapping[str, object]) -> bytes:
    return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"
