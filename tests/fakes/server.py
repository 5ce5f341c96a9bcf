"""What every fake of OpenAI's audio API has: its pages, a record of what it was asked, and a fault if it is given one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tests.fakes.faults import Broken, Fault, is_canary
from tests.fakes.magpie import CHARACTERS_A_SECOND
from tests.fakes.magpie import speech_of as magpie_speech_of
from tests.fakes.parakeet import Heard

SPEECH, TRANSCRIPTIONS = "/v1/audio/speech", "/v1/audio/transcriptions"

Page = Callable[[], Response]
Asked = dict[str, Any]


class FakeServer:
    """The rest of a server: what it answers to GET, and to what it does not have."""

    def __init__(self) -> None:
        pages = [Route(path, _answering(page)) for path, page in self.pages().items()]
        self.app = Starlette(
            routes=[*pages, *self.work()],
            exception_handlers={404: self._not_found, 405: self._not_found},
        )
        self.reset()

    def reset(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        """What users asked for, in order; the watcher's questions are not among them."""
        self.fault: Fault | None = None

    def pages(self) -> Mapping[str, Page]:
        raise NotImplementedError

    def work(self) -> list[Route]:
        return []

    def not_found(self) -> Response:
        """FastAPI's."""
        return JSONResponse({"detail": "Not Found"}, 404)

    async def _not_found(self, _: Request, __: Exception) -> Response:
        return self.not_found()

    def note(self, asked: Any, request: Request, asked_of: list[Any], canaries: list[Any]) -> None:
        """What the watcher asks is counted apart from what users do."""
        if is_canary(request):
            canaries.append(asked)
            return
        asked_of.append(asked)
        self.paths.append(request.url.path)
        self.headers.append(dict(request.headers))

    def or_fault(self, good: Response) -> Response:
        """A good answer, or what its fault makes of it; what it refuses, it refuses in any state."""
        if self.fault is None or good.status_code != 200 or isinstance(good, Broken):
            return good
        answer = self.fault.response(bytes(good.body))
        if answer.status_code == 200:
            answer.headers.setdefault("content-type", good.headers.get("content-type", ""))
        return answer


class FakeSpeaker(FakeServer):
    """`POST /v1/audio/speech` with JSON."""

    rate: ClassVar[int] = 24_000

    def reset(self) -> None:
        super().reset()
        self.asked: list[Asked] = []
        self.canaries: list[Asked] = []

    def work(self) -> list[Route]:
        return [*super().work(), Route(SPEECH, self._speak, methods=["POST"])]

    def speak(self, asked: Asked) -> Response:
        raise NotImplementedError

    async def _speak(self, request: Request) -> Response:
        try:
            asked = json.loads(await request.body())
        except ValueError:
            return unprocessable(["body"], "json_invalid", "JSON decode error")
        self.note(asked, request, self.asked, self.canaries)
        return self.or_fault(self.speak(asked))


class FakeListener(FakeServer):
    """`POST /v1/audio/transcriptions` with a form."""

    def reset(self) -> None:
        super().reset()
        self.heard: list[Heard] = []
        self.heard_canaries: list[Heard] = []

    @property
    def asked_to_hear(self) -> list[Heard]:
        return self.heard

    def work(self) -> list[Route]:
        return [*super().work(), Route(TRANSCRIPTIONS, self._transcribe, methods=["POST"])]

    def transcribe(self, heard: Heard) -> Response:
        raise NotImplementedError

    def without_file(self) -> Response:
        return unprocessable(["body", "file"], "missing", "Field required")

    async def _transcribe(self, request: Request) -> Response:
        async with request.form() as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                return self.without_file()
            data = await file.read()
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
        heard = Heard(fields, file.filename, file.content_type, data)
        self.note(heard, request, self.heard, self.heard_canaries)
        return self.or_fault(self.transcribe(heard))


def _answering(page: Page) -> Callable[[Request], Response]:
    def answer(_: Request) -> Response:
        return page()

    return answer


def json_page(content: object, status: int = 200) -> Page:
    """A page that never changes."""
    return lambda: JSONResponse(content, status)


def model_page(*names: str, owner: str, created: int = 1_700_000_000, **more: Any) -> Page:
    """OpenAI's list of models."""
    return json_page({"object": "list", "data": [model(name, owner, created, **more) for name in names]})


def model(name: str, owner: str, created: int = 1_700_000_000, **more: Any) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": owner, **more}


def detail(status: int, text: object) -> Response:
    """FastAPI's error."""
    return JSONResponse({"detail": text}, status)


def envelope(status: int, message: str, kind: str, **more: Any) -> Response:
    """OpenAI's error, as far as servers send it."""
    return JSONResponse({"error": {"message": message, "type": kind, **more}}, status)


def unprocessable(where: list[str], kind: str, message: str) -> Response:
    """FastAPI's refusal of a body."""
    return JSONResponse({"detail": [{"type": kind, "loc": where, "msg": message, "input": None}]}, 422)


def uncaught() -> Response:
    """What is left of an exception that nobody caught."""
    return PlainTextResponse("Internal Server Error", 500)


def samples_said(text: str, voice: str, rate: int = 24_000, speed: float = 1.0) -> bytes:
    """Bare samples: the same text and voice always sound the same, and no two others alike."""
    return file_said(text, voice, rate, speed)[44:]


def file_said(text: str, voice: str, rate: int = 24_000, speed: float = 1.0) -> bytes:
    """The same as a WAV file. `speed` is a true tempo."""
    length = round(len(text) / speed)
    said = {"text": text.ljust(length)[:length], "voice": voice, "sample_rate_hz": str(rate)}
    return magpie_speech_of(said)


def seconds_said(text: str) -> float:
    return len(text) / CHARACTERS_A_SECOND
