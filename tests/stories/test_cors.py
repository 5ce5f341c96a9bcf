"""Web pages and apps that ask in a browser: Obsidian's on the desktop, Capacitor's on a phone, and a stranger's."""

from __future__ import annotations

import httpx
import pytest

from tests.test_access import KEY, guarded, made

OBSIDIAN, CAPACITOR, STRANGER = "app://obsidian.md", "capacitor://localhost", "https://evil.example"


@pytest.fixture
def house(gateway_with):
    with gateway_with(access={"cors_origins": [OBSIDIAN, CAPACITOR]}) as gateway:
        yield gateway


def preflight(house, origin, path="/v1/audio/transcriptions", method="POST", **more):
    headers = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type,x-stainless-lang",
        **more,
    }
    return house.options(path, headers=headers)


@pytest.mark.parametrize("origin", [OBSIDIAN, CAPACITOR])
def test_an_app_of_the_list_asks_and_reads_the_answer(house, origin):
    may = preflight(house, origin)
    assert (may.status_code, may.headers["access-control-allow-origin"]) == (204, origin)
    assert may.headers["access-control-allow-headers"] == "authorization,content-type,x-stainless-lang"
    assert "POST" in may.headers["access-control-allow-methods"]
    assert may.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in may.headers

    answer = house.post("/v1/audio/speech", json={"input": "Hello"}, headers={"origin": origin})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)
    for name in ("x-request-id", "retry-after", "x-model"):
        assert name in answer.headers["access-control-expose-headers"]


def test_errors_are_readable_too(house):
    answer = house.post("/v1/audio/speech", json={}, headers={"origin": OBSIDIAN})

    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (400, OBSIDIAN)
    assert (
        house.get("/v1/nothing", headers={"origin": OBSIDIAN}).headers["access-control-allow-origin"]
        == OBSIDIAN
    )


def test_a_stranger_s_page_may_not_ask_nor_read(house):
    refused = preflight(house, STRANGER)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in refused.headers

    answer = house.get("/v1/models", headers={"origin": STRANGER})
    assert answer.status_code == 200, "a client that happens to send an origin is not refused"
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == "origin"
    assert house.get("/v1/models").headers["vary"] == "origin", "a cache keeps that apart from a page's"


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://localhost:3000",
        "https://app.obsidian.md",
        "app://obsidian.md.evil.example",
        "app://obsidian.md/",
        "APP://OBSIDIAN.MD",
        "capacitor://localhost.evil.example",
        "",
    ],
)
def test_an_origin_that_is_like_one_of_the_list_is_none(house, origin):
    assert preflight(house, origin).status_code == 403
    answer = house.get("/v1/models", headers={"origin": origin})
    assert "access-control-allow-origin" not in answer.headers


def test_a_page_is_told_why_it_needs_a_key_and_may_ask_before_it_has_one(
    tmp_path, upstreams, magpie, parakeet
):
    limited = made("phone", KEY, rate="1/hour")
    with guarded(tmp_path, upstreams, limited, access={"cors_origins": [CAPACITOR]}) as house:

        def said(**headers: str) -> httpx.Response:
            told = {"origin": CAPACITOR, **headers}
            answer = house.post("/v1/audio/speech", json={"input": "Hello"}, headers=told)
            assert answer.headers["access-control-allow-origin"] == CAPACITOR
            return answer

        assert preflight(house, CAPACITOR, "/v1/audio/speech").status_code == 204
        assert said().status_code == 401
        assert said(authorization="Bearer sk-invented").status_code == 401
        assert said(authorization=f"Bearer {KEY}").headers["x-ratelimit-remaining-requests"] == "0"
        spent = said(authorization=f"Bearer {KEY}")
        assert spent.status_code == 429
        for name in ("retry-after", "x-should-retry", "x-ratelimit-reset-requests"):
            assert name in spent.headers["access-control-expose-headers"]


def test_no_page_may_change_anything(house):
    assert preflight(house, OBSIDIAN, "/api/upstreams/magpie/restart").status_code == 403
    answer = house.post("/api/upstreams/magpie/maintenance", json={"on": True}, headers={"origin": OBSIDIAN})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "local_only")
    assert "access-control-allow-origin" not in answer.headers
    assert preflight(house, OBSIDIAN, "/api/status", "GET").status_code == 204, "to look is another matter"


def test_without_a_list_nothing_is_said_about_origins(gateway):
    answer = gateway.get("/v1/models", headers={"origin": OBSIDIAN})

    assert "access-control-allow-origin" not in answer.headers
    assert "vary" not in answer.headers
    assert preflight(gateway, OBSIDIAN).status_code == 405


def test_everybody_may_be_on_the_list(gateway_with):
    with gateway_with(access={"cors_origins": ["*"]}) as house:
        assert preflight(house, STRANGER).headers["access-control-allow-origin"] == "*"
        told = preflight(house, STRANGER, **{"access-control-request-private-network": "true"})
        assert told.headers["access-control-allow-private-network"] == "true"


def test_headers_that_are_none_are_not_repeated(house):
    asked = preflight(house, OBSIDIAN, **{"access-control-request-headers": "a, b; <script>"})

    assert asked.headers["access-control-allow-headers"] == "authorization, content-type"


def test_an_application_in_a_browser_may_send_what_its_sdk_sends(house):
    names = "authorization,content-type,x-stainless-os,x-stainless-retry-count,x_own"
    asked = preflight(house, CAPACITOR, **{"access-control-request-headers": names})

    assert asked.headers["access-control-allow-headers"] == names
    assert int(asked.headers["access-control-max-age"]) > 0


def test_sound_that_is_streamed_is_readable_too(house):
    body = {"input": "Hello", "stream_format": "sse"}
    answer = house.post("/v1/audio/speech", json=body, headers={"origin": OBSIDIAN})

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["access-control-allow-origin"] == OBSIDIAN


def test_a_page_that_is_not_allowed_learns_nothing_of_the_network(house):
    """Browsers ask this before a page of the internet may speak to a private address."""
    private = {"access-control-request-private-network": "true"}
    assert "access-control-allow-private-network" in preflight(house, OBSIDIAN, **private).headers
    assert "access-control-allow-private-network" not in preflight(house, STRANGER, **private).headers
