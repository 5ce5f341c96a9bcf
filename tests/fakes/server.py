"""What fakes of OpenAI's audio API have in common: pages, a record of what was asked, and a fault if given one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tests.fakes.faults import Fault, Unfinished, is_canary
from tests.fakes.magpie import CHARACTERS_A_SECOND
from tests.fakes.parakeet import Heard
from tests.sounds import wav

SPEECH, TRANSCRIPTIONS = "/v1/audio/speech", "/v1/audio/transcriptions"

Page = Callable[[], Response]
Spoken = dict[str, Any]
"""One request for speech: its JSON."""


class FakeServer:
    """Its pages, and what it answers to a path that it does not have."""

    def __init__(self) -> None:
        pages = [Route(path, _answering(page)) for path, page in self.pages().items()]
        self.app = Starlette(
            routes=[*pages, *self.work()],
            exception_handlers={404: self._not_found, 405: self._not_allowed},
        )
        self.reset()

    def reset(self) -> None:
        self.asked: list[Any] = []
        """The work that users asked for, as the JSON of a request for speech or what it was given to be `Heard`."""
        self.headers: list[dict[str, str]] = []
        self.canaries: list[Any] = []
        self.fault: Fault | None = None
        self.faults: list[Fault] = []
        """For one of a user's requests each, before those of `fault`."""

    def pages(self) -> Mapping[str, Page]:
        raise NotImplementedError

    def work(self) -> list[Route]:
        return []

    def not_found(self) -> Response:
        """FastAPI's."""
        return JSONResponse({"detail": "Not Found"}, 404)

    def not_allowed(self) -> Response:
        return JSONResponse({"detail": "Method Not Allowed"}, 405)

    async def _not_found(self, _: Request, __: Exception) -> Response:
        return self.not_found()

    async def _not_allowed(self, _: Request, __: Exception) -> Response:
        return self.not_allowed()

    def note(self, asked: Spoken | Heard, request: Request) -> None:
        """What the watcher asks is counted apart from what users do."""
        if is_canary(request):
            self.canaries.append(asked)
            return
        self.asked.append(asked)
        self.headers.append(dict(request.headers))

    def or_fault(self, good: Response, request: Request) -> Response:
        """A good answer, or what its fault makes of it. What it refuses, it refuses in any state."""
        if good.status_code != 200 or isinstance(good, Unfinished):
            return good
        fault = self.faults.pop(0) if self.faults and not is_canary(request) else self.fault
        if fault is None:
            return good
        answer = fault.response(bytes(good.body))
        if answer.status_code == 200:
            answer.headers.setdefault("content-type", good.headers["content-type"])
        return answer


class Speaks(FakeServer):
    """`POST /v1/audio/speech` with JSON."""

    def work(self) -> list[Route]:
        return [*super().work(), Route(SPEECH, self._speak, methods=["POST"])]

    def speak(self, asked: Spoken) -> Response:
        raise NotImplementedError

    async def _speak(self, request: Request) -> Response:
        try:
            asked = json.loads(await request.body())
        except ValueError:
            return unprocessable(["body"], "json_invalid", "JSON decode error")
        self.note(asked, request)
        return self.or_fault(self.speak(asked), request)


class Hears(FakeServer):
    """`POST /v1/audio/transcriptions` with a form."""

    def work(self) -> list[Route]:
        return [*super().work(), Route(TRANSCRIPTIONS, self._hear, methods=["POST"])]

    def hear(self, heard: Heard) -> Response:
        raise NotImplementedError

    def without_file(self) -> Response:
        return unprocessable(["body", "file"], "missing", "Field required")

    async def _hear(self, request: Request) -> Response:
        async with request.form() as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                return self.without_file()
            data = await file.read()
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
        heard = Heard(fields, file.filename, file.content_type, data)
        self.note(heard, request)
        return self.or_fault(self.hear(heard), request)


def _answering(page: Page) -> Callable[[Request], Response]:
    def answer(_: Request) -> Response:
        return page()

    return answer


def json_page(content: object) -> Page:
    """A page that never changes."""
    return lambda: JSONResponse(content)


def models(*entries: Mapping[str, Any]) -> Page:
    """OpenAI's list of models."""
    return json_page({"object": "list", "data": [*entries]})


def model(name: str, owner: str, **more: Any) -> dict[str, Any]:
    """An entry of such a list."""
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": owner, **more}


def detail(status: int, told: object) -> Response:
    """FastAPI's error."""
    return JSONResponse({"detail": told}, status)


def envelope(status: int, message: str, kind: str, **more: Any) -> Response:
    """OpenAI's error, with as many of its keys as a server sends."""
    return JSONResponse({"error": {"message": message, "type": kind, **more}}, status)


def unprocessable(where: list[str], kind: str, message: str) -> Response:
    """FastAPI's refusal of a body."""
    return JSONResponse({"detail": [{"type": kind, "loc": where, "msg": message, "input": None}]}, 422)


def uncaught() -> Response:
    """What becomes of an exception that nobody caught."""
    return PlainTextResponse("Internal Server Error", 500)


def chunked(body: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    """A good answer that does not say how long it is."""
    answer = Response(body, media_type=media_type, headers=dict(headers or {}))
    del answer.headers["content-length"]
    return answer


def file_said(text: str, voice: str, rate: int = 24_000, speed: float = 1.0) -> bytes:
    """A WAV file: the same text and voice always sound the same, and no two others alike. `speed` is a true tempo."""
    seed = hashlib.sha256(f"{text}|{voice}".encode()).digest()
    return wav(len(text) / CHARACTERS_A_SECOND / speed, rate=rate, seed=seed)


def samples_said(text: str, voice: str, rate: int = 24_000, speed: float = 1.0) -> bytes:
    """The same as bare samples."""
    return file_said(text, voice, rate, speed)[44:]


MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
"""Of the formats that OpenAI has."""

_BEGINS = {"mp3": b"ID3\x04", "opus": b"OggS", "aac": b"\xff\xf1", "flac": b"fLaC"}


def in_format(format_: str, file: bytes) -> bytes:
    """A WAV file as the bytes of that format, of which there is no more than the beginning if they are compressed."""
    if format_ == "wav":
        return file
    return _BEGINS.get(format_, b"") + file[44:]
