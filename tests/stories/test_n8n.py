"""n8n's OpenAI node: one model for listening, two for speaking, all of them fixed."""

from __future__ import annotations

import pytest

from tests.fakes.parakeet import words_of
from tests.sounds import recording
from tests.stories.sound import played
from tests.stories.wire import FORM, form, part, post, post_json

KEY = {"Authorization": "Bearer anything"}


@pytest.mark.parametrize(
    ("container", "type_"), [("mp3", "audio/mpeg"), ("ogg", "audio/ogg"), ("m4a", "audio/mp4")]
)
def test_a_voice_message_becomes_an_item_of_the_workflow(gateway, parakeet, container, type_):
    body = form(
        part("model", "whisper-1"),
        part("language", "en"),
        part("temperature", "0.2"),
        part("file", recording(container), filename=f"voice.{container}", type_=type_),
    )
    answer = post(gateway, "/v1/audio/transcriptions", body, {**FORM, **KEY})

    assert answer.status == 200
    assert answer.json() == {"text": words_of(parakeet.heard[0].data)}


@pytest.mark.parametrize(
    ("format_", "codec"), [("mp3", "mp3"), ("opus", "opus"), ("aac", "aac"), ("flac", "flac")]
)
def test_generated_audio_is_a_file_of_the_format_that_was_picked(gateway, format_, codec):
    body = {
        "model": "tts-1-hd",
        "input": "Your order has been shipped.",
        "voice": "onyx",
        "response_format": format_,
        "speed": 1,
    }
    answer = post_json(gateway, "/v1/audio/speech", body, **KEY)

    assert answer.status == 200
    assert played(answer.body).codec.startswith(codec)
