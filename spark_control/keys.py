"""The keys that people and devices have: a file beside the database, which holds no key, only what each hashes to.

`spark-control key` writes it; the running gateway sees that it has changed, and reads it anew.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import structlog
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from spark_control.ownership import create_for_owner, open_no_link, replace_for_owner
from spark_control.rates import rate_of

log = structlog.get_logger()

FILE = "keys.json"
_LOCK = "keys.lock"
_PREFIX = "sk-spark-"
_SECRET_BYTES = 32
_HINT = len(_PREFIX) + 4
_FILE_BYTES = 4 * 1024 * 1024
_END_OF_TIME = 253_402_300_799
"""The last second of the year 9999, after which there are no dates."""
_LOOK_EVERY = 1.0
"""Seconds: a key that is revoked opens nothing for longer than that."""

_Stamp = tuple[int, ...] | None
"""By which a file shows that it has changed; None if there is none."""

Use = Literal["speech", "transcription", "chat"]


def _is_a_rate(rate: str) -> str:
    rate_of(rate)
    return rate


class KeyFileError(Exception):
    """Why the keys cannot be read or written, and the cure, in a sentence."""


class Key(BaseModel):
    """What is known of a key. Its text is shown once, when it is made, and kept nowhere."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_. -]{0,62}[A-Za-z0-9_.-])?$")]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of its text. That holds 256 random bits, so a slow hash would slow down nobody but the gateway."""
    hint: Annotated[str, Field(pattern=r"^[!-~…]{1,64}$")]
    """How it begins, by which its owner tells it from others."""
    created: Annotated[float, Field(ge=0, le=_END_OF_TIME)]
    """Unix time."""
    admin: bool = False
    rate: Annotated[str, AfterValidator(_is_a_rate)] | None = None
    patience: Annotated[float, Field(ge=0, le=86_400)] | None = None
    uses: tuple[Use, ...] | None = None
    """What it may be used for; everything if None."""
    remembers: bool = True


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[Key]


def new_text() -> str:
    """A key that nobody can guess."""
    return _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def hint_of(text: str) -> str:
    return text[:_HINT] + "…"


class KeyFile:
    """The file in the state folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._lock = folder / _LOCK

    def read(self) -> tuple[Key, ...]:
        """All keys; none if there is no file. Raises KeyFileError."""
        try:
            with open(self.path, "rb", opener=open_no_link) as file:
                self._examine(os.fstat(file.fileno()).st_mode)
                text = file.read(_FILE_BYTES + 1)
        except FileNotFoundError:
            return ()
        except OSError as exc:
            raise KeyFileError(f"{self.path} cannot be read: {exc.strerror}. {self._cure(exc)}") from None
        return self._understood(text)

    def add(self, key: Key) -> None:
        """Raises KeyFileError, also if there is a key of that name."""
        with self._writing() as keys:
            if any(each.name == key.name for each in keys):
                raise KeyFileError(
                    f"There is a key {key.name} already; revoke it first, or choose another name."
                )
            keys.append(key)

    def revoke(self, name: str) -> None:
        """Raises KeyFileError, also if there is none of that name."""
        with self._writing() as keys:
            kept = [each for each in keys if each.name != name]
            if len(kept) == len(keys):
                known = ", ".join(each.name for each in keys) or "none"
                raise KeyFileError(f"There is no key {name[:64]!r}; those that there are: {known}.")
            keys[:] = kept

    def _examine(self, mode: int) -> None:
        if not stat.S_ISREG(mode):
            raise KeyFileError(f"{self.path} is no file.")
        if stat.S_IMODE(mode) & 0o077:
            raise KeyFileError(f"{self.path} is open to others; close it with: chmod 600 {self.path}")

    def _understood(self, text: bytes) -> tuple[Key, ...]:
        broken = KeyFileError(
            f"{self.path} is damaged. Put back a copy of it, or remove it and make new keys: `spark-control key add`."
        )
        if len(text) > _FILE_BYTES:
            raise broken
        try:
            keys = _File.model_validate_json(text).keys
        except (ValidationError, RecursionError):
            raise broken from None
        if len({key.name for key in keys}) < len(keys):
            raise broken
        return tuple(keys)

    def _cure(self, exc: OSError) -> str:
        if exc.errno in (errno.EACCES, errno.EPERM):
            return "The gateway's user may, and root: try it with sudo."
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"Make room: `df -h {self.path.parent}` shows its disk."
        return f"`ls -ld {self.path.parent} {self.path}` shows what is there; `state` in the settings names the folder."

    @contextmanager
    def _writing(self) -> Iterator[list[Key]]:
        """The keys, to be changed by one program at a time. On disk as a whole, or not at all."""
        folder = self.path.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(self._lock, "a", opener=create_for_owner) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                keys = list(self.read())
                yield keys
                content = json.dumps(_File(keys=keys).model_dump(), indent=1)
                replace_for_owner(self.path, content.encode())
        except OSError as exc:
            raise KeyFileError(f"{self.path} cannot be written: {exc.strerror}. {self._cure(exc)}") from None


class Keys:
    """The keys as the running gateway knows them."""

    def __init__(self, file: KeyFile | None, clock: Callable[[], float]) -> None:
        """Without a `file` there are none. Raises KeyFileError."""
        self._file = file
        self._clock = clock
        self._looked = clock()
        self._seen = self._deplored = self._stamp()
        self._keys: Sequence[Key] = file.read() if file else ()
        self._required = self._seen is not None

    @property
    def kept(self) -> bool:
        """Whether there can be any, as there cannot in a demonstration."""
        return self._file is not None

    @property
    def any(self) -> bool:
        """Whether one of them opens anything."""
        return bool(self._keys)

    @property
    def required(self) -> bool:
        """Whether everybody needs one: as soon as there has been a file, even if its last key has been revoked."""
        self._look()
        return self._required

    def find(self, text: str) -> Key | None:
        """The key of that text. Takes as long for a wrong one as for a right one."""
        digest = digest_of(text)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def named(self, name: str) -> Key | None:
        """The key of that name, as long as it has not been revoked."""
        self._look()
        return next((key for key in self._keys if key.name == name), None)

    def _look(self) -> None:
        """Read the file again if it has changed. What cannot be read changes nothing: nobody gets in by damaging it."""
        if self._file is None or self._clock() - self._looked < _LOOK_EVERY:
            return
        stamp = self._stamp()
        try:
            self.look_now()
        except KeyFileError as exc:
            # The next look tries again: that too many files were open, say, passes.
            if stamp != self._deplored:
                log.warning("keys kept", reason=str(exc))
            self._deplored = stamp

    def look_now(self) -> None:
        """Read the file again if it has changed. Raises KeyFileError, and then the old keys hold."""
        self._looked = self._clock()
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._required = self._required or stamp is not None
        self._keys = self._read()
        self._seen = self._deplored = stamp
        log.info("keys read", keys=len(self._keys))

    def _read(self) -> Sequence[Key]:
        """What is in the file. Raises KeyFileError, also if there is none any more."""
        assert self._file  # noqa: S101 (who has none does not look)
        keys = self._file.read()
        if self._stamp() is None:
            raise KeyFileError(f"{self._file.path} has gone; the old keys hold until the next start.")
        return keys

    def _stamp(self) -> _Stamp:
        try:
            found = self._file.path.lstat() if self._file else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode) if found else None
