from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.upstreams.base import Voice
from spark_control.upstreams.voice_lists import language_code, read_model_voices, read_voice_list


def read(said):
    return read_voice_list(json.dumps(said).encode())


@pytest.mark.parametrize(
    "said",
    [
        {"voices": ["ann", "bob"], "uploaded_voices": []},
        {"voices": ["ann"], "uploaded_voices": [{"name": "bob", "consent": "c", "file_size": 7}]},
        {"voices": [{"id": "ann", "name": "Ann"}, {"id": "bob", "name": "Bob"}], "languages": ["English"]},
        {"voices": [{"voice_id": "ann", "name": "Ann", "preview_url": None}, {"voice_id": "bob"}]},
        [{"model_id": "m", "voice_id": "ann"}, {"model_id": "m", "voice_id": "bob"}],
        ["ann", "bob", "ann"],
        {"object": "list", "data": [{"id": "ann", "object": "voice"}, {"id": "bob"}]},
        {"en-US,de-DE": {"voices": ["ann"]}, "fr-FR": {"voices": ["ann", "bob"]}},
    ],
    ids=["vLLM-Omni", "uploaded", "groxaxo", "icantc0de1", "older Speaches", "bare", "OpenAI-like", "Magpie"],
)
def test_voices_are_read_from_any_shape_once_each(said):
    assert [voice.id for voice in read(said)] == ["ann", "bob"]


def test_of_two_names_the_first_key_that_was_asked_for_counts():
    body = json.dumps({"voices": [{"voice_id": "alloy", "name": "Vivian"}]}).encode()

    assert read_voice_list(body) == (Voice("alloy"),)
    assert read_voice_list(body, called=("id", "name", "voice_id")) == (Voice("Vivian"),)


def test_what_a_list_says_of_a_voice_is_kept():
    entry = {"id": "bf_emma", "name": "Emma", "language": "en-gb", "description": "Calm."}

    assert read({"voices": [entry]}) == (Voice("bf_emma", "en-GB", description="Calm."),)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("English", "en"),
        ("german", "de"),
        ("en-us", "en-US"),
        ("pt_BR", "pt-BR"),
        ("zh", "zh"),
        ("yue", "yue"),
        ("Auto", None),
        ("Klingon", None),
        ("", None),
        (None, None),
        (7, None),
        (["en"], None),
    ],
)
def test_a_language_is_bcp_47_or_nothing(told, code):
    assert language_code(told) == code


@pytest.mark.parametrize(
    "entry",
    [
        None, 5, True, [], {}, "", "  ", "two\nlines", "\x1b[2J", "x" * 201, "\ud800",
        {"id": 5}, {"id": None}, {"id": ["ann"]}, {"id": ""}, {"name": "bell\a"},
    ],
)  # fmt: skip
def test_what_is_no_name_is_left_out(entry):
    assert read({"voices": [entry, "ann"]}) == (Voice("ann"),)


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "ann", "language": {"en": 1}, "description": ["x"]},
        {"id": "ann", "language": "x" * 9000, "description": "d" * 9000},
        {"id": "ann", "language": 1e400, "description": "a\nb"},
    ],
)
def test_what_makes_no_sense_of_a_voice_is_left_out_and_the_voice_is_kept(entry):
    assert read({"voices": [entry]}) == (Voice("ann"),)


def test_no_more_than_two_thousand_voices_are_kept():
    voices = read({"voices": [f"voice-{number}" for number in range(3000)]})

    assert len(voices) == 2000
    assert voices[-1] == Voice("voice-1999")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"7", b'"ann"', b"{}", b'{"detail": "Not Found"}', b'{"voices": 5}', b'{"voices": {"a": 1}}',
        b"<html>", b"\xff\xfe\x00", b"[" * 100_000, b'{"voices":' * 100_000, b"9" * 10_000,
    ],
    ids=range(13),
)  # fmt: skip
def test_what_is_no_list_of_voices_is_a_value_error(body):
    with pytest.raises(ValueError):  # noqa: PT011 (whichever it is)
        read_voice_list(body)


@pytest.mark.parametrize("body", [b"[]", b"null", b'{"models": []}', b'{"data": {}}', b"[" * 100_000])
def test_what_is_no_list_of_models_has_no_voices_either(body):
    with pytest.raises(ValueError):  # noqa: PT011
        read_model_voices(body)


def test_the_voices_of_models_are_read_and_the_models_are_none():
    said = {
        "object": "list",
        "data": [
            {"id": "parakeet", "capability": "transcription", "languages": ["en-US"]},
            {"id": "magpie", "capability": "speech", "voices": ["Sofia", "Leo", 5], "languages": ["en-US"]},
            {"id": "odd", "voices": "Sofia"},
            "odder",
        ],
    }

    assert [voice.id for voice in read_model_voices(json.dumps(said).encode())] == ["Sofia", "Leo"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["voices", "uploaded_voices", "data", "id", "name", "voice_id", "language", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(ANYTHING)
def test_any_json_is_a_list_of_usable_voices_or_a_value_error(said):
    body = json.dumps(said).encode()
    for reader in (read_voice_list, read_model_voices):
        try:
            voices = reader(body)
        except ValueError:
            continue
        assert all(voice.id and voice.id.isprintable() for voice in voices)
        assert len({voice.id for voice in voices}) == len(voices)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_list_of_voices_or_a_value_error(body):
    for reader in (read_voice_list, read_model_voices):
        with suppress(ValueError):
            reader(body)
