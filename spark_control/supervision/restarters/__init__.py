"""The ways to restart an engine. Each says why when it could not."""

from __future__ import annotations

from spark_control.settings import RestartSettings
from spark_control.supervision.restarters.base import Restarter, RestartFailed
from spark_control.supervision.restarters.command import CommandRestarter
from spark_control.supervision.restarters.docker import DockerRestarter
from spark_control.supervision.restarters.systemd import SystemdRestarter

__all__ = ["RestartFailed", "Restarter", "build_restarter"]


def build_restarter(
    settings: RestartSettings, *, as_user: str | None = None
) -> SystemdRestarter | DockerRestarter | CommandRestarter:
    """The one that the settings name. `as_user`, which takes root, is for a rehearsal with that user's rights."""
    if settings.systemd:
        return SystemdRestarter(settings.systemd, settings.timeout, user=settings.user, as_user=as_user)
    if settings.docker:
        return DockerRestarter(settings.docker, settings.host, settings.timeout, as_user=as_user)
    return CommandRestarter(settings.command or [], settings.timeout)
