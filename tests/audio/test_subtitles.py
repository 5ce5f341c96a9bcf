from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.audio.subtitles import Cue, srt, vtt

_SECONDS = st.floats(min_value=-10, max_value=1_000_000)
_CUES = st.lists(
    st.builds(Cue, _SECONDS, _SECONDS, st.text() | st.sampled_from(["-->", "a\n\n2\nb", "&lt;"]))
)


def _folded(text: str) -> str:
    return " ".join(text.replace("\0", " ").split())


def _seconds(time: str, point: str) -> float:
    match = re.fullmatch(rf"(\d\d+):([0-5]\d):([0-5]\d)\{point}(\d\d\d)", time)
    assert match is not None, time
    hours, minutes, seconds, thousandths = map(int, match.groups())
    return hours * 3600 + minutes * 60 + seconds + thousandths / 1000


def _cue(times: str, text: str, point: str) -> Cue:
    start, end = times.split(" --> ")
    return Cue(_seconds(start, point), _seconds(end, point), text)


def _parsed_srt(file: str) -> list[Cue]:
    cues = []
    for expected, block in enumerate(file.removesuffix("\n").split("\n\n") if file else [], start=1):
        number, times, text = block.split("\n")
        assert number == str(expected)
        cues.append(_cue(times, text, ","))
    return cues


def _parsed_vtt(file: str) -> list[Cue]:
    header, *blocks = file.removesuffix("\n").split("\n\n")
    assert header == "WEBVTT"
    cues = []
    for block in blocks:
        times, text = block.split("\n")
        assert "-->" not in text
        assert "<" not in text
        cues.append(_cue(times, html.unescape(text), "."))
    return cues


def _expected(cues: list[Cue]) -> list[tuple[object, object, str]]:
    shown = [cue for cue in cues if _folded(cue.text)]
    return [
        (
            pytest.approx(max(0, cue.start), abs=0.001),
            pytest.approx(max(0, cue.start, cue.end), abs=0.001),
            _folded(cue.text),
        )
        for cue in shown
    ]


@given(_CUES)
def test_srt_reads_back_as_what_was_said_and_when(cues):
    assert [(cue.start, cue.end, cue.text) for cue in _parsed_srt(srt(cues))] == _expected(cues)


@given(_CUES)
def test_vtt_reads_back_as_what_was_said_and_when(cues):
    read = [(cue.start, cue.end, cue.text) for cue in _parsed_vtt(vtt(cues))]
    # html.unescape knows more than the three entities that WebVTT's writer used.
    assert [each[:2] for each in read] == [each[:2] for each in _expected(cues)]
    assert [each[2] for each in read] == [
        html.unescape(html.escape(e[2], quote=False)) for e in _expected(cues)
    ]


def test_srt_numbers_its_cues_and_parts_them_by_an_empty_line():
    assert srt([Cue(0, 1.5, "One."), Cue(1.5, 3.25, "Two.")]) == (
        "1\n00:00:00,000 --> 00:00:01,500\nOne.\n\n2\n00:00:01,500 --> 00:00:03,250\nTwo.\n"
    )


def test_vtt_has_a_header_and_escapes_what_it_would_take_for_a_tag():
    assert vtt([Cue(0, 1, "a < b & c --> d")]) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\na &lt; b &amp; c --&gt; d\n"
    )


def test_nothing_said_is_an_empty_file():
    assert srt([]) == ""
    assert vtt([]) == "WEBVTT\n"
    assert srt([Cue(0, 1, " \n ")]) == ""


def test_a_cue_without_words_takes_no_number():
    assert [cue.text for cue in _parsed_srt(srt([Cue(0, 1, "a"), Cue(1, 2, "\n"), Cue(2, 3, "b")]))] == [
        "a",
        "b",
    ]


def test_lines_within_a_cue_are_folded():
    assert [cue.text for cue in _parsed_srt(srt([Cue(0, 1, " one\r\n\r\ntwo\u2028three ")]))] == [
        "one two three"
    ]


@pytest.mark.parametrize(
    ("start", "end", "times"),
    [
        (-1, 2, "00:00:00,000 --> 00:00:02,000"),
        (5, 4, "00:00:05,000 --> 00:00:05,000"),
        (-2, -1, "00:00:00,000 --> 00:00:00,000"),
        (0.9996, 59.9996, "00:00:01,000 --> 00:01:00,000"),
        (360_000, 3_600_000, "100:00:00,000 --> 1000:00:00,000"),
    ],
)
def test_times_are_never_negative_or_backwards(start, end, times):
    assert srt([Cue(start, end, "a")]).splitlines()[1] == times
