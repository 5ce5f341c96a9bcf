"""Asks an engine for real work, small enough to repeat and known well enough to judge.

A probe reports what it found as an event of `recovery.py`; it does not raise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from io import BytesIO

from spark_control.audio.decode import canonical_header, to_canonical
from spark_control.audio.formats import WAV, sniff
from spark_control.audio.wav import wav_header
from spark_control.errors import GatewayError, InvalidRequest, UpstreamError
from spark_control.evidence import Evidence
from spark_control.supervision.canaries import (
    CLIP,
    CLIP_SECONDS,
    ENOUGH,
    PHRASES,
    judge_speech,
    judge_transcript,
    share_heard,
)
from spark_control.supervision.recovery import Failed, Inconclusive, Passed
from spark_control.supervision.wedge import Verdict, signature, verdict
from spark_control.uploads import Spool
from spark_control.upstreams.base import (
    ChatDialect,
    Dialect,
    Recording,
    Speech,
    SpeechDialect,
    TranscriptionDialect,
    Voice,
)
from spark_control.upstreams.client import Upstream
from spark_control.upstreams.told import told_voices
from spark_control.upstreams.voices import find_voice

_ENOUGH_TEXT = 1024 * 1024
_ENOUGH_SOUND = 16 * 1024 * 1024
_LONGEST_PHRASE = 60.0

Outcome = Passed | Failed | Inconclusive


@dataclass(frozen=True, slots=True)
class Probed:
    """What a canary found. `seconds` is how long the engine took; `detail` is for a person."""

    outcome: Outcome
    seconds: float
    detail: str
    odd: bool = False
    """Whether the engine did answer, and what it answered was not good enough."""


Canary = Callable[[], Awaitable[str | None]]
"""Does some work; gives the reason why it is not good, None if it is. Raises GatewayErrors."""


async def probe(canary: Canary, within: float, clock: Callable[[], float]) -> Probed:
    """Send one canary, and judge what comes back in `within` seconds."""
    began = clock()
    try:
        async with asyncio.timeout(within):
            wrong = await canary()
    except TimeoutError:
        return Probed(Failed(Verdict.HUNG, f"no answer in {within:g} s"), clock() - began, "no answer")
    except GatewayError as exc:
        outcome = _meaning(exc)
        return Probed(outcome, clock() - began, outcome.reason)
    took = clock() - began
    if wrong:
        return Probed(Failed(Verdict.UNKNOWN, wrong), took, wrong, odd=True)
    return Probed(Passed(), took, "real work done")


def _meaning(error: GatewayError) -> Failed | Inconclusive:
    evidence = error.evidence if isinstance(error, UpstreamError) else None
    means = verdict(evidence) if evidence else None
    if evidence is None or means is None:
        return Inconclusive(error.message)
    return Failed(means, describe(evidence))


def describe(seen: Evidence) -> str:
    """What was seen of a failure, in words that are safe to show and keep."""
    status = f"status {seen.status}" if seen.status else str(seen.how)
    known = signature(seen.text)
    return f"{status}, {known}" if known else status


def transcription_canary(upstream: Upstream[TranscriptionDialect]) -> Canary:
    """The bundled clip, whose words are known."""
    clip = _spooled(CLIP)

    async def canary() -> str | None:
        return judge_transcript(await _heard(upstream, clip, CLIP_SECONDS))

    return canary


class CanaryVoice:
    """A voice that the engine has, asked for once."""

    def __init__(self, upstream: Upstream[SpeechDialect]) -> None:
        self._upstream = upstream
        self._voice: Voice | None = None

    async def says(self, text: str) -> bytes:
        """`text` as a WAV file. Raises GatewayErrors as any request does."""
        try:
            sound = await _spoken(self._upstream, text, await self._known())
        except InvalidRequest:
            self._voice = None  # it may be gone
            raise
        if sniff(sound) is WAV:
            return sound
        return wav_header(self._upstream.dialect.stream_rate, len(sound)) + sound

    async def _known(self) -> Voice:
        if self._voice is None:
            voices = await told_voices(self._upstream)
            self._voice = find_voice("alloy", voices, {}, self._upstream.dialect.openai_voices)
        return self._voice


def speech_canary(upstream: Upstream[SpeechDialect]) -> Canary:
    """A sentence, of which the sound is judged."""
    voice = CanaryVoice(upstream)

    async def canary() -> str | None:
        sound = await voice.says(PHRASES[0])
        rate = upstream.dialect.stream_rate if upstream.dialect.whole_files else None
        return judge_speech(sound, rate, PHRASES[0])

    return canary


def closed_loop(
    speaker: Upstream[SpeechDialect],
    listener: Upstream[TranscriptionDialect],
    phrases: Sequence[str] = PHRASES,
) -> Canary:
    """A phrase, another each time, spoken by one engine and heard by the other."""
    turn = 0
    voice = CanaryVoice(speaker)

    async def canary() -> str | None:
        nonlocal turn
        phrase = phrases[turn % len(phrases)]
        turn += 1
        samples = await asyncio.to_thread(_canonical, await voice.says(phrase))
        text = await _heard(listener, _spooled(samples), len(samples) / 32_000)
        share = share_heard(phrase, text)
        return None if share >= ENOUGH else f"{share:.0%} of the words were heard"

    return canary


def readiness(upstream: Upstream[Dialect]) -> Canary:
    """The cheap question whether it is up, which proves nothing more."""

    async def canary() -> None:
        await upstream.fetch(upstream.dialect.ready_request, _ENOUGH_TEXT)

    return canary


async def _heard(upstream: Upstream[TranscriptionDialect], clip: Spool, seconds: float) -> str:
    recording = Recording(clip, WAV, seconds, language="en")
    dialect = upstream.dialect
    body = await upstream.fetch(
        lambda: dialect.transcription_request(recording, times=False, words=False, stream=False), _ENOUGH_TEXT
    )
    try:
        return dialect.read_transcript(body).text
    except (ValueError, RecursionError):
        raise upstream.garbage() from None


async def _spoken(upstream: Upstream[SpeechDialect], text: str, voice: Voice) -> bytes:
    speech = Speech(text, voice)
    return await upstream.fetch(lambda: upstream.dialect.wav_request(speech), _ENOUGH_SOUND)


def _spooled(data: bytes) -> Spool:
    spool = Spool(len(data))
    spool.write_now(data)
    return spool


def _canonical(sound: bytes) -> bytes:
    """The sound as engines hear it best: 16 kHz mono."""
    samples = bytearray()
    to_canonical(BytesIO(sound), samples.extend, longest=_LONGEST_PHRASE, deadline=lambda: False)
    return canonical_header(len(samples)) + bytes(samples)


def chat_canary(upstream: Upstream[ChatDialect]) -> Canary:
    """One token of a model that is in memory; of an engine whose models all sleep, that it is up."""
    embeds = False

    async def canary() -> str | None:
        nonlocal embeds
        model = await _loaded(upstream)
        if model is None:
            await upstream.fetch(upstream.dialect.ready_request, _ENOUGH_TEXT)
            return None
        try:
            return await _one_token(upstream, model, embeds=embeds)
        except InvalidRequest:
            # A model that makes embeddings does not chat, and one that chats may make none.
            wrong = await _one_token(upstream, model, embeds=not embeds)
            embeds = not embeds
            return wrong

    return canary


async def _loaded(upstream: Upstream[ChatDialect]) -> str | None:
    """A model that a canary does not wake: the engine's own, or any; None if there is none in memory."""
    dialect = upstream.dialect
    body = await upstream.fetch(dialect.loaded_request, _ENOUGH_TEXT)
    try:
        models = dialect.read_loaded(body)
    except LookupError:
        message = "It does not tell which of its models are in memory, so none of them is asked."
        raise InvalidRequest(message) from None
    except (ValueError, RecursionError):
        raise upstream.garbage() from None
    return dialect.model if dialect.model in models else next(iter(models), None)


async def _one_token(upstream: Upstream[ChatDialect], model: str, *, embeds: bool) -> str | None:
    dialect = upstream.dialect
    request = dialect.embedding_canary_request if embeds else dialect.canary_request
    body = await upstream.fetch(lambda: request(model), _ENOUGH_TEXT)
    try:
        return dialect.read_canary(body)
    except (ValueError, RecursionError):
        raise upstream.garbage() from None
