"""`POST /v1/audio/speech`."""

from __future__ import annotations

import pytest

from tests.fakes.faults import CutOff, Fault
from tests.fakes.magpie import speech_of

MIA = "Magpie-Multilingual.EN-US.Mia"
HELLO = {"model": "tts-1", "input": "Hello there, kettle.", "voice": MIA, "response_format": "wav"}


def speak(gateway, **changes):
    body = {name: value for name, value in {**HELLO, **changes}.items() if value is not ...}
    return gateway.post("/v1/audio/speech", json=body)


def test_speech_is_spoken_by_magpie_and_passed_on_byte_for_byte(gateway, magpie):
    answer = speak(gateway)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.content == speech_of(magpie.asked[0])
    assert magpie.asked == [
        {
            "text": "Hello there, kettle.",
            "language": "en-US",
            "voice": MIA,
            "sample_rate_hz": "22050",
            "encoding": "LINEAR_PCM",
        }
    ]


def test_the_answer_says_which_model_and_voice_spoke(gateway):
    answer = speak(gateway, voice="ALLOY")

    assert (answer.headers["x-model"], answer.headers["x-voice"]) == ("magpie-tts-multilingual", MIA)
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize(
    ("asked", "voice", "language"),
    [
        (MIA.lower(), MIA, "en-US"),
        ("magpie-multilingual.ES-us.diego", "Magpie-Multilingual.ES-US.Diego", "es-US"),
        ({"id": "Magpie-Multilingual.DE-DE.Sofia"}, "Magpie-Multilingual.DE-DE.Sofia", "de-DE"),
        ("ash", "Magpie-Multilingual.EN-US.Jason", "en-US"),
        ("verse", "Magpie-Multilingual.EN-US.Leo", "en-US"),
        ("default", MIA, "en-US"),
        ("", MIA, "en-US"),
        (None, MIA, "en-US"),
        (..., MIA, "en-US"),
    ],
)
def test_a_voice_is_found_by_any_of_its_names_and_sent_by_its_own(gateway, magpie, asked, voice, language):
    assert speak(gateway, voice=asked).status_code == 200
    assert (magpie.asked[0]["voice"], magpie.asked[0]["language"]) == (voice, language)


def test_the_owner_names_voices(gateway_with, magpie):
    with gateway_with(
        voices={"Kitchen": "Magpie-Multilingual.FR-FR.Pascal", "alloy": "Magpie-Multilingual.ES-US.Mia"}
    ) as gateway:
        speak(gateway, voice="kitchen")
        speak(gateway, voice="alloy")

    assert [asked["language"] for asked in magpie.asked] == ["fr-FR", "es-US"]


def test_an_own_name_for_a_voice_that_is_not_there_is_told(gateway_with, magpie):
    with gateway_with(voices={"kitchen": "Magpie-Multilingual.XX-XX.Nobody"}) as gateway:
        answer = speak(gateway, voice="kitchen")

    assert answer.status_code == 400
    assert "Magpie-Multilingual.XX-XX.Nobody" in answer.json()["error"]["message"]


@pytest.mark.parametrize("format_", [None, ..., "wav", ""])
def test_wav_is_the_answer_unless_another_format_is_named(gateway, format_):
    answer = speak(gateway, response_format=format_)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.content.startswith(b"RIFF")


def test_unknown_fields_and_foreign_models_are_ignored(gateway):
    assert speak(gateway, model="gpt-4o-mini-tts", seed=7, lang_code="a", stream=True).status_code == 200


def test_a_body_is_json_whatever_its_content_type_says(gateway):
    answer = gateway.post(
        "/v1/audio/speech", content=b'{"input": "Hello"}', headers={"content-type": "text/plain"}
    )

    assert answer.status_code == 200


def test_speed_is_asked_of_magpie_as_prosody_with_the_text_escaped(gateway, magpie):
    assert speak(gateway, input="Salt & pepper <3", speed=1.5).status_code == 200

    assert magpie.asked[0]["text"] == (
        '<speak><prosody rate="150%">Salt &amp; pepper &lt;3</prosody></speak>'
    )


@pytest.mark.parametrize(
    ("changes", "status", "code", "param", "sentence"),
    [
        ({"input": ""}, 400, "invalid_value", "input", "input is empty"),
        ({"input": " \n "}, 400, "invalid_value", "input", "input is empty"),
        ({"input": ...}, 400, "missing_required_parameter", "input", "input is missing"),
        ({"input": 5}, 400, "invalid_type", "input", "input must be a string"),
        ({"input": ["a"]}, 400, "invalid_type", "input", "input must be a string"),
        ({"input": "a" * 4097}, 400, "string_above_max_length", "input", "4,096 characters"),
        ({"input": "word " * 120}, 400, "text_too_long", "input", "about 43 seconds"),
        ({"input": "字" * 120}, 400, "text_too_long", "input", "at most 20"),
        ({"voice": "Mia"}, 400, "voice_not_found", "voice", f"Did you mean {MIA}"),
        ({"voice": "aloy"}, 400, "voice_not_found", "voice", "Did you mean alloy"),
        ({"voice": "zzzzz"}, 400, "voice_not_found", "voice", "GET /v1/audio/voices lists them"),
        ({"voice": 7}, 400, "invalid_type", "voice", "voice must be a string"),
        ({"response_format": "mp3"}, 400, "unsupported_format", "response_format", "'mp3' cannot be made"),
        ({"response_format": "exe"}, 400, "unsupported_format", "response_format", 'ask for "wav"'),
        ({"speed": 0.2}, 400, "invalid_value", "speed", "from 0.25 to 4"),
        ({"speed": 4.1}, 400, "invalid_value", "speed", "from 0.25 to 4"),
        ({"speed": "fast"}, 400, "invalid_value", "speed", "from 0.25 to 4"),
    ],
)
def test_what_cannot_be_spoken_is_refused_in_a_sentence(
    gateway, magpie, changes, status, code, param, sentence
):
    answer = speak(gateway, **changes)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert error["type"] == "invalid_request_error"
    assert sentence in error["message"]
    assert answer.json()["detail"] == error["message"]
    assert magpie.asked == []


def test_a_slower_pace_makes_a_text_too_long(gateway):
    text = "This sentence takes about ten seconds to say at the pace of a person. " * 3

    assert speak(gateway, input=text).status_code == 200
    assert speak(gateway, input=text, speed=0.5).json()["error"]["code"] == "text_too_long"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"null"])
def test_a_body_that_is_no_json_object_is_refused(gateway, body):
    answer = gateway.post("/v1/audio/speech", content=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in ("invalid_json", "invalid_type")


def test_a_body_of_megabytes_is_not_read(gateway):
    answer = gateway.post("/v1/audio/speech", content=b"{" + b" " * 2_000_000)

    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault(500, b'{"detail": "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"}'), 502, "upstream_error"),
        (Fault(500, b""), 502, "upstream_error"),
        (Fault(200, b"<html>It works!</html>", {"content-type": "text/html"}), 502, "upstream_garbage"),
        (Fault(200, b""), 502, "upstream_garbage"),
        (Fault(200, b"RIFF\x24\x00\x00\x00WAVE" + b"\x00" * 32), 502, "upstream_garbage"),
        (CutOff(after=0), 502, "upstream_error"),
        (CutOff(after=20), 502, "upstream_error"),
        (Fault(503, b"", {"retry-after": "17"}), 503, "service_loading"),
        (Fault(429, b"", {"retry-after": "3"}), 429, "rate_limit_exceeded"),
        (Fault(401, b'{"detail": "no key"}'), 502, "upstream_refused_key"),
        (Fault(404, b"Not Found"), 502, "upstream_not_understood"),
        (Fault(302, b"", {"location": "/elsewhere"}), 502, "upstream_not_understood"),
        (Fault(504, b""), 504, "upstream_timeout"),
    ],
)
def test_an_engine_that_fails_before_its_first_sound_is_an_honest_error(gateway, magpie, fault, status, code):
    magpie.fault = fault

    answer = speak(gateway)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "CUDA" not in answer.text
    assert "127.0.0.1" not in answer.text
    assert len(magpie.asked) == 1, "what an engine has been given is not sent again"


def test_an_engine_that_is_loading_says_for_how_long(gateway, magpie):
    magpie.fault = Fault(503, b"", {"retry-after": "17"})

    assert speak(gateway).headers["retry-after"] == "17"
