"""What a gateway's owner types about remembered speech, and sees."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from typing import Any

import pytest
from click.testing import CliRunner

from spark_control import cache_commands
from tests.fakes.faults import Fault
from tests.fakes.magpie import FakeMagpie
from tests.live import serving
from tests.processes import COMMAND
from tests.remembering import remembering_gateway

COMMANDS = {command.name: command for command in cache_commands.COMMANDS}

LINES = """\
# What the house says.
Dinner is ready.

   The washing machine is done.
"""


@pytest.fixture
def gateway(tmp_path, upstreams, magpie):
    with remembering_gateway(tmp_path / "speech", upstreams) as client:
        yield client


@pytest.fixture
def run(gateway):
    return typed_to(str(gateway.base_url))


def typed_to(url: str):
    def run(command: str, *arguments: str, **how: Any):
        return CliRunner().invoke(COMMANDS[command], [*arguments, "--gateway", url], **how)

    return run


@pytest.fixture
def announcements(tmp_path):
    path = tmp_path / "announcements.txt"
    path.write_text(LINES)
    return str(path)


def test_each_line_is_spoken_once_and_then_there(run, announcements, magpie):
    first, second = run("warm", announcements), run("warm", announcements)

    assert (first.exit_code, first.stdout) == (0, "2 new, 0 there already, 0 failed.\n")
    assert (second.exit_code, second.stdout) == (0, "0 new, 2 there already, 0 failed.\n")
    assert [asked["text"] for asked in magpie.asked] == ["Dinner is ready.", "The washing machine is done."]


def test_it_is_there_for_whoever_asks_in_the_same_way(run, announcements, gateway):
    run("warm", announcements, "--voice", "Ash", "--format", "opus", "--speed", "1.25")
    body = {"input": "Dinner is ready.", "voice": "ash", "response_format": "opus", "speed": 1.25}
    same, other = (gateway.post("/v1/audio/speech", json=each) for each in (body, {**body, "speed": 1.0}))

    assert same.headers["x-spark-cache"] == "hit"
    assert other.headers["x-spark-cache"] == "miss"


def test_the_lines_may_come_from_a_pipe_and_be_of_any_alphabet(run, magpie):
    ended = run("warm", "-", input="\ufeffDas Abendessen ist fertig, schöne Grüße.\n".encode())

    assert ended.stdout.startswith("1 new")
    assert magpie.asked[0]["text"] == "Das Abendessen ist fertig, schöne Grüße."


def test_what_could_not_be_spoken_is_told_by_its_line_and_the_others_are_remembered(
    run, announcements, magpie
):
    magpie.fault_for = lambda number: Fault(400, b'{"detail": "no such word"}') if number == 1 else None
    ended = run("warm", announcements)

    assert ended.exit_code == 1
    assert ended.stdout == "1 new, 0 there already, 1 failed.\n"
    assert ended.stderr.startswith("line 2: ")


def test_what_is_spoken_and_not_kept_is_a_failure(tmp_path, upstreams, magpie, announcements):
    with remembering_gateway(tmp_path / "speech", upstreams, max_bytes=1000) as gateway:
        ended = typed_to(str(gateway.base_url))("warm", announcements)

    assert ended.exit_code == 1
    assert "line 2: it was spoken and not kept" in ended.stderr


def test_so_is_what_another_engine_had_to_speak(tmp_path, upstreams, magpie, announcements):
    first = FakeMagpie()
    with serving(first.app) as url:
        engines = {
            "first": {"kind": "magpie", "url": url},
            "second": upstreams["magpie"] | {"model": "other"},
        }
        with remembering_gateway(tmp_path / "speech", engines) as gateway:
            first.fault = Fault(500, b"CUDA error: CUBLAS_STATUS_EXECUTION_FAILED")
            ended = typed_to(str(gateway.base_url))("warm", announcements)

    assert ended.exit_code == 1
    assert ended.stdout == "0 new, 0 there already, 2 failed.\n"
    assert "line 2: another engine spoke it (first: " in ended.stderr


def test_a_gateway_that_remembers_nothing_is_told_apart(gateway_with, announcements):
    with gateway_with() as gateway:
        ended = typed_to(str(gateway.base_url))("warm", announcements)

    assert ended.exit_code == 1
    assert "remembers no speech for you" in ended.stderr


def test_a_gateway_that_is_not_there_is_told_once(announcements):
    ended = typed_to("http://127.0.0.1:9")("warm", announcements)

    assert ended.exit_code == 1
    assert ended.stderr.count("no gateway answers") == 1


def test_a_file_that_is_no_text_is_refused(run, tmp_path):
    (tmp_path / "sound.wav").write_bytes(b"RIFF\xff\xfe")
    ended = run("warm", str(tmp_path / "sound.wav"))

    assert ended.exit_code == 1
    assert "is not text in UTF-8" in ended.stderr


def test_a_terminal_sees_how_far_it_has_got(gateway, announcements, tmp_path):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "warm", announcements, "--gateway", str(gateway.base_url)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # the end, on Linux
        pass
    finally:
        os.close(ours)
    out, _ = process.communicate(timeout=30)

    assert (process.returncode, out) == (0, b"2 new, 0 there already, 0 failed.\n")
    assert b"Speaking" in shown
    assert b"100%" in shown


def test_a_voice_is_forgotten(run, announcements):
    run("warm", announcements, "--voice", "alloy")
    run("warm", announcements, "--voice", "ash")
    ended = run("purge", "--voice", "alloy")

    assert ended.exit_code == 0
    assert ended.stdout.startswith("Forgotten: 2 pieces of speech, ")
    assert run("warm", announcements, "--voice", "ash").stdout.startswith("0 new, 2 there already")
    assert run("warm", announcements, "--voice", "alloy").stdout.startswith("2 new")


def test_everything_is_forgotten(run, announcements):
    run("warm", announcements)
    assert run("purge", "--all").stdout.startswith("Forgotten: 2 pieces of speech, ")
    assert run("purge", "--all").stdout.startswith("Forgotten: 0 pieces of speech, ")


def test_programs_get_json(run, announcements, magpie):
    magpie.fault_for = lambda number: Fault(400, b'{"detail": "no such word"}') if number == 1 else None
    failed, warmed = run("warm", announcements, "--json"), run("warm", announcements, "--json")
    purged = json.loads(run("purge", "--all", "--json").stdout)

    assert failed.exit_code == 1
    told = json.loads(failed.stdout)
    assert (told["new"], told["there"], told["failed"], told["failures"][0]["line"]) == (1, 0, 1, 2)
    assert json.loads(warmed.stdout) == {"new": 1, "there": 1, "failed": 0, "failures": []}
    assert purged["entries"] == 2
    assert purged["bytes"] > 0


@pytest.mark.parametrize("arguments", [(), ("--all", "--voice", "alloy")])
def test_what_is_to_be_forgotten_has_to_be_said(run, arguments):
    ended = run("purge", *arguments)

    assert ended.exit_code == 2
    assert "--voice NAME, or --all" in ended.stderr
