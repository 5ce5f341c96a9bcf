"""Who may come in, and what for.

    a path -> what it is for -> who asks -> may they? -> how often?

Without keys this machine's programs may, and the gateway listens on loopback alone (`serving`
sees to that). A proxy there brings others in, so whoever comes through one needs a key. As soon as there is one,
everybody needs one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spark_control.caller import Caller, introduce
from spark_control.cross_origin import CrossOrigin, RawHeaders
from spark_control.errors import Forbidden, GatewayError, Unauthenticated
from spark_control.keys import Key, Keys
from spark_control.local_only import from_elsewhere, stranger, through_proxy
from spark_control.purposes import DOES_WORK, Purpose, purpose_of
from spark_control.rates import Rates
from spark_control.sessions import Sessions, shown_cookie
from spark_control.settings import AccessSettings
from spark_control.wrong_keys import WrongKeys, source_of

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr](?:[ \t]+(.*))?")
_POLICY_VIOLATION = 1008
_LOGIN_FIRST = HTMLResponse(
    '<!DOCTYPE html><html lang="en"><title>Spark Control</title>'
    '<meta http-equiv="refresh" content="0; url=/login?next=/"><a href="/login?next=/">Log in</a></html>',
    401,
    {
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
        "referrer-policy": "same-origin",
        "www-authenticate": "Bearer",
    },
)
"""What leads a person from `/` to where a key can be typed.

No redirect: who has followed a link from another site would be sent on without the cookie, which is `SameSite=Strict`.
This page is the gateway's own, so what it asks for comes with it.
"""


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
        sessions: Sessions | None = None,
        wrong_keys: WrongKeys | None = None,
        rates: Rates | None = None,
        open_now: Callable[[], bool] | None = None,
    ) -> None:
        """`open_now` tells whether `access.open` is set still, for what goes on after other settings came."""
        self._app = app
        self._keys = keys
        self._open = settings.open
        self._open_now = open_now or (lambda: settings.open)
        self._pages = CrossOrigin(settings.cors_origins)
        self._sessions = sessions
        self._wrong_keys = WrongKeys(time.monotonic) if wrong_keys is None else wrong_keys
        self._rates = Rates() if rates is None else rates

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
        except Unauthenticated as exc:
            app = _LOGIN_FIRST if _looks_at_the_page(scope, headers) else exc.response()
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
        purpose = purpose_of(scope["method"], scope["path"])
        if not self._keys.required:
            if not self._open and purpose not in (Purpose.OPEN, Purpose.WRITE):  # `local_only` judges those
                _refuse_proxied(scope, headers)
            introduce(scope, Caller(f"address:{source}", holds=self._nobody_needs_one))
            return
        shown = bearer(headers)
        key = await self._key(shown, source, purpose) if shown else self._logged_in(scope, headers, purpose)
        if key is None:
            if not self._may_without(purpose, scope, headers):
                raise Unauthenticated("This needs a key: send it as `Authorization: Bearer …`.")
            needs_key = not self._open
            introduce(
                scope, Caller(f"address:{source}", may_log_in=True, needs_key=needs_key, holds=self._as_open)
            )
            return
        introduce(scope, self._caller(key, by_cookie=shown is None))
        if purpose in DOES_WORK:
            _refuse_other_uses(key, purpose)
            if key.rate:
                left = self._rates.count(key.name, key.rate)
                told += [(name.encode(), value.encode()) for name, value in left.items()]

    def _nobody_needs_one(self) -> bool:
        return not self._keys.required and self._as_open()

    def _as_open(self) -> bool:
        """Whether whom these doors let in without a key would be let in so today."""
        return not self._open or self._open_now()

    def _caller(self, key: Key, *, by_cookie: bool) -> Caller:
        return Caller(
            f"key:{key.name}",
            key.name,
            key.admin,
            key.patience,
            key.remembers,
            by_cookie=by_cookie,
            holds=lambda: self._keys.named(key.name) == key,
        )

    def _logged_in(self, scope: Scope, headers: Headers, purpose: Purpose) -> Key | None:
        """The key that this browser has logged in with, if the gateway's own page asks: on others' it has none."""
        cookie = shown_cookie(headers)
        looks = scope["method"] in ("GET", "HEAD") and purpose not in DOES_WORK
        if cookie is None or self._sessions is None or from_elsewhere(headers, looks=looks):
            return None
        return self._sessions.find(cookie)

    async def _key(self, shown: str, source: str, purpose: Purpose) -> Key | None:
        """The key that is shown. Raises Unauthenticated for a wrong one, except where none is needed."""
        key = self._keys.find(shown)
        if key or self._open or purpose is Purpose.OPEN:
            return key
        await self._wrong_keys.slow_down(source)
        raise Unauthenticated("This key opens nothing here; `spark-control key list` shows those that do.")

    def _may_without(self, purpose: Purpose, scope: Scope, headers: Headers) -> bool:
        """Whether it needs no key. Of what changes something, `local_only` judges each request once more."""
        if self._open or purpose is Purpose.OPEN:
            return True
        host = scope["client"][0] if scope.get("client") else ""
        return purpose not in DOES_WORK and stranger(host, headers, scope.get("http_version", "")) is None


def _looks_at_the_page(scope: Scope, headers: Headers) -> bool:
    return scope["method"] == "GET" and scope["path"] == "/" and "text/html" in headers.get("accept", "")


def _refuse_proxied(scope: Scope, headers: Headers) -> None:
    """Raises Forbidden for what a proxy has sent on: behind it the whole network looks like this machine."""
    if proxied := through_proxy(headers, scope.get("http_version", "")):
        raise Forbidden(
            f"Whoever comes through a proxy needs a key, and this gateway has none ({proxied}). "
            "`spark-control key add NAME` makes one; access.open = true lets everybody in without.",
            code="key_needed",
        )


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
