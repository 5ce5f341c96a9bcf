"""The image, built by its own Dockerfile: this machine's Python stands in for the base image, the packages that are
installed here for the index.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from tests.conftest import need
from tests.real.machines import base_image
from tests.real.machines.docker import Docker
from tests.real.machines.engine import ROOT
from tests.real.machines.packages import index, needed_by

_BASE = "base:1"


def build(docker: Docker, folder: Path, name: str, extras: str) -> None:
    """Have the image made, with files below `folder`."""
    packages = (
        needed_by("spark-control", set(extras.split(","))) | needed_by("hatchling", set()) | {"hatchling"}
    )
    base = base_image.written(folder / "base.tar", _extensions(packages))
    with base.open("rb") as content:
        docker.ask("POST", "/images/create", params={"fromSrc": "-", "repo": _BASE}, content=content)
    with index(packages, folder / "simple") as address:
        given = {"BASE": _BASE, "PIP_INDEX_URL": address, "EXTRAS": extras}
        arguments = [part for each in given.items() for part in ("--build-arg", "=".join(each))]
        command = [need("docker", "docker.io"), "build", "--network", "host", *arguments]
        command += ["-f", "deploy/docker/Dockerfile", "-t", name, "."]
        environment = {
            "PATH": os.environ["PATH"],
            "DOCKER_HOST": f"unix://{docker.socket}",
            "DOCKER_BUILDKIT": "0",  # the builder that every dockerd has itself
            "DOCKER_CONFIG": str(folder),
        }
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr


def _extensions(packages: set[str]) -> Iterator[Path]:
    for package in packages:
        for each in distribution(package).files or ():
            if each.suffix == ".so":
                yield Path(str(each.locate()))
