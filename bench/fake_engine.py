"""A stand-in for both engines that does no work, so that what is measured is what lies in front of it.

It reads each request to its end and answers from memory: a bare protocol on
uvloop, several times faster than the fastest relay written in Python.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import cast

import uvloop

from bench.bodies import ANSWER_BYTES, SPOKEN_RATE, TRANSCRIPT, VOICES, wav

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def _answer(media_type: str, body: bytes) -> bytes:
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )


_SOUND = _answer("audio/wav", wav(ANSWER_BYTES, SPOKEN_RATE))
_ANSWERS = {
    b"/v1/audio/synthesize": _SOUND,  # Magpie's path, which the gateway asks
    b"/v1/audio/speech": _SOUND,  # OpenAI's, which the plain relays hand on
    b"/v1/audio/transcriptions": _answer("application/json", TRANSCRIPT),
    b"/v1/audio/list_voices": _answer("application/json", VOICES),
}
_READY = _answer("text/plain", b"ok")


class Engine(asyncio.Protocol):
    """One connection. Requests come one after the other, with a Content-Length or without a body."""

    def __init__(self) -> None:
        self._head = b""
        self._missing = 0
        self._reply = _READY

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # which uvloop's is in all but its bases

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._head, 0, end)
            self._missing = int(length[1]) if length else 0
            self._reply = _ANSWERS.get(self._head.split(b" ", 2)[1], _READY)
            data, self._head = self._head[end + 4 :], b""
        self._missing -= len(data)
        if not self._missing:
            self._transport.write(self._reply)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Engine, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
