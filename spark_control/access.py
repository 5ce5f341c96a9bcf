"""Who may come in: keys, limits, and the web pages in whose name a browser may ask.

    a path -> what it is for -> who asks -> may they? -> how often?

Without keys everybody may, and the gateway listens on loopback alone (`serving`
sees to that). As soon as there is one, everybody needs one; what is not named
below as open is closed.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from enum import Enum
from ipaddress import IPv6Address, ip_address, ip_network

import structlog
from limits import RateLimitItem
from limits import parse as parse_rate
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spark_control.caller import Caller, introduce
from spark_control.errors import Forbidden, GatewayError, RateLimited, Unauthenticated
from spark_control.keys import Key, Keys
from spark_control.local_only import stranger
from spark_control.settings import AccessSettings

log = structlog.get_logger()


class Purpose(Enum):
    """What an address is for, as far as access goes."""

    OPEN = "open"
    SPEECH = "speech"
    TRANSCRIPTION = "transcription"
    CHAT = "chat"
    READ = "read"
    WRITE = "write"


_OPEN = ("/v1/models", "/v1/audio/voices", "/v1/audio/models", "/health", "/healthz", "/readyz", "/status")
_WORK = {
    "/v1/audio/speech": Purpose.SPEECH,
    "/v1/audio/speech/base64": Purpose.SPEECH,
    "/v1/audio/speech/batch": Purpose.SPEECH,
    "/v1/audio/transcriptions": Purpose.TRANSCRIPTION,
    "/v1/audio/translations": Purpose.TRANSCRIPTION,
    "/v1/chat/completions": Purpose.CHAT,
    "/v1/completions": Purpose.CHAT,
    "/v1/embeddings": Purpose.CHAT,
    "/v1/responses": Purpose.CHAT,
    "/v1/rerank": Purpose.CHAT,
}
_DOES_WORK = (Purpose.SPEECH, Purpose.TRANSCRIPTION, Purpose.CHAT)
_READING = ("GET", "HEAD")

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr](?: +(.*))?")
_EXPOSED = (
    "x-request-id, retry-after, retry-after-ms, x-should-retry, x-model, x-voice, x-spark-cache, x-spark-degraded, "
    "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests"
)
_HEADER_NAMES = re.compile(r"[A-Za-z0-9-]{1,64}(?: *, *[A-Za-z0-9-]{1,64}){0,63}")
_LONGEST_PROMISE = 60

_FAILURES, _FAILURES_WITHIN = 5, 60.0
"""Wrong keys that one source may try in that many seconds before it is told to wait."""
_SOURCES = 4096
_SLOWED, _SLOWED_AT_ONCE = 0.25, 64
"""Seconds that a wrong key costs, and how many may be waiting for that at once."""


def purpose_of(method: str, path: str) -> Purpose:
    """What a request is for. Pure. Whatever is not known needs a key."""
    if not path.isprintable():
        # A line break at an end could make the router see another address than this does.
        return Purpose.WRITE
    if path in _WORK:
        return _WORK[path]
    if method not in _READING:
        return Purpose.WRITE if path.startswith("/api/") else Purpose.READ
    if path.startswith("/v1/audio/voices/"):
        return Purpose.SPEECH if path.endswith("/preview") else Purpose.OPEN
    return Purpose.OPEN if path in _OPEN or path.startswith("/v1/models/") else Purpose.READ


def bearer(headers: Headers) -> str | None:
    """The key that a request shows; None if it shows none, as `Bearer` alone does.

    Raises Unauthenticated for what cannot be one.
    """
    lines = headers.getlist("authorization")
    if len(lines) > 1:
        raise Unauthenticated("Send one Authorization header.")
    found = _BEARER.fullmatch(lines[0].strip()) if lines else None
    if found is None:
        return None
    return (found.group(1) or "").strip() or None


def source_of(host: str) -> str:
    """An address as one client: for IPv6 the network, since a single machine has all of that."""
    if ":" not in host:
        return host
    try:
        address = IPv6Address(ip_address(host.partition("%")[0]))
    except ValueError:
        return "?"
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return "::1" if address.is_loopback else str(ip_network((address, 64), strict=False))


class Failures:
    """How often each source has shown a wrong key lately; of the most recent sources alone."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sources: OrderedDict[str, list[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sources)

    def add(self, source: str) -> int:
        """Note one; gives how many there are now."""
        now = self._clock()
        recent = [at for at in self._sources.pop(source, []) if now - at < _FAILURES_WITHIN][-_FAILURES:]
        recent.append(now)
        self._sources[source] = recent
        if len(self._sources) > _SOURCES:
            self._sources.popitem(last=False)
        return len(recent)

    def wait(self, source: str) -> float:
        """Seconds until that source may be wrong again."""
        times = self._sources.get(source, [])
        return max(0.0, times[0] + _FAILURES_WITHIN - self._clock()) if len(times) > _FAILURES else 0.0


class Access:
    """The ASGI application around the routes. Whoever comes through it is introduced as a `Caller`."""

    def __init__(
        self,
        app: ASGIApp,
        keys: Keys,
        settings: AccessSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._keys = keys
        self._open = settings.open
        self._origins = frozenset(settings.cors_origins)
        self._failures = Failures(clock)
        self._slowed = asyncio.Semaphore(_SLOWED_AT_ONCE)
        self._limiter: MovingWindowRateLimiter | None = None
        self._rates: dict[str, RateLimitItem] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        told: list[tuple[bytes, bytes]] = []
        if self._origins and "origin" in headers:
            told += self._shared_with(headers["origin"])
            if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
                await self._preflight(scope, headers, allowed=len(told) > 1)(
                    scope, receive, _adding(told, send)
                )
                return
        try:
            await self._let_in(scope, headers, told)
        except GatewayError as exc:
            await exc.response()(scope, receive, _adding(told, send) if told else send)
            return
        await self._app(scope, receive, _adding(told, send) if told else send)

    async def _let_in(self, scope: Scope, headers: Headers, told: list[tuple[bytes, bytes]]) -> None:
        """Introduce who asks. Raises the GatewayError that it gets instead."""
        host = scope["client"][0] if scope.get("client") else ""
        source = source_of(host)
        if not self._keys.required:
            introduce(scope, Caller(f"address:{source}"))
            return
        purpose = purpose_of(scope["method"], scope["path"])
        key = await self._key(headers, source, purpose)
        if key is None:
            self._refuse_stranger(purpose, host, headers, scope)
            introduce(scope, Caller(f"address:{source}"))
            return
        caller = Caller(f"key:{key.name}", key.name, key.admin, key.patience, key.remembers)
        introduce(scope, caller)
        if purpose in _DOES_WORK:
            _refuse_other_uses(key, purpose)
            if key.rate:
                told += self._count(key.name, key.rate)

    async def _key(self, headers: Headers, source: str, purpose: Purpose) -> Key | None:
        """The key that is shown. Raises Unauthenticated for a wrong one, except where none is needed."""
        shown = bearer(headers)
        key = self._keys.find(shown) if shown else None
        if key or shown is None or self._open or purpose is Purpose.OPEN:
            return key
        await self._slow_down(source)
        raise Unauthenticated("This key opens nothing here; `spark-control key list` shows those that do.")

    async def _slow_down(self, source: str) -> None:
        """Let a wrong key cost its source some time; after a few, more of it."""
        if seconds := self._failures.wait(source):
            raise RateLimited(
                "Too many wrong keys came from there; wait a minute.",
                retry_after=max(1, min(_LONGEST_PROMISE, round(seconds))),
            )
        failures = self._failures.add(source)
        log.warning("key refused", address=source, failures=failures)
        if not self._slowed.locked():
            async with self._slowed:
                await asyncio.sleep(_SLOWED)

    def _refuse_stranger(self, purpose: Purpose, host: str, headers: Headers, scope: Scope) -> None:
        """Raise Unauthenticated if that needs a key, and who asks has none."""
        if purpose is Purpose.OPEN or (self._open and purpose is not Purpose.WRITE):
            return
        if purpose in (Purpose.READ, Purpose.WRITE):
            reason = stranger(host, headers, scope.get("http_version", ""))
            if reason is None or (self._open and purpose is Purpose.WRITE):
                return  # this machine's own; and of what writes, `local_only` looks at each once more
        raise Unauthenticated("This needs a key: send it as `Authorization: Bearer …`.")

    def _count(self, name: str, rate: str) -> Sequence[tuple[bytes, bytes]]:
        """Headers that tell how much is left. Raises RateLimited if that is nothing."""
        if self._limiter is None:  # its storage keeps a thread
            self._limiter = MovingWindowRateLimiter(MemoryStorage())
        item = self._rates.setdefault(rate, parse_rate(rate))
        may = self._limiter.hit(item, name)
        window = self._limiter.get_window_stats(item, name)
        seconds = max(0, round(window.reset_time - time.time()))
        told = {
            "x-ratelimit-limit-requests": str(item.amount),
            "x-ratelimit-remaining-requests": str(window.remaining),
            "x-ratelimit-reset-requests": f"{seconds}s",
        }
        if not may:
            message = (
                f"This key may ask {item.amount} times in {item.get_expiry()} s; wait {max(1, seconds)} s."
            )
            retry_after = max(1, min(_LONGEST_PROMISE, seconds))
            raise RateLimited(message, retry_after=retry_after, headers=told)
        return [(header.encode(), value.encode()) for header, value in told.items()]

    def _shared_with(self, origin: str) -> list[tuple[bytes, bytes]]:
        """What lets a page of `origin` read the answer, if it may."""
        vary = [(b"vary", b"origin")]
        if not ("*" in self._origins or origin in self._origins):
            return vary
        allowed = b"*" if "*" in self._origins else origin.encode("latin-1")
        return [
            *vary,
            (b"access-control-allow-origin", allowed),
            (b"access-control-expose-headers", _EXPOSED.encode()),
        ]

    def _preflight(self, scope: Scope, headers: Headers, *, allowed: bool) -> Response:
        """The answer to a browser that asks whether a page may ask."""
        if not allowed:
            message = "Pages of this origin may not ask here; access.cors_origins in the settings names those that may."
            return Forbidden(message, code="origin_not_allowed").response()
        if purpose_of(headers["access-control-request-method"], scope["path"]) is Purpose.WRITE:
            return Forbidden("No web page may do that.", code="origin_not_allowed").response()
        asked = headers.get("access-control-request-headers", "")
        told = {
            "access-control-allow-methods": "GET, HEAD, POST, OPTIONS",
            "access-control-allow-headers": asked
            if _HEADER_NAMES.fullmatch(asked)
            else "authorization, content-type",
            "access-control-max-age": "600",
        }
        if headers.get("access-control-request-private-network") == "true":
            told["access-control-allow-private-network"] = "true"
        return Response(status_code=204, headers=told)


def _refuse_other_uses(key: Key, purpose: Purpose) -> None:
    if key.uses is not None and purpose.value not in key.uses:
        allowed = " and ".join(key.uses) or "nothing"
        raise Forbidden(f"This key is for {allowed}, and not for {purpose.value}.", code="key_not_for_this")


def _adding(told: Sequence[tuple[bytes, bytes]], send: Send) -> Send:
    async def send_with(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *told]
        await send(message)

    return send_with
