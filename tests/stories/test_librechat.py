"""LibreChat: pipes speech to the browser as mp3, whatever it is, and uploads what the browser recorded."""

from __future__ import annotations

import pytest

from tests.fakes.magpie import speech_of
from tests.fakes.parakeet import words_of
from tests.sounds import recording
from tests.stories.sound import played
from tests.stories.wire import FORM, form, in_pieces, part, post, post_json


def spoken(gateway, text, **more):
    """Neither a format nor a speed is ever told."""
    body = {"input": text, "model": "tts-1", **more}
    answer = post_json(gateway, "/v1/audio/speech", body, Authorization="Bearer anything")
    assert answer.status == 200
    return answer.body


def test_a_message_is_spoken_as_the_mp3_that_the_browser_is_told_it_is(gateway):
    assert played(spoken(gateway, "Here is what I found.", voice="nova"), declared="mp3").codec.startswith(
        "mp3"
    )


def test_without_a_list_of_voices_no_voice_is_named_and_the_default_one_speaks(gateway, magpie):
    spoken(gateway, "Here is what I found.", backend="magpie")

    assert magpie.asked[0]["voice"] == "Magpie-Multilingual.EN-US.Mia"


def test_a_very_long_message_comes_in_parts_that_play_as_one(gateway, magpie):
    """From 4,096 characters on it asks for a thousand at a time and lays the answers end to end."""
    parts = [f"This is part {number} of a very long message." for number in range(3)]
    whole = b"".join(spoken(gateway, text, voice="nova") for text in parts)

    said = sum(played(speech_of(asked)).seconds for asked in magpie.asked)
    assert played(whole, declared="mp3").seconds == pytest.approx(said, abs=0.4)


def heard(gateway, file):
    """What it shows: the text without blanks around it. It takes an empty one for a failure."""
    body = form(file, part("model", "whisper-1"), part("language", "en"))
    answer = post(
        gateway,
        "/v1/audio/transcriptions",
        in_pieces(body),
        {**FORM, "Authorization": "Bearer anything"},
    )
    assert answer.status == 200
    return answer.json()["text"].strip()


@pytest.mark.parametrize(
    ("container", "type_"),
    [("webm", "video/webm"), ("webm", "audio/webm"), ("m4a", "audio/mp4"), ("ogg", None)],
)
def test_what_the_browser_recorded_is_uploaded_without_a_length_and_understood(
    gateway, parakeet, container, type_
):
    file = part("file", recording(container, 2.0), filename=f"audio.{container}", type_=type_)

    assert heard(gateway, file) == words_of(parakeet.heard[0].data)
    assert played(parakeet.heard[0].data).seconds == pytest.approx(2.0, abs=0.1)
