from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.settings import Flavour, Kind, Task, UpstreamSettings
from spark_control.upstreams.fingerprints import (
    QUESTIONS,
    Reply,
    bystander,
    flavour_of,
    identify,
    questions,
)
from spark_control.upstreams.servers import SERVERS
from tests.upstreams.known_answers import KNOWN, Said, everywhere, models, replies


@pytest.mark.parametrize("name", KNOWN)
def test_each_server_is_known_by_what_it_says(name):
    said, expected = KNOWN[name]

    found = identify(replies(said))
    assert [((each.kind, each.task), each.flavour, each.model) for each in found] == expected


@pytest.mark.parametrize("name", KNOWN)
def test_an_engine_s_flavour_shows_in_the_answers_that_its_kind_is_asked_for(name):
    said, expected = KNOWN[name]
    answers = replies(said)

    for (kind, task), flavour, _ in expected:
        asked = {path: answers[path] for path in questions(kind)}
        assert flavour_of(kind, task, asked) == (flavour if asked else None)  # type: ignore[arg-type]


def test_what_is_found_may_stand_in_the_settings():
    for said, _ in KNOWN.values():
        for each in identify(replies(said)):
            UpstreamSettings(
                kind=each.kind, serves=each.task, flavour=each.flavour, model=each.model, url="http://x:1"
            )
    assert {each.flavour for each in SERVERS} - {None} == set(get_args(Flavour))


def test_a_flavour_of_another_kind_is_not_told():
    said, _ = KNOWN["speaches"]

    assert flavour_of("openai", "speech", replies(said)) == "speaches"
    assert flavour_of("openai", "chat", replies(said)) is None
    assert flavour_of("parakeet", "transcription", replies(said)) is None
    assert flavour_of("openai", "transcription", replies(KNOWN["nemo-speech-cpp"][0])) == "nemo-speech-cpp"


def test_too_few_answers_make_nobody_sure():
    assert flavour_of("parakeet", "transcription", {}) is None
    assert flavour_of("parakeet", "transcription", replies({"/health": {"status": "ok"}})) is None
    assert flavour_of("openai", "chat", replies({"/v1/models": models("qwen3")})) is None


GATEWAY: Said = {
    "/health": "OK",
    "/healthz": {"status": "ok"},
    "/readyz": {"status": "ready"},
    "/api/status": {"sentence": "All is well.", "upstreams": []},
    "/v1/models": models("parakeet-tdt-0.6b-v3", task="automatic-speech-recognition"),
}
OTHERS: dict[str, tuple[Said, str]] = {
    "a gateway": (GATEWAY, "Spark Control"),
    "a gateway with keys": (
        {**GATEWAY, "/api/status": (401, {"error": {"message": "Key?"}})},
        "Spark Control",
    ),
    "Open WebUI": (
        {
            **everywhere("<!doctype html><title>Open WebUI</title>"),
            "/health": {"status": True},
            "/api/config": {"status": True, "name": "Our chat", "version": "0.6.5"},
        },
        "Open WebUI",
    ),
    "a NIM that loads": (
        {"/v1/health/live": {"status": "live"}, "/v1/health/ready": (503, {"status": "not ready"})},
        "still loading",
    ),
    "a closed door": (everywhere((401, {"error": {"message": "Key?"}})), "wants a key"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_engine_is_told_and_left_out(name):
    said, words = OTHERS[name]

    assert identify(replies(said)) == []
    assert words in str(bystander(replies(said)))
    assert flavour_of("openai", "transcription", replies(said)) is None


@pytest.mark.parametrize(
    "said",
    [
        {},
        everywhere("<!doctype html><title>A page for everything</title>"),
        everywhere("OK"),
        everywhere({}),
        everywhere({"status": "ok"}),
        everywhere((503, "Service Unavailable")),
        everywhere((302, "")),
        everywhere("[" * 200_000),
        everywhere({"data": [{"id": 7}, "x", None], "voices": 3, "upstreams": {}}),
        {"/v1/models": models("\x1b[2J", 'a"\n[access]\nopen = true', "qwen 3", "\ud800", "x" * 201)},
    ],
)
def test_nonsense_is_nobody(said):
    assert identify(replies(said)) == []
    assert bystander(replies(said)) is None


def test_a_listed_name_that_is_none_does_not_hide_the_others():
    said = {"/v1/models": models("\x1b[2J", "qwen3-30b", owned_by="vllm")}

    assert [each.model for each in identify(replies(said))] == ["qwen3-30b"]


KEYS = (
    "data id voices voice_id status ready backend capabilities capability task error models owned_by version "
    "uploaded_voices endpoints upstreams service job_id model_name loaded name message"
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["ok", "OK", "ready"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS.split()) | st.text(), inner),
    max_leaves=20,
)
bodies = st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode())
answers = st.builds(Reply, st.integers(100, 599) | st.just(200), st.text(), bodies)


@given(
    st.dictionaries(st.sampled_from(QUESTIONS), answers),
    st.sampled_from(get_args(Kind)),
    st.sampled_from(get_args(Task)),
)
def test_no_answer_breaks_it(said, kind, task):
    for each in identify(said):
        assert UpstreamSettings(
            kind=each.kind, serves=each.task, flavour=each.flavour, model=each.model, url="http://x:1"
        )
        assert each.title.isprintable()
    bystander(said)
    flavour_of(kind, task, said)
