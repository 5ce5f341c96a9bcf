"""`spark-control init`, as a person meets it: what it finds, asks and writes."""

from __future__ import annotations

import os
import pty
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from spark_control.init_command import init
from spark_control.settings_file import load_settings
from tests.live import unused_port
from tests.processes import COMMAND, serve, spark_control
from tests.test_access import SPEECH
from tests.test_discover import port_of, served
from tests.upstreams.known_answers import KNOWN

__all__ = ["served"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch, magpie, parakeet):
    """On a machine without Docker, where nobody may know what runs the tests, and whose engines are well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    monkeypatch.setattr("spark_control.keepers._SOCKETS", ("true",))


def run(*arguments):
    """Exit status, stdout, stderr; without a terminal."""
    ended = CliRunner().invoke(init, [str(each) for each in arguments], catch_exceptions=False)
    return ended.exit_code, ended.stdout, ended.stderr


def typed(folder, *arguments, answers):
    """What a person sees who answers so, on a terminal."""
    ours, theirs = pty.openpty()
    asked = subprocess.Popen(
        [*COMMAND, "init", *arguments], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
        seen = b""
        with suppress(OSError):  # a terminal's end, once nobody has it open
            while chunk := os.read(ours, 65536):
                seen += chunk
        return asked.wait(60), seen.decode()
    finally:  # also when it asks for more, and waits for ever
        asked.kill()
        asked.wait()
        os.close(ours)


def settings(name="spark-control.toml"):
    return load_settings(Path(name), {})


def test_engines_that_are_found_stand_in_the_file(upstreams, tmp_path):
    places = [upstreams[name]["url"] for name in ("magpie", "parakeet")]
    status, told, complaint = run(*places)

    assert (status, complaint) == (0, "")
    assert {name: f"{str(each.url).rstrip('/')}" for name, each in settings().upstreams.items()} == {
        "magpie": places[0],
        "parakeet": places[1],
    }
    assert settings().host == "127.0.0.1"
    assert "  magpie: only watched, since nothing says how it is restarted" in told
    assert "  spark-control check   # whether all of it holds" in told
    assert (tmp_path / "spark-control.toml").stat().st_mode & 0o777 == 0o644


def test_a_gateway_starts_with_what_init_has_written_and_check_finds_no_fault_there(upstreams, tmp_path):
    spark_control("init", upstreams["magpie"]["url"], folder=tmp_path)
    elsewhere = {"SPARK_CONTROL_PORT": "0", "SPARK_CONTROL_STATE": str(tmp_path / "state")}

    assert spark_control("check", folder=tmp_path, **elsewhere).returncode == 0
    with serve(tmp_path) as gateway, gateway.client() as client:
        gateway.wait_until_ready()
        assert client.post("/v1/audio/speech", json=SPEECH).status_code == 200


def test_the_unit_that_runs_an_engine_is_how_it_is_restarted(upstreams, monkeypatch):
    url = upstreams["parakeet"]["url"]
    listens = f"LISTEN 0 128 127.0.0.1:{port_of(url)} 0.0.0.0:* cgroup:/system.slice/parakeet.service"
    monkeypatch.setattr("spark_control.keepers._SOCKETS", ("echo", listens))
    status, told, _ = run(url)

    assert status == 0
    assert settings().upstreams["parakeet"].restart.systemd == "parakeet.service"
    assert "parakeet: restarted as the unit parakeet.service" in told


def test_a_file_that_is_there_is_left_alone(upstreams, tmp_path):
    (tmp_path / "spark-control.toml").write_text("port = 1\n")
    status, told, complaint = run(upstreams["magpie"]["url"])

    assert (status, told) == (1, "")
    assert complaint == (
        "spark-control: spark-control.toml is there already; `--force` writes over it, and `--output` names another\n"
    )
    assert settings().port == 1

    status, *_ = run(upstreams["magpie"]["url"], "--force")
    assert (status, list(settings().upstreams)) == (0, ["magpie"])
    assert [each.name for each in tmp_path.iterdir()] == ["spark-control.toml"]


def test_a_link_that_leads_nowhere_is_not_followed(upstreams, tmp_path):
    (tmp_path / "spark-control.toml").symlink_to(tmp_path / "elsewhere")
    status, *_ = run(upstreams["magpie"]["url"])

    assert status == 1
    assert not (tmp_path / "elsewhere").exists()


def test_another_file_can_be_named_and_the_next_steps_name_it_too(upstreams):
    status, told, _ = run(upstreams["magpie"]["url"], "--output", "house.toml")

    assert (status, list(settings("house.toml").upstreams)) == (0, ["magpie"])
    assert "spark-control serve --config house.toml" in told


def test_a_folder_that_is_not_there_is_told(upstreams):
    status, _, complaint = run(upstreams["magpie"]["url"], "--output", "gone/house.toml")

    assert status == 1
    assert complaint == "spark-control: gone/house.toml cannot be written: No such file or directory\n"


def test_an_engine_that_wants_a_key_makes_the_file_its_owner_s_alone(served, tmp_path):
    [port] = served(KNOWN["vllm with a key"][0])
    status, told, _ = run(f"127.0.0.1:{port}")

    assert status == 0
    assert "It wants a key" in told
    assert (tmp_path / "spark-control.toml").stat().st_mode & 0o777 == 0o600


def test_a_host_that_was_named_and_has_no_engine_makes_no_file(tmp_path):
    status, _, complaint = run(f"127.0.0.1:{unused_port()}")

    assert status == 1
    assert complaint.startswith("spark-control: no engine was found there, so nothing was written.")
    assert list(tmp_path.iterdir()) == []


def test_with_no_engine_at_all_the_gateway_brings_its_own(monkeypatch):
    monkeypatch.setattr("spark_control.discover.USUAL_PORTS", (unused_port(),))
    status, told, _ = run()

    assert status == 0
    assert "It names no engine, so the gateway brings its own" in told
    assert settings().upstreams == {}


def test_what_is_no_host_is_refused():
    assert run("--", "spark;1") == (
        1,
        "",
        "spark-control: 'spark;1' is not a host, such as spark-1 or 192.168.1.20:8000\n",
    )


def test_a_person_chooses_engines_restarts_and_who_comes_in(upstreams, tmp_path):
    places = [upstreams[name]["url"] for name in ("magpie", "parakeet")]
    answers = ["n", "y", "restart it", "systemd parakeet.service", "y"]
    status, seen = typed(tmp_path, *places, answers=answers)

    assert status == 0, seen
    assert "Error: `docker parakeet`, `systemd parakeet.service` and `no` are answers" in seen
    assert "spark-control key add NAME" in seen
    [(name, parakeet)] = settings().upstreams.items()
    assert (name, parakeet.restart.systemd) == ("parakeet", "parakeet.service")
    assert settings().host == "0.0.0.0"  # noqa: S104 (a comparison)


def test_on_a_terminal_another_host_can_be_named(upstreams, tmp_path):
    answers = [f"127.0.0.1:{port_of(upstreams['magpie']['url'])}", "", "docker magpie", ""]
    status, seen = typed(tmp_path, f"127.0.0.1:{unused_port()}", answers=answers)

    assert status == 0, seen
    assert "No engine is there. On which host do yours run?" in seen
    assert settings().upstreams["magpie"].restart.docker == "magpie"
    assert settings().host == "127.0.0.1"


def test_a_person_may_have_none_of_them(upstreams, tmp_path):
    status, seen = typed(tmp_path, upstreams["magpie"]["url"], answers=["n", "n"])

    assert status == 0, seen
    assert settings().upstreams == {}


def test_a_person_who_knows_no_other_host_gets_a_file_too(tmp_path):
    status, seen = typed(tmp_path, f"127.0.0.1:{unused_port()}", answers=["", "n"])

    assert status == 0, seen
    assert settings().upstreams == {}


def test_who_says_yes_beforehand_is_asked_nothing(upstreams, tmp_path):
    status, seen = typed(tmp_path, upstreams["magpie"]["url"], "--yes", answers=[])

    assert status == 0
    assert "?" not in seen
    assert list(settings().upstreams) == ["magpie"]
