"""Writes the files of the service into the folder `deploy`, as `install-service` would; `make docs` runs it."""

from __future__ import annotations

from pathlib import Path

from spark_control.service.names import RULE, SERVICE, SOCKET
from spark_control.service.rights import polkit_rule
from spark_control.service.units import Program, service_unit, socket_unit
from spark_control.settings import Settings

UNITS_TO_RESTART = ("magpie.service", "parakeet.service")
"""Whoever has others writes theirs."""


def service_files(settings: Settings) -> dict[str, str]:
    """The text of each, by its path in `deploy`."""
    return {
        f"systemd/{SERVICE}": service_unit(settings, Program()),
        f"systemd/{SOCKET}": socket_unit(settings),
        f"polkit/{RULE.name}": polkit_rule(UNITS_TO_RESTART) or "",
    }


if __name__ == "__main__":
    for name, text in service_files(Settings()).items():
        Path("deploy", name).write_text(text)
