"""The gateway is killed in the middle of a restart: what was spent stays spent, and the engine is looked after."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.fakes.supervised import SupervisedEngine
from tests.live import eventually
from tests.processes import Serving, serve
from tests.sounds import wav
from tests.wedges import upstreams_of

pytestmark = pytest.mark.alone


def settings_file(folder: Path, engine: SupervisedEngine) -> Path:
    """Care whose restarts only count themselves: the engine stays wedged."""
    note = f"open({str(folder / 'restarts')!r}, 'a').write('once\\n'); import time; time.sleep(1.5)"
    path = folder / "settings.toml"
    path.write_text(
        f"""
        [upstreams.parakeet]
        kind = "parakeet"
        url = "{engine.url}"
        restart = {{ command = [{sys.executable!r}, "-c", {note!r}] }}

        [deep_health]
        interval = 1
        startup_grace = 1
        """
    )
    return path


def restarts(folder: Path) -> int:
    path = folder / "restarts"
    return len(path.read_text().splitlines()) if path.exists() else 0


def left(gateway: Serving) -> int:
    return int(upstreams_of(gateway.url)[0]["budget"]["left"])


def state(gateway: Serving) -> str:
    return str(upstreams_of(gateway.url)[0]["state"])


def ask(url: str) -> None:
    with suppress(httpx.HTTPError):
        httpx.post(f"{url}/v1/audio/transcriptions", files={"file": ("a.wav", wav(0.3))}, timeout=30)


def test_a_gateway_killed_in_the_middle_of_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    with SupervisedEngine("parakeet", tmp_path) as engine:
        arguments = ("--config", str(settings_file(tmp_path, engine)))
        with serve(tmp_path, *arguments) as gateway:
            eventually(lambda: state(gateway) == "healthy", within=20)
            engine.wedge("w1")
            asking = threading.Thread(target=ask, args=(gateway.url,))
            asking.start()
            eventually(lambda: restarts(tmp_path) == 1, within=20)
            gateway.end(signal.SIGKILL)
            asking.join()

        with serve(tmp_path, *arguments) as gateway:
            assert left(gateway) <= 2
            eventually(lambda: state(gateway) == "given up", within=40)
            assert restarts(tmp_path) == 3
            assert left(gateway) == 0
            engine.restart(0)
            eventually(lambda: state(gateway) == "healthy", within=20)
            assert restarts(tmp_path) == 3
            (latest,) = httpx.get(f"{gateway.url}/api/incidents?limit=1").json()["incidents"]
            assert latest["closed"]


def test_a_store_has_one_gateway(tmp_path: Path) -> None:
    with SupervisedEngine("parakeet", tmp_path) as engine:
        arguments = ("--config", str(settings_file(tmp_path, engine)))
        with serve(tmp_path, *arguments):
            from tests.processes import spark_control

            second = spark_control(
                "serve",
                "--port",
                "0",
                *arguments,
                folder=tmp_path,
                SPARK_CONTROL_STATE=str(tmp_path / "state"),
            )
    assert second.returncode == 1
    assert "another" in second.stderr.lower()
