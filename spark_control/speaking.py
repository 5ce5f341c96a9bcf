"""What a client wants said, as one source of encoded sound.

    text -> script -> the engine, some pieces ahead -> samples in order -> one encoder -> bytes

A WAV of one piece is the engine's own file, passed on untouched.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from spark_control.ahead import in_order
from spark_control.audio.encode import Encoder
from spark_control.audio.formats import SPOKEN, WAV, Format, sniff
from spark_control.audio.speaking_time import shortest_time
from spark_control.audio.wav import HEADER_BYTES
from spark_control.script import Script, in_the_mood, write_script
from spark_control.settings import SpeechSettings
from spark_control.speech_body import SpeechBody
from spark_control.upstreams.base import Speech, SpeechDialect, Voice
from spark_control.upstreams.catalog import Catalog
from spark_control.upstreams.client import Answer, Upstream

Samples = AsyncGenerator[bytes, None]

SAMPLES = {
    "ar": "مرحبا، هذا هو صوتي، ويمكنك أن تسمعه كل يوم.",
    "de": "Guten Tag, so klingt meine Stimme, wenn ich Ihnen etwas vorlese.",
    "en": "Hello, this is how I sound when I read something to you.",
    "es": "Hola, así suena mi voz cuando te leo algo en voz alta.",
    "fr": "Bonjour, voici ma voix lorsque je vous lis quelque chose.",
    "hi": "नमस्ते, जब मैं आपके लिए कुछ पढ़ती हूँ तो मेरी आवाज़ ऐसी लगती है।",
    "it": "Buongiorno, questa è la mia voce quando vi leggo qualcosa.",
    "ja": "こんにちは、これが私の声です。何かをお読みします。",
    "ko": "안녕하세요, 제가 글을 읽어 드릴 때의 목소리입니다.",
    "pt": "Olá, é assim que soa a minha voz quando leio para você.",
    "vi": "Xin chào, đây là giọng của tôi khi tôi đọc cho bạn nghe.",
    "zh": "你好，这就是我为你朗读时的声音。",
}
"""What a voice says of itself, by language."""


class Speaking:
    """The one way from a body to its sound."""

    def __init__(self, speaker: Upstream[SpeechDialect], catalog: Catalog, settings: SpeechSettings) -> None:
        self._speaker = speaker
        self._catalog = catalog
        self._settings = settings
        self.concurrency = speaker.concurrency

    def sample(self, voice: Voice) -> str:
        """A sentence to try `voice` with."""
        return SAMPLES.get((voice.language or "").partition("-")[0], SAMPLES["en"])

    async def start(self, body: SpeechBody) -> Sound:
        """Have it said. Returns once there is something to hear; raises a GatewayError while there is not."""
        body.refuse_longer_than(self._settings.max_characters)
        voice = await self._catalog.voice(body.voice)
        voice = in_the_mood(voice, body.instructions or "", self._catalog.voices)
        dialect = self._speaker.dialect
        script = write_script(
            body.input,
            voice,
            body.pace,
            longest=self._speaker.longest,
            clean=self._settings.clean,
            takes_ssml=dialect.takes_ssml,
            paces=dialect.paces,
        )
        sound = await self._sound(script, SPOKEN[body.format], voice)
        try:
            await sound.begin()
        except BaseException:
            await sound.aclose()
            raise
        return sound

    async def _sound(self, script: Script, format_: Format, voice: Voice) -> Sound:
        speaker = self._speaker
        if format_ is WAV and len(script.speeches) == 1 and script.tempo == 1.0:
            (speech,) = script.speeches
            answer = await speaker.send(lambda: speaker.dialect.wav_request(speech))
            return EngineFile(speaker, answer, speech)
        samples = in_order(script.speeches, lambda speech: say(speaker, speech), speaker.concurrency)
        return Encoded(speaker, samples, format_, script, voice)


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


async def say(speaker: Upstream[SpeechDialect], speech: Speech) -> Samples:
    """The engine's samples of one piece, s16le mono. Fewer than its words need is a failed engine."""
    answer = await speaker.send(lambda: speaker.dialect.stream_request(speech))
    heard = 0
    try:
        if answer.headers.get("content-type", "").startswith(("text/", "application/json")):
            raise speaker.garbage()
        async for piece in answer.pieces():
            heard += len(piece)
            yield piece
    finally:
        await answer.aclose()
    if not heard or heard < shortest_bytes(speech, speaker.dialect.stream_rate):
        raise speaker.cut_short()


def shortest_bytes(speech: Speech, rate: int) -> float:
    """Bytes of s16le mono at `rate` Hz that the words of `speech` need at the very least."""
    return 0.0 if speech.ssml else 2 * rate * shortest_time(speech.text) / speech.speed
