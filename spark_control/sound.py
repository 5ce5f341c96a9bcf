"""Sound on its way to a client: the engine's own file, or samples encoded as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from spark_control.audio.encode import Encoder
from spark_control.audio.formats import WAV, Format, sniff
from spark_control.audio.speaking_time import shortest_time
from spark_control.audio.wav import HEADER_BYTES
from spark_control.script import Script
from spark_control.upstreams.base import Speech, SpeechDialect, Voice
from spark_control.upstreams.client import Answer, Upstream

Samples = AsyncGenerator[bytes, None]


class Sound:
    """A source of sound for a Relay. Whoever holds it closes it."""

    def __init__(self, speaker: Upstream[SpeechDialect], format_: Format, voice: Voice) -> None:
        self.format = format_
        self.headers = {
            "content-type": format_.media_type,
            "content-disposition": f'inline; filename="speech.{format_.name}"',
            "x-model": speaker.model,
            "x-voice": voice.id,
        }

    @property
    def rate(self) -> int:
        """Hz."""
        raise NotImplementedError

    @property
    def seconds(self) -> float:
        """How much sound there has been so far."""
        raise NotImplementedError

    async def begin(self) -> None:
        """Wait for the first sound."""
        raise NotImplementedError

    def pieces(self) -> AsyncIterator[bytes]:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError


class EngineFile(Sound):
    """The engine's own WAV file."""

    def __init__(self, speaker: Upstream[SpeechDialect], answer: Answer, speech: Speech) -> None:
        super().__init__(speaker, WAV, speech.voice)
        self._speaker = speaker
        self._answer = answer
        self._shortest = HEADER_BYTES + 1 + shortest_bytes(speech, self.rate)
        self._sent = 0
        if "content-length" in answer.headers:
            self.headers["content-length"] = answer.headers["content-length"]

    @property
    def rate(self) -> int:
        return self._speaker.dialect.stream_rate

    @property
    def seconds(self) -> float:
        return max(0, self._sent - HEADER_BYTES) / (2 * self.rate)

    async def begin(self) -> None:
        """A bare header, something else than a WAV, or too short a file is a failed engine."""
        begun = await self._answer.begin(HEADER_BYTES + 1)
        declared = self.headers.get("content-length", "")
        if sniff(begun) is not WAV or len(begun) <= HEADER_BYTES:
            raise self._speaker.garbage()
        if declared.isdigit() and int(declared) < self._shortest:
            raise self._speaker.cut_short()

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in self._answer.pieces():
            self._sent += len(piece)
            yield piece
        if self._sent < self._shortest:
            raise self._speaker.cut_short()

    async def aclose(self) -> None:
        await self._answer.aclose()


class Encoded(Sound):
    """Samples from the engine, encoded as they come."""

    def __init__(
        self,
        speaker: Upstream[SpeechDialect],
        samples: Samples,
        format_: Format,
        script: Script,
        voice: Voice,
    ) -> None:
        super().__init__(speaker, format_, voice)
        self._speaker = speaker
        self._encoder = Encoder(format_.name, speaker.dialect.stream_rate, tempo=script.tempo)
        self._bytes_per_second = 2 * speaker.dialect.stream_rate * script.tempo
        self._heard = 0
        self._begun: list[bytes] = []
        self._encoded = self._encode(samples)

    @property
    def rate(self) -> int:
        return self._encoder.output_rate

    @property
    def seconds(self) -> float:
        return self._heard / self._bytes_per_second

    async def begin(self) -> None:
        first = await anext(self._encoded, b"")
        if not first:
            raise self._speaker.cut_short()
        self._begun.append(first)

    async def pieces(self) -> AsyncIterator[bytes]:
        while self._begun:
            yield self._begun.pop()
        async for piece in self._encoded:
            yield piece

    async def aclose(self) -> None:
        await self._encoded.aclose()

    async def _encode(self, samples: Samples) -> Samples:
        """Off the event loop: a second of mp3 takes some ten milliseconds to make."""
        async with aclosing(samples):
            async for piece in samples:
                self._heard += len(piece)
                if made := await asyncio.to_thread(self._encoder.feed, piece):
                    yield made
        if made := await asyncio.to_thread(self._encoder.finish):
            yield made


def shortest_bytes(speech: Speech, rate: int) -> float:
    """Bytes of s16le mono at `rate` Hz that the words of `speech` need at the very least."""
    return 0.0 if speech.ssml else 2 * rate * shortest_time(speech.text) / speech.speed
