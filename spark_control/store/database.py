"""One SQLite database and one connection for all threads.

What has been written is on disk before `writing` ends. A write-ahead log and
`synchronous=FULL` see to that: after a kill -9 or a power cut, the file holds
everything that was acknowledged and nothing by halves.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from spark_control.store.errors import Damaged, StoreError, Unwritable
from spark_control.store.records import Stamp
from spark_control.store.schema import Newer, Unsound, adapt, bring_up, look, version_of

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_UNWRITABLE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_NO_DAMAGE = {*_UNWRITABLE, *_HELD, sqlite3.SQLITE_NOMEM} - {sqlite3.SQLITE_READONLY}
"""At the start. A file that the system lets us write, and SQLite does not, has a spoilt first page."""
_PRIMARY = 0xFF
"""The bits of SQLite's error codes that say what happened; the others say where."""

_CARRIED = {
    "incidents": (
        "id, service, opened, closed, verdict, evidence, held, replayed, degraded, failed, restarts, timeline"
    ),
    "strikes": "service, fingerprint, wall",
    "quarantine": "service, fingerprint, until",
    "maintenance": "service",
    "drained": "service",
    "samples": "series, minute, total, times",
}


STATE = ("strikes", "quarantine", "maintenance", "drained")
"""What holds for the engines until somebody says otherwise."""


class Database:
    """A connection that threads use one at a time. All that goes wrong with it is a StoreError."""

    def __init__(self, connection: sqlite3.Connection, name: str, lock: int | None = None) -> None:
        """`lock` is a descriptor that is closed with it."""
        self._connection = connection
        self._name = name
        self._lock = lock
        self._turn = threading.Lock()

    @classmethod
    def in_memory(cls, gap: Stamp | None = None) -> Self:
        """One that is new, and ends with the process. `gap` is when it began to know nothing of what was before."""
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        database = cls(connection, "memory")
        database._prepare(gap)
        return database

    @classmethod
    def at(cls, path: Path, lock: int, gap: Stamp | None) -> Self:
        """The one in that file, sound and of the present version. `gap` is for one that is new.

        Raises Damaged, and StoreError; `lock` is then still open.
        """
        try:
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as exc:
            raise _failing(str(path), exc) from None
        try:
            database = cls(connection, str(path), lock)
            database._prepare(gap)
        except BaseException:
            connection.close()
            raise
        return database

    @classmethod
    def reading(cls, path: Path, how: str, first: str) -> Self:
        """The one in that file, sound and of the present version, to be read alone. Raises StoreError.

        `how` is the query of SQLite's URI, and `first` a statement before all others.
        """
        uri = f"{path.absolute().as_uri()}?{how}"
        try:
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as exc:
            raise _failing(str(path), exc) from None
        database = cls(connection, str(path))
        with database._opening():
            connection.execute(first)
            adapt(connection)
            look(connection)
        return database

    def _prepare(self, gap: Stamp | None) -> None:
        """Have it sound, durable and of the present version."""
        connection = self._connection
        with self._opening():
            adapt(connection)
            version = version_of(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            bring_up(connection, version, gap)
        self._settle(connection)

    @contextmanager
    def _opening(self) -> Iterator[None]:
        """What goes wrong with a file that nobody has looked at yet, as a StoreError."""
        try:
            yield
        except Unsound as exc:
            raise _damaged(self._name, str(exc)) from None
        except Newer:
            raise StoreError(
                f"{self._name} was written by a newer version of the gateway. "
                "Install that version again, or name another folder as `state` in the settings."
            ) from None
        except (sqlite3.Error, UnicodeDecodeError) as exc:
            if isinstance(exc, sqlite3.Error) and _code(exc) in _NO_DAMAGE:
                raise _failing(self._name, exc) from None
            raise _damaged(self._name, str(exc)) from None

    def read(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._using() as connection:
            return connection.execute(query, _storable(values)).fetchall()

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Transaction]:
        """All that is written in the block, or nothing of it; on disk once the block has ended.

        What is `durable` is settled, too.
        """
        with self._using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(connection)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):  # the first error is the one to tell
                        connection.execute("ROLLBACK")
            if durable:
                self._settle(connection)

    def settle(self) -> None:
        """Have all be in the database itself, which checks what it holds, and no longer in the log beside it, which
        forgets what was damaged.
        """
        with self._using() as connection:
            self._settle(connection)

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

    def take_over(
        self, other: Database, tables: Iterable[str] = tuple(_CARRIED), instead_of: Collection[str] = ()
    ) -> None:
        """Note what another has noted, but for restarts; in the place of what is here, for the tables `instead_of`."""
        with self.writing() as transaction:
            for table in tables:
                columns = _CARRIED[table]
                if table in instead_of:
                    transaction.execute(f"DELETE FROM {table}", ())  # noqa: S608
                for row in other.read(f"SELECT {columns} FROM {table}"):  # noqa: S608 (names of our own)
                    places = ", ".join("?" * len(row))
                    transaction.execute(f"REPLACE INTO {table} ({columns}) VALUES ({places})", row)  # noqa: S608

    def _settle(self, connection: sqlite3.Connection) -> None:
        """Move what is in the log into the database. Where that fails it stays in the log, which is durable too."""
        with suppress(sqlite3.Error), closing(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")) as told:
            told.fetchall()

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._turn:
            try:
                yield self._connection
            except sqlite3.Error as exc:
                raise _failing(self._name, exc) from None
            except UnicodeDecodeError:  # what SQLite said quotes bytes that are no text
                raise _damaged(self._name, "it cannot be read") from None


class Transaction:
    """What can be done while writing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, values: tuple[object, ...]) -> int:
        """The number of the row that was inserted, if one was."""
        return self._connection.execute(statement, _storable(values)).lastrowid or 0


def _storable(values: tuple[object, ...]) -> tuple[object, ...]:
    """An engine's text may have halves of characters, which no file can hold."""
    return tuple(
        each.encode("utf-8", "replace").decode() if isinstance(each, str) else each for each in values
    )


def _code(exc: sqlite3.Error) -> int:
    return getattr(exc, "sqlite_errorcode", 0) & _PRIMARY


def _failing(name: str, exc: sqlite3.Error) -> StoreError:
    if _code(exc) in _DAMAGED:
        return _damaged(name, str(exc))
    if _code(exc) in _HELD:
        return StoreError(
            f"{name} cannot be used: {exc}. `sudo fuser -v {name}` shows which program has it open."
        )
    kind = Unwritable if _code(exc) in _UNWRITABLE else StoreError
    return kind(f"{name} cannot be used: {exc}. Look for free space on its disk, and who may write there.")


def _damaged(name: str, finding: str) -> Damaged:
    return Damaged(f"{name} is damaged: {finding}.")
