"""What becomes of one person's request while the engine behind it is ill."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.fakes.parakeet import words_of
from tests.live import eventually
from tests.sounds import wav
from tests.wedges import household, upstreams_of

RECORDING = wav(0.4, seed=b"what was said")


def hear(url: str, **headers: str) -> httpx.Response:
    files = {"file": ("a.wav", RECORDING)}
    return httpx.post(f"{url}/v1/audio/transcriptions", files=files, headers=headers, timeout=60)


def incident(url: str) -> dict[str, object]:
    (latest,) = httpx.get(f"{url}/api/incidents?limit=1").json()["incidents"]
    return dict(latest)


@pytest.mark.parametrize("fault", ["w1", "w2", "w3", "w4", "w5", "w6", "w7", "w9", "w12"])
def test_a_wedge_costs_a_few_seconds(tmp_path: Path, fault: str) -> None:
    with household(tmp_path, ["parakeet"], restart_takes=0.5) as (url, (engine,)):
        engine.wedge(fault)
        answer = hear(url)

        assert answer.json() == {"text": words_of(RECORDING)}
        assert engine.restarts == 1
        assert len(engine.executions()) == 2
        eventually(lambda: incident(url)["closed"])
        told = incident(url)
        assert (told["held"], told["replayed"], told["failed"], told["restarts"]) == (1, 1, 0, 1)


def test_a_failure_that_passes_by_itself_costs_a_canary_and_no_restart(tmp_path: Path) -> None:
    with household(tmp_path, ["parakeet"], restart_takes=0.5) as (url, (engine,)):
        engine.wedge("w5", requests=1)
        answer = hear(url)

        assert answer.json() == {"text": words_of(RECORDING)}
        assert engine.restarts == 0
        assert httpx.get(f"{url}/api/incidents").json()["incidents"] == []


def test_an_engine_that_somebody_else_is_starting_again_is_waited_for(tmp_path: Path) -> None:
    with household(tmp_path, ["parakeet"], restart_takes=0.5) as (url, (engine,)):
        engine.kill()
        threading.Timer(1.5, engine.start).start()
        answer = hear(url)

        assert answer.json() == {"text": words_of(RECORDING)}
        assert engine.restarts == 0


def test_one_without_patience_is_told_at_once_when_to_come_back(tmp_path: Path) -> None:
    with household(tmp_path, ["parakeet"], restart_takes=0.5) as (url, (engine,)):
        engine.wedge("w1")
        first = hear(url, **{"x-spark-patience": "0"})
        again = hear(url, **{"x-spark-patience": "0"})

        for answer in (first, again):
            error = answer.json()["error"]
            assert (answer.status_code, error["code"]) == (503, "service_restarting")
            assert answer.headers["retry-after"] == "60"
            assert error["message"].startswith("Speech-to-text ")
            assert str(engine.port) not in answer.text
        assert len(engine.executions()) == 1


def test_one_who_leaves_is_held_no_longer(tmp_path: Path) -> None:
    with household(tmp_path, ["parakeet"], restart_takes=0.5) as (url, (engine,)):
        engine.wedge("w1")
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/v1/audio/transcriptions", files={"file": ("a.wav", RECORDING)}, timeout=0.5)
        eventually(lambda: upstreams_of(url)[0]["held"] == 0, within=1.5)
        eventually(lambda: upstreams_of(url)[0]["state"] == "healthy")
        assert len(engine.executions()) == 1


def test_no_words_for_audible_sound_are_passed_on_and_ask_for_one_canary(tmp_path: Path) -> None:
    with household(tmp_path, ["parakeet"], restart_takes=0.5) as (url, (engine,)):
        canaries = len(engine.executions(canaries=True))
        engine.wedge("w10", requests=4)
        for _ in range(4):
            assert hear(url).json() == {"text": ""}
        time.sleep(0.5)

        assert len(engine.executions(canaries=True)) <= canaries + 1
        assert engine.restarts == 0


def test_an_engine_in_maintenance_is_left_alone(tmp_path: Path) -> None:
    with household(tmp_path, ["parakeet"], restart_takes=0.5) as (url, (engine,)):
        name = upstreams_of(url)[0]["name"]
        httpx.post(f"{url}/api/upstreams/{name}/maintenance", json={"on": True}).raise_for_status()
        engine.wedge("w1")
        answer = hear(url)

        assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "false")
        assert engine.restarts == 0
        httpx.post(f"{url}/api/upstreams/{name}/maintenance", json={"on": False}).raise_for_status()
        eventually(lambda: upstreams_of(url)[0]["state"] == "healthy", within=20)
        assert engine.restarts == 1
