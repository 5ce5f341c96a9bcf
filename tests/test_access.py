"""Who is let in: by path, key, address and origin."""

from __future__ import annotations

import asyncio
import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from spark_control.access import Access, bearer
from spark_control.caller import caller_of
from spark_control.errors import Unauthenticated
from spark_control.keys import Key, KeyFile, Keys, digest_of, hint_of
from spark_control.purposes import Purpose, purpose_of
from spark_control.server import create_app
from spark_control.serving import too_public
from spark_control.settings import AccessSettings, Settings
from tests.live import serving

KEY, ADMIN = "sk-spark-of-the-kitchen", "sk-spark-of-the-owner"
ELSEWHERE = {"x-forwarded-for": "10.0.0.9"}
"""What makes a request come from elsewhere than this machine."""


def made(name: str, text: str, **rights: Any) -> Key:
    return Key(name=name, digest=digest_of(text), hint=hint_of(text), created=0.0, **rights)


@contextmanager
def guarded(folder: Path, upstreams: dict[str, Any], *keys: Key, **settings: Any) -> Iterator[httpx.Client]:
    """A gateway with these keys; the client has none."""
    file = KeyFile(folder)
    for key in keys or (made("kitchen", KEY), made("owner", ADMIN, admin=True)):
        file.add(key)
    known = Settings(upstreams=upstreams, **settings)
    app = create_app(known, keys=Keys(KeyFile(folder), lambda: 0.0))
    with serving(app) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client


@pytest.fixture
def house(tmp_path, upstreams, magpie, parakeet) -> Iterator[httpx.Client]:
    with guarded(tmp_path, upstreams) as client:
        yield client


def with_key(text: str = KEY, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}", **more}


def code(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert answer.json()["detail"] == error["message"]
    return answer.status_code, error["code"]


SPEECH = {"input": "The kettle is ready."}


def test_work_needs_a_key_from_this_machine_too(house, magpie):
    refused = house.post("/v1/audio/speech", json=SPEECH)
    assert code(refused) == (401, "invalid_api_key")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.headers["x-request-id"]
    assert magpie.asked == []

    assert house.post("/v1/audio/speech", json=SPEECH, headers=with_key()).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models",
        "/v1/models/tts-1",
        "/v1/audio/models",
        "/v1/audio/voices",
        "/health",
        "/healthz",
        "/readyz",
        "/models",
    ],
)
def test_what_clients_ask_before_they_have_a_key_is_open_and_takes_any(house, path):
    for headers in ({}, with_key("sk-invented"), ELSEWHERE):
        assert house.get(path, headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/api/status", "/api/incidents", "/openapi.json"])
def test_reading_takes_any_key_or_this_machine(house, path):
    assert house.get(path).status_code == 200
    assert house.get(path, headers=with_key(**ELSEWHERE)).status_code == 200
    assert code(house.get(path, headers=ELSEWHERE)) == (401, "invalid_api_key")
    assert code(house.get(path, headers=with_key("sk-invented"))) == (401, "invalid_api_key")


def test_what_changes_something_takes_an_admin_key_or_this_machine(house):
    path = "/api/upstreams/magpie/maintenance"
    for headers, status in [
        ({}, 200),
        (with_key(ADMIN, **ELSEWHERE), 200),
        (with_key(KEY, **ELSEWHERE), 403),
        (ELSEWHERE, 401),
        (with_key("sk-invented"), 401),
        ({"origin": "https://evil.example"}, 401),
        ({"host": "evil.example"}, 401),
    ]:
        assert house.post(path, json={"on": False}, headers=headers).status_code == status, headers


@pytest.mark.parametrize(
    "value",
    [
        "Bearer sk-invented",
        "Bearer",
        "Basic c2s6",
        "Token x",
        KEY,
        f"Bearer {KEY} x",
        f"Bearer {KEY}\u00e9",
        "Bearer \u00ff\u00fe",
    ],
)
def test_what_is_no_key_opens_nothing(house, value):
    answer = house.post("/v1/audio/speech", json=SPEECH, headers={"authorization": value.encode("latin-1")})

    assert code(answer) == (401, "invalid_api_key")


def test_the_word_bearer_may_be_written_anyhow(house):
    for value in (f"bearer {KEY}", f"BEARER   {KEY}"):
        assert (
            house.post("/v1/audio/speech", json=SPEECH, headers={"authorization": value}).status_code == 200
        )


def test_two_keys_at_once_are_none(house):
    headers = [("authorization", f"Bearer {KEY}"), ("authorization", f"Bearer {ADMIN}")]

    assert code(house.post("/v1/audio/speech", json=SPEECH, headers=headers)) == (401, "invalid_api_key")


def test_a_key_may_be_for_some_things_alone(tmp_path, upstreams, magpie, parakeet):
    with guarded(tmp_path, upstreams, made("satellite", KEY, uses=("transcription",))) as house:
        refused = house.post("/v1/audio/speech", json=SPEECH, headers=with_key())
        assert code(refused) == (403, "key_not_for_this")
        assert refused.json()["error"]["message"] == "This key is for transcription, and not for speech."
        preview = house.get("/v1/audio/voices/alloy/preview", headers=with_key())
        assert code(preview) == (403, "key_not_for_this")
        chat = house.post("/v1/chat/completions", json={}, headers=with_key())
        assert code(chat) == (403, "key_not_for_this")


def test_a_key_may_ask_only_so_often_and_is_told(tmp_path, upstreams, magpie, parakeet):
    with guarded(tmp_path, upstreams, made("satellite", KEY, rate="2/hour")) as house:
        first, second, third = (
            house.post("/v1/audio/speech", json=SPEECH, headers=with_key()) for _ in range(3)
        )
        assert [first.status_code, second.status_code] == [200, 200]
        assert first.headers["x-ratelimit-limit-requests"] == "2"
        assert second.headers["x-ratelimit-remaining-requests"] == "0"
        assert code(third) == (429, "rate_limit_exceeded")
        assert 1 <= int(third.headers["retry-after"]) <= 60
        assert house.get("/v1/models", headers=with_key()).status_code == 200, "lists are no work"
        assert len(magpie.asked) == 2


def test_an_open_gateway_lets_everybody_in_but_to_change_things(tmp_path, upstreams, magpie, parakeet):
    with guarded(tmp_path, upstreams, access={"open": True}) as house:
        for headers in ({}, with_key("sk-invented"), with_key()):
            answer = house.post("/v1/audio/speech", json=SPEECH, headers={**headers, **ELSEWHERE})
            assert answer.status_code == 200
        assert house.get("/api/status", headers=ELSEWHERE).status_code == 200
        path = "/api/upstreams/magpie/maintenance"
        assert code(house.post(path, json={"on": False}, headers=ELSEWHERE)) == (403, "local_only")
        assert house.post(path, json={"on": False}, headers=with_key(ADMIN, **ELSEWHERE)).status_code == 200


def test_whatever_changes_something_is_judged_once_more(tmp_path, upstreams, magpie, parakeet):
    """An open gateway lets everybody pass as far as the route, so each route has to look."""
    with guarded(tmp_path, upstreams, access={"open": True}) as house:
        paths = house.get("/openapi.json").json()["paths"]
        writing = [
            (verb, path)
            for path, verbs in paths.items()
            for verb in verbs
            if path.startswith("/api/") and verb != "get"
        ]
        assert len(writing) >= 6
        for verb, path in writing:
            for headers in (ELSEWHERE, with_key(**ELSEWHERE)):
                answer = house.request(verb, path.replace("{name}", "magpie"), headers=headers)
                assert code(answer) == (403, "local_only"), path


def test_who_shows_wrong_keys_again_and_again_is_told_to_wait_and_keeps_nobody_out(house):
    statuses = [house.get("/api/status", headers=with_key("sk-invented")).status_code for _ in range(8)]

    assert statuses == [401] * 6 + [429] * 2
    assert house.get("/api/status", headers=with_key()).status_code == 200
    assert house.get("/api/status").status_code == 200


def test_without_keys_any_key_will_do(gateway):
    for headers in ({}, with_key("sk-invented"), {"authorization": "Bearer"}, {"authorization": "nonsense"}):
        assert gateway.post("/v1/audio/speech", json=SPEECH, headers=headers).status_code == 200


PATHS = ["/v1/audio/speech", "/v1/audio/transcriptions", "/v1/chat/completions", "/", "/live", "/metrics"]
PATHS += ["/api/status", "/api/events", "/openapi.json", "/v1/audio/voices/alloy/preview", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
def test_without_keys_nobody_comes_in_through_a_proxy_whatever_key_is_shown(gateway, magpie, path):
    method = "POST" if path in PATHS[:3] else "GET"
    for headers in (ELSEWHERE, {"via": "1.1 caddy", **with_key()}, {"Forwarded": "for=127.0.0.1"}):
        answer = gateway.request(method, path, headers=headers)
        assert code(answer) == (403, "key_needed")
        assert "spark-control key add" in answer.text
        assert "access.open" in answer.text
    assert magpie.asked == []


TELLING = st.sampled_from(["x-forwarded-for", "forwarded", "via", "x-real-ip", "tailscale-user-login"])
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]),
    st.sampled_from([*PATHS, "/v1/models", "/healthz", "/api/reload"]) | TEXTS.map("/{}".format),
    TELLING,
    TEXTS,
    st.dictionaries(st.sampled_from(["authorization", "host", "origin", "cookie", "x-api-key"]), TEXTS),
)
def test_whatever_else_is_said_a_proxy_reaches_only_what_is_for_all_and_what_judges_by_itself(
    method, path, telling, value, more
):
    reached: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["path"])

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        reached.append(f"answered {message.get('status', '')}")

    headers = [(name.encode(), text.encode()) for name, text in {**more, telling: value}.items()]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "client": ("127.0.0.1", 1),
        "http_version": "1.1",
    }
    access = Access(app, Keys(None, lambda: 0.0), AccessSettings())
    asyncio.run(access({**scope, "headers": headers}, receive, send))

    for_all = purpose_of(method, path) in (Purpose.OPEN, Purpose.WRITE)
    assert reached == [path] if for_all else reached[0] == "answered 403"


def test_without_keys_a_proxy_that_hides_and_speaks_http_1_0_brings_nobody_in(gateway):
    with socket.create_connection((gateway.base_url.host, gateway.base_url.port), timeout=20) as raw:
        raw.sendall(b"GET /api/status HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        assert raw.recv(65536).startswith(b"HTTP/1.1 403")


def test_without_keys_the_lists_are_open_through_a_proxy_and_a_browser_is_not_led_in_circles(gateway):
    for path in ("/v1/models", "/v1/audio/voices", "/health", "/healthz", "/status"):
        assert gateway.get(path, headers=ELSEWHERE).status_code == 200
    led = gateway.get("/login?next=/", headers=ELSEWHERE)
    assert (led.status_code, led.headers["location"]) == (303, "/")
    assert gateway.get("/", headers={"accept": "text/html", **ELSEWHERE}).status_code == 403


def test_an_open_gateway_without_keys_is_for_those_behind_a_proxy_too(gateway_with, magpie):
    with gateway_with(access={"open": True}) as gateway:
        assert gateway.post("/v1/audio/speech", json=SPEECH, headers=ELSEWHERE).status_code == 200
        assert gateway.get("/", headers=ELSEWHERE).status_code == 200
        changed = gateway.post("/api/upstreams/magpie/maintenance", json={"on": True}, headers=ELSEWHERE)
        assert code(changed) == (403, "local_only")


@given(st.binary(max_size=60))
def test_whatever_stands_in_the_header_it_is_a_key_or_none_or_refused(value):
    headers = Headers(raw=[(b"authorization", value)])
    shown = bearer(headers)
    assert shown is None or (shown and shown in value.decode("latin-1"))


@pytest.mark.parametrize("value", ["", " ", "Bearer", "Bearer ", "bearer   ", "Basic a", "Bearerx", "a"])
def test_an_empty_key_is_none(value):
    assert bearer(Headers(raw=[(b"authorization", value.encode())])) is None


def test_two_headers_are_refused():
    with pytest.raises(Unauthenticated):
        bearer(Headers(raw=[(b"authorization", b"Bearer a"), (b"authorization", b"Bearer a")]))


PUBLIC = [
    "0.0.0.0",  # noqa: S104 (what is to be refused)
    "::",
    "192.0.2.7",
    "spark.local",
    "localhost.evil.example",
    "127.1",
    "::ffff:10.0.0.9",
]


@pytest.mark.parametrize("host", PUBLIC)
def test_in_public_it_takes_a_key_or_that_it_is_meant(tmp_path, host):
    none = Keys(KeyFile(tmp_path), lambda: 0.0)
    reason = too_public(Settings(host=host), none)
    assert reason
    assert "`spark-control key add NAME`" in reason
    assert "key add" not in (too_public(Settings(host=host), Keys(None, lambda: 0.0)) or "key add")
    assert too_public(Settings(host=host, access={"open": True}), none) is None

    KeyFile(tmp_path).add(made("kitchen", KEY))
    assert too_public(Settings(host=host), Keys(KeyFile(tmp_path), lambda: 0.0)) is None
    KeyFile(tmp_path).revoke("kitchen")
    assert too_public(Settings(host=host), Keys(KeyFile(tmp_path), lambda: 0.0))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "::ffff:127.0.0.1"])
def test_on_loopback_it_takes_neither(host):
    assert too_public(Settings(host=host), Keys(None, lambda: 0.0)) is None


def test_a_hundred_thousand_addresses_leave_nothing_behind():
    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        assert caller_of(scope).name.startswith("address:10.")

    async def nothing(*_: Any) -> Any:
        return None

    access = Access(route, Keys(None, lambda: 0.0), AccessSettings())

    async def ask(numbers: range) -> None:
        for number in numbers:
            client = (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1)
            scope = {"type": "http", "method": "POST", "path": "/v1/audio/speech", "headers": []}
            await access({**scope, "client": client}, nothing, nothing)

    asyncio.run(ask(range(5_000)))
    tracemalloc.start()
    asyncio.run(ask(range(5_000, 105_000)))
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 2_000_000, "what is remembered is of a few thousand"
