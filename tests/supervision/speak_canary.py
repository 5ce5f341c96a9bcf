"""Has the embedded engine say the canary's clip anew: `python -m tests.supervision.speak_canary`."""

from __future__ import annotations

from pathlib import Path

from spark_control import supervision
from spark_control.engines.espeak import perform, wav
from spark_control.engines.espeak_library import Espeak, Line
from spark_control.engines.espeak_voices import VOICES
from spark_control.supervision.canaries import CLIP_TEXT

RATE = 16_000
CLIP = Path(supervision.__file__).parent / "canary" / "clip.wav"


def spoken() -> bytes:
    said = bytearray()

    def listener(piece: bytes) -> bool:
        said.extend(piece)
        return True

    perform(Espeak(), Line(CLIP_TEXT, VOICES["Magpie-Multilingual.EN-US.Mia"], RATE), listener)
    return wav(bytes(said), RATE)


if __name__ == "__main__":
    CLIP.write_bytes(spoken())
