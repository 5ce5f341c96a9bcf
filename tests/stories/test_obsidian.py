"""Obsidian's Whisper plug-in: dictation as the recorder made it, the file before all that describes it."""

from __future__ import annotations

import pytest

from tests.fakes.parakeet import words_of
from tests.sounds import recording
from tests.stories.sound import played
from tests.stories.wire import FORM, form, part, post


def dictated(gateway, container, type_, *more):
    file = part("file", recording(container), filename=f"2026-03-01T09-30-00.{container}", type_=type_)
    body = form(file, part("model", "whisper-1"), part("language", ""), *more)
    return post(gateway, "/v1/audio/transcriptions", body, {**FORM, "Authorization": "Bearer anything"})


@pytest.mark.parametrize(("container", "type_"), [("webm", "audio/webm"), ("m4a", "audio/mp4")])
def test_a_dictation_becomes_text_in_the_note(gateway, parakeet, container, type_):
    answer = dictated(gateway, container, type_)

    assert answer.status == 200
    assert answer.json()["text"] == words_of(parakeet.heard[0].data)
    assert played(parakeet.heard[0].data).rate == 16_000


def test_an_empty_language_means_that_nobody_chose_one(gateway, parakeet):
    dictated(gateway, "webm", "audio/webm")

    assert "language" not in parakeet.heard[0].fields


def test_names_and_their_spellings_go_along(gateway, parakeet):
    dictated(gateway, "webm", "audio/webm", part("prompt", "Magpie, Parakeet"))

    assert parakeet.heard[0].fields["prompt"] == "Magpie, Parakeet"
