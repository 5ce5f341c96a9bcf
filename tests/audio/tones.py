"""Sounds whose pitch and length are known, and the means to find them again."""

from __future__ import annotations

import io

import av
import numpy as np


def tone(rate: int, seconds: float, hz: float = 440, channels: int = 1) -> bytes:
    """A steady note as s16le PCM, the same in every channel."""
    wave = 9000 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)
    return np.repeat(wave.astype("<i2"), channels).tobytes()


def sweep(rate: int, seconds: float) -> bytes:
    """A note that rises through the voice's range, so that no two pieces of it are the same."""
    at = np.arange(round(rate * seconds)) / rate
    return (9000 * np.sin(2 * np.pi * (150 + 600 * at) * at)).astype("<i2").tobytes()


def pitch(pcm: bytes, rate: int) -> float:
    """The strongest frequency in Hz, of sound that is not silence."""
    wave = np.frombuffer(pcm, "<i2").astype(np.float64)
    assert wave.std() > 3000, "it is quiet"
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(spectrum.argmax() * rate / len(wave))


def recording(container: str, codec: str, rate: int, layout: str, pcm: bytes) -> bytes:
    """A whole file, made by PyAV as a recorder would, from the interleaved s16le `pcm`."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        size = 2 * stream.layout.nb_channels * (rate // 50)
        for at in range(0, len(pcm), size):
            frame = av.AudioFrame.from_ndarray(
                np.frombuffer(pcm[at : at + size], "<i2")[None, :], "s16", layout
            )
            frame.sample_rate = rate
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()
