"""Browsers that have logged in with a key: a signed cookie names the key, and holds as long as that does.

Nothing of a session is kept but the secret that signs, so it outlives a restart of the gateway.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import structlog
from itsdangerous import BadData, URLSafeSerializer
from starlette.datastructures import Headers
from starlette.responses import Response

from spark_control.keys import Key, Keys
from spark_control.ownership import open_no_link, replace_for_owner

log = structlog.get_logger()

COOKIE = "spark_control_session"
FILE = "sessions.secret"
LASTS = 30 * 86_400
"""Seconds after which a person logs in anew."""

_SECRET_BYTES = 32
_LONGEST = 512
"""Characters of a cookie: a key's name has 64 at most."""
_DIGEST_SHOWN = 32
"""Hexadecimal digits of a key's digest that tell it from another one of the same name."""
_AHEAD = 300.0
"""Seconds that a clock may have been set back since."""


class Sessions:
    """Which cookies stand for which keys."""

    def __init__(self, folder: Path | None, keys: Keys, clock: Callable[[], float]) -> None:
        """Without a `folder` they end with the gateway. `clock` gives Unix time."""
        self._file = folder / FILE if folder else None
        self._keys = keys
        self._clock = clock
        self._signs: URLSafeSerializer | None = None

    def begun(self, key: Key) -> str:
        """What a browser is to show from now on instead of `key`."""
        cookie = self._signing().dumps([key.name, key.digest[:_DIGEST_SHOWN], int(self._clock())])
        return cookie if isinstance(cookie, str) else cookie.decode()

    def find(self, cookie: str) -> Key | None:
        """The key that a cookie stands for; None if it is none of ours, too old, or its key has been revoked."""
        if len(cookie) > _LONGEST:
            return None
        try:
            name, digest, since = self._signing().loads(cookie)
        except BadData:
            return None
        key = self._keys.named(name)
        same = key is not None and hmac.compare_digest(key.digest[:_DIGEST_SHOWN], digest)
        return key if same and -_AHEAD <= self._clock() - since <= LASTS else None

    def _signing(self) -> URLSafeSerializer:
        if self._signs is None:
            self._signs = URLSafeSerializer(
                _secret(self._file),
                salt=COOKIE,
                signer_kwargs={"key_derivation": "hmac", "digest_method": sha256},
            )
        return self._signs


def shown_cookie(headers: Headers) -> str | None:
    """The cookie of a session in a request. Of two, which another port of this host can add, neither counts."""
    pairs = [pair.partition("=") for line in headers.getlist("cookie") for pair in line.split(";")]
    found = [value.strip() for name, _, value in pairs if name.strip() == COOKIE]
    return found[0] if len(found) == 1 else None


def keep(answer: Response, cookie: str, *, secure: bool) -> None:
    """Have a browser show `cookie`; `secure`: over HTTPS alone."""
    answer.set_cookie(COOKIE, cookie, max_age=LASTS, httponly=True, samesite="strict", secure=secure)


def forget(answer: Response, *, secure: bool) -> None:
    """Have a browser show none any more."""
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=secure)


def _secret(file: Path | None) -> bytes:
    """What signs: the file's, which is made if there is none, or one that others may have read."""
    if file is None:
        return secrets.token_bytes(_SECRET_BYTES)
    try:
        return _read(file) or _written(file, secrets.token_bytes(_SECRET_BYTES))
    except OSError as exc:
        log.warning("sessions end with the gateway", file=str(file), reason=exc.strerror)
        return secrets.token_bytes(_SECRET_BYTES)


def _read(file: Path) -> bytes | None:
    """The secret; None if there is none that is good. Raises OSError."""
    try:
        with open(file, "rb", opener=open_no_link) as opened:
            found = os.fstat(opened.fileno())
            closed = stat.S_ISREG(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
            secret = opened.read(_SECRET_BYTES + 1) if closed and found.st_uid == os.geteuid() else b""
    except FileNotFoundError:
        return None
    if len(secret) == _SECRET_BYTES:
        return secret
    log.warning("sessions end", file=str(file), reason="the file is damaged, or open to others")
    return None


def _written(file: Path, secret: bytes) -> bytes:
    """The same, once it is on disk. Raises OSError."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_for_owner(file, secret)
    return secret
