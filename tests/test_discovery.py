"""What clients ask before they speak: `/v1/models`, `/v1/audio/models`, `/v1/audio/voices`."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from spark_control.settings import Settings
from tests.conftest import live_gateway
from tests.fakes.faults import Fault, Slow
from tests.fakes.magpie import VOICES
from tests.live import eventually, unused_port

STT, TTS = "parakeet-tdt-0.6b-v3", "magpie-tts-multilingual"


def knows_voices(gateway):
    return gateway.get("/v1/audio/voices").json()["voices"]


@pytest.fixture(autouse=True)
def _voices_have_come(request):
    if "gateway" in request.fixturenames:
        eventually(lambda: knows_voices(request.getfixturevalue("gateway")))


def test_models_are_both_engines_and_no_voices(gateway):
    answer = gateway.get("/v1/models").json()

    assert answer["object"] == "list"
    assert [(each["id"], each["task"]) for each in answer["data"]] == [
        (STT, "automatic-speech-recognition"),
        (TTS, "text-to-speech"),
    ]
    for each in answer["data"]:
        assert each["object"] == "model"
        assert isinstance(each["created"], int)
        assert each["owned_by"] in ("parakeet", "magpie")


def test_voices_are_models_too_where_the_owner_wants_it(gateway_with):
    with gateway_with(models={"list_voices": True}) as gateway:
        eventually(lambda: knows_voices(gateway))
        ids = [each["id"] for each in gateway.get("/v1/models").json()["data"]]

    assert ids == [STT, TTS, *VOICES]


@pytest.mark.parametrize("asked", [TTS, "tts-1", "tts-1-hd", "gpt-4o-mini-tts"])
def test_a_speaking_model_s_page_has_its_voices(gateway, asked):
    page = gateway.get(f"/v1/models/{asked}").json()

    assert (page["id"], page["object"]) == (TTS, "model")
    assert page["voices"][0]["name"] == VOICES[0]
    assert page["voices"][0]["language"] == "en-US"


@pytest.mark.parametrize("asked", [STT, "whisper-1", "gpt-4o-transcribe"])
def test_a_hearing_model_s_page(gateway, asked):
    page = gateway.get(f"/v1/models/{asked}").json()

    assert page["id"] == STT
    assert "voices" not in page


@pytest.mark.parametrize("asked", ["gpt-5", "nvidia/parakeet", "%2e%2e", "x" * 500])
def test_an_unknown_model_is_not_found(gateway, asked):
    answer = gateway.get(f"/v1/models/{asked}")

    assert answer.status_code == 404
    assert (answer.json()["error"]["code"], answer.json()["error"]["type"]) == (
        "model_not_found",
        "not_found_error",
    )


def test_a_model_may_have_a_slash_in_its_name(gateway_with, upstreams):
    with gateway_with(upstreams={"m": {**upstreams["magpie"], "model": "nvidia/magpie"}}) as gateway:
        assert gateway.get("/v1/models/nvidia/magpie").json()["id"] == "nvidia/magpie"
        assert gateway.get("/v1/models/nvidia%2Fmagpie").json()["id"] == "nvidia/magpie"


def test_voices_come_under_every_key_that_a_client_reads(gateway):
    answer = gateway.get("/v1/audio/voices").json()

    assert answer["voices"] == answer["data"]
    assert [each["id"] for each in answer["voices"]] == VOICES
    assert answer["voices"][1] == {
        "id": "Magpie-Multilingual.EN-US.Mia.Calm",
        "name": "Magpie-Multilingual.EN-US.Mia.Calm",
        "voice_id": "Magpie-Multilingual.EN-US.Mia.Calm",
        "object": "audio.voice",
        "voice": "Magpie-Multilingual.EN-US.Mia.Calm",
        "language": "en-US",
        "emotion": "Calm",
        "description": None,
        "engine": "magpie",
    }


def test_names_of_the_owner_s_own_stand_first_unless_their_voice_is_missing(gateway_with):
    own = {"kitchen": "Magpie-Multilingual.FR-FR.Pascal", "cellar": "Nobody"}
    with gateway_with(voices=own) as gateway:
        eventually(lambda: knows_voices(gateway))
        first, second = gateway.get("/v1/audio/voices").json()["voices"][:2]

    assert (first["id"], first["voice"], first["language"]) == ("kitchen", own["kitchen"], "fr-FR")
    assert second["id"] == VOICES[0]


def test_one_voice_by_any_of_its_names(gateway):
    assert gateway.get("/v1/audio/voices/nova").json()["voice"] == "Magpie-Multilingual.EN-US.Isabela"
    assert gateway.get(f"/v1/audio/voices/{VOICES[0].lower()}").json()["voice"] == VOICES[0]


def test_an_unknown_voice_is_not_found_and_close_ones_are_named(gateway):
    answer = gateway.get("/v1/audio/voices/nowa")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "voice_not_found")
    assert "nova" in answer.json()["error"]["message"]


def test_audio_models_are_the_speaking_ones_under_both_keys(gateway):
    answer = gateway.get("/v1/audio/models").json()

    assert answer["models"] == answer["data"]
    assert [each["id"] for each in answer["models"]] == [TTS]


def test_lists_answer_from_memory_while_every_engine_is_down():
    down = f"http://127.0.0.1:{unused_port()}"
    upstreams = {"p": {"kind": "parakeet", "url": down}, "m": {"kind": "magpie", "url": down}}
    with live_gateway(Settings(upstreams=upstreams)) as gateway:
        assert [each["id"] for each in gateway.get("/v1/models").json()["data"]] == [STT, TTS]
        assert gateway.get("/v1/audio/voices").json()["voices"] == []
        page = gateway.get("/v1/models/tts-1").json()
        assert {each["name"] for each in page["voices"]} >= {"alloy", "verse"}, "names that always work"


def test_a_voice_is_not_called_missing_while_nobody_can_tell():
    down = {"m": {"kind": "magpie", "url": f"http://127.0.0.1:{unused_port()}"}}
    with live_gateway(Settings(upstreams=down, voices={"kitchen": VOICES[0]})) as gateway:
        answer = gateway.get("/v1/audio/voices/kitchen")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")


def test_lists_do_not_wait_for_an_engine_that_says_nothing(gateway_with, magpie):
    magpie.voices_fault = Slow()
    with gateway_with() as gateway:
        assert magpie.voices_fault.arrived.wait(5)
        assert len(gateway.get("/v1/models").json()["data"]) == 2
        assert gateway.get("/v1/audio/voices").json()["voices"] == []


def test_voices_that_were_known_outlive_the_engine(gateway_with, magpie):
    with gateway_with() as gateway:
        eventually(lambda: knows_voices(gateway))
        magpie.voices_fault = Fault(500)
        magpie.fault = Fault(500)
        gateway.post("/v1/audio/speech", json={"input": "Hello"})
        assert len(knows_voices(gateway)) == len(VOICES)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"en-US": {"voices": []}}',
        b'{"a": 1}',
        b'{"a": {"voices": 5}}',
        b'{"a": {"voices": ["\\ud800", "a\\r\\nb"]}}',
        b"[" * 100_000,
    ],
)
def test_a_voice_list_that_makes_no_sense_is_the_engine_s_fault(gateway_with, magpie, body):
    magpie.voices_fault = Fault(200, body)
    with gateway_with() as gateway:
        answer = gateway.post("/v1/audio/speech", json={"input": "Hello", "voice": "alloy"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_garbage")


@pytest.mark.parametrize("path", ["/v1/models", "/v1/audio/models", "/v1/audio/voices"])
def test_lists_need_no_key_and_take_any(gateway, path):
    assert gateway.get(path).status_code == 200
    assert gateway.get(path, headers={"authorization": "Bearer"}).status_code == 200
    assert gateway.get(path, headers={"authorization": "Bearer anything"}).status_code == 200


def test_a_surprise_does_not_end_the_asking(gateway_with, magpie, monkeypatch):
    monkeypatch.setattr("spark_control.upstreams.magpie.Magpie.read_voices", lambda *_: 1 / 0)
    with gateway_with() as gateway:
        eventually(lambda: magpie.listed)
        monkeypatch.undo()
        eventually(lambda: knows_voices(gateway))


def test_a_hundred_requests_without_voices_are_one_question(gateway_with, magpie):
    magpie.voices_fault = Slow()
    with gateway_with() as gateway, ThreadPoolExecutor(20) as clients:
        asking = [
            clients.submit(gateway.post, "/v1/audio/speech", json={"input": "Hello"}) for _ in range(20)
        ]
        assert magpie.voices_fault.arrived.wait(5)
        time.sleep(1)  # for all twenty to be there: who comes after the answer asks anew
        magpie.voices_fault.released.set()
        assert {each.result().status_code for each in asking} == {502}, "the list that came was empty"

    assert magpie.listed <= 3
