"""The right to restart each engine, tried without restarting anything."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from spark_control.check.findings import Finding, joined, ok, warn, wrong
from spark_control.settings import RestartSettings, Settings
from spark_control.supervision.restarters import RestartFailed, build_restarter

_NO_RESTART = 'Add restart = { docker = "NAME" } or { systemd = "NAME.service" }; docs/restarts.md has each.'


async def check_restarts(
    settings: Settings, lost: Collection[str] = (), *, as_user: str | None = None
) -> list[Finding]:
    """What is found of each engine's, but for those whose `restart` was `lost`, with the rights of `as_user`."""
    asked = {name: each.restart for name, each in settings.upstreams.items() if name not in lost}
    tried = await asyncio.gather(
        *(_tried(name, restart, as_user) for name, restart in asked.items() if restart)
    )
    bare = [name for name, restart in asked.items() if restart is None]
    if not bare:
        return list(tried)
    said = "No `restart` is set: when it wedges, it stays so until a person comes."
    return [*tried, warn(joined(bare), said, _NO_RESTART)]


async def _tried(name: str, restart: RestartSettings, as_user: str | None) -> Finding:
    restarter = build_restarter(restart, as_user=as_user)
    what = f"{restarter.kind} {restarter.what}"
    try:
        proof = await restarter.rehearse()
    except RestartFailed as exc:
        return wrong(
            name,
            f"{what}: {exc}".rstrip(".") + ("" if str(exc).endswith("?") else "."),
            _cure(restart, str(exc)),
        )
    return ok(name, f"{what}: {proof}.")


def _cure(restart: RestartSettings, why: str) -> str:
    if restart.systemd:
        return _of_systemd(restart, why)
    if restart.docker:
        return _of_docker(restart, why)
    program = (restart.command or [""])[0]
    if "no program" in why:
        return f"Install {program}, or write its whole path: `command -v` tells it."
    if "may not be run" in why:
        return f"chmod +x {program}"
    return "docs/restarts.md has the recipe for ssh, with the key and the user."


def _of_systemd(restart: RestartSettings, why: str) -> str:
    systemctl = f"systemctl{' --user' if restart.user else ''}"
    if "has no unit" in why:
        return f"`{systemctl} list-units --type=service` has their names; user = true is for one of the user's own."
    if "does not let" in why:
        return "`sudo spark-control install-service` writes the polkit rule for its user; docs/restarts.md has it."
    if "cannot be reached" in why:
        return "Run the gateway where systemd is; from a container, the ssh recipe of docs/restarts.md leads there."
    return f"`{systemctl} status {restart.systemd}` tells more; docs/restarts.md has the recipe."


def _of_docker(restart: RestartSettings, why: str) -> str:
    if "has no container" in why:
        return "`docker ps -a --format '{{.Names}}'` has their names."
    if "may not use" in why:
        return "docs/restarts.md has a proxy that passes this one restart; the group docker would give root."
    if "not there" in why or "nobody answers" in why:
        return f"`systemctl start docker`, or correct host (now {restart.host})."
    return "docs/restarts.md has the recipe for Docker, and for a socket proxy."
