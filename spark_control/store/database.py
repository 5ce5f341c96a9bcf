"""One SQLite file that one process owns: its folder, its lock, its schema, and one connection for all threads.

What has been written is on disk before `writing` ends. A write-ahead log and
`synchronous=FULL` see to that: after a kill -9 or a power cut, the file holds
everything that was acknowledged and nothing by halves.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

FILE = "spark-control.db"
LOCK = "spark-control.lock"

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY = 0xFF
"""The bits of SQLite's error codes that say what happened; the others say where."""

_VERSIONS = (
    """
    CREATE TABLE restarts (
        id INTEGER PRIMARY KEY AUTOINCREMENT, service TEXT NOT NULL,
        boot TEXT NOT NULL, since_boot REAL NOT NULL, wall REAL NOT NULL,
        reason TEXT NOT NULL, who TEXT NOT NULL, outcome TEXT, seconds_to_healthy REAL
    );
    CREATE INDEX restarts_of_service ON restarts (service, id);
    CREATE TABLE incidents (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, service TEXT NOT NULL,
        opened REAL NOT NULL, closed REAL, verdict TEXT NOT NULL, evidence TEXT NOT NULL,
        held INTEGER NOT NULL, replayed INTEGER NOT NULL, degraded INTEGER NOT NULL, failed INTEGER NOT NULL,
        restarts INTEGER NOT NULL, timeline TEXT NOT NULL
    );
    CREATE TABLE strikes (
        number INTEGER PRIMARY KEY AUTOINCREMENT, service TEXT NOT NULL, fingerprint TEXT NOT NULL,
        wall REAL NOT NULL
    );
    CREATE TABLE quarantine (
        number INTEGER PRIMARY KEY AUTOINCREMENT, service TEXT NOT NULL, fingerprint TEXT NOT NULL,
        until REAL NOT NULL, UNIQUE (service, fingerprint)
    );
    CREATE TABLE maintenance (service TEXT PRIMARY KEY) WITHOUT ROWID;
    """,
    """
    CREATE TABLE drained (service TEXT PRIMARY KEY) WITHOUT ROWID;
    """,
    """
    CREATE TABLE samples (
        series TEXT NOT NULL, minute INTEGER NOT NULL, total REAL NOT NULL, times INTEGER NOT NULL,
        PRIMARY KEY (series, minute)
    ) WITHOUT ROWID;
    """,
)
"""What brings a file from each version to the next. One that has been released is never changed again."""


class StoreError(Exception):
    """Why something could not be remembered, and what to do about it, in a sentence or two."""


class Database:
    """A connection that threads use one at a time. All that goes wrong with it is a StoreError."""

    def __init__(self, connection: sqlite3.Connection, name: str, lock: int | None = None) -> None:
        self._connection = connection
        self._name = name
        self._lock = lock
        self._turn = threading.Lock()

    @classmethod
    def in_memory(cls) -> Database:
        database = cls(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False), "memory")
        database.prepare()
        return database

    @classmethod
    def in_folder(cls, folder: Path) -> Database:
        """The database of `folder`, which is made if there is none, for this process alone."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _own(folder)
        except OSError as exc:
            raise _unusable(folder, exc.strerror or str(exc)) from None
        try:
            return cls._opened(folder / FILE, lock)
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def _opened(cls, path: Path, lock: int) -> Database:
        try:
            _make_private(path)
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as exc:
            raise _unusable(path.parent, str(exc)) from None
        try:
            database = cls(connection, str(path), lock)
            database.prepare()
        except BaseException:
            connection.close()
            raise
        return database

    def prepare(self) -> None:
        """Have it durable, sound and of the present version."""
        with self._using() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            [(finding,)] = connection.execute("PRAGMA quick_check(1)")
            if finding != "ok":
                raise _damaged(self._name, finding.splitlines()[-1])
            [(version,)] = connection.execute("PRAGMA user_version")
            if version > len(_VERSIONS):
                raise StoreError(
                    f"{self._name} was written by a newer version of the gateway. "
                    "Install that version again, or name another folder as `state` in the settings."
                )
            for reached, script in enumerate(_VERSIONS[version:], version + 1):
                connection.executescript(
                    f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {reached}; COMMIT;"
                )

    def read(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._using() as connection:
            return connection.execute(query, _storable(values)).fetchall()

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """All that is written in the block, or nothing of it; on disk once the block has ended."""
        with self._using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(connection)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):  # the first error is the one to tell
                        connection.execute("ROLLBACK")

    def close(self) -> None:
        with self._turn:
            try:
                self._connection.close()
            finally:
                lock, self._lock = self._lock, None
                if lock is not None:
                    os.close(lock)

    def __del__(self) -> None:
        # A gateway that was built and never run has nobody to close it, and Python 3.13 would complain.
        self._connection.close()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._turn:
            try:
                yield self._connection
            except sqlite3.Error as exc:
                if getattr(exc, "sqlite_errorcode", 0) & _PRIMARY in _DAMAGED:
                    raise _damaged(self._name, str(exc)) from None
                raise _failing(self._name, str(exc)) from None


class Transaction:
    """What can be done while writing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, values: tuple[object, ...]) -> int:
        """The number of the row that was inserted, if one was."""
        return self._connection.execute(statement, _storable(values)).lastrowid or 0


def _own(folder: Path) -> int:
    """The lock of a folder, held until it is closed or the process ends, however it ends."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
    except BlockingIOError:
        owner = os.pread(lock, 20, 0).decode("ascii", "replace")
        os.close(lock)
        raise StoreError(
            f"Another gateway (process {owner}) uses {folder}, and two would not know of each other's restarts. "
            "Stop that one, or give this one a folder of its own: `state` in the settings."
        ) from None
    except OSError:
        os.close(lock)
        raise
    return lock


def _make_private(path: Path) -> None:
    """SQLite gives its other files the permissions of this one."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(file, 0o600)
    finally:
        os.close(file)


def _storable(values: tuple[object, ...]) -> tuple[object, ...]:
    """An engine's text may have halves of characters, which no file can hold."""
    return tuple(
        each.encode("utf-8", "replace").decode() if isinstance(each, str) else each for each in values
    )


def _unusable(folder: Path, reason: str) -> StoreError:
    return StoreError(
        f"What must outlive the gateway cannot be kept in {folder}: {reason}. "
        "Let this user write there, or name another folder as `state` in the settings."
    )


def _damaged(name: str, finding: str) -> StoreError:
    return StoreError(
        f"{name} is damaged: {finding}. Move it and the files named like it away, and start again: "
        "incidents and restarts up to now are then forgotten."
    )


def _failing(name: str, reason: str) -> StoreError:
    return StoreError(
        f"{name} cannot be used: {reason}. Look for free space on its disk, and who may write there."
    )
