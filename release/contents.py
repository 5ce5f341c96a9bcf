"""What is in a wheel and in a source distribution, and what should be."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

_OF_HATCHLING = {"PKG-INFO", ".gitignore"}
"""What it puts into every source distribution."""


def wheel_faults(wheel: Path, sources: Collection[str]) -> Iterator[str]:
    """What is in the wheel besides the package and its description, and what of the package is not."""
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    yield from _differences(wheel, inside, {name for name in sources if name.startswith("spark_control/")})


def sdist_faults(sdist: Path, sources: Collection[str]) -> Iterator[str]:
    """Likewise of the source distribution, which has all that it takes to test and to build it anew."""
    with tarfile.open(sdist) as archive:
        inside = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    yield from _differences(sdist, inside - _OF_HATCHLING, set(sources) - _OF_HATCHLING)


def _differences(built: Path, inside: set[str], wanted: set[str]) -> Iterator[str]:
    for name in sorted(wanted - inside):
        yield f"{built.name} lacks {name}"
    for name in sorted(inside - wanted):
        yield f"{built.name} has {name}, which is not in the repository"
