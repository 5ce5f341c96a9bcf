"""Parakeet's API on PocketSphinx: a FastAPI Parakeet's routes and refusals, heard by a small CPU recogniser.

upload -> 16 kHz PCM -> utterances, cut at quiet places -> words, with times -> json, text, srt, vtt
"""

from __future__ import annotations

import asyncio
import tempfile
from typing import IO, Annotated, Any, cast

from fastapi import FastAPI, Form, HTTPException, Request, UploadFile
from fastapi.responses import Response

from spark_control.engines.recogniser import Recogniser, Word
from spark_control.engines.recording import decode, duration, utterances
from spark_control.engines.transcript_formats import FORMATS, answer

MODELS = ("parakeet-tdt-0.6b-v3", "istupakov/parakeet-tdt-0.6b-v3-onnx", "grikdotnet/parakeet-tdt-0.6b-fp16")
LARGEST_UPLOAD = 256 * 1024 * 1024  # bytes
IN_MEMORY = 8 * 1024 * 1024  # bytes of PCM, some four minutes


def refuse_unknown(model: str, response_format: str) -> None:
    if model not in MODELS:
        raise HTTPException(400, f"Unknown model {model!r}. Available models: {list(MODELS)}")
    if response_format not in FORMATS:
        raise HTTPException(400, f"Unsupported response_format {response_format!r}")


def refuse_unusable(file: UploadFile) -> None:
    if not file.filename:
        raise HTTPException(400, "No file provided")
    if not file.size:
        raise HTTPException(400, "Empty file")
    if file.size > LARGEST_UPLOAD:
        raise HTTPException(413, f"File exceeds the {LARGEST_UPLOAD} byte upload limit")


def build_app() -> FastAPI:
    recogniser = Recogniser()
    app = FastAPI(title="Parakeet's API on PocketSphinx", openapi_url=None)

    @app.post("/v1/audio/transcriptions")
    async def transcriptions(
        request: Request,
        file: UploadFile,
        model: Annotated[str, Form()] = MODELS[0],
        response_format: Annotated[str, Form()] = "json",
        granularities: Annotated[tuple[str, ...], Form(alias="timestamp_granularities[]")] = (),
        bare_granularities: Annotated[tuple[str, ...], Form(alias="timestamp_granularities")] = (),
    ) -> Response:
        refuse_unknown(model, response_format)
        refuse_unusable(file)
        await request.is_disconnected()  # asking has uvicorn read on; only then will it see a client leave
        words: list[Word] = []
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as spool:
            pcm = cast("IO[bytes]", spool)  # which it is, in all but name, until Python 3.14
            await asyncio.to_thread(decode, file.file, pcm)
            seconds = duration(pcm)
            pcm.seek(0)
            async with recogniser.turn:
                for start, utterance in utterances(pcm):
                    if await request.is_disconnected():
                        return Response(status_code=499)
                    heard = await asyncio.to_thread(recogniser.hear, utterance)
                    words += (_shifted(word, start, seconds) for word in heard)
        return answer(
            response_format, words, seconds, with_words="word" in (*granularities, *bare_granularities)
        )

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "healthy", "ready": True, "models": list(MODELS)}

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app


def _shifted(word: Word, start: float, duration: float) -> Word:
    """Its time in the whole audio; the last frame may reach beyond the end by a part of itself."""
    return Word(round(start + word.start, 3), round(min(start + word.end, duration), 3), word.word)
