"""What a client wants said, as one source of encoded sound.

    text -> script -> the engine, some pieces ahead -> samples in order -> one encoder -> bytes

A WAV of one piece is the engine's own file, passed on untouched.
"""

from __future__ import annotations

import hashlib

from spark_control.ahead import in_order
from spark_control.audio.formats import SPOKEN, WAV, Format
from spark_control.audio.speaking_time import speaking_time
from spark_control.errors import UpstreamError
from spark_control.script import Script, in_the_mood, write_script
from spark_control.settings import DeepHealthSettings, SpeechSettings
from spark_control.sound import (
    Encoded,
    EngineFile,
    Samples,
    Sound,
    begin_file,
    is_silent,
    shortest_bytes,
)
from spark_control.speech_body import SpeechBody
from spark_control.supervision.replay import Replay
from spark_control.supervision.work import Errand, Work
from spark_control.upstreams.base import Speech, SpeechDialect, Voice
from spark_control.upstreams.catalog import Catalog
from spark_control.upstreams.client import Answer, Upstream

_ENDLESS = 1800
"""Seconds of sound that no engine gives for one piece, were it not for a fault; SSML may ask for long pauses."""

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

    def __init__(
        self,
        speakers: Replay[SpeechDialect],
        catalog: Catalog,
        settings: SpeechSettings,
        care: DeepHealthSettings,
    ) -> None:
        self.care = care
        self._speakers = speakers
        self._speaker = speakers.first
        self._catalog = catalog
        self._settings = settings
        self.concurrency = speakers.first.pieces

    def sample(self, voice: Voice) -> str:
        """A sentence to try `voice` with."""
        return SAMPLES.get((voice.language or "").partition("-")[0], SAMPLES["en"])

    async def start(self, body: SpeechBody, errand: Errand, concurrency: int | None = None) -> Sound:
        """Have it said, `concurrency` pieces at once (the engine's own unless given).

        Returns once there is something to hear; raises a GatewayError while there is not.
        """
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
        sound = await self._sound(script, SPOKEN[body.format], voice, errand, concurrency or self.concurrency)
        try:
            await sound.begin()
        except BaseException:
            await sound.aclose()
            raise
        sound.headers |= errand.headers
        return sound

    async def _sound(
        self, script: Script, format_: Format, voice: Voice, errand: Errand, concurrency: int
    ) -> Sound:
        speakers = self._speakers
        if format_ is WAV and len(script.speeches) == 1 and script.tempo == 1.0:
            (speech,) = script.speeches
            taken = await speakers.take(
                work_of(speech, errand), lambda speaker, _: begin_file(speaker, speech)
            )
            return EngineFile(taken, speech)
        samples = in_order(script.speeches, lambda speech: say(speakers, speech, errand), concurrency)
        return Encoded(self._speaker, samples, format_, script, voice)


def work_of(speech: Speech, errand: Errand) -> Work:
    """A piece of text as work for an engine; the same text and voice are the same work."""

    async def fingerprint() -> str:
        return hashlib.sha256(f"{speech.voice.id}\0{speech.text}".encode()).hexdigest()

    return Work(speaking_time(speech.text) / speech.speed, errand, fingerprint)


async def say(speakers: Replay[SpeechDialect], speech: Speech, errand: Errand) -> Samples:
    """An engine's samples of one piece, s16le mono. Fewer than its words need is a failed engine."""
    taken = await speakers.take(work_of(speech, errand), lambda speaker, _: _begin_samples(speaker, speech))
    speaker, answer, rate = taken.upstream, taken.value, taken.upstream.dialect.stream_rate
    heard, silent = 0, True
    try:
        async for piece in answer.pieces():
            heard += len(piece)
            silent = silent and is_silent(piece)
            if heard > _ENDLESS * 2 * rate:
                raise speaker.garbage()
            yield piece
        # Half a sample would turn all that follows into noise.
        if not heard or heard % 2 or heard < shortest_bytes(speech, rate):
            raise speaker.cut_short()
        taken.complete()
        if silent:
            taken.doubt("silence for words")
    except UpstreamError as exc:
        taken.broke(exc)
        raise
    finally:
        taken.leave()
        await answer.aclose()


async def _begin_samples(speaker: Upstream[SpeechDialect], speech: Speech) -> Answer:
    """The engine's answer, once its sound begins."""
    answer = await speaker.send(lambda: speaker.dialect.stream_request(speech))
    try:
        if answer.headers.get("content-type", "").startswith(("text/", "application/json")):
            raise speaker.garbage()
        if not await answer.begin(1):
            raise speaker.cut_short()
    except BaseException:
        await answer.aclose()
        raise
    return answer
