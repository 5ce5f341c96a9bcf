"""How soon sound leaves after the engine's first: `python -m bench.first_sound`.

A fake Magpie speaks in real time, 200 ms of sound every 200 ms. What counts is
the time from its first piece to the first encoded byte at the client.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import statistics
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bench.machine import free_port, gateway, running

FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
GOAL = 30  # ms
PIECE = 0.2  # seconds
TEXT = "The kettle on the second shelf is ready for tea. " * 6
VOICE = "Magpie-Multilingual.EN-US.Mia"


class DrippingMagpie:
    """Speaks four pieces, and notes when the first was let go."""

    def __init__(self) -> None:
        self.first_piece = 0.0
        self.app = Starlette(
            routes=[
                Route("/v1/audio/synthesize_online", self._speak, methods=["POST"]),
                Route("/v1/audio/list_voices", self._voices),
            ]
        )

    async def _voices(self, _: Request) -> Response:
        return JSONResponse({"en-US": {"voices": [VOICE]}})

    async def _speak(self, request: Request) -> Response:
        await request.body()
        self.first_piece = 0.0
        return StreamingResponse(self._drip())

    async def _drip(self) -> AsyncIterator[bytes]:
        for _ in range(30):
            await asyncio.sleep(PIECE)
            self.first_piece = self.first_piece or time.perf_counter()
            yield bytes(range(256)) * int(PIECE * 22_050 * 2 / 256)


def first_byte_after(magpie: DrippingMagpie, port: int, format_: str) -> float:
    """Milliseconds from the engine's first piece to the client's first encoded byte."""
    body = json.dumps({"input": TEXT, "voice": VOICE, "response_format": format_})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        connection.request("POST", "/v1/audio/speech", body, headers)
        answer = connection.getresponse()
        if answer.status != 200 or not answer.read(1):
            raise SystemExit(f"The gateway answered {answer.status}.")
        return (time.perf_counter() - magpie.first_piece) * 1000
    finally:
        connection.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two requests a format instead of fifteen")
    count = 2 if parser.parse_args().quick else 15
    magpie, engine, port = DrippingMagpie(), free_port(), free_port()
    server = uvicorn.Server(uvicorn.Config(magpie.app, port=engine, log_config=None))
    threading.Thread(target=server.run, daemon=True).start()
    good = True
    with (
        tempfile.TemporaryDirectory() as folder,
        running(gateway(Path(folder), port, engine), port=port, path="/healthz"),
    ):
        for format_ in FORMATS:
            first_byte_after(magpie, port, format_)
            measured = [first_byte_after(magpie, port, format_) for _ in range(count)]
            median = statistics.median(measured)
            good = good and median <= GOAL
            word = "reached" if median <= GOAL else "MISSED"
            print(f"{format_:<5} {median:6.1f} ms  (slowest {max(measured):.1f}; goal <= {GOAL} ms: {word})")
    server.should_exit = True
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
