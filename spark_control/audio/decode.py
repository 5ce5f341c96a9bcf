"""Any sound a client may send, as recognisers want it: 16 kHz, mono, s16le."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import av
import av.buffer
from av.container import InputContainer
from av.stream import Discard

from spark_control.audio.filters import Filters, samples
from spark_control.audio.wav import WavHeader, wav_header
from spark_control.errors import InvalidRequest, TooLarge

RATE = 16_000
BYTES_PER_SECOND = 2 * RATE

# Outside of these, the filter that changes the rate would take gigabytes, and no microphone is there.
_RATES = range(1_000, 768_001)  # Hz
_MOST_CHANNELS = 64  # FFmpeg mixes no more

# No playlists and no lists of files: these name others, which are not the client's to hear. No formats that
# announce streams as they go, like MPEG-TS: PyAV 18 reads beyond its own list of streams there.
_CONTAINERS = (
    "wav", "w64", "aiff", "au", "caf", "mp3", "aac", "ac3", "eac3", "flac", "wv", "amr", "ogg", "mov", "matroska",
    "asf", "avi",
)  # fmt: skip
# No video: FFmpeg would else decode the first pictures to learn their size.
_CODECS = (
    "aac", "ac3", "eac3", "alac", "amrnb", "amrwb", "flac", "wavpack", "wmav1", "wmav2", "wmapro", "wmalossless",
    "mp1float", "mp2float", "mp3float", "mp1", "mp2", "mp3", "opus", "libopus", "vorbis", "libvorbis", "speex",
    "libspeex", "gsm", "gsm_ms", "adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt", "adpcm_g722", "pcm_alaw", "pcm_mulaw",
    "pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le",
    "pcm_f32be", "pcm_f64le", "pcm_f64be",
)  # fmt: skip
_OPTIONS = {
    "protocol_whitelist": "none",
    "format_whitelist": ",".join(_CONTAINERS),
    "codec_whitelist": ",".join(_CODECS),
    "max_streams": "32",
    "fflags": "-genpts",  # PyAV asks for it, and it holds packets back until it can give them times
}
# Tags in an unknown encoding are no reason to refuse the sound. PyAV 19 forgives them unasked, and unaskably.
_FORGIVING: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "ignore"}

# Bytes that FFmpeg may ask for at a time: an MP4 of a few kilobytes can declare an index of gigabytes. This is
# `ffmpeg -max_alloc`, for which PyAV has no name; it holds for the process. A two-hour file's index takes 8 MB.
ctypes.CDLL(av.buffer.__file__).av_max_alloc(ctypes.c_size_t(32 * 1024 * 1024))

# What PyAV raises at a broken file: FFmpeg's errors, its own, and where FFmpeg is asked for too much memory.
_BROKEN = (av.FFmpegError, ValueError, LookupError, ArithmeticError, MemoryError)


def to_canonical(
    source: IO[bytes], write: Callable[[bytes], object], *, longest: float, deadline: Callable[[], bool]
) -> float:
    """Write the first sound in `source` as 16 kHz mono s16le PCM, in pieces; give its seconds.

    `source` is a seekable file in any usual container, at any usual rate, with
    any number of channels. A file that is cut short or damaged in places gives
    what can be heard of it. Memory does not grow with the length.

    Raises TooLarge beyond `longest` seconds, whatever the file declares, and
    InvalidRequest (`audio_undecodable`) where there is no sound, or `deadline`,
    which is asked again and again, says that the time is over.
    """
    written = 0
    for piece in _pieces(_Source(source, deadline)):
        written += len(piece)
        refuse_longer(written / BYTES_PER_SECOND, longest)
        write(piece)
    if not written:
        raise _undecodable("This file has no sound in it.")
    return written / BYTES_PER_SECOND


def refuse_longer(seconds: float, longest: float) -> None:
    """Raise TooLarge for more sound than `longest` seconds."""
    if seconds > longest:
        message = f"The audio is longer than the {_spoken(longest)} this gateway takes."
        raise TooLarge(message, param="file")


def canonical_header(pcm_bytes: int) -> bytes:
    """The 44 bytes that make a WAV file of `pcm_bytes` bytes that `to_canonical` wrote."""
    return wav_header(RATE, pcm_bytes)


def is_canonical(header: WavHeader) -> bool:
    """Whether the samples after `header` are what `to_canonical` would write."""
    return (header.format_tag, header.rate, header.channels, header.bits) == (1, RATE, 1, 16)


def _spoken(seconds: float) -> str:
    return f"{seconds / 60:.3g} minutes" if seconds >= 120 else f"{seconds:.3g} seconds"


def _undecodable(sentence: str) -> InvalidRequest:
    return InvalidRequest(sentence, code="audio_undecodable", param="file")


def _unreadable() -> InvalidRequest:
    return _undecodable("This file cannot be read as audio; is it damaged?")


class _Source:
    """What FFmpeg may do with the file: read it and move about in it, while there is time.

    It has no name, which FFmpeg would look at as an address.
    """

    def __init__(self, file: IO[bytes], deadline: Callable[[], bool]) -> None:
        self._file = file
        self._deadline = deadline
        self.tell = file.tell

    def check(self) -> None:
        if self._deadline():
            raise _undecodable("Reading this file as audio took too long.")

    def read(self, size: int) -> bytes:
        self.check()
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):  # a broken file points to where no file can go
            return -1


def _pieces(source: _Source) -> Iterator[bytes]:
    mono = None
    for frame in _frames(source):
        if not mono or not mono.takes(frame):
            yield from mono.push(None) if mono else ()
            mono = _Mono(frame)
        yield from mono.push(frame)
    yield from mono.push(None) if mono else ()


def _frames(source: _Source) -> Iterator[av.AudioFrame]:
    """The sound as it was recorded. What cannot be decoded is left out, unless that is everything."""
    heard = broken = False
    with _opened(source) as (container, stream):
        packets = container.demux(stream)
        while True:
            source.check()
            try:
                packet = next(packets, None)  # none follow an error, for a generator that raised has ended
                frames = stream.decode(packet) if packet else []
            except _BROKEN:
                broken = True
                continue
            if packet is None:
                break
            heard = heard or bool(frames)
            yield from frames
    if broken and not heard:
        raise _unreadable()


@contextmanager
def _opened(source: _Source) -> Iterator[tuple[InputContainer, av.AudioStream]]:
    try:
        container = av.open(source, "r", options=_OPTIONS, **_FORGIVING)
    except _BROKEN as error:
        source.check()
        raise _unreadable() from error
    with container:
        stream = next(iter(container.streams.audio), None)
        if stream is None:
            raise _undecodable("This file has no sound in it.")
        if stream.codec_context is None or stream.codec_context.codec.name not in _CODECS:
            raise _unreadable()
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        yield container, stream


class _Mono:
    """Turns frames of one rate, format and layout into canonical samples."""

    def __init__(self, frame: av.AudioFrame) -> None:
        self._kind = _kind(frame)
        rate, sample_format, layout = self._kind
        channels = frame.layout.nb_channels
        if rate not in _RATES or not 0 < channels <= _MOST_CHANNELS:
            raise _unreadable()
        try:
            self._filters = Filters(rate, sample_format, layout, _mix(layout, channels), rate_out=RATE)
        except _BROKEN as error:
            raise _unreadable() from error

    def takes(self, frame: av.AudioFrame) -> bool:
        return _kind(frame) == self._kind

    def push(self, frame: av.AudioFrame | None) -> Iterator[bytes]:
        if frame:
            frame.pts = None  # a container's broken clock is no reason to lose its sound
        with suppress(*_BROKEN):
            yield from map(samples, self._filters.push(frame))


def _kind(frame: av.AudioFrame) -> tuple[int, str, str]:
    return frame.sample_rate, frame.format.name, frame.layout.name


def _mix(layout: str, channels: int) -> list[tuple[str, str]]:
    """Where it is not known which channel is where, all count the same; FFmpeg knows how to mix the rest."""
    if not layout.endswith(" channels"):
        return []
    return [("pan", "mono|c0<" + "+".join(f"c{channel}" for channel in range(channels)))]
