"""What systemd hands to a service, and what it wants to hear: listening sockets, readiness, a watchdog.

Both are a few environment variables, which are taken out of it, so that no child of the gateway takes them for its
own. Where nothing of the kind is set, nothing is inherited and nothing is told.
"""

from __future__ import annotations

import asyncio
import fcntl
import math
import os
import socket
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import suppress
from typing import Self

import structlog

log = structlog.get_logger()

_FIRST_SOCKET = 3
_MICROSECONDS = 1_000_000
_PETS_IN_TIME = 4
"""One may be late, and the next as well."""

_TELL_EVERY = 1.0
_PATIENCE = 5.0
"""Seconds, for the one word without which the service would never be thought to have started."""

_TCP = (socket.AF_INET, socket.AF_INET6)


class UnusableSocket(Exception):
    """What was inherited is nothing to listen on; the text is a sentence."""


class ServiceManager:
    """Whoever started the gateway, if it listens for news of it (sd_notify(3))."""

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        """`watchdog` is after how many seconds without a sign of life it ends the gateway."""
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address
        self.watched = bool(watchdog and address)
        """Whether it ends a gateway that gives no sign of life."""
        self._every = min(_TELL_EVERY, (watchdog or math.inf) / _PETS_IN_TIME)

    @classmethod
    def taken_from(cls, environ: MutableMapping[str, str], pid: int) -> Self:
        """As the environment has it. A watchdog that is meant for another process is none."""
        address = environ.pop("NOTIFY_SOCKET", None)
        meant_for = environ.pop("WATCHDOG_PID", str(pid))
        microseconds = environ.pop("WATCHDOG_USEC", "")
        watched = microseconds.isdigit() and meant_for == str(pid)
        return cls(address, int(microseconds) / _MICROSECONDS if watched else None)

    def is_ready(self) -> None:
        """Requests are answered from now on."""
        self._tell("READY=1", within=_PATIENCE)

    def is_stopping(self) -> None:
        """What is under way is finished, and then the process ends."""
        self._tell("STOPPING=1")

    async def keep_posted(self, lives: Callable[[], bool], sentence: Callable[[], str]) -> None:
        """Give signs of life for as long as it `lives`, and tell how it does, until cancelled.

        Whoever is stuck cannot call this, so the event loop is part of what is watched.
        """
        said, lived = "", True
        while self._address:
            if lives():
                self._tell("WATCHDOG=1")
            elif lived:
                log.error("no more signs of life", reason="what looks after the engines has stopped")
            lived = lives()
            if said != (said := sentence()):
                self._tell(f"STATUS={' '.join(said.split())}")
            await asyncio.sleep(self._every)

    def _tell(self, what: str, *, within: float = 0.0) -> None:
        if self._address is None:
            return
        # It may be restarted itself, and its queue may be full: neither is a reason to fail.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as letter:
            letter.settimeout(within)
            letter.sendto(what.encode(), self._address)


def inherited_sockets(environ: MutableMapping[str, str], pid: int) -> Sequence[socket.socket]:
    """The listening TCP sockets that it has opened for this process (sd_listen_fds(3)). Raises UnusableSocket."""
    meant_for, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    for name in ("LISTEN_FDNAMES", "LISTEN_PIDFDID"):
        environ.pop(name, None)
    if meant_for != str(pid) or not count.isdigit():
        return []
    return [_listening(descriptor) for descriptor in range(_FIRST_SOCKET, _FIRST_SOCKET + int(count))]


def _listening(descriptor: int) -> socket.socket:
    cure = "In spark-control.socket write ListenStream=8090, or an address and a port, and no Accept=yes"
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        inherited = socket.socket(fileno=descriptor)
    except OSError as exc:
        reason = (
            f"descriptor {descriptor}, which LISTEN_FDS tells of, is no socket: {os.strerror(exc.errno or 0)}"
        )
        raise UnusableSocket(f"{reason}. {cure}.") from None
    is_stream = inherited.family in _TCP and inherited.type == socket.SOCK_STREAM
    if not is_stream or not inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        inherited.detach()
        raise UnusableSocket(f"descriptor {descriptor} is no listening TCP socket. {cure}.")
    return inherited
