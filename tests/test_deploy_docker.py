"""The compose files hold to the schema of Compose, and all that lies in `deploy/docker` means the same containers.

`tests/real/test_image.py` runs what is here.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spark_control.settings import Settings
from spark_control.settings_file import load_settings
from spark_control.supervision.restarters import build_restarter
from tests.real.machines.compose import services

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy" / "docker"
HOUSES = {"compose.yaml": "settings/spark-control.toml", "compose.demo.yaml": "demo.toml"}
PROXY = (DEPLOY / "socket-proxy.conf").read_text()

house = pytest.mark.parametrize("name", sorted(HOUSES))


def settings_of(name: str) -> Settings:
    """What the gateway of a compose file is told."""
    return load_settings(DEPLOY / HOUSES[name], {})


def is_valid(*files: Path) -> bool:
    """What Compose's own schema says of them."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    return subprocess.run([*command, *files], capture_output=True, check=False, timeout=60).returncode == 0


def test_the_compose_files_hold_to_the_schema_of_compose(tmp_path):
    assert is_valid(*(DEPLOY / name for name in HOUSES))

    misspelt = tmp_path / "compose.yaml"
    misspelt.write_text((DEPLOY / "compose.yaml").read_text().replace("stop_grace_period:", "stop_grace:"))
    assert not is_valid(misspelt)


@house
def test_every_engine_is_a_service_and_is_restarted_as_the_container_it_is(name):
    there = services(DEPLOY / name)
    for engine in settings_of(name).upstreams.values():
        assert engine.restart
        service = there[str(engine.url.host)]
        assert service["container_name"] == engine.restart.docker
        assert engine.restart.host.removeprefix("tcp://").partition(":")[0] in there
        assert build_restarter(engine.restart).kind == "docker"


@house
def test_the_socket_proxy_lets_through_just_these_engines(name):
    restarted = {each.restart.docker for each in settings_of(name).upstreams.values() if each.restart}
    for named in re.findall(r"/containers/\((?:\?<name>)?([^)]*)\)", PROXY):
        assert set(named.split("|")) == restarted


@house
def test_nobody_but_the_proxy_has_dockers_socket_and_only_the_gateway_reaches_it(name):
    there = services(DEPLOY / name)
    having = {service for service, told in there.items() if "docker.sock" in str(told.get("volumes"))}
    near = {service for service, told in there.items() if "restarts" in told["networks"]}
    assert all(service.startswith("docker-socket-proxy") for service in having)
    assert near - having == {"gateway"}


@house
def test_everything_comes_back_and_fills_no_disk_and_what_is_ours_has_no_rights(name):
    for service, told in services(DEPLOY / name).items():
        assert (told["restart"], told["logging"]) == ("unless-stopped", {"driver": "local"}), service
        if not re.search("nvcr|open-webui", told["image"]):
            assert (told["read_only"], told["cap_drop"]) == (True, ["ALL"]), service
            assert told["security_opt"] == ["no-new-privileges:true"], service
        assert not told.get("privileged"), service


@house
def test_docker_waits_longer_than_the_gateway_drains(name):
    waits = services(DEPLOY / name)["gateway"]["stop_grace_period"]
    assert float(waits.removesuffix("s")) > settings_of(name).drain + 1


@house
def test_only_the_gateway_that_asks_for_keys_is_open_to_the_network(name):
    published = {
        service: port for service, told in services(DEPLOY / name).items() for port in told.get("ports", [])
    }
    public = {service for service, port in published.items() if not port.startswith("127.0.0.1:")}
    assert public == (set() if settings_of(name).access.open else {"gateway"})


def test_open_webui_is_told_what_its_page_says():
    page = (ROOT / "docs" / "clients" / "open-webui.md").read_text()
    documented = dict(re.findall(r"^([A-Z_]+)=(.*)$", page, re.MULTILINE))
    told: dict[str, Any] = services(DEPLOY / "compose.yaml")["open-webui"]["environment"]

    assert {name: told.get(name) for name in documented} == {
        name: value.replace("HOST", "gateway").replace("anything", "${OPEN_WEBUI_KEY:-}")
        for name, value in documented.items()
    }


def test_the_image_gets_the_sources_and_nothing_else():
    """What is not let in again after `*` does not reach the builder, keys and state included."""
    lines = [each for each in (ROOT / ".dockerignore").read_text().splitlines() if not each.startswith("#")]
    assert lines[0] == "*"
    assert [each for each in lines if each.startswith("!")] == [
        "!spark_control",
        "!pyproject.toml",
        "!README.md",
        "!LICENSE",
    ]
