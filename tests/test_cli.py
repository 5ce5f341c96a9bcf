"""The command line, as a person types it."""

from __future__ import annotations

import re

import pytest

from spark_control import __version__
from tests.fakes.magpie import VOICES
from tests.live import unused_port
from tests.processes import spark_control


@pytest.fixture
def run(tmp_path):
    return lambda *arguments, **environ: spark_control(*arguments, folder=tmp_path, **environ)


def test_help_lists_every_command(run):
    said = run("--help").stdout

    for command in ("serve", "say", "hear", "voices", "check", "init", "machine", "completion", "engine"):
        assert f"\n  {command} " in said
    assert run("--version").stdout == f"spark-control, version {__version__}\n"


def config(folder, **upstreams):
    state = f'state = "{folder / "state"}"\nport = 0\n'
    tables = [f"[upstreams.{name}]\nkind = 'magpie'\nurl = '{url}'\n" for name, url in upstreams.items()]
    (folder / "spark-control.toml").write_text("\n".join([state, *tables]))


def lines(ended, word):
    """What `check` says behind that word, each in one line."""
    said = " ".join(ended.stdout.split())
    parts = re.split(r" (?=(?:ok|note|warn|WRONG) )", said)
    return [part.removeprefix(f"{word} ") for part in parts if part.startswith(f"{word} ")]


def test_check_has_a_line_for_each_engine(run, tmp_path, upstreams, magpie, parakeet):
    gone = f"http://127.0.0.1:{unused_port()}"
    config(tmp_path, here=upstreams["magpie"]["url"], gone=gone)
    ended = run("check")

    assert any(line.startswith(f"here {upstreams['magpie']['url']}: it spoke") for line in lines(ended, "ok"))
    (wrong,) = lines(ended, "WRONG")
    assert wrong.startswith(f"gone {gone}: nothing answers at port")
    assert "→ Start it." in wrong
    assert ended.returncode == 1


def test_check_finds_names_of_voices_that_are_not_there(run, tmp_path, upstreams, magpie, parakeet):
    config(tmp_path, here=upstreams["magpie"]["url"])
    with (tmp_path / "spark-control.toml").open("a") as file:
        file.write(f'[voices]\nkitchen = "{VOICES[0]}"\nbath = "Nobody"\n[speech]\ndefault_voice = "noone"\n')
    ended = run("check")

    assert ended.returncode == 1
    bath, default = lines(ended, "WRONG")
    assert bath.startswith("voices.bath The settings give 'bath' the voice 'Nobody'")
    assert default.startswith("speech.default_voice There is no voice 'noone'.")


def test_check_is_content_when_all_is_well(run, tmp_path, upstreams, magpie, parakeet):
    config(tmp_path, here=upstreams["magpie"]["url"])

    assert run("check").returncode == 0


def test_wrong_settings_are_told_by_check_with_their_cure(run):
    ended = run("check", SPARK_CONTROL_PROT="1")

    assert ended.returncode == 1
    assert (
        "SPARK_CONTROL_PROT There is no such setting. → Rename it: SPARK_CONTROL_PORT."
        in lines(ended, "WRONG")[0]
    )


@pytest.mark.parametrize("command", ["serve", "status"])
def test_wrong_settings_stop_every_command(run, command):
    ended = run(command, SPARK_CONTROL_PROT="1")

    assert ended.returncode == 1
    assert "SPARK_CONTROL_PROT is not a setting; did you mean SPARK_CONTROL_PORT?" in ended.stderr
