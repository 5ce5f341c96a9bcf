"""Engines that do not end or begin as they should, on real systemd and real Docker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from spark_control.settings import RestartSettings
from spark_control.supervision.restarters import RestartFailed, build_restarter
from tests.real.machines.docker import Docker, dockerd
from tests.real.machines.systemd import Machine, booted

BEGAN = "ExecMainStartTimestampMonotonic"
STUBBORN = "sh -c \"trap '' TERM; touch {ready}; while :; do sleep 0.1; done\""


@pytest.fixture(scope="module")
def house() -> Iterator[Machine]:
    with booted() as machine:
        yield machine


@pytest.fixture
def machine(house: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """One whose systemctl is on the PATH."""
    monkeypatch.setenv("PATH", house.path())
    return house


@pytest.fixture(scope="module")
def docker() -> Iterator[Docker]:
    with dockerd() as docker:
        yield docker


def restart(**settings: Any) -> None:
    asyncio.run(build_restarter(RestartSettings(**settings)).restart())


def why_not(**settings: Any) -> str:
    with pytest.raises(RestartFailed) as caught:
        restart(**settings)
    return str(caught.value)


def test_a_unit_that_does_not_say_when_it_is_ready_has_been_restarted_nonetheless(machine: Machine) -> None:
    """Ready is when a canary passes; a model may load for longer than a restart may take."""
    machine.unit(
        "mute.service", "[Service]\nType=notify\nExecStart=sleep infinity\nTimeoutStartSec=infinity\n"
    )

    restart(systemd="mute.service", timeout=1)

    assert machine.shown("mute.service", "ActiveState") == "activating"


def test_a_unit_that_does_not_end_has_not_been_restarted_until_systemd_kills_it(machine: Machine) -> None:
    ready = machine.folder / "ready"
    machine.unit(
        "stubborn.service", f"[Service]\nExecStart={STUBBORN.format(ready=ready)}\nTimeoutStopSec=3\n"
    )
    machine.run("systemctl", "start", "stubborn.service")
    machine.run("sh", "-c", f"until [ -e {ready} ]; do sleep 0.05; done")
    began = machine.shown("stubborn.service", BEGAN)

    assert why_not(systemd="stubborn.service", timeout=1) == (
        "systemd did not restart stubborn.service in 1 s; it may hang in the driver"
    )
    assert machine.shown("stubborn.service", BEGAN) == began
    restart(systemd="stubborn.service", timeout=60)
    assert machine.shown("stubborn.service", BEGAN) != began


@pytest.mark.parametrize("what", ["test.target", "errand.service"])
def test_a_unit_without_a_process_is_no_engine_s(machine: Machine, what: str) -> None:
    machine.unit("errand.service", "[Service]\nType=oneshot\nExecStart=true\n")

    assert why_not(systemd=what) == f"{what} has no process of its own; name the unit that runs the engine"


def test_a_container_that_is_paused_runs_again(docker: Docker) -> None:
    docker.run("paused", ["sleep", "600"], ["/usr", "/lib", "/lib64", "/bin"], StopSignal="SIGKILL")
    docker.ask("POST", "/containers/paused/pause")

    restart(docker="paused", host=f"unix://{docker.socket}")

    state = docker.state("paused")
    assert (state["Running"], state["Paused"]) == (True, False)
