"""Speech and transcription of anything that is compatible with OpenAI's audio API."""

from __future__ import annotations

from dataclasses import dataclass

from spark_control.upstreams.parakeet import Parakeet
from spark_control.upstreams.qwen3 import Qwen3


@dataclass(frozen=True, slots=True)
class OpenAISpeech(Qwen3):
    """The dialect."""


@dataclass(frozen=True, slots=True)
class OpenAITranscription(Parakeet):
    """The dialect."""
