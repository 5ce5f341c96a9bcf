"""What a client wants said, as one source of encoded sound.

    text -> script -> the engine, some pieces ahead -> samples in order -> one encoder -> bytes

A WAV of one piece is the engine's own file, passed on untouched.
"""

from __future__ import annotations

from spark_control.ahead import in_order
from spark_control.audio.formats import SPOKEN, WAV, Format
from spark_control.script import Script, in_the_mood, write_script
from spark_control.settings import SpeechSettings
from spark_control.sound import Encoded, EngineFile, Samples, Sound, shortest_bytes
from spark_control.speech_body import SpeechBody
from spark_control.upstreams.base import Speech, SpeechDialect, Voice
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

    def __init__(self, speaker: Upstream[SpeechDialect], catalog: Catalog, settings: SpeechSettings) -> None:
        self._speaker = speaker
        self._catalog = catalog
        self._settings = settings
        self.concurrency = speaker.concurrency

    def sample(self, voice: Voice) -> str:
        """A sentence to try `voice` with."""
        return SAMPLES.get((voice.language or "").partition("-")[0], SAMPLES["en"])

    async def start(self, body: SpeechBody, concurrency: int | None = None) -> Sound:
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
        sound = await self._sound(script, SPOKEN[body.format], voice, concurrency or self.concurrency)
        try:
            await sound.begin()
        except BaseException:
            await sound.aclose()
            raise
        return sound

    async def _sound(self, script: Script, format_: Format, voice: Voice, concurrency: int) -> Sound:
        speaker = self._speaker
        if format_ is WAV and len(script.speeches) == 1 and script.tempo == 1.0:
            (speech,) = script.speeches
            answer = await speaker.send(lambda: speaker.dialect.wav_request(speech))
            return EngineFile(speaker, answer, speech)
        samples = in_order(script.speeches, lambda speech: say(speaker, speech), concurrency)
        return Encoded(speaker, samples, format_, script, voice)


async def say(speaker: Upstream[SpeechDialect], speech: Speech) -> Samples:
    """The engine's samples of one piece, s16le mono. Fewer than its words need is a failed engine."""
    answer = await speaker.send(lambda: speaker.dialect.stream_request(speech))
    heard = 0
    try:
        if answer.headers.get("content-type", "").startswith(("text/", "application/json")):
            raise speaker.garbage()
        async for piece in answer.pieces():
            heard += len(piece)
            if heard > _ENDLESS * 2 * speaker.dialect.stream_rate:
                raise speaker.garbage()
            yield piece
    finally:
        await answer.aclose()
    # Half a sample would turn all that follows into noise.
    if not heard or heard % 2 or heard < shortest_bytes(speech, speaker.dialect.stream_rate):
        raise speaker.cut_short()
