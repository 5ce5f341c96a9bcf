"""Sound for tests, made here."""

from __future__ import annotations

import io
import math
import random
import struct
import wave

import av


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


def seconds(sound: bytes) -> float:
    """How long a sound of any format lasts, by decoding it."""
    total = 0.0
    with av.open(io.BytesIO(sound), "r") as container:
        for frame in container.decode(audio=0):
            total += frame.samples / frame.sample_rate
    return total


CONTAINERS = {
    "mp3": ("mp3", "libmp3lame", 44_100),
    "m4a": ("ipod", "aac", 44_100),
    "webm": ("webm", "libopus", 48_000),
    "ogg": ("ogg", "libopus", 48_000),
    "flac": ("flac", "flac", 48_000),
    "aac": ("adts", "aac", 24_000),
    "wav": ("wav", "pcm_s16le", 44_100),
}
"""By name: FFmpeg's container and codec, and a rate in Hz that is not the engines' own."""


def recording(name: str, length: float = 1.0, channels: int = 2) -> bytes:
    """`length` seconds of a 440 Hz tone, as a file of one of `CONTAINERS`."""
    container_name, codec, rate = CONTAINERS[name]
    file = io.BytesIO()
    layout = "stereo" if channels == 2 else "mono"
    with av.open(file, "w", format=container_name) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        encoder = stream.codec_context
        resampler = av.AudioResampler(encoder.format, layout, rate, encoder.frame_size or 1024)
        count = int(length * rate)
        frame = av.AudioFrame("s16", layout, count)
        tone = [int(9000 * math.sin(2 * math.pi * 440 * each / rate)) for each in range(count)]
        frame.planes[0].update(b"".join(struct.pack("<h", level) * channels for level in tone))
        frame.sample_rate = rate
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return file.getvalue()
