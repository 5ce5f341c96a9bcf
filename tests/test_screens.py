"""What is told on a terminal, and how much room it takes there."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.screens import (
    ago,
    incident_screen,
    incidents_screen,
    legible,
    moment,
    status_screen,
    timeline_lines,
)
from spark_control.wording import lasting

AT = "2026-05-04T12:00:00.000Z"
NOW = moment(AT)


def engine(**what):
    return {
        "name": "parakeet",
        "task": "speech-to-text",
        "state": "healthy",
        "sentence": "Speech-to-text is working.",
        "reason": None,
        "since": "2026-05-04T11:57:00.000Z",
        "maintenance": False,
        "drained": False,
        "held": 0,
        "last_probe": {"at": "2026-05-04T11:59:48.000Z", "passed": True, "seconds": 0.5, "detail": ""},
        "restart": {"by": "docker", "what": "parakeet"},
        "budget": {"limit": 3, "window": 1800, "left": 3, "next_in": None},
        "back_in": None,
        "incident": None,
        **what,
    }


def screen(*engines, columns=80, **what):
    told = {"at": AT, "sentence": "All is well.", "upstreams": list(engines), "closed_loop": None, **what}
    return "\n".join(map(click.unstyle, status_screen(told, columns)))


def incident(**what):
    return {
        "id": "inc_0123456789ab",
        "service": "parakeet",
        "opened": "2026-05-04T11:59:00.000Z",
        "closed": "2026-05-04T11:59:02.900Z",
        "verdict": "sticky",
        "evidence": "status 500, CUBLAS_STATUS_EXECUTION_FAILED",
        "held": 4,
        "replayed": 3,
        "degraded": 0,
        "failed": 0,
        "restarts": 1,
        "timeline": [
            {"at": "2026-05-04T11:59:00.000Z", "what": "ejected", "detail": "sticky: status 500"},
            {"at": "2026-05-04T11:59:02.900Z", "what": "healthy", "detail": "a canary passed"},
        ],
        **what,
    }


def test_an_engine_is_a_row():
    assert screen(engine()).splitlines() == [
        "All is well.",
        "",
        "  ENGINE          TASK            STATE       SINCE       LAST CANARY   RESTARTS",
        "● parakeet        speech-to-text  healthy     3 min ago   ✓ 12 s ago    3 left",
    ]


def test_a_sick_engine_has_its_story_told():
    told = screen(
        engine(
            state="restarting",
            sentence="Speech-to-text is restarting.",
            reason="status 500, CUBLAS_STATUS_EXECUTION_FAILED",
            back_in=4.2,
            held=2,
            incident="inc_1",
        )
    )

    words = " ".join(told.split())
    assert (
        "parakeet: Speech-to-text is restarting. Reason: status 500, CUBLAS_STATUS_EXECUTION_FAILED." in words
    )
    assert "back in about 4.2 s." in words
    assert "wait for it: 2." in words
    assert "spark-control incidents inc_1" in words


def test_a_spent_budget_and_maintenance_are_told():
    spent = {"limit": 3, "window": 1800, "left": 0, "next_in": 600.0}

    assert "No restarts left; the next in 10 min." in screen(engine(budget=spent))
    assert "In maintenance: it is watched, but not restarted." in screen(engine(maintenance=True))
    assert "Drained: it gets no new requests." in screen(engine(drained=True))


def test_what_nobody_can_restart_or_has_tried_is_no_number():
    row = screen(engine(restart=None, last_probe=None, state="unknown")).splitlines()[-1]

    assert row.split()[-3:] == ["none", "yet", "-"]


def test_no_engine_is_no_table():
    assert screen() == "All is well."


def test_a_long_name_is_shortened_only_where_there_is_no_room():
    name = "parakeet-of-the-second-spark"

    assert "parakeet-of-t…" in screen(engine(name=name))
    assert name in screen(engine(name=name), columns=100)


def test_the_closed_loop_is_told():
    assert "the other hears: ✗ 12 s ago." in screen(
        engine(),
        closed_loop={"at": "2026-05-04T11:59:48.000Z", "passed": False, "seconds": 1.0, "detail": ""},
    )


def test_incidents_are_a_row_each():
    lines = [
        click.unstyle(line) for line in incidents_screen([incident(), incident(closed=None, failed=1)], NOW)
    ]

    assert lines == [
        "INCIDENT          BEGAN       ENGINE          VERDICT      LASTED   HELD  FAILED",
        "inc_0123456789ab  1 min ago   parakeet        sticky       2.9 s    4     0",
        "inc_0123456789ab  1 min ago   parakeet        sticky       (open)   4     1",
    ]
    assert list(incidents_screen([], NOW)) == ["Nothing has gone wrong yet."]


def test_an_incident_is_told_from_its_first_sign_to_the_cure():
    lines = [click.unstyle(line) for line in incident_screen(incident(), NOW)]

    assert lines[0] == "parakeet: sticky, over after 2.9 s"
    assert lines[1].endswith("(1 min ago)")
    assert lines[-2:] == [
        "      0 ms  ejected         sticky: status 500",
        "     2.9 s  healthy         a canary passed",
    ]
    assert "not over yet" in click.unstyle(next(incident_screen(incident(closed=None, verdict=""), NOW)))


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-5, "just now"),
        (0.9, "just now"),
        (1, "1 s ago"),
        (59.4, "59 s ago"),
        (59.9, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (100_000, "27 h ago"),
        (200_000, "2 d ago"),
    ],
)
def test_times_are_told_as_people_tell_them(seconds, told):
    assert ago(seconds) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-1, "0 ms"),
        (0.0123, "12 ms"),
        (0.9999, "1.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7200, "2.0 h"),
    ],
)
def test_so_are_durations(seconds, told):
    assert lasting(seconds) == told


def test_a_transcript_keeps_its_lines_and_letters_and_nothing_that_a_terminal_obeys():
    joiner = "می\u200cخواهم"

    assert legible(f"one\n\ttwo \x1b[2J\x07\r\x9b {joiner}") == f"one\n\ttwo  [2J    {joiner}"


TEXT = st.text(max_size=200)


@given(TEXT, TEXT, st.sampled_from(["healthy", "restarting", "given up", "wedged"]), st.booleans())
def test_no_line_is_wider_than_the_terminal_or_can_play_with_it(name, reason, state, maintenance):
    """An engine's own words may be in a reason, and a terminal obeys what some of those say."""
    told = screen(engine(name=name, reason=reason, state=state, maintenance=maintenance, incident="inc_1"))
    story = incident(
        service=name, evidence=reason, timeline=[{"at": AT, "what": "ejected", "detail": reason}]
    )
    lines = [*told.split("\n"), *map(click.unstyle, incidents_screen([story], NOW))]
    lines += map(click.unstyle, list(incident_screen(story, NOW))[1:])

    assert all(len(line) <= 80 for line in lines)
    assert all(line.isprintable() for line in lines)


@given(st.floats(0, 1e6), st.sampled_from(["healthy", "restart failed"]), TEXT)
def test_nothing_in_a_timeline_is_lost(after, what, detail):
    lines = [click.unstyle(line) for line in timeline_lines(after, what, detail)]

    shown = "".join(line[28:] for line in lines)
    printable = "".join(each for each in detail if each.isprintable())
    assert "".join(shown.split()) == "".join(printable.split())
