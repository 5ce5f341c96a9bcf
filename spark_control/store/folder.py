"""The state folder, as far as the database needs it: whose it is, its files, and how a damaged one is set aside."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import suppress
from itertools import chain, count
from pathlib import Path

from spark_control.ownership import create_for_owner
from spark_control.store.errors import Damaged, StoreError, Unwritable

FILE = "spark-control.db"
LOCK = "spark-control.lock"
SET_ASIDE = f"{FILE}.damaged-"
"""How the names of damaged databases begin."""

_BESIDE = ("-wal", "-shm", "-journal")

_MAY_PASS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)


def own(folder: Path) -> int:
    """The lock of `folder`, held until it is closed or the process ends, however it ends.

    The folder is made if there is none. Raises StoreError.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = create_for_owner(folder / LOCK)
    except OSError as exc:
        raise unusable(folder, exc) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock, 20, 0).decode("ascii", "replace")
        os.close(lock)
        raise StoreError(
            f"Another gateway (process {owner}) uses {folder}, and two would not know of each other's restarts. "
            "Stop that one, or give this one a folder of its own: `state` in the settings."
        ) from None
    except OSError as exc:
        os.close(lock)
        raise unusable(folder, exc) from None
    with suppress(OSError):  # a full disk: who has it is only told to a second gateway
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def make_private(path: Path) -> None:
    """Have the database be a file that its owner alone may read; SQLite gives those beside it the same permissions.

    Raises Damaged where something else is in its place; StoreError.
    """
    try:
        _close(path, create_for_owner(path))
        for beside in _beside(path):
            if os.path.lexists(beside):
                _close(beside, os.open(beside, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as exc:
        if exc.errno in (errno.EISDIR, errno.ELOOP, errno.ENXIO):
            raise Damaged(f"{exc.filename} is no file") from None
        raise unusable(path.parent, exc) from None


def _close(path: Path, file: int) -> None:
    """Close it to others, and then altogether."""
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise Damaged(f"{path} is no file")
        os.fchmod(file, 0o600)
    finally:
        os.close(file)


def set_aside(path: Path, wall: float) -> Path:
    """Move a damaged database, and what is beside it, out of the way. Its new place. Raises StoreError."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(wall))
    names = chain([moment], (f"{moment}.{number}" for number in count(2)))
    places = (path.with_name(f"{SET_ASIDE}{name}") for name in names)
    place = next(each for each in places if not any(map(os.path.lexists, (each, *_beside(each)))))
    try:
        # The database itself last: whoever is killed in between finds one that is damaged still.
        for here, there in [*zip(_beside(path), _beside(place), strict=True), (path, place)]:
            if os.path.lexists(here):
                here.rename(there)
    except OSError as exc:
        raise unusable(path.parent, exc) from None
    return place


def set_aside_in(folder: Path) -> list[Path]:
    """The damaged databases there, the oldest first."""
    found = folder.glob(f"{SET_ASIDE}*")
    return sorted(each for each in found if not each.name.endswith(_BESIDE))


def _beside(path: Path) -> tuple[Path, ...]:
    return tuple(path.with_name(path.name + suffix) for suffix in _BESIDE)


def unusable(folder: Path, exc: OSError) -> StoreError:
    """A sentence for what the system said of the folder, or of a file in it."""
    why = exc.strerror or str(exc)
    if exc.errno in _MAY_PASS:
        return Unwritable(
            f"What must outlive the gateway cannot be kept in {folder}: {why}. "
            "Make room there, or name a folder on another disk as `state` in the settings."
        )
    return StoreError(
        f"What must outlive the gateway cannot be kept in {folder}: {why}. "
        "Let this user write there, or name another folder as `state` in the settings."
    )
