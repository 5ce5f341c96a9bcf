"""The state folder and the disks below: may the gateway write there, and is there room?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from spark_control.check.findings import Finding, note, ok, warn, wrong
from spark_control.port_holders import Holder
from spark_control.settings import Settings
from spark_control.store.folder import FILE, LOCK, set_aside_in

_MIB = 1024 * 1024
_TOO_LITTLE = 64 * _MIB
_SQLITE = b"SQLite format 3\0"
_FIRST_PAGE = 100


def check_state(settings: Settings, state: Path) -> Iterator[Finding]:
    """Looks, and writes nothing."""
    there = _nearest(state)
    if not there.is_dir():
        yield wrong(
            "state", f"{there} is no folder.", "Move that file away, or name another folder as `state`."
        )
        return
    if not os.access(there, os.W_OK | os.X_OK):
        yield _closed(there, state)
        return
    if state.is_dir():
        yield from _inside(state)
    else:
        yield ok("state", f"{state} will be made at the first start.")
    cache = settings.speech_cache
    yield _room("state disk", there, cache.max_bytes if cache.enabled else 0, "speech_cache.max_bytes")
    yield _room("upload disk", Path(tempfile.gettempdir()), settings.uploads.max_bytes, "uploads.max_bytes")


def _inside(state: Path) -> Iterator[Finding]:
    if others := state.stat().st_mode & 0o077:
        said = f"{state} is open to other users (mode {state.stat().st_mode & 0o777:o})."
        if others & 0o022:
            yield wrong("state", said, f"chmod 700 {state}")
            return
        yield warn("state", said, f"chmod 700 {state}")
    database = state / FILE
    for file in (database, state / LOCK):
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            yield wrong("state", f"This user may not write {file}.", f'sudo chown "$USER" {file}')
            return
    if _is_damaged(database):
        said = f"{database} is no database any more: at its next start the gateway sets it aside, and begins anew."
        yield warn("state", said, "Look at its disk: sudo dmesg --level=err,warn | tail")
    for each in set_aside_in(state):
        said = f"A database was damaged, and is kept as {each}: what was in it is forgotten."
        yield note("state", said, f"Look at its disk (sudo dmesg --level=err,warn | tail); then: rm {each}*")
    holder = owner_of(state)
    yield ok("state", f"{state} is writable{f', and in use by the gateway ({holder})' if holder else ''}.")


def _closed(there: Path, state: Path) -> Finding:
    """Why this user may not write there."""
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        said = (
            f"{there} is on a disk that is mounted read-only: nothing is remembered, and no engine restarted."
        )
        return wrong("state", said, f"sudo mount -o remount,rw $(findmnt -n -o TARGET -T {there})")
    owner = there.stat().st_uid
    if owner not in (0, os.geteuid()):
        said = f"{there} belongs to {_name(owner)}; only that user and root see what is in it."
        return note("state", said, "sudo spark-control check")
    cure = f'sudo install -d -m 700 -o "$USER" {state}   (or name another folder as `state`)'
    return wrong("state", f"This user may not write into {there}.", cure)


def _name(user: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def _is_damaged(database: Path) -> bool:
    with suppress(OSError), database.open("rb") as file:
        head = file.read(_FIRST_PAGE)
        return bool(head) and not head.startswith(_SQLITE)
    return False


def owner_of(state: Path, proc: Path = Path("/proc")) -> Holder | None:
    """The gateway that has the folder; it is asked of the kernel, since to try the lock could be in a gateway's way."""
    with suppress(OSError, ValueError):
        inode = str((state / LOCK).stat().st_ino)
        for line in (proc / "locks").read_text(encoding="ascii").splitlines():
            parts = line.split()
            if "FLOCK" in parts and parts[-3].rpartition(":")[2] == inode:
                pid = int(parts[-4])
                name = (proc / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return Holder(pid, "".join(filter(str.isprintable, name)) or "a program")
    return None


def _room(subject: str, folder: Path, wanted: int, setting: str) -> Finding:
    try:
        found = os.statvfs(folder)
    except OSError as exc:
        return wrong(
            subject, f"{folder}: {exc.strerror}.", "Mount it, or set TMPDIR to a folder that is there."
        )
    free = found.f_bavail * found.f_frsize
    if free < _TOO_LITTLE:
        said = f"Only {size(free)} are free at {folder}."
        return wrong(subject, said, f"Make room: `du -xh {folder} | sort -h | tail` shows what takes it.")
    if free < wanted:
        said = f"{size(free)} are free at {folder}, less than the {size(wanted)} of {setting}."
        return warn(subject, said, f"Make room, or set {setting} = {free // 2}")
    return ok(subject, f"{size(free)} are free at {folder}.")


def size(bytes_: float) -> str:
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if bytes_ >= length:
            return f"{bytes_ / length:.3g} {unit}"
    return f"{bytes_ / 1e3:.0f} kB"


def _nearest(folder: Path) -> Path:
    """It, or the nearest folder above it that there is."""
    with suppress(OSError):
        if folder.exists():
            return folder
    return _nearest(folder.parent) if folder != folder.parent else folder
