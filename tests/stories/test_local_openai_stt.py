"""NickM-27's Local OpenAI STT for Home Assistant, by the openai package that it uses too."""

from __future__ import annotations

import openai
import pytest

from tests.fakes.faults import Fault
from tests.fakes.parakeet import words_of
from tests.sounds import recording, wav

COMMAND = wav(1.2)


@pytest.fixture
def client(gateway):
    """Without a key of its owner's it invents one."""
    with openai.OpenAI(base_url=f"{gateway.base_url}/v1", api_key="not-needed", max_retries=0) as sdk:
        yield sdk


def understood(client, file=("audio.wav", COMMAND, "audio/wav"), **extra):
    return client.audio.transcriptions.create(
        model="parakeet-tdt-0.6b-v3",
        file=file,
        response_format="json",
        temperature=0.0,
        language="en",
        **extra,
    ).text


def test_its_list_of_models_has_the_one_that_listens(client):
    assert "parakeet-tdt-0.6b-v3" in [model.id for model in client.models.list().data]


def test_a_command_is_understood(client, parakeet):
    assert understood(client, prompt="Magpie") == words_of(COMMAND)
    assert (parakeet.heard[0].fields["language"], parakeet.heard[0].fields["prompt"]) == ("en", "Magpie")


def test_no_words_are_an_empty_text_and_its_second_try_comes_compressed(client, parakeet):
    parakeet.fault = Fault(200, b'{"text": ""}')
    assert understood(client) == ""

    parakeet.fault = None
    text = understood(client, file=("audio.mp3", recording("mp3"), "audio/mpeg"))
    assert text == words_of(parakeet.heard[1].data)


def test_what_qwen_says_before_its_words_is_not_part_of_them(client, parakeet):
    parakeet.fault = Fault(200, b'{"text": "language English<asr_text>Turn on the light."}')

    assert understood(client) == "Turn on the light."
