"""What Tab does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from spark_control.cli import main
from spark_control.completion import engines, incidents, voices
from tests.conftest import need
from tests.fakes.magpie import VOICES
from tests.live import eventually, unused_port
from tests.strangers import OK, answering, said


def context(url: str):
    context = main.make_context("spark-control", ["voices"], resilient_parsing=True)
    context.params["gateway"] = url
    return context


def offered(completing, url: str, begun: str = ""):
    parameter = main.commands["voices"].params[0]
    return {each.value: each.help for each in completing(context(url), parameter, begun)}


def test_engines_are_offered_with_how_they_are(gateway):
    url = str(gateway.base_url)

    assert offered(engines, url) == {
        "parakeet": "Speech-to-text is working.",
        "magpie": "Text-to-speech is working.",
    }
    assert list(offered(engines, url, "ma")) == ["magpie"]


def test_voices_and_incidents_are_offered(gateway):
    eventually(lambda: gateway.get("/v1/audio/voices").json()["voices"])
    url = str(gateway.base_url)

    assert offered(voices, url)[VOICES[0]] == "en-US"
    assert offered(incidents, url) == {}


def test_an_incident_is_offered_with_whose_it_was():
    told = b'{"incidents": [{"id": "inc_1", "service": "ear", "verdict": "sticky"}]}'
    with stranger(told) as port:
        assert offered(incidents, f"http://127.0.0.1:{port}") == {"inc_1": "ear sticky"}


@pytest.mark.parametrize(
    "name", ["; rm -rf ~", "$(reboot)", "a b", "*", "-rf", "~", "a:b", "`id`", "a\\nb", "", "a'b", "\\u202e"]
)
def test_a_name_that_a_shell_would_obey_is_not_offered(name):
    told = f'{{"upstreams": [{{"name": "{name}", "sentence": ""}}, {{"name": "ear", "sentence": "\\n\\u001b"}}]}}'
    with stranger(told.encode()) as port:
        assert offered(engines, f"http://127.0.0.1:{port}") == {"ear": None}


@pytest.mark.parametrize("told", [b"[]", b"{}", b'{"upstreams": 3}', b'{"upstreams": [{}]}', b"no json"])
def test_what_makes_no_sense_is_not_offered(told):
    with stranger(told) as port:
        assert offered(engines, f"http://127.0.0.1:{port}") == {}


def test_without_a_gateway_or_settings_that_hold_there_is_nothing(tmp_path):
    assert offered(engines, f"http://127.0.0.1:{unused_port()}") == {}
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("prot = 1")
    lost = context("")
    lost.params["config"] = wrong
    assert engines(lost, main.commands["voices"].params[0], "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell):
    ended = CliRunner().invoke(main, ["completion", shell])

    assert ended.exit_code == 0
    assert "_SPARK_CONTROL_COMPLETE" in ended.stdout
    assert "\x1b" not in ended.stdout


def test_other_shells_are_refused_with_those_that_are_known():
    ended = CliRunner().invoke(main, ["completion", "cmd"])

    assert ended.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in ended.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_shells_that_show_help_get_it(gateway, shell):
    words = "spark-control status --"
    place = "--" if shell == "fish" else "2"
    told = completed(shell, words, place)

    assert "--watch" in told
    assert "Keep it up to date until Ctrl-C." in told


def test_a_real_bash_completes_a_name(gateway, tmp_path):
    need("bash", "bash")
    program = tmp_path / "spark-control"
    program.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -c '
        '"from spark_control.cli import main; main(prog_name=\'spark-control\')" "$@"\n'
    )
    program.chmod(0o755)
    script = (
        'eval "$(spark-control completion bash)"\n'
        f"COMP_WORDS=(spark-control probe --gateway {gateway.base_url} ma) COMP_CWORD=4\n"
        "_spark_control_completion spark-control\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    ended = subprocess.run(
        ["bash", "--norc", "-c", script],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.stdout == "magpie\n", ended.stderr


def completed(shell: str, words: str, place: str) -> str:
    """What the program answers its own script."""
    variables = {"_SPARK_CONTROL_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": place}
    return CliRunner().invoke(main, [], prog_name="spark-control", env=variables).stdout


@contextmanager
def stranger(body: bytes) -> Iterator[int]:
    """Something at a port that answers everything with one JSON."""
    with answering(said(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)) as (port, _):
        yield port
