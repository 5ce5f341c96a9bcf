"""Hands an engine's answer on as it arrives, and lets go of the engine when the client does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from spark_control.errors import ClientGone, UpstreamError
from spark_control.upstreams.client import Answer

log = structlog.get_logger()


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
    """An answer that owns its source: however the client's side ends, the engine's is closed.

    The status line leaves with the first byte of the body, so begin the
    answer (`Answer.begin`) before making one. A failure after that breaks the
    connection: a clean end would be cached by clients for ever.
    """

    def __init__(self, answer: Answer, headers: Mapping[str, str]) -> None:
        super().__init__(headers=dict(headers))
        self._answer = answer
        # Response counts its own, empty body; this one's length is the engine's to tell.
        del self.headers["content-length"]
        length = answer.headers.get("content-length")
        if length is not None:
            self.headers["content-length"] = length

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI's signature)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with leaving_cancels(receive):
                async for piece in self._answer.pieces():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except (UpstreamError, ClientGone) as exc:
            # To return without an end is how an ASGI server is told to cut the connection.
            log.warning("answer cut off", reason=exc.message)
            return
        finally:
            await self._answer.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})
