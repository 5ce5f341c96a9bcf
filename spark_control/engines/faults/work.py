"""One request for real work, read whole, so that it can be looked at, done, and done again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Good:
    """What the engine answers when nothing is wrong."""

    status: int
    media_type: str | None
    body: bytes

    def response(self, body: bytes) -> Response:
        """An answer like it, with another body."""
        return Response(body, self.status, media_type=self.media_type)


class Work:
    """The request, its client, and the engine that could do it."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        self.send = send
        self._app = app
        self._scope = scope
        self._receive = receive
        self._body = b""

    @property
    def kind(self) -> Literal["speech", "transcription"]:
        heard = self._scope["path"].endswith(("/transcriptions", "/translations"))
        return "transcription" if heard else "speech"

    async def read(self) -> bytes:
        """All of the request's body. Raises ClientDisconnect."""
        self._body = await Request(self._scope, self._receive).body()
        return self._body

    async def head_of_file(self, count: int) -> bytes:
        """The first bytes of the file that is uploaded; none if there is no file."""
        with suppress(MultiPartException):
            async with Request(self._scope, self._replay()).form() as form:
                file = form.get("file")
                if isinstance(file, UploadFile):
                    return await file.read(count)
        return b""

    async def do(self, send: Send) -> None:
        """Have the engine do it."""
        await self._app(self._scope, self._replay(), send)

    async def good(self) -> Good:
        """What the engine answers, all of it."""
        start: Message = {}
        pieces: list[bytes] = []

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                pieces.append(message.get("body", b""))

        await self.do(keep)
        media_type = Headers(raw=start["headers"]).get("content-type")
        return Good(start["status"], media_type, b"".join(pieces))

    async def answer(self, response: Response) -> None:
        await response(self._scope, self._receive, self.send)

    async def stays(self, seconds: float | None) -> bool:
        """Let time pass, for ever if it is None; whether the client is still there then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
            return False
        return True

    def _replay(self) -> Receive:
        unread: list[Message] = [{"type": "http.request", "body": self._body, "more_body": False}]

        async def receive() -> Message:
            return unread.pop() if unread else await self._receive()

        return receive
