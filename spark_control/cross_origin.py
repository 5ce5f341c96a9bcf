"""In the name of which web pages and apps a browser may ask (CORS).

Not Starlette's middleware: it refuses in plain text, and cannot keep pages away from what changes something.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from starlette.responses import Response

from spark_control.errors import Forbidden

_EXPOSED = (
    b"x-request-id, retry-after, retry-after-ms, x-should-retry, x-model, x-voice, x-spark-cache, x-spark-degraded, "
    b"x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests"
)
_METHODS = "GET, HEAD, POST, OPTIONS"
_HEADER_NAMES = re.compile(r"[A-Za-z0-9_-]{1,64}(?: *, *[A-Za-z0-9_-]{1,64}){0,63}")
_REMEMBERED_FOR = "600"
"""Seconds for which a browser need not ask again."""

RawHeaders = list[tuple[bytes, bytes]]


class CrossOrigin:
    """The list of origins; nothing is said to any browser if it is empty."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origins)
        self._everybody = "*" in self._origins

    def __bool__(self) -> bool:
        return bool(self._origins)

    def may(self, origin: str) -> bool:
        """Whether pages of that origin may ask. No origin is like another: the list has them in full."""
        return self._everybody or origin in self._origins

    def told(self, origin: str | None) -> RawHeaders:
        """Headers that let a page of `origin` read the answer, if it may."""
        # A cache must not give to one origin what was meant for another.
        told = [] if self._everybody else [(b"vary", b"origin")]
        if origin is not None and self.may(origin):
            allowed = b"*" if self._everybody else origin.encode("latin-1")
            told += [(b"access-control-allow-origin", allowed), (b"access-control-expose-headers", _EXPOSED)]
        return told

    def preflight(self, headers: Mapping[str, str], *, changes: bool) -> Response:
        """The answer to a browser that asks whether a page may ask. Raises Forbidden if not."""
        if not self.may(headers["origin"]):
            message = "Pages of this origin may not ask here; access.cors_origins in the settings names those that may."
            raise Forbidden(message, code="origin_not_allowed")
        if changes:
            raise Forbidden("No web page of another origin may do that.", code="origin_not_allowed")
        asked = headers.get("access-control-request-headers", "")
        told = {
            "access-control-allow-methods": _METHODS,
            # An SDK sends a dozen headers of its own, and other ones tomorrow.
            "access-control-allow-headers": asked
            if _HEADER_NAMES.fullmatch(asked)
            else "authorization, content-type",
            "access-control-max-age": _REMEMBERED_FOR,
        }
        if headers.get("access-control-request-private-network") == "true":
            told["access-control-allow-private-network"] = "true"
        return Response(status_code=204, headers=told)
