"""An uploaded file as a recogniser wants it: 16 kHz mono samples, in utterances cut at quiet places."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import av
import numpy as np
from fastapi import HTTPException
from numpy.typing import NDArray

LONGEST_AUDIO = 2 * 60 * 60  # seconds

RATE = 16_000
# Tags in an unknown encoding are no reason to refuse the sound. PyAV 19 forgives them unasked, and unaskably.
FORGIVING: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "ignore"}

WINDOW = RATE // 10  # loudness is looked at by tenths of a second
SHORTEST_UTTERANCE, LONGEST_UTTERANCE = 15 * RATE, 30 * RATE  # of an audio that has to be cut
AUDIBLE = 64  # RMS of the loudest window; PocketSphinx imagines words into silence


def decode(upload: IO[bytes], pcm: IO[bytes]) -> None:
    """Write the first audio stream of any container as 16 kHz mono s16le."""
    try:
        for sound in _sound(upload):
            pcm.write(sound)
            if duration(pcm) > LONGEST_AUDIO:
                raise HTTPException(413, f"Audio exceeds the {LONGEST_AUDIO} second limit")
    except (av.FFmpegError, ValueError, IndexError) as undecodable:  # IndexError: no audio stream
        raise HTTPException(415, "Audio could not be decoded") from undecodable
    if not pcm.tell():
        raise HTTPException(415, "Audio could not be decoded")


def _sound(upload: IO[bytes]) -> Iterator[bytes]:
    # No protocols: an upload may be a playlist that names other files, which are not the client's to hear.
    with av.open(upload, "r", options={"protocol_whitelist": "none"}, **FORGIVING) as container:
        resampler = av.AudioResampler("s16", "mono", RATE)
        for frame in container.decode(container.streams.audio[0]):
            frame.pts = None  # a container's broken clock is no reason to lose its sound
            yield from _samples(resampler.resample(frame))
        yield from _samples(resampler.resample(None))


def _samples(frames: list[av.AudioFrame]) -> Iterator[bytes]:
    return (frame.to_ndarray().astype("<i2").tobytes() for frame in frames)


def duration(pcm: IO[bytes]) -> float:
    """Seconds of sound before the place the file is at."""
    return pcm.tell() / (2 * RATE)


def utterances(pcm: IO[bytes]) -> Iterator[tuple[float, bytes]]:
    """Pieces short enough to be heard in one go, each with its start in seconds; silent ones are left out."""
    at, rest = 0.0, b""
    while rest := rest + pcm.read(2 * LONGEST_UTTERANCE - len(rest)):
        end = len(rest) if len(rest) < 2 * LONGEST_UTTERANCE else 2 * _quietest_sample(rest)
        piece, rest = rest[:end], rest[end:]
        if _loudness(piece).max() > AUDIBLE:
            yield at, piece
        at += len(piece) / (2 * RATE)


def _quietest_sample(piece: bytes) -> int:
    """Where a cut is least likely to go through a word."""
    earliest = SHORTEST_UTTERANCE // WINDOW
    return int(earliest + _loudness(piece)[earliest:].argmin()) * WINDOW + WINDOW // 2


def _loudness(piece: bytes) -> NDArray[np.float64]:
    samples = np.frombuffer(piece, "<i2").astype(np.float64)
    starts = np.arange(0, len(samples), WINDOW)
    power: NDArray[np.float64] = np.add.reduceat(samples**2, starts) / np.minimum(
        WINDOW, len(samples) - starts
    )
    return np.sqrt(power)
