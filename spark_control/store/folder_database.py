"""The database of a folder, whatever has become of it: one that is damaged is set aside, a full disk is waited for.

    found in the folder              the gateway                                 restarts before
    -------------------------------  ------------------------------------------  --------------------------
    nothing, and it is new           begins                                      none
    a sound database                 goes on with it                             those in it
    a damaged one, or one of         sets it aside, and begins anew              not known: spent
    another program
    nothing, where one has been      begins anew                                 not known: spent
    a disk that takes nothing        remembers in memory, until the disk does,   not known: spent, and nothing
                                     beginning with what it can still read       is restarted until it does
    what this user may not have      does not start
    another gateway                  does not start

Since no restart is carried out that has not been written down, who goes back to the disk knows all.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog

from spark_control.store.database import STATE, Database, Transaction
from spark_control.store.errors import Damaged, StoreError, Unwritable
from spark_control.store.folder import FILE, LOCK, make_private, own, set_aside
from spark_control.store.records import Stamp

log = structlog.get_logger()

_WAYS_TO_READ = (("mode=rw", "PRAGMA locking_mode = EXCLUSIVE"), ("mode=ro&immutable=1", ""))
"""A file on a full disk, without an index beside it; one on a disk that is read-only, without its log."""


class FolderDatabase:
    """What a Store needs of a database, for a folder. Threads use it one at a time."""

    def __init__(self, folder: Path, now: Callable[[], Stamp]) -> None:
        """The folder is made if there is none, and is then this process's alone. Raises StoreError."""
        self._folder = folder
        self._now = now
        self._turn = threading.Lock()
        self._in_memory = self._spoilt = False
        self._read_before = False
        """Whether what is in memory began with what is on the disk, so that it knows all of it."""
        self._database = self._opened()

    def read(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._at_hand() as database:
            return database.read(query, values)

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Transaction]:
        """As a Database has it. What is `durable` is on the disk, or it is not written at all."""
        with self._at_hand() as database:
            if self._in_memory:
                database = self._back_on_disk()
            if self._in_memory and durable:
                raise Unwritable(f"Nothing can be kept in {self._folder}; `spark-control check` tells why.")
            with database.writing(durable=durable) as transaction:
                yield transaction

    def settle(self) -> None:
        """As a Database has it."""
        with self._at_hand() as database:
            database.settle()

    def close(self) -> None:
        with self._turn:
            self._in_memory = self._spoilt = False
            self._database.close()

    @contextmanager
    def _at_hand(self) -> Iterator[Database]:
        with self._turn:
            if self._spoilt:
                self._database.close()
                self._database = self._opened()
                self._spoilt = False
            try:
                yield self._database
            except Damaged as exc:
                log.warning("state damaged", reason=str(exc))
                self._spoilt = True
                raise

    def _opened(self) -> Database:
        try:
            return _on_disk(self._folder, self._now)
        except Unwritable as exc:
            log.warning(
                "state not kept", reason=str(exc), so="nothing is remembered, and no engine restarted"
            )
            self._in_memory = True
            memory = Database.in_memory(self._now())
            self._read_before = _read_into(memory, self._folder / FILE)
            return memory

    def _back_on_disk(self) -> Database:
        """The database on the disk, with what has been noted since; the one in memory as long as that cannot be."""
        try:
            disk = _on_disk(self._folder, self._now)
        except StoreError:
            return self._database
        try:
            disk.take_over(self._database, instead_of=STATE if self._read_before else ())
        except StoreError:
            disk.close()
            return self._database
        log.info("state kept again", folder=str(self._folder))
        self._database.close()
        self._database, self._in_memory = disk, False
        return disk


def _read_into(memory: Database, path: Path) -> bool:
    """Have what holds for the engines there, if it can still be read. Whether it could."""
    for way in _WAYS_TO_READ:
        with suppress(StoreError), closing(Database.reading(path, *way)) as disk:
            memory.take_over(disk, STATE)
            return True
    return False


def _on_disk(folder: Path, now: Callable[[], Stamp]) -> Database:
    """Raises Unwritable, and StoreError."""
    # Of one that has gone, its lock is left.
    known = any(os.path.lexists(folder / name) for name in (FILE, LOCK))
    lock = own(folder)
    try:
        return _sound(folder / FILE, lock, now, now() if known else None)
    except BaseException:
        os.close(lock)
        raise


def _sound(path: Path, lock: int, now: Callable[[], Stamp], gap: Stamp | None) -> Database:
    try:
        make_private(path)
        return Database.at(path, lock, gap)
    except Damaged as exc:
        place = set_aside(path, now().wall)
        log.warning("state set aside", reason=str(exc), kept_as=str(place), so="restarts count as spent")
    make_private(path)
    return Database.at(path, lock, now())
