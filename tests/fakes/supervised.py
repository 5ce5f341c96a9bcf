"""A fake engine in a process of its own, for tests in which it is restarted, and what it has done is counted."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import httpx

from tests.live import eventually

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Execution:
    """A piece of work that the engine was given. One without an end was in hand when the process died.

    Times are CLOCK_MONOTONIC's, which is the same in all processes.
    """

    kind: str
    sha256: str
    canary: bool
    pid: int
    start: float
    end: float | None
    status: int | None


class SupervisedEngine:
    """One fake engine: its address stays, its processes come and go.

    With `start_takes`, nobody listens for so long after each start, as while a model is loaded.
    """

    def __init__(
        self,
        kind: str,
        folder: Path,
        *,
        takes: float = 0.02,
        start_takes: float = 0.0,
        at_once: int = 1000,
        queue: int = 1000,
    ) -> None:
        self.kind = kind
        self.restarts = 0
        self.start_takes = start_takes
        self.port = port_of_its_own()
        self.url = f"http://127.0.0.1:{self.port}"
        self._options = ["--takes", str(takes), "--at-once", str(at_once), "--queue", str(queue)]
        self._log = folder / f"{kind}-{self.port}.jsonl"
        self._fault_file = folder / f"{kind}-{self.port}.fault"
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> SupervisedEngine:
        self.start()
        self.wait_until_ready()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None, "it was not started"
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Returns once its process runs, which is before it answers."""
        with self._lock:
            assert not self.runs, "it runs already"
            command = [sys.executable, "-m", "tests.fakes.engine", self.kind, "--port", str(self.port)]
            command += ["--log", str(self._log), "--fault-file", str(self._fault_file)]
            command += [*self._options, "--start-takes", str(self.start_takes)]
            self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)

    def restart(self, takes: float = 2.0) -> None:
        """Kill it, and start it again `takes` seconds later."""
        with self._lock:
            self.restarts += 1
            self.kill()
            time.sleep(takes)
            self.start()

    def kill(self) -> None:
        """End its process, as a crash would."""
        with self._lock:
            if self._process:
                self._process.kill()
                self._process.wait()
                assert self._process.stdin is not None
                self._process.stdin.close()

    stop = kill

    def wedge(self, fault: str = "w1", **details: object) -> None:
        """Set its fault switch: until it is restarted, unless `details` say more."""
        order = {"fault": fault, **details}
        answer = httpx.post(f"{self.url}/control/fault", json=order)
        assert answer.status_code == 200, answer.text

    def wait_until_ready(self) -> None:
        eventually(self.is_ready, within=30)

    def is_ready(self) -> bool:
        """What it says of itself, which is also good while it is wedged."""
        try:
            return httpx.get(f"{self.url}/v1/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def executions(self, *, canaries: bool = False) -> list[Execution]:
        """All that its processes were given to do, in order: the users' work, or the watcher's."""
        found: dict[str, dict[str, object]] = {}
        for line in self._log.read_text().splitlines() if self._log.exists() else ():
            entry = json.loads(line)
            found.setdefault(entry.pop("id"), {"end": None, "status": None}).update(entry)
        executions = [Execution(**entry) for entry in found.values()]  # type: ignore[arg-type]
        return [each for each in executions if each.canary is canaries]


def port_of_its_own() -> int:
    """A free port that no client's end of a connection can take while the engine is down."""
    while True:
        port = random.randrange(15_000, 32_000)  # below Linux's ephemeral ports
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
