"""Remembers in SQLite: the embedded default, for one gateway and its engines.

A restart is written down before it is carried out. One that has no outcome
when the store is opened was under way when its gateway ended.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from spark_control.store import stamps
from spark_control.store.database import Database
from spark_control.store.folder_database import FolderDatabase
from spark_control.store.records import Entry, Incident, Restart, Sample, Stamp

_KEPT = 1000
"""Rows of each kind that are kept at least: of restarts, ten times what the largest budget asks for."""

_KEPT_FOR = 30 * 86_400.0
"""Seconds that a restart is kept at least, for people to look at."""

_RESTART = """
    INSERT INTO restarts (service, boot, since_boot, wall, reason, who, seal)
    VALUES (?, ?, ?, ?, ?, ?, seal(?, ?, ?, ?))"""
_FORGET_RESTARTS = """
    DELETE FROM restarts WHERE service = ? AND wall < ? AND id <=
    (SELECT id FROM restarts WHERE service = ? ORDER BY id DESC LIMIT 1 OFFSET ?)"""
_FORGET_INCIDENTS = """
    DELETE FROM incidents WHERE number <= (SELECT number FROM incidents ORDER BY number DESC LIMIT 1 OFFSET ?)"""
_FORGET_STRIKES = """
    DELETE FROM strikes WHERE number <= (SELECT number FROM strikes ORDER BY number DESC LIMIT 1 OFFSET ?)"""
_FORGET_QUARANTINE = """
    DELETE FROM quarantine WHERE number <= (SELECT number FROM quarantine ORDER BY number DESC LIMIT 1 OFFSET ?)"""

_SAVE_INCIDENT = """
    INSERT INTO incidents (id, service, opened, closed, verdict, evidence,
                           held, replayed, degraded, failed, restarts, timeline)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        service = excluded.service, opened = excluded.opened, closed = excluded.closed,
        verdict = excluded.verdict, evidence = excluded.evidence,
        held = excluded.held, replayed = excluded.replayed, degraded = excluded.degraded, failed = excluded.failed,
        restarts = excluded.restarts, timeline = excluded.timeline"""
_INCIDENTS = """
    SELECT id, service, opened, closed, verdict, evidence, held, replayed, degraded, failed, restarts, timeline
    FROM incidents """


class Store:
    """What is remembered of every service. Its methods may be called from any thread; each can raise StoreError."""

    def __init__(self, database: Database | FolderDatabase) -> None:
        self._database = database

    @classmethod
    def open(cls, folder: Path | None, now: Callable[[], Stamp] = stamps.now) -> Store:
        """What `folder` remembers, which then belongs to this process. Without a folder, all ends with it."""
        return cls(FolderDatabase(folder, now) if folder else Database.in_memory())

    def close(self) -> None:
        self._database.close()

    # Restarts.

    def restart_began(self, service: str, at: Stamp, reason: str, who: str) -> int:
        """Remember a restart that is about to be carried out. It is on disk once this returns; the value names it."""
        with self._database.writing(durable=True) as transaction:
            sealed = (service, at.boot, float(at.since_boot), float(at.wall))
            number = transaction.execute(_RESTART, (*sealed, reason, who, *sealed))
            # Old by the clock on the wall is not enough: set a year ahead, it would wipe out the budget.
            transaction.execute(_FORGET_RESTARTS, (service, at.wall - _KEPT_FOR, service, _KEPT))
        return number

    def restart_ended(self, number: int, outcome: str, seconds_to_healthy: float | None) -> None:
        self._write(
            "UPDATE restarts SET outcome = ?, seconds_to_healthy = ? WHERE id = ?",
            (outcome, seconds_to_healthy, number),
        )

    def restarts(self, service: str, most: int = 100) -> list[Restart]:
        """Newest first."""
        rows = self._database.read(
            "SELECT boot, since_boot, wall, id, service, reason, who, outcome, seconds_to_healthy "
            "FROM restarts WHERE service = ? ORDER BY id DESC LIMIT ?",
            (service, most),
        )
        return [_restart_of(row) for row in rows]

    def spent(self, service: str) -> tuple[Stamp, ...]:
        """When it was restarted, or was about to be, whatever came of it. Oldest first."""
        query = "SELECT boot, since_boot, wall FROM restarts WHERE service = ? ORDER BY id"
        return tuple(Stamp(*row) for row in self._database.read(query, (service,)))

    def gap(self) -> Stamp | None:
        """When it lost what it knew, the last time; None if it never did. Restarts may have been spent before."""
        rows = self._database.read("SELECT boot, since_boot, wall FROM gaps ORDER BY number DESC LIMIT 1")
        return Stamp(*rows[0]) if rows else None

    def recovery_seconds(self, service: str, most: int = 10) -> list[float]:
        """How long restarts took that led to a healthy engine, newest first."""
        rows = self._database.read(
            "SELECT seconds_to_healthy FROM restarts "
            "WHERE service = ? AND seconds_to_healthy IS NOT NULL ORDER BY id DESC LIMIT ?",
            (service, most),
        )
        return [seconds for (seconds,) in rows]

    # Incidents.

    def save_incident(self, incident: Incident) -> None:
        """Remember it, or how it has gone on."""
        with self._database.writing() as transaction:
            transaction.execute(_SAVE_INCIDENT, _columns_of(incident))
            transaction.execute(_FORGET_INCIDENTS, (_KEPT,))

    def incident(self, identity: str) -> Incident | None:
        rows = self._database.read(_INCIDENTS + "WHERE id = ?", (identity,))
        return _incident_of(rows[0]) if rows else None

    def incidents(self, most: int = 50, service: str | None = None) -> list[Incident]:
        """Newest first, by when each was first saved: the clock on the wall may have been set meanwhile."""
        query = _INCIDENTS + "WHERE service = coalesce(?, service) ORDER BY number DESC LIMIT ?"
        return [_incident_of(row) for row in self._database.read(query, (service, most))]

    # Inputs that wedge an engine.

    def strike(self, service: str, fingerprint: str, wall: float) -> None:
        """Remember that an engine had this input, and nothing else, when it wedged."""
        with self._database.writing() as transaction:
            transaction.execute(
                "INSERT INTO strikes (service, fingerprint, wall) VALUES (?, ?, ?)",
                (service, fingerprint, wall),
            )
            transaction.execute(_FORGET_STRIKES, (_KEPT,))

    def strikes(self, service: str, since_wall: float) -> dict[str, int]:
        """How many each input has."""
        query = (
            "SELECT fingerprint, count(*) FROM strikes WHERE service = ? AND wall >= ? GROUP BY fingerprint"
        )
        return dict(self._database.read(query, (service, since_wall)))

    def absolve(self, service: str, fingerprint: str) -> None:
        """Forget its strikes: it has been done well since."""
        self._write("DELETE FROM strikes WHERE service = ? AND fingerprint = ?", (service, fingerprint))

    def quarantine(self, service: str, fingerprint: str, until_wall: float) -> None:
        with self._database.writing() as transaction:
            transaction.execute(
                "REPLACE INTO quarantine (service, fingerprint, until) VALUES (?, ?, ?)",
                (service, fingerprint, until_wall),
            )
            transaction.execute(_FORGET_QUARANTINE, (_KEPT,))

    def quarantined(self, service: str, wall: float) -> set[str]:
        query = "SELECT fingerprint FROM quarantine WHERE service = ? AND until > ?"
        return {fingerprint for (fingerprint,) in self._database.read(query, (service, wall))}

    # Services that are left alone.

    def maintenance(self) -> set[str]:
        return {service for (service,) in self._database.read("SELECT service FROM maintenance")}

    def set_maintenance(self, service: str, on: bool) -> None:  # noqa: FBT001 (it is what is set)
        if on:
            self._write("INSERT OR IGNORE INTO maintenance (service) VALUES (?)", (service,))
        else:
            self._write("DELETE FROM maintenance WHERE service = ?", (service,))
        self._database.settle()

    # Services that get no new requests.

    def drained(self) -> set[str]:
        return {service for (service,) in self._database.read("SELECT service FROM drained")}

    def set_drained(self, service: str, on: bool) -> None:  # noqa: FBT001 (it is what is set)
        if on:
            self._write("INSERT OR IGNORE INTO drained (service) VALUES (?)", (service,))
        else:
            self._write("DELETE FROM drained WHERE service = ?", (service,))
        self._database.settle()

    # Figures over the last day.

    def save_samples(self, samples: Sequence[Sample], oldest: int, newest: int) -> None:
        """Remember them in the place of those of the same minutes, and forget what is not of `oldest` to `newest`."""
        with self._database.writing() as transaction:
            for each in samples:
                transaction.execute(
                    "REPLACE INTO samples (series, minute, total, times) VALUES (?, ?, ?, ?)",
                    (each.series, each.minute, each.total, each.times),
                )
            transaction.execute("DELETE FROM samples WHERE minute < ? OR minute > ?", (oldest, newest))

    def samples(self, oldest: int) -> list[Sample]:
        query = "SELECT series, minute, total, times FROM samples WHERE minute >= ? ORDER BY series, minute"
        return [Sample(*row) for row in self._database.read(query, (oldest,))]

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        with self._database.writing() as transaction:
            transaction.execute(statement, values)


def _restart_of(row: tuple[Any, ...]) -> Restart:
    boot, since_boot, wall, number, service, *rest = row
    return Restart(number, service, Stamp(boot, since_boot, wall), *rest)


def _columns_of(incident: Incident) -> tuple[object, ...]:
    timeline = json.dumps([(entry.at, entry.what, entry.detail) for entry in incident.timeline])
    counts = (incident.held, incident.replayed, incident.degraded, incident.failed, incident.restarts)
    times = (incident.opened, incident.closed)
    return (incident.id, incident.service, *times, incident.verdict, incident.evidence, *counts, timeline)


def _incident_of(row: tuple[Any, ...]) -> Incident:
    return Incident(*(*row[:-1], _timeline_of(row[-1])))


def _timeline_of(text: str) -> tuple[Entry, ...]:
    try:
        return tuple(Entry(*entry) for entry in json.loads(text))
    except (ValueError, TypeError):  # a disk that rots
        return ()
