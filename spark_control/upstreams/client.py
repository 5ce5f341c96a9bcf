"""The one place that talks to engines: it sends, waits, retries a connection, and translates every error."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from spark_control.errors import GatewayError, TimedOut, Unreachable, UpstreamError
from spark_control.evidence import Evidence, How
from spark_control.upstreams.base import Dialect, ProbeWhen

_CONNECT_TIMEOUT = 2.0
_KEEP_ALIVE = 3.0
"""Seconds an idle connection is kept: less than uvicorn's 5, or a request would meet a closing one."""

_PIECE = 64 * 1024
"""Bytes of an answer that are handed on at a time, if so many have arrived; httpx-aiohttp's 16 KiB are slower."""

_REFUSAL_BYTES = 64 * 1024
_QUOTED_BYTES = 4 * 1024

NOT_UNDERSTOOD = "upstream_not_understood"
"""The code of the error for an address that an engine does not have."""

CANARIES = "spark-control (canary)"
"""How the watcher's own requests name themselves in an engine's log."""

DialectT = TypeVar("DialectT", bound=Dialect, covariant=True)

# First match wins, so the specific ones come first. aiohttp's errors are asked
# before httpx's: httpx-aiohttp calls a connection that broke after the request
# was sent a ConnectTimeout, and sending that request again could do its work twice.
_TRANSLATION: tuple[tuple[type[BaseException], type[UpstreamError], How, str], ...] = (
    (
        aiohttp.ClientConnectorError,
        Unreachable,
        How.REFUSED,
        "cannot be reached: nothing answers at its address",
    ),
    (
        aiohttp.ConnectionTimeoutError,
        Unreachable,
        How.REFUSED,
        "cannot be reached: its address does not answer",
    ),
    (aiohttp.ServerTimeoutError, TimedOut, How.NO_ANSWER, "did not answer in time"),
    (aiohttp.ClientError, UpstreamError, How.CUT, "broke off its answer"),
    (httpx.ConnectError, Unreachable, How.REFUSED, "cannot be reached: nothing answers at its address"),
    (httpx.ConnectTimeout, Unreachable, How.REFUSED, "cannot be reached: its address does not answer"),
    (httpx.TimeoutException, TimedOut, How.NO_ANSWER, "did not answer in time"),
    (httpx.TransportError, UpstreamError, How.CUT, "broke off its answer"),
)


def open_client(
    transport: httpx.AsyncBaseTransport | None = None, agent: str = "spark-control"
) -> httpx.AsyncClient:
    """The HTTP client for all engines: aiohttp underneath, since httpx's own pool collapses under concurrency."""
    return EngineClient(transport or EngineTransport(client=lambda: _session(agent)))


class EngineClient(httpx.AsyncClient):
    """httpx's client without what no engine needs: cookies, redirects, authentication and hooks.

    Their bookkeeping would cost a small request a seventh of its time.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        # Proxies of the environment are for the internet, not for the machine next door.
        super().__init__(transport=transport, trust_env=False)
        self._engines = transport

    async def send(self, request: httpx.Request, *, stream: bool = False, **_: Any) -> httpx.Response:
        response = await self._engines.handle_async_request(request)
        response.request = request
        if not stream:
            await response.aread()
        return response


class EngineTransport(AiohttpTransport):
    """aiohttp's connections, and answers in larger pieces."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        cast(AiohttpResponseStream, response.stream).CHUNK_SIZE = _PIECE
        return response


def _session(agent: str) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE)
    # Sound does not compress, and is passed on as it comes.
    headers = {"Accept-Encoding": "identity", "User-Agent": agent}
    # No cookies: one client's must never reach another through an engine.
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers=headers)


@dataclass(slots=True)
class _Known(Generic[DialectT]):
    """What is known of an engine, for all who reach it."""

    dialect: DialectT


class Upstream(Generic[DialectT]):
    """One engine: what it speaks, and the way to it."""

    def __init__(
        self,
        name: str,
        dialect: DialectT,
        client: httpx.AsyncClient,
        *,
        kind: str = "",
        longest: float | None = None,
        concurrency: int | None = None,
        pieces: int = 1,
        priority: int = 0,
        probe_when: ProbeWhen | None = None,
        accepts: Sequence[str] = (),
        api_key: str | None = None,
        timeout: float = 300.0,
        connect_attempts: int = 3,
    ) -> None:
        self.name = name
        self.kind = kind
        self.pieces = pieces
        self.priority = priority
        self._known = _Known(dialect)
        self._longest = longest
        self._concurrency = concurrency
        self.accepts = frozenset(accepts)
        self._probe_when = probe_when
        self._client = client
        self._key = api_key.encode() if api_key else None
        self._bearer = f"Bearer {api_key}" if api_key else None
        self._timeout = httpx.Timeout(timeout, connect=_CONNECT_TIMEOUT).as_dict()
        self._attempts = stop_after_attempt(connect_attempts)
        self._connecting = AsyncRetrying(
            retry=retry_if_exception_type(Unreachable),
            wait=wait_random_exponential(multiplier=0.1, max=1),
            reraise=True,
        )

    def over(self, client: httpx.AsyncClient) -> Upstream[DialectT]:
        """The same engine, whatever is learned of it, by another client's connections."""
        same = copy(self)
        same._client = client  # noqa: SLF001 (its own kind)
        return same

    @property
    def dialect(self) -> DialectT:
        """What it speaks, as far as that is known."""
        return self._known.dialect

    def learn(self, dialect: DialectT) -> None:  # type: ignore[misc]  # nobody who sees a wider dialect learns
        """Have it known to speak that."""
        self._known.dialect = dialect

    @property
    def model(self) -> str:
        """The name of its model."""
        return self.dialect.model

    @property
    def longest(self) -> float:
        """Seconds of sound that one request can ask for or bring."""
        return self._longest or self.dialect.longest

    @property
    def concurrency(self) -> int:
        """Requests it works on at once."""
        return self._concurrency or self.dialect.concurrency

    @property
    def probe_when(self) -> ProbeWhen:
        """Whether it may be woken for a canary."""
        return self._probe_when or self.dialect.probe_when

    async def send(self, build: Callable[[], httpx.Request]) -> Answer:
        """Send; return once the engine has accepted, with the body still on its way.

        Takes a way to build the request, since a body can be read only once
        and a connection may take several tries. Raises a GatewayError for
        every other outcome.
        """
        began = time.monotonic()
        try:
            response = await self._send_once(build)
        except Unreachable as exc:
            response = await self._keep_trying(build, exc, began)
        answer = Answer(response, self.dialect.title)
        if response.status_code >= 300:
            body = b""
            try:
                with suppress(UpstreamError):  # the status says enough
                    body = await answer.begin(_REFUSAL_BYTES)
            finally:
                await answer.aclose()
            raise _refused(self.dialect, response, self.without_key(body))
        return answer

    async def fetch(self, build: Callable[[], httpx.Request], most: int) -> bytes:
        """Send, and read an answer that is to be understood rather than relayed, of at most `most` bytes."""
        answer = await self.send(build)
        try:
            body = await answer.begin(most + 1)
        finally:
            await answer.aclose()
        if len(body) > most:
            raise self.garbage()
        return body

    async def peek(self, build: Callable[[], httpx.Request], most: int) -> tuple[int, str, bytes]:
        """(status, content type, the first `most` bytes at most) of an answer, whatever it is."""
        response = await self._send_once(build)
        answer = Answer(response, self.dialect.title)
        try:
            body = await answer.begin(most)
        finally:
            await answer.aclose()
        return response.status_code, response.headers.get("content-type", ""), body[:most]

    def cut_short(self) -> UpstreamError:
        """The error for an answer that ends before it can be complete."""
        return UpstreamError(
            f"The {self.dialect.title} engine fell silent too early.", code="upstream_cut_short"
        ).seen(Evidence(How.IMPOSSIBLE))

    def failed(self, text: str) -> UpstreamError:
        """The error for an answer that began well, and in which the engine then said `text` of a failure."""
        error = UpstreamError(f"The {self.dialect.title} engine failed.")
        return error.seen(Evidence(How.IMPOSSIBLE, text=excerpt(text.encode())))

    def garbage(self) -> UpstreamError:
        """The error for an answer that is not what the engine's kind answers."""
        message = f"The {self.dialect.title} engine gave an answer that makes no sense."
        return UpstreamError(message, code="upstream_garbage").seen(Evidence(How.IMPOSSIBLE))

    def without_key(self, said: bytes) -> bytes:
        """What the engine said of a failure, without the gateway's own key, which some repeat."""
        return said.replace(self._key, b"...") if self._key else said

    async def _keep_trying(
        self, build: Callable[[], httpx.Request], first: Unreachable, began: float
    ) -> httpx.Response:
        """Try to connect again, `first` being how the first try failed.

        That one is made without tenacity, which costs a small request a tenth of its time.
        """
        failed = [first]

        async def attempt() -> httpx.Response:
            if failed:
                raise failed.pop()
            return await self._send_once(build)

        left = stop_after_delay(2 * _CONNECT_TIMEOUT - (time.monotonic() - began))
        # A copy, because tenacity keeps the state of a run on the object.
        return await self._connecting.copy(stop=self._attempts | left)(attempt)

    async def _send_once(self, build: Callable[[], httpx.Request]) -> httpx.Response:
        request = build()
        if self._bearer:
            request.headers["authorization"] = self._bearer
        request.extensions["timeout"] = self._timeout
        with translated(self.dialect.title):
            return await self._client.send(request, stream=True)


class Answer:
    """An engine's body as it arrives. Whoever holds it closes it."""

    def __init__(self, response: httpx.Response, title: str) -> None:
        self.headers = response.headers
        self._response = response
        self._title = title
        self._arriving = response.aiter_raw()
        self._begun: list[bytes] = []

    async def begin(self, enough: int) -> bytes:
        """Wait for the first `enough` bytes, or the end; what was read is still part of the body."""
        read = sum(map(len, self._begun))
        with translated(self._title):
            while read < enough and (piece := await anext(self._arriving, b"")):
                self._begun.append(piece)
                read += len(piece)
        return b"".join(self._begun)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The whole body, once."""
        for piece in self._begun:
            yield piece
        with translated(self._title):
            async for piece in self._arriving:
                yield piece

    async def aclose(self) -> None:
        await self._response.aclose()


@contextmanager
def translated(title: str) -> Iterator[None]:
    """Let the network's errors out of here as the gateway's."""
    try:
        yield
    except (httpx.HTTPError, aiohttp.ClientError, ValueError) as exc:
        # ValueError: headers and reason phrases that are no text.
        raise _translation(exc, title) from exc


def _translation(exc: BaseException, title: str) -> UpstreamError:
    for candidate in (exc.__cause__, exc):
        for theirs, ours, how, words in _TRANSLATION:
            if isinstance(candidate, theirs):
                return ours(f"The {title} engine {words}.").seen(Evidence(how))
    return UpstreamError(f"The {title} engine broke off its answer.").seen(Evidence(How.CUT))


def excerpt(body: bytes) -> str:
    """What of an engine's words is looked at: the beginning, where the error is named, and the end of a traceback."""
    kept = body if len(body) <= 2 * _QUOTED_BYTES else body[:_QUOTED_BYTES] + b" " + body[-_QUOTED_BYTES:]
    return kept.decode("utf-8", "replace")


def _refused(dialect: Dialect, response: httpx.Response, body: bytes) -> GatewayError:
    error = dialect.refusal(response.status_code, response.headers, body)
    if isinstance(error, UpstreamError) and error.evidence is None:
        error.seen(Evidence(How.STATUS, response.status_code, excerpt(body)))
    return error
