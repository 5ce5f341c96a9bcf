"""Server-sent events: written the way OpenAI's SDKs read them, read the way engines write them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping

MEDIA_TYPE = "text/event-stream"

_LONGEST_LINE = 4 * 1024 * 1024


def written(event: Mapping[str, object]) -> bytes:
    """One event: a `data:` line and a blank one."""
    return b"data: " + json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


async def read(pieces: AsyncIterator[bytes]) -> AsyncIterator[dict[str, object]]:
    """The JSON objects of the `data:` lines, whatever lines stand between them, up to `[DONE]`.

    Raises ValueError for what is not JSON, or a line without end.
    """
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            raise ValueError("a line without end")
        for line in lines:
            data = line.removeprefix(b"data:").strip()
            if line.startswith(b"data:") and data and data != b"[DONE]":
                yield _object(data)


def _object(data: bytes) -> dict[str, object]:
    event = json.loads(data)
    if not isinstance(event, dict):
        raise ValueError("not an event")
    return event
