"""`spark-control serve` as a process: its embedded engines, its signals, its end."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from pathlib import Path

import httpx
import pytest

from tests.fakes.faults import Slow
from tests.live import eventually
from tests.processes import children, lives, serve, spark_control

SPEECH = {"input": "The train leaves at noon.", "voice": "alloy", "response_format": "wav"}


def test_without_an_upstream_it_brings_its_own_engines_and_says_so(tmp_path):
    with serve(tmp_path) as gateway:
        assert gateway.process.stdout is not None
        said = [gateway.process.stdout.readline() for _ in range(3)]
        assert "embedded CPU engines" in said[0]
        assert "magpie at http://127.0.0.1:" in said[1]
        assert "parakeet at http://127.0.0.1:" in said[2]
        with gateway.client() as client:
            assert client.get("/healthz").status_code == 200
            assert client.post("/v1/audio/speech", json=SPEECH).content.startswith(b"RIFF")
            assert [each["id"] for each in client.get("/v1/models").json()["data"]] == [
                "pocketsphinx",
                "espeak-ng",
            ]


def test_the_default_address_is_loopback(tmp_path):
    with serve(tmp_path) as gateway:
        assert "http://127.0.0.1:" in gateway.said


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_its_engines_with_it(tmp_path, sig):
    with serve(tmp_path) as gateway:
        gateway.wait_until_ready()
        engines = children(gateway.process.pid)
        assert len(engines) >= 2
        assert gateway.end(sig) == 0

    eventually(lambda: not any(map(lives, engines)))


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_ctrl_c_in_a_terminal_ends_it_without_alarms(tmp_path):
    """A terminal sends the signal to every process of the group."""
    with serve(tmp_path, new_group=True) as gateway:
        gateway.wait_until_ready()
        os.killpg(gateway.process.pid, signal.SIGINT)
        assert gateway.process.wait(20) == 0

    assert "died" not in (tmp_path / "log").read_text()


def test_the_demo_brings_its_own_engines_whatever_the_settings_say(tmp_path, upstreams):
    settings_file(tmp_path, upstreams)
    with serve(tmp_path, "--config", "settings.toml", "--demo") as gateway, gateway.client() as client:
        assert client.get("/v1/models/tts-1").json()["id"] == "espeak-ng"


def test_kill_9_takes_the_engines_along(tmp_path):
    with serve(tmp_path) as gateway:
        gateway.wait_until_ready()
        engines = children(gateway.process.pid)
        gateway.end(signal.SIGKILL)

    eventually(lambda: not any(map(lives, engines)))


def test_an_engine_that_dies_is_started_again_and_requests_wait_for_it(tmp_path):
    with serve(tmp_path) as gateway, gateway.client() as client:
        gateway.wait_until_ready()
        for engine in children(gateway.process.pid):
            os.kill(engine, signal.SIGKILL)
        eventually(lambda: (tmp_path / "log").read_text().count("embedded engine died") == 2)

        assert client.post("/v1/audio/speech", json=SPEECH).status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_taken_port_is_told_in_a_sentence_with_who_has_it(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = spark_control("serve", "--port", port, folder=tmp_path)

    assert ended.returncode == 1
    who = Path("/proc/self/comm").read_text().strip()
    assert ended.stderr == (
        f"spark-control: cannot listen on 127.0.0.1 port {port}: it is taken by {who}, process {os.getpid()}; "
        f"kill {os.getpid()}, or name another port with --port\n"
    )


def settings_file(folder, upstreams) -> str:
    tables = [
        f"[upstreams.{name}]\nkind = '{each['kind']}'\nurl = '{each['url']}'\n"
        for name, each in upstreams.items()
    ]
    path = folder / "settings.toml"
    path.write_text("\n".join(tables))
    return str(path)


def test_answers_under_way_are_finished_while_new_work_is_turned_away(tmp_path, upstreams, magpie):
    with serve(tmp_path, "--config", settings_file(tmp_path, upstreams)) as gateway:
        gateway.wait_until_calm()
        magpie.fault = Slow(after=1000)
        got: list[httpx.Response] = []
        with gateway.client() as client, gateway.client() as other:
            speaking = threading.Thread(
                target=lambda: got.append(client.post("/v1/audio/speech", json=SPEECH))
            )
            speaking.start()
            assert magpie.fault.arrived.wait(10)
            gateway.process.send_signal(signal.SIGTERM)
            eventually(lambda: other.get("/readyz").status_code == 503)
            assert other.get("/readyz").json()["error"]["code"] == "draining"
            refused = other.post("/v1/audio/speech", json=SPEECH)
            magpie.fault.released.set()
            speaking.join(20)

        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "service_unavailable")
        assert refused.headers["retry-after"] == "5"
        assert got[0].status_code == 200
        assert len(got[0].content) == int(got[0].headers["content-length"])
        assert gateway.process.wait(20) == 0


def test_a_second_signal_does_not_wait(tmp_path, upstreams, magpie):
    magpie.fault = Slow(after=1000)
    with (
        serve(tmp_path, "--config", settings_file(tmp_path, upstreams)) as gateway,
        gateway.client() as client,
        client.stream("POST", "/v1/audio/speech", json=SPEECH),
    ):
        gateway.process.send_signal(signal.SIGINT)
        with gateway.client() as other:
            eventually(lambda: other.get("/readyz").status_code == 503)
        assert gateway.end(signal.SIGINT) == 1
