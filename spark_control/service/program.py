"""The program that runs, as a service can start it too."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import join

import spark_control
from spark_control.service.names import LAUNCHER
from spark_control.service.steps import File
from spark_control.service.units import Program

_SUDO_S_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MARK = "# Written by `spark-control install-service`."
_HEAD = 256
"""Bytes of a file in which the mark is looked for."""


def this_program() -> Program:
    script = Path(sys.prefix, "bin", "spark-control")
    # -P: not what lies in the folder where root happens to be.
    command = (str(script),) if script.exists() else (sys.executable, "-P", "-m", "spark_control")
    return Program(command, tuple(sorted(set(_folders()))))


def _folders() -> Iterator[Path]:
    """Where its code lies: the environment, the Python it was made from, and what is imported from elsewhere."""
    inside: Sequence[str | Path] = (sys.prefix, sys.base_prefix, Path(sys.executable).resolve().parent.parent)
    imported = (each for each in sys.path if "site-packages" in each or "dist-packages" in each)
    for each in (*inside, *imported, Path(spark_control.__file__).parent.parent):
        if Path(each).is_dir():
            yield Path(each)
            yield Path(each).resolve()


def launcher(program: Program) -> File | None:
    """What lets sudo find it by its name; None where sudo finds another one of that name."""
    found = shutil.which("spark-control", path=_SUDO_S_PATH)
    if found and not is_launcher(Path(found)):
        return None
    return File(LAUNCHER, f'#!/bin/sh\n{_MARK}\nexec {join(program.command)} "$@"\n', 0o755)


def is_launcher(path: Path) -> bool:
    """Whether it is one of ours."""
    try:
        with path.open("rb") as file:
            return f"\n{_MARK}\n".encode() in file.read(_HEAD)
    except OSError:
        return False


def with_sudo(program: Program) -> str:
    """How a person starts it with sudo, which does not look where pipx puts programs."""
    found = shutil.which("spark-control", path=_SUDO_S_PATH)
    if found and (
        is_launcher(Path(found)) or os.path.realpath(found) == os.path.realpath(program.command[0])
    ):
        return "sudo spark-control"
    return f"sudo {join(program.command)}"
