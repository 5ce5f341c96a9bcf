"""The sentence for the whole house, and what a card tells."""

from __future__ import annotations

from typing import Any

from spark_control.dashboard.now import card_view, house_view, out_of_service
from spark_control.store.records import Entry, Incident

AT = "2026-05-04T12:00:12.000Z"
NOW = 1_777_896_012.0


def engine(name: str, state: str = "healthy", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": name,
        "flavour": None,
        "task": "speech-to-text",
        "model": None,
        "state": state,
        "reason": "",
        "since": AT,
        "maintenance": False,
        "drained": False,
        "in_flight": 0,
        "queued": 0,
        "held": 0,
        "last_probe": None,
        "probes": {"hours": 24, "seconds": [None] * 96, "failed": [0] * 96},
        "restart": {"by": "systemd", "what": "parakeet.service"},
        "budget": {"limit": 3, "window": 1800.0, "left": 3, "next_in": None, "frees_in": None},
        "back_in": None,
        "incident": None,
        "per_minute": 0.0,
        "first_byte": None,
        **more,
    }


def status(*engines: dict[str, Any], sentence: str = "") -> dict[str, Any]:
    return {"at": AT, "sentence": sentence, "upstreams": list(engines)}


def incident(**more: Any) -> Incident:
    told = dict.fromkeys(("held", "replayed", "degraded", "failed", "restarts"), 0)
    known = {"id": "inc_1", "service": "parakeet", "opened": NOW - 12, "closed": None}
    return Incident(**{**known, "verdict": "sticky", "evidence": "", "timeline": (), **told, **more})


def test_a_well_house_is_told_as_the_gateway_tells_it():
    house = house_view(status(engine("parakeet"), sentence="The engine is working."), [])
    assert (house.tone, house.sentence) == ("ok", "The engine is working.")


def test_nothing_is_known_of_an_engine_that_was_never_tried():
    assert house_view(status(engine("parakeet", "unknown")), []).tone == "idle"
    assert house_view(status(sentence="No engine is configured."), []).tone == "idle"


def test_a_wedge_is_told_with_its_moment_and_what_becomes_of_requests():
    sick = engine("parakeet", "restarting", held=2, incident="inc_1", back_in=4.2)
    house = house_view(status(sick, engine("magpie")), [incident()])
    assert house.before == "Parakeet wedged "
    assert house.at == "2026-05-04T12:00:00Z"
    assert house.after == " and is restarting; requests are being held."
    assert house.sentence == "Parakeet wedged and is restarting; requests are being held."
    assert house.back_at == "2026-05-04T12:00:17Z"
    assert house.tone == "busy"


def test_a_restart_that_a_person_asked_for_is_not_told_as_a_wedge():
    asked = incident(verdict="", timeline=(Entry(NOW - 12, "asked to restart"),))
    house = house_view(status(engine("parakeet", "loading", held=1, incident="inc_1")), [asked])
    assert house.sentence == "Parakeet is starting again; requests are being held."
    assert house.at is None


def test_the_promised_second_stays_the_same_while_it_comes_nearer():
    promised = set()
    for passed in range(9):
        sick = engine("parakeet", "restarting", back_in=4.2 - passed / 10)
        told = {**status(sick), "at": f"2026-05-04T12:00:12.{passed}00Z"}
        promised.add(house_view(told, []).back_at)
    assert promised == {"2026-05-04T12:00:17Z"}


def test_of_a_suspicion_nobody_says_that_it_is_a_wedge():
    house = house_view(status(engine("parakeet", "suspected", incident="inc_1")), [incident()])
    assert house.sentence == "Parakeet failed a request and is being checked."


def test_several_that_are_ill_are_each_named():
    house = house_view(status(engine("a", "given up"), engine("b", "loading"), engine("c")), [])
    assert house.sentence == (
        "Two of three engines are not working: a does not work, and the gateway cannot mend it, b is starting."
    )
    assert house.tone == "bad"


def test_a_task_that_a_second_engine_does_is_served():
    assert out_of_service(status(engine("a", "restarting"), engine("b"))) == []
    assert out_of_service(status(engine("a", "restarting"))) == ["speech-to-text"]


def test_a_card_tells_that_the_gateway_has_forgotten_what_was_spent():
    budget = {"limit": 3, "window": 1800.0, "left": 0, "next_in": 60.0, "frees_in": 60.0}
    assert card_view(engine("parakeet", budget=budget | {"known": False}), NOW).forgotten
    assert not card_view(engine("parakeet", budget=budget | {"known": True}), NOW).forgotten


def test_a_task_whose_engines_are_all_kept_from_requests_is_not_served():
    assert out_of_service(status(engine("a", drained=True), engine("b"))) == []
    drained = status(engine("a", drained=True), sentence="Speech-to-text gets no requests.")
    assert out_of_service(drained) == ["speech-to-text"]
    assert (house_view(drained, []).tone, house_view(drained, []).sentence) == ("busy", drained["sentence"])


def test_a_card_tells_when_the_next_restart_frees_and_what_the_probes_met():
    probes = {"hours": 24, "seconds": [None, 0.1, 0.3], "failed": [0, 0, 1]}
    budget = {"limit": 3, "window": 1800.0, "left": 2, "next_in": None, "frees_in": 660.0}
    card = card_view(engine("parakeet", probes=probes, budget=budget), NOW)
    assert card.frees_at == "2026-05-04T12:11:12Z"
    assert card.probes_told == "100 ms to 300 ms, one probe failed"
    assert card.probes == [None, 0.1, None]
    assert card.failed == [None, None, 1.0]
    assert card.restarter == "By systemd: parakeet.service"
