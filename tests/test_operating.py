"""What a gateway's owner types, and sees."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import socket
import subprocess
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from spark_control import operating
from spark_control.cli import main
from spark_control.server import create_app
from spark_control.settings import Settings
from spark_control.supervision.restarters import RestartFailed
from tests.fakes.faults import Fault
from tests.fakes.supervised import SupervisedEngine
from tests.live import eventually, serving, unused_port
from tests.processes import COMMAND, spark_control

BROKEN = Fault(500, b'{"detail": "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"}')
COMMANDS = {command.name: command for command in operating.COMMANDS}


class Nurse:
    """Restarts a fake engine's process, as systemd or Docker would; or does not, and tells why."""

    kind = "process"
    what = "the fake"

    def __init__(self, engine: SupervisedEngine, why_not: str = "") -> None:
        self._engine = engine
        self._why_not = why_not

    async def restart(self) -> None:
        if self._why_not:
            raise RestartFailed(self._why_not)
        await asyncio.to_thread(self._engine.restart, 0.2)


@pytest.fixture
def run(gateway):
    """Types a command to the gateway with both fakes."""
    return typed_to(str(gateway.base_url))


def typed_to(url: str):
    def run(command: str, *arguments: str, **how: Any):
        return CliRunner().invoke(main, [command, *arguments, "--gateway", url], **how)

    return run


@pytest.fixture
def gateway_over(tmp_path):
    """Runs a test with a gateway over one engine that can be restarted, and with the engine."""
    with SupervisedEngine("parakeet", tmp_path) as engine:

        def build(why_not: str = "", **care: Any):
            settings = Settings(upstreams={"ear": {"kind": "parakeet", "url": engine.url}}, deep_health=care)
            return serving(create_app(settings, restarters={"ear": Nurse(engine, why_not)}))

        yield build


def test_status_is_a_table(run):
    ended = run("status")
    lines = ended.output.splitlines()

    assert ended.exit_code == 0
    assert lines[0] == "Both engines are working."
    assert [line.split()[1:4] for line in lines[3:5]] == [
        ["parakeet", "speech-to-text", "healthy"],
        ["magpie", "text-to-speech", "healthy"],
    ]
    assert max(map(len, lines)) <= 80


def test_status_is_json_for_programs(run):
    assert len(json.loads(run("status", "--json").output)["upstreams"]) == 2


def test_so_is_whatever_else_there_is_to_tell(gateway_with):
    with gateway_with() as gateway:
        run = typed_to(str(gateway.base_url))

        def told(*words: str) -> Any:
            return json.loads(run(*words, "--json").stdout)

        assert told("probe", "magpie")["last_probe"]["passed"] is True
        assert told("maintenance", "magpie", "on")["maintenance"] is True
        assert told("drain", "magpie", "on")["drained"] is True
        assert told("incidents") == {"incidents": []}
        (here,) = told("machine")["machines"]
        assert here["local"] is True


def test_a_failed_probe_is_no_success_for_programs_either(gateway_with, parakeet):
    with gateway_with() as gateway:
        parakeet.fault = BROKEN
        ended = typed_to(str(gateway.base_url))("probe", "parakeet", "--json")

    assert ended.exit_code == 1
    assert json.loads(ended.stdout)["last_probe"]["passed"] is False


def test_the_machine_is_shown(run):
    lines = run("machine").output.splitlines()

    assert "  this machine" in lines[0]
    assert any(line.startswith("  memory  ") for line in lines)
    assert max(map(len, lines)) <= 80


def test_colour_is_for_terminals_and_for_those_who_want_it(run):
    assert "\x1b[" not in run("status").output
    assert "\x1b[32m" in run("status", color=True).output
    assert "\x1b[" not in run("status", color=True, env={"NO_COLOR": "1"}).output


def test_a_probe_tells_what_came_of_it(run):
    ended = run("probe", "magpie")

    assert ended.exit_code == 0
    assert ended.output.startswith("magpie did real work in ")


def test_a_failed_probe_is_no_success(gateway_with, parakeet):
    with gateway_with() as gateway:
        parakeet.fault = BROKEN
        ended = typed_to(str(gateway.base_url))("probe", "parakeet")

    assert ended.exit_code == 1
    assert "parakeet failed its canary: status 500, CUBLAS_STATUS_EXECUTION_FAILED." in ended.output


@pytest.mark.parametrize(
    "command", [("probe",), ("restart",), ("restart", "--force"), ("maintenance", "on"), ("drill", "wedge")]
)
def test_an_unknown_name_is_told_with_those_that_are_known(run, command):
    rest = list(command[1:])
    ended = run(command[0], *(["wedge", "nobody"] if rest == ["wedge"] else ["nobody", *rest]))

    assert ended.exit_code == 1
    assert "There is no engine 'nobody'; those of this gateway: parakeet, magpie." in ended.output


def test_a_name_cannot_lead_elsewhere(run):
    assert run("probe", "../../v1/models?").exit_code == 1


def test_a_restart_is_watched_until_it_works_again(gateway_over):
    with gateway_over() as url:
        httpx.post(f"{url}/api/upstreams/ear/probe", timeout=30)
        ended = typed_to(url)("restart", "ear")
        again = json.loads(typed_to(url)("restart", "ear", "--json").stdout)

    assert again["state"] == "healthy"
    assert again["budget"]["left"] == 1
    assert ended.exit_code == 0, ended.output
    steps = [line[12:].split()[0] for line in ended.output.splitlines()]
    assert (steps[0], steps[-2]) == ("restarting", "healthy")
    assert "Speech-to-text is working. That took " in ended.output


def test_a_restart_that_does_not_help_is_no_success(gateway_over, monkeypatch):
    monkeypatch.setattr("spark_control.supervision.recovery._LATER", 0.05)
    with gateway_over("systemd does not know ear.service", restart_limit=1) as url:
        httpx.post(f"{url}/api/upstreams/ear/probe", timeout=30)
        httpx.post(f"{url}/api/upstreams/ear/fault", json={"fault": "w1"})
        ended = typed_to(url)("restart", "ear")

    assert ended.exit_code == 1
    assert "spark-control: Speech-to-text does not work, and the gateway cannot mend it." in ended.output


def test_what_may_not_be_restarted_is_not(run):
    ended = run("restart", "magpie")

    assert ended.exit_code == 1
    assert "No way to restart magpie is configured." in ended.output


def test_an_engine_is_drained_and_used_again(gateway_with):
    with gateway_with() as gateway:
        run = typed_to(str(gateway.base_url))
        assert run("drain", "magpie", "on").output == "magpie gets no new requests, and has none left.\n"
        assert "Drained: it gets no new requests." in run("status").output
        refused = gateway.post("/v1/audio/speech", json={"input": "Hello"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "service_drained")
        assert run("drain", "magpie", "off").output == "magpie gets requests again.\n"
        assert gateway.post("/v1/audio/speech", json={"input": "Hello"}).status_code == 200


def test_maintenance_is_switched(gateway_with):
    with gateway_with() as gateway:
        run = typed_to(str(gateway.base_url))
        assert run("maintenance", "magpie", "on").output == (
            "magpie is in maintenance: it is watched, but not restarted.\n"
        )
        assert "In maintenance" in run("status").output
        assert run("maintenance", "magpie", "off").output == "magpie is looked after again.\n"


def test_incidents_are_listed_and_each_can_be_read(gateway_over):
    with gateway_over() as url:
        run = typed_to(url)
        assert run("incidents").output == "Nothing has gone wrong yet.\n"
        httpx.post(f"{url}/api/upstreams/ear/probe", timeout=30)
        httpx.post(f"{url}/api/upstreams/ear/fault", json={"fault": "w1"})
        httpx.post(f"{url}/api/upstreams/ear/probe", timeout=30)
        eventually(lambda: httpx.get(f"{url}/api/incidents").json()["incidents"][0]["closed"], within=30)
        row = run("incidents").output.splitlines()[1]
        told = run("incidents", row.split()[0]).output
        for_programs = json.loads(run("incidents", row.split()[0], "--json").output)

    assert for_programs["verdict"] == "sticky"
    assert "  ear             sticky  " in row
    assert told.startswith("ear: sticky, over after ")
    assert "  healthy         a canary passed" in told.splitlines()[-1]


def test_an_incident_that_never_was_is_told(run):
    ended = run("incidents", "inc_none")

    assert ended.exit_code == 1
    assert "There is no incident 'inc_none'" in ended.output


@pytest.mark.parametrize(
    "command",
    [["status"], ["status", "--watch"], ["incidents"], ["machine"], ["probe", "a"], ["drill", "wedge", "a"]],
)
def test_without_a_gateway_the_cure_is_told(command):
    ended = typed_to(f"http://127.0.0.1:{unused_port()}")(*command)

    assert ended.exit_code == 1
    assert "start one with `spark-control serve`" in ended.output


def test_something_else_at_that_address_is_told(upstreams):
    for command in ("status", "incidents", "machine"):
        ended = typed_to(upstreams["magpie"]["url"])(command)
        assert ended.exit_code == 1
        assert "not as a gateway does" in ended.output


def test_they_are_commands_of_the_program(gateway, tmp_path):
    said = spark_control("--help", folder=tmp_path).stdout
    for name in COMMANDS:
        assert f"\n  {name} " in said
    ended = spark_control("status", "--gateway", str(gateway.base_url), folder=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_terminal_of_another_alphabet_gets_its_table_too(gateway, tmp_path):
    at = ("--gateway", str(gateway.base_url))
    ended = spark_control("status", *at, folder=tmp_path, PYTHONIOENCODING="latin-1")

    assert ended.returncode == 0, ended.stderr
    assert "? parakeet " in ended.stdout


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_real_terminal_gets_colour_unless_it_says_no(gateway, tmp_path, no_color):
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        subprocess.run(
            [*COMMAND, "status", "--gateway", str(gateway.base_url)],
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": no_color, "TERM": "xterm"},
            stdout=theirs,
            check=True,
            timeout=60,
        )
        os.close(theirs)
        assert (b"\x1b[32m" in screen.read(65536)) is not bool(no_color)


def test_status_does_not_wait_for_ever_for_a_service_that_does_not_come_up(monkeypatch):
    monkeypatch.setattr("spark_control.gateway_client._GLANCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as held:  # as systemd holds it
        asked = ["status", "--gateway", f"http://127.0.0.1:{held.getsockname()[1]}"]
        ended = CliRunner().invoke(main, asked)

    assert ended.exit_code == 1
    assert "does not answer" in ended.output
