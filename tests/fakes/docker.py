"""A fake dockerd: a real server, on a unix socket or a port, for what of the Engine API a restart needs."""

from __future__ import annotations

import asyncio
import itertools
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tests.live import eventually

API = "1.44"


@dataclass
class FakeContainer:
    """One container, as `docker inspect` shows it."""

    name: str
    started: int = 0
    """How often it has been started, which its StartedAt tells in nanoseconds."""

    def inspected(self) -> dict[str, object]:
        began = f"2026-01-01T00:00:00.{self.started:09d}Z"
        return {"Name": f"/{self.name}", "State": {"Status": "running", "Running": True, "StartedAt": began}}


@dataclass
class FakeDocker:
    """Restarts containers that are nothing but a name; `on_restart` may restart something real for each."""

    on_restart: Callable[[str], None] = lambda _: None
    containers: dict[str, FakeContainer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Every request: `POST /v1.44/containers/parakeet/restart?t=10`."""

    refusals: list[tuple[int, str]] = field(default_factory=list)
    """Statuses and messages with which the next restarts fail, one each."""

    hangs: bool = False
    """Whether a restart never ends, as when a process hangs in a driver."""

    lies: bool = False
    """Whether a restart is said to be done, and is not."""

    tells_version: bool = True
    """A socket proxy may keep it to itself."""

    forbids: tuple[str, ...] = ()
    """Methods that a socket proxy does not let through."""

    def __post_init__(self) -> None:
        paths = itertools.product(("", "/v{version}"), self._routes())
        self.app = Starlette(routes=[Route(f"{v}{path}", end, methods=[m]) for v, (m, path, end) in paths])

    def _routes(self) -> list[tuple[str, str, Callable[[Request], object]]]:
        return [
            ("GET", "/version", self._version),
            ("GET", "/containers/{name}/json", self._inspect),
            ("POST", "/containers/{name}/restart", self._restart),
        ]

    def container(self, name: str) -> FakeContainer:
        """Make one, which has been started once."""
        self.containers[name] = FakeContainer(name, started=1)
        return self.containers[name]

    async def _version(self, request: Request) -> Response:
        refused = self._note(request)
        if refused or not self.tells_version:
            return refused or _forbidden()
        return JSONResponse({"Version": "28.0.0", "ApiVersion": API, "MinAPIVersion": "1.24"})

    async def _inspect(self, request: Request) -> Response:
        refused = self._note(request)
        found = self.containers.get(request.path_params["name"])
        return refused or (JSONResponse(found.inspected()) if found else _unknown(request))

    async def _restart(self, request: Request) -> Response:
        refused = self._note(request)
        found = self.containers.get(request.path_params["name"])
        if refused or not found:
            return refused or _unknown(request)
        if self.refusals:
            return _error(*self.refusals.pop(0))
        while self.hangs and not await request.is_disconnected():
            await asyncio.sleep(0.01)
        if not self.lies:
            await asyncio.to_thread(self.on_restart, found.name)
            found.started += 1
        return Response(status_code=204)

    def _note(self, request: Request) -> Response | None:
        query = f"?{request.url.query}" if request.url.query else ""
        self.asked.append(f"{request.method} {request.url.path}{query}")
        version = request.path_params.get("version", API)
        if version != API:
            return _error(400, f"client version {version} is too new. Maximum supported API version is {API}")
        return _forbidden() if request.method in self.forbids else None


def _unknown(request: Request) -> Response:
    return _error(404, f"No such container: {request.path_params['name']}")


def _error(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status)


def _forbidden() -> Response:
    """As HAProxy does, which most socket proxies are."""
    return PlainTextResponse("<html><body><h1>403 Forbidden</h1></body></html>", 403)


@contextmanager
def docker_socket(fake: FakeDocker) -> Iterator[str]:
    """Serve it on a unix socket; the value is the `host` of the settings."""
    with tempfile.TemporaryDirectory(prefix="docker-") as folder:  # short, because a socket's path has to be
        path = Path(folder) / "docker.sock"
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
            with _served(fake, listening):
                yield f"unix://{path}"


@contextmanager
def docker_port(fake: FakeDocker) -> Iterator[str]:
    """Serve it as a socket proxy does; the value is the `host` of the settings."""
    with socket.create_server(("127.0.0.1", 0)) as listening, _served(fake, listening):
        yield f"tcp://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def _served(fake: FakeDocker, listening: socket.socket) -> Iterator[None]:
    config = uvicorn.Config(fake.app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    eventually(lambda: server.started)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)
