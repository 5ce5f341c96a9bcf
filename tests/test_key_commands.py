"""What a house's owner types about keys, and sees."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from spark_control.cli import main
from spark_control.keys import KeyFile, digest_of


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "state")


@pytest.fixture
def run(tmp_path, file):
    settings = tmp_path / "settings.toml"
    settings.write_text(f'state = "{file.path.parent}"\n')

    def typed(*words: str):
        return CliRunner().invoke(main, ["key", *words, "--config", str(settings)])

    return typed


def test_a_key_is_shown_once_and_alone_on_its_line(run, file):
    ended = run("add", "kitchen")

    assert ended.exit_code == 0
    assert re.fullmatch(r"sk-spark-[A-Za-z0-9_-]{43}\n", ended.stdout), "so that a script can take it"
    assert "shown only now" in ended.stderr
    text = ended.stdout.strip()
    assert [key.digest for key in file.read()] == [digest_of(text)]
    assert text not in run("list").output
    assert text not in run("list", "--json").output


def test_the_first_key_tells_what_it_changes_and_for_which_gateway(run, file):
    first, second = run("add", "kitchen"), run("add", "cellar")

    assert "from now on everybody needs one" in first.stderr
    assert "from now on" not in second.stderr
    assert str(file.path.parent) in second.stderr


def test_what_a_key_may_stands_in_the_list(run, file):
    run("add", "Mia phone", "--rate", "60/minute", "--patience", "8", "--only", "speech", "--no-cache")
    run("add", "owner", "--admin")
    listed = run("list")
    (phone, owner) = listed.stdout.splitlines()

    assert phone.startswith("Mia phone")
    for right in ("only speech", "60/minute", "8 s of patience", "not remembered"):
        assert right in phone
    assert owner.endswith("admin")
    (key, _) = file.read()
    assert (key.uses, key.rate, key.patience, key.remembers) == (("speech",), "60/minute", 8.0, False)


def test_a_program_makes_and_revokes_keys_and_is_told_in_json(run, file):
    made = json.loads(run("add", "kitchen", "--rate", "60/minute", "--json").stdout)
    (kept,) = file.read()

    assert kept.digest == digest_of(made["key"])
    assert (made["name"], made["rate"], made["admin"]) == ("kitchen", "60/minute", False)
    assert json.loads(run("revoke", "kitchen", "--json").stdout) == {"revoked": "kitchen", "left": 0}


def test_a_program_gets_the_list_as_json_without_what_the_keys_hash_to(run):
    run("add", "kitchen", "--only", "speech", "--only", "chat")
    (key,) = json.loads(run("list", "--json").stdout)

    assert key["name"] == "kitchen"
    assert key["uses"] == ["speech", "chat"]
    assert "digest" not in key


def test_without_keys_the_list_says_what_that_means(run, file):
    assert "nobody needs one" in run("list").stderr
    run("add", "kitchen")
    revoked = run("revoke", "kitchen")
    assert revoked.stdout == "The key of kitchen opens nothing any more.\n"
    assert f"remove {file.path}" in revoked.stderr
    emptied = run("list")
    assert "nobody needs one" not in emptied.stderr
    assert f"remove {file.path}" in emptied.stderr
    assert json.loads(run("list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("add", "a/b"), "a key's name is made of up to 64 letters"),
        (("add", ""), "a key's name is made of up to 64 letters"),
        (("add", "\x1b[31m"), "a key's name is made of up to 64 letters"),
        (("add", "a", "--rate", "often"), "rate: a rate is a number for a time"),
        (("add", "a", "--rate", "0/day"), "rate: a rate is 1 to 100000"),
        (("add", "a", "--patience", "nan"), "patience: "),
        (("add", "a", "--patience", "-1"), "patience: "),
        (("revoke", "nobody"), "There is no key 'nobody'; those that there are: none."),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(run, file, words, sentence):
    ended = run(*words)

    assert (ended.exit_code, ended.stdout) == (1, "")
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not file.path.exists()


def test_a_name_is_given_once(run):
    run("add", "kitchen")
    again = run("add", "kitchen")

    assert (again.exit_code, again.stdout) == (1, "")
    assert "There is a key kitchen already" in again.stderr


def test_a_damaged_file_is_not_written_over(run, file):
    run("add", "kitchen")
    file.path.write_text("{")
    for words in (("add", "cellar"), ("revoke", "kitchen"), ("list",)):
        ended = run(*words)
        assert ended.exit_code == 1
        assert "is damaged. Put back a copy of it" in ended.stderr
    assert file.path.read_text() == "{"


def test_a_state_folder_that_cannot_be_is_told(run, file, tmp_path):
    file.path.parent.write_text("a file")

    ended = run("add", "kitchen")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "cannot be written" in ended.stderr
