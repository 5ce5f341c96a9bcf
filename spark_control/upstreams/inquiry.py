"""Asks a server of which nothing is known, and trusts it with nothing.

Apart from `client.py`, which is for engines that their owner has named: a
stranger gets no key and no body, is followed nowhere, and has little time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum
from types import TracebackType
from typing import Self

import httpx

from spark_control.upstreams.answers import Reply
from spark_control.upstreams.fingerprints import FIRST_QUESTION, QUESTIONS

_CONNECT_SECONDS = 0.8
_ANSWER_SECONDS = 2.0
_PORT_SECONDS = 5.0
"""For all the questions to one port."""

_ANSWER_BYTES = 256 * 1024
_AT_ONCE = 8
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "spark-control (discover)", "Connection": "close"}


class Shut(Enum):
    """Why there are no answers."""

    REFUSED = "nothing listens there"
    DROPPED = "no answer at all"
    MUTE = "something listens there that does not speak HTTP, or does not answer"


class Inquirer:
    """Asks strangers. To be used in an `async with` block."""

    def __init__(self) -> None:
        # The bare transport: httpx's client would keep cookies for the next question, and look at redirects.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._transport = httpx.AsyncHTTPTransport(trust_env=False, limits=limits)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._transport.aclose()

    async def ask(self, address: str, port: int, host: str) -> Mapping[str, Reply] | Shut:
        """The replies of the server at an IP address, which `host` is the name of, by path."""
        try:
            replies = {FIRST_QUESTION: await self._ask(address, port, host, FIRST_QUESTION)}
        except httpx.ConnectTimeout:
            return Shut.DROPPED
        except httpx.ConnectError:
            return Shut.REFUSED
        except (httpx.HTTPError, TimeoutError):
            return Shut.MUTE
        turns = asyncio.Semaphore(_AT_ONCE)

        async def note(path: str) -> None:
            try:
                async with turns:
                    replies[path] = await self._ask(address, port, host, path)
            except (httpx.HTTPError, TimeoutError):
                pass  # the other answers may be enough

        try:
            async with asyncio.timeout(_PORT_SECONDS):
                await asyncio.gather(*(note(path) for path in QUESTIONS if path != FIRST_QUESTION))
        except TimeoutError:
            pass  # likewise
        return replies

    async def _ask(self, address: str, port: int, host: str, path: str) -> Reply:
        seconds = {"connect": _CONNECT_SECONDS, "read": _ANSWER_SECONDS, "write": _ANSWER_SECONDS}
        request = httpx.Request(
            "GET",
            httpx.URL(scheme="http", host=address, port=port, path=path),
            headers={"Host": f"{host}:{port}", **_HEADERS},
            extensions={"timeout": seconds},
        )
        async with asyncio.timeout(_CONNECT_SECONDS + _ANSWER_SECONDS):
            response = await self._transport.handle_async_request(request)
            try:
                body = bytearray()
                async for piece in response.aiter_raw():
                    body += piece
                    if len(body) >= _ANSWER_BYTES:
                        break
            finally:
                await response.aclose()
        content_type = response.headers.get("content-type", "")
        return Reply(response.status_code, content_type, bytes(body[:_ANSWER_BYTES]))
