"""Who may come in, and what for.

    a path -> what it is for -> who asks -> may they? -> how often?

Without keys everybody may, and the gateway listens on loopback alone (`serving`
sees to that). As soon as there is one, everybody needs one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spark_control.caller import Caller, introduce
from spark_control.cross_origin import CrossOrigin, RawHeaders
from spark_control.errors import Forbidden, GatewayError, Unauthenticated
from spark_control.keys import Key, Keys
from spark_control.local_only import stranger
from spark_control.purposes import DOES_WORK, Purpose, purpose_of
from spark_control.rates import Rates
from spark_control.settings import AccessSettings
from spark_control.wrong_keys import WrongKeys, source_of

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr](?:[ \t]+(.*))?")
_POLICY_VIOLATION = 1008


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
        self._pages = CrossOrigin(settings.cors_origins)
        self._wrong_keys = WrongKeys(clock)
        self._rates = Rates()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # who may open a WebSocket is not decided here yet, so nobody may
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        headers = Headers(scope=scope)
        told: RawHeaders = []
        try:
            app = self._preflight(scope, headers, told) if self._pages else None
            if app is None:
                await self._let_in(scope, headers, told)
                app = self._app
        except GatewayError as exc:
            app = exc.response()
        await app(scope, receive, _adding(told, send) if told else send)

    def _preflight(self, scope: Scope, headers: Headers, told: RawHeaders) -> ASGIApp | None:
        """The answer to a browser that asks whether a page may ask; None if it asks no such thing.

        What the page may read of this, or of the answer proper, goes to `told`. Raises Forbidden.
        """
        origin = headers.get("origin")
        asked = headers.get("access-control-request-method") if scope["method"] == "OPTIONS" else None
        changes = purpose_of(asked or scope["method"], scope["path"]) is Purpose.WRITE
        told += self._pages.told(None if changes else origin)
        if origin is None or asked is None:
            return None
        return self._pages.preflight(headers, changes=changes)

    async def _let_in(self, scope: Scope, headers: Headers, told: RawHeaders) -> None:
        """Introduce who asks. Raises the GatewayError that it gets instead."""
        source = source_of(scope["client"][0] if scope.get("client") else "")
        if not self._keys.required:
            introduce(scope, Caller(f"address:{source}"))
            return
        purpose = purpose_of(scope["method"], scope["path"])
        key = await self._key(headers, source, purpose)
        if key is None:
            if not self._may_without(purpose, scope, headers):
                raise Unauthenticated("This needs a key: send it as `Authorization: Bearer …`.")
            introduce(scope, Caller(f"address:{source}"))
            return
        introduce(scope, Caller(f"key:{key.name}", key.name, key.admin, key.patience, key.remembers))
        if purpose in DOES_WORK:
            _refuse_other_uses(key, purpose)
            if key.rate:
                left = self._rates.count(key.name, key.rate)
                told += [(name.encode(), value.encode()) for name, value in left.items()]

    async def _key(self, headers: Headers, source: str, purpose: Purpose) -> Key | None:
        """The key that is shown. Raises Unauthenticated for a wrong one, except where none is needed."""
        shown = bearer(headers)
        key = self._keys.find(shown) if shown else None
        if key or shown is None or self._open or purpose is Purpose.OPEN:
            return key
        await self._wrong_keys.slow_down(source)
        raise Unauthenticated("This key opens nothing here; `spark-control key list` shows those that do.")

    def _may_without(self, purpose: Purpose, scope: Scope, headers: Headers) -> bool:
        """Whether it needs no key. Of what changes something, `local_only` judges each request once more."""
        if self._open or purpose is Purpose.OPEN:
            return True
        host = scope["client"][0] if scope.get("client") else ""
        return purpose not in DOES_WORK and stranger(host, headers, scope.get("http_version", "")) is None


def _refuse_other_uses(key: Key, purpose: Purpose) -> None:
    if key.uses is not None and purpose.value not in key.uses:
        allowed = " and ".join(key.uses) or "nothing"
        raise Forbidden(f"This key is for {allowed}, and not for {purpose.value}.", code="key_not_for_this")


def _adding(told: RawHeaders, send: Send) -> Send:
    async def send_with(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *told]
        await send(message)

    return send_with
