"""What is said of what a client asked to have said."""

from __future__ import annotations

import pytest

from spark_control.audio.speaking_time import speaking_time
from spark_control.errors import InvalidRequest
from spark_control.script import in_the_mood, write_script
from spark_control.upstreams.magpie import voice_named

MIA = voice_named("Magpie-Multilingual.EN-US.Mia")


def script(text, *, speed=1.0, longest=20.0, clean=True, takes_ssml=True, paces=(0.5, 2.0)):
    return write_script(text, MIA, speed, longest=longest, clean=clean, takes_ssml=takes_ssml, paces=paces)


def test_a_short_text_is_one_piece():
    assert [each.text for each in script("Good morning.").speeches] == ["Good morning."]


def test_a_long_text_is_pieces_that_an_engine_can_speak():
    text = "This sentence is said again and again. " * 50
    speeches = script(text).speeches

    assert "".join(each.text for each in speeches) == text
    assert all(speaking_time(each.text) <= 15 for each in speeches)


def test_pieces_with_nothing_to_say_are_left_out():
    speeches = script("Yes. " + "!" * 400 + " No.", clean=False).speeches

    assert all(any(map(str.isalnum, each.text)) for each in speeches)
    assert speeches[0].text.startswith("Yes.")
    assert speeches[-1].text.endswith("No.")


@pytest.mark.parametrize(
    ("speed", "paces", "by_the_engine", "afterwards"),
    [
        (1.0, (0.5, 2.0), 1.0, 1.0),
        (2.0, (0.5, 2.0), 2.0, 1.0),
        (4.0, (0.5, 2.0), 2.0, 2.0),
        (0.25, (0.5, 2.0), 0.5, 0.5),
        (2.0, (1.0, 1.0), 1.0, 2.0),
    ],
)
def test_an_engine_paces_as_far_as_it_can_and_the_sound_is_changed_for_the_rest(
    speed, paces, by_the_engine, afterwards
):
    written = script("Hello.", speed=speed, paces=paces)

    assert (written.speeches[0].speed, written.tempo) == (by_the_engine, afterwards)


SSML = "<speak>Hello.</speak>"


def test_ssml_goes_whole_or_is_refused():
    assert script(SSML).speeches[0].text == SSML
    assert script(SSML).speeches[0].ssml
    with pytest.raises(InvalidRequest, match="does not take SSML"):
        script(SSML, takes_ssml=False)


@pytest.mark.parametrize("text", ["👍", "---", "...", "```\n```"])
def test_nothing_to_say_is_refused(text):
    with pytest.raises(InvalidRequest, match="nothing in input to say"):
        script(text)


@pytest.mark.parametrize(
    ("instructions", "emotion"),
    [
        ("sound pleasant surprised", "PleasantSurprised"),
        ("Be HAPPY.", "Happy"),
        ("unhappy", None),
        ("", None),
    ],
)
def test_the_mood_is_a_whole_word_of_the_instructions(instructions, emotion):
    voices = [MIA, *(voice_named(f"{MIA.id}.{each}") for each in ("Happy", "PleasantSurprised"))]

    assert in_the_mood(MIA, instructions, voices).emotion == emotion
    assert in_the_mood(voices[1], "none of them", voices) == voices[1]
