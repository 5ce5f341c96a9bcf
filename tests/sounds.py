"""Sound for tests, made here."""

from __future__ import annotations

import io
import random
import wave


def wav(seconds: float, rate: int = 16_000, seed: bytes = b"noise") -> bytes:
    """A WAV file of faint noise, the same for the same seed."""
    count = int(seconds * rate)
    samples = random.Random(seed).randbytes(count * 2)
    return wav_of(samples, rate)


def wav_of(samples: bytes, rate: int) -> bytes:
    """A mono s16le WAV file of these samples."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples)
    return file.getvalue()
