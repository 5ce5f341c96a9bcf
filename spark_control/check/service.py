"""The service: whether systemd has it, runs it and listens for it, and whether these are its settings."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from spark_control.check.findings import Finding, note, ok, warn, wrong
from spark_control.settings_file import INSTALLED

SERVICE, SOCKET = "spark-control.service", "spark-control.socket"

_BOOTED = Path("/run/systemd/system")
"""Is there if systemd is process 1."""

_ASKED = (
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "Result",
    "NRestarts",
    "NeedDaemonReload",
    "Listen",
)
_PATIENCE = 10.0
_JOURNAL = "journalctl -u spark-control -n 30"


async def check_service(source: str, host: str, port: int) -> list[Finding]:
    """`source` is where the settings came from that are checked, and what to listen on. Nothing without systemd."""
    systemctl = _systemctl()
    if systemctl is None:
        return []
    with suppress(OSError, TimeoutError):
        asking = await asyncio.create_subprocess_exec(
            systemctl,
            "show",
            f"--property={','.join(_ASKED)}",
            SERVICE,
            SOCKET,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(_PATIENCE):
                told, _ = await asking.communicate()
        finally:
            if asking.returncode is None:
                asking.kill()
        return list(judged(told.decode("utf-8", "replace"), source, host, port))
    return [note("service", "systemd did not answer, so nothing is known of the service.")]


def _systemctl() -> str | None:
    return shutil.which("systemctl") if _BOOTED.is_dir() else None


def judged(told: str, source: str, host: str, port: int) -> Iterator[Finding]:
    """What follows from the answer of `systemctl show` for the service and its socket."""
    blocks = [[_pair(line) for line in block.splitlines()] for block in told.strip().split("\n\n")]
    service, socket = [*map(dict, blocks), {}, {}][:2]
    if service.get("LoadState") != "loaded":
        said = "It is not installed: the gateway does not come back after a boot by itself."
        yield note("service", said, 'sudo "$(which spark-control)" install-service')
        return
    yield from _of_settings(source)
    yield from _of_socket(socket)
    if source == str(INSTALLED):
        yield from _of_address(
            [value for block in blocks for name, value in block if name == "Listen"], host, port
        )
    yield _of_service(service, socket)
    yield from _doubts({SERVICE: service, SOCKET: socket})


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name, value


def _of_settings(source: str) -> Iterator[Finding]:
    if source != str(INSTALLED):
        said = f"It has its settings from {INSTALLED}, and not those that are checked here."
        yield note("service", said, f"sudo spark-control check --config {INSTALLED}")


def _of_socket(socket: Mapping[str, str]) -> Iterator[Finding]:
    if socket.get("LoadState") == "loaded" and socket.get("ActiveState") != "active":
        said = "It does not listen, so nobody reaches the gateway."
        yield wrong(SOCKET, said, f"sudo systemctl enable --now {SOCKET}")


def _of_address(listens: Sequence[str], host: str, port: int) -> Iterator[Finding]:
    """`listens` has lines such as `0.0.0.0:8090 (Stream)`."""
    places = [line.partition(" ")[0] for line in listens]
    if places and _place("127.0.0.1" if host == "localhost" else host, port) not in places:
        said = f"It listens on {' and '.join(places)}, and the settings say {host} port {port}."
        yield warn(SOCKET, said, "sudo spark-control install-service")


def _place(host: str, port: int) -> str:
    """As systemd writes it."""
    with suppress(ValueError):
        host = ip_address(host).compressed
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _of_service(service: Mapping[str, str], socket: Mapping[str, str]) -> Finding:
    state = service.get("ActiveState")
    if state in ("active", "reloading"):
        return ok(SERVICE, "It runs.")
    if state == "inactive" and socket.get("ActiveState") == "active":
        return note(
            SERVICE, "It is stopped, and starts with the next request.", f"sudo systemctl start {SERVICE}"
        )
    if state == "inactive":
        return wrong(SERVICE, "It is stopped.", f"sudo systemctl start {SERVICE}")
    why = f"{state}, {service.get('SubState')}, {service.get('Result')}"
    return wrong(SERVICE, f"It does not run ({why}).", f"`{_JOURNAL}` tells why.")


def _doubts(units: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    for name, unit in units.items():
        if unit.get("UnitFileState") == "disabled":
            yield warn(name, "It does not come back after a boot.", f"sudo systemctl enable {name}")
        if unit.get("NeedDaemonReload") == "yes":
            yield warn(
                name, "Its file has changed, and systemd has not read it yet.", "sudo systemctl daemon-reload"
            )
        again = unit.get("NRestarts", "0")
        if again.isdigit() and int(again):
            said = f"It ended unasked {_times(int(again))}, and was started again."
            yield warn(
                name,
                said,
                "`journalctl -u spark-control` tells why, in the lines before it was started again.",
            )


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
