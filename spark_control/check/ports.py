"""Whether the gateway can listen where the settings say, and who does if it cannot."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from spark_control.check.findings import Finding, ok, wrong
from spark_control.upstreams.answers import Answers
from spark_control.upstreams.inquiry import Inquirer, Shut
from spark_control.upstreams.servers import is_gateway

_LAST = 65535
_LISTENS = "0A"
"""In /proc/net/tcp."""

_SOCKET = re.compile(r"socket:\[(\d+)\]")
_SUBJECT = "port"


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that has a port."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name}, process {self.pid}"


async def check_port(host: str, port: int) -> list[Finding]:
    """It is bound for a moment, and never listened on."""
    place = f"{host} port {port}"
    if port == 0:
        return [ok(_SUBJECT, f"{host}, on any free one: clients have to be told which, at each start.")]
    try:
        await asyncio.to_thread(_bind, host, port)
    except socket.gaierror:
        return [wrong(_SUBJECT, f"No host {host} is known here.", "Set host to an address of this machine.")]
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            return [await _taken(host, port)]
        return [_refused(exc, host, place)]
    return [ok(_SUBJECT, f"{place} is free.")]


def _bind(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trying:
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trying.bind((host, port))


def _refused(exc: OSError, host: str, place: str) -> Finding:
    if exc.errno == errno.EADDRNOTAVAIL:
        cure = "`ip addr` lists those it has; 127.0.0.1 is this machine alone, 0.0.0.0 every network."
        return wrong(_SUBJECT, f"{host} is no address of this machine.", cure)
    if exc.errno == errno.EACCES:
        cure = "Set a port above 1023, such as 8090, and leave the low one to a proxy."
        return wrong(_SUBJECT, f"This user may not listen on {place}.", cure)
    return wrong(_SUBJECT, f"{place}: {exc.strerror}.", "Set host and port to where it can listen.")


async def _taken(host: str, port: int) -> Finding:
    holder, ours = await asyncio.gather(asyncio.to_thread(holder_of, port), _is_gateway(host, port))
    if ours:
        who = f" ({holder})" if holder else ""
        return ok(_SUBJECT, f"{host} port {port}: a Spark Control is running there{who}.")
    another = f"set another port: port = {port + 1 if port < _LAST else port - 1}"
    if holder is None:
        cure = f"`sudo ss -ltnp sport = :{port}` shows which; end it, or {another}"
        return wrong(_SUBJECT, f"{host} port {port} is taken by a program of another user.", cure)
    return wrong(_SUBJECT, f"{host} port {port} is taken by {holder}.", f"kill {holder.pid}, or {another}")


async def _is_gateway(host: str, port: int) -> bool:
    """Whether a gateway such as this one answers there."""
    address = {"0.0.0.0": "127.0.0.1", "localhost": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (a comparison)
    async with Inquirer() as inquirer:
        replies = await inquirer.ask(address, port, f"[{address}]" if ":" in address else address)
    return not isinstance(replies, Shut) and is_gateway(Answers(replies))


def holder_of(port: int, proc: Path = Path("/proc")) -> Holder | None:
    """Who listens on that port; None if nobody does, or this user may not know."""
    inodes = set(_listening(port, proc))
    for process in proc.glob("[0-9]*") if inodes else ():
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    found = _SOCKET.fullmatch(str(descriptor.readlink()))
                    if found and found[1] in inodes:
                        return Holder(int(process.name), _name_of(process))
    return None


def _listening(port: int, proc: Path) -> Iterator[str]:
    """The inodes of its sockets."""
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / table).read_text(encoding="ascii").splitlines()[1:]:
                _, local, _, state, *rest = line.split()
                if state == _LISTENS and int(local.rpartition(":")[2], 16) == port:
                    yield rest[5]


def _name_of(process: Path) -> str:
    with suppress(OSError):
        name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
        return "".join(each if each.isprintable() else " " for each in name) or "a program"
    return "a program"
