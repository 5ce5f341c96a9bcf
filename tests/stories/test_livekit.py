"""LiveKit agents: sound as events or as mp3, told apart by the type of the answer."""

from __future__ import annotations

import base64
import json

import openai
import pytest

from tests.fakes.faults import Fault
from tests.fakes.magpie import speech_of
from tests.fakes.parakeet import words_of
from tests.sounds import wav
from tests.stories.sound import played

TURN = wav(1.0, rate=24_000)


@pytest.fixture
def client(gateway):
    """The agent has retries of its own."""
    with openai.OpenAI(base_url=f"{gateway.base_url}/v1", api_key="anything", max_retries=0) as sdk:
        yield sdk


def synthesized(client, model):
    """The mp3 that the agent's decoder is fed with."""
    with client.audio.speech.with_streaming_response.create(
        model=model,
        voice="ash",
        input="How can I help you today?",
        response_format="mp3",
        speed=1.0,
        stream_format="audio" if model.startswith("tts-1") else "sse",
    ) as answer:
        if answer.headers["content-type"].startswith("text/event-stream"):
            return b"".join(sound_of(line) for line in answer.iter_lines())
        assert answer.headers["content-type"].startswith("audio/")
        return b"".join(answer.iter_bytes())


def sound_of(line):
    if not line.startswith("data: "):
        return b""
    event = json.loads(line.removeprefix("data: "))
    if event["type"] != "speech.audio.delta":
        return b""
    return base64.b64decode(event.get("delta") or event["audio"])


@pytest.mark.parametrize("model", ["tts-1", "tts-1-hd", "gpt-4o-mini-tts", "magpie-tts-multilingual"])
def test_the_agent_speaks_whichever_model_it_was_given(client, magpie, model):
    sound = played(synthesized(client, model), declared="mp3")

    assert sound.channels == 1
    assert sound.seconds == pytest.approx(played(speech_of(magpie.asked[0])).seconds, abs=0.2)


def test_events_and_sound_carry_the_same_mp3(client):
    assert synthesized(client, "gpt-4o-mini-tts") == synthesized(client, "tts-1")


def test_a_failure_before_the_first_sound_is_a_status_it_can_fall_back_on(client, magpie):
    magpie.fault = Fault(500, b"Internal Server Error")

    with pytest.raises(openai.APIStatusError) as caught:
        synthesized(client, "gpt-4o-mini-tts")
    assert caught.value.status_code >= 500


def test_warming_up_the_connection_does_no_harm(gateway):
    assert gateway.get("/v1/").status_code == 404


def test_the_agent_hears_a_turn(client, parakeet):
    answer = client.audio.transcriptions.create(
        file=("file.wav", TURN, "audio/wav"),
        model="gpt-4o-mini-transcribe",
        language="en",
        prompt="",
        response_format="json",
        extra_body={"keywords": ["Magpie", "Parakeet"]},
    )

    assert answer.text == words_of(parakeet.heard[0].data)
    assert played(parakeet.heard[0].data).rate == 16_000


def test_with_whisper_1_it_wants_verbose_json(client, parakeet):
    answer = client.audio.transcriptions.create(
        file=("file.wav", TURN, "audio/wav"), model="whisper-1", language="en", response_format="verbose_json"
    )

    assert answer.text == words_of(parakeet.heard[0].data)
    assert answer.duration == pytest.approx(1.0, abs=0.01)
