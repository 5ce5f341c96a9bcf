"""What the gateway asks of an engine, whatever its wire format.

A dialect builds requests and reads replies; it never sends one. `Upstream`
(client.py) is the one place that does. Adding an engine means writing a
dialect and naming it in `DIALECTS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import httpx

from spark_control.audio.formats import Format
from spark_control.uploads import Source


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice by the name its engine knows, with what that name tells."""

    id: str
    language: str | None = None
    """BCP-47, such as `en-US`."""
    emotion: str | None = None


@dataclass(frozen=True, slots=True)
class Speech:
    """Text to be spoken in one request. `speed` 1.0 is the engine's own pace; `ssml` is not to be escaped."""

    text: str
    voice: Voice
    speed: float = 1.0
    ssml: bool = False


@dataclass(frozen=True, slots=True)
class Recording:
    """Sound to be transcribed: the bytes, what container they are, and what the client said of them."""

    source: Source
    format: Format
    duration: float | None = None
    """Seconds; None where the sound goes to the engine as it came, and its header does not tell."""
    language: str | None = None
    prompt: str | None = None
    temperature: str | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """A word and its place in the recording, in seconds."""

    word: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech and its place in the recording, in seconds."""

    text: str
    start: float
    end: float
    avg_logprob: float = 0.0
    compression_ratio: float = 0.0
    no_speech_prob: float = 0.0


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said, with as much about when as the engine gave."""

    text: str
    language: str | None = None
    duration: float | None = None
    segments: tuple[Segment, ...] = ()
    words: tuple[Word, ...] = ()


class Dialect(Protocol):
    """What every engine's dialect says of itself."""

    @property
    def url(self) -> str:
        """Where the engine listens, without a path. For its owner's eyes only."""

    @property
    def model(self) -> str:
        """The name of the engine's model when the settings give none."""

    @property
    def title(self) -> str:
        """What a person calls the service: `speech-to-text`."""

    @property
    def longest(self) -> float:
        """Seconds of sound that one request can ask for or bring."""

    def ready_request(self) -> httpx.Request:
        """The cheap question whether it is up. A 200 does not prove that it can work."""


class SpeechDialect(Dialect, Protocol):
    """Text to speech."""

    @property
    def openai_voices(self) -> Mapping[str, str]:
        """OpenAI's voice names, and the voice that answers to each unless configured."""

    @property
    def takes_ssml(self) -> bool: ...

    @property
    def paces(self) -> tuple[float, float]:
        """How slowly and how fast the engine can speak by itself; both 1 where it has one pace alone."""

    @property
    def stream_rate(self) -> int:
        """Hz of the samples that `stream_request` brings."""

    def wav_request(self, speech: Speech) -> httpx.Request:
        """Ask for a whole WAV file."""

    def stream_request(self, speech: Speech) -> httpx.Request:
        """Ask for bare s16le mono samples as they are spoken."""

    def voices_request(self) -> httpx.Request: ...

    def read_voices(self, body: bytes) -> tuple[Voice, ...]:
        """The voices in a reply. Raises ValueError if it is not a list of voices."""


class TranscriptionDialect(Dialect, Protocol):
    """Speech to text."""

    def transcription_request(
        self, recording: Recording, *, times: bool, words: bool, stream: bool
    ) -> httpx.Request:
        """Ask for a transcript. With `stream` the engine may answer as it hears, or with the whole."""

    def read_transcript(self, body: bytes) -> Transcript:
        """The transcript in a reply. Raises ValueError if there is none."""
