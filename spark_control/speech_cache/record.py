"""Pure: how finished speech lies in its file.

    SPARKSP1 | SHA-256 of all that follows it | length of the facts | length of the sound | facts (JSON) | sound

A file is what it should be, or it is nothing: whoever reads one checks all of it.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import asdict, dataclass

from spark_control.audio.formats import SPOKEN

_MAGIC = b"SPARKSP1"
_LENGTHS = struct.Struct(">IQ")
_DIGEST_BYTES = 32
_CHECKED_FROM = len(_MAGIC) + _DIGEST_BYTES
START_BYTES = _CHECKED_FROM + _LENGTHS.size
"""The part of a file that tells how long the others are."""

_MOST_FACTS = 64 * 1024


class Damaged(Exception):
    """A file that is not what it should be."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of finished speech besides its bytes."""

    key: str
    """Its address."""
    revision: str
    """Which engine, model and voice made it."""
    name: str
    """The voice that was asked for."""
    voice: str
    """The voice that spoke, as its engine knows it."""
    model: str
    format: str
    rate: int
    """Hz."""
    seconds: float


_TYPES: dict[str, type | tuple[type, ...]] = {
    "key": str,
    "revision": str,
    "name": str,
    "voice": str,
    "model": str,
    "format": str,
    "rate": int,
    "seconds": (int, float),
}


@dataclass(frozen=True, slots=True)
class Start:
    """What the first bytes of a file say of the others."""

    digest: bytes
    lengths: bytes
    facts_bytes: int
    sound_bytes: int

    @property
    def sound_from(self) -> int:
        """Where in the file the sound begins."""
        return START_BYTES + self.facts_bytes


def written(facts: Facts, sound: bytes | bytearray) -> bytes:
    """What comes before the sound in its file."""
    told = json.dumps(asdict(facts)).encode()
    lengths = _LENGTHS.pack(len(told), len(sound))
    checked = hashlib.sha256(lengths + told)
    checked.update(sound)
    return _MAGIC + checked.digest() + lengths + told


def read_start(head: bytes, file_bytes: int) -> Start:
    """What the first `START_BYTES` of a file of that size tell. Raises Damaged."""
    if len(head) != START_BYTES or not head.startswith(_MAGIC):
        raise Damaged("it does not begin as it should")
    lengths = head[_CHECKED_FROM:]
    facts_bytes, sound_bytes = _LENGTHS.unpack(lengths)
    if facts_bytes > _MOST_FACTS or START_BYTES + facts_bytes + sound_bytes != file_bytes:
        raise Damaged("it is not as long as it should be")
    return Start(head[len(_MAGIC) : _CHECKED_FROM], lengths, facts_bytes, sound_bytes)


def read_facts(told: bytes, key: str) -> Facts:
    """The facts of the speech whose address is `key`. Raises Damaged."""
    try:
        facts = Facts(**json.loads(told))
    except (ValueError, TypeError, RecursionError):
        raise Damaged("its facts cannot be read") from None
    if not all(isinstance(getattr(facts, name), type_) for name, type_ in _TYPES.items()):
        raise Damaged("its facts are of the wrong type")
    if facts.format not in SPOKEN:
        raise Damaged("it is of a format that is not made any more")
    if facts.key != key:
        raise Damaged("it is another's")
    return facts
