"""An input that wedges the engine every time costs two wedges at most, and nobody else anything."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import httpx

from spark_control.engines.faults.marker import MARKER_WORDS, marker_tone
from tests.audio.tones import recording
from tests.fakes.parakeet import words_of
from tests.fakes.supervised import SupervisedEngine
from tests.sounds import wav, wav_of
from tests.wedges import household, upstreams_of

POISON = wav_of(marker_tone() + wav(0.5)[44:], 16_000)


def hear(url: str, sound: bytes, name: str = "a.wav") -> httpx.Response:
    return httpx.post(f"{url}/v1/audio/transcriptions", files={"file": (name, sound)}, timeout=60)


class Innocent(threading.Thread):
    """Somebody who transcribes one recording after another until told to stop."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.stopped = threading.Event()
        self._url = url
        self._seed = f"innocent {number}"

    def run(self) -> None:
        turn = 0
        while not self.stopped.is_set():
            turn += 1
            sound = wav(0.3, seed=f"{self._seed} {turn}".encode())
            answer = hear(self._url, sound)
            if answer.json() != {"text": words_of(sound)}:
                self.wrong.append(f"{answer.status_code} {answer.text}")


def times_executed(engine: SupervisedEngine, sound: bytes) -> int:
    return sum(each.sha256 == hashlib.sha256(sound).hexdigest() for each in engine.executions())


def test_a_poison_file_costs_two_wedges_and_is_then_answered_without_the_engine(tmp_path: Path) -> None:
    with household(tmp_path, ["parakeet"], restart_takes=0.5) as (url, (engine,)):
        innocents = [Innocent(url, number) for number in range(4)]
        for each in innocents:
            each.start()
        first = hear(url, POISON)
        again = [hear(url, POISON) for _ in range(3)]
        for each in innocents:
            each.stopped.set()
            each.join()

        assert first.status_code in (422, 502)
        assert first.headers["x-should-retry"] == "false"
        for answer in again:
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "poison_input")
            assert answer.headers["x-should-retry"] == "false"
        assert [wrong for each in innocents for wrong in each.wrong] == []
        assert engine.restarts == 2
        assert times_executed(engine, POISON) == 2
        assert upstreams_of(url)[0]["state"] == "healthy"


def test_it_is_known_by_its_sound_whatever_it_is_packed_in(tmp_path: Path) -> None:
    with household(tmp_path, ["parakeet"], restart_takes=0.5) as (url, (engine,)):
        hear(url, POISON)
        packed = recording("flac", "flac", 16_000, "mono", POISON[44:])
        assert hear(url, packed, "a.flac").json()["error"]["code"] == "poison_input"
        assert engine.restarts == 2


def test_a_poison_text_likewise(tmp_path: Path) -> None:
    body = {"model": "tts-1", "voice": "alloy", "response_format": "wav", "input": f"Please, {MARKER_WORDS}."}
    with household(tmp_path, ["magpie"], restart_takes=0.5) as (url, (engine,)):
        answers = [httpx.post(f"{url}/v1/audio/speech", json=body, timeout=60) for _ in range(3)]

        assert [answer.json()["error"]["code"] for answer in answers[1:]] == ["poison_input"] * 2
        assert engine.restarts == 2
        assert len(engine.executions()) == 2


def test_an_mp3_that_the_engine_does_not_bear_as_it_is_goes_decoded_from_then_on(tmp_path: Path) -> None:
    mp3 = recording("mp3", "libmp3lame", 16_000, "mono", wav(1.0)[44:])
    with household(tmp_path, ["parakeet"], restart_takes=0.5, accepts=["mp3"]) as (url, (engine,)):
        answers = [hear(url, mp3, "a.mp3") for _ in range(3)]

        assert [answer.status_code for answer in answers] == [200] * 3
        assert len({answer.text for answer in answers}) == 1
        assert engine.restarts == 1
        assert times_executed(engine, mp3) == 1


def test_with_a_second_engine_the_first_is_spared_and_the_second_answers(tmp_path: Path) -> None:
    with household(tmp_path, ["parakeet", "parakeet"], restart_takes=0.5) as (url, (first, second)):
        httpx.post(f"{second.url}/control/fault", json={"trigger": "none"})
        answers = [hear(url, POISON) for _ in range(4)]

        assert [answer.json() for answer in answers] == [{"text": words_of(POISON)}] * 4
        assert "x-spark-degraded" in answers[-1].headers
        assert first.restarts <= 2
        assert second.restarts == 0
