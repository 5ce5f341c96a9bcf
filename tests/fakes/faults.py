"""What can go wrong between an engine and the gateway, as ASGI answers of a real server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


def is_canary(request: Request) -> bool:
    """Whether the gateway's watcher asks, and not a user."""
    return "canary" in request.headers.get("user-agent", "")


@dataclass
class Fault:
    """An answer that is not a good one."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, _: bytes) -> Response:
        return Response(self.body, self.status, dict(self.headers))


class CutOff(Fault):
    """The status line and some of the body, then the connection closes."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def response(self, good: bytes) -> Response:
        return _Cut(good, self.after)


class _Cut(Response):
    def __init__(self, good: bytes, after: int) -> None:
        super().__init__(good)
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if self._after:
            await send(
                {"type": "http.response.body", "body": bytes(self.body[: self._after]), "more_body": True}
            )


class Unfinished(Response):
    """A 200 without a length, of which some comes, and never an end: what a generator leaves when it fails."""

    def __init__(self, begun: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(b"", media_type=media_type, headers=dict(headers or {}))
        del self.headers["content-length"]
        self._begun = begun

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if self._begun:
            await send({"type": "http.response.body", "body": self._begun, "more_body": True})


class Slow(Fault):
    """Says nothing until released, and notices when nobody waits any more."""

    def __init__(self, after: int = 0) -> None:
        super().__init__()
        self.after = after
        self.arrived = threading.Event()
        self.released = threading.Event()
        self.abandoned = threading.Event()

    def response(self, good: bytes) -> Response:
        return _Held(good, self)


class _Held(Response):
    def __init__(self, good: bytes, hold: Slow) -> None:
        super().__init__(good)
        self._hold = hold

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_disconnected(receive))
        body = bytes(self.body)
        sent = self._hold.after
        if sent:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": body[:sent], "more_body": True})
        self._hold.arrived.set()
        while not (self._hold.released.is_set() or gone.done()):
            await asyncio.sleep(0.005)
        if gone.done():
            self._hold.abandoned.set()
            return
        gone.cancel()
        if not sent:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": body[sent:]})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
