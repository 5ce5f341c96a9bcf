"""A database that a disk, a person or another program has spoilt: it is set aside, and nothing counts on it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_control.store import Store, StoreError
from spark_control.store.records import Entry, Incident, Sample
from spark_control.supervision.budget import RestartBudget
from tests.store.opening import at, opened

LIMIT, WINDOW = 3, 1800.0
PAGE = 4096
_DISK = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 (a folder of its own in it)

Damage = Callable[[Path], object]


def fill(store: Store, restarts: int = 3) -> None:
    store.set_maintenance("magpie", True)
    for second in range(restarts):
        store.restart_began("parakeet", at(900 + second), "sticky", "watcher")
    timeline = tuple(Entry(float(each), "canary failed", "x" * 100) for each in range(20))
    for number in range(20):
        store.save_incident(
            Incident(str(number), "parakeet", 1.0, None, "sticky", "", 0, 0, 0, 0, 0, timeline=timeline)
        )
    store.save_samples([Sample("held", each, 1.0, 1) for each in range(100)], 0, 1000)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a gateway that was killed: the database, with a log beside it."""
    folder = tmp_path_factory.mktemp("sound") / "state"
    copy = folder.parent / "copy"
    with opened(folder) as store:
        fill(store)
        shutil.copytree(folder, copy)
    assert (copy / "spark-control.db-wal").stat().st_size
    return copy


def _garbage(path: Path) -> None:
    path.write_bytes(b"These are my notes, and no database. " * 1000)


def _overwritten(path: Path, place: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(content)


def _a_first_page_that_forbids_to_write(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()  # which has that page, too
    _overwritten(path, 18, b"\3")


def _cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size - PAGE)


def _of_another_program(path: Path) -> None:
    path.unlink()
    _altered(path, "CREATE TABLE incidents (theirs)")


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _a_folder_for_a_log(path: Path) -> None:
    log = path.with_name(f"{path.name}-wal")
    log.unlink()
    log.mkdir()


def _altered(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


DAMAGES: dict[str, Damage] = {
    "garbage": _garbage,
    "a page overwritten": lambda path: _overwritten(path, PAGE, b"\xa5" * PAGE),
    "cut short": _cut_short,
    "of another program": _of_another_program,
    "a folder": _a_folder,
    "a folder for a log": _a_folder_for_a_log,
    "a table gone": lambda path: _altered(path, "DROP TABLE gaps"),
    "a restart made older": lambda path: _altered(path, "UPDATE restarts SET since_boot = -1e9 WHERE id = 2"),
    "a restart of another": lambda path: _altered(path, "UPDATE restarts SET service = 'x' WHERE id = 2"),
    "a time that is none": lambda path: _altered(path, "UPDATE incidents SET opened = 'yesterday'"),
    "a number that is the last": lambda path: _altered(
        path, "UPDATE sqlite_sequence SET seq = 9223372036854775807"
    ),
    "a first page that forbids to write": _a_first_page_that_forbids_to_write,
    "a version that is none": lambda path: _altered(path, "PRAGMA user_version = -5"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_database_is_set_aside_and_its_restarts_count_as_spent(
    tmp_path: Path, sound: Path, damage: Damage
) -> None:
    folder = shutil.copytree(sound, tmp_path / "state")
    damage(folder / "spark-control.db")
    with opened(folder, now=1000) as store:
        assert store.gap() == at(1000)
        assert store.spent("parakeet") == ()
        assert store.incidents() == []
        store.set_maintenance("magpie", True)

    (place,) = [each for each in folder.glob("*.damaged-*") if not each.name.endswith(("-wal", "-shm"))]
    assert place.name == "spark-control.db.damaged-19700101T001640Z"
    with opened(folder, now=1500) as store:
        assert store.gap() == at(1000), "the next gateway knows it, too"
        assert store.maintenance() == {"magpie"}


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"")], ids=["gone", "empty"])
def test_a_database_that_has_gone_had_its_restarts_spent(tmp_path: Path, sound: Path, damage: Damage) -> None:
    folder = shutil.copytree(sound, tmp_path / "state")
    damage(folder / "spark-control.db")
    with opened(folder) as store:
        assert store.gap() == at(1000)


def test_a_new_folder_begins_with_nothing_spent(tmp_path: Path) -> None:
    for _ in range(2):
        with opened(tmp_path / "state") as store:
            assert store.gap() is None


@pytest.mark.parametrize(
    "damage",
    [_garbage, Path.unlink, lambda path: os.truncate(path, 100)],
    ids=["garbage", "gone", "cut short"],
)
def test_a_damaged_log_costs_no_restart(tmp_path: Path, sound: Path, damage: Damage) -> None:
    folder = shutil.copytree(sound, tmp_path / "state")
    damage(folder / "spark-control.db-wal")
    with opened(folder) as store:
        assert len(store.spent("parakeet")) == 3
        assert store.gap() is None


def test_no_damaged_one_takes_the_place_of_another(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / "spark-control.db").write_text(f"{number} " * 1000)
        with opened(tmp_path):
            pass
    kept = {each.read_text().split()[0] for each in tmp_path.glob("*.damaged-*")}
    assert kept == {"0", "1", "2", "3"}


def _rot(store: Store, folder: Path) -> None:
    """Its database turns to garbage on the disk while it is open, and it has nothing of it in memory."""
    fill(store)
    store._database.read("PRAGMA wal_checkpoint(TRUNCATE)")
    _garbage(folder / "spark-control.db")
    store._database.read("PRAGMA shrink_memory")


def test_a_database_that_is_spoilt_while_it_is_used_is_replaced_at_the_next_try(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        _rot(store, tmp_path)
        with pytest.raises(StoreError, match="is damaged"):
            store.restart_began("parakeet", at(1000), "sticky", "watcher")
        row = store.restart_began("parakeet", at(1001), "sticky", "watcher")
        assert [each.id for each in store.restarts("parakeet")] == [row]
        assert store.gap() == at(1000)
    assert list(tmp_path.glob("*.damaged-*"))


def test_one_that_cannot_be_set_aside_now_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, _: float) -> Path:
        raise StoreError(f"{path} may not be renamed.")

    with opened(tmp_path) as store:
        _rot(store, tmp_path)
        with pytest.raises(StoreError, match="is damaged"):
            store.restarts("parakeet")
        with monkeypatch.context() as patched:
            patched.setattr("spark_control.store.folder_database.set_aside", refused)
            for _ in range(2):
                with pytest.raises(StoreError, match="may not be renamed"):
                    store.restarts("parakeet")
        assert store.restarts("parakeet") == []
        assert store.gap() == at(1000)


def test_an_older_version_s_restarts_are_taken_over(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        fill(store)
    _altered(
        tmp_path / "spark-control.db",
        "ALTER TABLE restarts DROP COLUMN seal",
        "DROP TABLE gaps",
        "PRAGMA user_version = 3",
    )
    with opened(tmp_path) as store:
        assert [each.since_boot for each in store.spent("parakeet")] == [900, 901, 902]
        assert store.gap() is None


# Whatever becomes of it, never too many.


def _spoilt(data: st.DataObject, content: bytes) -> bytes:
    """What a disk, or a person, makes of it."""
    how = data.draw(st.sampled_from(["other", "flipped", "cut", "overwritten", "page moved", "zeroed"]))
    place = data.draw(st.integers(0, max(0, len(content) - 1)))
    if how == "other":
        return data.draw(st.binary(max_size=300))
    if how == "cut":
        return content[:place]
    if how == "page moved":
        pages = [content[n : n + PAGE] for n in range(0, len(content), PAGE)] or [b""]
        one, other = (data.draw(st.integers(0, len(pages) - 1)) for _ in range(2))
        pages[one] = pages[other]
        return b"".join(pages)
    new = {
        "flipped": bytes(byte ^ 1 << data.draw(st.integers(0, 7)) for byte in content[place : place + 1]),
        "overwritten": data.draw(st.binary(min_size=1, max_size=64)),
        "zeroed": bytes(data.draw(st.sampled_from([1, 8, 512, PAGE]))),
    }[how]
    return content[:place] + new + content[place + len(new) :]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), restarts=st.integers(0, 3), wait=st.sampled_from([0.0, 5.0, 1000.0, 1790.0]))
def test_whatever_bytes_replace_it_there_are_never_more_than_three_restarts_in_thirty_minutes(
    data: st.DataObject, restarts: int, wait: float
) -> None:
    with tempfile.TemporaryDirectory(dir=_DISK) as name:
        folder, restarted = Path(name), [1000.0 + second for second in range(restarts)]
        with opened(folder) as store:
            fill(store, 0)
            for second in restarted:
                store.restart_began("parakeet", at(second), "sticky", "watcher")
            log = (folder / "spark-control.db-wal").read_bytes()
        (folder / "spark-control.db-wal").write_bytes(log)  # as after kill -9
        now = 1010.0
        for _ in range(2):
            _spoil(data, folder)
            now += wait
            restarted += _restart_as_often_as_allowed(folder, now)
        assert all(
            later - first >= WINDOW for first, later in zip(restarted, restarted[LIMIT:], strict=False)
        )


def _spoil(data: st.DataObject, folder: Path) -> None:
    names = [each for each in ("spark-control.db", "spark-control.db-wal") if (folder / each).exists()]
    for each in data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True)):
        (folder / each).write_bytes(_spoilt(data, (folder / each).read_bytes()))


def _restart_as_often_as_allowed(folder: Path, now: float) -> list[float]:
    """When, in the life of one gateway."""
    try:
        store = Store.open(folder, lambda: at(now))
    except StoreError as exc:
        assert "newer version" in str(exc)  # it was the number of the version that was hit
        return []
    with closing(store):
        assert store.incidents() is not None
        budget = RestartBudget(LIMIT, WINDOW, store.spent("parakeet"), store.gap())
        done = []
        while budget.remaining(at(now)):
            store.restart_began("parakeet", at(now), "sticky", "watcher")
            budget = budget.spend(at(now))
            done.append(now)
        return done
