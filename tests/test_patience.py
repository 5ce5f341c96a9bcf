from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.caller import NOBODY, Caller
from spark_control.errors import InvalidRequest
from spark_control.patience import HEADER, errand
from spark_control.settings import DeepHealthSettings, PatienceFor, TrafficSettings

USUAL = DeepHealthSettings()


def patience(settings: DeepHealthSettings = USUAL, caller: Caller = NOBODY, **headers: str) -> float:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return errand(named, caller, settings, TrafficSettings()).patience


def test_a_client_that_says_nothing_has_a_minute() -> None:
    assert patience() == 60
    assert patience(user_agent="") == 60


def test_a_client_can_say_how_long_it_waits() -> None:
    assert [patience(x_spark_patience=asked) for asked in ("30", "0", "0.5", "007")] == [30, 0, 0.5, 7]


def test_nobody_is_held_for_longer_than_the_most() -> None:
    assert patience(x_spark_patience="86400") == 900
    assert patience(DeepHealthSettings(patience_max=5), x_spark_patience="30") == 5


def test_what_is_usual_for_everybody_is_not_limited_by_what_one_may_ask_for() -> None:
    assert patience(DeepHealthSettings(patience=1800)) == 1800


@pytest.mark.parametrize(
    "asked", ["", "soon", "-1", "+1", "1e3", "nan", "inf", "1.2.3", ".", "1,5", "1_0", "٣", "²", "0x10", " 1"]
)
def test_what_is_no_number_of_seconds_is_refused_with_an_example(asked: str) -> None:
    with pytest.raises(InvalidRequest, match="such as 30") as caught:
        patience(x_spark_patience=asked)
    assert (caught.value.status, caught.value.param) == (400, "X-Spark-Patience")


def test_a_long_nonsense_is_not_repeated_in_full() -> None:
    with pytest.raises(InvalidRequest) as caught:
        patience(x_spark_patience="x" * 10_000)
    assert len(caught.value.message) < 200


def test_a_voice_assistant_waits_less_than_others() -> None:
    assert patience(user_agent="HomeAssistant/2026.1 aiohttp/3.12 Python/3.13") == 8
    assert patience(user_agent="homeassistant") == 8


def test_the_first_kind_of_client_that_fits_counts() -> None:
    settings = DeepHealthSettings(
        patience_for=[PatienceFor(user_agent="Kitchen", seconds=5), PatienceFor(user_agent="kit", seconds=7)]
    )
    assert patience(settings, user_agent="a KITCHEN timer") == 5
    assert patience(settings, user_agent="kit/1") == 7
    assert patience(settings, user_agent="HomeAssistant") == 60


def test_what_a_client_says_counts_more_than_what_is_usual_for_its_kind() -> None:
    assert patience(user_agent="HomeAssistant", x_spark_patience="45") == 45


def test_the_header_is_named_in_the_lower_case_in_which_servers_hand_it_on() -> None:
    assert HEADER == HEADER.lower() == "x-spark-patience"


@given(st.text(max_size=30))
def test_whatever_a_client_sends_is_refused_or_is_a_time_that_ends(asked: str) -> None:
    try:
        seconds = patience(x_spark_patience=asked)
    except InvalidRequest:
        return
    assert math.isfinite(seconds)
    assert 0 <= seconds <= 900


@given(st.integers(0, 10**400))
def test_a_number_too_large_to_count_is_the_most(asked: int) -> None:
    assert patience(x_spark_patience=str(asked)) == min(asked, 900)


def test_a_key_has_the_patience_that_was_given_to_it_unless_its_client_says_otherwise() -> None:
    hasty = Caller("key:satellite", key="satellite", patience=4)

    assert patience(caller=hasty) == 4
    assert patience(caller=hasty, user_agent="HomeAssistant/2026.11") == 4
    assert patience(caller=hasty, x_spark_patience="20") == 20


def test_who_would_not_wait_for_a_cure_does_not_wait_longer_for_its_turn() -> None:
    def wait(**headers: str) -> float:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return errand(named, NOBODY, USUAL, TrafficSettings(wait=30)).wait

    assert wait() == 30
    assert wait(user_agent="HomeAssistant/2026.11") == 8
    assert wait(x_spark_patience="600") == 30
    assert wait(x_spark_patience="0") == 30
