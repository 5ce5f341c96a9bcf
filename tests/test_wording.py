"""Figures and names in words."""

from __future__ import annotations

import pytest

from spark_control.wording import byte_count, figure, how_many, in_words, lasting, plain, segment


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (None, "not told"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_600, "1.0 MB"),
        (128e9, "128 GB"),
        (5e18, "5000 PB"),
    ],
)
def test_bytes_are_told_as_people_read_them(number, told):
    assert byte_count(number) == told


def test_small_figures_have_a_decimal_and_whole_ones_none():
    assert [figure(each) for each in (0, 0.34, 9.0, 9.96, 41.7)] == ["0", "0.3", "9", "10", "42"]


def test_few_things_are_counted_in_words():
    assert (in_words(4), in_words(13)) == ("four", "13")
    assert (how_many(1, "request"), how_many(0, "request"), how_many(2, "request")) == (
        "one request",
        "no requests",
        "two requests",
    )


def test_what_nobody_sees_becomes_a_blank():
    assert plain("a\x1b[31mb\u202ec") == "a [31mb c"


def test_a_name_is_one_segment_of_an_address():
    assert segment("a/b?c") == "a%2Fb%3Fc"


def test_how_long_is_told_ever_more_roughly():
    assert [lasting(each) for each in (-1, 0.12, 2.94, 45.4, 180, 9000)] == [
        "0 ms",
        "120 ms",
        "2.9 s",
        "45 s",
        "3 min",
        "2.5 h",
    ]
