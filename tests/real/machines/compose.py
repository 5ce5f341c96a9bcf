"""A service of a compose file as a container of the API's: what the file says of its rights, and of its life.

Compose itself is not there. What it would do about networks is done by the one that all share, so that its names of
hosts and its published ports are not tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

_OF_COMPOSE = {"build", "container_name", "depends_on", "extra_hosts", "networks", "ports", "profiles"}
"""What is not about the container itself."""


def services(file: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text())["services"]
    return found


def container(service: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
    """The settings for the API. `places` are the sources of its volumes, by their names in the file."""
    left = {name: value for name, value in service.items() if name not in _OF_COMPOSE}
    host = {
        "NetworkMode": "host",
        "RestartPolicy": {"Name": left.pop("restart")},
        "ReadonlyRootfs": left.pop("read_only"),
        "Tmpfs": dict.fromkeys(left.pop("tmpfs"), ""),
        "CapDrop": left.pop("cap_drop"),
        "CapAdd": left.pop("cap_add", []),
        "SecurityOpt": left.pop("security_opt"),
        "LogConfig": {"Type": left.pop("logging")["driver"]},
        "Binds": [_bind(each, places) for each in left.pop("volumes", [])],
    }
    settings: dict[str, Any] = {"Image": left.pop("image"), "HostConfig": host}
    if "healthcheck" in left:
        settings["Healthcheck"] = {"Test": left.pop("healthcheck")["test"]}
    if "stop_grace_period" in left:
        settings["StopTimeout"] = int(left.pop("stop_grace_period").removesuffix("s"))
    for name, theirs in (("command", "Cmd"), ("entrypoint", "Entrypoint")):
        if name in left:
            settings[theirs] = left.pop(name)
    assert not left, f"this does not know what Compose does with {', '.join(left)}"
    return settings


def _bind(volume: str, places: Mapping[str, str]) -> str:
    source, _, rest = volume.partition(":")
    return f"{places[source]}:{rest}"
