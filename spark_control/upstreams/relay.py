"""Hands a source's bytes on as they arrive, and lets go of it when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from spark_control.errors import ClientGone, GatewayError

log = structlog.get_logger()


class Source(Protocol):
    """Bytes on their way, and what has to be closed at their end."""

    def pieces(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


@asynccontextmanager
async def leaving_cancels(receive: Receive) -> AsyncIterator[None]:
    """Cancel the block when the client disconnects, and raise ClientGone in its place.

    The request's body must have been read: what `receive` brings meanwhile is dropped.
    """
    working = asyncio.current_task()
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        assert working is not None  # noqa: S101 (a coroutine always runs in a task)
        working.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if gone and working is not None and not working.uncancel():
            raise ClientGone("The client left before its answer.") from None
        raise
    finally:
        watching.cancel()


class Relay(Response):
    """An answer that owns its source: however the client's side ends, the source is closed.

    The status line leaves with the first byte of the body, so wait for that
    before making one. A failure after it breaks the connection: a clean end
    would be cached by clients for ever.
    """

    def __init__(self, source: Source, headers: Mapping[str, str]) -> None:
        # Not Response's own: that would count the length of an empty body.
        self.status_code = 200
        self.background = None
        self.raw_headers = [(name.encode("ascii"), _fit(value)) for name, value in headers.items()]
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI's signature)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with leaving_cancels(receive):
                async for piece in self._source.pieces():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except GatewayError as exc:
            # To return without an end is how an ASGI server is told to cut the connection.
            log.warning("answer cut off", reason=exc.message)
            return
        finally:
            await self._source.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _fit(value: str) -> bytes:
    """A header's value: names of voices and models come from engines and settings, and may hold anything."""
    fit = value if value.isprintable() else "".join(filter(str.isprintable, value))
    return fit.encode("latin-1", "replace")
