"""OpenAI's audio API, answered by the speech engines behind the gateway."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from spark_control.audio.formats import WAV, sniff
from spark_control.audio.wav import HEADER_BYTES
from spark_control.errors import ClientGone, InvalidRequest, NotConfigured, TooLarge
from spark_control.form import Form, read_form
from spark_control.settings import UploadsSettings
from spark_control.speech_body import read_speech_body, refuse_too_long
from spark_control.transcription_form import Wanted, read_recording, read_wanted
from spark_control.transcripts import verbose
from spark_control.uploads import Upload, megabytes
from spark_control.upstreams.base import Recording, Speech, SpeechDialect, Transcript, TranscriptionDialect
from spark_control.upstreams.catalog import Catalog
from spark_control.upstreams.client import Answer, Upstream
from spark_control.upstreams.relay import Relay, leaving_cancels

_JSON_BYTES = 1024 * 1024
_FORM_OVERHEAD = 1024 * 1024
"""Bytes a form may have besides its file."""

_TRANSCRIPT_BYTES = 64 * 1024 * 1024


def build_audio_router(catalog: Catalog, uploads: UploadsSettings) -> APIRouter:
    """`POST /v1/audio/speech` and `POST /v1/audio/transcriptions`, by the catalog's two engines."""
    router = APIRouter(prefix="/v1/audio", tags=["audio"])
    speaker, listener = catalog.speaker, catalog.listener

    @router.post("/speech", response_class=Response)
    async def speech(request: Request) -> Response:
        if speaker is None:
            raise NotConfigured("No text-to-speech engine is configured on this gateway.")
        body = read_speech_body(await _json_bytes(request))
        refuse_too_long(body, speaker.dialect.longest)
        async with leaving_cancels(request.receive):
            wanted = Speech(body.input, await catalog.voice(body.voice), body.pace)
            answer = await speaker.send(lambda: speaker.dialect.speech_request(wanted))
            await _begin_wav(answer, speaker)
        headers = {"content-type": WAV.media_type, "x-model": speaker.model, "x-voice": wanted.voice.id}
        return Relay(answer, headers)

    @router.post("/transcriptions", response_class=Response)
    async def transcriptions(request: Request) -> Response:
        if listener is None:
            raise NotConfigured("No speech-to-text engine is configured on this gateway.")
        _refuse_declared(request, uploads.max_bytes + _FORM_OVERHEAD, uploads.max_bytes)
        upload = Upload(uploads.spool_bytes, uploads.max_bytes)
        try:
            form = await _form(request, upload)
            wanted = read_wanted(form)
            recording = await read_recording(form)
            async with leaving_cancels(request.receive):
                transcript = await _transcribe(listener, recording, wanted)
        finally:
            upload.close()
        return _rendered(transcript, wanted, {"x-model": listener.model})

    return router


async def _begin_wav(answer: Answer, speaker: Upstream[SpeechDialect]) -> None:
    """Wait until there is sound: a bare header, or something else than a WAV, is a failed engine."""
    try:
        begun = await answer.begin(HEADER_BYTES + 1)
        if sniff(begun) is not WAV or len(begun) <= HEADER_BYTES:
            raise speaker.garbage()
    except BaseException:
        await answer.aclose()
        raise


async def _transcribe(
    listener: Upstream[TranscriptionDialect], recording: Recording, wanted: Wanted
) -> Transcript:
    dialect = listener.dialect
    if wanted.times and not dialect.tells_times and recording.duration is None:
        message = "This engine tells no times; ask for json or text, or send the recording as wav."
        raise InvalidRequest(message, code="unsupported_format", param="response_format")
    body = await listener.fetch(
        lambda: dialect.transcription_request(recording, times=wanted.times, words=wanted.words),
        _TRANSCRIPT_BYTES,
    )
    try:
        transcript = dialect.read_transcript(body)
    except ValueError:
        raise listener.garbage() from None
    # The header knows better than servers that guess the duration from the file's size.
    return replace(
        transcript,
        duration=transcript.duration if recording.duration is None else recording.duration,
        language=transcript.language or recording.language,
    )


def _rendered(transcript: Transcript, wanted: Wanted, headers: dict[str, str]) -> Response:
    if wanted.format == "text":
        return PlainTextResponse(transcript.text, headers=headers)
    if wanted.format == "json":
        return JSONResponse({"text": transcript.text}, headers=headers)
    return JSONResponse(verbose(transcript, words=wanted.words), headers=headers)


async def _json_bytes(request: Request) -> bytes:
    _refuse_declared(request, _JSON_BYTES, _JSON_BYTES)
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > _JSON_BYTES:
                raise TooLarge(f"This is larger than the {megabytes(_JSON_BYTES)} a request may have.")
    except ClientDisconnect:
        raise ClientGone("The client left in the middle of its request.") from None
    return bytes(body)


async def _form(request: Request, upload: Upload) -> Form:
    content_type = request.headers.get("content-type", "")
    try:
        return await read_form(content_type, request.stream(), upload, file_field="file")
    except ClientDisconnect:
        raise ClientGone("The client left in the middle of its upload.") from None


def _refuse_declared(request: Request, most: int, told: int) -> None:
    """Refuse by the declared length, before a byte of the body is read."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise TooLarge(f"This is larger than the {megabytes(told)} the gateway takes.")
