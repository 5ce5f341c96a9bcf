from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.errors import InvalidRequest
from spark_control.upstreams.magpie import Magpie, voice_named
from spark_control.upstreams.voices import find_voice
from tests.fakes.magpie import VOICES

OPENAI = Magpie.openai_voices
ALL = [voice_named(name) for name in VOICES]


@given(st.sampled_from(VOICES), st.randoms())
def test_a_voice_is_found_however_its_letters_are_cased(name, random):
    cased = "".join(random.choice((letter.upper(), letter.lower())) for letter in name)

    assert find_voice(cased, ALL, {}, OPENAI).id == name


@pytest.mark.parametrize("name", OPENAI)
def test_every_one_of_openai_s_names_has_a_voice(name):
    assert find_voice(name, ALL, {}, OPENAI).id == OPENAI[name]


def test_openai_s_names_find_another_voice_where_the_usual_one_is_missing():
    french_first = [
        voice_named("M.FR-FR.Pascal"),
        voice_named("M.EN-US.New.Calm"),
        voice_named("M.EN-US.New"),
    ]

    assert find_voice("alloy", french_first, {}, OPENAI).id == "M.EN-US.New"
    assert find_voice("alloy", french_first[:1], {}, OPENAI).id == "M.FR-FR.Pascal"


def test_the_owner_s_names_win_over_everything():
    own = {"ALLOY": VOICES[3], VOICES[0]: VOICES[4]}

    assert find_voice("alloy", ALL, own, OPENAI).id == VOICES[3]
    assert find_voice(VOICES[0], ALL, own, OPENAI).id == VOICES[4]


@given(st.text(max_size=300))
def test_any_other_name_is_refused_with_a_suggestion(name):
    try:
        find_voice(name, ALL, {}, OPENAI)
    except InvalidRequest as exc:
        assert exc.code == "voice_not_found"
        assert "Did you mean" in exc.message or "GET /v1/audio/voices" in exc.message
