"""OpenAI's audio API, answered by the speech engines behind the gateway."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from spark_control import events
from spark_control.bodies import arriving, whole
from spark_control.caller import caller_of
from spark_control.errors import InvalidRequest, NotConfigured, TooLarge
from spark_control.form import Form, read_form
from spark_control.heard_answers import TranscriptEvents
from spark_control.hearing import Hearing
from spark_control.json_recording import read_json_recording
from spark_control.routes import PlainRoute
from spark_control.settings import UploadsSettings
from spark_control.speaking import Speaking
from spark_control.speech_body import read_batch, read_fields, read_speech_body
from spark_control.speech_cache import Use, use_of
from spark_control.spoken_answers import Base64Json, BatchLines, EventStream
from spark_control.supervision.work import Errand
from spark_control.transcription_form import read_wanted
from spark_control.transcripts import MEDIA_TYPES, written
from spark_control.uploads import Upload
from spark_control.upstreams.catalog import Catalog
from spark_control.upstreams.relay import Relay, leaving_cancels

_JSON_BYTES = 4 * 1024 * 1024
_FORM_OVERHEAD = 1024 * 1024
"""Bytes a form may have besides its file."""


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
        body = read_speech_body(await whole(request, _JSON_BYTES))
        asked = speaking.errand(request)
        async with leaving_cancels(request.receive):
            sound = await speaking.start(body, asked, use=_use(request))
        if body.stream_format == "sse":
            stream = EventStream(sound)
            return Relay(stream, stream.headers)
        return Relay(sound, sound.headers)

    @router.post("/speech/base64", response_class=Response)
    async def speech_base64(request: Request) -> Response:
        """The same in JSON: `{audio, format, sample_rate, duration_ms}`."""
        speaking = spoken()
        body = read_speech_body(await whole(request, _JSON_BYTES))
        asked = speaking.errand(request)
        async with leaving_cancels(request.receive):
            answer = Base64Json(await speaking.start(body, asked, use=_use(request)))
        return Relay(answer, answer.headers)

    @router.post("/speech/batch", response_class=Response)
    async def speech_batch(request: Request) -> Response:
        """Several texts; a line of JSON for each as it finishes, with its sound or its own error."""
        speaking = spoken()
        batch = read_batch(await whole(request, _JSON_BYTES))
        errand = partial(speaking.errand, request)
        errand()  # what is wrong with a header is told at once, and not in each line
        lines = BatchLines(
            batch.items(),
            # Each item has the whole patience: most wait for their turn, and not for an engine's cure.
            lambda item: speaking.start(
                read_fields(item),
                errand(),
                use=_use(request),
                pieces=1,
            ),
            speaking.pieces,
        )
        return Relay(lines, lines.headers)

    async def preview(voice_id: str, request: Request, response_format: str = "mp3") -> Response:
        """A short sample of a voice, in its own language."""
        speaking = spoken()
        voice, _ = catalog.listed_voice(voice_id)
        sample = speaking.sample(voice)
        body = read_fields({"input": sample, "voice": voice_id, "response_format": response_format})
        asked = speaking.errand(request)
        async with leaving_cancels(request.receive):
            sound = await speaking.start(body, asked, use=_use(request))
        return Relay(sound, sound.headers)

    path = "/voices/{voice_id:path}/preview"
    router.add_api_route(path, preview, response_class=Response, route_class_override=APIRoute)


def _route_transcriptions(router: APIRouter, hearing: Hearing | None, uploads: UploadsSettings) -> None:
    @router.post("/transcriptions", response_class=Response)
    async def transcriptions(request: Request) -> Response:
        """Transcribe an upload: json, text, srt, vtt, verbose_json, or events with `stream`."""
        if hearing is None:
            raise NotConfigured("No speech-to-text engine is configured on this gateway.")
        asked = hearing.errand(request)
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
        asked.trip.content("transcript", transcript.text)
        answer = written(transcript, wanted)
        if isinstance(answer, str):
            return Response(answer, media_type=MEDIA_TYPES[wanted.format], headers=asked.headers)
        return JSONResponse(answer, headers=asked.headers)

    @router.post("/translations", response_class=Response)
    async def translations(_: Request) -> Response:
        """No engine that this gateway knows translates."""
        message = "No engine here translates; /v1/audio/transcriptions writes down what was said."
        raise InvalidRequest(message, code="unsupported_operation")


def _use(request: Request) -> Use:
    """Whether speech may be remembered for who asks."""
    return use_of(request.headers, remembers=caller_of(request.scope).remembers)


async def _event_stream(told: TranscriptEvents, asked: Errand) -> Relay:
    try:
        await told.begin()
    except BaseException:
        await told.aclose()
        raise
    headers = {"content-type": events.MEDIA_TYPE, "cache-control": "no-cache"}
    return Relay(told, headers | asked.headers)


async def _form(request: Request, upload: Upload, most: int) -> Form:
    content_type = request.headers.get("content-type", "")
    body = arriving(request, most + _FORM_OVERHEAD, TooLarge.code)
    if content_type.startswith("application/json"):
        return await read_json_recording(body, upload)
    return await read_form(content_type, body, upload, file_field="file")
