"""How well what was said was heard."""

from __future__ import annotations

import re
from collections.abc import Iterable

SENTENCES = [
    "The kettle on the second shelf is ready for tea.",
    "Please turn off the lights in the living room.",
    "What will the weather be like tomorrow morning?",
    "Please close the door and turn off the light.",
    "Remind me to water the plants on Sunday.",
    "My brother is coming home for dinner tonight.",
    "The old house at the end of the street is for sale.",
    "She put the letter on the table next to the window.",
    "We need bread, butter, and milk from the store.",
    "Set a timer for twenty minutes and play some music.",
]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def edits(said: list[str], heard: list[str]) -> int:
    """Levenshtein's distance in words."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        diagonal, row[0] = row[0], number
        for place, other in enumerate(heard, 1):
            diagonal, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, diagonal + (word != other)),
            )
    return row[-1]


def word_error(said_and_heard: Iterable[tuple[str, str]]) -> float:
    """The part of all words, pooled, that was misheard."""
    pairs = [(words(said), words(heard)) for said, heard in said_and_heard]
    return sum(edits(*pair) for pair in pairs) / sum(len(said) for said, _ in pairs)
