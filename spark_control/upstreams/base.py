"""What the gateway asks of an engine, whatever its wire format.

A dialect builds requests and reads replies; it never sends one. `Upstream`
(client.py) is the one place that does. Adding an engine means writing a
dialect and naming it in `DIALECTS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Protocol, Self

import httpx

from spark_control.audio.formats import Format
from spark_control.errors import GatewayError
from spark_control.uploads import Source
from spark_control.upstreams.refusals import refusal

ProbeWhen = Literal["always", "after_use"]


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice by the name its engine knows, with what that name or the engine's list tells."""

    id: str
    language: str | None = None
    """BCP-47, such as `en-US`."""
    emotion: str | None = None
    description: str | None = None
    """What the engine says of it, for a person."""


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
        """The name of the engine's model; empty where the engine has not told it yet."""

    @property
    def title(self) -> str:
        """What a person calls the service: `speech-to-text`."""

    @property
    def longest(self) -> float:
        """Seconds of sound that one request can ask for or bring."""

    @property
    def flavour(self) -> str | None:
        """Which server of its kind it is; None where that is not known, or there is one alone."""

    @property
    def flavours(self) -> tuple[str, ...]:
        """The servers of its kind that it can be told to be."""

    @property
    def concurrency(self) -> int:
        """Requests it can work on at once, unless the settings say otherwise."""

    @property
    def probe_when(self) -> ProbeWhen:
        """Whether it may be woken for a canary, unless the settings say otherwise."""

    def of_flavour(self, flavour: str) -> Self:
        """The same engine, known to be that server. A name that is none of its flavours changes nothing."""

    def of_model(self, model: str) -> Self:
        """The same engine with that model, which is named where its requests name one."""

    def ready_request(self) -> httpx.Request:
        """The cheap question whether it is up. A 200 does not prove that it can work."""

    def models_request(self) -> httpx.Request | None:
        """Ask which models it has; None where the settings and the kind tell all there is to know."""

    def read_models(self, body: bytes) -> tuple[str, ...]:
        """The models in a reply. Raises ValueError if it is not a list of models."""

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        """What an answer of `status` >= 300 means."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What most dialects have in common: an address, and what the settings or the engine itself tell of it."""

    url: str
    language: str | None = None
    flavour: str | None = None
    model: str = ""

    title: ClassVar[str]
    flavours: ClassVar[tuple[str, ...]] = ()

    @property
    def probe_when(self) -> ProbeWhen:
        return "always"

    def of_flavour(self, flavour: str) -> Self:
        return replace(self, flavour=flavour) if flavour in self.flavours else self

    def of_model(self, model: str) -> Self:
        return replace(self, model=model)

    def models_request(self) -> httpx.Request | None:
        return None

    def read_models(self, body: bytes) -> tuple[str, ...]:  # noqa: ARG002 (it was not asked)
        return ()

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        return refusal(self.title, status, headers, body)


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

    @property
    def whole_files(self) -> bool:
        """Whether the WAV of `wav_request` is one sound file at `stream_rate`, fit to be passed on as it is."""

    def wav_request(self, speech: Speech) -> httpx.Request:
        """Ask for the whole of it: a WAV file, or bare samples where it has no `whole_files`."""

    def stream_request(self, speech: Speech) -> httpx.Request:
        """Ask for bare s16le mono samples as they are spoken."""

    @property
    def usual_voices(self) -> tuple[Voice, ...]:
        """Those it has if its server does not tell; none where every server tells."""

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


class ChatDialect(Dialect, Protocol):
    """Language models, whose requests are relayed as they come: `path` is what follows the engine's address."""

    def relay_request(self, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Request:
        """The client's own request, for this engine."""

    def canary_request(self, model: str) -> httpx.Request:
        """Ask `model` for one token."""

    def embedding_canary_request(self, model: str) -> httpx.Request:
        """Ask a model that does not chat for one word's embedding."""

    def read_canary(self, body: bytes) -> str | None:
        """Why this cannot be a working engine's answer to either; None if it can. Raises ValueError for nonsense."""

    def loaded_request(self) -> httpx.Request:
        """Ask which models are in memory, so that a canary wakes none."""

    def read_loaded(self, body: bytes) -> tuple[str, ...]:
        """The models in a reply to `loaded_request`.

        Raises ValueError if it makes no sense, LookupError if it lists models and does not tell which are in memory.
        """
