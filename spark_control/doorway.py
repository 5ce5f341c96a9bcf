"""What happens to every request before it meets a route.

Its path is forgiven, it gets an id, it is counted, it is refused while the
gateway drains, and when it is over it is measured, and logged in one line.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Sequence
from urllib.parse import unquote

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spark_control.caller import caller_of
from spark_control.errors import NotFound, Unavailable, bug
from spark_control.lifecycle import Lifecycle
from spark_control.measuring import Measuring
from spark_control.trip import Trip, begin_trip

log = structlog.get_logger()

_SLASHES = re.compile(r"/{2,}")
_DOUBLED_V1 = re.compile(r"^(/v1)+(?=/|$)")
_WITHOUT_V1 = re.compile(r"^/(audio|chat|completions|embeddings|models|rerank|responses)(?=/|$)")
_SANE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")

_CLOSE = ((b"connection", b"close"),)

OTHER = "other"
"""The route of what came to none."""


def forgiven(path: str) -> str:
    """The path that was meant: `//`, a trailing `/`, `/v1/v1` and a missing `/v1` are common slips.

    Users paste the full endpoint where a client wants the base, or the base
    where it wants the endpoint.
    """
    path = _SLASHES.sub("/", path)
    path = path.rstrip("/") or "/"
    path = _DOUBLED_V1.sub("/v1", path)
    return f"/v1{path}" if _WITHOUT_V1.match(path) else path


def meant(scope: Scope) -> str:
    """The path that a request means. A slash that came as `%2F` is part of a name, and no slip."""
    raw: bytes = scope.get("raw_path") or b""
    return unquote(forgiven(raw.decode("latin-1"))) if b"%" in raw else forgiven(scope["path"])


def request_id(scope: Scope) -> bytes:
    """The client's own `X-Request-ID` where it is harmless, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_REQUEST_ID.fullmatch(value):
            return bytes(value)
    return b"req_" + secrets.token_hex(12).encode()


def _shown(path: str) -> str:
    """A path as a terminal may print it."""
    return path[:200] if path.isprintable() else ascii(path[:200])


def route_of(scope: Scope) -> str:
    """The template of the route that it came to, or would have come to: of those there are only so many."""
    route = scope.get("route")
    if route is not None:
        return str(route.path)
    path: str = scope["path"]
    return path if "app" in scope and path in scope["app"].openapi()["paths"] else OTHER


class Doorway:
    """The ASGI application around all the others. `content` has the log tell what is spoken and heard."""

    def __init__(
        self, app: ASGIApp, lifecycle: Lifecycle, measuring: Measuring, *, content: bool = False
    ) -> None:
        self._app = app
        self._lifecycle = lifecycle
        self._measuring = measuring
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["path"] = meant(scope)
        identity = request_id(scope)
        began = time.perf_counter()
        trip = Trip(keeps_content=self._content)
        begin_trip(scope, trip)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", identity), *self._goodbye()]
                await send(message)
                trip.status = message["status"]
                return
            await send(message)
            if body := message.get("body"):
                if trip.first_byte is None:
                    trip.first_byte = time.perf_counter() - began
                trip.bytes_out += len(body)
            trip.whole = not message.get("more_body")

        structlog.contextvars.bind_contextvars(request_id=identity.decode())
        self._lifecycle.enter()
        try:
            await self._answer(scope, receive, send_with_id)
        except asyncio.CancelledError:
            if not self._lifecycle.over:
                raise
            if not trip.status:  # else the cut connection tells
                await _leaving().response()(scope, receive, send_with_id)
        except Exception:
            log.exception("bug")
            # After the status line only the cut connection, which an unfinished answer means, can tell.
            if not trip.status:
                await bug().response()(scope, receive, send_with_id)
        finally:
            self._lifecycle.leave()
            trip.took = time.perf_counter() - began
            self._measuring.answered(route_of(scope), trip)
            asked = {"method": scope["method"], "path": _shown(scope["path"])}
            log.info("answered", **asked, key=caller_of(scope).key, **trip.told())

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].isprintable():
            # The router's patterns overlook a line break at the end; who may come in is decided by the path as it is.
            await NotFound("There is nothing at an address with such characters.").response()(
                scope, receive, send
            )
        elif self._lifecycle.turns_away and scope["method"] == "POST":
            await _leaving().response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _goodbye(self) -> Sequence[tuple[bytes, bytes]]:
        """Have the client ask its next on a new connection, which this gateway may not live to see."""
        return _CLOSE if self._lifecycle.draining else ()


def _leaving() -> Unavailable:
    return Unavailable("The gateway is restarting; try again in a few seconds.", retry_after=5)
