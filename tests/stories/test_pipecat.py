"""Pipecat: bare samples at 24 kHz, and no voices but OpenAI's."""

from __future__ import annotations

import openai
import pytest

from tests.fakes.magpie import VOICES, speech_of
from tests.fakes.parakeet import words_of
from tests.sounds import wav
from tests.stories.sound import played

OPENAI_VOICES = [
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable"),
    *("marin", "nova", "onyx", "sage", "shimmer", "verse"),
]
HALF_A_SECOND = 24_000  # bytes, of 24 kHz s16le mono


@pytest.fixture
def client(gateway):
    with openai.OpenAI(base_url=f"{gateway.base_url}/v1", api_key="anything", max_retries=0) as sdk:
        yield sdk


def frames(client, text, voice="alloy"):
    with client.audio.speech.with_streaming_response.create(
        input=text, model="gpt-4o-mini-tts", voice=voice, response_format="pcm"
    ) as answer:
        assert answer.status_code == 200
        return list(answer.iter_bytes(HALF_A_SECOND))


def test_every_frame_ends_with_a_whole_sample(client):
    sizes = [len(frame) for frame in frames(client, "It is half past seven and still dark outside.")]

    assert not [size for size in sizes if size % 2]
    assert set(sizes[:-1]) == {HALF_A_SECOND}


def test_the_frames_last_as_long_as_what_was_said(client, magpie):
    seconds = sum(map(len, frames(client, "It is half past seven."))) / 48_000

    assert seconds == pytest.approx(played(speech_of(magpie.asked[0])).seconds, abs=0.01)


@pytest.mark.parametrize("voice", OPENAI_VOICES)
def test_every_voice_that_it_lets_through_is_a_voice_here(client, magpie, voice):
    assert frames(client, "Hello.", voice)
    assert magpie.asked[0]["voice"] in VOICES


def test_a_bad_request_is_the_one_error_that_it_tells_in_words(client):
    with pytest.raises(openai.BadRequestError, match="longer than 4,096 characters"):
        frames(client, "a" * 4097)


def test_what_the_user_said_becomes_a_frame_of_text(client):
    utterance = wav(1.0)
    answer = client.audio.transcriptions.create(
        file=("audio.wav", utterance, "audio/wav"), model="gpt-4o-transcribe", language="en"
    )

    assert answer.text == words_of(utterance)


def test_it_may_ask_for_probabilities_that_the_engine_has_not(client):
    utterance = wav(1.0)
    answer = client.audio.transcriptions.create(
        file=("audio.wav", utterance, "audio/wav"),
        model="gpt-4o-transcribe",
        language="en",
        include=["logprobs"],
    )

    assert (answer.text, answer.logprobs) == (words_of(utterance), None)
