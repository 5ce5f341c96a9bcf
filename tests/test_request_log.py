"""One line a request: what it met, and nothing of what was said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest
from structlog.contextvars import merge_contextvars
from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from spark_control.settings import Settings
from spark_control.speech_cache import SpeechCache
from spark_control.speech_cache.files import SpeechFiles
from tests.conftest import live_gateway
from tests.fakes.faults import CutOff, Fault
from tests.fakes.magpie import FakeMagpie
from tests.fakes.parakeet import FakeParakeet, words_of
from tests.live import eventually
from tests.sounds import wav
from tests.test_access import ELSEWHERE, KEY, guarded, with_key

SECRET = "the safe opens at seventeen past nine"  # noqa: S105 (it is what must not be seen)
WRONG = "sk-spark-of-a-stranger"
SPEECH = {"input": SECRET, "response_format": "pcm", "voice": "alloy"}


@contextmanager
def logged() -> Iterator[list[Any]]:
    with capture_logs(processors=[merge_contextvars, format_exc_info]) as lines:
        yield lines


def told_of(lines: list[Any], identity: str) -> dict[str, Any]:
    """The line of that request, which is written once its client has the answer."""

    def of_it() -> list[Any]:
        return [each for each in lines if each["event"] == "answered" and each["request_id"] == identity]

    eventually(of_it)
    (line,) = of_it()
    return dict(line)


@pytest.fixture
def house(tmp_path, upstreams, magpie, parakeet):
    with guarded(tmp_path, upstreams, deep_health={"patience": 0, "patience_for": []}) as client:
        yield client


def test_a_request_is_one_line_with_what_it_met(house):
    with logged() as lines:
        answer = house.post("/v1/audio/speech", json=SPEECH, headers=with_key())
        line = told_of(lines, answer.headers["x-request-id"])
    assert line["key"] == "kitchen"
    assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/audio/speech", 200)
    assert line["upstream"] == "magpie"
    assert 0 <= line["queue_ms"] <= line["first_byte_ms"] <= line["ms"]
    assert 0 < line["engine_ms"] <= line["first_byte_ms"]
    assert line["bytes_in"] == len(answer.request.content)
    assert line["bytes_out"] == len(answer.content)
    assert line["replayed"] is False
    assert "cut" not in line


def test_a_request_that_no_engine_had_a_part_in_says_nothing_of_engines(house):
    with logged() as lines:
        answer = house.get("/healthz")
        line = told_of(lines, answer.headers["x-request-id"])
    assert line["status"] == 200
    assert line["key"] is None
    assert "upstream" not in line


def test_an_answer_that_broke_off_says_so(house, magpie):
    magpie.fault = CutOff(20_000)
    with logged() as lines:
        with suppress(httpx.HTTPError):
            house.post(
                "/v1/audio/speech",
                json={**SPEECH, "response_format": "wav"},
                headers=with_key(**{"x-request-id": "broken"}),
            )
        line = told_of(lines, "broken")
    assert (line["status"], line["cut"]) == (200, True)


CLIP = wav(0.3)
HEARD = words_of(CLIP)


def ask_everything(house: httpx.Client, magpie: FakeMagpie, parakeet: FakeParakeet) -> list[str]:
    """Whatever could bring text, sound or a key into the log; the ids of the first three."""
    recording = {"file": ("a.wav", CLIP, "audio/wav")}
    answers = [
        house.post("/v1/audio/speech", json=SPEECH, headers=with_key()),
        house.post("/v1/audio/transcriptions", files=recording, headers=with_key()),
        house.post("/v1/audio/transcriptions", files=recording, data={"stream": "true"}, headers=with_key()),
        house.post("/v1/audio/speech", content=f'{{"input": "{SECRET}"', headers=with_key()),
        house.post("/v1/audio/speech", json={**SPEECH, "instructions": SECRET * 99}, headers=with_key()),
        house.post("/v1/audio/speech", json={**SPEECH, "input": SECRET * 999}, headers=with_key()),
        house.post("/v1/audio/speech", json=SPEECH, headers=with_key(WRONG, **ELSEWHERE)),
        house.post("/v1/audio/speech/batch", json={"items": [SPEECH, {}]}, headers=with_key()),
        house.post("/v1/chat/completions", json={"messages": [SECRET]}, headers=with_key()),
        house.get("/v1/audio/voices", params={"q": SECRET}, headers=with_key()),
    ]
    magpie.fault = Fault(500, f"CUDA error while it said: {SECRET}".encode())
    parakeet.fault = Fault(400, f'{{"detail": "not {SECRET}"}}'.encode())
    answers += [
        house.post("/v1/audio/speech", json=SPEECH, headers=with_key()),
        house.post("/v1/audio/transcriptions", files=recording, headers=with_key()),
    ]
    assert [answer.status_code for answer in answers[:3]] == [200, 200, 200]
    return [answer.headers["x-request-id"] for answer in answers]


def test_nothing_of_what_is_said_and_no_key_is_in_the_log(house, magpie, parakeet):
    with logged() as lines:
        for identity in ask_everything(house, magpie, parakeet):
            told_of(lines, identity)
    everything = json.dumps(lines, default=repr)
    for secret in (SECRET, "seventeen", HEARD, KEY, WRONG, "RIFF"):
        assert secret not in everything


def test_with_content_the_line_has_the_text_and_the_transcript_and_still_no_key(
    tmp_path, upstreams, magpie, parakeet
):
    with guarded(tmp_path, upstreams, log={"content": True}) as house, logged() as lines:
        told = [told_of(lines, each) for each in ask_everything(house, magpie, parakeet)]
    spoken, heard, streamed = told[:3]
    assert spoken["text"] == SECRET
    assert heard["transcript"] == streamed["transcript"] == HEARD
    assert told[5].get("text", "") == ""
    everything = json.dumps(lines, default=repr)
    assert KEY not in everything
    assert WRONG not in everything
    assert max(len(str(line.get("text", ""))) for line in told) <= 1000


def test_speech_from_the_cache_says_so(upstreams, magpie, parakeet, tmp_path):
    cache = SpeechCache(SpeechFiles(tmp_path, 1 << 20))
    with live_gateway(Settings(upstreams=upstreams), speech_cache=cache) as client, logged() as lines:
        asked = {**SPEECH, "input": "Again and again."}
        answers = [client.post("/v1/audio/speech", json=asked) for _ in range(2)]
        told = [told_of(lines, answer.headers["x-request-id"]) for answer in answers]
    assert [line["cache"] for line in told] == ["miss", "hit"]
    assert told[0]["upstream"] == "magpie"
    assert "upstream" not in told[1]
