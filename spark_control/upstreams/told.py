"""What an engine tells of itself when it is asked."""

from __future__ import annotations

from spark_control.errors import UpstreamError
from spark_control.upstreams.base import SpeechDialect, Voice
from spark_control.upstreams.client import NOT_UNDERSTOOD, Upstream

_LIST_BYTES = 4 * 1024 * 1024


async def told_voices(upstream: Upstream[SpeechDialect]) -> tuple[Voice, ...]:
    """Its voices; the usual ones of its kind, if its server has no list. Raises GatewayErrors."""
    dialect = upstream.dialect
    try:
        voices = dialect.read_voices(await upstream.fetch(dialect.voices_request, _LIST_BYTES))
    except UpstreamError as exc:
        if exc.code != NOT_UNDERSTOOD or not dialect.usual_voices:
            raise
        return dialect.usual_voices
    except (ValueError, RecursionError):
        raise upstream.garbage() from None
    if not voices:
        raise upstream.garbage()
    return voices
