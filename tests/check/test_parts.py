"""The doctor's looks at ports, disks, clock, GPU and rights, each with what may be met there."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from spark_control.check.access import check_access, service_user
from spark_control.check.clock import check_clock, kernel_says
from spark_control.check.disk import check_state
from spark_control.check.findings import Finding, Level
from spark_control.check.gpu import check_machines
from spark_control.check.ports import check_port
from spark_control.check.restarts import check_restarts
from spark_control.keys import Key, KeyFile, digest_of
from spark_control.port_holders import Holder, holder_of
from spark_control.settings import Settings
from tests.conftest import need_root
from tests.fakes.docker import FakeDocker, docker_socket
from tests.tiny_disk import disk, on_a_disk_of_its_own

__all__ = ["disk"]

ROOT = Path(__file__).parents[2]
NOW = 1_800_000_000.0


def port(host: str, number: int) -> Finding:
    (found,) = asyncio.run(check_port(host, number))
    return found


def test_a_port_that_is_taken_names_the_process_that_has_it(upstreams):
    number = urlsplit(upstreams["magpie"]["url"]).port
    found, holder = port("127.0.0.1", number), holder_of(number)

    assert holder
    assert holder.pid == os.getpid()
    assert found.level is Level.WRONG
    assert f"process {os.getpid()}" in found.text
    assert f"kill {os.getpid()}" in found.cure


def test_a_port_that_the_gateway_itself_has_is_as_it_should_be(gateway):
    found = port("127.0.0.1", gateway.base_url.port)

    assert found.level is Level.OK
    assert "a Spark Control is running there" in found.text


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_cannot_be_listened_on(host):
    found = port(host, 8090)

    assert found.level is Level.WRONG
    assert found.cure


def state(folder: Path, **settings: object) -> list[Finding]:
    return list(check_state(Settings.model_validate({"state": folder, **settings}), folder))


def test_a_folder_that_is_not_there_yet_is_no_fault_and_is_not_made(tmp_path):
    found = state(tmp_path / "a" / "b")

    assert all(each.level is Level.OK for each in found[:2])
    assert not (tmp_path / "a").exists()


def test_a_file_in_the_folders_place_is_one(tmp_path):
    (tmp_path / "state").write_text("")

    assert [each.level for each in state(tmp_path / "state")] == [Level.WRONG]


def test_a_database_that_is_none_is_doubtful_since_the_gateway_sets_it_aside(tmp_path):
    (tmp_path / "spark-control.db").write_bytes(b"garbage" * 30)
    (tmp_path / "spark-control.db.damaged-20260101T000000Z").write_bytes(b"garbage" * 30)
    tmp_path.chmod(0o700)
    found = state(tmp_path)

    assert [each.level for each in found[:3]] == [Level.WARN, Level.NOTE, Level.OK]
    assert "sets it aside" in found[0].text
    assert "rm " in found[1].cure


# It becomes nobody once it has read what nobody may not.
AS_NOBODY = """
import os, pwd, sys
from pathlib import Path
from spark_control.check.disk import check_state
from spark_control.settings import Settings
folder = Path(sys.argv[1])
settings = Settings.model_validate({"state": folder})
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
for each in check_state(settings, folder):
    print(each.level.name, each.cure)
"""


def test_a_state_folder_of_somebody_else_is_left_to_that_user():
    """In a process of its own: a user is changed for all threads, and some serve other tests."""
    need_root("give a folder away")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        os.chown(folder, 65533, 65533)
        ran = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, folder],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert (ran.stdout, ran.stderr) == ("NOTE sudo spark-control check\n", "")


@on_a_disk_of_its_own
def test_a_state_folder_on_a_disk_that_cannot_be_written_is_told(disk):
    disk.remount("ro")
    (found,) = state(disk.path / "state")

    assert found.level is Level.WRONG
    assert found.cure.startswith("sudo mount -o remount,rw ")


def test_a_disk_with_less_room_than_the_settings_take_is_doubtful(tmp_path):
    tmp_path.chmod(0o700)
    found = state(tmp_path, speech_cache={"max_bytes": 10**18})

    assert [each.level for each in found] == [Level.OK, Level.WARN, Level.OK]
    assert "speech_cache.max_bytes" in found[1].text


def access(folder: Path, **settings: object) -> list[Finding]:
    return list(check_access(Settings.model_validate(settings), folder))


def test_a_gateway_open_to_the_network_without_keys_is_foretold_not_to_start(tmp_path):
    (found,) = access(tmp_path, host="0.0.0.0")  # noqa: S104 (what is to be refused)

    assert found.level is Level.WRONG
    assert "spark-control key add" in found.cure


def test_with_a_key_it_is_fine(tmp_path):
    KeyFile(tmp_path).add(Key(name="a", digest=digest_of("a"), hint="a", created=0, admin=True))
    (found,) = access(tmp_path, host="0.0.0.0")  # noqa: S104 (with a key)

    assert (found.level, found.text) == (Level.OK, "1 key, 1 of them admin: everybody needs one.")


def test_open_to_everybody_is_doubtful(tmp_path):
    (found,) = access(tmp_path, host="0.0.0.0", access={"open": True})  # noqa: S104 (what is doubted)

    assert found.level is Level.WARN


@pytest.mark.parametrize(
    ("now", "synchronised", "level"),
    [
        (0.0, True, Level.WRONG),
        (1e12, True, Level.WRONG),
        (NOW, True, Level.OK),
        (NOW, False, Level.WARN),
        (NOW, None, Level.OK),
    ],
)
def test_the_clock(now, synchronised, level):
    assert check_clock(now, lambda: synchronised).level is level


def test_the_kernel_tells_of_its_clock():
    assert kernel_says() in (True, False, None)


def nvidia_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("does", "level", "said"),
    [
        ("exit 9", Level.WRONG, "not loaded"),
        ("exit 15", Level.WRONG, "lost"),
        ("echo 'NVIDIA GB10, 3, 95, 40, [N/A], [N/A]'", Level.WARN, "95 °C"),
        ("echo 'NVIDIA GB10, 3, 45, 40, [N/A], [N/A]'", Level.OK, "NVIDIA GB10 answers"),
    ],
)
def test_the_gpu(tmp_path, monkeypatch, does, level, said):
    nvidia_smi(tmp_path, monkeypatch, does)
    found = asyncio.run(check_machines(Settings()))[0]

    assert found.level is level
    assert said in found.text
    assert level is Level.OK or found.cure


def test_another_machine_that_does_not_answer_is_wrong():
    settings = Settings.model_validate({"machines": {"spark-2": {"command": ["false"]}}})
    found = asyncio.run(check_machines(settings))[-1]

    assert (found.level, found.subject) == (Level.WRONG, "machine spark-2")


def restarts(as_user: str | None = None, **restart: object) -> Finding:
    engine = {"kind": "magpie", "url": "http://127.0.0.1:9", "restart": restart or None}
    (found,) = asyncio.run(
        check_restarts(Settings.model_validate({"upstreams": {"a": engine}}), as_user=as_user)
    )
    return found


def test_an_engine_that_nobody_restarts_is_doubtful():
    assert restarts().level is Level.WARN


def test_a_container_is_looked_for_and_left_alone():
    fake = FakeDocker()
    fake.container("magpie")
    with docker_socket(fake) as host:
        there, missing = restarts(docker="magpie", host=host), restarts(docker="magpei", host=host)

    assert there.level is Level.OK
    assert missing.level is Level.WRONG
    assert "docker ps -a" in missing.cure
    assert all(each.startswith("GET ") for each in fake.asked)


def systemctl(folder: Path, monkeypatch: pytest.MonkeyPatch, *, show: str, reset: str = "exit 0") -> Path:
    program = folder / "systemctl"
    lines = ["#!/bin/sh", 'echo "$*" >>"$0.asked"', 'case "$*" in']
    program.write_text("\n".join([*lines, f"*reset-failed*) {reset};;", f"*show*) {show};;", "esac"]))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return program.with_suffix(".asked")


UNIT = "printf 'LoadState=loaded\\nType=simple\\nActiveState=%s\\n'"


def test_a_unit_is_looked_for_and_the_right_tried_without_a_restart(tmp_path, monkeypatch):
    asked = systemctl(tmp_path, monkeypatch, show=f"{UNIT} active")
    found = restarts(systemd="magpie.service")

    assert found.level is Level.OK
    assert not any(" restart " in line for line in asked.read_text().splitlines())


@pytest.mark.parametrize(
    ("show", "reset", "cure"),
    [
        ("echo LoadState=not-found", "exit 0", "list-units"),
        (f"{UNIT} active", "echo 'Access denied'; exit 1", "polkit"),
        ("echo 'Failed to connect to bus'; exit 1", "exit 0", "ssh recipe"),
        ("printf 'LoadState=loaded\\nType=oneshot\\n'", "exit 0", "systemctl status"),
    ],
)
def test_a_unit_that_cannot_be_restarted_comes_with_what_to_do(tmp_path, monkeypatch, show, reset, cure):
    systemctl(tmp_path, monkeypatch, show=show, reset=reset)
    found = restarts(systemd="magpie.service")

    assert found.level is Level.WRONG
    assert cure in found.cure


def test_a_unit_that_has_failed_is_not_touched(tmp_path, monkeypatch):
    asked = systemctl(tmp_path, monkeypatch, show=f"{UNIT} failed")
    found = restarts(systemd="magpie.service")

    assert "was not tried" in found.text
    assert "reset-failed" not in asked.read_text()


def test_a_program_without_the_right_to_be_run_and_a_key_that_is_not_there(tmp_path):
    script = tmp_path / "restart"
    script.write_text("#!/bin/sh\n")

    assert restarts(command=[str(script)]).cure == f"chmod +x {script}"
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\n")
    ssh.chmod(0o755)
    assert "the key" in restarts(command=[str(ssh), "-i", str(tmp_path / "none"), "spark-2"]).text


def test_root_tries_a_unit_with_the_rights_of_the_service(tmp_path, monkeypatch):
    asked = systemctl(tmp_path, monkeypatch, show=f"{UNIT} active")
    became = tmp_path / "setpriv"
    became.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/became\nshift 3\nexec "$@"\n')
    became.chmod(0o755)
    found = restarts("spark-control", systemd="magpie.service")

    assert found.level is Level.OK
    assert "reset-failed" in asked.read_text()
    became_whom = "--reuid=spark-control --regid=spark-control --init-groups"
    assert (tmp_path / "became").read_text().startswith(became_whom)


def test_a_socket_that_root_may_use_is_not_the_services_for_that():
    need_root("look at it for another")
    fake = FakeDocker()
    fake.container("magpie")
    with docker_socket(fake) as host:
        closed = Path(host.removeprefix("unix://"))
        closed.chmod(0o660)
        assert restarts(docker="magpie", host=host).level is Level.OK
        assert "may not use Docker's socket" in restarts("nobody", docker="magpie", host=host).text
        closed.chmod(0o666)
        assert restarts("nobody", docker="magpie", host=host).level is Level.OK


def test_a_service_that_does_not_come_up_is_not_told_to_be_killed(upstreams, monkeypatch):
    monkeypatch.setattr("spark_control.check.ports.holder_of", lambda _: Holder(1, "systemd"))
    found = port("127.0.0.1", urlsplit(upstreams["magpie"]["url"]).port)

    assert found.level is Level.WRONG
    assert "no gateway answers" in found.text
    assert "journalctl -u spark-control" in found.cure


def test_only_root_with_the_settings_of_the_service_tries_the_rights_of_its_user(monkeypatch):
    monkeypatch.setattr("spark_control.check.access.SERVICE_USER", "nobody")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert service_user("/etc/spark-control/spark-control.toml") == "nobody"
    assert service_user("spark-control.toml") is None
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert service_user("/etc/spark-control/spark-control.toml") is None
