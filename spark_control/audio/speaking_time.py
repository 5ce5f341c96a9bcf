"""How long a text takes to say, before anybody has said it."""

from __future__ import annotations

import unicodedata

# Seconds a character takes at an unhurried pace. Latin text runs at about 14
# characters a second; a digit is a word of its own ("7" is "seven"); Chinese,
# Japanese and Korean put a syllable or more into each character.
_LETTER = 1 / 14
_DIGIT = 0.3
_SYLLABLE = 0.22


def speaking_time(text: str) -> float:
    """About how many seconds `text` takes to speak at normal speed."""
    if text.isascii():
        digits = sum(map(str.isdigit, text))
        return digits * _DIGIT + (len(text) - digits) * _LETTER
    return sum(map(_seconds, text))


_FASTEST = 28
"""Letters a second that nobody speaks faster than."""


def shortest_time(text: str) -> float:
    """Seconds that `text` takes at the very least. Sound shorter than that has lost some of it."""
    return sum(map(str.isalnum, text)) / _FASTEST


def _seconds(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return _SYLLABLE
    return _DIGIT if character.isdigit() else _LETTER
