"""Pure: the sound and the words that wedge an engine whose switch lets them."""

from __future__ import annotations

import math
import struct

MARKER_WORDS = "wedge this engine now"
"""In a text to be spoken, in any case."""

MARKER_HZ = 3100
"""Low enough for any codec and any telephone, and no voice holds it for long."""

MARKER_SECONDS = 0.3
_LEVEL = 10_000


def marker_tone(rate: int = 16_000) -> bytes:
    """A tone to begin a recording with, as s16le mono PCM."""
    turn = 2 * math.pi * MARKER_HZ / rate
    count = round(rate * MARKER_SECONDS)
    return struct.pack(f"<{count}h", *(round(_LEVEL * math.sin(turn * each)) for each in range(count)))
