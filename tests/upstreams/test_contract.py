"""Every dialect and every fake, held to the same documents: what is asked, field by field, and what is answered.

A fake that drifted from its server would let a dialect drift with it. So each
shape stands here once more, as its server's own code or documents have it, and
what a dialect asks is sent over a socket and read back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest

from spark_control.audio.formats import WAV
from spark_control.settings import UpstreamSettings
from spark_control.uploads import Spool
from spark_control.upstreams import build_upstream
from spark_control.upstreams.base import Recording, Speech, SpeechDialect, TranscriptionDialect, Voice
from tests.fakes.openai_audio import OPENAI_AUDIO, OPENAI_VOICES
from tests.fakes.parakeet import FakeParakeetNim, words_of
from tests.fakes.parakeets import PARAKEETS
from tests.fakes.qwen3 import LANGUAGES, QWEN3, SPEAKERS
from tests.fakes.server import SPEECH, TRANSCRIPTIONS, FakeServer, samples_said
from tests.live import serving
from tests.sounds import wav

FAKES: Mapping[str, Any] = {
    **PARAKEETS,
    "parakeet-nim": FakeParakeetNim,
    **{f"qwen3 {name}": fake for name, fake in QWEN3.items()},
    **{f"openai {name}": fake for name, fake in OPENAI_AUDIO.items()},
    "openai nemo-speech-cpp": PARAKEETS["nemo-speech-cpp"],
}

NO_CLIENT = httpx.AsyncClient()
"""Nothing is sent by it."""

SOUND = wav(0.5, seed=b"said")
WORDS = words_of(SOUND)
TEXT = "Hello there, kettle."


@dataclass
class Served:
    fake: Any
    url: str

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path)

    def say(self, **asked: object) -> httpx.Response:
        return httpx.post(self.url + SPEECH, json=asked)

    def hear(self, data: bytes = SOUND, filename: str = "a.wav", **fields: str) -> httpx.Response:
        return httpx.post(self.url + TRANSCRIPTIONS, data=fields, files={"file": (filename, data)})


@pytest.fixture(scope="module")
def _served() -> Iterator[dict[str, Served]]:
    with ExitStack() as house:
        fakes = {name: fake() for name, fake in FAKES.items()}
        yield {name: Served(fake, house.enter_context(serving(fake.app))) for name, fake in fakes.items()}


@pytest.fixture
def served(_served: dict[str, Served]) -> dict[str, Served]:
    for each in _served.values():
        each.fake.reset()
    return _served


def dialect_of(kind: str, url: str, **told: Any) -> Any:
    """As the settings make it."""
    return build_upstream("it", UpstreamSettings(kind=kind, url=url, **told), NO_CLIENT).dialect


def sent(request: httpx.Request) -> httpx.Response:
    body = asyncio.run(request.aread())
    return httpx.request(request.method, request.url, headers=request.headers, content=body)


# What is asked for speech.

ASKED_TO_SAY: Mapping[str, tuple[dict[str, Any], str, dict[str, Any], int]] = {
    "qwen3 icantc0de1": (
        {"kind": "qwen3-tts", "flavour": "icantc0de1", "language": "en"},
        "Ryan",
        {"language": "English"},
        24_000,
    ),
    "qwen3 groxaxo": (
        {"kind": "qwen3-tts", "flavour": "groxaxo", "model": "tts-1-hd-de"},
        "Sohee",
        {"model": "tts-1-hd-de"},
        24_000,
    ),
    "qwen3 vllm-omni": (
        {"kind": "qwen3-tts", "flavour": "vllm-omni", "language": "de-DE"},
        "uncle_fu",
        {"language": "German", "stream": True, "stream_format": "audio"},
        24_000,
    ),
    "openai kokoro": ({"flavour": "kokoro", "model": "kokoro"}, "bm_fable", {"model": "kokoro"}, 24_000),
    "openai speaches": (
        {"flavour": "speaches", "model": "speaches-ai/Kokoro-82M-v1.0-ONNX"},
        "af_heart",
        {"model": "speaches-ai/Kokoro-82M-v1.0-ONNX", "sample_rate": 24_000},
        24_000,
    ),
    "openai xr-ai": ({"flavour": "xr-ai"}, "default", {"model": "tts-1"}, 22_050),
    "openai nemo-speech-cpp": (
        {"flavour": "nemo-speech-cpp", "language": "en-US"},
        "sofia",
        {"model": "tts-1", "language": "en-US", "sample_rate": 22_050},
        22_050,
    ),
    "openai None": ({}, "alloy", {"model": "tts-1"}, 24_000),
}


@pytest.mark.parametrize("server", ASKED_TO_SAY)
def test_what_is_asked_for_speech_is_what_the_server_documents_and_brings_samples(served, server):
    told, voice, own, rate = ASKED_TO_SAY[server]
    settings = {"kind": "openai", "serves": "speech", **told}
    dialect: SpeechDialect = dialect_of(url=served[server].url, **settings)
    answer = sent(dialect.stream_request(Speech(TEXT, Voice(voice))))

    assert served[server].fake.asked == [{"input": TEXT, "voice": voice, "response_format": "pcm", **own}]
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/pcm")
    assert answer.content == samples_said(TEXT, voice.lower(), rate)
    assert dialect.stream_rate == rate


def test_localai_has_a_file_for_whoever_asks_for_samples(served):
    served = served["openai localai"]
    dialect = dialect_of("openai", served.url, serves="speech", flavour="localai", model=served.fake.speaking)
    answer = sent(dialect.stream_request(Speech(TEXT, Voice("alloy"))))

    assert served.fake.asked[0]["sample_rate"] == 24_000
    assert answer.headers["content-type"] == "audio/x-wav"
    assert answer.content[44:] == samples_said(TEXT, "alloy")


# What is asked for words.

JSON = {"response_format": "json"}
TIMED = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}

ASKED_TO_HEAR: Mapping[str, tuple[dict[str, Any], dict[str, str]]] = {
    "achetronic": ({"flavour": "achetronic"}, JSON),
    "groxaxo": ({"flavour": "groxaxo"}, TIMED),
    "groxaxo-legacy": ({"flavour": "groxaxo-legacy"}, TIMED),
    "nemo-speech-cpp": ({"flavour": "nemo-speech-cpp"}, TIMED),
    "runparakeet": ({"flavour": "runparakeet"}, JSON),
    "xr-ai": ({"flavour": "xr-ai"}, JSON),
    "parakeet-nim": ({"kind": "parakeet-nim"}, {**JSON, "language": "en-US"}),
    "openai speaches": (
        {"kind": "openai", "serves": "transcription", "flavour": "speaches", "model": "Systran/faster-whisper-small"},
        {**TIMED, "model": "Systran/faster-whisper-small"},
    ),
    "openai localai": (
        {"kind": "openai", "serves": "transcription", "flavour": "localai", "model": "whisper-base"},
        {**JSON, "model": "whisper-base"},
    ),
    "openai None": ({"kind": "openai", "serves": "transcription"}, {**TIMED, "model": "whisper-1"}),
}  # fmt: skip


def recorded() -> Recording:
    spool = Spool(len(SOUND))
    spool.write_now(SOUND)
    return Recording(spool, WAV, 0.5, language="en")


@pytest.mark.parametrize("server", ASKED_TO_HEAR)
def test_what_is_asked_for_words_is_what_the_server_documents_and_brings_them(served, server):
    told, fields = ASKED_TO_HEAR[server]
    dialect: TranscriptionDialect = dialect_of(url=served[server].url, **{"kind": "parakeet", **told})
    answer = sent(dialect.transcription_request(recorded(), times=True, words=True, stream=False))

    assert answer.status_code == 200
    fake = served[server].fake
    (heard,) = fake.heard if isinstance(fake, FakeParakeetNim) else fake.asked
    assert (heard.data, heard.filename, heard.content_type) == (SOUND, "audio.wav", "audio/wav")
    assert heard.fields == {"language": "en", **fields}
    transcript = dialect.read_transcript(answer.content)
    assert transcript.text == WORDS
    if transcript.words:
        assert [word.word for word in transcript.words] == WORDS.split()


@pytest.mark.parametrize("times", [True, False])
@pytest.mark.parametrize("server", PARAKEETS)
def test_any_parakeet_is_understood_before_it_is_known_which_one_it_is(served, server, times):
    dialect: TranscriptionDialect = dialect_of("parakeet", served[server].url)
    answer = sent(dialect.transcription_request(recorded(), times=times, words=times, stream=False))

    assert dialect.read_transcript(answer.content).text == WORDS


@pytest.mark.parametrize("server", QWEN3)
def test_any_qwen3_speaks_before_it_is_known_which_one_it_is(served, server):
    url = served[f"qwen3 {server}"].url
    voice = Voice("vivian" if server == "vllm-omni" else "Vivian")
    answer = sent(dialect_of("qwen3-tts", url).stream_request(Speech(TEXT, voice)))

    assert answer.content == samples_said(TEXT, "vivian")


@pytest.mark.parametrize("server", [name for name in FAKES if name != "openai None"])
def test_each_is_up_where_its_dialect_asks(served, server):
    kind, _, flavour = server.rpartition(" ")
    settings = {
        "": {"kind": "parakeet", "flavour": flavour},
        "qwen3": {"kind": "qwen3-tts", "flavour": flavour},
        "openai": {"kind": "openai", "serves": "speech", "flavour": flavour},
    }[kind]
    if server == "parakeet-nim":
        settings = {"kind": "parakeet-nim"}
    assert sent(dialect_of(url=served[server].url, **settings).ready_request()).status_code == 200


# What is answered.

WORD = {"start": float, "end": float, "word": str}
SEGMENT = {
    "id": int, "seek": int, "start": float, "end": float, "text": str, "tokens": list, "temperature": float,
    "avg_logprob": float, "compression_ratio": float, "no_speech_prob": float,
}  # fmt: skip
VERBOSE = {"task": "transcribe", "language": str, "duration": float, "text": WORDS, "segments": [SEGMENT]}
MODEL = {"id": str, "object": "model", "created": int, "owned_by": str}
ENVELOPE = {"error": {"message": str, "type": str}}
FULL_ENVELOPE = {"error": {"message": str, "type": str, "param": None, "code": None}}
NEST = {"detail": {"error": str, "message": str, "type": str}}
FASTAPI = {"detail": [{"type": str, "loc": list, "msg": str, "input": None}]}
DETAIL = {"detail": str}


def models(**more: Any) -> dict[str, Any]:
    return {"object": "list", "data": [{**MODEL, **more}]}


def fits(said: object, shape: object) -> bool:
    """Whether an answer has just these keys, and values of these types, or these values; `[shape]` is one or more."""
    if isinstance(shape, dict):
        same = isinstance(said, dict) and said.keys() == shape.keys()
        return same and all(fits(said[key], each) for key, each in shape.items())  # type: ignore[index]
    if isinstance(shape, list) and len(shape) == 1:
        return isinstance(said, list) and bool(said) and all(fits(each, shape[0]) for each in said)
    if isinstance(shape, type):
        return isinstance(said, shape)
    return said == shape


VERBOSELY = {"response_format": "verbose_json"}
WITH_WORDS = {**VERBOSELY, "timestamp_granularities[]": "word"}


def get(path: str) -> Any:
    return lambda served: served.get(path)


def say(**asked: object) -> Any:
    return lambda served: served.say(**asked)


def hear(*args: Any, **fields: str) -> Any:
    return lambda served: served.hear(*args, **fields)


def hear_nothing(served: Served) -> httpx.Response:
    return httpx.post(served.url + TRANSCRIPTIONS, data={"model": "x"})


def being(call: Any, **state: object) -> Any:
    """The same, of a fake in that state."""

    def called(served: Served) -> httpx.Response:
        for name, value in state.items():
            setattr(served.fake, name, value)
        return call(served)  # type: ignore[no-any-return]

    return called


_JSON, _TEXT = "application/json", "text/plain; charset=utf-8"

ANSWERS: list[tuple[str, str, Any, int, str, object]] = [
    # server, what for, the request, and what comes: status, content type, shape or text
    ("achetronic", "health", get("/health"), 200, _JSON, {"status": "ok"}),
    ("achetronic", "models", get("/v1/models"), 200, _JSON, models(created=1_700_000_000)),
    ("achetronic", "json", hear(model="any"), 200, _JSON, {"text": WORDS}),
    ("achetronic", "verbose", hear(**WITH_WORDS), 200, _JSON, VERBOSE),
    ("achetronic", "text", hear(response_format="text"), 200, _TEXT, WORDS),
    ("achetronic", "stream", hear(stream="true"), 200, "text/event-stream; charset=utf-8", None),
    ("achetronic", "no stream of times", hear(stream="true", **VERBOSELY), 200, _JSON, VERBOSE),
    ("achetronic", "no file", hear_nothing, 400, _JSON, ENVELOPE),
    ("achetronic", "odd name", hear(SOUND, "a.xyz"), 400, _JSON, ENVELOPE),
    ("achetronic", "wrong verb", get(TRANSCRIPTIONS), 405, _JSON, ENVELOPE),
    ("achetronic", "wrong key", being(hear(), key="k"), 401, _JSON, ENVELOPE),
    ("groxaxo", "health", get("/health"), 200, _JSON,
     {"status": "healthy", "ready": True, "models": [str], "loaded": [str], "default_model": str, "cpu": dict}),
    ("groxaxo", "starts", being(get("/health"), ready=False), 200, _JSON,
     {"status": "starting", "ready": False, "models": [str], "loaded": [str], "default_model": str, "cpu": dict}),
    ("groxaxo", "is not ready", being(get("/healthz"), ready=False), 503, _JSON, {"detail": "not ready"}),
    ("groxaxo", "is ready", get("/healthz"), 200, _JSON, {"status": "ok"}),
    ("groxaxo", "no list of models", get("/v1/models"), 404, _JSON, {"detail": "Not Found"}),
    ("groxaxo", "json", hear(), 200, _JSON, {"text": WORDS}),
    ("groxaxo", "verbose", hear(**VERBOSELY), 200, _JSON, {**VERBOSE, "words": None}),
    ("groxaxo", "words", hear(**WITH_WORDS), 200, _JSON, {**VERBOSE, "words": [WORD]}),
    ("groxaxo", "srt", hear(response_format="srt"), 200, "application/x-subrip", None),
    ("groxaxo", "foreign model", hear(model="whisper-1"), 400, _JSON, DETAIL),
    ("groxaxo", "foreign format", hear(response_format="xml"), 400, _JSON, DETAIL),
    ("groxaxo", "empty file", hear(b""), 400, _JSON, {"detail": "Empty file"}),
    ("groxaxo", "no sound", hear(b"words, not sound"), 415, _JSON, {"detail": "Audio could not be decoded"}),
    ("groxaxo", "large file", being(hear(), most_bytes=1000), 413, _JSON,
     {"detail": "File exceeds the 1000 byte upload limit"}),
    ("groxaxo", "no file", hear_nothing, 422, _JSON, FASTAPI),
    ("groxaxo", "loads", being(hear(), ready=False), 503, _JSON, {"detail": "Model is not ready"}),
    ("groxaxo-legacy", "health", get("/health"), 200, _JSON,
     {"status": "healthy", "models": [str], "default_model": str, "speedup": str}),
    ("groxaxo-legacy", "status", get("/status"), 200, _JSON, {"status": "idle"}),
    ("groxaxo-legacy", "json", hear(model="whisper-1"), 200, _JSON, {"text": WORDS}),
    ("groxaxo-legacy", "verbose", hear(**WITH_WORDS), 200, _JSON, {**VERBOSE, "language": "english"}),
    ("groxaxo-legacy", "no file", hear_nothing, 400, _JSON, {"error": str}),
    ("groxaxo-legacy", "no sound", hear(b"words"), 500, _JSON, {"error": str, "details": str}),
    ("runparakeet", "no health", get("/health"), 404, _JSON, {"detail": "Not Found"}),
    ("runparakeet", "healthz", get("/healthz"), 200, _JSON,
     {"status": "ok", "model_name": str, "loaded": False, "last_loaded": None, "idle_unload_seconds": int}),
    ("runparakeet", "json", hear(), 200, _JSON, {"text": WORDS, "model": str, "language": str, "created": int}),
    ("runparakeet", "verbose", hear(**WITH_WORDS), 200, _JSON,
     {"text": WORDS, "model": str, "language": str, "created": int, "duration": None,
      "segments": [{**SEGMENT, "start": 0.0, "end": 0.0}]}),
    ("runparakeet", "foreign model", hear(model="whisper-1"), 404, _JSON, {"detail": "Unknown model 'whisper-1'"}),
    ("runparakeet", "empty file", hear(b""), 400, _JSON, DETAIL),
    ("runparakeet", "no sound", hear(b"words"), 500, _TEXT, "Internal Server Error"),
    ("xr-ai", "health", get("/health"), 200, _JSON, {"status": "ok"}),
    ("xr-ai", "loads", being(get("/health"), ready=False), 503, _JSON, {"detail": "model not loaded"}),
    ("xr-ai", "models", get("/v1/models"), 200, _JSON,
     {"object": "list", "data": [{"id": str, "object": "model", "owned_by": "local"}]}),
    ("xr-ai", "verbose is json", hear(**WITH_WORDS), 200, _JSON, {"text": WORDS}),
    ("xr-ai", "no sound", hear(b"words"), 500, _JSON, {"detail": "transcription failed"}),
    ("nemo-speech-cpp", "health", get("/health"), 200, _JSON, {"status": "ok", "version": str}),
    ("nemo-speech-cpp", "loads", being(get("/health"), ready=False), 503, _JSON,
     {"status": "not_ready", "version": str}),
    ("nemo-speech-cpp", "ready", get("/ready"), 200, _JSON, {"ready": True, "device": str, "capabilities": [str]}),
    ("nemo-speech-cpp", "version", get("/version"), 200, _JSON, {"version": str}),
    ("nemo-speech-cpp", "words", hear(**VERBOSELY), 200, _JSON,
     {"text": WORDS, "task": "transcribe", "language": str, "duration": float,
      "words": [{**WORD, "confidence": float}]}),
    ("nemo-speech-cpp", "no WAV", hear(b"ID3\x04", "a.mp3"), 400, _JSON, FULL_ENVELOPE),
    ("nemo-speech-cpp", "not built", being(hear(), built=("speech",)), 501, _JSON, FULL_ENVELOPE),
    ("nemo-speech-cpp", "wav", say(input=TEXT), 200, "audio/wav", None),
    ("nemo-speech-cpp", "any case", say(input=TEXT, voice="SOFIA", response_format="pcm"), 200, "audio/pcm", None),
    ("nemo-speech-cpp", "OpenAI's name", say(input=TEXT, voice="alloy"), 200, "audio/wav", None),
    ("nemo-speech-cpp", "unknown voice", say(input=TEXT, voice="ann"), 400, _JSON, FULL_ENVELOPE),
    ("nemo-speech-cpp", "speed", say(input=TEXT, speed=1.5), 400, _JSON, FULL_ENVELOPE),
    ("nemo-speech-cpp", "high rate", say(input=TEXT, sample_rate=24_000), 400, _JSON, FULL_ENVELOPE),
    ("nemo-speech-cpp", "mp3", say(input=TEXT, response_format="mp3"), 400, _JSON, FULL_ENVELOPE),
    ("qwen3 icantc0de1", "health", get("/health"), 200, _JSON, {"status": "healthy", "timestamp": float}),
    ("qwen3 icantc0de1", "no list of models", get("/v1/models"), 404, _JSON, {"detail": "Not Found"}),
    ("qwen3 icantc0de1", "audio models", get("/v1/audio/models"), 200, _JSON, models(owned_by="qwen3-tts")),
    ("qwen3 icantc0de1", "voices", get("/v1/audio/voices"), 200, _JSON,
     {"voices": [{"voice_id": str, "name": str, "preview_url": None}]}),
    ("qwen3 icantc0de1", "a voice", get("/v1/audio/voices/alloy"), 200, _JSON,
     {"voice_id": "alloy", "name": "Vivian", "preview_url": None}),
    ("qwen3 icantc0de1", "no voice", get("/v1/audio/voices/ann"), 404, _JSON, {"detail": "Voice 'ann' not found"}),
    ("qwen3 icantc0de1", "foreign model", say(input=TEXT, model="x", response_format="pcm"), 200, "audio/pcm", None),
    ("qwen3 icantc0de1", "ogg", say(input=TEXT, response_format="ogg"), 422, _JSON, FASTAPI),
    ("qwen3 icantc0de1", "blanks", say(input="  "), 422, _JSON, FASTAPI),
    ("qwen3 icantc0de1", "long text", say(input="a" * 4097), 422, _JSON, FASTAPI),
    ("qwen3 icantc0de1", "not there", being(say(input=TEXT), available=False), 503, _JSON, DETAIL),
    ("qwen3 groxaxo", "health", get("/health"), 200, _JSON,
     {"status": "healthy", "backend": {"name": str, "ready": True, "model_id": str}, "device": dict, "version": str}),
    ("qwen3 groxaxo", "sick", being(get("/health"), error="CUDA error"), 200, _JSON,
     {"status": "error", "error": str, "backend": {"name": str, "ready": False}, "version": str}),
    ("qwen3 groxaxo", "models", get("/v1/models"), 200, _JSON, models(owned_by="qwen")),
    ("qwen3 groxaxo", "no MP3", being(say(input=TEXT, voice="Ryan"), encodes=False), 200, "audio/mpeg", None),
    ("qwen3 groxaxo", "foreign model", say(input=TEXT, model="gpt-4o-mini-tts"), 400, _JSON, NEST),
    ("qwen3 groxaxo", "nobody's alias", say(input=TEXT, voice="nova"), 500, _JSON, NEST),
    ("qwen3 groxaxo", "no text", say(voice="Ryan"), 422, _JSON, FASTAPI),
    ("qwen3 vllm-omni", "health", get("/health"), 200, "", ""),
    ("qwen3 vllm-omni", "voices", get("/v1/audio/voices"), 200, _JSON,
     {"voices": sorted(name.lower() for name in SPEAKERS), "uploaded_voices": []}),
    ("qwen3 vllm-omni", "events", say(input=TEXT, stream=True, response_format="pcm"), 200,
     "text/event-stream; charset=utf-8", None),
    ("qwen3 vllm-omni", "old stream", being(say(input=TEXT, stream=True, response_format="pcm"), old=True), 200,
     "audio/pcm", None),
    ("qwen3 vllm-omni", "capitals", say(input=TEXT, voice="Vivian"), 400, _JSON,
     {"error": {"message": str, "type": "BadRequestError", "param": None, "code": 400}}),
    ("qwen3 vllm-omni", "speed in a stream",
     say(input=TEXT, stream_format="audio", response_format="pcm", speed=2.0), 400, _JSON,
     {"error": {"message": str, "type": "BadRequestError", "param": None, "code": 400}}),
    ("qwen3 vllm-omni", "foreign model", say(input=TEXT, model="tts-1"), 404, _JSON,
     {"error": {"message": str, "type": "NotFoundError", "param": "model", "code": 404}}),
    ("openai speaches", "health", get("/health"), 200, _TEXT, "OK"),
    ("openai speaches", "no model", say(input=TEXT, voice="alloy"), 422, _JSON, FASTAPI),
    ("openai speaches", "foreign model", say(input=TEXT, voice="alloy", model="tts-1"), 404, _JSON, DETAIL),
    ("openai speaches", "audio models", get("/v1/audio/models"), 200, _JSON, {"models": list, "object": "list"}),
    ("openai speaches", "voices", get("/v1/audio/voices"), 200, _JSON,
     {"voices": [{"name": str, "language": str, "gender": str, "id": str}], "object": "list"}),
    ("openai speaches", "old voices", being(get("/v1/audio/voices"), old=True), 200, _JSON,
     [{"model_id": str, "voice_id": str, "created": int, "owned_by": str}]),
    ("openai speaches", "no model to hear", hear(), 422, _JSON, FASTAPI),
    ("openai speaches", "times of a Parakeet", hear(model="istupakov/parakeet-tdt-0.6b-v3-onnx", **VERBOSELY), 500,
     _TEXT, "Internal Server Error"),
    ("openai kokoro", "health", get("/health"), 200, _JSON, {"status": "healthy"}),
    ("openai kokoro", "voices", get("/v1/audio/voices"), 200, _JSON, {"voices": [{"id": str, "name": str}]}),
    ("openai kokoro", "old voices", being(get("/v1/audio/voices"), old=True), 200, _JSON, {"voices": [str]}),
    ("openai kokoro", "foreign model", say(input=TEXT, model="gpt-4"), 400, _JSON, NEST),
    ("openai kokoro", "unknown voice", say(input=TEXT, voice="ann"), 400, _JSON, NEST),
    ("openai localai", "up", get("/readyz"), 200, "", ""),
    ("openai localai", "no voices", get("/v1/audio/voices"), 404, _JSON,
     {"error": {"message": str, "type": "", "code": 404}}),
    ("openai localai", "models", get("/v1/models"), 200, _JSON,
     {"object": "list", "data": [{"id": str, "object": "model"}]}),
    ("openai localai", "samples", say(input=TEXT, model="voice-en-us-amy-low", response_format="pcm"), 200,
     "audio/x-wav", None),
    ("openai localai", "nanoseconds", hear(model="whisper-base"), 200, _JSON,
     {"text": WORDS, "segments": [{"id": 0, "start": 0, "end": 500_000_000, "text": WORDS, "tokens": None}]}),
    ("openai xr-ai", "mp3", say(input=TEXT, response_format="mp3", voice="x", speed=2.0), 200, "audio/wav", None),
    ("openai xr-ai", "loads", being(get("/health"), ready=False), 503, _JSON, {"detail": "model not loaded"}),
    ("openai xr-ai", "no voices", get("/v1/audio/voices"), 404, _JSON, {"detail": "Not Found"}),
]  # fmt: skip


@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: f"{row[0]}: {row[1]}")
def test_a_fake_answers_as_its_server_does(served, row):
    server, _, call, status, content_type, shape = row
    answer = call(served[server])

    assert (answer.status_code, answer.headers.get("content-type", "")) == (status, content_type)
    if isinstance(shape, str):
        assert answer.text == shape
    elif shape is not None:
        assert fits(answer.json(), shape), answer.text


def test_groxaxo_s_lists_hold_its_speakers_then_aliases_that_are_nobody_s(served):
    told = served["qwen3 groxaxo"].get("/v1/audio/voices").json()

    assert told == served["qwen3 groxaxo"].get("/v1/voices").json()
    assert [each["id"] for each in told["voices"]][:9] == list(SPEAKERS)
    assert set(told["voices"][0]) == {"id", "name", "language", "description"}
    assert told["languages"] == list(LANGUAGES)
    assert {each["id"] for each in told["voices"][9:]} < set(OPENAI_VOICES)


def test_groxaxo_s_words_are_pieces_which_the_dialect_joins(served):
    answer = served["groxaxo"].hear(**WITH_WORDS)
    pieces = [each["word"] for each in answer.json()["words"]]
    words = dialect_of("parakeet", served["groxaxo"].url).read_transcript(answer.content).words

    assert len(pieces) > len(WORDS.split())
    assert [word.word for word in words] == WORDS.split()
    assert words[0].start == 0.0
    assert words[-1].end == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("server", "asked"),
    [
        ("qwen3 icantc0de1", {"voice": "Sophia"}),
        ("qwen3 icantc0de1", {"voice": "Vivian", "model": "qwen3-tts-12hz-0.6b-base"}),
        ("openai speaches", {"voice": "Sophia", "model": "speaches-ai/Kokoro-82M-v1.0-ONNX"}),
    ],
)
def test_a_200_that_can_never_end_well_breaks_off(served, server, asked):
    body = {"input": TEXT, "response_format": "pcm", **asked}
    with httpx.stream("POST", served[server].url + SPEECH, json=body) as answer:
        assert answer.status_code == 200
        assert "content-length" not in answer.headers
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()


def test_icantc0de1_s_base64_is_sound_and_a_rough_time_and_hides_why_it_failed(served):
    post = partial(httpx.post, f"{served['qwen3 icantc0de1'].url}{SPEECH}/base64")
    told = post(json={"input": TEXT, "response_format": "pcm"}).json()
    failed = post(json={"input": TEXT, "voice": "Sophia"})

    assert fits(told, {"audio": str, "format": "pcm", "sample_rate": 24_000, "duration_ms": int})
    assert (failed.status_code, failed.json()) == (500, {"detail": "Speech generation failed"})


def test_what_groxaxo_calls_mp3_without_an_encoder_is_a_wav_file(served):
    served["qwen3 groxaxo"].fake.encodes = False

    assert served["qwen3 groxaxo"].say(input=TEXT, voice="Ryan").content[:4] == b"RIFF"


def test_events_of_achetronic_and_vllm_omni_are_named_twice(served):
    heard = served["achetronic"].hear(stream="true").text
    said = served["qwen3 vllm-omni"].say(input=TEXT, stream=True, response_format="pcm").text

    for frames, last in ((heard, "transcript.text.done"), (said, "speech.audio.done")):
        for frame in frames.strip().split("\n\n"):
            name, data = frame.split("\n")
            assert name.removeprefix("event: ") == json.loads(data.removeprefix("data: "))["type"]
        assert json.loads(data.removeprefix("data: "))["type"] == last


def test_a_stream_of_achetronic_s_that_fails_says_so_in_an_event_after_its_200(served):
    served["achetronic"].fake.breaks_after = 1
    answer = served["achetronic"].hear(stream="true")
    name, data = answer.text.strip().split("\n\n")[-1].split("\n")

    assert (answer.status_code, name) == (200, "event: error")
    assert fits(json.loads(data.removeprefix("data: ")), ENVELOPE)


def test_a_fake_counts_what_the_watcher_asks_apart(served):
    fake: FakeServer = served["groxaxo"].fake
    httpx.post(
        served["groxaxo"].url + TRANSCRIPTIONS,
        files={"file": ("a.wav", SOUND)},
        headers={"user-agent": "spark-control (canary)"},
    )

    assert (len(fake.asked), len(fake.canaries)) == (0, 1)
