"""Files that a command of root's makes in the state folder belong to whom that folder belongs to.

Otherwise the service could not read the key that `sudo spark-control key add` has just made.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def open_no_link(path: str | Path, flags: int) -> int:
    """Open what is there, and not what a link leads to; a pipe does not wait until somebody writes into it."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def create_for_owner(path: str | Path, flags: int = os.O_RDWR) -> int:
    """A descriptor of the file, which is made for its owner alone if there is none. Raises OSError."""
    with suppress(FileExistsError):
        return create_new_for_owner(path, flags)
    return open_no_link(path, flags)


def create_new_for_owner(path: str | Path, flags: int = os.O_RDWR) -> int:
    """The same for one that must not be there yet. What is there already may be anybody's, and keeps its owner."""
    made = os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _give(made, Path(path).parent)
    except BaseException:
        os.close(made)
        raise
    return made


def replace_for_owner(path: Path, content: bytes) -> None:
    """Have the file hold that, as a whole or not at all, and after a power cut too. Raises OSError."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    try:
        with open(fresh, "xb", opener=create_new_for_owner) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    _settle(path.parent)


def make_folder_for_owner(path: Path) -> None:
    """Have it be there, for its owner alone if it is new: whose the folder is that it is in. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
        made = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _give(made, path.parent)
        finally:
            os.close(made)


def _give(made: int, folder: Path) -> None:
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(made, owner.st_uid, owner.st_gid)


def _settle(folder: Path) -> None:
    """Have what was renamed in it be so after a power cut too: a key that was revoked must not come back."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
