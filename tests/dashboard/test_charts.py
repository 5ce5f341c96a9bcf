"""Numbers as SVG paths."""

from __future__ import annotations

from spark_control.dashboard.charts import area, bars, path


def test_a_line_goes_from_left_to_right_with_the_highest_on_top():
    assert path([0, 5, 10], 100, 40) == "M0 40 L50 20 L100 0"


def test_a_gap_breaks_the_line_and_a_lone_value_is_a_dot():
    assert path([1, None, 1, 1], 30, 10) == "M0 0 h0 M20 0 L30 0"


def test_what_is_above_the_top_is_cut_off():
    assert path([5, 20], 10, 10, top=10) == "M0 5 L10 0"


def test_under_the_line_lies_an_area_where_there_is_a_line():
    assert area([1, None, 1, 1], 30, 10) == "M20 10 L20 0 L30 0 L30 10 Z"


def test_each_value_is_a_bar_that_can_be_seen():
    assert bars([0, None, 2], 30, 10) == "M5 10v-2M25 10v-10"


def test_without_values_there_is_nothing_and_zeros_divide_nothing():
    assert path([], 10, 10) == area([None], 10, 10) == bars([], 10, 10) == ""
    assert path([0, 0], 10, 10) == "M0 10 L10 10"
