"""How soon a wedge is seen, and how soon something is done about it: `python -m bench.healing [ROUNDS]`.

A gateway, a fake engine in a process of its own that takes 20 ms for its work, and one client at a time.
"""

from __future__ import annotations

import logging
import statistics
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

import httpx

from spark_control.telemetry import configure_logging
from tests.fakes.supervised import SupervisedEngine
from tests.live import eventually
from tests.sounds import wav
from tests.wedges import household, upstreams_of

Figures = dict[str, list[float]]


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder, household(Path(folder), ["parakeet"]) as (url, (engine,)):
        for fault in ("w1", "w6", "w11"):
            figures: Figures = {}
            for number in range(rounds):
                for name, seconds in _one_wedge(url, engine, fault, number).items():
                    figures.setdefault(name, []).append(seconds)
            print(f"{fault}, {rounds} rounds")
            for name, each in figures.items():
                print(f"  {name:<46} median {statistics.median(each):8.3f} s, longest {max(each):8.3f} s")


def _one_wedge(url: str, engine: SupervisedEngine, fault: str, number: int) -> dict[str, float]:
    """Seconds from the failure, or from the expected end of the work if the engine says nothing."""
    engine.wedge(fault)
    asked = time.time()
    asking = threading.Thread(target=_ask, args=(url, f"{fault} {number}"))
    asking.start()
    asking.join()
    eventually(lambda: upstreams_of(url)[0]["state"] == "healthy")
    began = _end_of(engine, asked) if fault != "w11" else asked + 0.02
    entries = _timeline(url)
    told = {
        "ejected": "no more requests",
        "canary failed": "judged by a canary",
        "restarting": "restart issued",
    }
    found = {told[what]: at - began for what, at in entries if what in told}
    return {**found, "the request answered, after its asking": time.time() - asked}


def _ask(url: str, seed: str) -> None:
    recording = wav(0.3, seed=seed.encode())
    answer = httpx.post(f"{url}/v1/audio/transcriptions", files={"file": ("a.wav", recording)}, timeout=90)
    answer.raise_for_status()


def _end_of(engine: SupervisedEngine, asked: float) -> float:
    """Unix time at which the engine answered the first request since `asked`."""
    offset = time.time() - time.monotonic()
    since = [each for each in engine.executions() if each.start + offset >= asked - 0.001]
    return (since[0].end or since[0].start) + offset


def _timeline(url: str) -> list[tuple[str, float]]:
    (latest,) = httpx.get(f"{url}/api/incidents?limit=1").json()["incidents"]
    return [(entry["what"], _unix(entry["at"])) for entry in reversed(latest["timeline"])]


def _unix(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


if __name__ == "__main__":
    configure_logging(logging.ERROR)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
