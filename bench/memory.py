"""What large uploads cost in memory, and whether they arrive unharmed: `python -m bench.memory`."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from bench.bodies import hear, wav
from bench.machine import free_port, gateway, memory, running

MIB = 1024 * 1024
GOAL = 64 * MIB


class HashingEngine:
    """A Parakeet that answers as soon as it has read a recording, and remembers what it read."""

    def __init__(self) -> None:
        self.heard: Counter[str] = Counter()

    async def transcriptions(self, request: web.Request) -> web.Response:
        digest = hashlib.sha256()
        async for part in await request.multipart():
            assert isinstance(part, aiohttp.BodyPartReader)  # noqa: S101 (no form here has a form in it)
            while part.name == "file" and (piece := await part.read_chunk(MIB)):
                digest.update(piece)
        self.heard[digest.hexdigest()] += 1
        return web.json_response({"text": "The train to the coast leaves at noon."})

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/v1/audio/transcriptions", self.transcriptions)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
        await runner.cleanup()


async def upload(url: str, body: bytes, content_type: str) -> None:
    async with (
        aiohttp.ClientSession(headers={"content-type": content_type}) as session,
        session.post(url, data=body) as answer,
    ):
        text = await answer.text()
        if answer.status != 200:
            raise SystemExit(f"The gateway answered {answer.status}: {text}")


async def highest(pid: int, work: asyncio.Future[object]) -> int:
    """The most memory the process held until `work` was done: sampled, since VmHWM also knows the start."""
    most = 0
    while not work.done():
        most = max(most, memory(pid))
        await asyncio.sleep(0.005)
    await work
    return max(most, memory(pid))


async def measure(folder: Path, uploads: int, size: int) -> bool:
    port, engine = free_port(), free_port()
    recording = wav(size)
    post = hear(recording)
    url = f"http://127.0.0.1:{port}{post.path}"

    async def wave(count: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(upload(url, post.body, post.content_type))

    fake = HashingEngine()
    async with fake.listening(engine):
        with running(gateway(folder, port, engine), port=port, path="/healthz") as pid:
            await wave(2)  # what a first request alone costs: code loaded, connections opened
            await asyncio.sleep(1)
            idle, before = memory(pid), memory(pid, "VmHWM")
            peak = await highest(pid, asyncio.ensure_future(wave(uploads)))
            after = memory(pid, "VmHWM")
            await asyncio.sleep(1)
            left = memory(pid)
    rise = max(peak, after if after > before else 0) - idle
    unharmed = fake.heard == {hashlib.sha256(recording).hexdigest(): uploads + 2}
    print(f"{uploads} uploads of {size / MIB:.0f} MiB at a time, {uploads * size / MIB:.0f} MiB in all")
    print(f"  idle       {idle / MIB:7.1f} MiB")
    print(f"  peak rise  {rise / MIB:7.1f} MiB  (goal < {GOAL / MIB:.0f}: {_word(good=rise < GOAL)})")
    print(f"  left over  {(left - idle) / MIB:7.1f} MiB")
    print(f"  bytes      {'unharmed' if unharmed else 'HARMED'} (sha256 of each at the engine)")
    return unharmed and rise < GOAL


def _word(*, good: bool) -> str:
    return "reached" if good else "MISSED"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="four uploads of 5 MiB")
    uploads, mib = (4, 5) if parser.parse_args().quick else (20, 25)
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(measure(Path(folder), uploads, mib * MIB)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
