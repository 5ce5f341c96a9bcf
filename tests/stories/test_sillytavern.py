"""SillyTavern: the full address, a list of voices typed by hand, and often no key."""

from __future__ import annotations

import pytest

from tests.fakes.magpie import VOICES, speech_of
from tests.stories.sound import played
from tests.stories.wire import post_json


def generated(gateway, voice="alloy", speed=1, path="/v1/audio/speech"):
    body = {
        "input": "The innkeeper looks up from her ledger.",
        "response_format": "mp3",
        "voice": voice,
        "speed": speed,
        "model": "tts-1",
    }
    return post_json(gateway, path, body, Authorization="Bearer ")


def test_a_character_speaks_without_a_key(gateway):
    answer = generated(gateway)

    assert answer.status == 200
    assert played(answer.body, declared="mp3").codec.startswith("mp3")


@pytest.mark.parametrize("voice", ["alloy", "echo", "fable", "onyx", "nova", "shimmer", *VOICES[:3]])
def test_a_voice_typed_by_hand_may_be_openai_s_or_the_engine_s_own(gateway, voice):
    assert generated(gateway, voice).status == 200


def test_a_mistyped_voice_is_told_with_one_that_may_have_been_meant(gateway):
    answer = generated(gateway, "shimer")

    assert answer.status == 400
    told = answer.body.decode()  # what it prints
    assert "There is no voice 'shimer'" in told
    assert "shimmer" in told


def test_the_slider_of_speeds_is_obeyed(gateway, magpie):
    generated(gateway, speed=1.25)

    assert 'rate="125%"' in magpie.asked[0]["text"]


def test_the_base_address_in_place_of_the_full_one_is_a_404_that_names_the_right_one(gateway):
    answer = generated(gateway, path="/v1")

    assert answer.status == 404
    assert "/v1/audio/speech" in answer.json()["error"]["message"]


def test_a_message_lasts_as_long_as_it_is_spoken(gateway, magpie):
    seconds = played(generated(gateway).body).seconds

    assert seconds == pytest.approx(played(speech_of(magpie.asked[0])).seconds, abs=0.2)
