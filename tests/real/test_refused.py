"""What real systemd, real Docker and a real ssh say when they do not restart an engine, as the owner reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from spark_control.server import create_app
from spark_control.settings import RestartSettings, Settings
from spark_control.supervision.restarters import RestartFailed, build_restarter
from tests.fakes.supervised import SupervisedEngine
from tests.live import eventually, serving
from tests.real.machines.docker import Docker, dockerd
from tests.real.machines.ssh import Spark, spark
from tests.real.machines.systemd import Machine, booted
from tests.sounds import wav
from tests.wedges import upstreams_of

SLEEPS = "[Service]\nExecStart=sleep infinity\n"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with booted() as machine:
        yield machine


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    with dockerd() as docker:
        yield docker


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Spark]:
    with spark() as there:
        yield there


def restart(**settings: Any) -> None:
    asyncio.run(build_restarter(RestartSettings(**settings)).restart())


def why_not(**settings: Any) -> str:
    with pytest.raises(RestartFailed) as caught:
        restart(**settings)
    return str(caught.value)


def incident_of(folder: Path, how: dict[str, object]) -> dict[str, Any]:
    """What is on record after a wedge that could not be cured."""
    with SupervisedEngine("parakeet", folder) as engine:
        upstream = {"kind": "parakeet", "url": engine.url, "restart": how}
        settings = Settings(upstreams={"parakeet": upstream}, deep_health={"restart_limit": 1})
        with serving(create_app(settings)) as url:
            eventually(lambda: upstreams_of(url)[0]["state"] == "healthy")
            engine.wedge("w1")
            ask(url)
            eventually(lambda: upstreams_of(url)[0]["state"] == "given up", within=60)
            (incident,) = httpx.get(f"{url}/api/incidents").json()["incidents"]
            return dict(incident)


def ask(url: str) -> None:
    impatient = {"x-spark-patience": "0"}
    answer = httpx.post(
        f"{url}/v1/audio/transcriptions", files={"file": ("a.wav", wav(0.3))}, headers=impatient, timeout=30
    )
    assert answer.status_code == 503


def reasons(incident: dict[str, Any]) -> set[str]:
    return {entry["detail"] for entry in incident["timeline"] if entry["what"] == "restart failed"}


def test_a_container_that_is_not_there_is_named_in_the_incident(tmp_path: Path, docker: Docker) -> None:
    incident = incident_of(tmp_path, {"docker": "parrot", "host": f"unix://{docker.socket}"})

    assert reasons(incident) == {"Docker has no container parrot"}
    assert (incident["restarts"], incident["closed"]) == (1, None)


def test_a_key_that_is_refused_is_told_in_the_incident(tmp_path: Path, elsewhere: Spark) -> None:
    incident = incident_of(tmp_path, {"command": elsewhere.ssh("stranger")})

    (reason,) = reasons(incident)
    assert reason.startswith("ssh itself failed, and nothing was restarted: ")
    assert "Permission denied (publickey)" in reason


def test_a_far_machine_that_is_not_the_one_it_was_is_told(elsewhere: Spark) -> None:
    known = elsewhere.folder / "known_hosts"
    right = known.read_text()
    known.write_text(
        right.replace(right.split()[-2], (elsewhere.folder / "stranger.pub").read_text().split()[1])
    )
    try:
        assert "Host key verification failed" in why_not(command=elsewhere.ssh("gateway"))
    finally:
        known.write_text(right)


def test_a_unit_that_is_not_there_is_named(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", machine.path())

    assert why_not(systemd="parrot.service") == "systemd has no unit parrot.service"


def test_a_unit_that_is_masked_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine.folder / "units" / "masked.service").symlink_to("/dev/null")
    machine.run("systemctl", "daemon-reload")
    monkeypatch.setenv("PATH", machine.path())

    assert why_not(systemd="masked.service") == "systemd cannot use the unit masked.service: it is masked"


def test_a_unit_that_does_not_start_says_so(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.unit("broken.service", f"{SLEEPS}ExecStartPre=false\n")
    monkeypatch.setenv("PATH", machine.path())

    reason = why_not(systemd="broken.service")

    assert reason.startswith("systemd could not restart broken.service: Job for broken.service failed")


def test_systemd_s_own_limit_of_starts_is_lifted(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.unit("limited.service", f"StartLimitIntervalSec=1h\nStartLimitBurst=1\n{SLEEPS}")
    machine.run("systemctl", "start", "limited.service")
    began = machine.shown("limited.service", "ExecMainStartTimestampMonotonic")
    monkeypatch.setenv("PATH", machine.path())

    restart(systemd="limited.service")

    assert machine.shown("limited.service", "ExecMainStartTimestampMonotonic") != began
    assert machine.shown("limited.service", "ActiveState") == "active"


def test_a_container_whose_program_is_gone_says_so(docker: Docker) -> None:
    docker.ask(
        "POST", "/containers/create", params={"name": "empty"}, json={"Image": "bare:1", "Cmd": ["engine"]}
    )

    reason = why_not(docker="empty", host=f"unix://{docker.socket}")

    assert '"engine": executable file not found' in reason


def test_a_container_that_was_stopped_is_started(docker: Docker) -> None:
    docker.run("sleeper", ["sleep", "600"], ["/usr", "/lib", "/lib64", "/bin"], StopSignal="SIGKILL")
    docker.ask("POST", "/containers/sleeper/stop")

    restart(docker="sleeper", host=f"unix://{docker.socket}")

    assert docker.state("sleeper")["Running"]
