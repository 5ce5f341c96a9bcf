"""Qwen3-TTS. Three unrelated servers call themselves that, and OpenAI-compatible; they agree on little.

                    icantc0de1              groxaxo                  vLLM-Omni
    speakers        names behind aliases    names, and aliases of    small letters
                                            speakers nobody has
    speed           changes no tempo        changes it               not in a stream
    samples come    as they are spoken      when all are             as they are spoken
    a failure is    a 200 that breaks off   a 500 with its text      a 500 without any

Bare samples are the one format in which all of them mean the same. The
speakers speak every language there is, each with a mother tongue.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import httpx

from spark_control.errors import GatewayError, InvalidRequest
from spark_control.upstreams.base import Engine, ProbeWhen, Speech, Voice
from spark_control.upstreams.json_request import json_request
from spark_control.upstreams.voice_lists import LANGUAGES, language_code, read_voice_list

_MODEL = "qwen3-tts"

_SPEAKERS = {
    "Vivian": "zh-CN",
    "Serena": "zh-CN",
    "Uncle_Fu": "zh-CN",
    "Dylan": "zh-CN",
    "Eric": "zh-CN",
    "Ryan": "en-US",
    "Aiden": "en-US",
    "Ono_Anna": "ja-JP",
    "Sohee": "ko-KR",
}
"""Those of the CustomVoice model, with the mother tongue of each."""

_MOTHER_TONGUES = {name.casefold(): language for name, language in _SPEAKERS.items()}

_OPENAI = {
    "alloy": "Vivian",
    "ash": "Serena",
    "ballad": "Dylan",
    "cedar": "Ryan",
    "coral": "Uncle_Fu",
    "echo": "Dylan",
    "fable": "Eric",
    "marin": "Serena",
    "nova": "Aiden",
    "onyx": "Ryan",
    "sage": "Ono_Anna",
    "shimmer": "Sohee",
    "verse": "Aiden",
}

_GHOSTS = frozenset({"sophia", "isabella", "evan", "lily"})
"""What groxaxo's server says that it has until its model is loaded. Nobody has them; asking for one is a 500."""

_NO_SUCH_SPEAKER = re.compile(rb"unsupported speakers?\b", re.IGNORECASE)

_SUFFIX = "|".join(code for code in LANGUAGES.values() if code != "hi")
_GROXAXO_MODEL = re.compile(rf"tts-1(-hd)?(-({_SUFFIX}))?")
"""The other models that groxaxo's server takes; it refuses whatever else."""

_LANGUAGES = {code: name for name, code in LANGUAGES.items() if code != "hi"}
"""By code, the languages that the model speaks."""


@dataclass(frozen=True, slots=True)
class Qwen3(Engine):
    """The dialect. Of a server that is not known, what all three understand."""

    model: str = _MODEL

    flavours: ClassVar[tuple[str, ...]] = ("groxaxo", "icantc0de1", "vllm-omni")
    title: ClassVar[str] = "text-to-speech"
    longest: ClassVar[float] = 60.0
    concurrency: ClassVar[int] = 1
    whole_files: ClassVar[bool] = False
    takes_ssml: ClassVar[bool] = False
    stream_rate: ClassVar[int] = 24_000
    openai_voices: ClassVar[Mapping[str, str]] = _OPENAI

    @property
    def probe_when(self) -> ProbeWhen:
        return "after_use"

    @property
    def paces(self) -> tuple[float, float]:
        return (0.25, 4.0) if self.flavour == "groxaxo" else (1.0, 1.0)

    @property
    def usual_voices(self) -> tuple[Voice, ...]:
        return tuple(Voice(self._known_as(name), language) for name, language in _SPEAKERS.items())

    def wav_request(self, speech: Speech) -> httpx.Request:
        return self.stream_request(speech)

    def stream_request(self, speech: Speech) -> httpx.Request:
        common = {
            "model": self._asked_model(),
            "input": speech.text,
            "voice": self._known_as(speech.voice.id),
            "response_format": "pcm",
            # A speaker's mother tongue says nothing of the text, and the model hears for itself what that is.
            "language": _LANGUAGES.get((language_code(self.language) or "").partition("-")[0]),
        }
        return json_request(f"{self.url}/v1/audio/speech", {**common, **self._of_flavour(speech)})

    def _of_flavour(self, speech: Speech) -> Mapping[str, object]:
        if self.flavour == "groxaxo" and speech.speed != 1.0:
            return {"speed": speech.speed}
        if self.flavour == "vllm-omni":
            # To releases that know no `stream_format`, `stream` alone means samples; to the others, events.
            return {"stream": True, "stream_format": "audio"}
        return {}

    def _asked_model(self) -> str | None:
        """What the owner calls it is sent only to a server that can know that name."""
        if self.flavour == "icantc0de1":
            return None if self.model == _MODEL else self.model
        known = self.flavour == "groxaxo" and _GROXAXO_MODEL.fullmatch(self.model)
        return self.model if known else None

    def _known_as(self, name: str) -> str:
        own = self.flavour == "vllm-omni" and name.casefold() in _MOTHER_TONGUES
        return name.lower() if own else name

    def voices_request(self) -> httpx.Request:
        return httpx.Request("GET", f"{self.url}/v1/audio/voices")

    def read_voices(self, body: bytes) -> tuple[Voice, ...]:
        """Speakers, without the aliases among them; the usual ones of a server that has not loaded its model yet."""
        listed = read_voice_list(body, called=("id", "name", "voice_id"))
        names = {voice.id.casefold() for voice in listed}
        if self.flavour in (None, "groxaxo") and names & _GHOSTS:
            return self.usual_voices
        speakers = [voice for voice in listed if voice.id.casefold() not in _OPENAI]
        # The language in the list is the same for all of them, whatever theirs is.
        return (
            tuple(
                Voice(voice.id, _MOTHER_TONGUES.get(voice.id.casefold()), description=voice.description)
                for voice in speakers
            )
            or self.usual_voices
        )

    def ready_request(self) -> httpx.Request:
        return httpx.Request("GET", f"{self.url}/health")

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> GatewayError:
        if status == 500 and _NO_SUCH_SPEAKER.search(body):
            message = "The text-to-speech engine does not have this voice any more."
            return InvalidRequest(message, code="voice_not_found", param="voice")
        return Engine.refusal(self, status, headers, body)
