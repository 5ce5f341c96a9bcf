from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest

from spark_control.supervision.care import Care
from spark_control.supervision.recovery import State
from spark_control.supervision.schedule import Schedule


def schedule(state: State = State.HEALTHY, *, after_use: bool = False, **known: float) -> Schedule:
    """An engine's canaries every 300 s; `known` are the moments of its last canary, use and success."""
    lane = SimpleNamespace(
        last_use=known.get("used", -math.inf),
        last_success=known.get("succeeded", -math.inf),
        upstream=SimpleNamespace(probe_when="after_use" if after_use else "always"),
    )
    health = SimpleNamespace(state=state)
    care: Any = SimpleNamespace(health=health, lane=lane, probed_at=known.get("probed", -math.inf))
    return Schedule(cast(Care, care), 300)


def test_the_first_canary_is_due_at_once() -> None:
    assert schedule(State.UNKNOWN).is_due(0)


def test_the_next_is_due_after_the_interval() -> None:
    assert not schedule(probed=0).is_due(299)
    assert schedule(probed=0).is_due(300)


def test_none_is_due_while_live_traffic_proves_health() -> None:
    assert not schedule(probed=0, succeeded=250).is_due(400)
    assert schedule(probed=0, succeeded=250).is_due(550)


def test_old_successes_prove_nothing_of_an_engine_that_is_not_known_to_be_healthy() -> None:
    assert schedule(State.UNKNOWN, probed=0, succeeded=250).is_due(400)


@pytest.mark.parametrize(("used", "due"), [(-math.inf, False), (50, False), (150, True)])
def test_an_engine_that_may_sleep_is_left_alone_until_somebody_has_used_it(used: float, *, due: bool) -> None:
    assert schedule(after_use=True, probed=100, used=used).is_due(1000) is due


def test_an_engine_that_was_given_up_is_looked_at_more_often() -> None:
    assert schedule(State.GIVEN_UP, probed=0).is_due(30)
    assert not schedule(State.GIVEN_UP, probed=0).is_due(29)
