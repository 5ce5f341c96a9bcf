"""Writes the multipart forms that engines read.

httpx can, but reads files inside the event loop; an upload on disk is read
here piece by piece, off it.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache

import httpx

from spark_control.audio.formats import Format
from spark_control.uploads import Source

_WHOLE = 512 * 1024
"""Up to this many bytes a body is sent as one piece, which is faster."""

_parsed = lru_cache(maxsize=64)(httpx.URL)
"""The few addresses that forms go to, parsed once: that takes as long as the rest of a request's making."""


def form_request(
    url: str, fields: Mapping[str, str], file: Source | None = None, format_: Format | None = None
) -> httpx.Request:
    """A POST of `fields`, with `file` as the part `file`.

    Build it anew for each sending: a body is read once.
    """
    boundary = secrets.token_hex(16)
    opening = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    closing = f"--{boundary}--\r\n"
    if file and format_:
        opening += (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="file"; filename="audio.{format_.name}"\r\n'
            f"Content-Type: {format_.media_type}\r\n\r\n"
        )
        closing = "\r\n" + closing
    before, after = opening.encode(), closing.encode()
    headers = {
        "content-type": f"multipart/form-data; boundary={boundary}",
        "content-length": str(len(before) + (file.size if file else 0) + len(after)),
    }
    return httpx.Request("POST", _parsed(url), headers=headers, content=_content(before, file, after))


def _content(before: bytes, file: Source | None, after: bytes) -> bytes | AsyncIterator[bytes]:
    held = file.in_memory if file else b""
    if held is not None and len(held) <= _WHOLE:
        return b"".join((before, held, after))
    assert file is not None  # noqa: S101 (only a file can be large)
    return _pieces(before, file, after)


async def _pieces(before: bytes, file: Source, after: bytes) -> AsyncIterator[bytes]:
    yield before
    async for piece in file.pieces():
        yield piece
    yield after
