"""An engine with its hands full is slow, and turns work away; it is never restarted for it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from spark_control.server import create_app
from spark_control.settings import Settings
from tests.fakes.supervised import SupervisedEngine
from tests.live import eventually, serving
from tests.sounds import wav
from tests.wedges import Restarts, upstreams_of

pytestmark = pytest.mark.alone


def saturated(folder: Path, kind: str, seconds: float, *, clients: int = 24) -> tuple[Counter[int], int]:
    """Statuses that `clients` got from an engine which does one thing at a time and lets sixteen wait; its restarts."""
    with SupervisedEngine(kind, folder, takes=0.4, at_once=1, queue=16) as engine:
        care = {"interval": 1.0, "patience": 60, "patience_for": []}
        # More than the engine takes, so that it is the engine that turns them away.
        upstream = {"kind": kind, "url": engine.url, "concurrency": 64}
        settings = Settings(upstreams={kind: upstream}, deep_health=care)
        with serving(create_app(settings, restarters={kind: Restarts(engine, 0.5)})) as url:
            eventually(lambda: upstreams_of(url)[0]["state"] == "healthy")
            statuses = _crowd(url, kind, seconds, clients)
        return statuses, engine.restarts


def _crowd(url: str, kind: str, seconds: float, clients: int) -> Counter[int]:
    statuses: Counter[int] = Counter()
    end = time.monotonic() + seconds

    def insist(number: int) -> None:
        turn = 0
        with httpx.Client(base_url=url, timeout=120) as client:
            while time.monotonic() < end:
                turn += 1
                statuses[_ask(client, kind, f"{number} {turn}")] += 1
                time.sleep(0.05)

    threads = [threading.Thread(target=insist, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def _ask(client: httpx.Client, kind: str, seed: str) -> int:
    if kind == "parakeet":
        return client.post(
            "/v1/audio/transcriptions", files={"file": ("a.wav", wav(0.3, seed=seed.encode()))}
        ).status_code
    body = {"model": "tts-1", "voice": "alloy", "input": f"Sentence {seed}.", "response_format": "wav"}
    return client.post("/v1/audio/speech", json=body).status_code


@pytest.mark.parametrize("kind", ["parakeet", "magpie"])
def test_an_engine_whose_queue_is_full_is_never_restarted(tmp_path: Path, kind: str) -> None:
    statuses, restarts = saturated(tmp_path, kind, 8)

    assert restarts == 0
    assert set(statuses) == {200, 429}
    assert statuses[200] >= 15
