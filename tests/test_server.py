"""What holds for every route: errors, ids, forgiven addresses, kinds that are not configured."""

from __future__ import annotations

import httpx
import pytest

from spark_control.server import create_app
from spark_control.settings import Settings
from tests.conftest import IMPATIENT, live_gateway
from tests.live import serving, unused_port
from tests.sounds import wav

SPEECH = {"input": "Hello", "voice": "alloy"}


def envelope(answer):
    body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert set(body) == {"error", "detail"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["detail"] == body["error"]["message"]
    return body["error"]


@pytest.mark.parametrize(
    "path", ["/v1/readyz", "/v1/test", "/v1/nothing", "/nothing", "/docs", "/v1/", "/v1/audio/asr"]
)
def test_an_unknown_address_is_a_404_that_names_a_right_one(gateway, path):
    answer = gateway.get(path)

    assert answer.status_code == 404
    assert envelope(answer)["code"] == "not_found"
    assert "Did you mean /" in envelope(answer)["message"]


def test_a_slip_of_the_pen_is_told_its_right_spelling(gateway):
    message = envelope(gateway.post("/v1/audio/speach", json=SPEECH))["message"]

    assert message == "There is nothing at POST /v1/audio/speach. Did you mean /v1/audio/speech?"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/audio/speech", "POST"),
        ("DELETE", "/v1/models", "GET"),
        ("POST", "/v1/audio/voices", "GET"),
        ("POST", "/v1/audio/voices/nova", "GET"),
        ("POST", "/api/speech-cache", "GET, DELETE"),
    ],
)
def test_a_wrong_verb_is_a_405_that_names_the_right_one(gateway, method, path, allowed):
    answer = gateway.request(method, path)

    assert (answer.status_code, envelope(answer)["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == allowed
    assert f"use {allowed}" in envelope(answer)["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/audio/speech",
        "/v1/audio/speech/",
        "/v1//audio//speech",
        "//v1/audio/speech",
        "/audio/speech",
        "/v1/v1/audio/speech",
        "/v1/v1//audio/speech//",
    ],
)
def test_sloppy_addresses_are_forgiven(gateway, path):
    assert gateway.post(str(gateway.base_url) + path, json=SPEECH).status_code == 200


@pytest.mark.parametrize("path", ["/audio/transcriptions", "/v1/v1/audio/transcriptions/"])
def test_sloppy_addresses_are_forgiven_for_uploads_too(gateway, path):
    assert gateway.post(path, files={"file": ("a.wav", wav(0.2))}).status_code == 200


@pytest.mark.parametrize("path", ["/audio/voices", "/v1/audio/voices/", "/v1/v1/models", "/models"])
def test_sloppy_addresses_are_forgiven_for_lists_too(gateway, path):
    assert gateway.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/v1/models/%2F", "/v1/audio/voices/%2f%2f", "/api/incidents/%2F"])
def test_a_slash_that_is_part_of_a_name_is_no_slip(gateway, path):
    assert gateway.get(path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/models", 200), ("GET", "/nothing", 404), ("POST", "/v1/audio/speech", 400)],
)
def test_every_answer_has_a_request_id_of_its_own(gateway, method, path, status):
    first, second = gateway.request(method, path), gateway.request(method, path)

    assert first.status_code == status
    assert first.headers["x-request-id"].startswith("req_")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_a_client_s_own_request_id_is_kept_if_it_is_harmless(gateway):
    assert (
        gateway.get("/health", headers={"x-request-id": "kitchen-7"}).headers["x-request-id"] == "kitchen-7"
    )
    assert gateway.get("/health", headers={"x-request-id": "a b"}).headers["x-request-id"].startswith("req_")


def test_a_kind_that_is_not_configured_is_a_404(gateway_with, upstreams):
    with gateway_with(upstreams={"m": upstreams["magpie"]}) as gateway:
        answer = gateway.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav(0.2))})
        assert (answer.status_code, envelope(answer)["code"]) == (404, "not_configured")
        assert "speech-to-text" in envelope(answer)["message"]

    with gateway_with(upstreams={"p": upstreams["parakeet"]}) as gateway:
        answer = gateway.post("/v1/audio/speech", json=SPEECH)
        assert (answer.status_code, envelope(answer)["code"]) == (404, "not_configured")
        assert gateway.get("/v1/audio/voices").json()["voices"] == []
        assert gateway.get("/v1/audio/models").json()["models"] == []


def test_an_engine_that_is_down_is_a_503_to_try_again_and_its_address_stays_secret():
    port = unused_port()
    down = f"http://127.0.0.1:{port}"
    upstreams = {"p": {"kind": "parakeet", "url": down}, "m": {"kind": "magpie", "url": down}}
    with live_gateway(Settings(upstreams=upstreams, deep_health=IMPATIENT)) as gateway:
        for answer in (
            gateway.post("/v1/audio/speech", json=SPEECH),
            gateway.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav(0.2))}),
        ):
            assert (answer.status_code, envelope(answer)["code"]) == (503, "service_unavailable")
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert str(port) not in answer.text


def test_an_engine_s_key_is_sent_to_it_and_the_client_s_is_not(gateway_with, upstreams, magpie, parakeet):
    keyed = {"m": {**upstreams["magpie"], "api_key": "engine-key"}, "p": upstreams["parakeet"]}
    with gateway_with(upstreams=keyed) as gateway:
        client_headers = {"authorization": "Bearer client-key", "x-openwebui-user-email": "a@b.example"}
        spoken = gateway.post("/v1/audio/speech", json=SPEECH, headers=client_headers)
        gateway.post("/v1/audio/transcriptions", files={"file": ("a.wav", wav(0.2))}, headers=client_headers)

    assert magpie.headers[0]["authorization"] == "Bearer engine-key"
    assert "authorization" not in parakeet.headers[0]
    assert not any(name.startswith("x-openwebui") for name in {**magpie.headers[0], **parakeet.headers[0]})
    assert "engine-key" not in str(spoken.headers)


def test_a_bug_is_a_500_without_its_insides(gateway_with, monkeypatch):
    with gateway_with() as gateway:
        monkeypatch.setattr("spark_control.audio_proxy.read_speech_body", lambda _: 1 / 0)
        answer = gateway.post("/v1/audio/speech", json=SPEECH)

    assert (answer.status_code, envelope(answer)["code"]) == (500, "internal_error")
    assert answer.headers["x-request-id"].startswith("req_")
    assert "division" not in answer.text


def test_a_parameter_of_the_wrong_form_is_a_422_in_the_envelope():
    app = create_app(Settings())

    @app.get("/numbered/{number}")
    async def numbered(number: int) -> int:
        return number

    with serving(app) as url:
        answer = httpx.get(f"{url}/numbered/seven")

    error = envelope(answer)
    assert (answer.status_code, error["code"], error["param"]) == (422, "invalid_parameter", "number")


def test_health_is_the_text_ok_and_liveness_is_json(gateway):
    assert gateway.get("/health").text == "OK"
    assert gateway.get("/healthz").json() == {"status": "ok"}
    assert gateway.head("/health").status_code == 200
    assert gateway.get("/readyz").json() == {"status": "ready"}
