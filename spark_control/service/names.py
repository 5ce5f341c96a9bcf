"""Pure: where everything of the service is."""

from __future__ import annotations

from pathlib import Path

from spark_control.settings_file import INSTALLED, SERVICE_USER

USER = SERVICE_USER
"""Its user, and that user's group."""

SERVICE = "spark-control.service"
SOCKET = "spark-control.socket"

SETTINGS = INSTALLED
STATE = Path("/var/lib/spark-control")
UNITS = Path("/etc/systemd/system")
RULE = Path("/etc/polkit-1/rules.d/50-spark-control.rules")

LAUNCHER = Path("/usr/local/bin/spark-control")
"""Where sudo looks, and pipx puts nothing."""
