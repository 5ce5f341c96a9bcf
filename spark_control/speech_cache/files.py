"""The folder of finished speech: a file each, and room for so many bytes of them.

A file gets its name when it is whole. When it was last used is its time of
modification, so that what was not asked for longest is known after a restart.
One thread at a time writes; any number may read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO

import structlog

from spark_control.ownership import create_new_for_owner, make_folder_for_owner
from spark_control.speech_cache.record import START_BYTES, Damaged, Facts, read_facts, read_start, written

log = structlog.get_logger()

_KEY = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = ".part"
_PIECE = 64 * 1024
_LARGEST = 32 * 1024 * 1024
_SHARE = 8
"""One piece of speech takes an eighth of the room at most."""

# Neither follow a link nor wait for whoever may write to a pipe.
_READING = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Kept:
    """Finished speech, opened and found to be whole. Whoever holds it closes it."""

    def __init__(self, facts: Facts, size: int, head: bytes, rest: IO[bytes]) -> None:
        self.facts = facts
        self.size = size
        self.head = head
        """The first of its bytes, or all of them."""
        self.left = size - len(head)
        """Bytes that come after the head."""
        self._rest = rest
        if not self.left:
            rest.close()

    @classmethod
    def in_memory(cls, facts: Facts, sound: bytes) -> Kept:
        rest = BytesIO(sound)
        return cls(facts, len(sound), rest.read(_PIECE), rest)

    def more(self) -> bytes:
        """What comes next after the head, for a thread that may wait for the disk; nothing at the end.

        Raises OSError, or Damaged if something has cut it off meanwhile.
        """
        piece = self._rest.read(min(_PIECE, self.left)) if self.left else b""
        if self.left and not piece:
            raise Damaged("it was cut off while it was read")
        self.left -= len(piece)
        if not self.left:
            self.close()
        return piece

    def close(self) -> None:
        self._rest.close()


class SpeechFiles:
    """Speech by its address, at most `max_bytes` of it: what was not asked for longest goes first."""

    def __init__(self, folder: Path, max_bytes: int, clock: Callable[[], int] = time.time_ns) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.most = min(_LARGEST, max_bytes // _SHARE)
        """Bytes that one file may have."""
        self.bytes = 0
        self._clock = clock
        self._stamp = 0
        self._turn = threading.Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._scanned = False

    def __len__(self) -> int:
        return len(self._sizes)

    def may_have(self, key: str) -> bool:
        """Whether it is worth looking, without a look at the disk."""
        return key in self._sizes or not self._scanned

    def scan(self) -> None:
        """Find what an earlier run has left, and sweep up what that did not finish. Raises OSError."""
        self._make_folder()
        _close_to_others(self.folder)
        found = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                looked = entry.stat(follow_symlinks=False)
                if _KEY.fullmatch(entry.name) and stat.S_ISREG(looked.st_mode):
                    found.append((looked.st_mtime_ns, entry.name, looked.st_size))
                elif _is_ours(entry.name) and not stat.S_ISDIR(looked.st_mode):
                    self._unlink(entry.name)
        with self._turn:
            for stamp, key, size in sorted(found):
                self._stamp = max(self._stamp, stamp)
                self._sizes[key] = size
            self.bytes = sum(self._sizes.values())
            self._scanned = True
            self._make_room(0)

    def read(self, key: str) -> Kept | None:
        """It, as the last to be used; None if it is not there or not whole, and then it is there no more.

        Raises OSError if nobody can tell.
        """
        try:
            file = _open(self.folder / key)
        except FileNotFoundError:
            self._forget(key)
            return None
        except Damaged as exc:
            self._damaged(key, exc)
            return None
        try:
            checked = _checked(file, key)
            self._used(key, file)
            return Kept(*checked, file)
        except Damaged as exc:
            file.close()
            self._damaged(key, exc)
            return None
        except BaseException:
            file.close()
            raise

    def write(self, facts: Facts, sound: bytes | bytearray) -> bool:
        """Keep it, if it is not too large for that. Raises OSError; what was there before then is there still."""
        head = written(facts, sound)
        size = len(head) + len(sound)
        if size > self.most:
            return False
        if not self._scanned:
            self.scan()
        self._make_folder()
        with self._turn:
            self._make_room(size, besides=facts.key)
            stamp = self._now()
        unfinished = self.folder / f"{facts.key}{_UNFINISHED}"
        unfinished.unlink(missing_ok=True)
        try:
            with os.fdopen(create_new_for_owner(unfinished, os.O_WRONLY), "wb") as file:
                file.writelines((head, sound))
                file.flush()
                os.utime(file.fileno(), ns=stamp)
            with self._turn:
                unfinished.replace(self.folder / facts.key)
                self.bytes += size - self._sizes.pop(facts.key, 0)
                self._sizes[facts.key] = size
        except BaseException:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        return True

    def purge(self, unwanted: Callable[[Facts], bool]) -> tuple[int, int]:
        """Remove what is `unwanted`: how many, and how many bytes. Raises OSError."""
        if not self._scanned:
            self.scan()
        count, before = 0, self.bytes
        for key in list(self._sizes):
            facts = self._facts(key)
            if facts is None or unwanted(facts):
                self._forget(key)
                count += 1
        return count, before - self.bytes

    def _facts(self, key: str) -> Facts | None:
        """What a file says of itself; None if it cannot be read. Its sound is not looked at."""
        try:
            with _open(self.folder / key) as file:
                start = read_start(file.read(START_BYTES), os.fstat(file.fileno()).st_size)
                return read_facts(file.read(start.facts_bytes), key)
        except (OSError, Damaged):
            return None

    def _damaged(self, key: str, why: Damaged) -> None:
        log.warning("remembered speech is damaged", reason=str(why))
        self._forget(key)

    def _used(self, key: str, file: IO[bytes]) -> None:
        with self._turn:
            stamp = self._now()
            if key in self._sizes:
                self._sizes.move_to_end(key)
        with suppress(OSError):  # a disk that takes nothing more: it counts as used until the next start
            os.utime(file.fileno(), ns=stamp)

    def _make_room(self, size: int, besides: str = "") -> None:
        """Remove the least lately used, but not `besides`, which is about to be replaced."""
        size -= self._sizes.get(besides, 0)
        while self.bytes + size > self.max_bytes:
            key = next((each for each in self._sizes if each != besides), None)
            if key is None:
                return
            self._unlink(key)
            self.bytes -= self._sizes.pop(key)

    def _forget(self, key: str) -> None:
        with self._turn:
            self._unlink(key)
            self.bytes -= self._sizes.pop(key, 0)

    def _unlink(self, name: str) -> None:
        with suppress(OSError):
            (self.folder / name).unlink(missing_ok=True)

    def _make_folder(self) -> None:
        make_folder_for_owner(self.folder)

    def _now(self) -> tuple[int, int]:
        """A stamp later than any before, whatever the clock says."""
        self._stamp = max(self._stamp + 1, self._clock())
        return self._stamp, self._stamp


def _close_to_others(folder: Path) -> None:
    """Raises OSError, also for a link: what that leads to may be anybody's."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(opened, 0o700)
    finally:
        os.close(opened)


def _is_ours(name: str) -> bool:
    return bool(_KEY.fullmatch(name.removesuffix(_UNFINISHED)))


def _open(path: Path) -> IO[bytes]:
    """The file at `path`. Raises Damaged for what is no file; OSError."""
    try:
        descriptor = os.open(path, _READING)
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise Damaged("it is a link") from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Damaged("it is no file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _checked(file: IO[bytes], key: str) -> tuple[Facts, int, bytes]:
    """The facts, the size and the first of the sound in `file`, which then stands behind that.

    All of it has been read by then. Raises Damaged if it is not right.
    """
    start = read_start(file.read(START_BYTES), os.fstat(file.fileno()).st_size)
    told = file.read(start.facts_bytes)
    found = hashlib.sha256(start.lengths + told)
    head = piece = file.read(_PIECE)
    while piece:
        found.update(piece)
        piece = file.read(_PIECE)
    if found.digest() != start.digest:
        raise Damaged("its checksum is wrong")
    file.seek(start.sound_from + len(head))
    return read_facts(told, key), start.sound_bytes, head
