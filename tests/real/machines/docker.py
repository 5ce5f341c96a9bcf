"""A real dockerd with a socket, a containerd and a store of its own: no bridge, no packet filter.

It has namespaces of its own for processes and mounts, so that containers and mounts end with it. It shares the
network: what it runs shares the loopback, too.
"""

from __future__ import annotations

import io
import shlex
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import need, need_root
from tests.fakes.supervised import port_of_its_own
from tests.live import eventually
from tests.real.machines.cgroups import group_of_its_own
from tests.real.machines.engine import BEGAN, ROOT, engine, needed

BARE = "bare:1"
"""An image of empty folders."""

_NAMESPACES = ["--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]

# A containerd that runs already would be used, and keep what it is given: its socket is below /run.
_IN_MEMORY = "mount -t tmpfs tmpfs {0} && "
_LAID_OVER = (
    "mkdir {0}/a {0}/b {0}/c && mount -t overlay -o lowerdir={0}/a,upperdir={0}/b,workdir={0}/c overlay {0}/a"
)

_START = "mount --make-rprivate / && mount -t tmpfs -o mode=755 tmpfs /run && exec "


class Docker:
    """Its API."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "docker.sock"
        transport = httpx.HTTPTransport(uds=str(self.socket))
        self._client = httpx.Client(transport=transport, base_url="http://docker", timeout=60)

    def is_up(self) -> bool:
        with socket.socket(socket.AF_UNIX) as knocking:  # httpx leaves one open whenever nobody answers
            return knocking.connect_ex(str(self.socket)) == 0

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = self._client.request(method, path, **options)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer

    def run(self, name: str, command: Sequence[str], folders: Sequence[str], **options: object) -> None:
        """Start a container that sees these folders of the host's, and its network."""
        host = {"NetworkMode": "host", "Binds": shown(folders)}
        self.start(name, {"Image": BARE, "Cmd": list(command), "HostConfig": host, **options})

    def start(self, name: str, settings: Mapping[str, object]) -> None:
        """Make a container with these settings, in the API's words, and start it."""
        self.ask("POST", "/containers/create", params={"name": name}, json=settings)
        self.ask("POST", f"/containers/{name}/start")

    def ran(self, name: str, *command: str) -> str:
        """What a command printed that was run in a container."""
        asked = {"Cmd": command, "AttachStdout": True, "AttachStderr": True, "Tty": True}
        made = self.ask("POST", f"/containers/{name}/exec", json=asked).json()["Id"]
        return self.ask("POST", f"/exec/{made}/start", json={"Tty": True}).text

    def state(self, name: str) -> dict[str, Any]:
        state: dict[str, Any] = self.ask("GET", f"/containers/{name}/json").json()["State"]
        return state

    def log(self, name: str) -> bytes:
        return self.ask("GET", f"/containers/{name}/logs", params={"stdout": True, "stderr": True}).content

    def remove_all(self) -> None:
        for each in self.ask("GET", "/containers/json", params={"all": True}).json():
            self.ask("DELETE", f"/containers/{each['Id']}", params={"force": True})

    def close(self) -> None:
        self._client.close()


def shown(folders: Sequence[str]) -> list[str]:
    """Folders of the host's, to be seen where they are."""
    return [f"{folder}:{folder}:ro" for folder in folders]


@contextmanager
def dockerd(*, layers: bool = False) -> Iterator[Docker]:
    """One that has an image. With `layers` it keeps what it builds in memory, since every layer waits for the disk."""
    need_root("start a machine of its own")
    need("dockerd", "docker.io")
    with (
        tempfile.TemporaryDirectory(prefix="docker-") as name,  # short, because a socket's path has to be
        group_of_its_own() as group,
        _running(Path(name), group, layers=layers),
    ):
        docker = Docker(Path(name))
        try:
            eventually(docker.is_up, within=30)
            docker.ask("POST", "/images/create", params={"fromSrc": "-", "repo": BARE}, content=_empty())
            yield docker
            docker.remove_all()
        finally:
            docker.close()


@contextmanager
def _running(folder: Path, group: str, *, layers: bool) -> Iterator[None]:
    data = folder / "data"
    data.mkdir()
    options = {
        "host": f"unix://{folder}/docker.sock",
        "data-root": str(data),
        "exec-root": f"{folder}/exec",
        "pidfile": f"{folder}/pid",
        "storage-driver": "overlay2"
        if layers and _lays_over(data)
        else "vfs",  # which works on whatever is below
        "exec-opt": "native.cgroupdriver=cgroupfs",
        "cgroup-parent": f"/{group}",
        "bridge": "none",
        "iptables": "false",
        "ip6tables": "false",
        "ip-masq": "false",
    }
    command = shlex.join(["dockerd", *(f"--{name}={value}" for name, value in options.items())])
    start = (_IN_MEMORY.format(data) if layers else "") + _START + command
    parts = ["setpriv", "--pdeathsig", "KILL", "unshare", *_NAMESPACES, "sh", "-c", start]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(parts, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    except AssertionError:
        print((folder / "log").read_text())  # noqa: T201 (pytest shows it)
        raise
    finally:
        process.kill()
        process.wait()


def _lays_over(folder: Path) -> bool:
    """Whether one folder in memory can be laid over another."""
    tried = (_IN_MEMORY + _LAID_OVER).format(folder)
    return subprocess.run(["unshare", "--mount", "sh", "-c", tried], check=False).returncode == 0


def _empty() -> bytes:
    """An archive with nothing but /tmp."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        tmp = tarfile.TarInfo("tmp")
        tmp.type, tmp.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(tmp)
    return file.getvalue()


class Container:
    """An engine in a container."""

    def __init__(self, docker: Docker, name: str = "parakeet") -> None:
        port = port_of_its_own()
        self.url = f"http://127.0.0.1:{port}"
        self.restart: dict[str, object] = {"docker": name, "host": f"unix://{docker.socket}"}
        self._docker = docker
        self._name = name
        docker.run(name, engine(port), needed(), WorkingDir=str(ROOT))

    def began(self) -> str:
        return str(self._docker.state(self._name)["StartedAt"])

    def starts(self) -> int:
        return self._docker.log(self._name).count(BEGAN)
