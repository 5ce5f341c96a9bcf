from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.errors import GatewayError
from spark_control.upstreams.refusals import refusal, stated_reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"detail": "Unknown model 'x'"}, "Unknown model 'x'"),
        (
            {"detail": {"error": "processing_error", "message": "no such voice", "type": "server_error"}},
            "no such voice",
        ),
        ({"error": {"message": "Invalid file", "type": "invalid_request_error"}}, "Invalid file"),
        ({"error": "bad rate", "details": "CUDA"}, "bad rate"),
        ({"message": "No such container"}, "No such container"),
        (
            {"detail": [{"type": "missing", "loc": ["body", "file"], "msg": "Field required"}]},
            "Field required",
        ),
        ({"detail": []}, None),
        ({}, None),
        ([], None),
        (None, None),
        ({"detail": "see http://spark-1:9000/v1"}, None),
        ({"detail": "/opt/nim/models/x missing"}, None),
        ({"detail": "C:\\\\models\\\\x missing"}, None),
        ({"detail": "connect to 10.0.0.5 failed"}, None),
        ({"detail": "spark-1.local:50051 refused"}, None),
        ({"detail": "denied; token=abc"}, None),
        ({"detail": "odd \ud800 letters"}, None),
    ],
)
def test_the_engine_s_own_words_are_found_in_any_shape_unless_they_give_something_away(body, reason):
    assert stated_reason(json.dumps(body).encode()) == reason


@given(
    st.integers(300, 599),
    st.dictionaries(st.just("retry-after"), st.text()),
    st.one_of(
        st.binary(),
        st.recursive(st.none() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)).map(
            lambda value: json.dumps(value).encode()
        ),
    ),
)
def test_whatever_an_engine_says_becomes_an_error_in_the_envelope(status, headers, body):
    error = refusal("Speech-to-text", status, headers, body)

    assert isinstance(error, GatewayError)
    assert 400 <= error.status <= 504
    assert error.retry_after is None or 1 <= error.retry_after <= 60
    assert len(error.message) < 400
    assert "\n" not in error.message
