"""The community's Parakeet servers, as far as the gateway can tell. They hear alike, and differ in all the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from spark_control.audio.formats import sniff
from spark_control.audio.wav import read_header
from tests.fakes.parakeet import Heard, words_of
from tests.fakes.server import (
    Hears,
    Page,
    Speaks,
    Spoken,
    detail,
    envelope,
    file_said,
    json_page,
    model,
    models,
    uncaught,
)

MODEL = "parakeet-tdt-0.6b-v3"
_ONNX = [MODEL, "istupakov/parakeet-tdt-0.6b-v3-onnx", "grikdotnet/parakeet-tdt-0.6b-fp16"]
_CUT = 3
"""Characters of a piece, where words come in pieces."""


def seconds_of(data: bytes) -> float:
    """How long a WAV file lasts; a second for any other."""
    header = read_header(data)
    return header.duration(len(data)) if header else 1.0


def pieces_of(text: str, seconds: float, *, mark: str = "") -> list[dict[str, Any]]:
    """A model's tokens with their times: short pieces of words, of which the first of each word begins with `mark`."""
    pieces = [
        (mark if at == 0 else "") + word[at : at + _CUT]
        for word in text.split()
        for at in range(0, len(word), _CUT)
    ]
    each = seconds / max(1, len(pieces))
    return [
        {"start": number * each, "end": (number + 1) * each, "word": piece}
        for number, piece in enumerate(pieces)
    ]


def segment(text: str, end: float, start: float = 0.0, **more: float) -> dict[str, Any]:
    """One with every key that Whisper's have."""
    return {
        "id": 0,
        "seek": 0,
        "start": start,
        "end": end,
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 0.0,
        "no_speech_prob": 0.0,
        **more,
    }


def subtitles(text: str) -> str:
    return f"1\n00:00:00,000 --> 00:00:01,000\n{text}\n"


class FakeGroxaxo(Hears):
    """A FastAPI service. Its health is 200 in any state; its words are the model's tokens."""

    def reset(self) -> None:
        super().reset()
        self.ready = True
        self.most_bytes = 268_435_456
        self.mark = ""
        """What its tokens begin with at the beginning of a word: it takes that away before it answers."""

    def pages(self) -> Mapping[str, Page]:
        return {"/health": self._health, "/healthz": self._healthz}

    def _health(self) -> Response:
        return JSONResponse(
            {
                "status": "healthy" if self.ready else "starting",
                "ready": self.ready,
                "models": _ONNX,
                "loaded": _ONNX[:1],
                "default_model": MODEL,
                "cpu": {"available_logical_cpus": 20},
            }
        )

    def _healthz(self) -> Response:
        return JSONResponse({"status": "ok"}) if self.ready else detail(503, "not ready")

    def hear(self, heard: Heard) -> Response:
        asked = heard.fields
        if (name := asked.get("model", MODEL)).lower() not in _ONNX:
            return detail(400, f"Unknown model {name!r}. Available models: {sorted(_ONNX)}")
        format_ = asked.get("response_format", "json")
        if format_ not in ("json", "text", "srt", "vtt", "verbose_json"):
            return detail(400, f"Unsupported response_format {format_!r}")
        if not heard.data:
            return detail(400, "Empty file")
        if heard.size > self.most_bytes:
            return detail(413, f"File exceeds the {self.most_bytes} byte upload limit")
        if sniff(heard.data[:16]) is None:
            return detail(415, "Audio could not be decoded")
        if not self.ready:
            return detail(503, "Model is not ready")
        return self._told(format_, words_of(heard.data), seconds_of(heard.data), asked)

    def _told(self, format_: str, text: str, seconds: float, asked: Mapping[str, str]) -> Response:
        match format_:
            case "text":
                return PlainTextResponse(text)
            case "srt":
                return Response(subtitles(text), media_type="application/x-subrip")
            case "vtt":
                return Response(f"WEBVTT\n\n{text}\n", media_type="text/vtt")
            case "json":
                return JSONResponse({"text": text})
        granularities = (asked.get("timestamp_granularities[]"), asked.get("timestamp_granularities"))
        told = {
            "task": "transcribe",
            "language": "auto",
            "duration": seconds,
            "text": text,
            "segments": [segment(text, seconds)],
            "words": pieces_of(text, seconds, mark=self.mark) if "word" in granularities else None,
        }
        return JSONResponse(told)


class FakeGroxaxoLegacy(Hears):
    """The same author's old Flask application: takes any model, hides nothing of an error, and knows no words."""

    def reset(self) -> None:
        super().reset()
        self.jobs = 0

    def pages(self) -> Mapping[str, Page]:
        health = {"status": "healthy", "models": _ONNX, "default_model": MODEL, "speedup": "20.7x"}
        usage = {"cpu_percent": 3.0, "ram_percent": 41.0, "ram_used_gb": 49.1, "ram_total_gb": 119.7}
        return {
            "/": lambda: Response("<!doctype html><title>Parakeet</title>", media_type="text/html"),
            "/health": json_page(health),
            "/status": json_page({"status": "idle"}),
            "/metrics": json_page(usage),
        }

    def not_found(self) -> Response:
        """Flask's."""
        page = "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n"
        return Response(page, 404, media_type="text/html")

    def without_file(self) -> Response:
        return JSONResponse({"error": "No file part in the request"}, 400)

    def hear(self, heard: Heard) -> Response:
        if sniff(heard.data[:16]) is None:
            broken = {
                "error": "File conversion failed",
                "details": "Invalid data found when processing input",
            }
            return JSONResponse(broken, 500)
        text, seconds = words_of(heard.data), seconds_of(heard.data)
        match heard.fields.get("response_format", "json"):
            case "text":
                return PlainTextResponse(text)
            case "srt" | "vtt":
                return PlainTextResponse(subtitles(text))
            case "verbose_json":
                told = {
                    "task": "transcribe",
                    "language": "english",
                    "duration": seconds,
                    "text": text,
                    "segments": [segment(text, seconds)],
                }
                return JSONResponse(told)
        self.jobs += 1
        return JSONResponse({"text": text}, headers={"x-job-id": f"00000000-{self.jobs:04}"})


class FakeAchetronic(Hears):
    """A Go server: knows a file by its name alone, guesses how long it lasts, and streams."""

    def reset(self) -> None:
        super().reset()
        self.key: str | None = None
        """What it wants as a Bearer token."""
        self.breaks_after: int | None = None
        """Words of a stream after which it fails."""

    def pages(self) -> Mapping[str, Page]:
        return {
            "/health": json_page({"status": "ok"}),
            "/v1/models": models(model("parakeet-tdt-0.6b", "nvidia"), model("whisper-1", "nvidia")),
        }

    def not_found(self) -> Response:
        return PlainTextResponse("404 page not found\n", 404)

    def not_allowed(self) -> Response:
        return envelope(405, "Method not allowed", "invalid_request_error")

    def work(self) -> list[Route]:
        (hear,) = super().work()
        return [hear, Route("/v1/audio/translations", hear.endpoint, methods=["POST"])]

    def without_file(self) -> Response:
        return envelope(400, "Missing required parameter: 'file'", "invalid_request_error")

    def hear(self, heard: Heard) -> Response:
        if self.key and self._token() != f"Bearer {self.key}":
            return envelope(401, "Invalid API key", "authentication_error")
        extension = PurePath(heard.filename or "").suffix.lower()
        if extension not in (".wav", ".mp3", ".ogg", ".flac", ".m4a", ".webm", ".mp4"):
            return envelope(
                400, f"Unsupported or malformed audio: format {extension!r}", "invalid_request_error"
            )
        text, asked = words_of(heard.data), heard.fields
        format_ = asked.get("response_format", "json")
        if asked.get("stream") == "true" and format_ in ("json", "text"):
            return self._streamed(text)
        match format_:
            case "text":
                return PlainTextResponse(text)
            case "srt":
                return PlainTextResponse(subtitles(text))
            case "vtt":
                return Response(f"WEBVTT\n\n{text}\n", media_type="text/vtt")
            case "verbose_json":
                return JSONResponse(self._verbose(text, heard))
        return JSONResponse({"text": text})

    def _token(self) -> str:
        return self.headers[-1].get("authorization", "") if self.headers else ""

    def _verbose(self, text: str, heard: Heard) -> dict[str, Any]:
        """With seconds that are right for 16 kHz WAV alone, and wrong by the header even there."""
        seconds = heard.size / 32_000
        return {
            "task": "transcribe",
            "language": heard.fields.get("language", "en"),
            "duration": seconds,
            "text": text,
            "segments": [segment(text, seconds, avg_logprob=-0.5, compression_ratio=1.0)],
        }

    def _streamed(self, text: str) -> Response:
        words = text.split()
        deltas = [words[0], *(f" {word}" for word in words[1:])][: self.breaks_after]
        frames = [_event("transcript.text.delta", {"delta": each}) for each in deltas]
        if self.breaks_after is None:
            frames.append(_event("transcript.text.done", {"text": text}))
        else:
            error = {"message": "Transcription failed: CUDA failure 700", "type": "server_error"}
            frames.append(f"event: error\ndata: {json.dumps({'error': error})}\n\n")
        return Response("".join(frames), media_type="text/event-stream")


class FakeRunParakeet(Hears):
    """NeMo behind FastAPI: loads its model when it is asked for, and unloads it when idle."""

    model = "nvidia/parakeet-tdt-0.6b-v3"

    def reset(self) -> None:
        super().reset()
        self.loaded = False

    def pages(self) -> Mapping[str, Page]:
        return {
            "/": lambda: Response("<!doctype html><title>RunParakeet</title>", media_type="text/html"),
            "/healthz": self._healthz,
            "/v1/models": models(model(self.model, "nvidia", permission=[])),
        }

    def _healthz(self) -> Response:
        state = {
            "model_name": self.model,
            "loaded": self.loaded,
            "last_loaded": None,
            "idle_unload_seconds": 300,
        }
        return JSONResponse({"status": "ok", **state})

    def hear(self, heard: Heard) -> Response:
        asked = heard.fields
        if (name := asked.get("model", self.model)) != self.model:
            return detail(404, f"Unknown model '{name}'")
        if not heard.data:
            return detail(400, "Empty audio payload")
        self.loaded = True
        if sniff(heard.data[:16]) is None:
            return uncaught()
        text = words_of(heard.data)
        told = {
            "text": text,
            "model": self.model,
            "language": asked.get("language", "unknown"),
            "created": 1_700_000_000,
        }
        match asked.get("response_format", "json").lower():
            case "json" | "json_object":
                return JSONResponse(told)
            case "verbose_json":
                return JSONResponse({**told, "duration": None, "segments": [segment(text, 0.0)]})
            case "text":
                return PlainTextResponse(text)
            case "srt":
                return PlainTextResponse(subtitles(text), media_type="application/x-subrip")
            case "vtt":
                return PlainTextResponse(f"WEBVTT\n\n{text}\n", media_type="text/vtt")
        return detail(400, f"Unsupported response_format '{asked['response_format']}'")


class FakeXrAi(Hears):
    """NVIDIA's stt-server: text, and nothing else; of an error it says only that there was one."""

    model = "nvidia/parakeet-tdt-0.6b-v3"

    def reset(self) -> None:
        super().reset()
        self.ready = True

    def pages(self) -> Mapping[str, Page]:
        entry = {"id": self.model, "object": "model", "owned_by": "local"}
        return {"/health": self._health, "/v1/models": models(entry)}

    def _health(self) -> Response:
        return JSONResponse({"status": "ok"}) if self.ready else detail(503, "model not loaded")

    def hear(self, heard: Heard) -> Response:
        if sniff(heard.data[:16]) is None:
            return detail(500, "transcription failed")
        text = words_of(heard.data)
        as_text = heard.fields.get("response_format") == "text"
        return PlainTextResponse(text) if as_text else JSONResponse({"text": text})


class FakeNemoSpeechCpp(Speaks, Hears):
    """NVIDIA's NeMo-Speech.cpp, which speaks too: WAV alone in, words without segments out."""

    hearing_model, speaking_model = MODEL, "magpie-tts-multilingual-357m"
    voices = ("Sofia", "Aria", "Jason", "Leo", "John")
    native_rate = 22_050

    def reset(self) -> None:
        super().reset()
        self.ready = True
        self.built: tuple[str, ...] = ("transcription", "speech")

    def pages(self) -> Mapping[str, Page]:
        return {
            "/": lambda: Response("<!doctype html><title>NeMo-Speech.cpp</title>", media_type="text/html"),
            "/health": self._health,
            "/ready": self._ready,
            "/version": json_page({"version": "0.4.0"}),
            "/v1/models": self._models,
        }

    def not_found(self) -> Response:
        return envelope(404, "Not found", "invalid_request_error", param=None, code=None)

    def _health(self) -> Response:
        told = {"status": "ok" if self.ready else "not_ready", "version": "0.4.0"}
        return JSONResponse(told, 200 if self.ready else 503)

    def _ready(self) -> Response:
        told = {"ready": self.ready, "device": "cuda:0", "capabilities": list(self.built)}
        return JSONResponse(told, 200 if self.ready else 503)

    def _models(self) -> Response:
        hearing = model(
            self.hearing_model, "local", capability="transcription", device="cuda:0", languages=["en-US"]
        )
        speaking = model(
            self.speaking_model,
            "local",
            capability="speech",
            device="cuda:0",
            voices=list(self.voices),
            languages=["en-US", "es-US", "de-DE"],
        )
        loaded = [each for each in (hearing, speaking) if each["capability"] in self.built]
        return JSONResponse({"object": "list", "data": loaded})

    def refused(self, message: str, status: int = 400, kind: str = "invalid_request_error") -> Response:
        return envelope(status, message, kind, param=None, code=None)

    def without_file(self) -> Response:
        return self.refused("missing multipart field 'file'")

    def hear(self, heard: Heard) -> Response:
        if "transcription" not in self.built:
            return self.refused("transcription is not built into this server", 501, "server_error")
        if read_header(heard.data) is None:
            return self.refused("file must be a RIFF/WAVE file with PCM16 or float32 samples")
        text, seconds = words_of(heard.data), seconds_of(heard.data)
        match heard.fields.get("response_format", "json"):
            case "json":
                return JSONResponse({"text": text})
            case "text":
                return PlainTextResponse(text)
            case "srt" | "vtt":
                return PlainTextResponse(subtitles(text))
            case "verbose_json":
                words = text.split()
                each = seconds / max(1, len(words))
                told = [
                    {"word": word, "start": at * each, "end": (at + 1) * each, "confidence": 0.98}
                    for at, word in enumerate(words)
                ]
                return JSONResponse(
                    {
                        "text": text,
                        "task": "transcribe",
                        "language": "en-US",
                        "duration": seconds,
                        "words": told,
                    }
                )
        return self.refused("unsupported response_format")

    def speak(self, asked: Spoken) -> Response:
        if "speech" not in self.built:
            return self.refused("speech is not built into this server", 501, "server_error")
        rate, voice = asked.get("sample_rate", self.native_rate), str(asked.get("voice", "")).casefold()
        known = {name.casefold() for name in self.voices}
        if not isinstance(asked.get("input"), str) or not asked["input"]:
            return self.refused("'input' is required")
        if asked.get("speed", 1.0) != 1.0:
            return self.refused("only speed 1.0 is supported")
        if not 8_000 <= rate <= self.native_rate:
            return self.refused(f"sample_rate must be between 8000 and {self.native_rate}")
        if voice and voice not in known | OPENAI_ALIASES:
            return self.refused(f"unknown voice '{asked['voice']}'")
        said = file_said(asked["input"], voice if voice in known else self.voices[0].casefold(), rate)
        match asked.get("response_format", "wav"):
            case "wav":
                return Response(said, media_type="audio/wav")
            case "pcm":
                return Response(said[44:], media_type="audio/pcm")
        return self.refused("response_format must be wav or pcm")


OPENAI_ALIASES = {
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "fable",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
}


def _event(kind: str, told: Mapping[str, Any]) -> str:
    """With a line that names it, which OpenAI's events do not have."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **told})}\n\n"


PARAKEETS: Mapping[str, type[Hears]] = {
    "achetronic": FakeAchetronic,
    "groxaxo": FakeGroxaxo,
    "groxaxo-legacy": FakeGroxaxoLegacy,
    "nemo-speech-cpp": FakeNemoSpeechCpp,
    "runparakeet": FakeRunParakeet,
    "xr-ai": FakeXrAi,
}
"""By the flavour that each of them is."""
