"""The embedded recogniser as a program that anything can start, and what it needs where it is started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
BEGAN = b"engine listening"
"""What it says once in its life."""


def engine(port: int) -> list[str]:
    """The command line of the one with a fault switch."""
    return [sys.executable, "-m", "spark_control", "engine", "parakeet", "--port", str(port), "--faults"]


def needed() -> list[str]:
    """The folders without which it does not run: Python wherever it is, the packages, the sources."""
    folders = ["/usr", "/lib", "/lib64", "/etc", sys.base_prefix, sys.prefix, str(ROOT)]
    known = sorted({folder for folder in folders if Path(folder).exists()})
    return [each for each in known if not any(_holds(other, each) for other in known)]


def _holds(folder: str, other: str) -> bool:
    return folder != other and os.path.commonpath([folder, other]) == folder
