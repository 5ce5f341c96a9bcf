"""Ways in without a key, as somebody would try them who wants the engines to work, or to see what is there.

What is tried here is listed in docs/security.md.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message

from spark_control.keys import Key, KeyFile, Keys
from spark_control.server import create_app
from spark_control.sessions import COOKIE, Sessions
from spark_control.settings import Settings
from tests.fakes.faults import Fault
from tests.fakes.llm import FakeVLLM
from tests.fakes.magpie import FakeMagpie
from tests.fakes.parakeet import FakeParakeet
from tests.live import serving
from tests.sounds import wav
from tests.test_access import ADMIN, ELSEWHERE, KEY, guarded, made, with_key

BODY = b'{"input": "The kettle is ready."}'


@dataclass
class Target:
    client: httpx.Client
    magpie: FakeMagpie
    parakeet: FakeParakeet

    @property
    def work_done(self) -> int:
        return len(self.magpie.asked) + len(self.parakeet.heard)

    def sends(self, request: bytes) -> bytes:
        """Bytes as they are, on a connection of their own; all that comes back in a second."""
        host, port = self.client.base_url.host, self.client.base_url.port
        assert port
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(request)
            answer = b""
            try:
                while piece := connection.recv(65536):
                    answer += piece
            except TimeoutError:
                pass
            return answer


@pytest.fixture(scope="module")
def _house(tmp_path_factory, upstreams) -> Iterator[httpx.Client]:
    with guarded(tmp_path_factory.mktemp("house"), upstreams) as client:
        yield client


@pytest.fixture
def target(_house, magpie, parakeet) -> Target:
    return Target(_house, magpie, parakeet)


def request(line: str, *headers: str, body: bytes = BODY) -> bytes:
    lines = [line, "Host: localhost", *headers, f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


JSON = "Content-Type: application/json"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/audio/speech",
        "//v1//audio//speech",
        "/v1/audio/speech/",
        "/v1/v1/audio/speech",
        "/audio/speech",
        "/v1/audio%2Fspeech",
        "/v1/audio/%73peech",
        "/V1/audio/speech",
        "/v1/audio/speech;x=1",
        "/v1/audio/speech?key=anything",
        "/v1/models/../audio/speech",
        "/v1/models/%2e%2e/audio/speech",
        "/health/../v1/audio/speech",
        "/v1/audio/voices/../speech",
        "/v1/audio/speech%00",
        "/v1/audio/speech%0a",
        "/v1/audio/speech#/health",
        "http://localhost/v1/audio/speech",
        "http://localhost/health",
        "http://localhost",
        "http://anything:x@localhost/v1/audio/speech",
        "*",
        "localhost:8090",
        "/health\x0b/v1/audio/speech",
    ],
)
def test_no_spelling_of_the_path_makes_an_engine_work(target, path):
    answer = target.sends(request(f"POST {path} HTTP/1.1", JSON))

    assert answer.split(b" ")[1] in (b"400", b"401", b"404", b"405"), answer[:200]
    assert target.work_done == 0


@pytest.mark.parametrize(
    "path",
    [
        "/v1/audio/voices/alloy/preview",
        "/v1/audio/voices/alloy/preview%0a",
        "/v1/audio/voices/alloy%2fpreview",
        "/v1/audio/voices//alloy//preview//",
        "/v1/models/../audio/voices/alloy/preview",
        "/v1/audio/voices/x%0d%0a/preview",
    ],
)
def test_no_spelling_of_a_preview_makes_an_engine_work(target, path):
    answer = target.sends(request(f"GET {path} HTTP/1.1", body=b""))

    assert answer.split(b" ")[1] in (b"400", b"401", b"404"), answer[:200]
    assert target.work_done == 0


@pytest.mark.parametrize(
    "header",
    [
        "X-HTTP-Method-Override: GET",
        "X-Original-URL: /health",
        "X-Rewrite-URL: /health",
        "X-Forwarded-For: 127.0.0.1",
        "Forwarded: for=127.0.0.1",
        "X-Real-IP: 127.0.0.1",
        "X-Api-Key: anything",
        "Cookie: session=admin",
        f"Cookie: {COOKIE}={KEY}",
        f"Cookie: {COOKIE}=WyJvd25lciIsIiIsMF0.AAAA\r\nSec-Fetch-Site: same-origin",
        "Authorization: Bearer null",
        "Authorization: Bearer undefined",
        "Authorization: Bearer *",
        "Authorization: Bearer ' or 1=1 --",
        "Authorization: Basic YWRtaW46YWRtaW4=",
        "Authorization: Bearer " + "A" * 5000,
        "Authorization: Bearer \xff\xfe\x00",
        "Proxy-Authorization: Bearer anything",
        "Origin: http://localhost:8090",
        "Referer: http://localhost:8090/",
        "Sec-Fetch-Site: same-origin",
        "User-Agent: spark-control (canary)",
        "Upgrade: websocket\r\nConnection: upgrade",
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        "Authorization:\r\n Bearer anything",
        "Authorization : Bearer anything",
        "Expect: 100-continue",
    ],
)
def test_no_header_but_a_key_makes_an_engine_work(target, header):
    answer = target.sends(request("POST /v1/audio/speech HTTP/1.1", JSON, header))

    assert answer.split(b" ")[1] in (b"400", b"401", b"429"), answer[:200]
    assert target.work_done == 0


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "post"]
)
def test_no_other_verb_makes_an_engine_work(target, method):
    target.sends(request(f"{method} /v1/audio/speech HTTP/1.1", JSON))

    assert target.work_done == 0


@pytest.mark.parametrize(
    "open_one",
    [
        "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /v1/models HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 80\r\n\r\n",
        f"GET /health HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\r\n",
    ],
)
def test_a_request_hidden_behind_another_needs_a_key_of_its_own(target, open_one):
    target.sends(open_one.encode() + request("POST /v1/audio/speech HTTP/1.1", JSON))

    assert target.work_done == 0


def test_who_may_not_come_in_sends_no_upload(target):
    """The refusal does not wait for the body, nor is it kept."""
    head = "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000000\r\n\r\n"
    assert b" 401 " in target.sends(head.encode())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/status"),
        ("GET", "/api/incidents"),
        ("GET", "/api/events"),
        ("GET", "/openapi.json"),
        ("GET", "/metrics"),
        ("GET", "/"),
        ("POST", "/api/upstreams/magpie/restart"),
        ("POST", "/api/upstreams/magpie/fault"),
        ("POST", "/api/upstreams/magpie/drain"),
        ("DELETE", "/api/speech-cache"),
    ],
)
def test_from_elsewhere_nothing_of_the_house_is_seen_or_changed(target, method, path):
    for headers in (ELSEWHERE, {"host": "evil.example"}, {"origin": "https://evil.example"}):
        answer = target.client.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert set(answer.json()) == {"error", "detail"}


ROUTES = [
    "/v1/audio/speech",
    "/v1/audio/voices/alloy/preview",
    "/v1/audio/transcriptions",
    "/v1/chat/completions",
]
ROUTES += ["/v1/models/tts-1", "/v1/audio/voices/alloy", "/health", "/openapi.json", "/api/status"]
ROUTES += ["/api/upstreams/magpie/maintenance", "/api/speech-cache", "/live", "/login", "/logout", "/metrics"]
FOR_ALL = {
    "models",
    "model",
    "audio_models",
    "voices",
    "voice",
    "health",
    "healthz",
    "readyz",
    "login",
    "login_page",
    "logout",
}
"""The functions that answer whoever asks."""


NOISE = ["/", "/..", "/../..", "/.", ";x=1", "%2f", "%2F", "%252f", "%2e%2e", "%00", "%0a", "%0d%0a", "%20"]
NOISE += ["%e2%80%a8", "%ff", "%", "\\", "@", ":", "*", "/health", "/v1/models/", "/preview"]


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """An address that there is, disguised: first as the gateway forgives it, then perhaps otherwise."""
    pieces = list(draw(st.sampled_from(ROUTES)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(1, len(pieces) - 1))
        pieces[at] = "//" if pieces[at][0] == "/" else f"%{ord(pieces[at][0]):02x}"
    if draw(st.booleans()):
        pieces.insert(draw(st.integers(0, len(pieces))), draw(st.sampled_from(NOISE)))
    return draw(st.sampled_from(["", "/", "/v1"])) + "".join(pieces) + draw(st.sampled_from(["", "/", "//"]))


class Stranger:
    """Somebody on the network, and a gateway that tells which of its functions he has reached."""

    def __init__(self, folder: Path, *keys: Key) -> None:
        file = KeyFile(folder)
        for key in keys:
            file.add(key)
        upstreams = {"magpie": {"kind": "magpie", "url": "http://192.0.2.1"}}
        self.app = create_app(Settings.model_validate({"upstreams": upstreams}), keys=Keys(file, lambda: 0.0))

    def reaches(self, method: str, path: str, *headers: tuple[bytes, bytes]) -> str | None:
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"localhost:8090"), *headers],
            "client": ("192.0.2.7", 50_000),
            "server": ("192.0.2.8", 8090),
            "scheme": "http",
            "http_version": "1.1",
            "root_path": "",
        }

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        statuses: list[int] = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        asyncio.run(self.app(scope, receive, send))
        reached = scope.get("endpoint")  # of the right address, be it with another verb
        return reached.__name__ if reached and statuses != [405] else None


METHODS = st.sampled_from(["GET", "POST"]) | st.sampled_from(
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "TRACE"]
)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    keys = made("kitchen", KEY, uses=("transcription",)), made("owner", "sk-spark-other", admin=True)
    return Stranger(tmp_path_factory.mktemp("keys"), *keys)


def test_the_disguises_would_get_in_where_nobody_needs_a_key(tmp_path):
    """Or the next two tests would hold for a reason that is none."""
    everybody = Stranger(tmp_path)

    assert everybody.reaches("POST", "//v1/v1/audio//s%70eech/") == "speech"
    assert everybody.reaches("GET", "/v1/audio/voices/a%2Fb/preview") == "preview"
    assert everybody.reaches("GET", "/api/%73tatus") == "status"


@given(METHODS, spellings())
def test_however_an_address_is_disguised_a_stranger_reaches_only_what_is_for_all(stranger, method, path):
    assert stranger.reaches(method, path) in {None, *FOR_ALL}


@given(METHODS, spellings())
def test_however_an_address_is_disguised_a_key_has_nothing_done_that_it_is_not_for(stranger, method, path):
    reached = stranger.reaches(method, path, (b"authorization", b"Bearer " + KEY.encode()))

    assert reached not in {"speech", "speech_base64", "speech_batch", "preview", "relay"}


@pytest.mark.parametrize(
    "path", ["/api/status", "/api/incidents", "/openapi.json", "/v1/readyz", "/v1/test", "/"]
)
def test_to_say_localhost_makes_nobody_local(stranger, path):
    for headers in (
        [],
        [(b"host", b"localhost")],
        [(b"origin", b"http://localhost:8090"), (b"sec-fetch-site", b"same-origin")],
        [(b"x-forwarded-for", b"127.0.0.1"), (b"x-real-ip", b"::1")],
    ):
        assert stranger.reaches("GET", path, *headers) is None


@pytest.mark.parametrize(
    "shown",
    [
        made("kitchen", KEY).digest,
        made("kitchen", KEY).hint,
        "kitchen",
        "key:kitchen",
        KEY[:-1],
        KEY + "x",
        KEY.upper(),
        KEY[len("sk-spark-") :],
        f"{KEY},{KEY}",
        f'"{KEY}"',
        KEY + "\xa0x",
        "",
        "None",
    ],
)
def test_what_is_like_a_key_or_known_of_one_opens_nothing(stranger, shown):
    """Whoever has read the key file, or a log, has no key."""
    header = (b"authorization", b"Bearer " + shown.encode("utf-8"))
    for scheme in (header, (b"authorization", b"Basic " + shown.encode()), (b"x-api-key", KEY.encode())):
        assert stranger.reaches("POST", "/v1/audio/transcriptions", scheme) is None


def test_a_web_socket_is_for_nobody(stranger):
    sent = []

    async def open_one() -> None:
        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await stranger.app({"type": "websocket", "path": "/v1/audio/speech", "headers": []}, receive, send)

    asyncio.run(open_one())
    assert sent == [{"type": "websocket.close", "code": 1008}]


class Browser:
    """One that has logged in with an admin key, somewhere on the network."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.host = client.base_url.netloc.decode()
        form = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
        entered = client.post("/login", content=f"key={ADMIN}", headers={**form, **ELSEWHERE})
        self.cookie = f"{COOKIE}={entered.cookies[COOKIE]}"
        client.cookies.clear()

    def asks(self, method: str, path: str, **headers: str) -> int:
        sent = {"cookie": self.cookie, **ELSEWHERE, **{n.replace("_", "-"): v for n, v in headers.items()}}
        body = b'{"on": false}' if path.startswith("/api/") else BODY if method == "POST" else b""
        return self._client.request(method, path, headers=sent, content=body).status_code


@pytest.fixture(scope="module")
def browser(_house):
    return Browser(_house)


TYPE = {"content_type": "application/json"}
DOES = [("POST", "/api/upstreams/magpie/maintenance"), ("POST", "/v1/audio/speech")]
DOES += [("GET", "/v1/audio/voices/alloy/preview")]


@pytest.mark.parametrize(("method", "path"), DOES)
@pytest.mark.parametrize(
    "said",
    [
        {},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": ""},
        {"sec_fetch_site": "Same-Origin"},
        {"sec_fetch_site": "same-origin, cross-site"},
        {"sec_fetch_site": "cross-site", "origin": "http://{host}"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "http://127.0.0.1"},
        {"origin": "http://{host}.evil.example"},
        {"origin": "http://{host}/"},
        {"origin": "http://{host}, http://evil.example"},
        {"origin": "file://"},
        {"referer": "http://{host}/"},
    ],
)
def test_another_page_does_nothing_in_the_name_of_who_has_logged_in(target, browser, method, path, said):
    """Whatever site or port it is of: the browser sends the cookie along, and says whose page asks."""
    headers = {name: value.format(host=browser.host) for name, value in said.items()}

    assert browser.asks(method, path, **TYPE, **headers) == 401
    assert target.work_done == 0


@pytest.mark.parametrize(("method", "path"), DOES)
def test_the_gateway_s_own_page_does_or_the_test_before_would_mean_nothing(target, browser, method, path):
    assert browser.asks(method, path, **TYPE, sec_fetch_site="same-origin") == 200
    assert browser.asks(method, path, **TYPE, origin=f"http://{browser.host}") == 200


@pytest.mark.parametrize(
    "form", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_form_changes_nothing_even_on_the_own_page(target, browser, form):
    path = "/api/upstreams/magpie/restart"
    assert browser.asks("POST", path, content_type=form, sec_fetch_site="same-origin") == 415


def test_a_second_cookie_that_another_port_has_put_there_takes_nobody_s_place(target, browser):
    own = {"sec_fetch_site": "same-origin", **TYPE}
    for tossed in (f"{COOKIE}=x; {browser.cookie}", f"{browser.cookie}; {COOKIE}=x"):
        assert browser.asks("POST", "/v1/audio/speech", **own, cookie=tossed) == 401
    assert target.work_done == 0


def test_no_listed_origin_reads_with_the_cookie(tmp_path, upstreams):
    with guarded(tmp_path, upstreams, access={"cors_origins": ["http://127.0.0.1", "app://x"]}) as client:
        cookie = {"cookie": Browser(client).cookie}
        for origin in ("http://127.0.0.1", "app://x"):
            answer = client.get("/api/status", headers={**cookie, **ELSEWHERE, "origin": origin})
            assert answer.status_code == 401
            assert "access-control-allow-credentials" not in answer.headers


def test_a_stream_ends_with_the_key_that_it_was_let_in_by(tmp_path, upstreams):
    file = KeyFile(tmp_path)
    file.add(made("owner", ADMIN, admin=True))
    passed = iter(range(0, 10**9, 10))
    keys = Keys(file, lambda: float(next(passed)))
    app = create_app(Settings.model_validate({"upstreams": upstreams}), keys=keys)
    with serving(app) as url, httpx.Client(base_url=url, timeout=20) as client:
        cookie = {"cookie": Browser(client).cookie}
        for path in ("/api/events", "/live"):
            with client.stream("GET", path, headers={**cookie, **ELSEWHERE}) as told:
                lines = told.iter_lines()
                assert next(lines)
                file.revoke("owner")
                for _ in lines:
                    pass
            assert client.get(path, headers={**cookie, **ELSEWHERE}).status_code == 401
            file.add(made("owner", ADMIN, admin=True))


def test_a_stream_ends_with_the_first_key_if_it_was_let_in_without(tmp_path, upstreams):
    passed = iter(range(0, 10**9, 10))
    keys = Keys(KeyFile(tmp_path), lambda: float(next(passed)))
    app = create_app(Settings.model_validate({"upstreams": upstreams}), keys=keys)
    with serving(app) as url, httpx.Client(base_url=url, timeout=20) as client:
        with client.stream("GET", "/api/events", headers=ELSEWHERE) as told:
            lines = told.iter_lines()
            assert next(lines)
            KeyFile(tmp_path).add(made("owner", ADMIN, admin=True))
            for _ in lines:
                pass
        assert client.get("/api/events", headers=ELSEWHERE).status_code == 401


def test_a_cookie_of_another_gateway_opens_nothing(stranger, tmp_path):
    file = KeyFile(tmp_path)
    file.add(made("owner", "sk-spark-other", admin=True))
    other = Sessions(tmp_path, Keys(file, lambda: 0.0), lambda: 0.0)
    cookie = f"{COOKIE}={other.begun(file.read()[0])}".encode()

    for path in ("/api/status", "/v1/audio/speech"):
        own = [(b"cookie", cookie), (b"sec-fetch-site", b"same-origin")]
        assert stranger.reaches("GET", path, *own) is None
        assert stranger.reaches("POST", path, *own) is None


TOLD = {
    "x-openwebui-user-name": "Mia",
    "x-openwebui-user-email": "mia@example.com",
    "x-openwebui-user-id": "7",
    "x-openwebui-user-role": "admin",
    "x-openwebui-chat-id": "12",
    "x-forwarded-for": "10.0.0.9",
    "x-forwarded-user": "mia",
    "forwarded": "for=10.0.0.9",
    "cookie": "session=secret",
    "proxy-authorization": "Basic c2VjcmV0",
    "referer": "http://chat.example/c/12",
    "user-agent": "OpenAI/Python 3",
    "openai-organization": "org-house",
    "x-stainless-lang": "python",
    "x-custom": "secret",
}
"""What clients say of themselves, and of their users."""

TECHNICAL = {
    "host",
    "accept",
    "accept-encoding",
    "user-agent",
    "connection",
    "content-type",
    "content-length",
}
TECHNICAL |= {"transfer-encoding"}


def test_what_a_client_says_of_itself_reaches_no_engine(tmp_path, upstreams, magpie, parakeet):
    llm = FakeVLLM()
    clip = {"file": ("a.wav", wav(0.5), "audio/wav")}
    line = {"messages": [{"role": "user", "content": "Hello"}]}
    with (
        serving(llm.app) as url,
        guarded(
            tmp_path,
            {**upstreams, "llm": {"kind": "openai", "flavour": "vllm", "url": url}},
            made("kitchen", KEY),
        ) as client,
    ):
        headers = with_key(**TOLD)

        def said(path: str, **body: Any) -> int:
            return client.post(path, headers=headers, **body).status_code

        statuses = [
            said("/v1/audio/speech", json={"input": "Hello"}),
            said("/v1/audio/speech", json={"input": "Hello", "response_format": "pcm"}),
            said("/v1/audio/speech", json={"input": "Hello", "stream_format": "sse"}),
            said("/v1/audio/speech/base64", json={"input": "Hello"}),
            said("/v1/audio/speech/batch", json={"inputs": ["Hello", "Again"]}),
            client.get("/v1/audio/voices/alloy/preview", headers=headers).status_code,
            said("/v1/audio/transcriptions", files=clip),
            said("/v1/audio/transcriptions", files=clip, data={"stream": "true"}),
            said("/v1/audio/transcriptions", files=clip, data={"response_format": "verbose_json"}),
            said("/v1/chat/completions", json=line),
            said("/v1/chat/completions", json={**line, "stream": True}),
            said("/v1/completions", json={"prompt": "Hello"}),
        ]
        assert set(statuses) == {200}, statuses
    sent = [*magpie.headers, *parakeet.headers, *(each.headers for each in llm.asked)]
    assert len(sent) >= len(statuses)
    for each in sent:
        assert set(each) <= TECHNICAL
        assert not set(each.values()) & set(TOLD.values())


def test_an_engine_s_key_never_leaves(tmp_path, upstreams, magpie, parakeet, capfd):
    secret = "sk-of-the-engine-itself"  # noqa: S105 (it is what must not be seen)
    known: dict[str, Any] = {name: {**settings, "api_key": secret} for name, settings in upstreams.items()}
    with guarded(tmp_path, known, made("kitchen", KEY)) as client:
        answers = [
            client.post("/v1/audio/speech", json={"input": "Hello"}, headers=with_key()),
            client.post("/v1/audio/speech", json={"input": "Hello", "voice": "nobody"}, headers=with_key()),
            client.get("/api/status"),
            client.get("/v1/models"),
            client.get("/openapi.json"),
        ]
        assert magpie.headers[0]["authorization"] == f"Bearer {secret}"
    for answer in answers:
        assert secret not in answer.text + str(answer.headers)
    written = capfd.readouterr()
    assert secret not in written.out + written.err
    assert KEY not in written.out + written.err


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, b'{"detail": "Incorrect API key provided sk-of-the-engine-itself"}'),
        (401, b'{"detail": "sk-of-the-engine-itself is none of mine"}'),
        (422, b'{"detail": "sk-of-the-engine-itself"}'),
        (500, b"Traceback: authorization sk-of-the-engine-itself CUDA error"),
    ],
)
def test_an_engine_that_repeats_its_key_does_not_give_it_away(
    tmp_path, upstreams, magpie, parakeet, capfd, status, said
):
    secret = "sk-of-the-engine-itself"  # noqa: S105 (it is what must not be seen)
    known: dict[str, Any] = {name: {**settings, "api_key": secret} for name, settings in upstreams.items()}
    impatient = {"deep_health": {"patience": 0, "patience_for": []}}
    with guarded(tmp_path, known, made("kitchen", KEY), **impatient) as client:
        client.post("/v1/audio/speech", json={"input": "Hello"}, headers=with_key())
        assert magpie.headers[0]["authorization"] == f"Bearer {secret}"
        magpie.fault = Fault(status=status, body=said)
        answers = [client.post("/v1/audio/speech", json={"input": "Hello"}, headers=with_key())]
        answers += [client.get(path) for path in ("/api/status", "/api/incidents")]
        answers += [client.get(f"/api/incidents/{each['id']}") for each in answers[-1].json()["incidents"]]
    written = capfd.readouterr()
    assert secret not in "".join(answer.text for answer in answers) + written.out + written.err
