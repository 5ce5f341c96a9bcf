"""OpenAI's audio API, answered by the speech engines behind the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from spark_control import events
from spark_control.errors import ClientGone, InvalidRequest, NotConfigured, TooLarge
from spark_control.form import Form, read_form
from spark_control.heard_answers import TranscriptEvents
from spark_control.hearing import Hearing
from spark_control.json_recording import read_json_recording
from spark_control.patience import errand
from spark_control.settings import UploadsSettings
from spark_control.speaking import Speaking
from spark_control.speech_body import SpeechBody, read_batch, read_batch_item, read_speech_body
from spark_control.spoken_answers import Base64Json, BatchLines, EventStream
from spark_control.supervision.work import Errand
from spark_control.transcription_form import read_wanted
from spark_control.transcripts import MEDIA_TYPES, written
from spark_control.uploads import Upload, megabytes
from spark_control.upstreams.catalog import Catalog
from spark_control.upstreams.relay import Relay, leaving_cancels

_JSON_BYTES = 4 * 1024 * 1024
_FORM_OVERHEAD = 1024 * 1024
"""Bytes a form may have besides its file."""


class PlainRoute(APIRoute):
    """A route whose function takes the request and gives the response: nothing for FastAPI to work out each time."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        async def handle(request: Request) -> Response:
            response: Response = await self.endpoint(request)
            return response

        return handle


def build_audio_router(
    catalog: Catalog, speaking: Speaking | None, hearing: Hearing | None, uploads: UploadsSettings
) -> APIRouter:
    """`POST /v1/audio/…`; either engine may be missing, which its routes answer with 404."""
    router = APIRouter(prefix="/v1/audio", tags=["audio"], route_class=PlainRoute)
    _route_transcriptions(router, hearing, uploads)
    _route_speech(router, catalog, speaking)
    return router


def _route_speech(router: APIRouter, catalog: Catalog, speaking: Speaking | None) -> None:
    def spoken() -> Speaking:
        if speaking is None:
            raise NotConfigured("No text-to-speech engine is configured on this gateway.")
        return speaking

    @router.post("/speech", response_class=Response)
    async def speech(request: Request) -> Response:
        """Speak: sound as it is made, or events of it with `stream_format: "sse"`."""
        speaking = spoken()
        body = read_speech_body(await _json_bytes(request))
        asked = errand(request.headers, speaking.care)
        async with leaving_cancels(request.receive):
            sound = await speaking.start(body, asked)
        if body.stream_format == "sse":
            stream = EventStream(sound)
            return Relay(stream, stream.headers)
        return Relay(sound, sound.headers)

    @router.post("/speech/base64", response_class=Response)
    async def speech_base64(request: Request) -> Response:
        """The same in JSON: `{audio, format, sample_rate, duration_ms}`."""
        speaking = spoken()
        body = read_speech_body(await _json_bytes(request))
        asked = errand(request.headers, speaking.care)
        async with leaving_cancels(request.receive):
            answer = Base64Json(await speaking.start(body, asked))
        return Relay(answer, answer.headers)

    @router.post("/speech/batch", response_class=Response)
    async def speech_batch(request: Request) -> Response:
        """Several texts; a line of JSON for each as it finishes, with its sound or its own error."""
        speaking = spoken()
        batch = read_batch(await _json_bytes(request))
        lines = BatchLines(
            batch.items(),
            # Each item has the whole patience: most wait for their turn, and not for an engine's cure.
            lambda item: speaking.start(
                read_batch_item(item), errand(request.headers, speaking.care), concurrency=1
            ),
            speaking.concurrency,
        )
        return Relay(lines, lines.headers)

    async def preview(voice_id: str, request: Request, response_format: str = "mp3") -> Response:
        """A short sample of a voice, in its own language."""
        speaking = spoken()
        sample = speaking.sample(catalog.listed_voice(voice_id))
        body = SpeechBody(input=sample, voice=voice_id, response_format=response_format)
        asked = errand(request.headers, speaking.care)
        async with leaving_cancels(request.receive):
            sound = await speaking.start(body, asked)
        return Relay(sound, sound.headers)

    path = "/voices/{voice_id:path}/preview"
    router.add_api_route(path, preview, response_class=Response, route_class_override=APIRoute)


def _route_transcriptions(router: APIRouter, hearing: Hearing | None, uploads: UploadsSettings) -> None:
    @router.post("/transcriptions", response_class=Response)
    async def transcriptions(request: Request) -> Response:
        """Transcribe an upload: json, text, srt, vtt, verbose_json, or events with `stream`."""
        if hearing is None:
            raise NotConfigured("No speech-to-text engine is configured on this gateway.")
        asked = errand(request.headers, hearing.care)
        with ExitStack() as held:
            upload = Upload(uploads.spool_bytes, uploads.max_bytes)
            held.callback(upload.close)
            wanted = read_wanted(await _form(request, upload, uploads.max_bytes))
            async with leaving_cancels(request.receive):
                prepared = await hearing.prepare(upload, wanted)
                held.callback(prepared.close)
                if wanted.stream:
                    told = TranscriptEvents(hearing, prepared, wanted, asked, held.pop_all())
                    return await _event_stream(told, asked)
                transcript = await hearing.transcript(prepared, wanted, asked)
        answer = written(transcript, wanted)
        if isinstance(answer, str):
            return Response(answer, media_type=MEDIA_TYPES[wanted.format], headers=asked.headers)
        return JSONResponse(answer, headers=asked.headers)

    @router.post("/translations", response_class=Response)
    async def translations(_: Request) -> Response:
        """No engine that this gateway knows translates."""
        message = "No engine here translates; /v1/audio/transcriptions writes down what was said."
        raise InvalidRequest(message, code="unsupported_operation")


async def _event_stream(told: TranscriptEvents, asked: Errand) -> Relay:
    try:
        await told.begin()
    except BaseException:
        await told.aclose()
        raise
    headers = {"content-type": events.MEDIA_TYPE, "cache-control": "no-cache"}
    return Relay(told, headers | asked.headers)


async def _json_bytes(request: Request) -> bytes:
    body = bytearray()
    async for piece in _arriving(request, _JSON_BYTES, "request_too_large"):
        body += piece
    return bytes(body)


async def _form(request: Request, upload: Upload, most: int) -> Form:
    content_type = request.headers.get("content-type", "")
    arriving = _arriving(request, most + _FORM_OVERHEAD, TooLarge.code)
    if content_type.startswith("application/json"):
        return await read_json_recording(arriving, upload)
    return await read_form(content_type, arriving, upload, file_field="file")


async def _arriving(request: Request, most: int, code: str) -> AsyncIterator[bytes]:
    """The body as it comes, if it does come: at most `most` bytes, which are refused by their declared length too."""
    declared = request.headers.get("content-length", "")
    came = int(declared) if declared.isdigit() else 0
    if came <= most:
        came = 0
        try:
            async for piece in request.stream():
                came += len(piece)
                if came > most:
                    break
                yield piece
        except ClientDisconnect:
            raise ClientGone("The client left in the middle of its request.") from None
    if came > most:
        raise TooLarge(f"This is larger than the {megabytes(most)} that a request may have here.", code=code)
