from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from spark_control.settings import RestartSettings
from spark_control.supervision.restarters import RestartFailed, build_restarter
from spark_control.supervision.restarters.docker import DockerRestarter
from tests.fakes.docker import FakeDocker, docker_port, docker_socket
from tests.fakes.supervised import ROOT, SupervisedEngine
from tests.live import serving, unused_port

SLOW_TO_DIE = "Cannot restart container parakeet: tried to kill container, but did not receive an exit event"


@pytest.fixture
def docker():
    fake = FakeDocker()
    fake.container("parakeet")
    return fake


@pytest.fixture(params=[docker_socket, docker_port], ids=["socket", "port"])
def host(request, docker):
    with request.param(docker) as where:
        yield where


@pytest.fixture
def only_host(docker):
    with docker_socket(docker) as where:
        yield where


def restart(host: str, name: str = "parakeet") -> None:
    asyncio.run(build_restarter(RestartSettings(docker=name, host=host)).restart())


def why_not(host: str, name: str = "parakeet") -> str:
    with pytest.raises(RestartFailed) as caught:
        restart(host, name)
    return str(caught.value)


def test_a_container_is_restarted_and_its_new_start_is_the_proof(host, docker):
    restart(host)

    assert docker.containers["parakeet"].started == 2
    assert docker.asked == [
        "GET /version",
        "GET /v1.44/containers/parakeet/json",
        "POST /v1.44/containers/parakeet/restart?t=10",
        "GET /v1.44/containers/parakeet/json",
    ]


def test_it_is_named_by_its_container(only_host):
    made = build_restarter(RestartSettings(docker="parakeet", host=only_host))

    assert (made.kind, made.what) == ("docker", "parakeet")


def test_a_proxy_that_keeps_the_version_to_itself_is_asked_without_one(host, docker):
    docker.tells_version = False
    restart(host)

    assert docker.asked[2] == "POST /containers/parakeet/restart?t=10"


def test_a_restart_that_was_only_said_to_be_done_is_none(host, docker):
    docker.lies = True

    assert why_not(host) == (
        "Docker says that parakeet was restarted, but it runs since 2026-01-01T00:00:00.000000001Z"
    )


def test_a_container_that_is_unknown_is_named(host):
    assert why_not(host, "parrot") == "Docker has no container parrot"


def test_a_name_is_no_path(docker, only_host):
    """Settings refuse such a name; the restarter would not be led astray by one either."""
    with pytest.raises(RestartFailed):
        asyncio.run(DockerRestarter("x/../parakeet", only_host, 60).restart())
    assert docker.containers["parakeet"].started == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_proxy_that_forbids_it_says_so(host, docker, method):
    docker.forbids = (method,)

    assert why_not(host) == (
        "the socket proxy does not allow to see and restart parakeet; docs/restarts.md has one that does"
    )


@pytest.mark.parametrize(
    ("status", "message", "sentence"),
    [
        (
            409,
            "Container 4f is marked for removal and cannot be started",
            "Docker cannot restart parakeet as it is now: Container 4f is marked for removal and cannot be started",
        ),
        (
            500,
            'failed to create shim: mkdir "/var/lib/docker/overlay2/4f": no space left on device',
            "Docker answered 500: failed to create shim: mkdir … no space left on device",
        ),
        (500, "registry said: Bearer abcdef expired", "Docker answered 500"),
    ],
)
def test_why_docker_could_not_is_told_without_its_paths_and_keys(
    only_host, docker, status, message, sentence
):
    docker.refusals = [(status, message)]

    assert why_not(only_host) == sentence


def test_one_that_was_slow_to_die_is_restarted_once_it_has(only_host, docker):
    docker.refusals = [(500, SLOW_TO_DIE)]
    restart(only_host)

    assert docker.containers["parakeet"].started == 2


def test_one_that_does_not_die_is_a_case_for_a_person(only_host, docker):
    docker.refusals = [(500, SLOW_TO_DIE)] * 2

    assert why_not(only_host) == (
        "parakeet survives being killed: it hangs in the driver, and its machine has to be booted"
    )


def test_a_restart_that_never_ends_is_given_up(only_host, docker):
    docker.hangs = True
    with pytest.raises(RestartFailed, match=r"^Docker did not restart parakeet in 0\.5 s"):
        asyncio.run(impatient(only_host).restart())


def impatient(host: str) -> DockerRestarter:
    """One whose time is not rounded up to what Docker itself may take."""
    made = DockerRestarter("parakeet", host, 0)
    made._within = 0.5
    return made


def test_a_socket_that_is_missing_is_told(tmp_path):
    assert why_not(f"unix://{tmp_path}/no.sock") == (
        "Docker's socket is not there; is Docker running, and is `host` right?"
    )


def test_a_port_where_nobody_answers_is_told():
    assert why_not(f"tcp://127.0.0.1:{unused_port()}") == (
        "nobody answers as Docker's API; is Docker running, and is `host` right?"
    )


def test_a_socket_that_is_not_for_this_user_is_told(only_host):
    """In a process of its own, which becomes nobody once it has read what nobody may not."""
    script = f"""
import asyncio, os, anyio._backends._asyncio
from spark_control.supervision.restarters.docker import DockerRestarter
if os.geteuid() == 0:
    os.seteuid(65534)
asyncio.run(DockerRestarter("parakeet", {only_host!r}, 60).restart())
"""
    Path(only_host.removeprefix("unix://")).chmod(0)
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert "RestartFailed: this user may not use Docker's socket; docs/restarts.md has" in ran.stderr


@pytest.mark.parametrize("body", ["<h1>Welcome</h1>", "[]", '{"State": {}}', '{"State": null}'])
def test_something_else_that_answers_is_not_taken_for_docker(body):
    async def answer(_):
        return PlainTextResponse(body)

    with serving(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])) as url:
        assert why_not(url) == "what answers at `host` is not Docker's API"


def test_something_that_is_no_http_server_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        threading.Thread(target=greet, args=(listening,), daemon=True).start()

        assert (
            why_not(f"tcp://127.0.0.1:{port}") == "what answers at `host` broke off, or does not speak HTTP"
        )


def greet(listening: socket.socket) -> None:
    client, _ = listening.accept()
    with client:
        client.sendall(b"220 mail.example ESMTP\r\n")
        client.recv(4096)


def test_what_it_restarts_can_be_real(tmp_path):
    with SupervisedEngine("parakeet", tmp_path) as engine:
        fake = FakeDocker(on_restart=lambda _: engine.restart(takes=0))
        fake.container("parakeet")
        before = engine.pid
        with docker_socket(fake) as host:
            restart(host)

        assert engine.pid != before
