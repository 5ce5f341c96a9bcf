"""What an address is for: pure, and closed unless it is named."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.purposes import DOES_WORK, Purpose, purpose_of
from spark_control.server import create_app
from spark_control.settings import Settings

OPEN = re.compile(
    r"/v1/models(/.*)?|/v1/audio/(voices|models)|/v1/audio/voices/.*|/(health|healthz|readyz|status)"
    r"|/assets/.*|/(login|logout)"
)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"])


@given(METHODS, st.text() | st.from_regex(OPEN))
def test_only_what_is_named_is_open(method, path):
    if purpose_of(method, path) is Purpose.OPEN:
        assert method in ("GET", "HEAD") or path in ("/login", "/logout")
        assert OPEN.fullmatch(path)
        assert path.isprintable()
        assert not path.endswith("/preview")


@given(METHODS.filter(lambda method: method not in ("GET", "HEAD")), st.text().map("/api/{}".format))
def test_whatever_is_no_reading_of_the_house_changes_it(method, path):
    assert purpose_of(method, path) is Purpose.WRITE


@pytest.mark.parametrize(
    "path",
    [
        "/v1/audio/voices/alloy/preview",
        "/v1/audio/voices/spark-2/alloy/preview",
        "/v1/audio/voices/alloy/preview\n",
        "/v1/audio/voices/a\r/preview",
        "/v1/audio/voices/\u2028/preview",
    ],
)
def test_a_preview_is_work_however_it_is_written(path):
    assert purpose_of("GET", path) is not Purpose.OPEN


def test_every_route_that_there_is_has_its_purpose():
    """A new one has to be put somewhere: what is not named is read by every key, whatever that is for."""
    paths = create_app(Settings(upstreams={})).openapi()["paths"]
    found = {
        (verb.upper(), path): purpose_of(verb.upper(), re.sub(r"\{\w+\}", "some/thing", path))
        for path, verbs in paths.items()
        for verb in verbs
    }
    assert found
    for (method, path), purpose in found.items():
        if path.startswith("/api/"):
            assert purpose is (Purpose.READ if method == "GET" else Purpose.WRITE), path
        elif path in ("/", "/live", "/metrics"):
            assert purpose is Purpose.READ, path
        elif path in ("/login", "/logout"):
            assert purpose is Purpose.OPEN, path
        elif method == "POST" or path.endswith("/preview"):
            assert purpose in DOES_WORK, path
        else:
            assert purpose is Purpose.OPEN, path
