from __future__ import annotations

import asyncio
import json
import re

import pytest

from spark_control.audio.formats import WAV
from spark_control.uploads import Spool
from spark_control.upstreams.base import Recording, Speech, Voice
from spark_control.upstreams.openai_audio import OpenAISpeech, OpenAITranscription
from spark_control.upstreams.voices import find_voice
from tests.fakes.openai_audio import KOKORO_VOICES, OPENAI_VOICES
from tests.sounds import wav

SPEAKING = (None, "kokoro", "localai", "nemo-speech-cpp", "speaches", "vllm", "xr-ai")
HEARING = (None, "llama.cpp", "localai", "nemo-speech-cpp", "speaches", "vllm", "xr-ai")


def speech(flavour=None, **told):
    return OpenAISpeech("http://o", flavour=flavour, **told)


def said(dialect, voice="ann", speed=1.0):
    return json.loads(dialect.stream_request(Speech("Hello.", Voice(voice), speed)).content)


def heard(flavour=None, *, times=False, words=False, stream=False, language=None, **told):
    spool = Spool(10_000)
    spool.write_now(wav(0.1))
    dialect = OpenAITranscription("http://o", flavour=flavour, **told)
    recording = Recording(spool, WAV, 0.1, language=language)
    request = dialect.transcription_request(recording, times=times, words=words, stream=stream)
    body = asyncio.run(request.aread()).decode("latin-1")
    return dict(re.findall(r'name="([^"]+)"\r\n\r\n([^\r]*)\r\n', body))


def test_a_stranger_is_told_what_openai_s_documents_have_and_nothing_else():
    assert said(speech(language="de")) == {
        "model": "tts-1",
        "input": "Hello.",
        "voice": "ann",
        "response_format": "pcm",
    }


@pytest.mark.parametrize("flavour", SPEAKING)
def test_a_model_is_always_named_as_the_owner_or_the_server_calls_it(flavour):
    assert said(speech(flavour))["model"] == "tts-1"
    assert said(speech(flavour).of_model("kokoro-v1"))["model"] == "kokoro-v1"
    assert heard("speaches")["model"] == "whisper-1"
    assert heard("speaches", model="large-v3")["model"] == "large-v3"


@pytest.mark.parametrize("flavour", SPEAKING)
def test_the_rate_is_told_where_it_can_be_and_is_what_will_come(flavour):
    sent = said(speech(flavour)).get("sample_rate")
    expected = {"localai": 24_000, "nemo-speech-cpp": 22_050, "speaches": 24_000}.get(flavour)

    assert sent == expected
    assert speech(flavour).stream_rate == (22_050 if flavour in ("nemo-speech-cpp", "xr-ai") else 24_000)


@pytest.mark.parametrize("flavour", SPEAKING)
def test_a_pace_is_asked_only_of_those_that_are_known_to_have_it(flavour):
    assert speech(flavour).paces == {"kokoro": (0.25, 4.0), "speaches": (0.5, 2.0)}.get(flavour, (1.0, 1.0))
    assert "speed" not in said(speech(flavour))
    assert said(speech(flavour), speed=1.25)["speed"] == 1.25


def test_a_language_is_told_to_those_that_know_the_word():
    knowing = [flavour for flavour in SPEAKING if "language" in said(speech(flavour, language="de-DE"))]

    assert knowing == ["localai", "nemo-speech-cpp"]


@pytest.mark.parametrize(
    ("flavour", "path"),
    [
        (None, "/v1/models"),
        ("kokoro", "/health"),
        ("localai", "/readyz"),
        ("nemo-speech-cpp", "/ready"),
        ("speaches", "/health"),
        ("vllm", "/health"),
        ("ollama", "/v1/models"),
        ("xr-ai", "/health"),
    ],
)
def test_each_says_in_a_place_of_its_own_whether_it_is_up(flavour, path):
    assert str(speech(flavour).ready_request().url) == f"http://o{path}"
    assert str(OpenAITranscription("http://o", flavour=flavour).ready_request().url) == f"http://o{path}"


def test_those_that_unload_when_idle_may_sleep():
    assert [each for each in SPEAKING if speech(each).probe_when == "after_use"] == ["localai", "speaches"]


def test_the_server_is_asked_for_its_models_until_one_is_known():
    listing = {"data": [{"id": "whisper-small"}, {"id": "tts-1"}, {"id": "kokoro"}]}
    body = json.dumps(listing).encode()
    dialect = speech("kokoro")
    request = dialect.models_request()

    assert request is not None
    assert str(request.url) == "http://o/v1/models"
    assert dialect.read_models(body) == ("kokoro", "tts-1")
    assert OpenAITranscription("http://o").read_models(body) == ("whisper-small",)
    assert dialect.of_model("kokoro").models_request() is None


def test_kokoro_s_voices_have_their_language_in_their_names():
    body = json.dumps({"voices": [*KOKORO_VOICES, "am_michael+bf_emma", "zm_yunxi", "mine"]}).encode()

    assert [voice.language for voice in speech("kokoro").read_voices(body)] == [
        "en-US", "en-US", "en-US", "en-GB", "ja-JP", "fr-FR", "en-US", "zh-CN", None,
    ]  # fmt: skip


@pytest.mark.parametrize("flavour", SPEAKING)
def test_openai_s_names_always_mean_a_voice(flavour):
    dialect = speech(flavour)
    assert set(dialect.openai_voices) == set(OPENAI_VOICES)
    for name in OPENAI_VOICES:
        assert find_voice(name, dialect.usual_voices, {}, dialect.openai_voices).id in (
            name,
            "alloy",
            "default",
        )


@pytest.mark.parametrize("flavour", [None, "kokoro", "localai", "speaches", "vllm"])
def test_a_list_of_no_voice_means_openai_s(flavour):
    assert [voice.id for voice in speech(flavour).read_voices(b'{"voices": []}')] == list(OPENAI_VOICES)


def test_nemo_speech_cpp_s_voices_are_those_of_its_model():
    models = [
        {"id": "parakeet", "capability": "transcription"},
        {"id": "magpie", "capability": "speech", "voices": ["Sofia", "Leo"]},
    ]
    dialect = speech("nemo-speech-cpp")

    assert str(dialect.voices_request().url) == "http://o/v1/models"
    assert dialect.read_voices(json.dumps({"data": models}).encode()) == (Voice("Sofia"), Voice("Leo"))
    assert len(dialect.read_voices(json.dumps({"data": models[:1]}).encode())) == 13


def test_xr_ai_has_one_voice():
    dialect = speech("xr-ai")

    assert str(dialect.voices_request().url) == "http://o/v1/models"
    assert dialect.read_voices(b'{"data": [{"id": "magpie"}]}') == (Voice("default"),)


@pytest.mark.parametrize("body", [b"", b"null", b"5", b"{}", b"[" * 99_999, b'{"error": "no"}'])
@pytest.mark.parametrize("flavour", SPEAKING)
def test_what_is_no_list_is_a_value_error(flavour, body):
    with pytest.raises(ValueError):  # noqa: PT011
        speech(flavour).read_voices(body)
    with pytest.raises(ValueError):  # noqa: PT011
        speech(flavour).read_models(body)


# Transcription.


@pytest.mark.parametrize("flavour", HEARING)
def test_times_are_asked_only_of_those_that_can_tell_them(flavour):
    fields = heard(flavour, times=True, words=True)

    if flavour in ("llama.cpp", "localai", "xr-ai"):
        assert fields == {"model": "whisper-1", "response_format": "json"}
    else:
        assert fields["response_format"] == "verbose_json"
        assert fields["timestamp_granularities[]"] == "word"


def test_a_parakeet_in_speaches_is_asked_for_text_alone_and_all_at_once():
    name = "istupakov/parakeet-tdt-0.6b-v3-onnx"

    assert heard("speaches", times=True, model=name) == {"model": name, "response_format": "json"}
    assert "stream" not in heard("speaches", stream=True, model=name)
    assert heard("speaches", stream=True, model="large-v3")["stream"] == "true"


def test_a_language_is_iso_639_1_as_openai_has_it():
    assert heard(language="de-DE")["language"] == "de"
    assert heard(language="EN")["language"] == "en"
    assert "language" not in heard()


def test_localai_s_nanoseconds_are_not_read_as_seconds():
    answer = {"text": "Hi", "segments": [{"id": 0, "start": 0, "end": 1_500_000_000, "text": "Hi"}]}
    transcript = OpenAITranscription("http://o", flavour="localai").read_transcript(
        json.dumps(answer).encode()
    )

    assert (transcript.text, transcript.segments) == ("Hi", ())


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"text": 1}', b'{"text":' * 50_000])
@pytest.mark.parametrize("flavour", HEARING)
def test_nonsense_is_a_value_error(flavour, body):
    with pytest.raises(ValueError):  # noqa: PT011
        OpenAITranscription("http://o", flavour=flavour).read_transcript(body)
