"""What a language model's server says when something is wrong."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.errors import Busy, GatewayError, InvalidRequest, Loading, UpstreamError
from spark_control.supervision.wedge import verdict
from spark_control.upstreams.openai_errors import PassingEvents, status_of, told_refusal


def refused(status, said, headers=None):
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return told_refusal("language model", status, headers or {}, body)


@pytest.mark.parametrize(
    ("status", "said", "seen"),
    [
        (
            400,
            {"error": {"message": "Bad schema.", "code": 400}},
            (400, "Bad schema.", "refused_by_engine", None),
        ),
        (
            400,
            {"error": {"message": "too long", "code": "context_length_exceeded", "param": "messages"}},
            (400, "too long", "context_length_exceeded", "messages"),
        ),
        (
            400,
            {"error": {"code": 400, "message": "the request exceeds the available context size"}},
            (400, "the request exceeds the available context size", "context_length_exceeded", None),
        ),
        (422, {"detail": [{"msg": "Field required"}]}, (422, "Field required", "refused_by_engine", None)),
        (400, {"object": "error", "message": "Old vLLM."}, (400, "Old vLLM.", "refused_by_engine", None)),
        (400, b"", (400, "The language model engine refused the request.", "refused_by_engine", None)),
        (
            404,
            {"error": {"message": 'model "x" not found'}},
            (404, 'model "x" not found', "model_not_found", "model"),
        ),
        (
            404,
            b"404 page not found",
            (404, "The language model engine does not offer this.", "unsupported_operation", None),
        ),
        (
            501,
            {"error": {"message": "no embeddings"}},
            (404, "The language model engine does not offer this.", "unsupported_operation", None),
        ),
    ],
)
def test_a_refusal_keeps_its_status_and_its_words(status, said, seen):
    error = refused(status, said)

    assert isinstance(error, InvalidRequest)
    assert (error.status, error.message, error.code, error.param) == seen


def test_ollama_s_full_queue_is_busy_although_it_says_503():
    error = refused(
        503, {"error": {"message": "server busy, please try again.  maximum pending requests exceeded"}}
    )

    assert isinstance(error, Busy)
    assert error.evidence
    assert verdict(error.evidence) is None


def test_a_model_that_is_being_loaded_is_loading():
    assert isinstance(refused(503, {"error": {"code": 503, "message": "Loading model"}}), Loading)


@given(
    st.integers(300, 599),
    st.binary()
    | st.text().map(
        lambda text: json.dumps({"error": {"message": text, "code": text, "param": text}}).encode()
    ),
)
def test_whatever_it_says_becomes_an_error_in_the_envelope(status, body):
    error = refused(status, body)

    assert isinstance(error, GatewayError)
    assert 400 <= error.status < 600
    assert "\n" not in error.message
    json.dumps(error.envelope(), ensure_ascii=False).encode()
    assert isinstance(error, UpstreamError) == (error.status >= 500 or error.status == 429)


FRAME = b'data: {"error": {"message": "died", "code": 500}}'
LINES = st.lists(
    st.sampled_from(
        [
            b": a comment",
            b"event: error",
            b"",
            b'data: {"choices": []}',
            b'data: {"error": null}',
            b'data: {"content": "say \\"error\\""}',
            b"data: [DONE]",
            b"data:" + b"x" * 100_000,
            FRAME,
        ]
    )
)


@given(LINES, st.sampled_from([b"\n", b"\r\n"]), st.lists(st.integers(1, 200)))
def test_an_error_is_found_however_the_stream_is_cut_into_pieces(lines, end, cuts):
    stream = b"".join(line + end for line in lines)
    passing, at = PassingEvents(), 0
    for cut in cuts:
        passing.see(stream[at : at + cut])
        at += cut
    passing.see(stream[at:])

    assert passing.begun == any(line.startswith(b"data:") for line in lines)
    assert passing.error == (FRAME[6:] if FRAME in lines else None)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"error": {"message": "m", "code": 400}}, 400),
        ({"object": "error", "message": "m", "code": 503}, 503),
        ({"type": "error", "code": "server_error", "message": '"error"'}, 500),
        ({"type": "response.failed", "response": {"error": {"code": "server_error"}}}, 500),
        ({"error": "text"}, 500),
        ({"error": {"code": 42}}, 500),
    ],
)
def test_an_error_in_a_stream_has_the_status_it_would_have_had(said, status):
    passing = PassingEvents()
    passing.see(b"data: " + json.dumps(said).encode() + b"\n\n")

    assert passing.error
    assert status_of(passing.error) == status
