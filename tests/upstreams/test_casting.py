from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.errors import InvalidRequest
from spark_control.upstreams.base import Voice
from spark_control.upstreams.casting import Cast, Speaker, cast

MIA, CALM, SOFIA = (
    Voice("Magpie-Multilingual.EN-US.Mia", "en-US"),
    Voice("Magpie-Multilingual.EN-US.Mia.Calm", "en-US", "Calm"),
    Voice("Magpie-Multilingual.DE-DE.Sofia", "de-DE"),
)
VIVIAN, SOHEE, RYAN = Voice("Vivian", "zh-CN"), Voice("Sohee", "ko-KR"), Voice("Ryan", "en-US")

MAGPIE = Speaker("magpie", "Magpie", (CALM, MIA, SOFIA), {"alloy": MIA.id, "nova": MIA.id})
TWIN = Speaker("magpie-2", "Magpie", (CALM, MIA, SOFIA), MAGPIE.openai)
QWEN = Speaker("qwen", "Qwen", (VIVIAN, SOHEE, RYAN), {"alloy": "Vivian", "shimmer": "Sohee"})
NAMESAKE = Speaker("kokoro", "Kokoro", (Voice("Vivian", "en-GB"), Voice("af_heart", "en-US")), {})


def speaking(asked: str, *speakers: Speaker, **configured: str) -> Cast:
    return cast(asked, speakers, configured)


def test_a_voice_is_spoken_by_the_engine_that_has_it() -> None:
    found = speaking("sohee", MAGPIE, QWEN)

    assert (found.engine, found.voice) == ("qwen", SOHEE)


def test_engines_of_one_kin_share_the_work_and_others_stand_in() -> None:
    found = speaking(MIA.id, QWEN, MAGPIE, TWIN)

    assert found.ranks == {"magpie": 0, "magpie-2": 0, "qwen": 2}
    assert found.voices["qwen"] == RYAN, "the one of the same language"


def test_who_stands_in_speaks_the_same_language_or_does_not() -> None:
    assert list(speaking(SOFIA.id, MAGPIE, QWEN).voices) == ["magpie"]


def test_who_stands_in_is_in_no_mood() -> None:
    assert speaking("Ryan", QWEN, MAGPIE).voices["magpie"] == MIA


def test_a_name_of_openais_is_the_first_engines_and_each_other_has_its_own_for_it() -> None:
    found = speaking("alloy", QWEN, MAGPIE, TWIN)

    assert found.ranks == {"qwen": 0, "magpie": 2, "magpie-2": 2}
    assert (found.voices["qwen"], found.voices["magpie"]) == (VIVIAN, MIA)
    assert speaking("shimmer", MAGPIE, QWEN).engine == "qwen", "the first has no such name"


def test_two_voices_of_one_name_stay_reachable() -> None:
    assert speaking("Vivian", QWEN, NAMESAKE).engine == "qwen"
    assert speaking("Vivian", QWEN, NAMESAKE).ranks["kokoro"] == 1
    assert speaking("kokoro/vivian", QWEN, NAMESAKE).voice.language == "en-GB"
    assert speaking("QWEN/Vivian", NAMESAKE, QWEN).voice == VIVIAN


def test_an_engine_named_with_the_voice_is_the_best_and_its_twin_may_help() -> None:
    found = speaking(f"magpie-2/{MIA.id}", MAGPIE, TWIN)

    assert found.engine == "magpie-2"
    assert found.ranks == {"magpie": 0, "magpie-2": 0}


def test_an_owners_name_counts_before_all_others() -> None:
    assert speaking("alloy", MAGPIE, QWEN, alloy="Sohee").voice == SOHEE
    assert speaking("kitchen", QWEN, NAMESAKE, kitchen="kokoro/Vivian").engine == "kokoro"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("Mya", "Did you mean"),
        ("kokoro/Sohee", "There is no voice 'kokoro/Sohee'"),
        ("lost", "which the engine does not have"),
    ],
)
def test_a_name_that_nobody_has_is_told(asked: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as caught:
        speaking(asked, MAGPIE, QWEN, NAMESAKE, lost="Nobody")
    assert caught.value.code == "voice_not_found"


@given(
    st.lists(st.sampled_from([MAGPIE, TWIN, QWEN, NAMESAKE]), min_size=1, unique_by=lambda each: each.name),
    st.one_of(st.sampled_from(["alloy", "Vivian", MIA.id, "kokoro/Vivian", "qwen/Vivian"]), st.text()),
    st.dictionaries(st.text(max_size=5), st.text(max_size=8), max_size=3),
)
def test_whatever_is_asked_each_engine_speaks_in_a_voice_it_has(
    speakers: list[Speaker], asked: str, configured: dict[str, str]
) -> None:
    try:
        found = cast(asked, speakers, configured)
    except InvalidRequest:
        return
    assert found.voices.keys() == found.ranks.keys()
    assert found.ranks[found.engine] == 0
    for speaker in speakers:
        assert found.voices.get(speaker.name) in (None, *speaker.voices)
