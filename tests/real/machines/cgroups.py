"""Control groups for what is started here, and their end."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.live import eventually

_ROOT = Path("/sys/fs/cgroup")


def unified() -> Path:
    """Where cgroup2 is mounted, which is elsewhere beside the old ones."""
    beside = _ROOT / "unified"
    return beside if beside.is_dir() else _ROOT


@contextmanager
def group_of_its_own() -> Iterator[str]:
    """The name of a group below the root. In the end it is removed wherever somebody made it."""
    name = f"spark-control-test-{uuid.uuid4().hex[:8]}"
    try:
        yield name
    finally:
        found = [path for path in (_ROOT / name, *_ROOT.glob(f"*/{name}")) if path.is_dir()]
        with suppress(AssertionError):  # what is left of it does no harm
            eventually(lambda: all(_removed(path) for path in found), within=5)


def _removed(group: Path) -> bool:
    """Whether it and the groups in it are gone. The last process of one may still be dying."""
    for folder, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):
            Path(folder).rmdir()
    return not group.exists()
