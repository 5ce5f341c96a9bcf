"""The recipes of docs/restarts.md, as they stand there: they allow the restart, and not the next thing to try."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from spark_control.settings import RestartSettings
from spark_control.supervision.restarters import RestartFailed, build_restarter
from tests.conftest import need
from tests.live import eventually, unused_port
from tests.real.machines.docker import dockerd
from tests.real.machines.engine import ROOT
from tests.real.machines.ssh import spark
from tests.real.machines.systemd import Machine, booted

USER = "spark-control"
SLEEPS = "[Service]\nExecStart=sleep infinity\n"


def recipe(language: str) -> str:
    """The only piece of that language on the page."""
    page = (ROOT / "docs" / "restarts.md").read_text()
    (found,) = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    return str(found)


def restart(**settings: Any) -> None:
    asyncio.run(build_restarter(RestartSettings(**settings)).restart())


def rehearsed(**settings: Any) -> str:
    return asyncio.run(build_restarter(RestartSettings(**settings)).rehearse())


def why_not(trial: Callable[..., object] = restart, **settings: Any) -> str:
    with pytest.raises(RestartFailed) as caught:
        trial(**settings)
    return str(caught.value)


@pytest.fixture
def machine() -> Iterator[Machine]:
    need("/usr/lib/polkit-1/polkitd", "polkitd")
    with booted() as machine:
        machine.run("useradd", "--system", "--user-group", USER)
        machine.run("systemctl", "start", "polkit.service")
        for unit in ("parakeet.service", "magpie.service"):
            machine.unit(unit, f"StartLimitIntervalSec=1h\nStartLimitBurst=1\n{SLEEPS}")
            machine.run("systemctl", "start", unit)
        yield machine


def test_the_polkit_rule_is_for_one_unit(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    path = machine.path(USER)
    monkeypatch.setenv("PATH", path)
    refused = "systemd does not let this user restart {}; docs/restarts.md has the rule that does"

    for trial in (restart, rehearsed):
        assert why_not(trial, systemd="parakeet.service") == refused.format("parakeet.service")
    rules = machine.folder / "rules"
    rules.write_text(recipe("js"))
    machine.run("cp", str(rules), "/etc/polkit-1/rules.d/50-spark-control.rules")
    eventually(lambda: is_allowed(path), within=20)

    began = machine.shown("parakeet.service", "ExecMainStartTimestampMonotonic")
    assert rehearsed(systemd="parakeet.service").endswith("this user may restart it")
    assert machine.shown("parakeet.service", "ExecMainStartTimestampMonotonic") == began
    restart(systemd="parakeet.service")
    assert machine.shown("parakeet.service", "ExecMainStartTimestampMonotonic") != began
    assert why_not(systemd="magpie.service") == refused.format("magpie.service")
    stop = ["systemctl", "--no-ask-password", "stop", "parakeet.service"]
    assert subprocess.run(stop, env={"PATH": path}, capture_output=True, check=False).returncode == 1


def test_a_unit_of_the_gateway_s_own_user_needs_no_right(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = machine.path(USER)
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/its-own")
    assert "the systemd of this user cannot be reached" in why_not(systemd="own.service", user=True)

    machine.manager_of(USER, "/run/its-own", {"own.service": SLEEPS})
    shown = ["systemctl", "--user", "show", "--property=MainPID", "own.service"]
    before = subprocess.run(shown, capture_output=True, check=True).stdout
    restart(systemd="own.service", user=True)
    assert subprocess.run(shown, capture_output=True, check=True).stdout not in (before, b"MainPID=0\n")


def is_allowed(path: str) -> bool:
    """Whether polkit has read the rule, which it does soon."""
    asked = ["systemctl", "--no-ask-password", "reset-failed", "parakeet.service"]
    return subprocess.run(asked, env={"PATH": path}, capture_output=True, check=False).returncode == 0


def test_the_proxy_is_for_one_container_and_two_requests() -> None:
    with dockerd() as docker:
        for name in ("parakeet", "magpie"):
            docker.run(name, ["sleep", "600"], ["/usr", "/lib", "/lib64", "/bin"], StopSignal="SIGKILL")
        began = docker.state("parakeet")["StartedAt"]
        with nginx(docker.socket) as port:
            host = f"tcp://127.0.0.1:{port}"
            restart(docker="parakeet", host=host)
            assert docker.state("parakeet")["StartedAt"] != began
            assert "does not allow" in why_not(docker="magpie", host=host)
            for method, path in [
                ("POST", "/containers/create"),
                ("POST", "/containers/parakeet/exec"),
                ("POST", "/containers/parakeet/json"),
                ("POST", "/containers/create/../parakeet/stop"),
                ("DELETE", "/containers/parakeet"),
                ("GET", "/containers/json"),
                ("GET", "/containers/parakeet/archive?path=/etc"),
                ("GET", "/v1.41/images/json"),
            ]:
                answer = httpx.request(method, f"http://127.0.0.1:{port}{path}")
                assert answer.status_code == 403, f"{method} {path}"


@contextmanager
def nginx(socket: Path) -> Iterator[int]:
    """One with the page's server, but for its port and for where the socket is."""
    program = need("nginx", "nginx-light")
    port, folder = unused_port(), socket.parent
    server = (
        recipe("nginx")
        .replace("127.0.0.1:2375", f"127.0.0.1:{port}")
        .replace("/var/run/docker.sock", str(socket))
    )
    where = "".join(
        f"{each}_temp_path {folder};" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"user root; pid {folder}/nginx.pid; daemon off; events {{}} http {{ access_log off; {where} {server} }}"
    )
    process = subprocess.Popen([program, "-e", "stderr", "-c", str(folder / "nginx.conf")])
    try:
        eventually(lambda: answers(port))
        yield port
    finally:
        process.terminate()
        process.wait()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}").status_code == 403
    except httpx.TransportError:
        return False


def test_the_key_restarts_and_does_nothing_else() -> None:
    with spark() as there:
        before = there.pid()
        for asked in ("restart-parakeet", "cat /etc/hostname; id", ""):
            ran = subprocess.run(
                there.ssh("gateway", asked), capture_output=True, text=True, timeout=60, check=False
            )
            assert (ran.returncode, ran.stdout) == (0, f"restarted, and {asked or 'nothing'} was asked for\n")
            assert there.pid() != before
            before = there.pid()
        tunnel = [*there.ssh("gateway")[:-1], "-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:9"]
        refused = subprocess.run(tunnel, capture_output=True, text=True, timeout=60, check=False)
        assert "remote port forwarding failed" in refused.stderr
        assert there.pid() == before
