"""A fake engine as a process of its own, that can be wedged, killed and started again.

    python -m tests.fakes.engine parakeet --port 20001 --log executions.jsonl

It stands behind a fault switch (`/control/fault`), and writes down every piece of work when it gets it and when
it has answered it: `executions()` in `supervised.py` reads that. It ends when its stdin does.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import socket
import time
import uuid
from pathlib import Path

import uvicorn
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spark_control.engines.faults.switch import FaultSwitch
from spark_control.engines.lifeline import end_when_closed
from tests.fakes.faults import is_canary
from tests.fakes.magpie import FakeMagpie
from tests.fakes.parakeet import FakeParakeet

FAKES: dict[str, type[FakeMagpie] | type[FakeParakeet]] = {"magpie": FakeMagpie, "parakeet": FakeParakeet}


class Diary:
    """An application, and a file with a line for the beginning and one for the end of each piece of work."""

    def __init__(self, app: ASGIApp, kind: str, path: Path) -> None:
        self._app = app
        self._kind = kind
        self._file = path.open("a", encoding="utf-8")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:  # it never was the engine's
            return
        began = {"sha256": await fingerprint(request), "canary": is_canary(request)}
        await self._execute(scope, began, _Read(body, receive), send)

    async def _execute(self, scope: Scope, began: dict[str, object], receive: Receive, send: Send) -> None:
        known: dict[str, object] = {"id": uuid.uuid4().hex, "pid": os.getpid()}
        self._write({**known, "kind": self._kind, "start": time.monotonic(), **began})
        ended: dict[str, object] = {"status": None}

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                ended["status"] = message["status"]
            elif not message.get("more_body"):  # whoever has the answer finds the line
                ended["end"] = time.monotonic()
                self._write({**known, **ended})
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            if "end" not in ended:  # it broke off, or the client left
                ended["end"] = time.monotonic()
                self._write({**known, **ended})

    def _write(self, line: dict[str, object]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


class _Read:
    """A request's messages again, once its body has been read."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._receive = receive

    async def __call__(self) -> Message:
        return self._unread.pop() if self._unread else await self._receive()


async def fingerprint(request: Request) -> str:
    """SHA-256 of the file that is uploaded, or of text and voice."""
    async with request.form() as form:
        file = form.get("file")
        data = await file.read() if isinstance(file, UploadFile) else spoken(form["text"], form["voice"])
    return hashlib.sha256(data).hexdigest()


def spoken(text: object, voice: object) -> bytes:
    return f"{text}|{voice}".encode()


def taking(app: ASGIApp, seconds: float, *, at_once: int, queue: int) -> ASGIApp:
    """The same application, but work takes that long, `at_once` is done at once, and more than `queue` may not wait."""
    turns = asyncio.Semaphore(at_once)
    waiting = 0

    async def slower(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal waiting
        if scope["type"] != "http" or scope["method"] != "POST":
            await app(scope, receive, send)
        elif waiting >= queue:
            await JSONResponse({"detail": "queue full"}, 429)(scope, receive, send)
        else:
            waiting += 1
            async with turns:
                waiting -= 1
                await asyncio.sleep(seconds)
                await app(scope, receive, send)

    return slower


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=FAKES)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--takes", type=float, default=0.02, help="seconds that each piece of work takes")
    parser.add_argument("--at-once", type=int, default=1000, help="pieces of work done at once")
    parser.add_argument("--queue", type=int, default=1000, help="pieces that may wait; more are a 429")
    parser.add_argument("--start-takes", type=float, default=0.0, help="seconds before it listens")
    parser.add_argument("--fault-file", type=Path)
    args = parser.parse_args()
    end_when_closed(0)
    time.sleep(args.start_takes)
    app = FaultSwitch(
        taking(FAKES[args.kind]().app, args.takes, at_once=args.at_once, queue=args.queue), args.fault_file
    )
    with socket.create_server(("127.0.0.1", args.port), backlog=256) as listening:
        config = uvicorn.Config(Diary(app, args.kind, args.log), log_config=None, access_log=False)
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
