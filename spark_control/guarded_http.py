"""uvicorn's HTTP/1.1 with limits: on the size of a request's head, on the time it takes, and on pipelining.

Without them one connection can fill the memory with headers, or hold a file
descriptor for ever by sending half a request.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024
"""Bytes of a request's line and headers, trailers included."""

HEAD_SECONDS = 15.0
"""Seconds from a request's first byte, or from the connection, to the end of its headers."""


class GuardedHttp(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0
    _fed_before_head_ended = 0
    _in_head = True
    _deaf = False
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_has_come()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        super().data_received(data)
        # An endless URL, or one endless header, ends no line that could be counted.
        if self._in_head and not self._deaf and not self.transport.is_closing():
            self._fed_before_head_ended += len(data)
            if self._fed_before_head_ended > HEAD_BYTES:
                self.send_400_response("The request's head is too large.")

    def on_message_begin(self) -> None:
        if self._busy():
            # To queue it would stop the reading, and with it the news that the client has left. It may ask again
            # on a new connection, which it learns from this one's closing after the answer.
            self._deaf = True
            self.cycle.keep_alive = False
            return
        super().on_message_begin()
        self._head_bytes = self._fed_before_head_ended = 0
        self._in_head = True
        self._expect_head()

    def on_url(self, url: bytes) -> None:
        if not self._deaf:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._deaf:
            return
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES:
            raise ValueError("the request's head is too large")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._deaf:
            return
        self._in_head = False
        self._head_has_come()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._deaf:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._deaf:
            super().on_message_complete()

    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_head(self) -> None:
        self._head_has_come()
        self._late = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._give_up)

    def _head_has_come(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
