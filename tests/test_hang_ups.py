"""SIGHUP: the settings are read again, and nothing ends."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spark_control.hang_ups import HangUps
from tests.fakes.faults import Slow
from tests.live import eventually
from tests.processes import Serving, serve
from tests.test_serving import settings_file

SPEECH = {"input": "The train leaves at noon.", "voice": "alloy", "response_format": "wav"}


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    before = {sig: signal.getsignal(sig) for sig in (signal.SIGHUP, signal.SIGTERM)}
    yield
    for sig, handler in before.items():
        signal.signal(sig, handler)


@pytest.fixture
def config(tmp_path, upstreams, magpie) -> Path:
    return Path(settings_file(tmp_path, upstreams))


def hang_up(gateway: Serving) -> None:
    gateway.process.send_signal(signal.SIGHUP)


def says(folder: Path, event: str) -> bool:
    return f'"event": "{event}"' in (folder / "log").read_text()


def test_what_came_while_nobody_could_act_is_made_up_for_once():
    calls: list[str] = []
    hang_ups = HangUps()
    hang_ups.watch()
    signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGHUP)
    with hang_ups.leading_to(lambda: calls.append("early")):
        assert calls == ["early"]
        signal.raise_signal(signal.SIGHUP)
        assert calls == ["early", "early"]
    signal.raise_signal(signal.SIGHUP)
    with hang_ups.leading_to(lambda: calls.append("late")):
        assert calls == ["early", "early", "late"]


def test_a_gateway_in_a_terminal_ends_with_it_and_not_before(monkeypatch):
    ended: list[Any] = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append("ended"))
    ours, its = os.openpty()
    with os.fdopen(its, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        hang_ups = HangUps()
        hang_ups.watch()
        with hang_ups.leading_to(lambda: ended.append("read again")):
            signal.raise_signal(signal.SIGHUP)
            assert ended == ["read again"]
            os.close(ours)
            signal.raise_signal(signal.SIGHUP)
            assert ended == ["read again", "ended"]


def test_a_service_reads_its_settings_again_and_keeps_them_if_the_new_ones_do_not_hold(tmp_path, config):
    with serve(tmp_path, "--config", str(config)) as gateway, gateway.client() as client:
        text = config.read_text()
        config.write_text(f"speech.max_characters = 5\n{text}")
        hang_up(gateway)
        eventually(lambda: client.post("/v1/audio/speech", json=SPEECH).status_code == 400)
        config.write_text(f"speech.max_charactres = 5000\n{text}")
        hang_up(gateway)
        eventually(lambda: says(tmp_path, "settings kept"))
        assert "did you mean speech.max_characters?" in (tmp_path / "log").read_text()
        assert client.post("/v1/audio/speech", json=SPEECH).status_code == 400
        assert gateway.end() == 0


def test_what_would_open_it_to_strangers_is_not_taken_over(tmp_path, config):
    text = config.read_text()
    config.write_text(f"access.open = true\n{text}")
    with serve(tmp_path, "--config", str(config), "--host", "0.0.0.0") as gateway:  # noqa: S104 (it is open on purpose)
        config.write_text(text)
        hang_up(gateway)
        eventually(lambda: says(tmp_path, "settings kept"))
        assert "is open to the network, and there are no keys" in (tmp_path / "log").read_text()


def test_neither_while_it_starts_nor_while_it_drains_does_it_end(tmp_path, config, magpie):
    with (
        socket.create_server(("127.0.0.1", 0)) as held,  # which is closed while it drains
        serve(tmp_path, "--config", str(config), sockets=[held]) as gateway,
        gateway.client() as client,
    ):
        hang_up(gateway)  # it has told where it will listen, and no more
        eventually(lambda: client.get("/readyz").status_code == 200)
        gateway.wait_until_calm()
        magpie.fault = Slow(after=1000)
        with client.stream("POST", "/v1/audio/speech", json=SPEECH) as spoken:
            gateway.process.send_signal(signal.SIGTERM)
            eventually(lambda: says(tmp_path, "draining"))
            hang_up(gateway)
            eventually(lambda: (tmp_path / "log").read_text().count('"settings read"') == 2)
            config.write_text("nonsense")
            hang_up(gateway)
            eventually(lambda: says(tmp_path, "settings kept"))
            magpie.fault.released.set()
            assert len(spoken.read()) == int(spoken.headers["content-length"])
        assert gateway.process.wait(20) == 0
