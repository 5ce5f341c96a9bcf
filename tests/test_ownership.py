"""What root makes in the state folder of another user."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from pathlib import Path

import pytest

from spark_control.keys import Key, KeyFile, Keys, digest_of
from spark_control.ownership import create_for_owner
from spark_control.sessions import Sessions
from spark_control.speech_cache.files import SpeechFiles
from spark_control.store import Store
from spark_control.store.records import Stamp
from tests.conftest import need_root

SERVICE = 65533


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    need_root("make files for others")
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, SERVICE, SERVICE)
    return state


def owners(folder: Path) -> dict[str, tuple[int, int, int]]:
    found = {str(each.relative_to(folder)): each.lstat() for each in folder.rglob("*")}
    return {name: (each.st_uid, each.st_gid, stat.S_IMODE(each.st_mode)) for name, each in found.items()}


def key(name: str) -> Key:
    return Key(name=name, digest=digest_of(name), hint="sk-…", created=0)


def test_a_key_that_root_makes_can_be_read_by_the_service(folder: Path) -> None:
    for name in ("kitchen", "hall"):
        KeyFile(folder).add(key(name))
    assert owners(folder) == dict.fromkeys(("keys.json", "keys.lock"), (SERVICE, SERVICE, 0o600))


def test_what_root_s_gateway_leaves_can_be_used_by_the_service(folder: Path) -> None:
    with closing(Store.open(folder)) as store:
        store.restart_began("parakeet", Stamp("boot", 0, 0), "sticky", "watcher")
        store.set_maintenance("parakeet", True)
        Sessions(folder, Keys(None, lambda: 0.0), lambda: 0.0).begun(key("kitchen"))
        SpeechFiles(folder / "speech", 1000).scan()
        found = owners(folder)

    assert {
        "spark-control.db",
        "spark-control.db-wal",
        "spark-control.lock",
        "sessions.secret",
        "speech",
    } <= set(found)
    assert {(user, group) for user, group, _ in found.values()} == {(SERVICE, SERVICE)}


def test_what_the_service_links_to_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (folder / "speech").symlink_to(elsewhere)
    with pytest.raises(NotADirectoryError):
        SpeechFiles(folder / "speech", 1000).scan()
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755


def test_what_was_there_before_keeps_its_owner(folder: Path) -> None:
    """Else the service could have root give it any file that it can link to."""
    (folder / "keys.lock").touch(0o600)
    os.close(create_for_owner(folder / "keys.lock"))
    assert owners(folder)["keys.lock"][0] == 0

    (folder / "link").symlink_to(folder / "keys.lock")
    with pytest.raises(OSError, match="symbolic links"):
        create_for_owner(folder / "link")
