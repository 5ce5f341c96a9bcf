"""Magpie's API on espeak-ng: the NIM's routes, refusals and odd shapes, spoken by a small CPU synthesiser.

espeak's digital silence ruins speech recognisers, so what it says is heard in a `Room`: a fixed level, a
little quiet before and after, and faint noise. With those, PocketSphinx understands nine words in ten;
without, one in four.
"""

from __future__ import annotations

import asyncio
import struct
import threading
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal

import av
import numpy as np
from fastapi import Depends, FastAPI, Form, HTTPException
from fastapi.responses import Response, StreamingResponse

from spark_control.engines.espeak_library import NATIVE_RATE, Espeak, Line, Samples
from spark_control.engines.espeak_voices import VOICES

Listener = Callable[[bytes], bool]
"""Takes a piece of sound; answers whether anyone still wants the next."""

RATES = range(8_000, 48_001)
LONGEST_TEXT = 2_000  # characters, as the NIM has it
LONGEST_SPEECH = 600  # seconds; SSML can ask for hours of pauses in a few characters

LEVEL = 0.61  # espeak's loudest voice then peaks near 0.6 of full scale
NOISE = 20  # standard deviation, of 32,767
PADDING = np.zeros(NATIVE_RATE // 4, np.int16)


class Room:
    """Where a voice is heard: its level, its rate, and a noise that depends only on the line."""

    def __init__(self, line: Line) -> None:
        self._noise = np.random.default_rng(zlib.crc32(f"{line.voice.name} {line.text}".encode()))
        self._resampler = av.AudioResampler("s16", "mono", line.rate)

    def carry(self, samples: Samples) -> bytes:
        frame = av.AudioFrame.from_ndarray((samples * LEVEL).astype(np.int16)[np.newaxis], "s16", "mono")
        frame.sample_rate = NATIVE_RATE
        return self._with_noise(self._resampler.resample(frame))

    def fade(self) -> bytes:
        """What the resampler still holds once everything has been said."""
        return self._with_noise(self._resampler.resample(None))

    def _with_noise(self, frames: list[av.AudioFrame]) -> bytes:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in frames] or [PADDING[:0]])
        noisy = sound + self._noise.normal(0, NOISE, len(sound))
        return np.clip(np.rint(noisy), -32_768, 32_767).astype("<i2").tobytes()


def perform(espeak: Espeak, line: Line, listener: Listener) -> None:
    """Say a line in a room of its own, to a listener who may leave."""
    room = Room(line)
    spoken = 0

    def hear(samples: Samples) -> bool:
        nonlocal spoken
        spoken += len(samples)
        return listener(room.carry(samples)) and spoken < LONGEST_SPEECH * NATIVE_RATE

    hear(PADDING)
    espeak.say(line, hear)
    hear(PADDING)
    listener(room.fade())


async def performance(espeak: Espeak, line: Line) -> AsyncIterator[bytes]:
    """The line as it is being said, on a thread of its own, which stops when nobody listens any more."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
    left = threading.Event()

    def listener(piece: bytes) -> bool:
        loop.call_soon_threadsafe(pieces.put_nowait, piece)
        return not left.is_set()

    saying = asyncio.create_task(asyncio.to_thread(perform, espeak, line, listener))
    saying.add_done_callback(lambda _: pieces.put_nowait(None))
    try:
        while (piece := await pieces.get()) is not None:
            if piece:
                yield piece
        await saying
    finally:
        left.set()


def wav(pcm: bytes, rate: int) -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    data = struct.pack("<4sI", b"data", len(pcm)) + pcm
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data


def line_asked_for(
    text: Annotated[str, Form()] = "",
    language: Annotated[str, Form()] = "",
    voice: Annotated[str, Form()] = next(iter(VOICES)),
    sample_rate_hz: Annotated[int, Form()] = NATIVE_RATE,
    encoding: Annotated[str, Form()] = "LINEAR_PCM",
) -> Line:
    """The form as a line to say, or a refusal in the NIM's manner: 400 and a `detail`."""
    speaker = VOICES.get(voice)  # by its exact name: the NIM minds the case
    if speaker is None:
        raise HTTPException(400, f"Voice name {voice!r} is invalid or not found")
    if language and language.casefold() != speaker.locale.casefold():
        raise HTTPException(400, f"Language {language!r} does not fit voice {voice!r}")
    if not text.strip():
        raise HTTPException(400, "Text is empty")
    if len(text) > LONGEST_TEXT:
        raise HTTPException(400, f"Text has {len(text)} characters; the limit is {LONGEST_TEXT}")
    if sample_rate_hz not in RATES:
        raise HTTPException(400, f"Sample rate {sample_rate_hz} is not between {RATES[0]} and {RATES[-1]}")
    if encoding != "LINEAR_PCM":
        raise HTTPException(400, f"Encoding {encoding!r} is not supported; use LINEAR_PCM")
    return Line(text, speaker, sample_rate_hz)


def build_app() -> FastAPI:
    espeak = Espeak()
    # A first word now: a library or data that cannot be loaded should stop the start, not a request.
    perform(espeak, Line("Hello.", next(iter(VOICES.values())), NATIVE_RATE), lambda _: True)
    app = FastAPI(title="Magpie's API on espeak-ng", openapi_url=None)

    @app.post("/v1/audio/synthesize")
    async def synthesize(line: Annotated[Line, Depends(line_asked_for)]) -> Response:
        pcm = b"".join([piece async for piece in performance(espeak, line)])
        return Response(wav(pcm, line.rate), media_type="audio/wav")

    @app.post("/v1/audio/synthesize_online")
    async def synthesize_online(line: Annotated[Line, Depends(line_asked_for)]) -> StreamingResponse:
        return StreamingResponse(performance(espeak, line), media_type="application/octet-stream")

    @app.get("/v1/audio/list_voices")
    async def list_voices() -> dict[str, Any]:
        # The NIM's shape: one key, which is every locale it speaks.
        locales = dict.fromkeys(voice.locale for voice in VOICES.values())
        return {",".join(locales): {"voices": list(VOICES)}}

    @app.get("/v1/health/ready")
    async def ready() -> dict[Literal["status"], str]:
        return {"status": "ready"}

    @app.get("/v1/health/live")
    async def live() -> dict[Literal["status"], str]:
        return {"status": "live"}

    return app
