"""Servers that mean no good: raw sockets that answer every question in one bad way."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Answer = Callable[[socket.socket, threading.Event], None]


def said(answer: bytes) -> Answer:
    """These bytes, and the end."""
    return lambda client, over: client.sendall(answer)


def held(answer: bytes) -> Answer:
    """These bytes, and then nothing, but no end either."""

    def hold(client: socket.socket, over: threading.Event) -> None:
        client.sendall(answer)
        over.wait()

    return hold


def for_ever(head: bytes, piece: bytes) -> Answer:
    def send(client: socket.socket, over: threading.Event) -> None:
        client.sendall(head)
        while not over.is_set():
            client.sendall(piece)

    return send


def drop_by_drop(answer: bytes) -> Answer:
    def drip(client: socket.socket, over: threading.Event) -> None:
        for byte in answer:
            client.sendall(bytes([byte]))
            if over.wait(0.2):
                return

    return drip


BAD: dict[str, Answer] = {
    "says nothing": held(b""),
    "hangs up": said(b""),
    "speaks another protocol": said(b'{"type": "info", "version": "1.9.0"}\n'),
    "sends a body without end": for_ever(OK + b"\r\n", b'{"data": [' + b" " * 65536),
    "sends headers without end": for_ever(OK, b"X-More: " + b"x" * 4096 + b"\r\n"),
    "sends a status line without end": for_ever(b"HTTP/1.1 200 ", b"O" * 65536),
    "answers drop by drop": drop_by_drop(OK + b'Content-Length: 20\r\n\r\n{"status": "healthy"}'),
    "sends the body drop by drop": for_ever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "promises more than it sends": said(OK + b"Content-Length: 999999999999\r\n\r\n{}"),
    "holds back the end": held(OK + b"Content-Length: 3\r\n\r\n{}"),
    "sends bytes": said(OK + b"\r\n" + bytes(range(256)) * 400),
    "nests": said(OK + b"\r\n" + b"[" * 200_000),
    "sends a zip bomb": said(OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(50_000_000))),
    "chunks wrongly": said(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
    "has an impossible status": said(b"HTTP/1.1 99999 No\r\n\r\n"),
    "redirects into nowhere": said(b"HTTP/1.1 302 Found\r\nLocation: http://[::1/\r\n\r\n"),
}


@contextmanager
def answering(answer: Answer, port: int = 0) -> Iterator[tuple[int, list[bytes]]]:
    """A server on a port of 127.0.0.1, a free one unless it is named; its port, and what it was sent."""
    over = threading.Event()
    heard: list[bytes] = []

    def serve(client: socket.socket) -> None:
        with client, suppress(OSError):
            heard.append(client.recv(65536))
            answer(client, over)

    def listen() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", port), backlog=64) as listening:
        threading.Thread(target=listen, daemon=True).start()
        yield listening.getsockname()[1], heard
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
