"""A real systemd's unit and a real Docker's container are recognised behind their ports."""

from __future__ import annotations

import subprocess

from spark_control.keepers import Containers, Keeper, control_groups, keeper, keepers
from tests.conftest import need
from tests.live import eventually
from tests.real.machines.docker import Container, dockerd
from tests.real.machines.systemd import Unit, booted


def port_of(engine: Unit | Container) -> int:
    return int(engine.url.rpartition(":")[2])


def as_nobody(port: int) -> Keeper:
    """What a user who may do nothing is told."""
    changed = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    asked = [*changed, need("ss", "iproute2"), "-Hltn", "--cgroup"]
    sockets = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return keeper(port, control_groups(sockets)[port], Containers(told=False), 65534)


def test_the_unit_of_an_engine_is_recognised():
    with booted() as machine:
        unit = Unit(machine)
        eventually(lambda: keepers([port_of(unit)], {})[port_of(unit)].restart, within=20)
        found = keepers([port_of(unit)], {})[port_of(unit)]

        assert found.words == "the unit parakeet.service"
        assert found.restart
        assert found.restart.model_dump(exclude_unset=True) == unit.restart
        assert as_nobody(port_of(unit)) == found


def test_the_container_of_an_engine_is_recognised():
    with dockerd() as docker:
        container = Container(docker)
        asked = {"DOCKER_HOST": f"unix://{docker.socket}"}
        eventually(lambda: keepers([port_of(container)], asked)[port_of(container)].restart, within=20)
        found = keepers([port_of(container)], asked)[port_of(container)]

        assert found.words == "the container parakeet"
        assert found.restart
        assert found.restart.model_dump(exclude_unset=True) == container.restart
        assert as_nobody(port_of(container)).words == "a container; this user may not ask Docker which"
