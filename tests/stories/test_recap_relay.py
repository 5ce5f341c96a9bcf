"""Recap Relay: minutes of meetings, with times, from addresses typed in every way there is."""

from __future__ import annotations

import pytest

from tests.fakes.parakeet import words_of
from tests.sounds import recording
from tests.stories.wire import FORM, form, part, post


def transcribed(gateway, address="", more=()):
    """It strips one `/v1` from the end of what was typed, then puts its own path there."""
    path = address.rstrip("/").removesuffix("/v1") + "/v1/audio/transcriptions"
    body = form(
        part("file", recording("m4a", 4.0), filename="meeting.m4a", type_="audio/mp4"),
        part("model", "parakeet-tdt-0.6b-v3"),
        part("response_format", "verbose_json"),
        *more,
    )
    return post(gateway, path, body, FORM)


def test_a_meeting_comes_back_with_its_segments_and_its_length(gateway, parakeet):
    told = transcribed(gateway).json()

    assert told["duration"] == pytest.approx(4.0, abs=0.1)
    assert [(each["start"], each["end"], each["text"]) for each in told["segments"]] == [
        (0.1, 0.9, words_of(parakeet.heard[0].data))
    ]


@pytest.mark.parametrize("address", ["", "/", "/v1", "/v1/", "/v1/v1", "//v1"])
def test_the_address_may_end_as_it_likes(gateway, address):
    assert transcribed(gateway, address).status == 200


def test_words_come_with_times_when_they_are_asked_for(gateway):
    told = transcribed(gateway, more=[part("timestamp_granularities[]", "word")]).json()

    assert told["words"] == [{"word": "heard", "start": 0.1, "end": 0.4}]
