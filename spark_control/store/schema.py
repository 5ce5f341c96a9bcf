"""What the database is made of, and whether a file holds that and nothing else.

A disk that rots is not told by SQLite alone: a row whose bytes have changed is
still a row. What the budget rests on is therefore sealed, row by row.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from contextlib import closing
from functools import cache

from spark_control.store.records import Stamp

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
    """
    ALTER TABLE restarts ADD COLUMN seal TEXT NOT NULL DEFAULT '';
    UPDATE restarts SET seal = seal(service, boot, since_boot, wall);
    CREATE TABLE gaps (
        number INTEGER PRIMARY KEY, boot TEXT NOT NULL, since_boot REAL NOT NULL, wall REAL NOT NULL,
        seal TEXT NOT NULL UNIQUE
    );
    """,
)
"""What brings a file from each version to the next. One that has been released is never changed again."""

_NO_VERSION = 1000
"""So many there will never be: a number above that was not written by any gateway."""

_MOST = 2.5e11
"""Seconds: times after the year 9892 have no date, and there are no such durations. Nor are there so many rows."""

_MOST_OF = {("samples", "total"): sys.float_info.max}
"""What is no time may be larger: the bytes in use, summed over a minute."""

_KINDS = {"INTEGER": "integer", "REAL": "real", "TEXT": "text"}


class Unsound(Exception):
    """What is wrong with the file, in a few words."""


class Newer(Exception):
    """A later version of the gateway has written it."""


def adapt(connection: sqlite3.Connection) -> None:
    """Have it know of seals, and read text that has been damaged as well as it can be."""
    connection.create_function("seal", -1, seal, deterministic=True)
    connection.text_factory = lambda text: text.decode("utf-8", "replace")


def seal(*values: object) -> str:
    """By which a row shows that it is as it was written."""
    return hashlib.sha256("\0".join(map(repr, values)).encode("utf-8", "replace")).hexdigest()


def version_of(connection: sqlite3.Connection) -> int:
    """0 for one that is new. Raises Unsound, and Newer."""
    [(finding,)] = connection.execute("PRAGMA integrity_check(1)")
    if finding != "ok":
        raise Unsound(finding.splitlines()[-1])
    [(version,)] = connection.execute("PRAGMA user_version")
    if not 0 <= version <= _NO_VERSION:
        raise Unsound(f"there is no version {version}")
    if version > len(_VERSIONS):
        raise Newer
    if _tables(connection) != _tables_of(version):
        raise Unsound("it has the tables of another program")
    return int(version)


def bring_up(connection: sqlite3.Connection, version: int, gap: Stamp | None) -> None:
    """Bring it to the present version, at once or not at all; a new one begins with `gap`, if there is one.

    Raises Unsound.
    """
    # A spoilt first page may forbid to write, which shows with the first write only.
    connection.executescript(f"BEGIN IMMEDIATE; PRAGMA user_version = {version}; ROLLBACK;")
    if version < len(_VERSIONS):
        scripts = "".join(_VERSIONS[version:])
        connection.executescript(f"BEGIN IMMEDIATE; {scripts} PRAGMA user_version = {len(_VERSIONS)};")
        if gap and not version:
            add_gap(connection, gap)
        connection.execute("COMMIT")
    _look_at_rows(connection)


def look(connection: sqlite3.Connection) -> None:
    """Whether one that cannot be written is sound, and of the present version. Raises Unsound, and Newer."""
    if version_of(connection) != len(_VERSIONS):
        raise Unsound("it is of an older version")
    _look_at_rows(connection)


def add_gap(connection: sqlite3.Connection, at: Stamp) -> None:
    sealed = (at.boot, float(at.since_boot), float(at.wall))
    connection.execute(
        "INSERT INTO gaps (boot, since_boot, wall, seal) VALUES (?, ?, ?, seal(?, ?, ?))", (*sealed, *sealed)
    )


def _look_at_rows(connection: sqlite3.Connection) -> None:
    numbers = connection.execute("SELECT seq FROM sqlite_sequence").fetchall()
    if any(not isinstance(number, int) or number > _MOST for (number,) in numbers):
        raise Unsound("its numbers have run out")
    for table, conditions in _conditions():
        if connection.execute(f"SELECT 1 FROM {table} WHERE {conditions} LIMIT 1").fetchone():  # noqa: S608 (our own)
            raise Unsound(f"{table} has what nobody wrote")


@cache
def _conditions() -> tuple[tuple[str, str], ...]:
    """For each table, what no row of it fulfils as long as it is whole."""
    found = []
    with closing(_made(len(_VERSIONS))) as connection:
        for kind, table, *_ in sorted(_tables(connection)):
            if kind == "table":
                columns = connection.execute(f"PRAGMA table_info({table})")
                wrong = [
                    _wrong(name, of, _MOST_OF.get((table, name), _MOST), bool(must or key))
                    for _, name, of, must, _, key in columns
                ]
                found.append((table, " OR ".join([*wrong, *_BROKEN_SEALS.get(table, ())])))
    return tuple(found)


_BROKEN_SEALS = {
    "restarts": ("seal <> seal(service, boot, since_boot, wall)",),
    "gaps": ("seal <> seal(boot, since_boot, wall)",),
}


def _wrong(column: str, of: str, most: float, must: bool) -> str:  # noqa: FBT001 (as SQLite has it)
    strange = f"typeof({column}) <> '{_KINDS[of]}'"
    if of == "REAL":
        strange += f" OR abs({column}) > {most!r}"
    return f"({strange})" if must else f"({column} IS NOT NULL AND ({strange}))"


def _tables(connection: sqlite3.Connection) -> frozenset[tuple[str, ...]]:
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    return frozenset(connection.execute(query))


@cache
def _tables_of(version: int) -> frozenset[tuple[str, ...]]:
    with closing(_made(version)) as connection:
        return _tables(connection)


def _made(version: int) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    adapt(connection)
    connection.executescript("".join(_VERSIONS[:version]))
    return connection
