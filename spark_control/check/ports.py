"""Whether the gateway can listen where the settings say, and who does if it cannot."""

from __future__ import annotations

import asyncio
import errno
import socket

from spark_control.check.findings import Finding, ok, wrong
from spark_control.port_holders import GATEWAY, holder_of
from spark_control.upstreams.answers import Answers
from spark_control.upstreams.inquiry import Inquirer, Shut
from spark_control.upstreams.servers import is_gateway

_LAST = 65535
_SUBJECT = "port"

_OURS = ("systemd", *GATEWAY)
"""Who has the port of a service that does not come up."""


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
    if holder.name in _OURS:
        said = f"{host} port {port} is taken by {holder}, and no gateway answers there."
        cure = "If it is the service of Spark Control, `journalctl -u spark-control -n 30` tells why; else end it"
        return wrong(_SUBJECT, said, f"{cure}, or {another}")
    return wrong(_SUBJECT, f"{host} port {port} is taken by {holder}.", f"{holder.cure}, or {another}")


async def _is_gateway(host: str, port: int) -> bool:
    """Whether a gateway such as this one answers there."""
    address = {"0.0.0.0": "127.0.0.1", "localhost": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (a comparison)
    async with Inquirer() as inquirer:
        replies = await inquirer.ask(address, port, f"[{address}]" if ":" in address else address)
    return not isinstance(replies, Shut) and is_gateway(Answers(replies))
