"""Asks one server the same thing again and again, and tells how often and how fast it answered."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.bodies import Post

_LUA = """
local file = io.open("{body}", "rb")
wrk.method, wrk.body = "POST", file:read("*a")
{headers}
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("%d %d %d %.0f %.0f\\n", summary.requests, summary.duration,
    e.status + e.read + e.write + e.timeout + e.connect, latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One round. Latencies in milliseconds."""

    requests: int
    seconds: float
    failures: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def load(port: int, post: Post, *, connections: int, seconds: int) -> Measured:
    """By wrk with one thread; without it by asyncio, which leaves a fast server idle for part of the time."""
    if shutil.which("wrk"):
        return _by_wrk(port, post, connections, seconds)
    return asyncio.run(_by_asyncio(port, post, connections, seconds))


def _by_wrk(port: int, post: Post, connections: int, seconds: int) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder) / "body", Path(folder) / "post.lua"
        body.write_bytes(post.body)
        headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in post.headers.items())
        script.write_text(_LUA.format(body=body, headers=headers))
        url = f"http://127.0.0.1:{port}{post.path}"
        wrk = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
        told = subprocess.run(wrk, check=True, capture_output=True, text=True).stdout
    requests, took, failures, p50, p99 = map(int, told.splitlines()[-1].split())
    return Measured(requests, took / 1e6, failures, p50 / 1e3, p99 / 1e3)


async def _by_asyncio(port: int, post: Post, connections: int, seconds: int) -> Measured:
    latencies: list[float] = []
    failures = 0
    raw = post.raw()

    async def ask() -> None:
        nonlocal failures
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024 * 1024)
        with contextlib.closing(writer):
            while (sent := time.perf_counter()) < deadline:
                writer.write(raw)
                if not await _answered(reader):
                    failures += 1
                latencies.append((time.perf_counter() - sent) * 1000)

    began = time.perf_counter()
    deadline = began + seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(ask())
    took = time.perf_counter() - began
    cuts = statistics.quantiles(latencies, n=100)
    return Measured(len(latencies), took, failures, cuts[49], cuts[98])


async def _answered(reader: asyncio.StreamReader) -> bool:
    """Read one answer, which must tell its length; whether it is a 200."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    return head.startswith(b"http/1.1 200")
