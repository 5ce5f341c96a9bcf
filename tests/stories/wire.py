"""Requests byte for byte as clients write them: the order of the parts, the types they leave out, an empty key."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

import httpx

_BOUNDARY = "----geckoformboundary5f0b3a"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def post(
    gateway: httpx.Client, path: str, body: bytes | Iterable[bytes], headers: Mapping[str, str]
) -> Answer:
    """With these headers as they are. A body in pieces goes chunked, without a Content-Length."""
    connection = http.client.HTTPConnection(gateway.base_url.host, gateway.base_url.port, timeout=20)
    try:
        connection.request("POST", path, body, dict(headers))
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def post_json(gateway: httpx.Client, path: str, body: object, **headers: str) -> Answer:
    return post(gateway, path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})


FORM = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
"""The headers of a `form`."""


def part(name: str, value: str | bytes, *, filename: str | None = None, type_: str | None = None) -> bytes:
    """One part of a form, with a file name and a Content-Type only if they are given."""
    head = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        head += f'; filename="{filename}"'
    if type_ is not None:
        head += f"\r\nContent-Type: {type_}"
    return head.encode() + b"\r\n\r\n" + (value.encode() if isinstance(value, str) else value)


def form(*parts: bytes) -> bytes:
    """The parts in this order."""
    dashes = f"--{_BOUNDARY}".encode()
    return b"".join(dashes + b"\r\n" + each + b"\r\n" for each in parts) + dashes + b"--\r\n"


def in_pieces(body: bytes, size: int = 16_384) -> Iterator[bytes]:
    """The body as a stream, whose length nobody knows before its end."""
    for start in range(0, len(body), size):
        yield body[start : start + size]
