"""What a person sees of remembered speech, and may have forgotten, through the gateway."""

from __future__ import annotations

import pytest

from tests.live import eventually
from tests.remembering import remembering_gateway

MIA = "Magpie-Multilingual.EN-US.Mia"
LEO = "Magpie-Multilingual.EN-US.Leo"


@pytest.fixture
def gateway(tmp_path, upstreams, magpie):
    with remembering_gateway(tmp_path / "speech", upstreams, voices={"Kitchen": LEO}) as client:
        yield client


def speak(gateway, text="The kettle is ready.", **changes):
    answer = gateway.post("/v1/audio/speech", json={"input": text, "response_format": "wav", **changes})
    assert answer.status_code == 200
    return answer.headers.get("x-spark-cache")


def forget(gateway, **which):
    return gateway.delete("/api/speech-cache", params=which)


def test_it_tells_how_much_it_remembers_and_what_for(gateway):
    assert [speak(gateway, text) for text in ("One.", "Two.", "One.")] == ["miss", "miss", "hit"]
    eventually(lambda: gateway.get("/api/speech-cache").json()["entries"] == 2)
    told = gateway.get("/api/speech-cache")
    size = told.json()["bytes"]

    assert told.json() == {
        "enabled": True,
        "entries": 2,
        "bytes": size,
        "max_bytes": 1 << 24,
        "hits": 1,
        "stale": 0,
        "misses": 2,
    }
    assert size > 20_000
    assert told.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", [MIA, MIA.lower(), "alloy"])
def test_a_voice_is_forgotten_by_its_own_name_and_by_the_one_that_was_asked_for(gateway, name):
    speak(gateway, voice="alloy")
    speak(gateway, voice=LEO)
    told = forget(gateway, voice=name).json()

    assert told["entries"] == 1
    assert told["bytes"] > 0
    assert [speak(gateway, voice=voice) for voice in ("alloy", LEO)] == ["miss", "hit"]


def test_so_it_is_by_the_owners_name_for_it(gateway):
    speak(gateway, voice="kitchen")
    assert speak(gateway, voice=LEO) == "hit"
    assert forget(gateway, voice="KITCHEN").json()["entries"] == 1


def test_everything_is_forgotten(gateway):
    speak(gateway, "One.")
    speak(gateway, "Two.", voice=LEO)

    assert forget(gateway, all="true").json()["entries"] == 2
    assert gateway.get("/api/speech-cache").json()["entries"] == 0
    assert forget(gateway, all="true").json() == {"entries": 0, "bytes": 0}


@pytest.mark.parametrize("which", [{}, {"voice": ""}, {"voice": "alloy", "all": "true"}, {"all": "perhaps"}])
def test_what_is_to_be_forgotten_has_to_be_said(gateway, which):
    speak(gateway)
    answer = forget(gateway, **which)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_parameter")
    assert speak(gateway) == "hit"


@pytest.mark.parametrize(
    "headers", [{"origin": "https://example.org"}, {"x-forwarded-for": "1.2.3.4"}, {"host": "example.org"}]
)
def test_only_this_machine_may_have_it_forgotten(gateway, headers):
    speak(gateway)
    answer = gateway.delete("/api/speech-cache?all=true", headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "local_only")
    assert speak(gateway) == "hit"


def test_a_folder_that_cannot_be_reached_is_told(gateway, tmp_path, monkeypatch):
    def fail(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("spark_control.speech_cache.files.SpeechFiles.purge", fail)
    answer = forget(gateway, all="true")

    assert answer.status_code == 503
    assert "Permission denied" in answer.json()["error"]["message"]


def test_a_gateway_that_remembers_nothing_says_so(gateway_with):
    with gateway_with() as gateway:
        assert gateway.get("/api/speech-cache").json()["enabled"] is False
        assert forget(gateway, all="true").json() == {"entries": 0, "bytes": 0}
        assert speak(gateway) is None
