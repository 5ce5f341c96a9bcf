"""Pure: what a program or a daemon said, made fit for a sentence that anyone may read."""

from __future__ import annotations

import re

from spark_control.upstreams.refusals import harmless

_CHARACTERS = 300
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PLACE = re.compile(r"/\S|\\\w|\w:\d{2,5}\b|0x[0-9a-f]{6}|\d\.\d+\.\d+\.\d", re.IGNORECASE)


def quoted(said: str) -> str:
    """Its last words, with `…` for paths and addresses; nothing if they hold what looks like a key."""
    printable = "".join(c if c.isprintable() else " " for c in _COLOURS.sub("", said))
    # Word by word: a pattern around the place would look at a word without end once from each of its letters.
    words = " ".join("…" if _PLACE.search(word) else word for word in printable.split())
    return words[-_CHARACTERS:].strip() if harmless(words) else ""


def because(said: str) -> str:
    """The end of a sentence: `: no space left on device`, or nothing."""
    words = quoted(said)
    return f": {words}" if words else ""
