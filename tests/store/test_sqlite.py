from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.store import Store, StoreError
from spark_control.store.records import Entry, Incident, Restart, Stamp
from tests.conftest import without_rights

DAY = 86_400.0
INCIDENT = Incident(
    id="inc_1",
    service="parakeet",
    opened=100.0,
    closed=None,
    verdict="sticky",
    evidence="status 500, CUBLAS_STATUS_EXECUTION_FAILED",
    held=1,
    replayed=0,
    degraded=0,
    failed=0,
    restarts=0,
    timeline=(Entry(100.0, "ejected"), Entry(101.5, "restarting", "docker parakeet")),
)


def at(seconds: float, wall: float = 0.0) -> Stamp:
    return Stamp("boot", seconds, wall)


def began(store: Store, service: str = "parakeet", when: Stamp | None = None) -> int:
    return store.restart_began(service, when or at(0), "sticky", "watcher")


@contextmanager
def opened(folder: Path | None) -> Iterator[Store]:
    with closing(Store.open(folder)) as store:
        yield store


@pytest.fixture(params=["in memory", "in a folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path / "state" if request.param == "in a folder" else None) as store:
        yield store


# Restarts.


def test_a_restart_under_way_has_no_outcome_until_it_ends(store: Store) -> None:
    row = began(store, when=at(5, wall=1000))
    assert store.restarts("parakeet") == [
        Restart(row, "parakeet", at(5, wall=1000), "sticky", "watcher", None, None)
    ]

    store.restart_ended(row, "healthy", 12.5)
    [restart] = store.restarts("parakeet")
    assert (restart.outcome, restart.seconds_to_healthy) == ("healthy", 12.5)


def test_restarts_are_told_newest_first_and_of_one_service(store: Store) -> None:
    rows = [began(store, when=at(second)) for second in range(5)]
    began(store, "magpie")

    assert [restart.id for restart in store.restarts("parakeet")] == rows[::-1]
    assert [restart.id for restart in store.restarts("parakeet", most=2)] == rows[:-3:-1]
    assert store.restarts("nobody") == []


def test_every_attempt_is_spent_whatever_came_of_it(store: Store) -> None:
    for second, outcome in enumerate(["healthy", "failed: no such container", None]):
        row = began(store, when=at(second))
        if outcome:
            store.restart_ended(row, outcome, None)

    assert store.spent("parakeet") == (at(0), at(1), at(2))
    assert store.spent("magpie") == ()


def test_only_restarts_that_made_it_healthy_tell_how_long_that_takes(store: Store) -> None:
    for seconds in (10.0, None, 30.0, 20.0):
        store.restart_ended(began(store), "healthy" if seconds else "not healthy in time", seconds)

    assert store.recovery_seconds("parakeet") == [20.0, 30.0, 10.0]
    assert store.recovery_seconds("parakeet", most=1) == [20.0]


def test_the_last_thousand_restarts_are_kept_even_if_the_clock_was_set_a_year_ahead(store: Store) -> None:
    for second in range(1003):
        began(store, when=at(second))
    began(store, "magpie", at(0))
    began(store, when=at(1003, wall=365 * DAY))

    assert len(store.spent("parakeet")) == 1000
    assert store.spent("parakeet")[-1] == at(1003, wall=365 * DAY)
    assert len(store.spent("magpie")) == 1


def test_restarts_of_a_month_are_kept_however_many(store: Store) -> None:
    for second in range(1100):
        began(store, when=at(second, wall=second))

    assert len(store.spent("parakeet")) == 1100


# Incidents.


def test_an_incident_is_remembered_as_it_was_and_as_it_goes_on(store: Store) -> None:
    store.save_incident(INCIDENT)
    assert store.incident("inc_1") == INCIDENT

    over = replace(INCIDENT, closed=130.0, restarts=1, timeline=(*INCIDENT.timeline, Entry(130, "healthy")))
    store.save_incident(over)
    assert store.incidents() == [over]
    assert store.incident("inc_2") is None


def test_incidents_are_told_newest_first_whatever_the_clock_on_the_wall_did(store: Store) -> None:
    for number, opened_at in enumerate([500.0, 100.0, 300.0]):
        service = "magpie" if number == 1 else "parakeet"
        store.save_incident(replace(INCIDENT, id=str(number), opened=opened_at, service=service))
    store.save_incident(replace(INCIDENT, id="0", closed=600.0))

    assert [each.id for each in store.incidents()] == ["2", "1", "0"]
    assert [each.id for each in store.incidents(service="parakeet")] == ["2", "0"]
    assert [each.id for each in store.incidents(most=1)] == ["2"]


def test_the_last_thousand_incidents_are_kept(store: Store) -> None:
    for number in range(1003):
        store.save_incident(replace(INCIDENT, id=str(number)))

    kept = store.incidents(most=5000)
    assert [len(kept), kept[0].id, kept[-1].id] == [1000, "1002", "3"]


words = st.text(st.characters())  # halves of characters included
seconds = st.floats(allow_nan=False, allow_infinity=False)
whole = st.text()  # without such halves
incidents = st.builds(
    Incident,
    **dict.fromkeys(["id", "service", "verdict", "evidence"], whole),
    **dict.fromkeys(["held", "replayed", "degraded", "failed", "restarts"], st.integers(0, 2**40)),
    opened=seconds,
    closed=st.none() | seconds,
    timeline=st.lists(st.builds(Entry, seconds, words, words)).map(tuple),
)


@given(incidents)
def test_any_incident_comes_back_as_it_was(incident: Incident) -> None:
    with opened(None) as store:
        store.save_incident(incident)
        assert store.incident(incident.id) == incident


@given(words, words)
def test_a_reason_in_halves_of_characters_is_remembered_as_well_as_it_can_be(
    service: str, reason: str
) -> None:
    with opened(None) as store:
        store.restart_began(service, at(0), reason, "watcher")
        [restart] = store.restarts(service)
        assert restart.reason == reason.encode("utf-8", "replace").decode()


# Inputs that wedge an engine, and services that are left alone.


def test_strikes_are_counted_for_each_input_since_a_time(store: Store) -> None:
    for fingerprint, wall in [("a", 10), ("a", 20), ("b", 20), ("a", 30)]:
        store.strike("parakeet", fingerprint, wall)
    store.strike("magpie", "a", 30)

    assert store.strikes("parakeet", 20) == {"a": 2, "b": 1}
    assert store.strikes("parakeet", 31) == {}


def test_a_quarantine_ends_at_its_time(store: Store) -> None:
    store.quarantine("parakeet", "a", 100)
    store.quarantine("parakeet", "b", 200)
    store.quarantine("magpie", "c", 200)

    assert store.quarantined("parakeet", 99) == {"a", "b"}
    assert store.quarantined("parakeet", 100) == {"b"}

    store.quarantine("parakeet", "a", 300)
    assert store.quarantined("parakeet", 250) == {"a"}


def test_strikes_and_quarantines_do_not_pile_up(store: Store) -> None:
    for number in range(1003):
        store.strike("parakeet", str(number), 10)
        store.quarantine("parakeet", str(number), 10)

    assert len(store.strikes("parakeet", 0)) == 1000
    assert len(store.quarantined("parakeet", 0)) == 1000
    assert "1002" in store.quarantined("parakeet", 0)


def test_maintenance_is_set_and_ended_as_often_as_one_likes(store: Store) -> None:
    for name in ("parakeet", "magpie", "magpie"):
        store.set_maintenance(name, True)
    assert store.maintenance() == {"parakeet", "magpie"}

    for _ in range(2):
        store.set_maintenance("magpie", False)
    assert store.maintenance() == {"parakeet"}


def test_threads_take_turns(store: Store) -> None:
    def work(service: str) -> None:
        for number in range(40):
            row = began(store, service, at(number))
            store.save_incident(replace(INCIDENT, id=f"{service}{number}", service=service))
            store.restart_ended(row, "healthy", float(number))
            assert store.recovery_seconds(service, most=1) == [number]

    names = [f"engine {number}" for number in range(8)]
    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(work, names))

    assert Counter(each.service for each in store.incidents(most=1000)) == dict.fromkeys(names, 40)
    assert {len(store.spent(name)) for name in names} == {40}


# What outlives the process.


def test_a_store_that_is_opened_again_has_everything(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        done, under_way = began(store, when=at(1, wall=7)), began(store, when=at(2, wall=8))
        store.restart_ended(done, "healthy", 3.0)
        store.save_incident(INCIDENT)
        store.strike("parakeet", "a", 10)
        store.quarantine("parakeet", "a", 20)
        store.set_maintenance("parakeet", True)

    with opened(tmp_path) as store:
        assert [(each.id, each.outcome) for each in store.restarts("parakeet")] == [
            (under_way, None),
            (done, "healthy"),
        ]
        assert store.spent("parakeet") == (at(1, wall=7), at(2, wall=8))
        assert store.incidents() == [INCIDENT]
        assert store.strikes("parakeet", 0) == {"a": 1}
        assert store.quarantined("parakeet", 0) == {"a"}
        assert store.maintenance() == {"parakeet"}


def test_in_memory_nothing_is_left_behind() -> None:
    with opened(None) as store:
        began(store)
    with opened(None) as store:
        assert store.restarts("parakeet") == []


def _until(process: subprocess.Popen[str], acknowledgements: int) -> list[tuple[str, int]]:
    """Let it work for a while, end it with kill -9 wherever it is, and give what it has said."""
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(acknowledgements)]
    process.kill()
    said += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    return [(words[0], int(words[1])) for words in map(str.split, said) if len(words) == 2]


@contextmanager
def _writer(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.writer", str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def test_kill_9_in_the_middle_of_writing_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    said: set[tuple[str, int]] = set()
    for acknowledgements in (1, 2, 50, 133):
        with _writer(tmp_path) as process:
            said.update(_until(process, acknowledgements))

        with opened(tmp_path) as store:
            restarts = store.restarts("parakeet", most=1_000_000)
            assert {row for what, row in said if what == "began"} <= {each.id for each in restarts}
            ended = {each.id for each in restarts if each.outcome == "healthy"}
            assert {row for what, row in said if what == "ended"} <= ended
            saved = {each.id for each in store.incidents(most=1_000_000)}
            assert {f"inc_{number}" for what, number in said if what == "saved"} <= saved


def test_a_restart_that_kill_9_interrupted_is_found_without_an_outcome(tmp_path: Path) -> None:
    with _writer(tmp_path) as process:
        _until(process, acknowledgements=1)

    with opened(tmp_path) as store:
        assert store.restarts("parakeet", most=1_000_000)[-1].outcome is None
        assert store.spent("parakeet")


def test_what_is_acknowledged_is_on_disk(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        began(store)
        assert store._database.read("PRAGMA journal_mode") == [("wal",)]
        assert store._database.read("PRAGMA synchronous") == [(2,)]  # FULL
        # Another process sees it while this one still has the store open.
        with closing(sqlite3.connect(tmp_path / "spark-control.db")) as other:
            assert other.execute("SELECT count(*) FROM restarts").fetchone() == (1,)


def test_what_fails_half_way_leaves_nothing_behind(tmp_path: Path) -> None:
    def break_off(store: Store) -> None:
        with store._database.writing() as transaction:
            transaction.execute("INSERT INTO maintenance VALUES (?)", ("parakeet",))
            raise ZeroDivisionError

    with opened(tmp_path) as store:
        with pytest.raises(ZeroDivisionError):
            break_off(store)
        assert store.maintenance() == set()
        store.set_maintenance("parakeet", True)
        assert store.maintenance() == {"parakeet"}


# Who may see it, and who may have it.


def test_nobody_else_may_read_what_is_remembered(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with opened(folder) as store:
        began(store)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        files = {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}

    names = ["spark-control.db", "spark-control.db-wal", "spark-control.db-shm", "spark-control.lock"]
    assert files == dict.fromkeys(names, 0o600)


def test_a_file_that_everybody_could_read_is_made_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with opened(tmp_path):
        pass
    (tmp_path / "spark-control.db").chmod(0o644)
    with opened(tmp_path):
        assert stat.S_IMODE((tmp_path / "spark-control.db").stat().st_mode) == 0o600
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755  # the folder was somebody's


def test_a_second_gateway_is_told_who_has_the_store(tmp_path: Path) -> None:
    with opened(tmp_path):
        second = subprocess.run(
            [sys.executable, "-m", "tests.store.writer", str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert second.returncode == 1
    assert f"Another gateway (process {os.getpid()}) uses {tmp_path}" in second.stderr
    assert "Stop that one, or give this one a folder of its own: `state` in the settings." in second.stderr


def test_a_store_has_one_owner_within_a_process_too_and_another_after_it(tmp_path: Path) -> None:
    with opened(tmp_path) as first:
        for _ in range(2):
            with pytest.raises(StoreError, match="Another gateway"):
                Store.open(tmp_path)
        began(first)
    with opened(tmp_path) as second:
        assert len(second.restarts("parakeet")) == 1


def test_of_many_who_want_a_new_store_at_once_one_gets_it(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def open_it(_: int) -> Store | None:
        together.wait()
        try:
            return Store.open(tmp_path / "state")
        except StoreError:
            return None

    with ThreadPoolExecutor(8) as threads:
        stores = [store for store in threads.map(open_it, range(8)) if store]
    for store in stores:
        store.close()
    assert len(stores) == 1


# What a person is told when it cannot be.


def test_a_file_of_the_future_is_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "spark-control.db")) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(StoreError, match=r"written by a newer version .* Install that version again"):
        Store.open(tmp_path)


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that everybody may read and nobody may write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o700)


@pytest.mark.parametrize("name", [".", "state", "a/b"])
def test_a_folder_that_may_not_be_written_says_what_to_do_about_it(readable: Path, name: str) -> None:
    expected = r"cannot be kept in .*: Permission denied\. Let this user write there, or name another folder"
    with without_rights(), pytest.raises(StoreError, match=expected):
        Store.open(readable / name)


def test_a_file_where_the_folder_should_be_says_so(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    for folder in ("state", "state/deeper"):
        with pytest.raises(StoreError, match=r"cannot be kept in .*/state.* or name another folder"):
            Store.open(tmp_path / folder)


def test_a_full_disk_is_told_and_what_was_there_stays(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.save_incident(INCIDENT)
        [(pages,)] = store._database.read("PRAGMA page_count")
        store._database.read(f"PRAGMA max_page_count = {pages}")
        huge = replace(INCIDENT, id="inc_2", timeline=tuple(Entry(n, "x" * 1000) for n in range(1000)))

        with pytest.raises(StoreError, match=r"database or disk is full\. Look for free space"):
            store.save_incident(huge)

        assert store.incidents() == [INCIDENT]
        store._database.read("PRAGMA max_page_count = 100000")
        store.save_incident(huge)
        assert store.incidents() == [huge, INCIDENT]


def test_a_store_that_was_closed_says_so(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    for _ in range(2):
        store.close()
    with pytest.raises(StoreError, match="closed"):
        store.maintenance()
    with pytest.raises(StoreError, match="closed"):
        began(store)
