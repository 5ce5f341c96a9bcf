"""The image and the demo of deploy/docker in a real Docker: healthy, of use, cured of a wedge, and calm in the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from spark_control.supervision.canaries import CLIP
from tests.conftest import need
from tests.fakes.supervised import port_of_its_own
from tests.live import eventually
from tests.real.machines import image
from tests.real.machines.compose import container, services
from tests.real.machines.docker import BARE, Docker, dockerd, shown
from tests.real.machines.engine import ROOT

DEPLOY = ROOT / "deploy" / "docker"
STATE = "state:/var/lib/spark-control"
OURS = ("gateway", "magpie", "parakeet")
OFTEN = 1_000_000_000
"""Nanoseconds between two health checks: a second."""


@dataclass
class House:
    """The demo, with ports of its own."""

    docker: Docker
    gateway: str
    engine: str
    proxy: str

    def health(self, name: str) -> str:
        return str(self.docker.state(name)["Health"]["Status"])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    nginx = need("nginx", "nginx-light")
    folder = tmp_path_factory.mktemp("image")
    with dockerd(layers=True) as docker:
        demo = services(DEPLOY / "compose.demo.yaml")
        gateway = demo["gateway"]
        image.build(docker, folder, gateway["image"], gateway["build"]["args"]["EXTRAS"])
        ports = {name: port_of_its_own() for name in demo}
        places = {"state": "state", "/var/run/docker.sock": str(docker.socket), **_files(folder, ports)}
        for name, service in demo.items():
            settings = container(service, places)
            if service["image"].startswith("nginx"):  # this machine's instead, which is not in an image
                settings["Image"] = BARE
                settings["Entrypoint"][0] = nginx
                settings["HostConfig"]["Binds"] += shown(["/usr", "/lib", "/lib64", "/bin", "/etc"])
            else:
                _on(ports[name], settings)
            docker.start(service.get("container_name", name), settings)
        house = House(
            docker,
            gateway=f"http://127.0.0.1:{ports['gateway']}",
            engine=f"http://127.0.0.1:{ports['parakeet']}",
            proxy=f"http://127.0.0.1:{ports['docker-socket-proxy']}",
        )
        eventually(lambda: all(house.health(name) == "healthy" for name in OURS), within=60)
        yield house


def _files(folder: Path, ports: dict[str, int]) -> dict[str, str]:
    """The files that the demo mounts, with the addresses where its parts are here."""
    listened = {"magpie": 9000, "parakeet": 5092, "docker-socket-proxy": 2375}
    places = {}
    for name in ("demo.toml", "socket-proxy.conf"):
        text = (DEPLOY / name).read_text()
        for service, port in listened.items():
            text = text.replace(f"//{service}:{port}", f"//127.0.0.1:{ports[service]}")
        written = folder / name
        written.write_text(text.replace("listen 2375;", f"listen 127.0.0.1:{ports['docker-socket-proxy']};"))
        written.chmod(0o644)
        places[f"./{name}"] = str(written)
    return places


def _on(port: int, settings: dict[str, Any]) -> None:
    """Have it listen, and be asked how it is, on a port of its own and on loopback, which here all of them share."""
    if "Cmd" in settings:
        settings["Cmd"] = [*settings["Cmd"][:2], "--port", str(port), "--faults"]
        test = settings["Healthcheck"]["Test"]
        settings["Healthcheck"]["Test"] = [
            each.replace("9000", str(port)).replace("5092", str(port)) for each in test
        ]
    else:
        settings["Env"] = [f"SPARK_CONTROL_PORT={port}", "SPARK_CONTROL_HOST=127.0.0.1"]
    settings.setdefault("Healthcheck", {})["Interval"] = OFTEN


def test_the_demo_is_healthy_and_speaks_and_hears(house: House) -> None:
    assert {house.health(name) for name in OURS} == {"healthy"}

    sentence = "Please turn on the lights in the kitchen."
    spoken = httpx.post(
        f"{house.gateway}/v1/audio/speech",
        json={"model": "tts-1", "input": sentence, "voice": "alloy"},
        timeout=60,
    )
    heard = httpx.post(
        f"{house.gateway}/v1/audio/transcriptions", files={"file": ("a.mp3", spoken.content)}, timeout=60
    )

    assert spoken.headers["content-type"] == "audio/mpeg"
    assert "kitchen" in heard.json()["text"]


def test_it_is_nobody_in_particular_and_can_write_nothing_but_its_state(house: House) -> None:
    tried = """
import os, pathlib
for folder in ("/", "/opt/spark-control", "/etc/spark-control", "/var/lib/spark-control", "/tmp"):
    try:
        pathlib.Path(folder, "written").touch()
        print(folder, "yes")
    except OSError as exc:
        print(folder, exc.strerror)
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/1/status").read_text().splitlines())
print(os.getuid(), *(status[name].strip() for name in ("CapBnd", "NoNewPrivs")))
"""
    assert house.docker.ran("gateway", "python3", "-c", tried).split("\r\n")[:-1] == [
        "/ Read-only file system",
        "/opt/spark-control Read-only file system",
        "/etc/spark-control Read-only file system",
        "/var/lib/spark-control yes",
        "/tmp yes",  # noqa: S108 (the container's)
        "10001 0000000000000000 1",
    ]


def test_a_wedged_engine_is_restarted_through_the_socket_proxy_and_nobody_notices(house: House) -> None:
    eventually(lambda: _heard(house).is_success, within=60)
    before, began = _heard(house).json(), house.docker.state("parakeet")["StartedAt"]
    httpx.post(f"{house.engine}/control/fault", json={"fault": "w1"}).raise_for_status()

    assert _heard(house).json() == before
    assert house.docker.state("parakeet")["StartedAt"] != began
    (incident,) = json.loads(
        house.docker.ran("gateway", "spark-control", "incidents", "--json", "--gateway", house.gateway)
    )["incidents"]
    assert (incident["service"], incident["restarts"], incident["failed"]) == ("parakeet", 1, 0)


def _heard(house: House) -> httpx.Response:
    return httpx.post(f"{house.gateway}/v1/audio/transcriptions", files={"file": ("a.wav", CLIP)}, timeout=90)


REQUESTS = [
    ("GET", "/version", 200),
    ("GET", "/containers/magpie/json", 200),
    ("GET", "/v1.41/containers/magpie/json", 200),
    ("GET", "/containers/gateway/json", 403),
    ("POST", "/containers/gateway/restart", 403),
    ("GET", "/containers/magpie/restart", 403),
    ("POST", "/containers/magpie/json", 403),
    ("POST", "/containers/magpie/stop", 403),
    ("POST", "/containers/magpie/exec", 403),
    ("POST", "/containers/create", 403),
    ("POST", "/containers/create/../magpie/stop", 403),
    ("POST", "/containers/magpie/json/../../create", 403),
    ("POST", "/containers/gateway%2F..%2Fmagpie/stop", 403),
    ("GET", "/containers/create/../magpie/json", 200),  # Docker is asked for what has matched
    ("GET", "/containers/magpie/json/../../gateway/json", 403),
    ("GET", "/containers/magpie/../gateway/json", 403),
    ("GET", "/v1.41/containers/magpie%2f..%2fgateway/json", 403),
    ("DELETE", "/containers/magpie", 403),
    ("GET", "/containers/magpie/archive?path=/etc", 403),
    ("GET", "/containers/json", 403),
    ("GET", "/v1.41/images/json", 403),
    ("GET", "/v1.41/../containers/json", 403),
    ("POST", "/version", 403),
    ("GET", "/", 403),
]


def test_the_socket_proxy_lets_just_these_through(house: House) -> None:
    for method, path, status in REQUESTS:
        asking = HTTPConnection(house.proxy.removeprefix("http://"))  # httpx would tidy the path
        asking.request(method, path)
        assert asking.getresponse().status == status, f"{method} {path}"
        asking.close()


def test_a_key_made_in_a_container_of_its_own_holds_in_the_gateway(house: House) -> None:
    gateway = services(DEPLOY / "compose.demo.yaml")["gateway"] | {"volumes": [STATE], "restart": "no"}
    settings = container(gateway, {"state": "state"}) | {"Cmd": ["key", "add", "kitchen"]}
    house.docker.start("once", settings)
    eventually(lambda: not house.docker.state("once")["Running"], within=30)

    assert "sk-spark-" in house.docker.log("once").decode()
    assert "kitchen" in house.docker.ran("gateway", "spark-control", "key", "list")


def test_docker_stop_lets_an_answer_finish(house: House) -> None:
    """The last test of this file: the gateway is gone after it."""
    text = "The kettle is on, and dinner will be ready in about ten minutes. " * 60
    asked = {"model": "tts-1", "input": text, "voice": "alloy", "response_format": "pcm"}
    with (
        ThreadPoolExecutor(1) as docker,
        httpx.stream("POST", f"{house.gateway}/v1/audio/speech", json=asked, timeout=60) as answer,
    ):
        pieces = answer.iter_raw()
        first = next(pieces)
        stopped = docker.submit(house.docker.ask, "POST", "/containers/gateway/stop")
        eventually(lambda: httpx.get(f"{house.gateway}/readyz").status_code == 503)
        rest = b"".join(pieces)  # httpx raises if it is cut

        assert stopped.result().status_code == 204
    assert len(first) + len(rest) > 48_000 * 60
    assert house.docker.state("gateway")["ExitCode"] == 0
