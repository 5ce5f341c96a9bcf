"""Incidents as the page tells them."""

from __future__ import annotations

from typing import Any

from spark_control.dashboard import Pages
from spark_control.dashboard.incidents import MOST, incidents_view
from spark_control.store.records import Entry, Incident

NOW = 1_777_890_000.0

WEDGE = (
    Entry(NOW - 300, "ejected", "sticky: status 500: CUDA error: unspecified launch failure"),
    Entry(NOW - 299.8, "canary failed", "sticky: status 500"),
    Entry(NOW - 299.7, "restarting", "process parakeet"),
    Entry(NOW - 298.5, "restarted"),
    Entry(NOW - 296, "healthy", "a canary passed"),
)


def incident(**more: Any) -> Incident:
    told: dict[str, Any] = {
        "id": "inc_1",
        "service": "parakeet",
        "opened": NOW - 300,
        "closed": NOW - 296,
        "verdict": "sticky",
        "evidence": "status 500: CUDA error",
        "held": 0,
        "replayed": 0,
        "degraded": 0,
        "failed": 0,
        "restarts": 1,
        "timeline": WEDGE,
    }
    return Incident(**told | more)


def html(*incidents: Incident) -> str:
    return Pages().part("incidents.html", incidents=incidents_view(incidents, NOW))


def test_a_house_without_incidents_is_reassuring():
    assert incidents_view((), NOW).day == "Nothing went wrong in the last 24 hours."
    assert "No incident is on record." in html()


def test_an_incident_is_told_from_the_first_sign_to_the_recovery():
    (told,) = incidents_view([incident()], NOW).shown
    assert (told.tone, told.word, told.lasted) == ("ok", "over", "4.0 s")
    assert told.verdict == "its CUDA context was dead"
    assert [(step.offset, step.what) for step in told.steps] == [
        ("+0.00 s", "wedged"),
        ("+0.20 s", "probe failed"),
        ("+0.30 s", "restarting"),
        ("+1.50 s", "started again"),
        ("+4.00 s", "working"),
    ]


def test_what_became_of_the_requests_is_a_sentence():
    def requests(**counts: Any) -> str:
        return incidents_view([incident(**counts)], NOW).shown[0].requests

    assert requests() == "No request came to harm."
    assert requests(held=3, replayed=1) == (
        "No request was lost: three were held until it was back, one was sent again."
    )
    assert requests(closed=None) == "No request came to harm so far."
    assert requests(failed=2) == "Two requests failed."
    assert requests(failed=1, held=2) == "One request failed; two were held until it was back."
    assert requests(degraded=1) == "No request was lost: one was answered by another engine."


def test_the_day_is_a_sentence_too():
    old = incident(id="inc_0", opened=NOW - 200_000, closed=NOW - 190_000, failed=7)
    assert incidents_view([old], NOW).day == "Nothing went wrong in the last 24 hours."
    assert (
        incidents_view([incident(), old], NOW).day
        == "One incident in the last 24 hours; no request was lost."
    )
    both = [incident(failed=1), incident(failed=2)]
    assert incidents_view(both, NOW).day == "Two incidents in the last 24 hours; three requests failed."


def test_of_more_than_are_looked_at_nobody_claims_to_know_the_number():
    many = [incident(id=f"inc_{number}") for number in range(MOST)]
    day = incidents_view(many, NOW).day
    assert day == "At least 20 incidents in the last 24 hours; no request was lost in these."
    assert incidents_view(many[1:], NOW).day.startswith("19 incidents")


def test_one_that_goes_on_is_shown_behind_however_many_that_are_over():
    many = [incident(id=f"inc_{number}") for number in range(19)]
    shown = incidents_view([*many, incident(id="inc_old", closed=None)], NOW).shown
    assert [each.id for each in shown] == [*(each.id for each in many[:12]), "inc_old"]


def test_the_one_under_way_is_open_and_the_others_are_not():
    page = html(incident(id="inc_2", closed=None, timeline=WEDGE[:3]), incident())
    assert 'id="told-inc_2" data-tone="busy" open>' in page
    assert 'id="told-inc_1" data-tone="ok">' in page


def test_an_engine_that_was_given_up_needs_a_person():
    gone = incident(closed=None, timeline=(*WEDGE[:2], Entry(NOW, "given up", "no restart is left")))
    (told,) = incidents_view([gone], NOW).shown
    assert (told.tone, told.word) == ("bad", "needs a person")


def test_a_restart_that_a_person_asked_for_says_so():
    asked = incident(verdict="", evidence="a person asked for a restart")
    (told,) = incidents_view([asked], NOW).shown
    assert (told.verdict, told.evidence) == ("a person asked for a restart", "")


def test_a_night_of_failed_canaries_is_told_in_forty_lines():
    night = tuple(Entry(NOW - 300 + each, "canary failed", str(each)) for each in range(500))
    (told,) = incidents_view([incident(timeline=night)], NOW).shown
    assert (len(told.steps), told.left_out) == (40, 460)
    assert [step.detail for step in (told.steps[0], told.steps[-1])] == ["0", "499"]


def test_the_page_is_the_same_text_while_nothing_happens():
    pages, shown = Pages(), [incident()]
    first, later = (
        pages.part("incidents.html", incidents=incidents_view(shown, now)) for now in (NOW, NOW + 60)
    )
    assert first == later


def test_an_incident_is_there_as_json():
    assert '<a class="button" href="/api/incidents/inc_1" download="inc_1.json">' in html(incident())


def test_what_an_engine_said_is_text_and_nothing_else():
    evil = "<script>alert(1)</script>\x1b[31m\u202e"
    page = html(incident(evidence=evil, verdict=evil, timeline=(Entry(NOW, evil, evil),)))
    assert "<script" not in page
    assert not {"\x1b", "\u202e"} & set(page)
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 4
