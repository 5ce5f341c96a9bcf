"""The containers sound comes in: their names, media types, and first bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """A container. `name` is also the file extension that engines expect."""

    name: str
    media_type: str


WAV = Format("wav", "audio/wav")
MP3 = Format("mp3", "audio/mpeg")
FLAC = Format("flac", "audio/flac")
OGG = Format("ogg", "audio/ogg")
OPUS = Format("opus", "audio/ogg; codecs=opus")
PCM = Format("pcm", "audio/pcm;rate=24000;channels=1")
WEBM = Format("webm", "audio/webm")
M4A = Format("m4a", "audio/mp4")
AAC = Format("aac", "audio/aac")

ENOUGH_TO_SNIFF = 16
"""Bytes that `sniff` needs to see."""


def sniff(head: bytes) -> Format | None:
    """What the first bytes of a file say it is; None if no sound begins like that.

    Clients name and type their files carelessly (`application/octet-stream`,
    WAV called `.mp3`), so the bytes alone decide.
    """
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return WAV
    for magic, format_ in _MAGIC:
        if head.startswith(magic):
            return format_
    if head[4:8] == b"ftyp":
        return M4A
    return _mpeg_frame(head)


_MAGIC = (
    (b"fLaC", FLAC),
    (b"OggS", OGG),
    (b"\x1a\x45\xdf\xa3", WEBM),
    (b"ID3", MP3),
)


def _mpeg_frame(head: bytes) -> Format | None:
    """Bare MPEG frames: eleven set bits, then the layer (0 means ADTS, that is AAC)."""
    if len(head) < 2 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return AAC
    return MP3 if head[1] & 0x06 else None


SPOKEN = {"mp3": MP3, "opus": OPUS, "ogg": OPUS, "aac": AAC, "flac": FLAC, "wav": WAV, "pcm": PCM}
"""The formats that text is spoken in, by the names clients give them."""
