"""Where what must outlive the gateway is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from spark_control.settings import Settings


def state_folder(settings: Settings, environ: Mapping[str, str]) -> Path:
    """The folder of a gateway with these settings, if it is started where these variables are set."""
    if settings.state:
        return settings.state
    if given := environ.get("STATE_DIRECTORY"):  # by systemd
        return Path(given.partition(":")[0])
    home = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "spark-control"
