"""Streams: first byte early, never a clean end of half an answer, and nobody works for a client that left."""

from __future__ import annotations

import httpx
import pytest

from tests.fakes.faults import CutOff, Slow
from tests.fakes.magpie import speech_of
from tests.live import eventually
from tests.sounds import wav

SPEECH = {
    "input": "A sentence that is long enough to be a few pieces.",
    "voice": "alloy",
    "response_format": "wav",
}


def test_sound_is_passed_on_before_the_engine_has_finished(gateway, magpie):
    magpie.fault = Slow(after=1000)
    with gateway.stream("POST", "/v1/audio/speech", json=SPEECH) as answer:
        pieces = answer.iter_raw()
        first = next(pieces)
        assert not magpie.fault.released.is_set()
        magpie.fault.released.set()
        whole = first + b"".join(pieces)

    assert len(first) == 1000
    assert whole == speech_of(magpie.asked[0])


@pytest.mark.parametrize("format_", ["mp3", "opus", "aac", "flac", "pcm"])
def test_a_fifth_of_a_second_is_enough_to_begin_with(gateway, magpie, format_):
    magpie.fault = Slow(after=22_050 * 2 // 5)
    with gateway.stream("POST", "/v1/audio/speech", json={**SPEECH, "response_format": format_}) as answer:
        assert next(answer.iter_raw())
        assert not magpie.fault.released.is_set()


def test_an_engine_that_dies_in_the_middle_breaks_the_client_s_connection(gateway, magpie):
    magpie.fault = CutOff(after=5000)
    with gateway.stream("POST", "/v1/audio/speech", json=SPEECH) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()


def test_no_status_line_is_sent_before_the_first_sound(gateway, magpie):
    """A WAV header alone is not sound: the answer can still become an error."""
    magpie.fault = Slow(after=44)
    with pytest.raises(httpx.ReadTimeout):
        gateway.post("/v1/audio/speech", json=SPEECH, timeout=0.3)


@pytest.mark.parametrize("after", [0, 1000])
def test_a_client_that_leaves_cancels_the_speaking(gateway, magpie, after):
    magpie.fault = Slow(after=after)
    with pytest.raises(httpx.ReadTimeout):
        gateway.post("/v1/audio/speech", json=SPEECH, timeout=0.3)

    eventually(magpie.fault.abandoned.is_set)


def test_a_client_that_leaves_cancels_the_hearing(gateway, parakeet):
    parakeet.fault = Slow()
    with pytest.raises(httpx.ReadTimeout):
        gateway.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav(0.5))}, timeout=0.3)

    eventually(parakeet.fault.abandoned.is_set)


def test_a_client_that_leaves_in_the_middle_of_its_upload_asks_nothing_of_the_engine(gateway, parakeet):
    def half():
        yield b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nRIFF'
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        gateway.post(
            "/v1/audio/transcriptions",
            content=half(),
            headers={"content-type": "multipart/form-data; boundary=b"},
        )

    assert gateway.get("/health").text == "OK"
    assert parakeet.heard == []


def test_after_clients_have_left_the_gateway_serves_the_next(gateway, magpie):
    magpie.fault = Slow(after=1000)
    for _ in range(20):
        with pytest.raises(httpx.ReadTimeout):
            gateway.post("/v1/audio/speech", json=SPEECH, timeout=0.05)
    magpie.fault = None

    assert gateway.post("/v1/audio/speech", json=SPEECH).status_code == 200


def test_an_engine_that_is_silent_too_long_is_a_504(gateway_with, upstreams, magpie):
    with gateway_with(upstreams={"m": {**upstreams["magpie"], "timeout": 0.2}}) as gateway:
        magpie.fault = Slow()
        answer = gateway.post("/v1/audio/speech", json=SPEECH)

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
