from __future__ import annotations

import re

SENTENCES = [
    "Please turn off the lights in the kitchen.",
    "We will meet again tomorrow morning at nine.",
    "What is the weather going to be like today?",
    "I would like to order two cups of coffee.",
    "The train to the city leaves in twenty minutes.",
    "The children are playing in the garden.",
    "My brother bought a new car last summer.",
    "It takes about an hour to get to the airport.",
    "The answer to your question is on the next page.",
    "Dinner will be ready in about ten minutes.",
]


def words_of(text):
    return re.sub(r"[^a-z' ]", "", text.lower()).split()


def errors_between(said, heard):
    """Words to insert, delete or replace: Levenshtein's distance."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, start=1):
        above, row = row, [number]
        for column, other in enumerate(heard):
            row.append(min(above[column + 1] + 1, row[-1] + 1, above[column] + (word != other)))
    return row[-1]


def test_parakeet_understands_what_magpie_says(say, hear):
    errors = said = 0
    for sentence in SENTENCES:
        text = hear(say(sentence)).json()["text"]
        errors += errors_between(words_of(sentence), words_of(text))
        said += len(words_of(sentence))

    assert errors / said < 0.20
