"""What runs an engine of this machine: the container or the unit that listens at its port, if this user may know.

`ss` tells each listening socket's control group, to everybody; its path names the unit, or the container by its
id. Docker tells which container has which id, and which publishes which port.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from pydantic import ValidationError

from spark_control.settings import RestartSettings

_DOCKER = "unix:///var/run/docker.sock"
_PORT = 2375
_SECONDS = 5.0
_MOST_BYTES = 8_000_000
_SOCKETS = ("ss", "-Hltn", "--cgroup")
_CONTAINER = re.compile(r"(?:^|[/-])([0-9a-f]{64})(?:\.scope)?(?:/|$)")
_SOMEBODY_S = re.compile(r"user@(\d+)\.service$")

_DOCKERS_OWN = ("docker.service", "snap.docker.dockerd.service")
_IN_FRONT = ("apache2", "caddy", "containerd", "haproxy", "nginx", "spark-control", "ssh", "sshd", "traefik")
"""Units that listen for others: to restart one cures no engine."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """How an engine is restarted, by what runs it; None if that cannot be told, and `words` say why."""

    words: str
    restart: RestartSettings | None = None


@dataclass(frozen=True, slots=True)
class Containers:
    """The names of those that run, by id and by the ports that they publish; `host` is where Docker was asked."""

    host: str = _DOCKER
    by_id: Mapping[str, str] = field(default_factory=dict)
    by_port: Mapping[int, str] = field(default_factory=dict)
    told: bool = True
    """Whether Docker has answered."""


UNKNOWN = Keeper("")


def keepers(ports: Iterable[int], environ: Mapping[str, str]) -> dict[int, Keeper]:
    """What runs whatever listens at these ports of this machine."""
    host = environ.get("DOCKER_HOST") or _DOCKER
    groups, containers = control_groups(_sockets()), containers_at(host)
    return {port: keeper(port, groups.get(port, ()), containers, os.getuid()) for port in ports}


def is_here(host: str) -> bool:
    """Whether a host that has answered is this machine: only its own addresses can be listened on."""
    with suppress(OSError, UnicodeError):
        for family, kind, protocol, _, address in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM):
            with suppress(OSError), socket.socket(family, kind, protocol) as trying:
                trying.bind(address)
                return True
    return False


def keeper(port: int, groups: Collection[str], containers: Containers, user: int) -> Keeper:
    """What runs the engine at that port, by the control groups of those that listen there."""
    if port in containers.by_port:
        return _container(containers.by_port[port], containers)
    if len(set(groups)) != 1:
        return UNKNOWN
    [group] = set(groups)
    if found := _CONTAINER.search(group):
        name = containers.by_id.get(found[1])
        return _container(name, containers) if name else _no_name(containers)
    return _no_name(containers) if group.endswith(_DOCKERS_OWN) else _unit(group, user)


def control_groups(sockets: str) -> dict[int, tuple[str, ...]]:
    """The control groups that listen at each port, as `ss` shows them."""
    groups: defaultdict[int, tuple[str, ...]] = defaultdict(tuple)
    for line in sockets.splitlines():
        if found := re.search(r"^\S+ +\d+ +\d+ +\S+:(\d+) +.* cgroup:(/\S*)", line):
            groups[int(found[1])] += (found[2],)
    return groups


def containers_at(host: str) -> Containers:
    """What Docker has to tell, of the containers that run."""
    try:
        listed = json.loads(_asked_of_docker(host))
        by_id = {each["Id"]: each["Names"][0].lstrip("/") for each in listed}
        by_port = {
            published["PublicPort"]: by_id[each["Id"]]
            for each in listed
            for published in each["Ports"]
            if "PublicPort" in published and published["Type"] == "tcp"
        }
    except (OSError, HTTPException, ValueError, LookupError, TypeError, AttributeError):
        return Containers(host, told=False)
    return Containers(host, by_id, by_port)


def _asked_of_docker(host: str) -> bytes:
    """Its list of containers. httpx would leave the socket open where nobody listens."""
    scheme, _, path = host.partition("://")
    if scheme not in ("unix", "tcp", "http"):
        raise ValueError("a way to Docker on which no restart goes")
    family = socket.AF_UNIX if scheme == "unix" else socket.AF_INET
    parts = urlsplit(host)
    address = path if scheme == "unix" else (parts.hostname or "", parts.port or _PORT)
    with socket.socket(family) as connected, closing(HTTPConnection("docker")) as connection:
        connected.settimeout(_SECONDS)
        connected.connect(address)
        connection.sock = connected
        connection.request("GET", "/containers/json", headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.read(_MOST_BYTES) if answer.status == HTTPStatus.OK else b""


def _sockets() -> str:
    """A line for each listening socket; nothing where `ss` is not there, or too old to know control groups."""
    with suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(_SOCKETS, capture_output=True, timeout=_SECONDS, check=True)  # noqa: S603 (a constant)
        return told.stdout.decode(errors="replace")
    return ""


def _container(name: str, containers: Containers) -> Keeper:
    host = {} if containers.host == _DOCKER else {"host": containers.host}
    return _keeper(f"the container {name}", docker=name, **host)


def _no_name(containers: Containers) -> Keeper:
    if containers.told:
        return UNKNOWN
    return Keeper("a container; this user may not ask Docker which")


def _unit(group: str, user: int) -> Keeper:
    """The innermost unit on the path, unless that is one which runs other programs."""
    *outer, unit = [part for part in group.split("/") if part.endswith(".service")] or [""]
    if not unit or unit.removesuffix(".service") in _IN_FRONT or _SOMEBODY_S.match(unit):
        return UNKNOWN
    owner = next((found[1] for part in outer if (found := _SOMEBODY_S.match(part))), None)
    if owner is None:
        return _keeper(f"the unit {unit}", systemd=unit)
    if int(owner) != user:
        return Keeper(f"the unit {unit} of another user")
    return _keeper(f"this user's unit {unit}", systemd=unit, user=True)


def _keeper(words: str, **restart: object) -> Keeper:
    try:
        return Keeper(words, RestartSettings.model_validate(restart))
    except ValidationError:
        return UNKNOWN
