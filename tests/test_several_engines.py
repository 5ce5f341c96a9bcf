"""Several engines behind one gateway: their lists, their names, and who stands in for whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from spark_control.settings import Settings
from tests.conftest import IMPATIENT, live_gateway
from tests.fakes.faults import Fault, Slow
from tests.fakes.magpie import VOICES, FakeMagpie
from tests.fakes.parakeet import words_of
from tests.live import eventually, serving, unused_port
from tests.sounds import wav

MIA = VOICES[0]
CLIP = wav(1.0)


@contextmanager
def two_voices(
    second_model: str | None, **settings: Any
) -> Iterator[tuple[httpx.Client, FakeMagpie, FakeMagpie]]:
    """A gateway with two Magpies, the second with that model; without one it is the first one's twin."""
    first, second = FakeMagpie(), FakeMagpie()
    with serving(first.app) as one, serving(second.app) as two:
        upstreams = {
            "one": {"kind": "magpie", "url": one},
            "two": {"kind": "magpie", "url": two} | ({"model": second_model} if second_model else {}),
        }
        known = Settings(upstreams=upstreams, **{"deep_health": IMPATIENT, **settings})
        with live_gateway(known) as gateway:
            eventually(lambda: gateway.post("/v1/audio/speech", json=said("one/" + MIA)).status_code == 200)
            eventually(lambda: gateway.post("/v1/audio/speech", json=said("two/" + MIA)).status_code == 200)
            first.reset()
            second.reset()
            yield gateway, first, second


def said(voice: str, **more: Any) -> dict[str, Any]:
    return {"input": "The kettle is ready.", "voice": voice, "response_format": "wav", **more}


def voices(gateway: httpx.Client) -> list[str]:
    return [each["id"] for each in gateway.get("/v1/audio/voices").json()["voices"]]


def test_twins_voices_are_listed_once():
    with two_voices(None) as (gateway, _, _):
        assert voices(gateway) == VOICES


def test_voices_of_two_engines_with_one_name_stay_reachable():
    with two_voices("magpie-tts-flow") as (gateway, first, second):
        assert voices(gateway) == [*VOICES, *(f"two/{name}" for name in VOICES)]
        page = gateway.get(f"/v1/audio/voices/two/{MIA}").json()
        assert (page["voice"], page["engine"]) == (MIA, "two")
        assert (
            gateway.post("/v1/audio/speech", json=said(MIA)).headers["x-model"] == "magpie-tts-multilingual"
        )
        answer = gateway.post("/v1/audio/speech", json=said(f"two/{MIA}"))
        assert (answer.headers["x-model"], answer.headers["x-voice"]) == ("magpie-tts-flow", MIA)
        assert (len(first.asked), len(second.asked)) == (1, 1)


def test_the_model_that_is_asked_for_decides_between_namesakes():
    with two_voices("magpie-tts-flow") as (gateway, first, second):
        for model in ("magpie-tts-flow", "two", "MAGPIE-TTS-FLOW"):
            assert gateway.post("/v1/audio/speech", json=said(MIA, model=model)).status_code == 200
        assert (len(first.asked), len(second.asked)) == (0, 3)


def test_an_alias_is_a_model():
    aliases = {"aliases": {"tts-1": "magpie-tts-flow", "fancy": "two"}}
    with two_voices("magpie-tts-flow", models=aliases) as (gateway, first, second):
        for model in ("tts-1", "fancy"):
            answer = gateway.post("/v1/audio/speech", json=said(MIA, model=model))
            assert answer.headers["x-model"] == "magpie-tts-flow"
        assert (len(first.asked), len(second.asked)) == (0, 2)
        listed = [each["id"] for each in gateway.get("/v1/models").json()["data"]]
        assert listed == ["magpie-tts-multilingual", "magpie-tts-flow", "tts-1"]


def test_where_names_are_strict_an_unknown_model_is_not_found_by_any_route(gateway_with):
    with gateway_with(models={"strict": True}) as gateway:
        spoken = gateway.post("/v1/audio/speech", json=said(MIA, model="gpt-9"))
        heard = gateway.post(
            "/v1/audio/transcriptions", data={"model": "gpt-9"}, files={"file": ("a.wav", CLIP)}
        )
        for answer in (spoken, heard):
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
        assert gateway.post("/v1/audio/speech", json=said(MIA, model="tts-1")).status_code == 200


def test_who_stands_in_for_a_voice_says_so_in_the_same_language():
    with two_voices("magpie-tts-flow") as (gateway, first, second):
        first.fault = Fault(500, b"CUBLAS_STATUS_EXECUTION_FAILED")
        answer = gateway.post("/v1/audio/speech", json=said("Magpie-Multilingual.DE-DE.Sofia"))
        assert answer.status_code == 200
        assert answer.headers["x-spark-degraded"].startswith("one: ")
        assert answer.headers["x-model"] == "magpie-tts-flow"
        assert second.asked[-1]["voice"] == "Magpie-Multilingual.DE-DE.Sofia"


def test_a_slow_or_mad_engine_s_list_holds_up_nobody():
    mad, slow, sound = FakeMagpie(), FakeMagpie(), FakeMagpie()
    mad.voices_fault = Fault(200, b"[" * 100_000)
    slow.voices_fault = Slow()
    with serving(mad.app) as one, serving(slow.app) as two, serving(sound.app) as three:
        upstreams = {
            name: {"kind": "magpie", "url": url, "model": name}
            for name, url in {
                "mad": one,
                "slow": two,
                "dead": f"http://127.0.0.1:{unused_port()}",
                "sound": three,
            }.items()
        }
        with live_gateway(Settings(upstreams=upstreams, deep_health=IMPATIENT)) as gateway:
            eventually(lambda: voices(gateway) == VOICES)
            answer = gateway.post("/v1/audio/speech", json=said(MIA))
            assert (answer.status_code, answer.headers["x-model"]) == (200, "sound")
            assert len(gateway.get("/v1/models").json()["data"]) == 4


@pytest.mark.parametrize("stream", ["false", "true"])
def test_an_ear_that_is_asked_for_by_name_hears(gateway_with, upstreams, nim, nim_settings, parakeet, stream):
    with gateway_with(upstreams={**upstreams, "nim": nim_settings}) as gateway:
        for model in ("nim", "parakeet-1.1b-ctc-en-us"):
            answer = gateway.post(
                "/v1/audio/transcriptions",
                data={"model": model, "stream": stream},
                files={"file": ("a.wav", CLIP)},
            )
            assert words_of(CLIP) in answer.text
            assert answer.headers["x-model"] == "parakeet-1.1b-ctc-en-us"
        assert (len(nim.heard), len(parakeet.heard)) == (2, 0)
