"""Spark Control as a service of a booted machine: built, installed in an environment of its own, exchanged, removed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import httpx

from tests.fakes.supervised import port_of_its_own
from tests.live import eventually
from tests.real.machines.engine import ROOT
from tests.real.machines.systemd import Machine

_SOURCES = ("pyproject.toml", "README.md", "LICENSE")
_DROP_IN = Path("/etc/systemd/system/spark-control.service.d/test.conf")


class Service:
    """The gateway, as its owner has it."""

    def __init__(self, machine: Machine, settings: str) -> None:
        """`settings`: what stands in the file beside the port."""
        self.machine = machine
        self.before: set[str] = set()
        """What there was on it before it was installed."""
        self._home = machine.folder / "environment"
        self.programs = self._home / "bin"
        """Where its own program lies, as in a folder of pipx."""
        self._settings = settings
        self.move()
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self._home], check=True)
        packages = self._home / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
        # Its dependencies are those of the tests; it itself is not.
        (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        shutil.copy(Path(__file__).with_name("saboteur.py"), packages)

    def move(self) -> None:
        """Choose another port, for the next installation."""
        self._port = port_of_its_own()
        self.url = f"http://127.0.0.1:{self._port}"

    def get(self, version: str) -> None:
        """As pipx does it: the program that lies there becomes that of another version."""
        wheels = self.machine.folder / "wheels"
        if not (found := [*wheels.glob(f"*-{version}-*")]):
            _build(version, self.machine.folder / f"sources-{version}", wheels)
            found = [*wheels.glob(f"*-{version}-*")]
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        there = ["--python", str(self.programs / "python")]
        options = ["--no-deps", "--no-index", "--force-reinstall"]
        subprocess.run([*pip, *there, "install", *options, *map(str, found)], check=True)

    def install(self) -> str:
        return self.runs("install-service", "--config", str(self.given(self.machine.folder / "given.toml")))

    def given(self, file: Path) -> Path:
        """The settings to install, in that file."""
        file.write_text(f"port = {self._port}\n{self._settings}")
        return file

    def runs(self, *arguments: str) -> str:
        """What a command of it says, as root, when it goes well."""
        return self.machine.run(str(self.programs / "spark-control"), *arguments)

    def write(self, settings: str) -> None:
        """Put other settings into the installed file."""
        file = Path("/etc/spark-control/spark-control.toml")
        text = f'state = "/var/lib/spark-control"\nport = {self._port}\n{settings}'
        self.machine.run("sh", "-c", 'printf %s "$1" > "$2"', "sh", text, str(file))

    def restore(self) -> None:
        """Have it run with the settings that it was installed with, unhurt."""
        self.write(self._settings)
        self.machine.run("rm", "-rf", str(_DROP_IN.parent))
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "restart", "spark-control")

    def can_be_hurt(self) -> None:
        """Restart it with the levers of saboteur.py, and with a watchdog of little patience."""
        lines = [
            "[Service]",
            "WatchdogSec=2",
            "RestartSec=100ms",
            "ExecStart=",
            f"ExecStart={self.programs}/python -m saboteur serve --config /etc/spark-control/spark-control.toml",
        ]
        write = ["sh", "-c", f'mkdir {_DROP_IN.parent} && printf "%s\n" "$@" > {_DROP_IN}', "sh", *lines]
        self.machine.run(*write)
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "restart", "spark-control")

    def pull(self, lever: str) -> None:
        self.machine.run("touch", f"/var/lib/spark-control/{lever}")

    def restarts(self) -> int:
        return int(self.machine.shown("spark-control", "NRestarts"))

    def log(self, priority: str = "debug") -> str:
        """What it has said, and systemd of it, that is at least as important."""
        options = ("--no-pager", "--quiet", "--output=cat", "--unit=spark-control", f"--priority={priority}")
        return self.machine.run("journalctl", *options)

    def asked(self, path: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.url}{path}", timeout=30)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def wait_until_healthy(self) -> None:
        eventually(
            lambda: all(each["state"] == "healthy" for each in self.asked("/api/status")["upstreams"]),
            within=20,
        )


def _build(version: str, sources: Path, wheels: Path) -> None:
    shutil.copytree(ROOT / "spark_control", sources / "spark_control")
    for name in _SOURCES:
        shutil.copy(ROOT / name, sources)
    about = sources / "spark_control" / "__init__.py"
    about.write_text(re.sub("__version__ = .*", f'__version__ = "{version}"', about.read_text()))
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(build, cwd=sources, check=True, capture_output=True)
