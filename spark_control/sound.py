"""Sound on its way to a client: the engine's own file, or samples encoded as they come."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from spark_control.ahead import Begun
from spark_control.audio.encode import Encoder
from spark_control.audio.formats import ENOUGH_TO_SNIFF, WAV, Format, sniff
from spark_control.audio.speaking_time import shortest_time
from spark_control.audio.wav import HEADER_BYTES, WavHeader, read_header
from spark_control.errors import UpstreamError
from spark_control.script import Script
from spark_control.supervision.replay import Taken
from spark_control.upstreams.base import Speech, SpeechDialect, Voice
from spark_control.upstreams.client import Answer, Upstream

Samples = AsyncGenerator[bytes, None]

_WAV_HEAD = 4096
"""Bytes in which a WAV file's header is looked for."""

_LEFT_OPEN = 0x7FFFFFFF
"""Bytes from which a WAV file's size is none, but stands for a stream that has not ended."""

_NO_SAMPLES = (
    "text/",
    "application/json",
    "audio/mpeg",
    "audio/mp3",
    "audio/ogg",
    "audio/opus",
    "audio/flac",
    "audio/aac",
)
"""Media types of answers without a sample in them."""


class Sound:
    """A source of sound for a Relay. Whoever holds it closes it."""

    def __init__(self, format_: Format, voice: Voice) -> None:
        self.format = format_
        self.headers = {
            "content-type": format_.media_type,
            "content-disposition": f'inline; filename="speech.{format_.name}"',
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
    """The engine's own WAV file, of which the first sound has come."""

    def __init__(self, taken: Taken[SpeechDialect, Answer], speech: Speech) -> None:
        super().__init__(WAV, speech.voice)
        self._taken = taken
        self._answer = taken.value
        self._shortest = shortest_file(speech, self.rate)
        self._sent = 0
        self._silent = True
        if "content-length" in self._answer.headers:
            self.headers["content-length"] = self._answer.headers["content-length"]

    @property
    def rate(self) -> int:
        return self._taken.upstream.dialect.stream_rate

    @property
    def seconds(self) -> float:
        return max(0, self._sent - HEADER_BYTES) / (2 * self.rate)

    async def begin(self) -> None:
        """It has begun."""

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._answer.pieces():
                self._silent = self._silent and is_silent(piece[max(0, HEADER_BYTES - self._sent) :])
                self._sent += len(piece)
                yield piece
            if self._sent < self._shortest:
                raise self._taken.upstream.cut_short()
        except UpstreamError as exc:
            self._taken.broke(exc)
            raise
        self._taken.complete()
        if self._silent:
            self._taken.doubt("silence for words")

    async def aclose(self) -> None:
        self._taken.leave()
        await self._answer.aclose()


async def begin_file(speaker: Upstream[SpeechDialect], speech: Speech) -> Answer:
    """The engine's WAV file of `speech`, once its sound begins.

    A bare header, something else than a WAV, or too short a file is a failed engine.
    """
    answer = await speaker.send(lambda: speaker.dialect.wav_request(speech))
    try:
        begun = await answer.begin(HEADER_BYTES + 1)
        declared = answer.headers.get("content-length", "")
        if sniff(begun) is not WAV or len(begun) <= HEADER_BYTES:
            raise speaker.garbage()
        if declared.isdigit() and int(declared) < shortest_file(speech, speaker.dialect.stream_rate):
            raise speaker.cut_short()
    except BaseException:
        await answer.aclose()
        raise
    return answer


class BareSamples:
    """An engine's answer as bare s16le mono samples at `rate` Hz. Some put them into a WAV file, asked or not."""

    def __init__(self, answer: Answer, rate: int, header: WavHeader | None = None) -> None:
        self.rate = header.rate if header else rate
        self._answer = answer
        self._starts = header.data_starts if header else 0
        self._left = header.data_bytes if header and 0 < header.data_bytes < _LEFT_OPEN else sys.maxsize

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in self._answer.pieces():
            samples = piece[self._starts :][: self._left]
            self._starts = max(0, self._starts - len(piece))
            self._left -= len(samples)
            if samples:
                yield samples

    async def aclose(self) -> None:
        await self._answer.aclose()


async def begin_samples(speaker: Upstream[SpeechDialect], speech: Speech) -> BareSamples:
    """The engine's samples of `speech`, once they begin. Another kind of sound would be a loud noise: it has failed."""
    answer = await speaker.send(lambda: speaker.dialect.stream_request(speech))
    try:
        if answer.headers.get("content-type", "").startswith(_NO_SAMPLES):
            raise speaker.garbage()
        if not (begun := await answer.begin(ENOUGH_TO_SNIFF)):
            raise speaker.cut_short()
        header = None
        if sniff(begun) is WAV:
            header = read_header(await answer.begin(_WAV_HEAD))
            if header is None or (header.format_tag, header.channels, header.bits) != (1, 1, 16):
                raise speaker.garbage()
    except BaseException:
        await answer.aclose()
        raise
    return BareSamples(answer, speaker.dialect.stream_rate, header)


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
        super().__init__(format_, voice)
        self._speaker = speaker
        self._encoder = Encoder(format_.name, speaker.dialect.stream_rate, tempo=script.tempo)
        self._bytes_per_second = 2 * speaker.dialect.stream_rate * script.tempo
        self._heard = 0
        self._encoded = Begun(self._encode(samples))

    @property
    def rate(self) -> int:
        return self._encoder.output_rate

    @property
    def seconds(self) -> float:
        return self._heard / self._bytes_per_second

    async def begin(self) -> None:
        try:
            await self._encoded.begin()
        except StopAsyncIteration:
            raise self._speaker.cut_short() from None

    def pieces(self) -> AsyncIterator[bytes]:
        return self._encoded.pieces()

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


def is_silent(samples: bytes) -> bool:
    """Whether there is nothing in them at all."""
    return samples.count(0) == len(samples)


def shortest_file(speech: Speech, rate: int) -> float:
    """Bytes of a WAV file with the words of `speech`, at the very least."""
    return HEADER_BYTES + 1 + shortest_bytes(speech, rate)


def shortest_bytes(speech: Speech, rate: int) -> float:
    """Bytes of s16le mono at `rate` Hz that the words of `speech` need at the very least."""
    return 0.0 if speech.ssml else 2 * rate * shortest_time(speech.text) / speech.speed
