"""A disk that takes nothing: nothing is remembered, no engine is restarted, and everything else goes on."""

from __future__ import annotations

import shutil

import pytest

from spark_control.store import Store, StoreError
from spark_control.store.records import Incident, Sample
from tests.store.opening import at, opened
from tests.tiny_disk import TinyDisk, disk, on_a_disk_of_its_own

__all__ = ["disk"]

INCIDENT = Incident("1", "parakeet", 1.0, None, "sticky", "", 0, 0, 0, 0, 0, timeline=())


def restart(store: Store, when: float) -> int:
    return store.restart_began("parakeet", at(when), "sticky", "watcher")


def _write_on(store: Store) -> None:
    for minute in range(1000):
        store.save_samples([Sample("held", minute, 1.0, 1)], 0, 1000)


def _full(disk: TinyDisk) -> None:
    disk.fill()


def _read_only(disk: TinyDisk) -> None:
    disk.remount("ro")


def _well_again(disk: TinyDisk) -> None:
    disk.remount("rw")
    (disk.path / "fill").unlink(missing_ok=True)


@pytest.mark.parametrize("sick", [_full, _read_only])
@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
@on_a_disk_of_its_own
def test_a_disk_that_takes_nothing_is_waited_for(disk: TinyDisk, sick, known: bool) -> None:
    folder = disk.path / "state"
    if known:
        with opened(folder) as store:
            restart(store, 990)
    sick(disk)

    with opened(folder, now=1000) as store:
        assert store.gap() == at(1000)
        store.save_incident(INCIDENT)
        store.set_maintenance("magpie", True)
        with pytest.raises(StoreError, match="Nothing can be kept in"):
            restart(store, 2900)

        _well_again(disk)
        restart(store, 2901)
        assert store.maintenance() == {"magpie"}

    with opened(folder) as store:
        assert [each.since_boot for each in store.spent("parakeet")] == [990, 2901] if known else [2901]
        assert store.incidents() == [INCIDENT]
        assert store.maintenance() == {"magpie"}
        assert store.gap() is None or not known, "nothing was restarted that is not known"


@on_a_disk_of_its_own
def test_a_disk_that_fills_up_takes_no_restart_and_keeps_what_it_had(disk: TinyDisk) -> None:
    with opened(disk.path) as store:
        restart(store, 990)
        disk.fill()
        with pytest.raises(StoreError, match="Look for free space"):
            _write_on(store)
        assert store.incidents() == []
        disk.make_room()
        restart(store, 2000)
    with opened(disk.path) as store:
        assert [each.since_boot for each in store.spent("parakeet")][-1] == 2000
        assert store.gap() is None


@pytest.mark.parametrize("sick", [_full, _read_only])
@pytest.mark.parametrize("killed", [True, False])
@on_a_disk_of_its_own
def test_what_holds_for_the_engines_holds_on_a_disk_that_takes_nothing(
    disk: TinyDisk, sick, killed: bool
) -> None:
    folder, copy = disk.path / "state", disk.path / "copy"
    with opened(folder) as store:
        store.strike("parakeet", "a", 1)
        store.quarantine("parakeet", "b", 5000)
        store.set_maintenance("magpie", True)
        store.set_drained("magpie", True)
        shutil.copytree(folder, copy)
    if killed:
        shutil.rmtree(folder)
        copy.rename(folder)
        for beside in folder.glob("*-shm"):
            beside.unlink()
    else:
        shutil.rmtree(copy)
    sick(disk)

    with opened(folder) as store:
        assert _all_of(store) == ({"a": 1}, {"b"}, {"magpie"}, {"magpie"})
        store.set_maintenance("magpie", False)
        store.set_drained("parakeet", True)
        store.absolve("parakeet", "a")
        store.strike("parakeet", "c", 2)
        changed: tuple[object, ...] = ({"c": 1}, {"b"}, set(), {"magpie", "parakeet"})
        assert _all_of(store) == changed
        _well_again(disk)
        restart(store, 2901)
        assert _all_of(store) == changed

    with opened(folder) as store:
        assert _all_of(store) == changed


def _all_of(store: Store) -> tuple[dict[str, int], set[str], set[str], set[str]]:
    """What holds for the engines."""
    return (
        store.strikes("parakeet", 0),
        store.quarantined("parakeet", 0),
        store.maintenance(),
        store.drained(),
    )
