"""Pure: work known to be good, and whether what an engine made of it is.

Silence would be a bad canary, since no words are then the right answer. So the
clip is a spoken sentence; `canary/README.md` tells where it comes from.
"""

from __future__ import annotations

import math
import re
import sys
from array import array
from collections import Counter
from operator import mul
from pathlib import Path

from spark_control.audio.wav import HEADER_BYTES, WavHeader, read_header

CLIP = (Path(__file__).parent / "canary" / "clip.wav").read_bytes()
"""A WAV file, 16 kHz mono s16le, in which `CLIP_TEXT` is said."""

# Whichever of its voices our speaker says this in, our recogniser hears every word.
CLIP_TEXT = "It takes about an hour to get to the airport from here."
CLIP_SECONDS = (len(CLIP) - HEADER_BYTES) / 32_000

PHRASES = (
    "Dinner will be ready in about ten minutes, so please sit down.",
    "I would like to order two cups of coffee and some bread.",
    "We will meet again tomorrow morning at half past nine.",
    "Please turn off the lights in the kitchen before you go to bed.",
    "It will be cold and dark outside until seven in the morning.",
    "The train to the city leaves in twenty minutes from now.",
    "The answer to your question is on the next page of the book.",
    "Please open the window and close the door when you leave.",
)
"""For engines to speak, and others to hear. They change, so that no cache can answer them all."""

ENOUGH = 0.6
"""The share of the words that a working recogniser finds. Small ones mishear one in ten."""

_FASTEST, _SLOWEST = 28, 5
"""Characters a second, between which anybody speaks."""

_SILENT = -50.0
"""dBFS. A quiet voice is at about -30; the noise of a synthesiser that says nothing, below -60."""


def share_heard(words: str, transcript: str) -> float:
    """How many of the words are in the transcript, from 0 to 1, wherever they stand there."""
    said, heard = _counted(words), _counted(transcript)
    return (said & heard).total() / said.total()


def judge_transcript(transcript: str, words: str = CLIP_TEXT) -> str | None:
    """Why this cannot be what a working engine heard in the clip; None if it can."""
    share = share_heard(words, transcript)
    return None if share >= ENOUGH else f"only {share:.0%} of the canary's words were heard"


def judge_speech(sound: bytes, rate: int | None, text: str) -> str | None:
    """Why this WAV file, or bare s16le mono at `rate` Hz, cannot be `text` as spoken; None if it can.

    Without a `rate` it is a file, of any rate.
    """
    if rate and sound[:4] != b"RIFF":
        return _judge_samples(sound, 2 * rate, text)
    header = read_header(sound)
    if header is None or (header.format_tag, header.bits) != (1, 16):
        return "its WAV header makes no sense"
    if rate and header.rate != rate:
        return f"its rate is {header.rate} Hz, not the {rate} Hz that were asked for"
    return _judge_samples(_samples(header, sound), header.bytes_per_second, text)


def _samples(header: WavHeader, sound: bytes) -> bytes:
    return sound[header.data_starts :][: header.held(len(sound))]


def _judge_samples(samples: bytes, bytes_per_second: int, text: str) -> str | None:
    seconds = len(samples) / bytes_per_second
    if not len(text) / _FASTEST <= seconds <= len(text) / _SLOWEST:
        return f"{seconds:.1f} s of sound cannot be the {len(text)} characters that were to be spoken"
    if _level(samples) < _SILENT:
        return "it is silent"
    return None


def _level(samples: bytes) -> float:
    """Root mean square in dBFS; sound without a sample is as quiet as can be."""
    waves = array("h", samples[: len(samples) // 2 * 2])
    if sys.byteorder == "big":
        waves.byteswap()
    power = sum(map(mul, waves, waves)) / max(1, len(waves))
    return 10 * math.log10(power / 32_768**2) if power else -math.inf


def _counted(text: str) -> Counter[str]:
    return Counter(
        re.findall(r"\w+", text.casefold().replace("'", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", ""))
    )
