"""How often a key may ask, and what it is told."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.errors import RateLimited
from spark_control.rates import Rates, rate_of


@pytest.mark.parametrize(
    ("text", "amount", "seconds"),
    [("60/minute", 60, 60), ("1000/day", 1000, 86_400), ("3 per hour", 3, 3600), ("5/5minute", 5, 300)],
)
def test_a_rate_is_a_number_for_a_time(text, amount, seconds):
    assert (rate_of(text).amount, rate_of(text).get_expiry()) == (amount, seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "many",
        "60",
        "-1/minute",
        "0/minute",
        "1/fortnight",
        "60/minute;1000/day",
        "60/minute\n",
        "100001/second",
        "1/1000years",
        "٣/minute",
    ],
)
def test_what_is_none_is_refused(text):
    with pytest.raises(ValueError, match="a rate is"):
        rate_of(text)


@given(st.text())
def test_whatever_is_written_it_is_a_rate_or_refused(text):
    try:
        rate = rate_of(text)
    except ValueError:
        return
    assert 1 <= rate.amount <= 100_000
    assert 1 <= rate.get_expiry() <= 366 * 86_400


def test_every_request_is_told_how_many_are_left():
    rates = Rates()
    left = [rates.count("kitchen", "3/hour")["x-ratelimit-remaining-requests"] for _ in range(3)]

    assert left == ["2", "1", "0"]
    assert rates.count("cellar", "3/hour")["x-ratelimit-remaining-requests"] == "2"


def test_who_has_none_left_is_told_when_there_is_one_again():
    rates = Rates()
    began = time.time()
    rates.count("kitchen", "1/30second")
    with pytest.raises(RateLimited) as refused:
        rates.count("kitchen", "1/30second")

    assert refused.value.retry_after in (29, 30)
    assert time.time() + refused.value.retry_after >= began + 30, "and not a moment before"
    assert refused.value.headers["x-ratelimit-reset-requests"] == f"{refused.value.retry_after}s"
    assert "x-should-retry" not in refused.value.headers


def test_who_has_none_left_for_long_is_not_to_come_again_by_itself():
    rates = Rates()
    rates.count("kitchen", "1/day")
    with pytest.raises(RateLimited, match=r"wait 8[0-9]{4} s") as refused:
        rates.count("kitchen", "1/day")

    assert refused.value.retry_after == 60, "the openai SDKs differ above"
    assert refused.value.headers["x-should-retry"] == "false"
