"""A disk of its own for a test: a file system in memory, as small as one likes, that ends with the test."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import need_root

_NEW_MOUNTS = 0x00020000
"""CLONE_NEWNS, of unshare(2)."""


@dataclass
class TinyDisk:
    """Half a megabyte. Only the thread that has mounted it sees it, and the processes that this starts."""

    path: Path

    def mount(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_NEW_MOUNTS):
            raise OSError(ctypes.get_errno(), "unshare")
        self._run("mount", "--make-rprivate", "/")
        self._run("mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs", str(self.path))

    def fill(self) -> None:
        """Leave no room at all."""
        with (self.path / "fill").open("ab", buffering=0) as file:
            for size in (4096, 1):
                with suppress(OSError):
                    while file.write(b"x" * size):
                        pass

    def make_room(self) -> None:
        (self.path / "fill").unlink()

    def remount(self, how: str) -> None:
        """`ro` or `rw`."""
        self._run("mount", "-o", f"remount,{how}", str(self.path))

    def _run(self, *command: str) -> None:
        subprocess.run(command, check=True, timeout=20)


@pytest.fixture
def disk(tmp_path: Path) -> TinyDisk:
    """One for tests that are `on_a_disk_of_its_own`."""
    need_root("mount a disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    return TinyDisk(folder)


def on_a_disk_of_its_own(test: Callable[..., None]) -> Callable[..., None]:
    """Have its `disk` mounted for the test, which runs in a thread of its own."""

    @wraps(test)
    def run(disk: TinyDisk, **fixtures: Any) -> None:
        def inside() -> None:
            disk.mount()
            test(disk=disk, **fixtures)

        with ThreadPoolExecutor(1) as thread:
            thread.submit(inside).result()

    return run
