"""The key file: what it holds, who may read it, and what becomes of it when it is damaged."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize("name", ["", "-a", "a b", "ü", "a\n", "a/b", "x" * 65, "\x1b[31m"])
def test_a_name_with_strange_characters_is_refused(name):
    with pytest.raises(ValueError, match="name"):
        made(name)


@pytest.mark.parametrize("rate", ["", "many", "60", "-1/minute", "1/fortnight"])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match="rate"):
        made("kitchen", rate=rate)


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
