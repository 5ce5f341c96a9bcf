"""The three servers of Qwen3-TTS, as far as the gateway can tell: one API by name, and three by what they do."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.faults import Unfinished
from tests.fakes.server import (
    MEDIA_TYPES,
    SPEECH,
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
    unprocessable,
)

SPEAKERS = ("Vivian", "Serena", "Uncle_Fu", "Dylan", "Eric", "Ryan", "Aiden", "Ono_Anna", "Sohee")
"""Those of the CustomVoice checkpoint."""

LANGUAGES = (
    "Chinese", "English", "Japanese", "Korean", "German", "French", "Russian", "Portuguese", "Spanish", "Italian",
)  # fmt: skip

_LONGEST = 4096
"""Characters."""


def known_speaker(name: str) -> str | None:
    """A speaker as the model knows it, in small letters; None if it is none of its."""
    return name.lower() if name.lower() in {each.lower() for each in SPEAKERS} else None


def _refused(asked: Spoken) -> Response | None:
    """What FastAPI says to fields that do not fit."""
    text, speed = asked.get("input"), asked.get("speed", 1.0)
    if not isinstance(text, str):
        return unprocessable(["body", "input"], "missing", "Field required")
    if not text.strip():
        return unprocessable(["body", "input"], "value_error", "Value error, input is empty")
    if len(text) > _LONGEST:
        return unprocessable(["body", "input"], "string_too_long", f"at most {_LONGEST} characters")
    if asked.get("response_format", "mp3") not in MEDIA_TYPES:
        return unprocessable(["body", "response_format"], "literal_error", "Input should be 'mp3' …")
    if not 0.25 <= speed <= 4.0:
        return unprocessable(["body", "speed"], "greater_than_equal", "between 0.25 and 4")
    return None


MAPPING: Mapping[str, str] = {
    "alloy": "Vivian",
    "ash": "Serena",
    "coral": "Uncle_Fu",
    "echo": "Dylan",
    "fable": "Eric",
    "onyx": "Ryan",
    "nova": "Aiden",
    "sage": "Ono_Anna",
    "shimmer": "Sohee",
}
"""What icantc0de1's server takes each of OpenAI's names for, unless its owner has written another file."""


class FakeIcantc0de1(Speaks):
    """Answers 200 before it begins to work, so that every failure is a 200 that breaks off."""

    native = (
        "qwen3-tts-12hz-0.6b-base",
        "qwen3-tts-12hz-0.6b-custom-voice",
        "qwen3-tts-12hz-1.7b-base",
        "qwen3-tts-12hz-1.7b-custom-voice",
        "qwen3-tts-12hz-1.7b-voice-design",
    )

    def reset(self) -> None:
        super().reset()
        self.available = True
        self.mapping = MAPPING

    def pages(self) -> Mapping[str, Page]:
        entries = [model(name, "qwen3-tts") for name in ("tts-1", "tts-1-hd", *self.native)]
        return {
            "/": json_page({"name": "Qwen3 TTS API", "version": "0.1.0"}),
            "/health": json_page({"status": "healthy", "timestamp": 1_700_000_000.25}),
            "/v1/audio/models": models(*entries),
            "/v1/audio/voices": self._voices,
        }

    def work(self) -> list[Route]:
        return [
            *super().work(),
            Route(f"{SPEECH}/base64", self._base64, methods=["POST"]),
            Route("/v1/audio/voices/{name}", self._voice),
        ]

    def _voices(self) -> Response:
        return JSONResponse({"voices": [self._entry(name) for name in self.mapping]})

    def _entry(self, name: str) -> dict[str, Any]:
        return {"voice_id": name, "name": self.mapping[name], "preview_url": None}

    async def _voice(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.mapping:
            return detail(404, f"Voice '{name}' not found")
        return JSONResponse(self._entry(name))

    def speak(self, asked: Spoken) -> Response:
        if refused := self._refused(asked):
            return refused
        format_ = asked.get("response_format", "mp3")
        media_type, said = MEDIA_TYPES[format_], self._said(asked, format_)
        headers = {
            "content-disposition": f'attachment; filename="speech.{format_}"',
            "x-model": asked.get("model", "tts-1"),
            "x-voice": asked.get("voice", "alloy"),
            "cache-control": "no-cache",
        }
        return chunked(said, media_type, headers) if said else Unfinished(b"", media_type, headers)

    def _refused(self, asked: Spoken) -> Response | None:
        if not self.available:
            return detail(503, "TTS service is not available. Please try again later.")
        return _refused(asked)

    def _said(self, asked: Spoken, format_: str) -> bytes:
        """Nothing where the model cannot. A file for each sentence, unless it is bare samples; no `speed` at all."""
        voice = asked.get("voice", "alloy")
        speaker = known_speaker(self.mapping.get(voice, voice))
        if asked.get("model", "tts-1").endswith(("-base", "-voice-design")) or speaker is None:
            return b""
        if format_ == "pcm":
            return samples_said(asked["input"], speaker)
        sentences = asked["input"].split(". ")
        return b"".join(in_format(format_, file_said(each, speaker)) for each in sentences)

    async def _base64(self, request: Request) -> Response:
        asked = json.loads(await request.body())
        self.note(asked, request)
        if refused := self._refused(asked):
            return refused
        format_ = asked.get("response_format", "mp3")
        if not (said := self._said(asked, format_)) or self.fault:
            return detail(500, "Speech generation failed")
        audio = base64.b64encode(said).decode()
        rough = len(said) // 32
        return JSONResponse({"audio": audio, "format": format_, "sample_rate": 24_000, "duration_ms": rough})


class FakeGroxaxoQwen3(Speaks):
    """Answers when it is done, and puts what went wrong in a nest. Of OpenAI's voices, four are speakers nobody has."""

    aliases: Mapping[str, str] = {
        "alloy": "Vivian",
        "echo": "Ryan",
        "fable": "Sophia",
        "nova": "Isabella",
        "onyx": "Evan",
        "shimmer": "Lily",
    }
    ghosts = ("Vivian", "Ryan", "Sophia", "Isabella", "Evan", "Lily")
    """What it says that it has while it has no model."""
    suffixes = ("en", "zh", "ja", "ko", "de", "fr", "es", "ru", "pt", "it")

    def reset(self) -> None:
        super().reset()
        self.ready = True
        self.error: str | None = None
        """Why its model is not there, if it is not."""
        self.encodes = True
        """Whether it can make MP3; else it calls a WAV file that."""
        self.gone: tuple[str, ...] = ()
        """Voices that it lists, and no longer has."""

    def pages(self) -> Mapping[str, Page]:
        capabilities = {
            "supported": False,
            "model_type": "custom_voice",
            "icl_mode_available": False,
            "x_vector_mode_available": False,
        }
        return {
            "/health": self._health,
            "/v1/models": models(*(model(name, "qwen") for name in self._models())),
            "/v1/voices": self._voices,
            "/v1/audio/voices": self._voices,
            "/v1/audio/voice-clone/capabilities": json_page(capabilities),
        }

    def _models(self) -> list[str]:
        of_language = [f"{name}-{each}" for each in self.suffixes for name in ("tts-1", "tts-1-hd")]
        return ["qwen3-tts", "tts-1", "tts-1-hd", *of_language]

    def _health(self) -> Response:
        backend: dict[str, Any] = {"name": "official", "ready": self.ready and not self.error}
        if self.error:
            return JSONResponse(
                {"status": "error", "error": self.error, "backend": backend, "version": "0.1.0"}
            )
        device = {"type": "cuda:0", "gpu_available": True, "gpu_name": "NVIDIA GB10"}
        backend["model_id"] = "Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice"
        status = "healthy" if self.ready else "initializing"
        return JSONResponse({"status": status, "backend": backend, "device": device, "version": "0.1.0"})

    def _voices(self) -> Response:
        speakers = (*SPEAKERS, *self.gone) if self.ready else self.ghosts
        told: list[dict[str, Any]] = [
            {"id": name, "name": name, "language": "English", "description": f"Qwen3-TTS voice: {name}"}
            for name in speakers
        ]
        told += [
            {
                "id": alias,
                "name": alias.capitalize(),
                "language": None,
                "description": f"OpenAI-compatible voice (maps to {target})",
            }
            for alias, target in self.aliases.items()
        ]
        return JSONResponse({"voices": told, "languages": list(LANGUAGES)})

    def speak(self, asked: Spoken) -> Response:
        if refused := _refused(asked):
            return refused
        if (name := asked.get("model", "qwen3-tts")) not in self._models():
            return self._failed(400, "invalid_model", f"Unsupported model: {name}.")
        voice = asked.get("voice", "Vivian")
        meant = self.aliases.get(voice.lower(), voice)
        if (speaker := known_speaker(meant)) is None:
            message = f"Speech generation failed: Unsupported speakers: ['{meant}']"
            return self._failed(500, "processing_error", message)
        self.ready = True
        format_ = asked.get("response_format", "mp3")
        file = file_said(asked["input"], speaker, speed=asked.get("speed", 1.0))
        headers = {
            "content-disposition": f"attachment; filename=speech.{format_}",
            "cache-control": "no-cache",
        }
        said = file if format_ == "mp3" and not self.encodes else in_format(format_, file)
        return Response(said, media_type=MEDIA_TYPES[format_], headers=headers)

    def _failed(self, status: int, error: str, message: str) -> Response:
        kind = "server_error" if status >= 500 else "invalid_request_error"
        return detail(status, {"error": error, "message": message, "type": kind})


class FakeVllmOmni(Speaks):
    """vLLM's: streams samples to who asks in the right way, and events to who asks in the old one."""

    model = "Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice"
    names = tuple(sorted(name.lower() for name in SPEAKERS))

    def reset(self) -> None:
        super().reset()
        self.old = False
        """Whether it is a release in which `stream` meant samples, and there were no events."""

    def pages(self) -> Mapping[str, Page]:
        return {
            "/health": lambda: Response(b""),
            "/version": json_page({"version": "0.18.0"}),
            "/v1/models": models(model(self.model, "vllm", root=self.model, max_model_len=4096)),
            "/v1/audio/voices": json_page({"voices": list(self.names), "uploaded_voices": []}),
        }

    def speak(self, asked: Spoken) -> Response:
        if refused := self._refused(asked):
            return refused
        format_ = asked.get("response_format", "wav")
        samples = samples_said(asked["input"], asked.get("voice", "vivian"))
        way = asked.get("stream_format") or ("sse" if asked.get("stream") and not self.old else None)
        if way == "sse":
            return Response(_events(samples, format_), media_type="text/event-stream")
        if way == "audio" or asked.get("stream"):
            return chunked(samples, MEDIA_TYPES[format_])
        file = file_said(asked["input"], asked.get("voice", "vivian"))
        usage = {"x-vllm-omni-input-tokens": "7", "x-vllm-omni-output-tokens": "40"}
        return Response(in_format(format_, file), media_type=MEDIA_TYPES[format_], headers=usage)

    def _refused(self, asked: Spoken) -> Response | None:
        format_, speed = asked.get("response_format", "wav"), asked.get("speed", 1.0)
        streamed = bool(asked.get("stream")) or asked.get("stream_format") in ("audio", "sse")
        if not isinstance(asked.get("input"), str) or not asked["input"].strip():
            return self._bad_request("Input text cannot be empty")
        if format_ not in ("wav", "mp3", "flac", "pcm", "opus"):
            return self._bad_request(f"Unsupported response_format {format_!r}")
        if self.old and asked.get("stream_format") == "sse":
            return self._bad_request("'sse' is not a supported stream_format yet. Please use 'audio'.")
        if streamed and (format_ not in ("wav", "pcm") or speed != 1.0):
            return self._bad_request("Streaming requires response_format 'pcm' or 'wav', and speed 1.0")
        if asked.get("model", self.model) != self.model:
            message = f"The model `{asked['model']}` does not exist."
            return envelope(404, message, "NotFoundError", param="model", code=404)
        if asked.get("voice", "vivian") not in self.names:
            return self._bad_request(
                f"Invalid speaker '{asked['voice']}'. Supported: {', '.join(self.names)}"
            )
        if asked.get("language", "Auto") not in ("Auto", *LANGUAGES):
            return self._bad_request(f"Invalid language '{asked['language']}'")
        return None

    def _bad_request(self, message: str) -> Response:
        return envelope(400, message, "BadRequestError", param=None, code=400)


def _events(samples: bytes, format_: str) -> str:
    """Frames with a line that names each event, and one with what it holds."""
    delta = {"audio": base64.b64encode(samples).decode(), "response_format": format_}
    usage = {"input_tokens": 7, "output_tokens": 40, "total_tokens": 47}
    told: list[tuple[str, dict[str, Any]]] = [
        ("speech.audio.delta", delta),
        ("speech.audio.done", {"usage": usage}),
    ]
    return "".join(f"event: {kind}\ndata: {json.dumps({'type': kind, **said})}\n\n" for kind, said in told)


QWEN3: Mapping[str, type[Speaks]] = {
    "groxaxo": FakeGroxaxoQwen3,
    "icantc0de1": FakeIcantc0de1,
    "vllm-omni": FakeVllmOmni,
}
"""By the flavour that each of them is."""
