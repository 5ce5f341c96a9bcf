"""Looks at the usual ports of a few hosts, and finds out what answers there."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import HttpUrl, ValidationError

from spark_control.upstreams.fingerprints import Identity, Reply, bystander, identify
from spark_control.upstreams.inquiry import Inquirer, Shut

USUAL_PORTS = (
    1234, 5092, 8000, 8001, 8080, 8090, 8091, 8103, 8104, 8105, 8355, 8880,
    9000, 9010, 9011, 9931, 11434, 12000, 30000, 31001, 31002,
)  # fmt: skip
"""Where the documentation of each server, and NVIDIA's playbooks for a Spark, have it listen."""

MOST_HOSTS = 64
_PORTS_AT_ONCE = 64
_LOOK_UP_SECONDS = 4.0
_MOST_ADDRESSES = 3
_A_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?\.?")
_HERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 (a comparison)


class NotAHost(ValueError):
    """What was typed names no host; the text says why."""


@dataclass(frozen=True, slots=True)
class Host:
    """A host as it stands in a URL, and the port that was named with it."""

    name: str
    port: int | None = None

    @property
    def bare(self) -> str:
        """Without the brackets around an IPv6 address."""
        return self.name.strip("[]")


@dataclass(frozen=True, slots=True)
class Found:
    """A server that answers: what it does for a gateway, and what it is if that is nothing."""

    host: Host
    port: int
    identities: list[Identity]
    remark: str = ""

    @property
    def place(self) -> str:
        return f"{self.host.name}:{self.port}"


@dataclass(slots=True)
class Survey:
    """What was found, and a sentence for each host or port that was asked for and is not there."""

    found: list[Found] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def engines(self) -> list[Found]:
        return [each for each in self.found if each.identities]


def parse_hosts(texts: Sequence[str]) -> list[Host]:
    """All that were typed; this machine if none was. Raises NotAHost."""
    if len(texts) > MOST_HOSTS:
        raise NotAHost(f"{len(texts)} hosts are too many at once; {MOST_HOSTS} are the most")
    return [parse_host(text) for text in texts or ("127.0.0.1",)]


def parse_host(text: str) -> Host:
    """The host in `spark-1`, `spark-1:5092`, `::1`, `[::1]:9000` or a pasted URL. Raises NotAHost."""
    text = text.strip()
    scheme, separator, _ = text.partition("://")
    if separator and scheme.lower() != "http":
        raise NotAHost(f"{text!r}: engines are spoken to over http, not {scheme}")
    if not separator and text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    try:
        parts = urlsplit(text if separator else f"http://{text}")
        name, port = parts.hostname or "", parts.port
    except ValueError:
        raise NotAHost(f"{text!r} is not a host, such as spark-1 or 192.168.1.20:8000") from None
    if parts.username is not None or (not separator and (parts.path or parts.query or parts.fragment)):
        raise NotAHost(f"{text!r}: give the host alone, such as spark-1 or 192.168.1.20:8000")
    if port == 0:
        raise NotAHost(f"{text!r}: there is no port 0")
    return Host(_checked(name, text), port)


def _checked(name: str, text: str) -> str:
    """The host as the settings will have it: they take whatever pydantic does."""
    is_address = ":" in name
    with suppress(ValidationError):
        name = str(HttpUrl(f"http://[{name}]" if is_address else f"http://{name}").host)
        name = _HERE.get(name, name)
        if is_address or ("[" not in text and _A_NAME.fullmatch(name)):
            return name
    raise NotAHost(f"{text!r} is not a host, such as spark-1 or 192.168.1.20:8000")


async def survey(hosts: Sequence[Host], extra_ports: Sequence[int] = ()) -> Survey:
    """Look at every host at once. A server that several of the names lead to is found once."""
    turns = asyncio.Semaphore(_PORTS_AT_ONCE)
    seen: set[tuple[str, int]] = set()
    result = Survey()
    async with Inquirer() as inquirer:
        looks = [_Look(host, extra_ports, inquirer, turns) for host in dict.fromkeys(hosts)]
        await asyncio.gather(*(look.look() for look in looks))
    for look in looks:
        result.missing += look.missing()
        for address, found in look.found:
            if (address, found.port) not in seen:
                seen.add((address, found.port))
                result.found.append(found)
    return result


class _Look:
    """At one host."""

    def __init__(
        self, host: Host, extra_ports: Sequence[int], inquirer: Inquirer, turns: asyncio.Semaphore
    ) -> None:
        self._host = host
        self._named = sorted({*([host.port] if host.port else []), *extra_ports})
        self._ports = self._named if host.port else sorted({*USUAL_PORTS, *extra_ports})
        self._inquirer = inquirer
        self._turns = turns
        self._addresses: tuple[str, ...] = ()
        self._shut: dict[int, Shut] = {}
        self.found: list[tuple[str, Found]] = []
        """Each with the address where it is."""

    async def look(self) -> None:
        self._addresses = await _addresses(self._host.bare)
        if self._addresses:
            await asyncio.gather(*(self._look_at(port) for port in self._ports))
            self.found.sort(key=lambda each: each[1].port)

    async def _look_at(self, port: int) -> None:
        async with self._turns:
            for address in self._addresses:
                replies = await self._inquirer.ask(address, port, self._host.name)
                if replies is Shut.REFUSED or replies is Shut.DROPPED:
                    self._shut[port] = replies
                    continue
                self._shut.pop(port, None)
                self.found.append((address, self._described(port, replies)))
                return

    def _described(self, port: int, replies: Mapping[str, Reply] | Shut) -> Found:
        if isinstance(replies, Shut):
            return Found(self._host, port, [], replies.value)
        identities = identify(replies)
        remark = "" if identities else bystander(replies) or _unknown(replies.values())
        return Found(self._host, port, identities, remark)

    def missing(self) -> list[str]:
        """What is to be said of what is not there."""
        name = self._host.name
        if not self._addresses:
            return [f"{name}: no host of that name is known"]
        if self._host.port or len(self._shut) < len(self._ports):
            return [f"{name}:{port}: {why.value}" for port, why in self._shut.items() if port in self._named]
        if all(why is Shut.DROPPED for why in self._shut.values()):
            return [f"{name} does not answer: is it switched on, and does its firewall let this machine in?"]
        return [f"{name}: nothing listens at any of the {len(self._ports)} ports"]


def _unknown(replies: Iterable[Reply]) -> str:
    statuses = {reply.status for reply in replies}
    everywhere = (
        f"{statuses.pop()} on everything" if len(statuses) == 1 else "its answers fit no known engine"
    )
    return f"something that answers HTTP but is not known: {everywhere}"


async def _addresses(name: str) -> tuple[str, ...]:
    """The IP addresses of a host; none if it is not known, or the name server does not say in time."""
    with suppress(ValueError):
        return (str(ip_address(name)),)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[str, ...]] = loop.create_future()

    def tell(found: tuple[str, ...]) -> None:
        if not answer.done():
            answer.set_result(found)

    def look_up() -> None:
        found: tuple[str, ...] = ()
        with suppress(OSError, UnicodeError):
            infos = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            found = tuple(dict.fromkeys(str(info[4][0]) for info in infos))[:_MOST_ADDRESSES]
        with suppress(RuntimeError):  # nobody waits any more
            loop.call_soon_threadsafe(tell, found)

    # A thread of its own: the loop's would keep the program from ending while a name server is silent.
    threading.Thread(target=look_up, daemon=True).start()
    try:
        async with asyncio.timeout(_LOOK_UP_SECONDS):
            return await answer
    except TimeoutError:
        return ()
