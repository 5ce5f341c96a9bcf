"""RIFF headers: what a WAV file says about itself."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_PCM = 1
"""The format tag of bare samples."""

HEADER_BYTES = 44
"""A plain PCM header. An answer no longer than this has no sound in it."""


UNKNOWN_SIZE = 0xFFFFFFFF
"""Stands in a WAV header for the size of a stream that has not ended. Players refuse 0."""


@dataclass(frozen=True, slots=True)
class WavHeader:
    """Rate in Hz, and how many bytes make a second."""

    rate: int
    channels: int
    bytes_per_second: int
    data_starts: int
    """Offset of the first sample."""
    data_bytes: int
    """As declared; a streamed file may declare 0xFFFFFFFF or 0."""
    format_tag: int
    """1 is integer PCM."""
    bits: int
    """Of one sample of one channel."""

    def duration(self, file_bytes: int) -> float:
        """Seconds of sound in a file of `file_bytes`, whatever the header declares."""
        return self.held(file_bytes) / self.bytes_per_second

    def held(self, file_bytes: int) -> int:
        """Bytes of sound in such a file."""
        there = max(0, file_bytes - self.data_starts)
        return min(self.data_bytes or there, there)


def read_header(head: bytes) -> WavHeader | None:
    """The header that begins `head`, chunks in any order; None if it is not one or is cut short."""
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    offset, layout = 12, None
    while offset + 8 <= len(head):
        name, size = struct.unpack_from("<4sI", head, offset)
        if name == b"fmt " and offset + 24 <= len(head):
            layout = struct.unpack_from("<HHIIHH", head, offset + 8)
        if name == b"data":
            return _header(layout, offset + 8, size)
        offset += 8 + size + size % 2
    return None


def _header(layout: tuple[int, ...] | None, data_starts: int, data_bytes: int) -> WavHeader | None:
    if layout is None:
        return None
    format_tag, channels, rate, bytes_per_second, _, bits = layout
    if format_tag == _PCM and bits >= 8:
        bytes_per_second = rate * channels * bits // 8  # what the file says of it may be wrong
    if not (channels and rate and bytes_per_second):
        return None
    return WavHeader(rate, channels, bytes_per_second, data_starts, data_bytes, format_tag, bits)


def wav_header(rate: int, pcm_bytes: int = UNKNOWN_SIZE) -> bytes:
    """The 44 bytes before `pcm_bytes` bytes of s16le mono PCM at `rate` Hz."""
    riff_size = min(36 + pcm_bytes, UNKNOWN_SIZE)
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    data_size = min(pcm_bytes, UNKNOWN_SIZE)
    return (
        struct.pack("<4sI4s", b"RIFF", riff_size, b"WAVE") + layout + struct.pack("<4sI", b"data", data_size)
    )
