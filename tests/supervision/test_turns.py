from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.supervision.turns import Turns

CLIENTS = st.sampled_from("abcd")


def test_who_comes_once_does_not_wait_for_all_of_who_comes_often() -> None:
    turns: Turns[str] = Turns()
    for number in range(100):
        turns.add("often", f"often {number}")
    turns.add("once", "once")

    assert [turns.next() for _ in range(3)] == ["often 0", "once", "often 1"]


def test_nobody_waits_where_nobody_waits() -> None:
    turns: Turns[int] = Turns()
    with pytest.raises(IndexError):
        turns.next()
    with pytest.raises(ValueError, match="not in deque"):
        turns.remove("a", 1)


@given(st.lists(CLIENTS))
def test_each_client_is_served_in_the_order_it_came(clients: list[str]) -> None:
    turns: Turns[tuple[str, int]] = Turns()
    for number, client in enumerate(clients):
        turns.add(client, (client, number))
    served = [turns.next() for _ in clients]

    assert sorted(number for _, number in served) == list(range(len(clients)))
    for client in set(clients):
        mine = [number for who, number in served if who == client]
        assert mine == sorted(mine)


@given(st.lists(CLIENTS))
def test_between_two_turns_of_a_client_every_other_that_waits_has_one(clients: list[str]) -> None:
    turns: Turns[str] = Turns()
    left = {client: clients.count(client) for client in clients}
    for client in clients:
        turns.add(client, client)
    since: dict[str, list[str]] = {client: [] for client in left}
    for _ in clients:
        served = turns.next()
        left[served] -= 1
        for others in since.values():
            others.append(served)
        assert all(
            left[other] == 0 or other in since[served] or len(since[served]) <= len(left) for other in left
        )
        assert all(since[other].count(served) <= 1 for other in left if left[other] and other != served)
        since[served] = []


@given(st.lists(st.tuples(st.sampled_from(["add", "next", "remove"]), CLIENTS)))
def test_it_remembers_nothing_of_clients_for_which_nothing_waits(steps: list[tuple[str, str]]) -> None:
    turns: Turns[int] = Turns()
    waiting: list[tuple[str, int]] = []
    for number, (step, client) in enumerate(steps):
        mine = [each for each in waiting if each[0] == client]
        if step == "add":
            turns.add(client, number)
            waiting.append((client, number))
        elif step == "next" and waiting:
            served = turns.next()
            waiting = [each for each in waiting if each[1] != served]
        elif step == "remove" and mine:
            turns.remove(*mine[-1])
            waiting.remove(mine[-1])
        assert len(turns) == len(waiting)
        assert sorted(turns) == sorted(number for _, number in waiting)
        assert turns._clients.keys() == {client for client, _ in waiting}
