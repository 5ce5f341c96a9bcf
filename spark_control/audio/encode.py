"""Speech as it is synthesised, encoded as it comes: every piece of PCM gives what bytes it can."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import av

from spark_control.audio.filters import Filters, samples
from spark_control.audio.wav import wav_header

SLOWEST, FASTEST = 0.25, 4.0
"""What `tempo` may be."""
PCM_RATE = 24_000
"""What clients take headerless PCM to be, in Hz: OpenAI's own rate."""

_FRAMES_PER_SECOND = 64
_HELD_BACK = 0.026  # seconds of sound that atempo does not give back at the end: half a window


class Encoder:
    """One sound: feed it s16le mono PCM at `rate` Hz, in pieces of any length, and send on what it gives.

    `format_` is mp3, opus (in Ogg), aac (ADTS), flac, wav (sizes left open) or
    pcm (s16le at `pcm_rate`). `tempo` changes how fast it is spoken, and no pitch.
    The bytes depend on the samples alone, not on how they were cut. Feeding
    holds back about a tenth of a second of what comes out. Nothing fed gives
    nothing, not even a header.

    Raises ValueError for a format or tempo there is not.
    """

    def __init__(self, format_: str, rate: int, *, tempo: float = 1.0, pcm_rate: int = PCM_RATE) -> None:
        if format_ not in FORMATS:
            raise ValueError(f"There is no format {format_!r}.")
        rate_out, self._pack = _packer(format_, rate, pcm_rate)
        self._filters = Filters(rate, "s16", "mono", _at_tempo(tempo), rate_out=rate_out)
        self.output_rate = rate_out
        """Hz of the sound that is encoded."""
        self._rate = rate
        self._fed = 0  # samples
        self._rest = bytearray()

    def feed(self, pcm: bytes) -> bytes:
        """The encoded bytes that `pcm` completes, perhaps none. A piece may end within a sample."""
        self._rest += pcm
        size = 2 * max(1, self._rate // _FRAMES_PER_SECOND)
        # Frames of one size, for the encoders' bytes would else depend on how the sound was cut.
        whole = len(self._rest) - len(self._rest) % size
        pieces = [self._encode(self._rest[at : at + size]) for at in range(0, whole, size)]
        del self._rest[:whole]
        return b"".join(pieces)

    def finish(self) -> bytes:
        """The last bytes. Nothing may be fed after that."""
        last = self._encode(self._rest[: len(self._rest) & ~1]) if len(self._rest) > 1 else b""
        if not self._fed:
            return b""
        return last + b"".join(map(self._pack, self._filters.push(None))) + self._pack(None)

    def _encode(self, pcm: bytearray) -> bytes:
        frame = av.AudioFrame("s16", "mono", len(pcm) // 2)
        frame.planes[0].update(bytes(pcm))
        frame.sample_rate, frame.time_base = self._rate, Fraction(1, self._rate)
        frame.pts = self._fed
        self._fed += frame.samples
        return b"".join(map(self._pack, self._filters.push(frame)))


def _at_tempo(tempo: float) -> list[tuple[str, str]]:
    """Filters that divide the duration by `tempo`. One of them more than doubles it only by leaving sound out."""
    if not SLOWEST <= tempo <= FASTEST:
        raise ValueError(f"A tempo is from {SLOWEST} to {FASTEST}.")
    steps = math.ceil(abs(math.log2(tempo)))
    if not steps:
        return []
    return [
        ("apad", f"pad_dur={_HELD_BACK * max(0, 1 - tempo)}"),
        *[("atempo", f"{tempo ** (1 / steps):.9f}")] * steps,
    ]


_Packer = Callable[[av.AudioFrame | None], bytes]
"""Gives the bytes that a frame completes; at None, the last ones."""


def _packer(format_: str, rate: int, pcm_rate: int) -> tuple[int, _Packer]:
    """The rate in Hz at which a format is written, and what writes it."""
    if format_ == "wav":
        return rate, _Bare(wav_header(rate))
    if format_ == "pcm":
        return pcm_rate, _Bare(b"")
    recipe = _RECIPES[format_]
    rate_out = recipe.rate(rate)
    return rate_out, _Muxed(recipe, rate_out)


class _Bare:
    """The samples as they are, after a header."""

    def __init__(self, header: bytes) -> None:
        self._header = header

    def __call__(self, frame: av.AudioFrame | None) -> bytes:
        if frame is None:
            return b""
        header, self._header = self._header, b""
        return header + samples(frame)


@dataclass(frozen=True)
class _Recipe:
    """How one format is made: FFmpeg's names for its container, codec and options, and the rates it is made at."""

    container: str
    codec: str
    bit_rate: int | None  # bits per second
    rate: Callable[[int], int]
    muxing: dict[str, str] = field(default_factory=dict)
    coding: dict[str, str] = field(default_factory=dict)


def _mp3_rate(rate: int) -> int:
    return rate if rate == 22_050 else _aac_rate(rate)


def _aac_rate(rate: int) -> int:
    """At 22.05 kHz, three frames, which the encoder waits for, would take more than a tenth of a second."""
    return rate if rate in (24_000, 32_000, 44_100, 48_000) else 24_000


def _opus_rate(rate: int) -> int:
    return 24_000 if rate <= 24_000 else 48_000


_RECIPES = {
    # A Xing header tells the length, which a stream does not know when it is written.
    "mp3": _Recipe("mp3", "libmp3lame", 64_000, _mp3_rate, {"write_xing": "0", "id3v2_version": "0"}),
    "aac": _Recipe("adts", "aac", 64_000, _aac_rate),
    # A page of Ogg is a second long unless told otherwise, here in microseconds, and leaves when the next is full.
    "opus": _Recipe("ogg", "libopus", 48_000, _opus_rate, {"page_duration": "40000"}),
    # At the levels above 2, a block takes a tenth of a second.
    "flac": _Recipe(
        "flac", "flac", None, lambda rate: rate, {"metadata_header_padding": "0"}, {"compression_level": "2"}
    ),
}
FORMATS = frozenset({"wav", "pcm", *_RECIPES})
"""What an Encoder makes."""


class _Muxed:
    """A codec in its container, written as a stream: nothing that was written is gone back to."""

    def __init__(self, recipe: _Recipe, rate: int) -> None:
        self._sink = _Sink()
        # Bitexact leaves out what would differ from run to run: random serial numbers and FFmpeg's version.
        muxing = {"fflags": "+bitexact", "flush_packets": "1", **recipe.muxing}
        self._container = av.open(self._sink, "w", format=recipe.container, container_options=muxing)
        options = {"flags": "+bitexact", **recipe.coding}
        stream = self._container.add_stream(recipe.codec, rate, options, layout="mono")
        assert isinstance(stream, av.AudioStream)  # noqa: S101 (an audio codec's)
        if recipe.bit_rate:
            stream.bit_rate = recipe.bit_rate
        self._stream = stream

    def __call__(self, frame: av.AudioFrame | None) -> bytes:
        self._container.mux(self._stream.encode(frame))
        if frame is None:
            self._container.close()
        return self._sink.take()


class _Sink:
    """A file for PyAV that can only be written to."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> bytes:
        """What was written since it was last asked."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken
