from __future__ import annotations

import json

import pytest

from spark_control.errors import InvalidRequest, UpstreamError
from spark_control.upstreams.base import Speech, Voice
from spark_control.upstreams.qwen3 import Qwen3
from spark_control.upstreams.voices import find_voice
from tests.fakes.openai_audio import OPENAI_VOICES
from tests.fakes.qwen3 import SPEAKERS

FLAVOURS = (None, "groxaxo", "icantc0de1", "vllm-omni")


def asked(dialect, text="Hello.", voice="Vivian", speed=1.0):
    request = dialect.stream_request(Speech(text, Voice(voice), speed))
    assert request.headers["content-type"] == "application/json"
    assert str(request.url) == "http://q/v1/audio/speech"
    return json.loads(request.content)


def engine(flavour=None, **told):
    return Qwen3("http://q", flavour=flavour, **told)


def listed(flavour, said):
    return engine(flavour).read_voices(json.dumps(said).encode())


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_bare_samples_are_asked_for_whoever_asks_for_what(flavour):
    dialect = engine(flavour)
    assert (
        dialect.wav_request(Speech("Hi", Voice("Ryan"))).content
        == dialect.stream_request(Speech("Hi", Voice("Ryan"))).content
    )
    assert asked(dialect)["response_format"] == "pcm"
    assert (dialect.stream_rate, dialect.whole_files) == (24_000, False)


def test_a_server_that_is_not_known_is_told_no_more_than_all_of_them_take():
    assert asked(engine()) == {"input": "Hello.", "voice": "Vivian", "response_format": "pcm"}


@pytest.mark.parametrize(
    ("flavour", "model", "sent"),
    [
        ("groxaxo", "qwen3-tts", None),
        ("groxaxo", "tts-1-hd-de", "tts-1-hd-de"),
        ("groxaxo", "Qwen3-TTS-1.7B", None),
        ("icantc0de1", "qwen3-tts", None),
        ("icantc0de1", "qwen3-tts-12hz-1.7b-custom-voice", "qwen3-tts-12hz-1.7b-custom-voice"),
        ("vllm-omni", "the-voice", None),
        (None, "the-voice", None),
    ],
)
def test_a_model_is_named_to_those_alone_that_can_know_its_name(flavour, model, sent):
    assert asked(engine(flavour).of_model(model)).get("model") == sent


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_only_one_of_them_has_a_tempo(flavour):
    dialect = engine(flavour)
    if flavour == "groxaxo":
        assert dialect.paces == (0.25, 4.0)
        assert asked(dialect, speed=1.5)["speed"] == 1.5
        assert "speed" not in asked(dialect)
    else:
        assert dialect.paces == (1.0, 1.0)
        assert "speed" not in asked(dialect, speed=1.5)


def test_a_stream_of_samples_is_asked_of_vllm_omni_so_that_every_release_gives_one():
    body = asked(engine("vllm-omni"), voice="Uncle_Fu")

    assert (body["stream"], body["stream_format"], body["voice"]) == (True, "audio", "uncle_fu")
    assert asked(engine("vllm-omni"), voice="My_Clone")["voice"] == "My_Clone"


@pytest.mark.parametrize(
    ("configured", "sent"),
    [
        ("English", "English"),
        ("de", "German"),
        ("pt-BR", "Portuguese"),
        ("Auto", None),
        ("auto", None),
        ("nl", None),
        ("hi", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_language_is_told_by_its_name_if_the_owner_says_so_and_the_model_speaks_it(
    flavour, configured, sent
):
    assert asked(engine(flavour, language=configured)).get("language") == sent


def test_a_speaker_s_mother_tongue_is_not_the_text_s():
    body = engine().stream_request(Speech("Guten Tag.", Voice("Ono_Anna", "ja-JP"))).content

    assert "language" not in json.loads(body)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_openai_s_names_are_speakers_that_exist_and_never_go_over_the_wire(flavour):
    dialect = engine(flavour)
    assert set(dialect.openai_voices) == set(OPENAI_VOICES)
    assert set(dialect.openai_voices.values()) <= set(SPEAKERS)
    for name in OPENAI_VOICES:
        voice = find_voice(name, dialect.usual_voices, {}, dialect.openai_voices)
        assert voice.id.casefold() == dialect.openai_voices[name].casefold()


def test_icantc0de1_s_aliases_are_read_as_the_speakers_behind_them():
    said = {"voices": [{"voice_id": "alloy", "name": "Vivian", "preview_url": None}]}

    assert listed("icantc0de1", said) == (Voice("Vivian", "zh-CN"),)


def test_groxaxo_s_aliases_are_left_out_and_so_is_the_language_that_all_of_them_have():
    said = {
        "voices": [
            {"id": "Sohee", "name": "Sohee", "language": "English", "description": "Warm."},
            {"id": "Mother", "name": "Mother", "language": "English", "description": "Cloned."},
            {"id": "alloy", "name": "Alloy", "description": "OpenAI-compatible voice (maps to Vivian)"},
        ],
        "languages": ["English"],
    }

    assert listed("groxaxo", said) == (
        Voice("Sohee", "ko-KR", description="Warm."),
        Voice("Mother", None, description="Cloned."),
    )


def test_speakers_that_nobody_has_are_the_sign_of_a_model_that_is_not_loaded():
    said = {"voices": [{"id": name, "name": name} for name in ("Vivian", "Ryan", "Sophia", "Evan")]}

    assert [voice.id for voice in listed("groxaxo", said)] == list(SPEAKERS)


def test_a_voice_that_somebody_made_may_be_called_lily():
    assert listed("vllm-omni", {"voices": ["vivian", "lily"]}) == (Voice("vivian", "zh-CN"), Voice("lily"))


def test_vllm_omni_s_names_stay_in_small_letters():
    voices = listed("vllm-omni", {"voices": ["ono_anna", "ryan"], "uploaded_voices": []})

    assert voices == (Voice("ono_anna", "ja-JP"), Voice("ryan", "en-US"))
    assert {voice.id for voice in engine("vllm-omni").usual_voices} == {name.lower() for name in SPEAKERS}


@pytest.mark.parametrize("said", [{"voices": []}, {"voices": [None, 5]}, [], {"voices": ["alloy", "nova"]}])
def test_a_list_without_a_speaker_means_the_usual_ones(said):
    assert listed("icantc0de1", said) == engine().usual_voices


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'{"detail": "Not Found"}', b"[" * 99_999])
def test_what_is_no_list_is_a_value_error(body):
    with pytest.raises(ValueError):  # noqa: PT011
        engine("groxaxo").read_voices(body)


def test_a_speaker_that_is_not_there_is_the_request_s_fault_and_no_wedge():
    message = "Speech generation failed: Unsupported speakers: ['Sophia']"
    told = {"detail": {"error": "processing_error", "message": message, "type": "server_error"}}
    refused = engine("groxaxo").refusal(500, {}, json.dumps(told).encode())

    assert isinstance(refused, InvalidRequest)
    assert (refused.code, refused.param) == ("voice_not_found", "voice")


def test_any_other_500_is_the_engine_s():
    told = {"detail": {"error": "processing_error", "message": "CUDA error: unspecified launch failure"}}

    assert isinstance(engine("groxaxo").refusal(500, {}, json.dumps(told).encode()), UpstreamError)
    assert isinstance(engine("vllm-omni").refusal(500, {}, b""), UpstreamError)


def test_a_server_that_may_sleep_is_not_woken_for_a_canary():
    assert {engine(flavour).probe_when for flavour in FLAVOURS} == {"after_use"}
    assert str(engine().ready_request().url) == "http://q/health"
    assert str(engine().voices_request().url) == "http://q/v1/audio/voices"
    assert engine().models_request() is None
