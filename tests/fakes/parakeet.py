"""Two Parakeets, as far as the gateway can tell: a community server, and NVIDIA's NIM."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from spark_control.audio.wav import read_header
from spark_control.supervision.canaries import CLIP, CLIP_TEXT
from tests.fakes.faults import Fault, is_canary


@dataclass(frozen=True)
class Heard:
    """One transcription as it was asked for."""

    fields: dict[str, str]
    filename: str | None
    content_type: str | None
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def words_of(data: bytes) -> str:
    """What a fake hears: the canary's words, and other words for other bytes."""
    if samples_of(data) == samples_of(CLIP):
        return CLIP_TEXT
    return f"heard {len(data)} bytes {hashlib.sha256(data).hexdigest()[:8]}"


def samples_of(data: bytes) -> bytes | None:
    """What is in a WAV file behind its header."""
    header = read_header(data)
    return data[header.data_starts :][: header.held(len(data))] if header else None


class _Fake:
    def __init__(self) -> None:
        self.app = Starlette(
            routes=[
                Route("/v1/audio/transcriptions", self._transcribe, methods=["POST"]),
                Route("/health", self._health),
                Route("/healthz", self._health),
                Route("/v1/health/ready", self._health),
            ]
        )
        self.reset()

    def reset(self) -> None:
        self.heard: list[Heard] = []
        self.headers: list[dict[str, str]] = []
        self.canaries: list[Heard] = []
        self.fault: Fault | None = None

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "healthy", "ready": True})

    async def _transcribe(self, request: Request) -> Response:
        async with request.form() as form:
            file = form["file"]
            assert isinstance(file, UploadFile)
            data = await file.read()
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
        self._note(Heard(fields, file.filename, file.content_type, data), request)
        good = self.answer(fields, data)
        return self.fault.response(bytes(good.body)) if self.fault else good

    def _note(self, heard: Heard, request: Request) -> None:
        """What the watcher asks is counted apart from what users do."""
        if is_canary(request):
            self.canaries.append(heard)
            return
        self.heard.append(heard)
        self.headers.append(dict(request.headers))

    def answer(self, fields: dict[str, str], data: bytes) -> Response:
        raise NotImplementedError


class FakeParakeet(_Fake):
    """groxaxo's FastAPI service: refuses foreign models, knows segments, and words on request."""

    def answer(self, fields: dict[str, str], data: bytes) -> Response:
        if fields.get("model", "parakeet-tdt-0.6b-v3") != "parakeet-tdt-0.6b-v3":
            return JSONResponse({"detail": f"Unknown model {fields['model']!r}. Available models: []"}, 400)
        text = words_of(data)
        if fields.get("response_format") != "verbose_json":
            return JSONResponse({"text": text})
        words = (
            [{"start": 0.1, "end": 0.4, "word": "heard"}] if "timestamp_granularities[]" in fields else None
        )
        segment = {
            "id": 0,
            "seek": 0,
            "start": 0.1,
            "end": 0.9,
            "text": text,
            "tokens": [],
            "temperature": 0.0,
        }
        return JSONResponse(
            {
                "task": "transcribe",
                "language": "auto",
                "duration": 99.0,
                "text": text,
                "segments": [segment],
                "words": words,
            }
        )


class FakeParakeetNim(_Fake):
    """The NIM: needs a BCP-47 language, takes WAV, OPUS and FLAC, and ends its transcripts with a blank."""

    def answer(self, fields: dict[str, str], data: bytes) -> Response:
        if "model" in fields:
            return JSONResponse({"detail": "model not found"}, 400)
        if "-" not in fields.get("language", "") and fields.get("language") != "multi":
            return JSONResponse({"detail": "language or model is required"}, 400)
        if data[:4] not in (b"RIFF", b"OggS", b"fLaC"):
            return JSONResponse({"detail": "unsupported audio"}, 400)
        if fields.get("response_format") == "text":
            return PlainTextResponse(words_of(data) + " ")
        if fields.get("response_format") != "json":
            return JSONResponse({"detail": "unsupported response_format"}, 400)
        return JSONResponse({"text": words_of(data) + " "})
