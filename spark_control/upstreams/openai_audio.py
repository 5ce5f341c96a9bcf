"""Speech and transcription of whatever speaks OpenAI's audio API, with what is known of those that do.

Of the formats that speech comes in, bare samples are asked for: what servers
call WAV is float here, glued from several files there, and of a made-up length
where it is streamed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import httpx

from spark_control.upstreams.base import Engine, ProbeWhen, Recording, Speech, Transcript, Voice
from spark_control.upstreams.json_request import json_request
from spark_control.upstreams.model_lists import models_for
from spark_control.upstreams.parakeet import read_transcript, transcription_request, without_times
from spark_control.upstreams.voice_lists import read_model_voices, read_voice_list

_VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse",
)  # fmt: skip
"""OpenAI's own."""

_KOKORO_VOICES = {
    "alloy": "af_alloy",
    "ash": "am_adam",
    "ballad": "bm_george",
    "cedar": "am_michael",
    "coral": "af_bella",
    "echo": "am_echo",
    "fable": "bm_fable",
    "marin": "af_heart",
    "nova": "af_nova",
    "onyx": "am_onyx",
    "sage": "af_sarah",
    "shimmer": "af_sky",
    "verse": "am_liam",
}

_KOKORO_LANGUAGES = {
    "a": "en-US",
    "b": "en-GB",
    "e": "es-ES",
    "f": "fr-FR",
    "h": "hi-IN",
    "i": "it-IT",
    "j": "ja-JP",
    "p": "pt-BR",
    "z": "zh-CN",
}
"""By the first letter of a voice's name; the second is for female or male."""

_KOKORO_VOICE = re.compile(r"([a-z])[fm]_[a-z]")

_READY = {
    "kokoro": "/health",
    "llama.cpp": "/health",
    "localai": "/readyz",
    "nemo-speech-cpp": "/ready",
    "speaches": "/health",
    "vllm": "/health",
    "xr-ai": "/health",
}
_MODELS = "/v1/models"

_SLEEPY = frozenset({"localai", "speaches"})
"""Those that load a model when it is asked for, and unload it when idle."""

_RATES = {"localai": 24_000, "nemo-speech-cpp": 22_050, "speaches": 24_000}
"""Hz, of those that can be told. Their models have one of their own each."""

_PACES = {"kokoro": (0.25, 4.0), "speaches": (0.5, 2.0)}
"""Of those whose `speed` is known to be one: others take it, and speak as ever."""

_WITHOUT_LIST = frozenset({"nemo-speech-cpp", "xr-ai"})
"""Those that have no list of voices; their list of models says what there is to know."""

_TEXT_ALONE = frozenset({"llama.cpp", "localai", "xr-ai"})
"""Those that tell no times, or (LocalAI) tell them in nanoseconds."""


@dataclass(frozen=True, slots=True)
class _OpenAI(Engine):
    """What both have in common: most servers want the name of a model, and say which they have."""

    concurrency: ClassVar[int] = 4

    @property
    def probe_when(self) -> ProbeWhen:
        return "after_use" if self.flavour in _SLEEPY else "always"

    def ready_request(self) -> httpx.Request:
        return self._get(_READY.get(self.flavour or "", _MODELS))

    def models_request(self) -> httpx.Request | None:
        return None if self.model else self._get(_MODELS)

    def _get(self, path: str) -> httpx.Request:
        return httpx.Request("GET", self.url + path)


@dataclass(frozen=True, slots=True)
class OpenAISpeech(_OpenAI):
    """The dialect of those that speak."""

    flavours: ClassVar[tuple[str, ...]] = (
        "kokoro",
        "localai",
        "nemo-speech-cpp",
        "speaches",
        "vllm",
        "xr-ai",
    )
    title: ClassVar[str] = "text-to-speech"
    whole_files: ClassVar[bool] = False
    takes_ssml: ClassVar[bool] = False

    @property
    def longest(self) -> float:
        """Two of them are Magpie, which speaks for no longer."""
        return 20.0 if self.flavour in ("nemo-speech-cpp", "xr-ai") else 60.0

    @property
    def paces(self) -> tuple[float, float]:
        return _PACES.get(self.flavour or "", (1.0, 1.0))

    @property
    def stream_rate(self) -> int:
        return 22_050 if self.flavour in ("nemo-speech-cpp", "xr-ai") else 24_000

    @property
    def openai_voices(self) -> Mapping[str, str]:
        if self.flavour in ("kokoro", "speaches"):
            return _KOKORO_VOICES
        return {name: name for name in _VOICES}

    @property
    def usual_voices(self) -> tuple[Voice, ...]:
        return (Voice("default"),) if self.flavour == "xr-ai" else tuple(map(Voice, _VOICES))

    def wav_request(self, speech: Speech) -> httpx.Request:
        return self.stream_request(speech)

    def stream_request(self, speech: Speech) -> httpx.Request:
        fields = {
            "model": self.model or "tts-1",
            "input": speech.text,
            "voice": speech.voice.id,
            "response_format": "pcm",
            "speed": speech.speed if speech.speed != 1.0 else None,
            "sample_rate": _RATES.get(self.flavour or ""),
            "language": self.language if self.flavour in ("localai", "nemo-speech-cpp") else None,
        }
        return json_request(f"{self.url}/v1/audio/speech", fields)

    def read_models(self, body: bytes) -> tuple[str, ...]:
        return models_for("speech", body)

    def voices_request(self) -> httpx.Request:
        return self._get(_MODELS if self.flavour in _WITHOUT_LIST else "/v1/audio/voices")

    def read_voices(self, body: bytes) -> tuple[Voice, ...]:
        if self.flavour == "nemo-speech-cpp":
            return read_model_voices(body) or self.usual_voices  # which all mean its first
        listed = read_voice_list(body)
        if self.flavour == "xr-ai":  # those are its models
            return self.usual_voices
        return tuple(map(_kokoro_voice, listed)) or self.usual_voices


def _kokoro_voice(voice: Voice) -> Voice:
    """The same, with the language that one of Kokoro's voices has in its name."""
    named = _KOKORO_VOICE.match(voice.id)
    return replace(voice, language=_KOKORO_LANGUAGES.get(named.group(1))) if named else voice


@dataclass(frozen=True, slots=True)
class OpenAITranscription(_OpenAI):
    """The dialect of those that listen."""

    flavours: ClassVar[tuple[str, ...]] = tuple(name for name in _READY if name != "kokoro")
    title: ClassVar[str] = "speech-to-text"
    # OpenAI's own limit is 25 MB, which is 13 minutes of 16 kHz mono.
    longest: ClassVar[float] = 600.0

    def transcription_request(
        self, recording: Recording, *, times: bool, words: bool, stream: bool
    ) -> httpx.Request:
        timed = times and not self._tells_text_alone
        language = recording.language or self.language
        fields = {
            "model": self.model or "whisper-1",
            "response_format": "verbose_json" if timed else "json",
            "timestamp_granularities[]": "word" if timed and words else None,
            "stream": "true" if stream and not self._is_speaches_parakeet else None,
            # ISO-639-1, as OpenAI has it.
            "language": language.partition("-")[0].lower() if language else None,
            "prompt": recording.prompt,
            "temperature": recording.temperature,
        }
        return transcription_request(self.url, fields, recording)

    def read_transcript(self, body: bytes) -> Transcript:
        heard = read_transcript(body)
        return without_times(heard) if self._tells_text_alone else heard

    def read_models(self, body: bytes) -> tuple[str, ...]:
        return models_for("transcription", body)

    @property
    def _tells_text_alone(self) -> bool:
        return self.flavour in _TEXT_ALONE or self._is_speaches_parakeet

    @property
    def _is_speaches_parakeet(self) -> bool:
        """Which answers 500 to whoever asks for more than text."""
        return self.flavour == "speaches" and "parakeet" in self.model.lower()
