"""NVIDIA Magpie TTS (a Riva/Speech NIM): multipart in, WAV bytes out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar
from xml.sax.saxutils import escape

import httpx

from spark_control.upstreams.base import Engine, Speech, Voice
from spark_control.upstreams.multipart import form_request

_FALLBACK_LANGUAGE = "en-US"

_SPEAKERS = {
    "alloy": "Mia",
    "ash": "Jason",
    "ballad": "Leo",
    "cedar": "Ray",
    "coral": "Aria",
    "echo": "Diego",
    "fable": "Pascal",
    "marin": "Sofia",
    "nova": "Isabela",
    "onyx": "Ray",
    "sage": "Louise",
    "shimmer": "Sofia",
    "verse": "Leo",
}


@dataclass(frozen=True, slots=True)
class Magpie(Engine):
    """The dialect. `language` is for voices whose name tells none."""

    model: str = "magpie-tts-multilingual"

    title: ClassVar[str] = "text-to-speech"
    longest: ClassVar[float] = 20.0
    # Of the default profile, whose batch is that large.
    concurrency: ClassVar[int] = 8
    whole_files: ClassVar[bool] = True
    usual_voices: ClassVar[tuple[Voice, ...]] = ()
    takes_ssml: ClassVar[bool] = True
    # SSML allows more, and engines follow it less and less.
    paces: ClassVar[tuple[float, float]] = (0.5, 2.0)
    # The rate of Magpie's codec. Always sent, since the default differs between releases.
    stream_rate: ClassVar[int] = 22_050
    openai_voices: ClassVar[Mapping[str, str]] = {
        name: f"Magpie-Multilingual.EN-US.{speaker}" for name, speaker in _SPEAKERS.items()
    }

    def wav_request(self, speech: Speech) -> httpx.Request:
        return form_request(f"{self.url}/v1/audio/synthesize", self._fields(speech))

    def stream_request(self, speech: Speech) -> httpx.Request:
        return form_request(f"{self.url}/v1/audio/synthesize_online", self._fields(speech))

    def _fields(self, speech: Speech) -> dict[str, str]:
        return {
            "language": speech.voice.language or self.language or _FALLBACK_LANGUAGE,
            "text": speech.text if speech.ssml else paced(speech.text, speech.speed),
            "voice": speech.voice.id,
            "sample_rate_hz": str(self.stream_rate),
            "encoding": "LINEAR_PCM",
        }

    def voices_request(self) -> httpx.Request:
        return httpx.Request("GET", f"{self.url}/v1/audio/list_voices")

    def read_voices(self, body: bytes) -> tuple[Voice, ...]:
        """Voices of `{"en-US,es-US": {"voices": [...]}}`. The key lists every locale, so it tells none apart."""
        groups = json.loads(body)
        if not isinstance(groups, dict):
            raise ValueError("not a voice list")
        lists = [group.get("voices") for group in groups.values() if isinstance(group, dict)]
        names = [
            name
            for names in lists
            if isinstance(names, list)
            for name in names
            if isinstance(name, str) and name.isprintable()
        ]
        return tuple(voice_named(name) for name in dict.fromkeys(names))

    def ready_request(self) -> httpx.Request:
        return httpx.Request("GET", f"{self.url}/v1/health/ready")


def voice_named(name: str) -> Voice:
    """What a Magpie voice's name tells: `Magpie-Multilingual.EN-US.Mia.Calm` -> en-US, Calm."""
    model_locale_speaker_emotion = name.split(".")
    emotion = model_locale_speaker_emotion[3] if len(model_locale_speaker_emotion) > 3 else None
    return Voice(name, language_of(name), emotion)


def language_of(name: str) -> str | None:
    """The language a Magpie voice speaks: `Magpie-Multilingual.EN-US.Mia` -> `en-US`.

    None for names that hold no locale, such as `Magpie-ZeroShot-Multilingual.Female`.
    """
    parts = name.split(".")
    if len(parts) < 2:
        return None
    language, _, region = parts[1].partition("-")
    if not (len(language) == 2 and len(region) == 2 and (language + region).isalpha()):
        return None
    return f"{language.lower()}-{region.upper()}"


def paced(text: str, speed: float) -> str:
    """The text, wrapped in SSML where it must be spoken faster or slower: Magpie has no speed of its own."""
    if speed == 1.0:
        return text
    legal = "".join(each for each in text if each.isprintable() or each in "\t\n\r")
    return f'<speak><prosody rate="{speed:.0%}">{escape(legal)}</prosody></speak>'
