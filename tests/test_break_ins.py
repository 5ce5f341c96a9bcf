"""Ways in without a key, as somebody would try them who wants the engines to work, or to see what is there.

What is tried here is listed in docs/security.md.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.fakes.magpie import FakeMagpie
from tests.fakes.parakeet import FakeParakeet
from tests.test_access import ELSEWHERE, KEY, guarded, made, with_key

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


@pytest.fixture
def target(tmp_path, upstreams, magpie, parakeet) -> Iterator[Target]:
    with guarded(tmp_path, upstreams) as client:
        yield Target(client, magpie, parakeet)


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
    ],
)
def test_no_header_but_a_key_makes_an_engine_work(target, header):
    answer = target.sends(request("POST /v1/audio/speech HTTP/1.1", JSON, header))

    assert answer.split(b" ")[1] in (b"400", b"401"), answer[:200]
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


def test_what_a_client_says_of_itself_reaches_no_engine(tmp_path, upstreams, magpie, parakeet):
    told = {
        "x-openwebui-user-name": "Mia",
        "x-openwebui-user-email": "mia@example.com",
        "x-openwebui-user-id": "7",
        "x-forwarded-for": "10.0.0.9",
        "cookie": "session=secret",
        "x-custom": "secret",
    }
    with guarded(tmp_path, upstreams, made("kitchen", KEY)) as client:
        spoken = client.post("/v1/audio/speech", json={"input": "Hello"}, headers=with_key(**told))
        heard = client.post("/v1/audio/transcriptions", files={"file": b"RIFF"}, headers=with_key(**told))
        assert (spoken.status_code, heard.status_code) == (200, 400)
    (headers,) = magpie.headers
    assert not set(headers) & {*told, "authorization"}


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
