"""einToast's openai_stt_ha for Home Assistant: three model names, and a file that comes first."""

from __future__ import annotations

import pytest

from tests.fakes.faults import Fault
from tests.fakes.parakeet import words_of
from tests.sounds import wav
from tests.stories.wire import FORM, form, part, post

COMMAND = wav(2.0)
TEXT = "text/plain; charset=utf-8"  # aiohttp gives every field a type


def transcribe(gateway, model="whisper-1", language="en", prompt=""):
    body = form(
        part("file", COMMAND, filename="whisper_audio.wav", type_="audio/wav"),
        part("model", model, type_=TEXT),
        part("language", language, type_=TEXT),
        part("prompt", prompt, type_=TEXT),
        part("temperature", "0", type_=TEXT),
        part("response_format", "json", type_=TEXT),
    )
    return post(gateway, "/v1/audio/transcriptions", body, {**FORM, "Authorization": "Bearer anything"})


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-mini-transcribe", "gpt-4o-transcribe"])
def test_each_of_the_three_models_it_knows_is_the_one_there_is(gateway, model):
    answer = transcribe(gateway, model)

    assert answer.status == 200
    assert answer.json()["text"] == words_of(COMMAND)


@pytest.mark.parametrize("language", ["en", "en-US"])
def test_the_language_goes_along_as_home_assistant_has_it(gateway, parakeet, language):
    transcribe(gateway, language=language)

    assert parakeet.heard[0].fields["language"] == language


def test_a_prompt_goes_along_and_an_empty_one_does_not(gateway, parakeet):
    transcribe(gateway, prompt="Living room, Magpie")
    transcribe(gateway)

    assert [heard.fields.get("prompt") for heard in parakeet.heard] == ["Living room, Magpie", None]


def test_silence_is_a_success_without_words(gateway, parakeet):
    parakeet.fault = Fault(200, b'{"text": ""}')
    answer = transcribe(gateway)

    assert (answer.status, answer.json()) == (200, {"text": ""})
