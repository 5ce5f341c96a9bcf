"""What runs an engine, read from what `ss` and Docker tell."""

from __future__ import annotations

import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.keepers import Containers, Keeper, containers_at, control_groups, is_here, keeper
from spark_control.settings import RestartSettings
from tests.strangers import OK, answering, said

ID = "3f" * 32
DOCKER = Containers(by_id={ID: "parakeet"}, by_port={9000: "magpie"})
SOCKETS = f"""\
LISTEN 0      2048       127.0.0.1:5092       0.0.0.0:*    cgroup:/system.slice/parakeet.service
LISTEN 0      128          0.0.0.0:22         0.0.0.0:*    cgroup:/system.slice/ssh.service
LISTEN 0      128             [::]:8000          [::]:*    cgroup:/system.slice/docker-{ID}.scope
LISTEN 0      128 192.168.1.20%eth0:53        0.0.0.0:*    cgroup:unreachable:9f2
LISTEN 0      128        127.0.0.1:8080       0.0.0.0:*    cgroup:/system.slice/a.service
LISTEN 0      128     192.168.1.20:8080       0.0.0.0:*    cgroup:/system.slice/b.service
LISTEN 0      4096               *:9000             *:*    cgroup:/system.slice/docker.service
"""


def test_ss_tells_the_control_group_of_each_port():
    groups = control_groups(SOCKETS)

    assert groups[5092] == ("/system.slice/parakeet.service",)
    assert groups[8000] == (f"/system.slice/docker-{ID}.scope",)
    assert groups[8080] == ("/system.slice/a.service", "/system.slice/b.service")
    assert 53 not in groups


@pytest.mark.parametrize(
    ("group", "restart"),
    [
        ("/system.slice/parakeet.service", {"systemd": "parakeet.service"}),
        ("/system.slice/system-nim.slice/nim@magpie.service", {"systemd": "nim@magpie.service"}),
        ("/system.slice/a\\x2db.service/worker", {"systemd": "a\\x2db.service"}),
        ("/user.slice/user-1000.slice/user@1000.service/tts.service", {"systemd": "tts.service", "user": True}),
        (f"/system.slice/docker-{ID}.scope", {"docker": "parakeet"}),
        (f"/docker/{ID}", {"docker": "parakeet"}),
        (f"/docker/{ID}/system.slice/inner.service", {"docker": "parakeet"}),
        (f"/system.slice/docker-{'ab' * 32}.scope", None),
        ("/user.slice/user-1001.slice/user@1001.service/app.slice/tts.service", None),
        ("/user.slice/user-1000.slice/user@1000.service/init.scope", None),
        ("/user.slice/user-1000.slice/session-3.scope", None),
        ("/system.slice/nginx.service", None),
        ("/system.slice/docker.service", None),
        ("/init.scope", None),
        ("/", None),
    ],
)  # fmt: skip
def test_a_control_group_tells_how_the_engine_in_it_is_restarted(group, restart):
    found = keeper(5092, [group, group], DOCKER, 1000).restart

    assert found == (RestartSettings(**restart) if restart else None)


def test_the_container_that_publishes_the_port_comes_before_docker_s_own_listener():
    assert keeper(9000, ["/system.slice/docker.service"], DOCKER, 1000).restart == RestartSettings(
        docker="magpie"
    )


def test_two_that_listen_at_one_port_are_not_told_apart():
    assert keeper(8080, control_groups(SOCKETS)[8080], DOCKER, 1000) == Keeper("")


@pytest.mark.parametrize("group", ["/system.slice/docker.service", f"/docker/{ID}"])
def test_who_may_not_ask_docker_is_told_that_it_is_a_container(group):
    found = keeper(8000, [group], Containers(told=False), 1000)

    assert found == Keeper("a container; this user may not ask Docker which")


def test_docker_tells_which_container_publishes_a_port():
    magpie = {"PrivatePort": 8000, "PublicPort": 9000, "Type": "tcp"}
    others = [{"PrivatePort": 1, "PublicPort": 7, "Type": "udp"}, {"PrivatePort": 2, "Type": "tcp"}]
    listed = [
        {"Id": ID, "Names": ["/magpie"], "Ports": [magpie]},
        {"Id": "ab" * 32, "Names": ["/others"], "Ports": others},
    ]
    body = json.dumps(listed).encode()
    with answering(said(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)) as (port, asked):
        host = f"tcp://127.0.0.1:{port}"
        containers = containers_at(host)

    assert asked[0].startswith(b"GET /containers/json ")
    assert containers == Containers(host, {ID: "magpie", "ab" * 32: "others"}, {9000: "magpie"})
    assert keeper(9000, (), containers, 0).restart == RestartSettings(docker="magpie", host=host)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[1]", b'[{"Id": 1}]', b'[{"Id": [], "Names": ["/a"], "Ports": []}]', b"\xff"]
)
def test_what_answers_in_docker_s_place_is_not_believed(body):
    with answering(said(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)) as (port, _):
        assert containers_at(f"tcp://127.0.0.1:{port}").by_port == {}


@pytest.mark.parametrize(
    "host", ["unix:///nowhere/docker.sock", "ssh://me@spark-1", "tcp://127.0.0.1:1", "", "tcp://["]
)
def test_without_docker_there_are_no_containers(host):
    assert containers_at(host) == Containers(host, told=False)


@given(st.text(), st.lists(st.text(), max_size=2), st.integers(0, 70000))
def test_no_control_group_makes_a_restart_that_does_not_hold(sockets, groups, port):
    control_groups(sockets)
    found = keeper(port, groups, DOCKER, 1000)

    assert found.words or found.restart is None


def test_only_a_machine_s_own_addresses_are_here():
    assert is_here("127.0.0.1")
    assert is_here("localhost")
    assert not is_here("192.0.2.1")


def test_a_name_that_is_unknown_is_not_here(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert not is_here("spark-9")
