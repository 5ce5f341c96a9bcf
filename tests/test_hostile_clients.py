"""Clients that send too much, too slowly, or two things at once."""

from __future__ import annotations

import contextlib
import socket
import time

import httpx
import pytest

from tests.fakes.faults import Slow
from tests.live import eventually

SPEAK = b'{"input": "Hello.", "response_format": "wav"}'
HEAD = b"POST /v1/audio/speech HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(SPEAK)
FORM = "multipart/form-data; boundary=b"
FILE = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nRIFF'


@pytest.fixture
def connect(gateway):
    """A bare connection to the gateway."""
    url = gateway.base_url
    with contextlib.ExitStack() as connections:
        yield lambda: connections.enter_context(socket.create_connection((url.host, url.port), timeout=20))


def all_of(connection: socket.socket) -> bytes:
    """What comes until the other side closes, by which it may mean no."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            received += piece
    return received


def flood(connection: socket.socket, piece: bytes, most: int = 50_000_000) -> int:
    """How much of `piece` after `piece` the other side takes before it hangs up."""
    sent = 0
    with contextlib.suppress(ConnectionError, TimeoutError):
        while sent < most:
            sent += connection.send(piece)
    return sent


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"GET /health HTTP/1.1\r\nHost: a\r\n", b"X-A: b\r\n" * 1000),
        (b"GET /health HTTP/1.1\r\nHost: ", b"a" * 10_000),
        (b"GET /", b"a" * 10_000),
        (b"POST /v1/audio/speech HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n" * 1000),
    ],
    ids=["headers", "header", "url", "trailers"],
)
def test_an_endless_head_is_cut_off(connect, start, more):
    connection = connect()
    connection.sendall(start)

    assert flood(connection, more) < 10_000_000


def test_half_a_request_does_not_hold_its_connection(connect, monkeypatch):
    monkeypatch.setattr("spark_control.guarded_http.HEAD_SECONDS", 0.2)
    silent, halting = connect(), connect()
    halting.sendall(b"GET /he")

    assert all_of(silent) == b""
    assert all_of(halting) == b""


def test_half_a_body_does_not_either(connect, monkeypatch):
    monkeypatch.setattr("spark_control.guarded_http.PAUSE_SECONDS", 0.2)
    connection = connect()
    connection.sendall(HEAD + SPEAK[:5])

    assert all_of(connection) == b""


def test_who_asks_twice_at_once_is_answered_once_and_may_come_again(connect):
    connection = connect()
    connection.sendall(HEAD + SPEAK + b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
    received = all_of(connection)

    assert received.count(b"HTTP/1.1 ") == 1
    assert received.startswith(b"HTTP/1.1 200 OK")


def test_who_asks_twice_at_once_and_leaves_is_noticed(connect, magpie):
    magpie.fault = Slow()
    connection = connect()
    connection.sendall(HEAD + SPEAK + b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
    assert magpie.fault.arrived.wait(10)
    connection.close()

    eventually(magpie.fault.abandoned.is_set)


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_client_that_sends_everything_before_it_listens_sees_the_413(gateway_with, declared):
    """As Node and aiohttp do: a connection closed under them would be an error without a reason."""
    piece, pieces = bytes(64 * 1024), 160
    with gateway_with(uploads={"max_bytes": 100_000}) as gateway:
        url = gateway.base_url
        with socket.create_connection((url.host, url.port), timeout=20) as connection:
            length = (
                f"Content-Length: {len(FILE) + len(piece) * pieces}"
                if declared
                else "Transfer-Encoding: chunked"
            )
            head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\nContent-Type: {FORM}\r\n{length}\r\n\r\n"
            connection.sendall(head.encode() + (FILE if declared else b"%x\r\n%b\r\n" % (len(FILE), FILE)))
            for _ in range(pieces):
                connection.sendall(piece if declared else b"%x\r\n%b\r\n" % (len(piece), piece))
            answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"audio_too_large"' in answer


@pytest.mark.parametrize(
    "start",
    [FILE + b"\r\n--b--\r\n", b'--b\r\nContent-Disposition: form-data; name="other"; filename="x"\r\n\r\n'],
    ids=["epilogue", "other file"],
)
def test_what_is_not_the_file_counts_too(gateway_with, start):
    """Otherwise this would never end."""

    def endless():
        yield start
        while True:
            yield bytes(65536)

    # The client may meet the closed connection first.
    with gateway_with(uploads={"max_bytes": 100_000}) as gateway, contextlib.suppress(httpx.TransportError):
        answer = gateway.post("/v1/audio/transcriptions", content=endless(), headers={"content-type": FORM})
        assert answer.status_code == 413


def test_a_boundary_longer_than_allowed_is_refused(gateway):
    headers = {"content-type": f"multipart/form-data; boundary={'b' * 300}"}
    answer = gateway.post("/v1/audio/transcriptions", content=b"--b", headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_multipart")


@pytest.mark.parametrize("cut", [0, len(HEAD)], ids=["in one packet", "head first"])
def test_an_offer_of_http_2_is_passed_over(connect, cut):
    """Java's HttpClient makes it with every request."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
    request = HEAD[:-2] + offer + b"\r\n" + SPEAK
    connection = connect()
    for _ in range(2):
        for piece in (request[: cut + len(offer)], request[cut + len(offer) :]) if cut else (request,):
            connection.sendall(piece)
            time.sleep(0.02)
        received = connection.recv(65536)
        assert received.startswith(b"HTTP/1.1 200 OK"), received
        length = int(received.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(received.partition(b"\r\n\r\n")[2]) < length:
            received += connection.recv(65536)


@pytest.mark.parametrize("verb", [b"GET", b"POST", b"CONNECT"])
@pytest.mark.parametrize("at_once", [True, False])
def test_what_follows_an_offer_of_another_protocol_is_no_request(connect, verb, at_once):
    """Proxies send the offer and its body on, and the body as a request would come from this machine itself."""
    hidden = (
        b"POST /api/upstreams/magpie/maintenance HTTP/1.1\r\nHost: localhost\r\n"
        b'Content-Type: application/json\r\nContent-Length: 11\r\n\r\n{"on":true}'
    )
    offer = (
        verb
        + b" /v1/models HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n"
        + b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: %d\r\n\r\n" % len(hidden)
    )
    connection = connect()
    connection.sendall(offer + hidden if at_once else offer)
    received = connection.recv(65536)
    with contextlib.suppress(ConnectionError):
        connection.sendall(hidden)
    received += all_of(connection)

    assert received.count(b"HTTP/1.1 ") == 1
    assert b"maintenance" not in received


def test_a_blank_line_does_not_hold_a_connection(connect, monkeypatch):
    monkeypatch.setattr("spark_control.guarded_http.HEAD_SECONDS", 0.2)
    connection = connect()
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"OK" in connection.recv(65536)
    connection.sendall(b"\r\n")

    assert all_of(connection) == b""
