"""`spark-control check`: is everything there that the settings name, and what is to be done about what is not?

It asks, and never starts, restarts or writes anything. The parts do not wait for each other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from pathlib import Path

from spark_control.check.access import (
    check_access,
    check_alerts,
    check_extras,
    service_user,
    who_asks,
)
from spark_control.check.clock import check_clock, kernel_says
from spark_control.check.configuration import Configuration, read_configuration
from spark_control.check.disk import check_state
from spark_control.check.engines import check_engines
from spark_control.check.findings import Finding, Level, Report, Section, note, wrong
from spark_control.check.gpu import check_machines
from spark_control.check.ports import check_port
from spark_control.check.restarts import check_restarts
from spark_control.check.service import check_service
from spark_control.settings import Settings
from spark_control.settings_file import INSTALLED, SERVICE_USER
from spark_control.state_folder import state_folder

__all__ = ["Finding", "Level", "Report", "examine"]

_PATIENCE = 75.0
"""Seconds for a part; each of its questions has less."""


def examine(config: Path | None, environ: Mapping[str, str]) -> Report:
    """All that can be found out from here. Takes as long as the slowest engine."""
    found = read_configuration(config, environ)
    return Report(found.source, asyncio.run(_sections(found, environ)))


async def _sections(found: Configuration, environ: Mapping[str, str]) -> Sequence[Section]:
    settings = found.settings
    parts: dict[str, Awaitable[Iterable[Finding]]] = {
        "This machine": _machine(settings or Settings.model_construct())
    }
    if settings:
        state, user = state_folder(settings, environ), service_user(found.source)
        parts = {
            "Port and access": _front(settings, state),
            "Engines": _engines(settings, found.lost("upstreams", "")),
            f"Restarts, tried dry as {user or who_asks()}": _restarts(settings, found, user),
            "Service": check_service(found.source, settings.host, settings.port),
            "State and disks": asyncio.to_thread(lambda: list(check_state(settings, state))),
            **parts,
        }
    findings = await asyncio.gather(*(_in_time(title, part) for title, part in parts.items()))
    looked_at = [Section(title, found) for title, found in zip(parts, findings, strict=True)]
    return [Section("Settings", found.findings), *looked_at]


async def _in_time(title: str, part: Awaitable[Iterable[Finding]]) -> list[Finding]:
    try:
        async with asyncio.timeout(_PATIENCE):
            return list(await part)
    except TimeoutError:
        said = f"This could not be found out in {_PATIENCE:g} s."
        return [wrong(title, said, "Check again; if it stays so, something on this machine hangs.")]


async def _front(settings: Settings, state: Path) -> list[Finding]:
    port = await check_port(settings.host, settings.port)
    access = await asyncio.to_thread(lambda: [*check_access(settings, state), *check_alerts(settings)])
    return [*port, *access]


async def _engines(settings: Settings, lost: Sequence[str]) -> list[Finding]:
    unasked = [
        note(name, "It was not asked: its settings have to be mended first.")
        for name in lost
        if name not in settings.upstreams
    ]
    return [*check_extras(settings, lost), *unasked, *await check_engines(settings)]


async def _restarts(settings: Settings, found: Configuration, user: str | None) -> list[Finding]:
    if found.source == str(INSTALLED) and who_asks() not in ("root", SERVICE_USER):
        return [
            note(
                "rights", "It is the service that restarts engines, with its own.", "sudo spark-control check"
            )
        ]
    return await check_restarts(settings, found.lost("upstreams", "restart"), as_user=user)


async def _machine(settings: Settings) -> list[Finding]:
    clock = await asyncio.to_thread(check_clock, time.time(), kernel_says)
    return [*await check_machines(settings), clock]
