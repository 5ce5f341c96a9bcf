"""Processes on this machine: started, waited for, measured and ended, each by its own id."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: Sequence[str], *, port: int, path: str = "/", env: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Its process id, once it answers; the process ends with the block. It logs to a file, as services do."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **(env or {})})
        try:
            if not answers(port, path, within=20):
                log.seek(0)
                raise SystemExit(
                    f"{command[0]} did not start:\n{log.read().decode(errors='replace')[-2000:]}"
                )
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def answers(port: int, path: str, *, within: float) -> bool:
    """Whether anything, an error included, is answered at `path` within so many seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=within)
            connection.request("GET", path)
            connection.getresponse().read()
            connection.close()
            return True
        time.sleep(0.005)
    return False


def python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def gateway(folder: Path, port: int, engine: int) -> list[str]:
    """The command of a gateway whose two engines are the fake one on port `engine`."""
    settings = folder / "spark-control.toml"
    settings.write_text(
        f'[upstreams.magpie]\nkind = "magpie"\nurl = "http://127.0.0.1:{engine}"\n'
        f'[upstreams.parakeet]\nkind = "parakeet"\nurl = "http://127.0.0.1:{engine}"\n'
    )
    return python("spark_control", "serve", "--config", str(settings), "--port", str(port))


def cpu_seconds(pid: int) -> float:
    """Processor time the process has used, all threads, in user and kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(pid: int, field: str = "VmRSS") -> int:
    """Bytes of a field of /proc/PID/status: VmRSS now, VmHWM at its highest."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)
