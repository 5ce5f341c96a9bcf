"""Scores to be played: events at times, and the actions that they call for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spark_control.store.records import Stamp
from spark_control.supervision.budget import RestartBudget
from spark_control.supervision.recovery import (
    Action,
    Event,
    Failed,
    Health,
    Inconclusive,
    NotRestarted,
    Page,
    Passed,
    Probe,
    Restart,
    Restarted,
    State,
    Succeeded,
    Suspected,
    Tell,
)
from spark_control.supervision.wedge import Verdict

WEDGE = Suspected(Verdict.STICKY, "CUBLAS_STATUS_EXECUTION_FAILED")
STILL = Failed(Verdict.STICKY, "CUBLAS_STATUS_EXECUTION_FAILED")
ODD = Suspected(Verdict.UNKNOWN, "status 500")
FAILED = Failed(Verdict.UNKNOWN, "status 500")
HANGS = Suspected(Verdict.HUNG, "no answer")
HUNG = Failed(Verdict.HUNG, "no answer in 10 s")
GONE = Failed(Verdict.UNREACHABLE, "refused")
LOADS = Failed(Verdict.LOADING, "status 503")
MEMORY = Failed(Verdict.MEMORY, "out of memory")
WRONG_BUILD = Failed(Verdict.PERMANENT, "no kernel image")
NO_GPU = Failed(Verdict.GPU_LOST, "No CUDA GPUs are available")


def at(seconds: float) -> Stamp:
    return Stamp("boot", seconds, 1_000_000 + seconds)


def healthy(**changes: object) -> Health:
    return replace(Health(RestartBudget(3, 1800), 60, state=State.HEALTHY, worked=True), **changes)  # type: ignore[arg-type]


def play(health: Health, *score: tuple[float, Event]) -> tuple[Health, list[Action]]:
    actions: list[Action] = []
    for seconds, event in score:
        health, action = health.after(event, at(seconds))
        actions.append(action)
    return health, actions


def kinds(actions: list[Action]) -> list[str]:
    return [type(action).__name__ if action else "-" for action in actions]


def test_a_sticky_error_ejects_at_once_and_a_failed_canary_restarts() -> None:
    health, actions = play(healthy(), (0, WEDGE))
    assert not health.open
    assert actions == [Probe()]
    health, actions = play(health, (0.1, STILL))
    assert health.state is State.RESTARTING
    assert kinds(actions) == ["Restart"]


def test_a_canary_that_passes_clears_the_suspicion() -> None:
    health, actions = play(healthy(), (0, WEDGE), (0.1, Passed()))
    assert health.state is State.HEALTHY
    assert actions[-1] is None


def test_an_unknown_error_lets_requests_through_until_the_canary_has_failed() -> None:
    health, actions = play(healthy(), (0, ODD))
    assert health.open
    assert actions == [Probe()]
    health, actions = play(health, (0.1, FAILED))
    assert not health.open
    assert kinds(actions) == ["Restart"]


def test_a_restart_needs_two_witnesses() -> None:
    health, actions = play(healthy(), (0, FAILED))
    assert kinds(actions) == ["Probe"]
    _, actions = play(health, (0.1, FAILED))
    assert kinds(actions) == ["Restart"]


def test_a_success_between_two_timeouts_means_busy_and_not_dead() -> None:
    _, actions = play(healthy(), (0, HANGS), (1, Succeeded()), (8, HUNG))
    assert kinds(actions) == ["Probe", "-", "Probe"]
    _, actions = play(healthy(), (0, HANGS), (8, HUNG))
    assert kinds(actions) == ["Probe", "Restart"]


def test_failures_in_the_grace_period_ask_for_no_other_restart() -> None:
    score: list[tuple[float, Event]] = [
        (0, WEDGE),
        (0.1, STILL),
        (2, Restarted()),
        (3, GONE),
        (10, LOADS),
        (30, STILL),
        (61.9, STILL),
    ]
    health, actions = play(healthy(), *score)
    assert kinds(actions) == ["Probe", "Restart", "Probe", "Probe", "Probe", "Probe", "Probe"]
    _, actions = play(health, (62.1, STILL))
    assert kinds(actions) == ["Restart"]


def test_the_grace_period_ends_early_when_the_engine_is_healthy() -> None:
    score: list[tuple[float, Event]] = [
        (0, WEDGE),
        (0.1, STILL),
        (2, Restarted()),
        (3, Passed()),
        (4, WEDGE),
        (4.1, STILL),
    ]
    _, actions = play(healthy(), *score)
    assert kinds(actions) == ["Probe", "Restart", "Probe", "-", "Probe", "Restart"]


def test_after_three_restarts_a_person_is_called_once_and_told_when_it_is_over() -> None:
    wedged: list[tuple[Event, float]] = [(WEDGE, 0.0), (STILL, 0.1), (Restarted(), 1.0), (Passed(), 2.0)]
    score: list[tuple[float, Event]] = [(100 * n + after, event) for n in range(3) for event, after in wedged]
    health, _ = play(healthy(), *score)
    health, actions = play(health, (300, WEDGE), (300.1, STILL), (330, STILL), (360, STILL))
    assert kinds(actions) == ["Probe", "Page", "-", "-"]
    assert health.state is State.GIVEN_UP
    health, actions = play(health, (400, Passed()))
    assert actions == [Tell()]
    assert health.open


def test_once_the_budget_has_room_again_the_engine_is_restarted() -> None:
    given_up = healthy(state=State.GIVEN_UP, paged=True, witnesses=5)
    assert kinds(play(given_up, (5000, STILL))[1]) == ["Restart"]


def test_a_wrong_build_is_never_restarted() -> None:
    health, actions = play(
        healthy(), (0, WRONG_BUILD), (0.1, WRONG_BUILD), (0.2, WRONG_BUILD), (9000, WRONG_BUILD)
    )
    assert kinds(actions) == ["Probe", "Page", "-", "-"]
    assert health.budget.spent == ()


def test_a_lost_gpu_is_worth_one_restart() -> None:
    score: list[tuple[float, Event]] = [
        (0, NO_GPU),
        (0.1, NO_GPU),
        (2, Restarted()),
        (63, NO_GPU),
        (64, NO_GPU),
    ]
    assert kinds(play(healthy(), *score)[1]) == ["Probe", "Restart", "Probe", "Page", "-"]


def test_too_little_memory_is_given_time() -> None:
    _, actions = play(healthy(), (0, MEMORY), (0.1, MEMORY), (5, MEMORY))
    assert kinds(actions) == ["Probe", "Probe", "Restart"]
    assert isinstance(actions[1], Probe)
    assert actions[1].after >= 5


def test_a_dead_process_has_five_seconds_to_be_started_by_others() -> None:
    refused = Suspected(Verdict.UNREACHABLE, "refused")
    health, actions = play(healthy(), (0, refused), (1, GONE), (4.9, GONE))
    assert kinds(actions) == ["Probe", "Probe", "Probe"]
    assert not health.open
    assert kinds(play(health, (5.1, GONE))[1]) == ["Restart"]


def test_an_engine_that_never_worked_may_load_as_long_as_the_grace_period() -> None:
    new = healthy(state=State.UNKNOWN, worked=False)
    health, actions = play(new, (0, GONE), (30, GONE), (59, LOADS))
    assert kinds(actions) == ["Probe"] * 3
    assert kinds(play(health, (61, GONE))[1]) == ["Restart"]


def test_nothing_is_restarted_in_maintenance_and_nobody_is_called() -> None:
    health, actions = play(healthy(maintenance=True), (0, WEDGE), (1, STILL), (2, STILL))
    assert kinds(actions) == ["Probe", "-", "-"]
    assert health.state is State.GIVEN_UP


def test_an_engine_that_nobody_can_restart_is_a_persons_business_after_the_grace_period() -> None:
    health, actions = play(healthy(restartable=False), (0, WEDGE), (1, STILL))
    assert kinds(actions) == ["Probe", "Page"]
    assert health.state is State.GIVEN_UP


def test_a_restart_that_did_not_work_costs_its_price_and_is_tried_again() -> None:
    score: list[tuple[float, Event]] = [
        (0, WEDGE),
        (0.1, STILL),
        (1, NotRestarted("no such container")),
        (6, STILL),
    ]
    health, actions = play(healthy(), *score)
    assert kinds(actions) == ["Probe", "Restart", "Probe", "Restart"]
    assert health.budget.remaining(at(7)) == 1


@pytest.mark.parametrize("state", [State.UNKNOWN, State.HEALTHY, State.GIVEN_UP])
def test_a_canary_that_is_turned_away_changes_nothing(state: State) -> None:
    health, actions = play(healthy(state=state), (0, Inconclusive("busy")))
    assert (health.state, actions) == (state, [None])


def test_a_busy_engine_under_suspicion_is_no_longer_suspected() -> None:
    health, _ = play(healthy(), (0, ODD), (1, Inconclusive("busy")))
    assert health.open
    assert health.witnesses == 0


def test_suspicions_of_an_engine_that_is_being_cured_are_old_news() -> None:
    health, _ = play(healthy(), (0, WEDGE), (0.1, STILL))
    assert play(health, (0.2, WEDGE), (0.3, ODD), (0.4, HANGS)) == (health, [None, None, None])


def test_a_person_may_restart_beyond_the_budget() -> None:
    spent = healthy(budget=RestartBudget(1, 1800).spend(at(0)))
    health, action = spent.restarting("asked", at(1))
    assert action == Restart("asked")
    assert health.budget.remaining(at(2)) == 0


def test_a_person_is_called_of_something() -> None:
    _, actions = play(healthy(restartable=False), (0, WEDGE), (1, STILL))
    assert actions[-1] == Page("no way to restart it is configured")
