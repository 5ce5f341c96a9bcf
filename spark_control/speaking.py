"""What a client wants said, as one source of encoded sound.

    text -> script -> the engine, some pieces ahead -> samples in order -> one encoder -> bytes

A WAV of one piece is the engine's own file, passed on untouched. The script
is written for the engine that is to speak; where another has to stand in,
what it says is made to fit.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import aclosing
from dataclasses import dataclass, replace

from spark_control.ahead import in_order
from spark_control.audio.encode import Encoder
from spark_control.audio.formats import SPOKEN, WAV, Format
from spark_control.audio.speaking_time import speaking_time
from spark_control.audio.spoken_text import is_ssml
from spark_control.errors import GatewayError, UpstreamError
from spark_control.patience import Errands
from spark_control.remembering import HEADER, Memory
from spark_control.script import Script, in_the_mood, write_script
from spark_control.settings import SpeechSettings
from spark_control.sound import (
    BareSamples,
    Encoded,
    EngineFile,
    Samples,
    Sound,
    begin_file,
    begin_samples,
    is_silent,
    shortest_bytes,
)
from spark_control.speech_body import SpeechBody
from spark_control.speech_cache import Asked, Use
from spark_control.supervision.replay import Replay, Taken
from spark_control.supervision.work import Errand, Work
from spark_control.upstreams.base import Speech, SpeechDialect, Voice
from spark_control.upstreams.casting import Cast
from spark_control.upstreams.catalog import Catalog
from spark_control.upstreams.client import Upstream

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
        errands: Errands,
        memory: Memory | None = None,
    ) -> None:
        self.errand = errands
        self._memory = memory
        self.pieces = speakers.first.pieces
        self._speakers = speakers
        self._catalog = catalog
        self._settings = settings

    def sample(self, voice: Voice) -> str:
        """A sentence to try `voice` with."""
        return SAMPLES.get((voice.language or "").partition("-")[0], SAMPLES["en"])

    async def start(
        self, body: SpeechBody, errand: Errand, *, use: Use = Use.FULL, pieces: int | None = None
    ) -> Sound:
        """Have it said, `pieces` at once (as many as the engine may get unless given).

        Speech that is remembered is made use of as far as `use` allows. Returns
        once there is something to hear; raises a GatewayError while there is not.
        """
        body.refuse_longer_than(self._settings.max_characters)
        errand.trip.content("text", body.input)
        if self._memory is None:
            return await self.spoken(body, errand, pieces)
        asked = Asked(
            body.input,
            self._catalog.meant(body.voice),
            body.instructions,
            body.pace,
            SPOKEN[body.format].name,
            self._settings.clean,
        )
        sound = await self._memory.answer(asked, use, _Performance(self, body, errand, pieces))
        errand.trip.cache = sound.headers.get(HEADER)
        return sound

    async def spoken(self, body: SpeechBody, errand: Errand, pieces: int | None) -> Sound:
        """The same, by an engine."""
        cast = await self._catalog.cast(body.voice, body.model)
        sound = await self._sound(self._staged(body, cast), SPOKEN[body.format], errand, pieces)
        try:
            await sound.begin()
        except BaseException:
            await sound.aclose()
            raise
        sound.headers |= errand.headers
        return sound

    def known_cast(self, body: SpeechBody) -> Cast | None:
        """Who would say it, as far as that is known without asking anybody."""
        try:
            return self._in_the_mood(self._catalog.known_cast(body.voice, body.model), body)
        except GatewayError:
            return None

    def revision(self, cast: Cast) -> str:
        """What speaks: another model, or another voice, makes another sound of the same text."""
        speaker = self._speakers.named(cast.engine)
        return f"{speaker.kind} {speaker.dialect.flavour or ''} {speaker.model} {cast.voice.id}"

    def possible(self, cast: Cast | None) -> bool:
        """Whether one of them takes requests now; any engine, if nobody knows whose voice it is."""
        return self._speakers.any_open(cast.voices if cast else self._speakers.names)

    def _in_the_mood(self, cast: Cast, body: SpeechBody) -> Cast:
        mood = body.instructions or ""
        moody = {
            name: in_the_mood(voice, mood, self._catalog.voices_of(name))
            for name, voice in cast.voices.items()
        }
        return cast.with_voices(moody)

    def _staged(self, body: SpeechBody, cast: Cast) -> Staging:
        """Who may say it, and what exactly."""
        if is_ssml(body.input):
            cast = self._who_take_ssml(cast)
        cast = self._in_the_mood(cast, body)
        speaker = self._speakers.named(cast.engine)
        script = write_script(
            body.input,
            cast.voice,
            body.pace,
            longest=min(self._speakers.named(name).longest for name in cast.voices),
            clean=self._settings.clean,
            takes_ssml=speaker.dialect.takes_ssml,
            paces=speaker.dialect.paces,
        )
        return Staging(cast, speaker, script)

    def _who_take_ssml(self, cast: Cast) -> Cast:
        taking = [name for name in cast.voices if self._speakers.named(name).dialect.takes_ssml]
        return cast.only(taking) if taking else cast

    async def _sound(self, staging: Staging, format_: Format, errand: Errand, pieces: int | None) -> Sound:
        speakers, script = self._speakers, staging.script
        whole = format_ is WAV and len(script.speeches) == 1 and script.tempo == 1.0
        if whole and all(staging.can_send_file(speakers.named(name)) for name in staging.cast.voices):
            (speech,) = script.speeches
            taken = await speakers.take(
                staging.work(speech, errand),
                lambda speaker, _: begin_file(speaker, staging.said_by(speaker, speech)),
            )
            errand.voice = staging.cast.voices[taken.upstream.name].id
            return EngineFile(taken, staging.said_by(taken.upstream, speech))
        samples = in_order(
            script.speeches,
            lambda speech: say(speakers, staging, speech, errand),
            pieces or staging.speaker.pieces,
        )
        return Encoded(staging.speaker, samples, format_, script, staging.cast.voice)


@dataclass(frozen=True, slots=True)
class _Performance:
    """One body, spoken: `remembering.Performance`."""

    speaking: Speaking
    body: SpeechBody
    errand: Errand
    pieces: int | None

    def revision(self) -> str | None:
        cast = self.speaking.known_cast(self.body)
        return self.speaking.revision(cast) if cast else None

    def possible(self) -> bool:
        return self.speaking.possible(self.speaking.known_cast(self.body))

    async def speak(self) -> Sound:
        return await self.speaking.spoken(self.body, self.errand, self.pieces)

    def good(self) -> bool:
        return self.errand.degraded is None and not self.errand.doubted


@dataclass(frozen=True, slots=True)
class Staging:
    """A script, the engine that it was written for, and all that may speak it."""

    cast: Cast
    speaker: Upstream[SpeechDialect]
    script: Script

    def work(self, speech: Speech, errand: Errand) -> Work:
        """A piece of text as work for an engine; the same text and voice are the same work."""

        async def fingerprint() -> str:
            return hashlib.sha256(f"{speech.voice.id}\0{speech.text}".encode()).hexdigest()

        size = speaking_time(speech.text) / speech.speed
        return Work(size, errand, fingerprint, among=self.cast.ranks)

    def said_by(self, speaker: Upstream[SpeechDialect], speech: Speech) -> Speech:
        """It in that engine's voice, and as near to its pace as the engine comes."""
        slowest, fastest = speaker.dialect.paces
        return replace(
            speech,
            voice=self.cast.voices[speaker.name],
            speed=min(max(speech.speed, slowest), fastest),
        )

    def can_send_file(self, speaker: Upstream[SpeechDialect]) -> bool:
        """Whether that engine's own file is what was asked for."""
        (speech,) = self.script.speeches
        return speaker.dialect.whole_files and self.said_by(speaker, speech).speed == speech.speed

    def fitting(self, speaker: Upstream[SpeechDialect], speech: Speech, rate: int) -> Encoder | None:
        """What makes that engine's samples, at `rate` Hz, what this one's would be; None if they are."""
        wanted = self.speaker.dialect.stream_rate
        tempo = speech.speed / self.said_by(speaker, speech).speed
        return None if rate == wanted and tempo == 1.0 else Encoder("pcm", rate, tempo=tempo, pcm_rate=wanted)


async def say(speakers: Replay[SpeechDialect], staging: Staging, speech: Speech, errand: Errand) -> Samples:
    """An engine's samples of one piece, s16le mono, as the script's own engine would give them.

    Fewer than its words need is a failed engine.
    """
    taken = await speakers.take(
        staging.work(speech, errand),
        lambda speaker, _: begin_samples(speaker, staging.said_by(speaker, speech)),
    )
    speaker, answer = taken.upstream, taken.value
    errand.voice = errand.voice or staging.cast.voices[speaker.name].id
    fitting = staging.fitting(speaker, speech, answer.rate)
    try:
        async with aclosing(_whole(taken, staging.said_by(speaker, speech))) as heard:
            async for piece in heard:
                fitted = await asyncio.to_thread(fitting.feed, piece) if fitting else piece
                if fitted:
                    yield fitted
        if fitting:
            yield await asyncio.to_thread(fitting.finish)
    finally:
        taken.leave()
        await answer.aclose()


async def _whole(taken: Taken[SpeechDialect, BareSamples], speech: Speech) -> Samples:
    """All that it says; what broke off, or is too short, has failed."""
    speaker, rate = taken.upstream, taken.value.rate
    heard, silent = 0, True
    try:
        async for piece in taken.value.pieces():
            heard += len(piece)
            silent = silent and is_silent(piece)
            if heard > _ENDLESS * 2 * rate:
                raise speaker.garbage()
            yield piece
        # Half a sample would turn all that follows into noise.
        if not heard or heard % 2 or heard < shortest_bytes(speech, rate):
            raise speaker.cut_short()
    except UpstreamError as exc:
        taken.broke(exc)
        raise
    taken.complete()
    if silent:
        taken.doubt("silence for words")
