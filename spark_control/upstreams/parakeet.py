"""Parakeet: OpenAI-shaped already, with two families of quirks.

The community servers take `whisper-1` for an unknown model and refuse it, so
no model is ever sent; NVIDIA's NIM needs a language and tells no times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import httpx
from pydantic import AfterValidator, BaseModel, Field, FiniteFloat

from spark_control.upstreams.base import Engine, ProbeWhen, Recording, Segment, Transcript, Word
from spark_control.upstreams.multipart import form_request
from spark_control.upstreams.word_pieces import whole_words

_QWEN_PREFIX = re.compile(r"\s*language (\w+)<asr_text>")
"""What Qwen3-ASR puts before its words, and its servers forget to take away."""

_READY = {
    "achetronic": "/health",
    # Its other one is 200 in any state.
    "groxaxo": "/healthz",
    "groxaxo-legacy": "/health",
    "nemo-speech-cpp": "/ready",
    "runparakeet": "/healthz",
    "xr-ai": "/health",
}
"""Of each server that is known, where it says whether it is up."""

_TIMELESS = frozenset({"achetronic", "runparakeet", "xr-ai"})
"""Those that know no times. Two of them make some up where they are asked: from a file's bytes, or 0."""

_LANGUAGE_UNHEARD = frozenset({"achetronic", "groxaxo-legacy", "runparakeet"})
"""Those that name a language which they have not heard: English, or what they were told."""

_DEFAULT_NIM_LANGUAGE = "en-US"

_REGION = {
    "ar": "ar-AR", "de": "de-DE", "en": "en-US", "es": "es-US", "fr": "fr-FR", "hi": "hi-IN",
    "it": "it-IT", "ja": "ja-JP", "ko": "ko-KR", "nl": "nl-NL", "pl": "pl-PL", "pt": "pt-BR",
    "ru": "ru-RU", "vi": "vi-VN", "zh": "zh-CN",
}  # fmt: skip
"""The locale a NIM is likely to have for a bare ISO-639-1 code."""

_MOST_TIMES = 500_000
"""Words, or pieces of words, in one transcript: more than anybody says in a day."""


@dataclass(frozen=True, slots=True)
class Parakeet(Engine):
    """A community server: json, and verbose_json with segments, words or neither.

    One that is not known is asked as all of them can be, and believed.
    """

    model: str = "parakeet-tdt-0.6b-v3"

    flavours: ClassVar[tuple[str, ...]] = tuple(_READY)
    concurrency: ClassVar[int] = 4
    title: ClassVar[str] = "speech-to-text"
    longest: ClassVar[float] = 1200.0

    @property
    def probe_when(self) -> ProbeWhen:
        """RunParakeet unloads its model when idle."""
        return "after_use" if self.flavour == "runparakeet" else "always"

    def transcription_request(
        self, recording: Recording, *, times: bool, words: bool, stream: bool
    ) -> httpx.Request:
        timed = times and self.flavour not in _TIMELESS
        fields = {
            # Those that cannot stream answer with the whole.
            "stream": "true" if stream else None,
            "response_format": "verbose_json" if timed else "json",
            "timestamp_granularities[]": "word" if timed and words else None,
            "language": recording.language or self.language,
            "prompt": recording.prompt,
            "temperature": recording.temperature,
        }
        return transcription_request(self.url, fields, recording)

    def read_transcript(self, body: bytes) -> Transcript:
        heard = read_transcript(body)
        if self.flavour in _TIMELESS:
            heard = without_times(heard)
        return replace(heard, language=None) if self.flavour in _LANGUAGE_UNHEARD else heard

    def ready_request(self) -> httpx.Request:
        return httpx.Request("GET", self.url + _READY.get(self.flavour or "", "/health"))


@dataclass(frozen=True, slots=True)
class ParakeetNim(Engine):
    """NVIDIA's ASR NIM: json alone, a BCP-47 language always."""

    model: str = "parakeet-1.1b-ctc-en-us"

    concurrency: ClassVar[int] = 8
    title: ClassVar[str] = "speech-to-text"
    # Its upload limit is 25 MB, which is 13 minutes of 16 kHz mono.
    longest: ClassVar[float] = 600.0

    def transcription_request(
        self,
        recording: Recording,
        *,
        times: bool,  # noqa: ARG002 (a NIM tells none over HTTP,
        words: bool,  # noqa: ARG002  nor these,
        stream: bool,  # noqa: ARG002  nor does it stream)
    ) -> httpx.Request:
        language = recording.language or self.language or _DEFAULT_NIM_LANGUAGE
        fields = {"language": _locale(language), "response_format": "json"}
        return transcription_request(self.url, fields, recording)

    def read_transcript(self, body: bytes) -> Transcript:
        return read_transcript(body)

    def ready_request(self) -> httpx.Request:
        return httpx.Request("GET", f"{self.url}/v1/health/ready")


def _locale(language: str) -> str:
    """A language as a NIM spells it: `de` -> `de-DE`, `en-us` -> `en-US`."""
    if known := _REGION.get(language.lower()):
        return known
    plain, _, region = language.partition("-")
    return f"{plain.lower()}-{region.upper()}" if len(region) == 2 else language


def transcription_request(url: str, fields: Mapping[str, str | None], recording: Recording) -> httpx.Request:
    """The recording with those `fields` that say something, as OpenAI's API has them."""
    given = {name: value for name, value in fields.items() if value}
    return form_request(f"{url}/v1/audio/transcriptions", given, recording.source, recording.format)


def read_transcript(body: bytes) -> Transcript:
    """A transcript in OpenAI's json or verbose_json; raises ValueError if it is neither."""
    answer = _Answer.model_validate_json(body)
    prefix = _QWEN_PREFIX.match(answer.text)
    # Riva ends its transcripts with a blank.
    text = answer.text[prefix.end() if prefix else 0 :].strip()
    words = tuple(Word(**word.model_dump()) for word in answer.words or ())
    return Transcript(
        text=text,
        language=prefix.group(1) if prefix else _told(answer.language),
        duration=answer.duration,
        segments=tuple(Segment(**segment.model_dump()) for segment in answer.segments or ()),
        words=whole_words(words, text),
    )


def without_times(transcript: Transcript) -> Transcript:
    """The same, without what a server says of times that it does not know."""
    return replace(transcript, duration=None, segments=(), words=())


def _told(language: str | None) -> str | None:
    """Some servers call the language `auto`, which is what they were asked and no answer."""
    return None if language in ("auto", "") else language


Seconds = Annotated[FiniteFloat, AfterValidator(lambda value: max(value, 0.0))]


class _Word(BaseModel):
    word: str
    start: Seconds
    end: Seconds


class _Segment(BaseModel):
    text: str
    start: Seconds
    end: Seconds
    avg_logprob: FiniteFloat = 0.0
    compression_ratio: FiniteFloat = 0.0
    no_speech_prob: FiniteFloat = 0.0


class _Answer(BaseModel):
    text: str
    language: str | None = None
    duration: Seconds | None = None
    segments: list[_Segment] | None = Field(default=None, max_length=_MOST_TIMES)
    words: list[_Word] | None = Field(default=None, max_length=_MOST_TIMES)
