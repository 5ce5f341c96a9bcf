"""Finished speech, kept for whoever asks for the same again.

`asked` is its address, `record` its file, `files` the folder, `cache` the door.
"""

from __future__ import annotations

from spark_control.speech_cache.asked import Asked, Use, use_of
from spark_control.speech_cache.cache import Draft, Outcome, SpeechCache
from spark_control.speech_cache.files import Kept
from spark_control.speech_cache.record import Damaged, Facts

__all__ = ["Asked", "Damaged", "Draft", "Facts", "Kept", "Outcome", "SpeechCache", "Use", "use_of"]
