"""The one place that sends: what is tried again, and what is not."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from spark_control.errors import GatewayError, Loading, TimedOut, Unreachable, UpstreamError
from spark_control.upstreams.client import Upstream, open_client
from spark_control.upstreams.magpie import Magpie
from tests.live import unused_port

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@contextmanager
def raw_server(*answers: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """A socket that answers each connection with the next bytes and closes it; None is a reset."""
    asked: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            connection, _ = listening.accept()
            with connection:
                asked.append(connection.recv(65536))
                if answer is None:
                    connection.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
                    )
                else:
                    connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
    listening.close()
    thread.join(5)


def fetch(url: str, transport: httpx.AsyncBaseTransport | None = None, timeout: float = 5.0) -> bytes:
    async def scenario() -> bytes:
        async with open_client(transport) as client:
            upstream = Upstream("magpie", Magpie(url), client, timeout=timeout)
            return await upstream.fetch(lambda: httpx.Request("POST", f"{url}/x", content=b"work"), 100)

    return asyncio.run(scenario())


def test_an_answer_is_read():
    with raw_server(GOOD) as (url, asked):
        assert fetch(url) == b"ok"
    assert asked[0].endswith(b"work")


def test_a_connection_that_is_refused_is_tried_again():
    """Nothing was sent, so trying again is safe: the engine may be back in a moment."""
    tries = 0

    def refuse_twice(_: httpx.Request) -> httpx.Response:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, stream=httpx.ByteStream(b"ok"))

    assert fetch("http://magpie", httpx.MockTransport(refuse_twice)) == b"ok"
    assert tries == 3


def test_a_refused_connection_is_unreachable():
    with pytest.raises(Unreachable) as caught:
        fetch(f"http://127.0.0.1:{unused_port()}")
    assert caught.value.retry_after


@pytest.mark.parametrize("answer", [b"", None, b"HTTP/1.1 200", b"SSH-2.0-OpenSSH\r\n"])
def test_a_connection_that_breaks_after_the_request_was_sent_is_never_tried_again(answer):
    """The engine may have done the work: aiohttp's adapter calls some of these a failure to connect."""
    with raw_server(answer, GOOD) as (url, asked):
        with pytest.raises(UpstreamError) as caught:
            fetch(url)
        assert not isinstance(caught.value, Unreachable | TimedOut)
        assert len(asked) == 1
        assert fetch(url) == b"ok"


def test_a_refusal_that_breaks_off_is_still_told_by_its_status():
    with raw_server(b"HTTP/1.1 503 no\r\nretry-after: 9\r\ncontent-length: 200\r\n\r\npart") as (url, _):
        with pytest.raises(Loading) as caught:
            fetch(url)
        assert caught.value.retry_after == 9


def test_a_reason_that_is_no_text_is_the_engine_s_fault():
    with raw_server(b"HTTP/1.1 200 \xff\xfe\r\ncontent-length: 2\r\n\r\nok") as (url, _):
        try:
            assert fetch(url) == b"ok"
        except UpstreamError as exc:
            assert "broke off" in exc.message


def test_a_body_cut_short_is_an_error():
    with (
        raw_server(b"HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\npart") as (url, _),
        pytest.raises(UpstreamError),
    ):
        fetch(url)


def test_an_answer_larger_than_it_may_be_is_not_read():
    endless = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + bytes(100000)
    with raw_server(endless) as (url, _), pytest.raises(UpstreamError, match="makes no sense"):
        fetch(url)


def test_cookies_of_one_answer_are_not_sent_with_the_next():
    async def scenario(url: str) -> None:
        async with open_client() as client:
            upstream = Upstream("magpie", Magpie(url), client)
            for _ in range(2):
                await upstream.fetch(lambda: httpx.Request("GET", f"{url}/x"), 100)

    with_cookie = (
        b"HTTP/1.1 200 OK\r\nset-cookie: who=me; path=/\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
    )
    with raw_server(with_cookie, with_cookie) as (url, asked):
        # By name: aiohttp keeps no cookies of bare addresses anyway.
        asyncio.run(scenario(url.replace("127.0.0.1", "localhost")))
    assert b"cookie" not in asked[1].lower()


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port()}")
    with raw_server(GOOD) as (url, _):
        assert fetch(url) == b"ok"


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadTimeout, httpx.ReadError, httpx.UnsupportedProtocol],
)
def test_every_network_error_becomes_one_of_the_gateway_s_own(error):
    def fail(_: httpx.Request) -> httpx.Response:
        raise error("http://10.0.0.5:9000 secret")

    with pytest.raises(GatewayError) as caught:
        fetch("http://magpie", httpx.MockTransport(fail))
    assert "10.0.0.5" not in caught.value.message
