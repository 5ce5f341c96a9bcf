"""Home Assistant's own OpenAI integration, by the openai package that it uses too."""

from __future__ import annotations

import openai
import pytest

from tests.fakes.faults import Fault
from tests.fakes.magpie import speech_of
from tests.fakes.parakeet import words_of
from tests.sounds import wav
from tests.stories.sound import played

COMMAND = wav(1.5)  # 16 kHz, as satellites record


@pytest.fixture
def client(gateway):
    with openai.OpenAI(base_url=f"{gateway.base_url}/v1", api_key="anything", max_retries=0) as sdk:
        yield sdk


def announced(client, extension):
    """What the integration hands on together with the extension: all the bytes."""
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts",
        voice="marin",
        input="The washing machine is done.",
        instructions="None",  # its word for no instructions
        speed=1.0,
        response_format=extension,
    ) as answer:
        return b"".join(answer.iter_bytes())


@pytest.mark.parametrize(
    ("extension", "codec"),
    [("mp3", "mp3"), ("flac", "flac"), ("wav", "pcm_s16le"), ("aac", "aac"), ("ogg", "opus")],
)
def test_an_announcement_is_what_its_extension_says(client, magpie, extension, codec):
    """Home Assistant gives the extension to FFmpeg as the truth."""
    sound = played(announced(client, "opus" if extension == "ogg" else extension), declared=extension)

    assert sound.codec.startswith(codec)
    assert sound.seconds == pytest.approx(played(speech_of(magpie.asked[0])).seconds, abs=0.2)


def test_a_device_that_wants_raw_samples_gets_them_at_24_khz(client, magpie):
    seconds = len(announced(client, "pcm")) / 48_000

    assert seconds == pytest.approx(played(speech_of(magpie.asked[0])).seconds, abs=0.01)


def test_the_word_none_is_no_instruction(client, magpie):
    announced(client, "mp3")

    assert magpie.asked[0]["text"] == "The washing machine is done."
    assert magpie.asked[0]["voice"] == "Magpie-Multilingual.EN-US.Sofia"


def understood(client):
    return client.audio.transcriptions.create(
        model="gpt-4o-mini-transcribe",
        file=("a.wav", COMMAND),
        response_format="json",
        language="en",
        prompt="",
    ).text


def test_a_spoken_command_is_understood(client, parakeet):
    assert understood(client) == words_of(COMMAND)
    assert parakeet.heard[0].fields["language"] == "en"
    assert "prompt" not in parakeet.heard[0].fields


def test_a_failed_engine_is_an_openai_error(client, parakeet):
    parakeet.fault = Fault(500, b"Internal Server Error")

    with pytest.raises(
        openai.OpenAIError, match=r"Speech-to-text (failed and is being checked|does not work)"
    ):
        understood(client)


def test_setting_it_up_lists_the_models(client):
    assert len(client.with_options(timeout=10.0).models.list().data) == 2
