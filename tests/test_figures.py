from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.figures import Figures


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_without_answers_there_are_no_times():
    assert Figures(Clock()).of("magpie") == {"per_minute": 0.0, "first_byte": None}


def test_answers_are_counted_for_five_minutes():
    clock = Clock()
    figures = Figures(clock)
    for _ in range(600):
        clock.now += 1.0
        figures.answered("magpie", 0.2)
    assert figures.of("magpie")["per_minute"] == pytest.approx(60, rel=0.05)
    assert figures.of("parakeet")["per_minute"] == 0
    clock.now += 301
    assert figures.of("magpie") == {"per_minute": 0.0, "first_byte": None}


def test_one_answer_in_the_first_second_is_one_a_minute():
    clock = Clock()
    figures = Figures(clock)
    clock.now += 0.5
    figures.answered("magpie", 0.2)
    assert figures.of("magpie")["per_minute"] == 1.0


def test_a_few_slow_answers_show_in_the_95th_and_not_in_the_median():
    figures = Figures(Clock())
    for seconds in [0.1] * 90 + [4.0] * 10:
        figures.answered("magpie", seconds)
    first_byte = figures.of("magpie")["first_byte"]
    assert first_byte == {"p50": pytest.approx(0.1, rel=0.03), "p95": pytest.approx(4.0, rel=0.03)}


@given(st.lists(st.floats(0.001, 3000), min_size=1, max_size=200))
def test_a_quantile_is_as_near_as_a_fortieth(times):
    figures = Figures(Clock())
    for seconds in times:
        figures.answered("magpie", seconds)
    told: Any = figures.of("magpie")["first_byte"]
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        exact = sorted(times)[-int(-len(times) * share // 1) - 1]
        assert told[name] == pytest.approx(exact, rel=0.035)


@given(st.lists(st.floats(0, 1e9), max_size=300))
def test_what_is_kept_is_bounded_whatever_comes(times):
    clock = Clock()
    figures = Figures(clock)
    for seconds in times:
        clock.now += 7.0
        figures.answered("magpie", seconds)
    (slices,) = figures._slices.values() or [[]]
    assert len(slices) <= 30
    assert all(-200 < step < 200 for each in slices for step in each.steps)
