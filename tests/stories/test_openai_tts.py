"""sfortis' openai_tts for Home Assistant: the full address, an optional key, and always mp3."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from tests.fakes.faults import Fault
from tests.fakes.magpie import speech_of
from tests.stories.sound import played

AGENT = {"Content-Type": "application/json", "User-Agent": "HomeAssistant-OpenAI-TTS"}


def body(text, **extra_payload):
    return {
        "model": "tts-1",
        "input": text,
        "voice": "shimmer",
        "response_format": "mp3",
        "speed": 1.0,
        **extra_payload,
    }


def short(gateway, text, path="/v1/audio/speech", **extra_payload):
    """Short texts go through urllib."""
    url = f"{gateway.base_url}{path}"
    data = json.dumps(body(text, **extra_payload)).encode()
    request = urllib.request.Request(url, data, AGENT, method="POST")  # noqa: S310 (it is http)
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return answer.read()


def test_a_short_text_is_spoken_without_a_key(gateway, magpie):
    data = short(gateway, "Someone is at the door.")

    assert data[:4] != b"RIFF", "which it would convert first"
    assert played(data).codec.startswith("mp3")
    assert magpie.asked[0]["voice"] == "Magpie-Multilingual.EN-US.Sofia"


def test_a_long_text_can_be_played_from_its_first_kilobyte_and_is_mp3_unseen(gateway, magpie):
    text = "The washing machine is done, the oven is still on, and somebody left the garage door open again."
    with gateway.stream("POST", "/v1/audio/speech", json=body(text), headers=AGENT) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_bytes(1024)
        first = next(pieces)
        whole = first + b"".join(pieces)

    assert played(first, declared="mp3").rate == 22_050
    spoken = played(speech_of(magpie.asked[0])).seconds
    assert played(whole, declared="mp3").seconds == pytest.approx(spoken, abs=0.2)


def test_instructions_and_an_extra_payload_of_any_kind_do_no_harm(gateway, magpie):
    short(gateway, "Good night.", instructions="Speak softly.", chunk_size=200, stream=True, voice="nova")

    assert magpie.asked[0]["voice"] == "Magpie-Multilingual.EN-US.Isabela"


@pytest.mark.parametrize(
    "path", ["/v1/audio/speech/", "//v1//audio/speech", "/audio/speech", "/v1/v1/audio/speech"]
)
def test_an_address_typed_in_a_hurry_is_understood(gateway, path):
    assert played(short(gateway, "Good morning.", path)).seconds > 0.5


def test_a_failure_is_an_error_status_and_nothing_else(gateway, magpie):
    magpie.fault = Fault(500, b"Internal Server Error")

    with pytest.raises(urllib.error.HTTPError) as caught:
        short(gateway, "Good evening.")
    with caught.value as answer:
        assert answer.code == 503
        assert answer.headers["Content-Type"] == "application/json"
