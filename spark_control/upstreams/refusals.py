"""Pure: what an engine's error status means, told in OpenAI's terms without leaking the engine's insides."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from spark_control.errors import (
    Busy,
    GatewayError,
    InvalidRequest,
    Loading,
    TimedOut,
    TooLarge,
    UpstreamError,
)

_QUOTED_CHARACTERS = 200
_GIVES_SOMETHING_AWAY = re.compile(
    r"https?:|[\\/]\w+[\\/]|Traceback|\d\.\d+\.\d+\.\d|\w:\d{2,5}\b|0x[0-9a-f]{6}"
    r"|Bearer|(token|key|secret|password)\s*[=:]",
    re.IGNORECASE,
)
"""Addresses, paths, stack traces, keys."""


def refusal(title: str, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
    """The error for an engine's answer of `status` >= 300. `title` names the service in its sentence."""
    if status == 413:
        return TooLarge(f"The {title} engine takes no file as large as this one.", param="file")
    if status == 415:
        message = f"The {title} engine cannot decode this file; is it audio?"
        return InvalidRequest(message, code="audio_undecodable", param="file")
    if status in (400, 409, 422):
        return InvalidRequest(
            f"The {title} engine refused the request{_because(body)}.", code="refused_by_engine"
        )
    if status == 429:
        return Busy(
            f"The {title} engine has its hands full; try again shortly.", retry_after=_retry_after(headers)
        )
    if status == 503:
        message = f"The {title} engine is still loading its model; try again shortly."
        return Loading(message, retry_after=_retry_after(headers))
    if status in (408, 504):
        return TimedOut(f"The {title} engine did not finish in time.")
    if status in (401, 403):
        message = (
            f"The {title} engine refuses this gateway's own key; the owner can set api_key in the settings."
        )
        return UpstreamError(message, code="upstream_refused_key")
    if status < 500:
        message = f"The {title} engine does not know this request; is its `kind` right in the settings?"
        return UpstreamError(message, code="upstream_not_understood")
    return UpstreamError(f"The {title} engine failed.")


def _because(body: bytes) -> str:
    reason = stated_reason(body)
    return f": {reason.rstrip('.')}" if reason else ""


def stated_reason(body: bytes, most: int = _QUOTED_CHARACTERS) -> str | None:
    """The engine's own words, from any of the shapes engines use; None if there are none fit to show."""
    try:
        said: object = json.loads(body)
        text = " ".join(_text_in(said).split())[:most]
    except (ValueError, RecursionError):
        return None
    return text if text and harmless(text) else None


def harmless(text: str) -> bool:
    """Whether what somebody else said may be shown: no address, no path, no key, nothing that moves a terminal."""
    return text.isprintable() and not _GIVES_SOMETHING_AWAY.search(text)


def _text_in(said: object) -> str:
    """The sentence in `{"detail": …}`, `{"error": …}`, `{"message": …}` or FastAPI's list of `{"msg": …}`."""
    if isinstance(said, str):
        return said
    if isinstance(said, list):
        return _text_in(said[0]) if said else ""
    if isinstance(said, dict):
        for key in ("message", "msg", "detail", "error"):
            if said.get(key):
                return _text_in(said[key])
    return ""


def _retry_after(headers: Mapping[str, str]) -> int | None:
    value = headers.get("retry-after", "")
    return max(1, min(60, int(value))) if re.fullmatch(r"[0-9]{1,6}", value) else None
