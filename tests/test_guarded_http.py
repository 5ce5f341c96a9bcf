"""A connection that is about to be closed, and a request that has just come: which is first?"""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from spark_control.guarded_http import GuardedHttp
from tests.live import eventually, unused_port

LOOPS = [uvloop.new_event_loop, asyncio.new_event_loop]


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


class Side:
    """A server's side of one connection, and the way into its loop."""

    def __init__(self, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._loop_factory = loop_factory
        port = unused_port()
        config: Any = uvicorn.Config(hello, port=port, log_config=None, lifespan="off", http=GuardedHttp)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def __enter__(self) -> Side:
        self._thread.start()
        eventually(lambda: self._server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(10)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._loop_factory) as runner:
            self._loop = runner.get_loop()
            runner.run(self._server.serve())

    def ask(self) -> bytes:
        self.client.request("GET", "/")
        return self.client.getresponse().read()

    def the_connection(self) -> GuardedHttp:
        [connection] = self._server.server_state.connections
        assert isinstance(connection, GuardedHttp)
        return connection

    def does(self, what: Callable[[], None]) -> None:
        """In its loop, and at once."""
        done = threading.Event()

        def do() -> None:
            what()
            done.set()

        self._loop.call_soon_threadsafe(do)
        assert done.wait(10)


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_a_request_that_waits_to_be_read_keeps_its_connection(loop_factory):
    with Side(loop_factory) as side:
        assert side.ask() == b"hello"
        busy, sent = threading.Event(), threading.Event()

        def be_busy_and_then_close() -> None:
            busy.set()
            assert sent.wait(10)
            time.sleep(0.05)  # loopback's way
            side.the_connection().close_if_idle(0)

        asking = threading.Thread(target=side.does, args=(be_busy_and_then_close,))
        asking.start()
        assert busy.wait(10)
        side.client.request("GET", "/")
        sent.set()
        asking.join(10)
        assert side.client.getresponse().read() == b"hello"


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_an_idle_connection_is_closed_and_one_that_has_just_been_used_is_not(loop_factory):
    with Side(loop_factory) as side:
        assert side.ask() == b"hello"
        assert side.client.sock is not None
        side.does(lambda: side.the_connection().close_if_idle(60))
        assert side.ask() == b"hello"
        side.does(lambda: side.the_connection().close_if_idle(0))
        assert side.client.sock.recv(1) == b""


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_the_beginning_of_a_request_keeps_its_connection(loop_factory):
    with Side(loop_factory) as side:
        assert side.ask() == b"hello"
        assert side.client.sock is not None
        side.client.sock.sendall(b"GET / HT")
        eventually(lambda: not side.the_connection().at_rest)
        side.does(lambda: side.the_connection().close_if_idle(0))
        side.client.sock.sendall(b"TP/1.1\r\nhost: here\r\n\r\n")
        assert side.client.sock.recv(1) == b"H"
