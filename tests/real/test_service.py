"""The gateway as a service of a real systemd: it comes, it stays, it is exchanged under load, and it goes."""

from __future__ import annotations

import json
import random
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import need
from tests.fakes.magpie import FakeMagpie
from tests.fakes.parakeet import FakeParakeet
from tests.live import eventually, serving
from tests.real.machines.engine import ROOT
from tests.real.machines.network import ELSEWHERE, HERE, network
from tests.real.machines.service import Service
from tests.real.machines.ssh import spark
from tests.real.machines.systemd import Machine, booted
from tests.sounds import wav
from tests.test_access import with_key

CLIENTS = 3
RECORDING = wav(0.5)


def engines(**named: str) -> str:
    return "\n".join(
        f'[upstreams.{name}]\nkind = "{name}"\nurl = "{url}"\nrestart = {{ systemd = "{name}.service" }}'
        for name, url in named.items()
    )


@contextmanager
def ready_for_a_service() -> Iterator[Machine]:
    need("useradd", "passwd")
    with booted() as machine:
        machine.run("systemctl", "start", "sysinit.target", "multi-user.target", "network.target")
        machine.run("systemctl", "start", "systemd-journald.socket")
        yield machine


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    need("/usr/lib/polkit-1/polkitd", "polkitd")
    with ready_for_a_service() as machine:
        machine.run("systemctl", "start", "polkit.service")
        for unit in ("parakeet.service", "magpie.service"):
            machine.unit(unit, "[Service]\nExecStart=sleep infinity\n")
            machine.run("systemctl", "start", unit)
        yield machine


@pytest.fixture(scope="module")
def heard() -> Iterator[str]:
    with serving(FakeParakeet().app) as url:
        yield url


@pytest.fixture(scope="module")
def spoken() -> Iterator[str]:
    with serving(FakeMagpie().app) as url:
        yield url


@pytest.fixture(scope="module")
def _installed(machine: Machine, heard: str) -> Iterator[Service]:
    service = Service(machine, engines(parakeet=heard))
    service.get("7.0.1")
    service.before = everything(machine)
    service.install()
    yield service
    service.runs("uninstall-service", "--yes")


@pytest.fixture
def service(_installed: Service) -> Service:
    """The gateway as it was installed; a test that leaves it otherwise asks for `changing`."""
    _installed.wait_until_healthy()
    return _installed


@pytest.fixture
def changing(service: Service) -> Iterator[Service]:
    yield service
    service.restore()


class Crowd:
    """Clients that ask and ask, and what went wrong for any of them."""

    def __init__(self, url: str) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self.over = threading.Event()
        self._url = url

    def keep_asking(self) -> None:
        """On one connection, as long as it is kept."""
        with httpx.Client(base_url=self._url, timeout=30) as client:
            self._ask_with(client.request)

    def ask_anew(self) -> None:
        """Each time on a new connection."""
        self._ask_with(
            lambda method, path, **what: httpx.request(method, f"{self._url}{path}", timeout=30, **what)
        )

    def _ask_with(self, request: Callable[..., httpx.Response]) -> None:
        upload = {"file": ("a.wav", RECORDING)}
        while not self.over.wait(random.uniform(0, 0.02)):
            for method, path, what in (
                ("POST", "/v1/audio/transcriptions", {"files": upload}),
                ("GET", "/v1/models", {}),
            ):
                try:
                    answer = request(method, path, **what)
                except httpx.HTTPError as exc:
                    self.failures.append(f"{path}: {exc!r}")
                else:
                    self.answered += 1
                    if answer.status_code != 200:
                        self.failures.append(f"{path}: {answer.status_code} {answer.text}")


@contextmanager
def crowd(url: str) -> Iterator[Crowd]:
    """None of them may have noticed anything."""
    asking = Crowd(url)
    with ThreadPoolExecutor(2 * CLIENTS) as people:
        for way in (asking.keep_asking, asking.ask_anew):
            for _ in range(CLIENTS):
                people.submit(way)
        try:
            eventually(lambda: asking.answered > 4 * CLIENTS, within=30)
            yield asking
            before = asking.answered
            eventually(lambda: asking.answered > before + 4 * CLIENTS, within=30)
        finally:
            asking.over.set()
    assert asking.failures == []


def test_it_runs_as_its_own_user_in_its_own_folders_after_each_boot(service: Service) -> None:
    run = service.machine.run
    pid = service.machine.shown("spark-control", "MainPID")
    assert run("ps", "-o", "user=", "-p", pid) == "spark-control"
    assert run("stat", "-c", "%U %a", "/var/lib/spark-control") == "spark-control 700"
    assert run("stat", "-c", "%U:%G %a", "/etc/spark-control/spark-control.toml") == "root:root 644"
    for unit in ("spark-control.service", "spark-control.socket"):
        assert run("systemctl", "is-enabled", unit) == "enabled"
    assert service.asked("/healthz") == {"status": "ok"}


def test_systemd_hears_again_and_again_that_it_lives(service: Service) -> None:
    """That its watchdog ends one that is stuck does not show it: so would it one that never says a word."""
    signs, restarts = set(), service.restarts()

    def heard_again() -> bool:
        signs.add(service.machine.shown("spark-control", "WatchdogTimestampMonotonic"))
        return len(signs) > 2

    eventually(heard_again, within=20)
    assert service.restarts() == restarts


def test_to_install_it_again_changes_nothing_and_asks_for_nothing(service: Service) -> None:
    assert service.runs("install-service", "--dry-run").splitlines() == [
        "run systemctl --quiet enable spark-control.socket spark-control.service",
        f"look whether 127.0.0.1 port {service.url.rpartition(':')[2]} is free",
        "run systemctl start spark-control.socket",
        "run systemctl restart spark-control.service",
    ]


def cures_for(service: Service, subject: str) -> list[str]:
    """What the doctor advises to do about it."""
    sections = json.loads(service.runs("check", "--json"))["sections"]
    findings = [finding for section in sections for finding in section["findings"]]
    return [finding["cure"] for finding in findings if finding["subject"] == subject]


def test_with_another_port_it_is_told_to_move_there_and_does(service: Service) -> None:
    before = service.url
    service.move()
    service.restore()
    assert httpx.get(f"{before}/healthz").status_code == 200
    assert cures_for(service, "spark-control.socket") == ["sudo spark-control install-service"]
    service.install()
    assert cures_for(service, "spark-control.socket") == []
    assert service.asked("/healthz") == {"status": "ok"}
    with pytest.raises(httpx.ConnectError):
        httpx.get(before)


def step(number: int) -> str:
    """The commands of a step of 'On your Spark' in the README, for a shell that is root's."""
    section = (ROOT / "README.md").read_text().partition("\n## On your Spark\n")[2]
    (commands,) = re.findall(rf"^{number}\..*?```sh\n(.*?)```", section, re.DOTALL | re.MULTILINE)[:1]
    return re.sub(r"\bsudo ", "", commands)


def typed(machine: Machine, folder: Path, commands: str, programs: Path) -> str:
    """What they say in that folder, where the shell finds these programs besides the system's."""
    path = f"PATH={programs}:/usr/sbin:/usr/bin:/sbin:/bin"
    return machine.run("env", path, "sh", "-e", "-c", f"exec 2>&1; cd {folder}; {commands}")


def test_open_to_the_network_it_is_not_started_without_a_key_and_then_lets_in_who_has_one(
    tmp_path: Path,
) -> None:
    """As the README has it, on a machine with a network of its own, where somebody can come from elsewhere."""
    with network(), serving(FakeParakeet().app) as heard, ready_for_a_service() as machine:
        service = Service(machine, f'host = "0.0.0.0"\n{engines(parakeet=heard)}')
        service.get("7.0.1")
        service.given(tmp_path / "spark-control.toml")
        assert "it is not started yet" in typed(machine, tmp_path, step(3), service.programs)
        assert machine.shown("spark-control.socket", "ActiveState") == "inactive"
        with pytest.raises(httpx.ConnectError):
            httpx.get(service.url)

        said = typed(machine, tmp_path, step(4), Path("/usr/local/bin"))
        keys = re.findall(r"^sk-spark-.*", said, re.MULTILINE)
        assert len(keys) == 3
        service.wait_until_healthy()
        port = httpx.URL(service.url).port
        for at, url in ((ELSEWHERE, f"http://{HERE}:{port}"), ("127.0.0.1", service.url)):
            from_there = httpx.HTTPTransport(local_address=at)
            with httpx.Client(base_url=url, transport=from_there, timeout=30) as client:
                answers = [
                    client.post(
                        "/v1/audio/transcriptions", files={"file": ("a.wav", RECORDING)}, headers=headers
                    )
                    for headers in ({}, *map(with_key, keys))
                ]
            assert [each.status_code for each in answers] == [401, 200, 200, 200]


def test_the_sandbox_has_what_the_embedded_engines_and_the_kernel_log_need(changing: Service) -> None:
    changing.write("")
    changing.machine.run("systemctl", "restart", "spark-control")
    changing.wait_until_healthy()
    text = {
        "model": "tts-1",
        "voice": "alloy",
        "input": "Please turn on the lights.",
        "response_format": "wav",
    }
    spoken = httpx.post(f"{changing.url}/v1/audio/speech", json=text, timeout=30)
    assert "turn on the lights" in transcribed(changing.url, spoken.content).json()["text"]
    assert "kernel log" not in changing.log()


def test_the_sandbox_lets_ssh_restart_an_engine_elsewhere(changing: Service, heard: str) -> None:
    home = "/var/lib/spark-control/.ssh"
    with spark() as there:
        changing.machine.run("install", "-d", "-o", "spark-control", "-m", "700", home)
        for file in ("gateway", "known_hosts"):
            changing.machine.run(
                "install", "-o", "spark-control", "-m", "600", str(there.folder / file), home
            )
        ssh = [each.replace(str(there.folder), home) for each in there.ssh("gateway")]
        changing.write(f'[upstreams.ear]\nkind = "parakeet"\nurl = "{heard}"\nrestart.command = {ssh}\n')
        changing.machine.run("systemctl", "restart", "spark-control")
        changing.wait_until_healthy()
        before = there.pid()
        httpx.post(f"{changing.url}/api/upstreams/ear/restart", json={}).raise_for_status()
        eventually(lambda: there.pid() != before, within=20)


def test_who_stops_the_address_stops_the_gateway_too(changing: Service) -> None:
    changing.machine.run("systemctl", "stop", "spark-control.socket")
    assert changing.machine.shown("spark-control", "ActiveState") == "inactive"
    with pytest.raises(httpx.ConnectError):
        changing.asked("/healthz")


def test_it_restarts_the_unit_that_the_settings_named_and_no_other(
    changing: Service, heard: str, spoken: str
) -> None:
    def began(unit: str) -> str:
        return changing.machine.shown(unit, "ExecMainStartTimestampMonotonic")

    parakeet, magpie = began("parakeet.service"), began("magpie.service")
    changing.runs("restart", "parakeet")
    assert began("parakeet.service") != parakeet

    changing.write(engines(parakeet=heard, magpie=spoken))  # and the rule is the old one
    changing.machine.run("systemctl", "restart", "spark-control")
    changing.wait_until_healthy()
    httpx.post(f"{changing.url}/api/upstreams/magpie/restart", json={}).raise_for_status()
    refused = "systemd does not let this user restart magpie.service"
    eventually(lambda: refused in str(changing.asked("/api/incidents")), within=20)
    assert began("magpie.service") == magpie


def test_a_reload_under_load_costs_nobody_a_request_and_is_obeyed(changing: Service, heard: str) -> None:
    with crowd(changing.url):
        for name, other in (("one", "two"), ("two", "one")):
            models = f'models = {{ strict = true, aliases = {{ {name} = "parakeet-tdt-0.6b-v3" }} }}'
            changing.write(f"{models}\n{engines(parakeet=heard)}")
            changing.machine.run("systemctl", "reload", "spark-control")
            told = [transcribed(changing.url, model=each).status_code for each in (name, other)]
            assert told == [200, 404]
    assert changing.restarts() == 0


def test_a_wrong_file_is_refused_by_reload_and_the_gateway_goes_on(changing: Service) -> None:
    pid = changing.machine.shown("spark-control", "MainPID")
    with crowd(changing.url):
        changing.write("nonsense = 1\n")
        with pytest.raises(AssertionError, match=r"Job for spark-control\.service failed"):
            changing.machine.run("systemctl", "reload", "spark-control")
        assert "nonsense is not a setting" in changing.log()
        changing.machine.run("systemctl", "kill", "--signal=HUP", "spark-control")
        eventually(lambda: "settings kept" in changing.log("warning"))
    assert "answered" in changing.log()
    assert "answered" not in changing.log("warning")
    assert changing.machine.shown("spark-control", "MainPID") == pid


def test_an_upgrade_under_load_costs_nobody_a_request(service: Service) -> None:
    assert service.asked("/openapi.json")["info"]["version"] == "7.0.1"
    service.get("7.0.2")
    with crowd(service.url):
        service.machine.run("systemctl", "restart", "spark-control")
        assert service.asked("/openapi.json")["info"]["version"] == "7.0.2"
    service.get("7.0.1")


@pytest.mark.parametrize(("lever", "said"), [("hang", "spark_control/serving.py"), ("die", "watcher died")])
def test_the_watchdog_ends_one_that_is_stuck_and_the_next_takes_over(
    changing: Service, lever: str, said: str
) -> None:
    changing.can_be_hurt()
    changing.wait_until_healthy()
    before, log = changing.restarts(), changing.log()
    changing.pull(lever)
    eventually(lambda: changing.restarts() > before, within=20)
    changing.wait_until_healthy()
    fresh = changing.log()[len(log) :]  # the journal has what other tests did, too
    assert "Fatal Python error: Aborted" in fresh  # the watchdog's signal, and what it was doing then
    assert said in fresh


def test_it_comes_back_however_it_ended_and_who_asks_meanwhile_waits(service: Service) -> None:
    service.machine.run("systemctl", "kill", "--signal=KILL", "spark-control")
    assert service.asked("/healthz") == {"status": "ok"}
    assert service.restarts() == 1


def transcribed(url: str, recording: bytes = RECORDING, **fields: str) -> httpx.Response:
    upload = {"file": ("a.wav", recording)}
    return httpx.post(f"{url}/v1/audio/transcriptions", files=upload, data=fields, timeout=30)


def everything(machine: Machine) -> set[str]:
    """What a service could leave: files, users, groups and units."""
    files = machine.run("find", "/etc", "/usr/local/bin", "/usr/local/sbin")
    states = machine.run("find", "/var/lib", "-maxdepth", "1")  # what lies deeper is the distribution's
    known = machine.run("cat", "/etc/passwd", "/etc/group")
    units = machine.run("systemctl", "list-units", "--all", "--plain", "--no-legend").splitlines()
    return {*f"{files}\n{states}\n{known}".splitlines(), *(line.split()[0] for line in units)}


def test_who_stops_the_socket_stops_the_gateway_and_a_taken_address_is_had_once_it_is_free(
    changing: Service,
) -> None:
    machine = changing.machine
    machine.run("systemctl", "stop", "spark-control.socket")
    assert machine.shown("spark-control.service", "ActiveState") == "inactive"
    address = httpx.URL(changing.url)
    with socket.create_server((address.host, address.port or 0)):
        machine.run("systemctl", "start", "--no-block", "spark-control")
        eventually(lambda: machine.shown("spark-control", "Result") == "exit-code", within=20)
        assert machine.shown("spark-control.socket", "ActiveState") == "failed"
    eventually(lambda: answers(changing.url), within=20)
    machine.run("systemctl", "restart", "spark-control")
    assert machine.shown("spark-control.socket", "ActiveState") == "active"


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").is_success
    except httpx.TransportError:
        return False


def test_sudo_finds_it_by_its_name(service: Service) -> None:
    named = ["env", "PATH=/usr/local/bin:/usr/bin:/bin", "sh", "-c"]
    assert "7.0." in service.machine.run(*named, "exec spark-control --version")
    assert "  sudo spark-control check " in service.install()


def test_it_leaves_nothing_behind(service: Service) -> None:
    service.runs("key", "add", "kitchen")
    service.runs("uninstall-service", "--yes")
    assert everything(service.machine) == service.before
    assert service.runs("uninstall-service") == "There is no service of Spark Control here."
    service.install()
