from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.store import stamps
from spark_control.store.records import Stamp
from spark_control.supervision.budget import RestartBudget, age

DAY = 86_400.0
THREE_IN_THIRTY_MINUTES = RestartBudget(limit=3, window=1800)


def at(seconds: float, boot: str = "first", wall: float = 0.0) -> Stamp:
    return Stamp(boot, seconds, wall)


def spending(*times: Stamp) -> RestartBudget:
    budget = THREE_IN_THIRTY_MINUTES
    for each in times:
        budget = budget.spend(each)
    return budget


def test_three_restarts_are_allowed_and_a_fourth_once_the_first_is_half_an_hour_old() -> None:
    spent = spending(at(0), at(100), at(200))

    assert [THREE_IN_THIRTY_MINUTES.remaining(at(0)), spent.remaining(at(200))] == [3, 0]
    assert spent.wait(at(200)) == 1600
    assert spent.remaining(at(1799)) == 0
    assert (spent.remaining(at(1800)), spent.wait(at(1800))) == (1, 0)


def test_the_next_frees_when_the_oldest_that_counts_is_half_an_hour_old() -> None:
    assert THREE_IN_THIRTY_MINUTES.frees(at(50)) is None
    assert spending(at(0), at(100)).frees(at(200)) == 1600
    assert spending(at(0), at(100), at(200)).frees(at(200)) == 1600
    beyond = spending(at(0), at(100), at(200), at(300))
    assert beyond.frees(at(300)) == beyond.wait(at(300)) == 1600
    assert RestartBudget(limit=0, window=1800, spent=(at(0),)).frees(at(10)) is None


def test_the_budget_asked_for_is_left_as_it_was() -> None:
    assert THREE_IN_THIRTY_MINUTES.spend(at(0)).remaining(at(1)) == 2
    assert THREE_IN_THIRTY_MINUTES.remaining(at(1)) == 3


def test_what_a_person_forced_beyond_the_limit_has_to_be_waited_for_too() -> None:
    spent = spending(at(0), at(10), at(20), at(30))

    assert spent.remaining(at(1800)) == 0
    assert spent.wait(at(40)) == 1770


def test_a_restart_that_had_to_wait_counts_from_when_it_began() -> None:
    assert spending(at(0)).restamped(at(500)).spent == (at(500),)


def test_a_clock_on_the_wall_that_is_set_changes_nothing() -> None:
    spent = spending(at(0, wall=1e9), at(1, wall=1e9 + DAY), at(2, wall=1e9 - DAY))

    for wall in (0.0, 1e9, 1e9 + 365 * DAY):
        assert spent.remaining(at(3, wall=wall)) == 0
        assert spent.wait(at(3, wall=wall)) == 1797


def test_after_a_reboot_a_restart_is_as_old_as_the_boot() -> None:
    spent = spending(at(50_000), at(50_001), at(50_002))

    assert spent.remaining(at(20, boot="second")) == 0
    assert spent.wait(at(20, boot="second")) == 1780
    assert spent.remaining(at(1800, boot="second")) == 3


def test_a_restart_in_the_future_counts_as_now_and_is_waited_for() -> None:
    assert age(at(500), at(100)) == 0
    assert spending(at(500), at(500), at(500)).wait(at(100)) == 2200


def test_a_limit_of_none_allows_none() -> None:
    never = RestartBudget(limit=0, window=1800)

    assert never.remaining(at(0)) == 0
    assert never.wait(at(0)) == 1800


# What a machine goes through. Times are in eighths of a second, which floats keep exactly.

moments = st.integers(0, 8 * 4000).map(lambda eighths: eighths / 8)


@dataclass
class Machine:
    """A machine and its clocks, and a gateway on it that restarts whatever it may."""

    budget: RestartBudget
    true: float = 0.0
    boots: int = 0
    booted: float = -1000.0
    wall_is_off_by: float = 0.0
    stored: list[Stamp] = field(default_factory=list)
    restarted: list[float] = field(default_factory=list)
    granted: list[float] = field(default_factory=list)
    most_at_once: int = 0
    lost_at: Stamp | None = None

    @property
    def now(self) -> Stamp:
        wall = self.true + self.wall_is_off_by
        return Stamp(f"boot {self.boots}", self.true - self.booted, wall)

    def wait(self, seconds: float) -> None:
        self.true += seconds

    def set_wall_clock(self, by: float) -> None:
        self.wall_is_off_by += by

    def reboot(self, down: float) -> None:
        self.true += down
        self.boots += 1
        self.booted = self.true
        self.wall_is_off_by = -self.true  # without a battery, it is 1970 again
        self.start_gateway_again(0)

    def start_gateway_again(self, _: float) -> None:
        self.budget = RestartBudget(self.budget.limit, self.budget.window, tuple(self.stored), self.lost_at)

    def lose_what_is_stored(self, _: float) -> None:
        self.stored.clear()
        self.lost_at = self.now
        self.start_gateway_again(0)

    def find_stamp_of_the_future(self, ahead: float) -> None:
        now = self.now
        self.stored.append(Stamp(now.boot, now.since_boot + ahead, now.wall + ahead))
        self.start_gateway_again(0)

    def restart_if_allowed(self, _: float) -> None:
        if self.budget.remaining(self.now):
            self.force_restart(0)
            self.granted.append(self.true)
            recent = [each for each in self.restarted if self.true - each < self.budget.window]
            self.most_at_once = max(self.most_at_once, len(recent))

    def force_restart(self, _: float) -> None:
        self.budget = self.budget.spend(self.now)
        self.stored.append(self.now)
        self.restarted.append(self.true)

    def restart_after_as_long_as_it_takes(self, _: float) -> None:
        self.wait(self.budget.wait(self.now))
        assert self.budget.remaining(self.now) > 0
        self.restart_if_allowed(0)


days = st.floats(-DAY, DAY)
lives = st.lists(
    st.one_of(
        st.tuples(st.just(Machine.wait), moments),
        st.tuples(st.just(Machine.set_wall_clock), days),
        st.tuples(st.just(Machine.reboot), moments),
        st.tuples(st.just(Machine.start_gateway_again), st.just(0.0)),
        st.tuples(st.just(Machine.find_stamp_of_the_future), moments),
        st.tuples(st.just(Machine.force_restart), st.just(0.0)),
        st.tuples(st.just(Machine.lose_what_is_stored), st.just(0.0)),
        *[st.tuples(st.just(Machine.restart_if_allowed), st.just(0.0))] * 4,
        st.tuples(st.just(Machine.restart_after_as_long_as_it_takes), st.just(0.0)),
    ),
    max_size=60,
)
budgets = st.builds(RestartBudget, st.integers(1, 4), st.sampled_from([0.125, 60.0, 1800.0, 3600.0]))


@given(budgets, lives)
def test_no_stretch_of_time_ever_has_more_restarts_than_allowed(budget: RestartBudget, life) -> None:
    machine = Machine(budget)
    for what, value in life:
        what(machine, value)

    for first, one_too_many in zip(machine.granted, machine.granted[budget.limit :], strict=False):
        assert one_too_many - first >= budget.window


@given(budgets, lives)
def test_what_a_person_forced_counts_when_the_next_is_asked_for(budget: RestartBudget, life) -> None:
    machine = Machine(budget)
    for what, value in life:
        what(machine, value)

    assert machine.most_at_once <= budget.limit


@given(budgets, lives)
def test_after_a_window_of_uptime_without_restarts_the_budget_is_whole(budget: RestartBudget, life) -> None:
    machine = Machine(budget)
    for what, value in life:
        if what is not Machine.find_stamp_of_the_future:
            what(machine, value)
    machine.wait(budget.window)

    assert machine.budget.remaining(machine.now) == budget.limit


@given(budgets, lives)
def test_waiting_as_long_as_it_says_is_enough(budget: RestartBudget, life) -> None:
    machine = Machine(budget)
    for what, value in life:
        what(machine, value)
    machine.restart_after_as_long_as_it_takes(0)

    assert machine.granted[-1] == machine.true


@given(budgets, lives)
def test_a_gateway_that_starts_again_knows_as_much_as_one_that_ran_on(budget: RestartBudget, life) -> None:
    machine = Machine(budget)
    for what, value in life:
        what(machine, value)
    before = machine.budget.remaining(machine.now)
    machine.start_gateway_again(0)

    assert machine.budget.remaining(machine.now) == before


def test_what_the_store_has_lost_counts_as_spent_for_a_whole_window() -> None:
    blind = replace(THREE_IN_THIRTY_MINUTES, unknown_before=at(100))
    assert (blind.remaining(at(100)), blind.wait(at(100)), blind.frees(at(100))) == (0, 1800, 1800)
    assert (blind.remaining(at(1899)), blind.wait(at(1899))) == (0, 1)
    assert (blind.remaining(at(1900)), blind.wait(at(1900)), blind.frees(at(1900))) == (3, 0, None)

    forced = blind.spend(at(1000)).spend(at(1001)).spend(at(1002))
    assert (forced.wait(at(1500)), forced.frees(at(1500))) == (1300, 1300)
    assert replace(forced, limit=5).wait(at(1500)) == 400


def test_stamps_of_one_boot_follow_each_other() -> None:
    first, second = stamps.now(), stamps.now()

    assert first.boot == second.boot != ""
    assert first.since_boot <= second.since_boot
    assert first.wall > 1e9


@pytest.fixture
def _boot_forgotten():
    stamps._boot.cache_clear()
    yield
    stamps._boot.cache_clear()


@pytest.mark.usefixtures("_boot_forgotten")
@pytest.mark.parametrize("content", [None, "\n"])
def test_where_the_boot_has_no_name_a_reboot_makes_no_restart_older(
    monkeypatch, tmp_path: Path, content
) -> None:
    boot_id = tmp_path / "boot_id"
    if content is not None:
        boot_id.write_text(content)
    monkeypatch.setattr(stamps, "_BOOT_ID", boot_id)
    boot = stamps.now().boot

    assert boot == "unknown"
    assert age(Stamp(boot, 5000, 0), Stamp(boot, 20, 0)) == 0
    assert age(Stamp(boot, 10, 0), Stamp(boot, 20, 0)) == 10


@pytest.mark.skipif(not Path("/proc/uptime").exists(), reason="this system has no /proc/uptime")
def test_a_stamp_is_by_the_clock_of_the_kernel_since_its_boot() -> None:
    before = float(Path("/proc/uptime").read_text().split()[0])
    assert stamps.now().since_boot >= before
