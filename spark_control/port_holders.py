"""Who listens on a port of this machine, as far as Linux tells this user."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LISTENS = "0A"
"""In /proc/net/tcp."""

_SOCKET = re.compile(r"socket:\[(\d+)\]")

GATEWAY = ("spark-control", "(-control)")
"""A gateway's process, the second while systemd is about to start it."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that has a port."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name}, process {self.pid}"

    @property
    def cure(self) -> str:
        """How the port is had back."""
        if self.name == "systemd":  # it holds the sockets of its services
            return "stop the socket unit that `systemctl list-sockets` shows there"
        if self.name in GATEWAY:  # systemd would start it again at once
            return f"if it is the service: `sudo systemctl stop spark-control.socket`; else: kill {self.pid}"
        return f"kill {self.pid}"


def holder_of(port: int, proc: Path = Path("/proc")) -> Holder | None:
    """Who listens on that port; None if nobody does, or this user may not know."""
    inodes = set(_listening(port, proc))
    # A service has the sockets that systemd opened for it, as systemd has: it is the one to name.
    for process in sorted(proc.glob("[0-9]*"), key=lambda each: each.name == "1") if inodes else ():
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
