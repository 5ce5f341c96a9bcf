"""uvicorn's HTTP/1.1 with limits: on the size of a request's head, on the time it takes, and on pipelining.

Without them one connection can fill the memory with headers, or hold a file
descriptor for ever by sending half a request.
"""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024
"""Bytes of a request's line and headers, trailers included."""

HEAD_SECONDS = 15.0
"""Seconds from a request's first byte, or from the connection, to the end of its headers."""

PAUSE_SECONDS = 60.0
"""Seconds that a client may pause in the middle of its body."""


_H2C = re.compile(rb"(\r\n)upgrade(:[ \t]*h2c)", re.IGNORECASE)


def without_h2c(data: bytes) -> bytes:
    """The start of a request without an offer to go on in HTTP/2.

    Java's client makes that offer with every request; a server may pass it
    over, but the parser takes what follows for another protocol and drops it.
    The header gets another name of the same length.
    """
    head, end, body = data.partition(b"\r\n\r\n")
    return _H2C.sub(rb"\1Ignored\2", head) + end + body if b"h2c" in head else data


class GuardedHttp(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0
    _fed_before_head_ended = 0
    _in_head = True
    _deaf = False
    _leaves_http = False
    """Whether it has asked for another protocol, as which the parser passes over all that follows."""
    _answered_at = 0.0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self._came_at = self._loop.time()
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_come()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._came_at = self._loop.time()
        if not self._busy():
            data = without_h2c(data)
        super().data_received(data)
        if self._leaves_http:
            self._deaf = True
            return
        if self._late is None and self.timeout_keep_alive_task is None and not self._busy():
            # A blank line between two requests has ended uvicorn's own wait for the next.
            self._expect_head()
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
        self._expect_body()
        super().on_headers_complete()
        if self.parser.should_upgrade():
            # The parser takes its body for the next request. Sent on by a proxy, that would be this machine's own.
            self._leaves_http = True
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        if not self._deaf:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._deaf:
            self._has_come()
            super().on_message_complete()

    def on_response_complete(self) -> None:
        self._answered_at = self._loop.time()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.close()  # once that has been sent
        else:
            self.close_if_idle(0)

    @property
    def at_rest(self) -> bool:
        """Whether no request is under way, not even the beginning of one, nor the end of an answer."""
        begun = self._in_head and self._fed_before_head_ended
        return not (self._busy() or begun or self.transport.get_write_buffer_size())

    def close_if_idle(self, seconds: float) -> None:
        """Take leave of a client that has asked nothing for so long."""
        idle = self._loop.time() - max(self._came_at, self._answered_at)
        if self.at_rest and idle >= seconds and not self.transport.is_closing() and self._hung_up():
            self.transport.close()

    def _hung_up(self) -> bool:
        """Have the client know at once that nothing more is answered, unless a request of its lies there unread.

        The transport closes a turn of the loop later, and what comes in between would be lost.
        """
        with suppress(OSError), self.transport.get_extra_info("socket").dup() as line:
            with suppress(BlockingIOError):
                if line.recv(1, socket.MSG_PEEK):
                    return False
            line.shutdown(socket.SHUT_WR)
        return True

    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_head(self) -> None:
        self._has_come()
        self._late = self._loop.call_later(HEAD_SECONDS, self._give_up)

    def _expect_body(self) -> None:
        """Look once in a while whether more of it came, which is cheaper than a new timer for each piece."""
        self._has_come()
        self._late = self._loop.call_later(PAUSE_SECONDS, self._look)

    def _look(self) -> None:
        # While reading is paused it is the gateway that takes its time.
        if self._loop.time() - self._came_at < PAUSE_SECONDS or self.flow.read_paused:
            self._expect_body()
        else:
            self._give_up()

    def _has_come(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
