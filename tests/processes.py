"""The command line as a person runs it: real processes, ended by their own pid."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.live import eventually

COMMAND = [sys.executable, "-m", "spark_control"]


def spark_control(*arguments: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a folder where no settings lie about."""
    return spark_control_with((), *arguments, folder=folder, **environ)


def spark_control_with(
    sockets: Sequence[socket.socket], *arguments: str, folder: Path, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Likewise, with sockets that it inherits."""
    return subprocess.run(
        [*handing_over(sockets), *COMMAND, *arguments],
        cwd=folder,
        env={**os.environ, **environ},
        pass_fds=[each.fileno() for each in sockets],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass
class Serving:
    """A running `spark-control serve`."""

    process: subprocess.Popen[str]
    url: str
    said: str

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30)

    def wait_until_ready(self) -> None:
        with self.client() as client:
            eventually(lambda: client.get("/readyz").status_code == 200, within=30)

    def wait_until_calm(self) -> None:
        """Until no canary is under way, nor about to be: each would meet a fault that is meant for a request."""
        with self.client() as client:
            eventually(lambda: is_calm(client.get("/api/status").json()), within=30)

    def end(self, sig: int = signal.SIGTERM) -> int:
        self.process.send_signal(sig)
        return self.process.wait(20)


def is_calm(status: dict[str, Any]) -> bool:
    """Whether both engines are well, and have been looked at again if one could not be understood by the other."""
    engines, loop = status["upstreams"], status["closed_loop"]
    if not loop or any(each["state"] != "healthy" for each in engines):
        return False
    return loop["passed"] or all(each["last_probe"]["at"] >= loop["at"] for each in engines)


# What systemd does before it starts a service that has sockets.
_HAND_OVER = """
import os, sys
for number, descriptor in enumerate(sys.argv[1].split(","), 3):
    os.dup2(int(descriptor), number)
os.closerange(number + 1, 1024)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(number - 2)}
os.execv(sys.argv[2], sys.argv[2:])
"""


def handing_over(sockets: Sequence[socket.socket]) -> Sequence[str]:
    """The start of a command that inherits them, as from systemd."""
    numbers = ",".join(str(each.fileno()) for each in sockets)
    return [sys.executable, "-c", _HAND_OVER, numbers] if sockets else []


@contextmanager
def serve(
    folder: Path,
    *arguments: str,
    new_group: bool = False,
    sockets: Sequence[socket.socket] = (),
    **environ: str,
) -> Iterator[Serving]:
    """`spark-control serve` on a free port or on `sockets`, its log in `folder/log`."""
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*handing_over(sockets), *COMMAND, "serve", "--port", "0", *arguments],
            cwd=folder,
            env={"SPARK_CONTROL_STATE": str(folder / "state"), **os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=new_group,
            pass_fds=[each.fileno() for each in sockets],
        )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"http://\S+:\d+", first)
        assert found, first + (folder / "log").read_text()
        yield Serving(process, found.group(), first)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def children(pid: int) -> Sequence[int]:
    """The processes that `pid` started, and those that they did."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    direct = [int(child) for child in path.read_text().split()] if path.exists() else []
    return [*direct, *(grandchild for child in direct for grandchild in children(child))]


def lives(pid: int) -> bool:
    """Whether a process runs; one that has died and was not yet buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
