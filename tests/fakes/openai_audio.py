"""Servers that speak OpenAI's audio API as well as they can: Speaches, Kokoro, LocalAI, and NVIDIA's xr-ai."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from spark_control.audio.formats import sniff
from tests.fakes.faults import Unfinished
from tests.fakes.parakeet import Heard, words_of
from tests.fakes.parakeets import seconds_of, segment
from tests.fakes.server import (
    MEDIA_TYPES,
    Hears,
    Page,
    Speaks,
    Spoken,
    chunked,
    detail,
    envelope,
    file_said,
    in_format,
    json_page,
    model,
    models,
    samples_said,
    uncaught,
    unprocessable,
)

KOKORO_VOICES = {
    "af_heart": "en-us",
    "af_alloy": "en-us",
    "am_echo": "en-us",
    "bm_fable": "en-gb",
    "jf_alpha": "ja",
    "ff_siwis": "fr-fr",
}
"""With the language of each."""

OPENAI_VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse",
)  # fmt: skip


class FakeSpeaches(Speaks, Hears):
    """Wants a model in every request. A failure of its speech comes when 200 has been said."""

    speaking, hearing, parakeet = (
        "speaches-ai/Kokoro-82M-v1.0-ONNX",
        "Systran/faster-whisper-small",
        "istupakov/parakeet-tdt-0.6b-v3-onnx",
    )
    native_rate = 24_000

    def reset(self) -> None:
        super().reset()
        self.old = False
        """Whether it lists its voices as releases before 0.8 did."""

    def pages(self) -> Mapping[str, Page]:
        voices = [
            {"name": name, "language": language, "gender": "female", "id": name}
            for name, language in KOKORO_VOICES.items()
        ]
        speaking = model(
            self.speaking,
            "speaches-ai",
            language=["multilingual"],
            task="text-to-speech",
            sample_rate=self.native_rate,
            voices=voices,
        )
        hearing = [
            model(name, name.split("/")[0], language=["en"], task="automatic-speech-recognition")
            for name in (self.hearing, self.parakeet)
        ]
        return {
            "/health": lambda: PlainTextResponse("OK"),
            "/api/ps": json_page({"models": []}),
            "/v1/models": models(*hearing, speaking),
            "/v1/audio/models": json_page({"models": [speaking], "object": "list"}),
            "/v1/audio/voices": self._voices(voices),
        }

    def _voices(self, voices: list[dict[str, str]]) -> Page:
        old = [
            {"model_id": self.speaking, "voice_id": each["name"], "created": 1, "owned_by": "hexgrad"}
            for each in voices
        ]
        return lambda: JSONResponse(old if self.old else {"voices": voices, "object": "list"})

    def speak(self, asked: Spoken) -> Response:
        for needed in ("model", "input", "voice"):
            if not isinstance(asked.get(needed), str):
                return unprocessable(["body", needed], "missing", "Field required")
        format_, rate = asked.get("response_format", "mp3"), asked.get("sample_rate", self.native_rate)
        if format_ not in MEDIA_TYPES:
            return unprocessable(["body", "response_format"], "literal_error", "Input should be 'pcm' …")
        if not 8_000 <= rate <= 48_000:
            return unprocessable(["body", "sample_rate"], "less_than_equal", "between 8000 and 48000")
        if asked["model"] != self.speaking:
            return detail(404, f"Model '{asked['model']}' is not installed locally.")
        voice = "af_heart" if asked["voice"] in OPENAI_VOICES else asked["voice"]
        speed = asked.get("speed", 1.0)
        if voice not in KOKORO_VOICES or not 0.5 <= speed <= 2.0:
            return Unfinished(b"", MEDIA_TYPES[format_])
        file = file_said(asked["input"], voice, rate, speed)
        return chunked(in_format(format_, file), MEDIA_TYPES[format_])

    def hear(self, heard: Heard) -> Response:
        asked = heard.fields
        if "model" not in asked:
            return unprocessable(["body", "model"], "missing", "Field required")
        if asked["model"] not in (self.hearing, self.parakeet):
            return detail(404, f"Model '{asked['model']}' is not installed locally.")
        if sniff(heard.data[:16]) is None:
            return detail(415, "Failed to decode audio.")
        text, format_ = words_of(heard.data), asked.get("response_format", "json")
        if asked["model"] == self.parakeet and format_ not in ("json", "text"):
            return uncaught()
        if asked.get("stream") == "true" and asked["model"] != self.parakeet:
            frame = '{"type":"transcript.text.done","text":"' + text + '"}'
            return Response(f"data: {frame}\n\n", media_type="text/event-stream")
        match format_:
            case "json":
                return JSONResponse({"text": text})
            case "text":
                return PlainTextResponse(text)
        seconds = seconds_of(heard.data)
        return JSONResponse(
            {
                "task": "transcribe",
                "language": "en",
                "duration": seconds,
                "text": text,
                "words": None,
                "segments": [segment(text, seconds)],
            }
        )


class FakeKokoro(Speaks):
    """Kokoro-FastAPI: streams as it speaks, at a tempo of its own; knows four models, which are one."""

    names = ("tts-1", "tts-1-hd", "kokoro", "gpt-4o-mini-tts")
    aliases: Mapping[str, str] = {"alloy": "af_alloy", "echo": "am_echo", "fable": "bm_fable"}

    def reset(self) -> None:
        super().reset()
        self.old = False
        """Whether it lists its voices as releases before 0.3 did."""

    def pages(self) -> Mapping[str, Page]:
        return {
            "/health": json_page({"status": "healthy"}),
            "/v1/models": models(*(model(name, "kokoro") for name in self.names)),
            "/v1/audio/voices": self._voices,
        }

    def _voices(self) -> Response:
        entries = [name if self.old else {"id": name, "name": name} for name in KOKORO_VOICES]
        return JSONResponse({"voices": entries})

    def speak(self, asked: Spoken) -> Response:
        if not isinstance(asked.get("input"), str):
            return unprocessable(["body", "input"], "missing", "Field required")
        if (name := asked.get("model", "kokoro")) not in self.names:
            return self._refused("invalid_model", f"Unsupported model: {name}")
        voice = self.aliases.get(voice := asked.get("voice", "af_heart"), voice)
        if voice not in KOKORO_VOICES:
            known = ", ".join(sorted(KOKORO_VOICES))
            return self._refused("validation_error", f"Voice '{voice}' not found. Available voices: {known}")
        format_, speed = asked.get("response_format", "mp3"), asked.get("speed", 1.0)
        if not 0.25 <= speed <= 4.0:
            return unprocessable(["body", "speed"], "less_than_equal", "between 0.25 and 4")
        headers = {
            "content-disposition": f"attachment; filename=speech.{format_}",
            "x-accel-buffering": "no",
            "cache-control": "no-cache",
        }
        file = file_said(asked["input"], voice, speed=speed)
        return chunked(in_format(format_, file), MEDIA_TYPES[format_], headers)

    def _refused(self, error: str, message: str) -> Response:
        return detail(400, {"error": error, "message": message, "type": "invalid_request_error"})


class FakeLocalAI(Speaks, Hears):
    """Has models by the names its owner gave them, and a WAV file for who asks for bare samples."""

    speaking, hearing, chatting = "voice-en-us-amy-low", "whisper-base", "qwen3-4b"
    native_rate = 16_000

    def reset(self) -> None:
        super().reset()
        self.old = False
        """Whether it is a release that does not introduce itself, and whose voices have one rate alone."""

    def pages(self) -> Mapping[str, Page]:
        entries = [{"id": name, "object": "model"} for name in (self.chatting, self.speaking, self.hearing)]
        return {
            "/healthz": lambda: Response(b""),
            "/readyz": lambda: Response(b""),
            "/version": json_page({"version": "v3.8.0"}),
            "/v1/models": models(*entries),
            "/.well-known/localai.json": self._introduction,
        }

    def _introduction(self) -> Response:
        if self.old:
            return self.not_found()
        return JSONResponse({"version": "v3.8.0", "endpoints": {"models": "/v1/models"}})

    def not_found(self) -> Response:
        return self._failed(404, "Resource not found")

    def without_file(self) -> Response:
        return self._failed(400, "there is no uploaded file associated with the given key")

    def speak(self, asked: Spoken) -> Response:
        if not asked.get("model"):
            return self._failed(400, "Bad Request")
        if asked["model"] != self.speaking:
            return self._failed(500, f"could not load model - all backends returned error: {asked['model']}")
        rate = self.native_rate if self.old else asked.get("sample_rate") or self.native_rate
        headers = {"content-disposition": 'attachment; filename="tts.wav"'}
        file = file_said(asked["input"], asked.get("voice", ""), rate)
        return Response(file, media_type="audio/x-wav", headers=headers)

    def hear(self, heard: Heard) -> Response:
        """With times in nanoseconds, whether anybody asked for them or not."""
        if heard.fields.get("model") != self.hearing:
            return self._failed(500, f"could not load model: {heard.fields.get('model')}")
        text = words_of(heard.data)
        end = round(seconds_of(heard.data) * 1e9)
        told = {"id": 0, "start": 0, "end": end, "text": text, "tokens": None}
        return JSONResponse({"segments": [told], "text": text})

    def _failed(self, status: int, message: str) -> Response:
        return envelope(status, message, "", code=status)


class FakeXrAiSpeech(Speaks):
    """NVIDIA's magpie-tts: one voice, one pace, and WAV whatever else was asked for. It catches no exception."""

    model = "nvidia/magpie_tts_multilingual_357m"
    native_rate = 22_050

    def reset(self) -> None:
        super().reset()
        self.ready = True

    def pages(self) -> Mapping[str, Page]:
        entry = {"id": self.model, "object": "model", "owned_by": "local"}
        return {"/health": self._health, "/v1/models": models(entry)}

    def _health(self) -> Response:
        return JSONResponse({"status": "ok"}) if self.ready else detail(503, "model not loaded")

    def speak(self, asked: Spoken) -> Response:
        if not isinstance(asked.get("input"), str):
            return unprocessable(["body", "input"], "missing", "Field required")
        if asked.get("response_format", "wav") == "pcm":
            return Response(samples_said(asked["input"], "default", self.native_rate), media_type="audio/pcm")
        return Response(file_said(asked["input"], "default", self.native_rate), media_type="audio/wav")


class FakeStranger(Speaks, Hears):
    """OpenAI's API as its documents have it, of some server that nobody knows, and that lists no voices."""

    speaking, hearing = "tts-1", "whisper-1"

    def pages(self) -> Mapping[str, Page]:
        return {"/v1/models": models(model(self.speaking, "me"), model(self.hearing, "me"))}

    def not_found(self) -> Response:
        return self._refused(404, "Not found", None)

    def without_file(self) -> Response:
        return self._refused(400, "'file' is required", "file")

    def speak(self, asked: Spoken) -> Response:
        for needed in ("model", "input", "voice"):
            if needed not in asked:
                return self._refused(400, f"'{needed}' is required", needed)
        if asked["model"] != self.speaking:
            return self._refused(404, f"The model `{asked['model']}` does not exist", "model")
        if asked["voice"] not in OPENAI_VOICES:
            return self._refused(400, f"Invalid voice {asked['voice']!r}", "voice")
        format_ = asked.get("response_format", "mp3")
        file = file_said(asked["input"], asked["voice"], speed=asked.get("speed", 1.0))
        return chunked(in_format(format_, file), MEDIA_TYPES[format_])

    def hear(self, heard: Heard) -> Response:
        if heard.fields.get("model") != self.hearing:
            return self._refused(404, "The model does not exist", "model")
        text, seconds = words_of(heard.data), seconds_of(heard.data)
        if heard.fields.get("response_format") != "verbose_json":
            return JSONResponse({"text": text})
        told: dict[str, Any] = {
            "task": "transcribe",
            "language": "english",
            "duration": seconds,
            "text": text,
            "segments": [segment(text, seconds)],
        }
        if heard.fields.get("timestamp_granularities[]") == "word":
            told["words"] = [
                {"word": word, "start": at / 10, "end": (at + 1) / 10} for at, word in enumerate(text.split())
            ]
        return JSONResponse(told)

    def _refused(self, status: int, message: str, param: str | None) -> Response:
        return envelope(status, message, "invalid_request_error", param=param, code=None)


OPENAI_AUDIO: Mapping[
    str | None, type[FakeSpeaches | FakeKokoro | FakeLocalAI | FakeXrAiSpeech | FakeStranger]
] = {
    "kokoro": FakeKokoro,
    "localai": FakeLocalAI,
    "speaches": FakeSpeaches,
    "xr-ai": FakeXrAiSpeech,
    None: FakeStranger,
}
"""By the flavour that each of them is. NeMo-Speech.cpp is among the Parakeets."""
