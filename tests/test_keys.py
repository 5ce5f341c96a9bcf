"""The key file: what it holds, who may read it, and what becomes of it when it is damaged."""

from __future__ import annotations

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from spark_control.keys import Key, KeyFile, KeyFileError, Keys, digest_of, hint_of, new_text


def made(name: str, text: str = "secret", **more: object) -> Key:
    known = {"name": name, "digest": digest_of(text), "hint": hint_of(text), "created": 0.0, **more}
    return Key.model_validate(known)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path)


def test_what_is_added_is_read_and_holds_no_key(file):
    text = new_text()
    file.add(made("kitchen", text, rate="60/minute", uses=("speech",)))

    assert file.read() == (made("kitchen", text, rate="60/minute", uses=("speech",)),)
    assert text not in file.path.read_text()
    assert text[12:] not in file.path.read_text()
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_a_key_is_long_and_no_two_are_alike():
    texts = {new_text() for _ in range(100)}

    assert len(texts) == 100
    assert {len(text) for text in texts} == {52}


def test_a_name_is_given_once(file):
    file.add(made("kitchen"))
    with pytest.raises(KeyFileError, match="There is a key kitchen already"):
        file.add(made("kitchen", "other"))


def test_to_revoke_a_key_that_there_is_not_names_those_that_there_are(file):
    file.add(made("kitchen"))
    with pytest.raises(KeyFileError, match="those that there are: kitchen"):
        file.revoke("cellar")


@pytest.mark.parametrize("name", ["", "-a", " a", "a ", "ü", "a\n", "a/b", "a\tb", "x" * 65, "\x1b[31m"])
def test_a_name_with_strange_characters_is_refused(name):
    with pytest.raises(ValueError, match="name"):
        made(name)


@pytest.mark.parametrize("name", ["kitchen", "Mia phone", "a", "7-of_9.x", "x" * 64])
def test_a_name_may_have_blanks_dots_and_dashes(name):
    assert made(name).name == name


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": "often"},
        {"patience": -1},
        {"patience": float("nan")},
        {"patience": float("inf")},
        {"created": 1e300},
        {"hint": "\x1b[31m"},
        {"digest": "0" * 63},
        {"uses": ["cooking"]},
        {"more": 1},
    ],
)
def test_what_a_key_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Key.model_validate({**made("kitchen").model_dump(), **wrong})


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b'{"keys": [{}]}',
        b'{"keys": 1}',
        b"\xff",
        b"[" * 100_000,
        b'{"keys": [], "more": 1}',
    ],
)
def test_a_damaged_file_is_told_with_the_cure(file, damage):
    file.path.write_bytes(damage)
    file.path.chmod(0o600)
    with pytest.raises(KeyFileError, match="Put back a copy of it"):
        file.read()


def test_two_keys_of_one_name_are_damage(file):
    file.add(made("kitchen"))
    content = json.loads(file.path.read_text())
    content["keys"] *= 2
    file.path.write_text(json.dumps(content))
    with pytest.raises(KeyFileError, match="damaged"):
        file.read()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_refused_with_the_cure(file, mode):
    file.add(made("kitchen"))
    file.path.chmod(mode)
    with pytest.raises(KeyFileError, match="close it with: chmod 600"):
        file.read()


def test_a_link_is_not_followed(file, tmp_path):
    (tmp_path / "elsewhere").write_text('{"keys": []}')
    file.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyFileError, match="cannot be read"):
        file.read()


def test_what_is_no_file_is_refused_and_waits_for_nobody(file):
    os.mkfifo(file.path, 0o600)
    with pytest.raises(KeyFileError, match="is no file"):
        file.read()
    file.path.unlink()
    file.path.mkdir()
    with pytest.raises(KeyFileError, match="Is a directory"):
        file.read()


def test_a_full_disk_leaves_the_file_as_it_was_and_nothing_beside_it(file, monkeypatch):
    file.add(made("kitchen"))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyFileError, match="No space left"):
        file.add(made("cellar"))

    assert [key.name for key in file.read()] == ["kitchen"]
    assert sorted(each.name for each in file.path.parent.iterdir()) == ["keys.json", "keys.lock"]


KEYS = st.builds(
    Key,
    name=st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_. -]{0,62}[A-Za-z0-9_.-])?", fullmatch=True),
    digest=st.text().map(digest_of),
    hint=st.just(hint_of(new_text())),
    created=st.floats(0, 2e9),
    admin=st.booleans(),
    rate=st.none() | st.builds("{}/{}".format, st.integers(1, 100_000), st.sampled_from(["second", "day"])),
    patience=st.none() | st.floats(0, 86_400),
    uses=st.none() | st.lists(st.sampled_from(["speech", "transcription", "chat"])).map(tuple),
    remembers=st.booleans(),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(KEYS, unique_by=lambda key: key.name, max_size=5))
def test_whatever_is_written_is_read_again(tmp_path, keys):
    file = KeyFile(tmp_path)
    file.path.unlink(missing_ok=True)
    for key in keys:
        file.add(key)
    assert file.read() == tuple(keys)
    for key in keys[1:]:
        file.revoke(key.name)
    assert file.read() == tuple(keys[:1])


def test_two_who_write_at_once_both_have_written(file):
    with ThreadPoolExecutor(8) as writers:
        list(writers.map(lambda number: file.add(made(f"key-{number}")), range(24)))

    assert {key.name for key in file.read()} == {f"key-{number}" for number in range(24)}
    assert sorted(each.name for each in file.path.parent.iterdir()) == ["keys.json", "keys.lock"]


def test_without_a_file_nobody_needs_a_key(file):
    assert not Keys(file, Clock()).required
    assert not Keys(None, Clock()).required


def test_a_change_is_seen_within_a_second_and_not_looked_for_more_often(file):
    clock = Clock()
    keys = Keys(file, clock)
    file.add(made("kitchen", "secret"))
    needed = [keys.required]
    clock.now = 1.0
    needed.append(keys.required)
    assert needed == [False, True]
    found = keys.find("secret")
    assert found is not None
    assert found.name == "kitchen"
    file.revoke("kitchen")
    clock.now = 2.0
    assert keys.required, "the last key that goes opens the gateway to nobody"
    assert keys.find("secret") is None


@pytest.mark.parametrize("damage", ["gone", "broken", "open to others"])
def test_damage_to_the_file_lets_nobody_in_and_shuts_nobody_out(file, damage):
    clock = Clock()
    file.add(made("kitchen", "secret"))
    keys = Keys(file, clock)
    if damage == "gone":
        file.path.unlink()
    elif damage == "broken":
        file.path.write_bytes(b"{")
    else:
        file.path.chmod(0o644)
    clock.now = 5.0

    assert keys.required
    assert keys.find("secret")
    assert keys.find("other") is None


def test_what_could_not_be_read_is_tried_again_and_told_once(file, monkeypatch):
    clock = Clock()
    file.add(made("kitchen", "secret"))
    keys = Keys(file, clock)
    file.revoke("kitchen")
    with monkeypatch.context() as trouble, capture_logs() as logs:

        def too_many(path: str, flags: int) -> int:
            raise OSError(errno.EMFILE, "Too many open files")

        trouble.setattr("spark_control.keys.open_no_link", too_many)
        for _ in range(5):
            clock.now += 1.0
            assert keys.required
        assert keys.find("secret"), "what holds is what was read last"
    clock.now += 1.0
    assert keys.required
    assert keys.find("secret") is None
    assert [each["event"] for each in logs] == ["keys kept"]


def test_a_file_that_comes_back_is_read_again(file, tmp_path):
    clock = Clock()
    file.add(made("kitchen", "secret"))
    keys = Keys(file, clock)
    file.path.rename(tmp_path / "away")
    clock.now = 1.0
    assert keys.required
    file.add(made("cellar", "other"))
    clock.now = 2.0
    assert keys.required
    assert keys.find("secret") is None
    assert keys.find("other")


def test_a_broken_file_that_appears_lets_nobody_in(file):
    clock = Clock()
    keys = Keys(file, clock)
    file.path.write_bytes(b"{")
    clock.now = 5.0

    assert keys.required


@given(st.text())
def test_whatever_is_shown_only_the_right_text_is_the_key(text):
    keys = Keys(None, Clock())
    keys._keys = (made("kitchen", "right"), made("cellar", "left"))

    found = keys.find(text)
    assert (found.name if found else None) == {"right": "kitchen", "left": "cellar"}.get(text)
