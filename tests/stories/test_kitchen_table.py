"""Ten sentences at the kitchen table: spoken and heard through one gateway that brought its own engines."""

from __future__ import annotations

import re

import openai
import pytest

from tests.processes import serve

pytest.importorskip("pocketsphinx", reason="the embedded engines need the extra `engines`")

SENTENCES = [
    "The kettle on the second shelf is ready for tea.",
    "Please turn off the lights in the living room.",
    "What will the weather be like tomorrow morning?",
    "The train to the coast leaves at noon.",
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


def test_what_is_said_is_heard(tmp_path):
    wrong = total = 0
    with serve(tmp_path) as gateway, openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none") as client:
        for sentence in SENTENCES:
            sound = client.audio.speech.create(
                model="tts-1", voice="alloy", input=sentence, response_format="wav"
            )
            text = client.audio.transcriptions.create(
                model="whisper-1", file=("said.wav", sound.content)
            ).text
            wrong += edits(words(sentence), words(text))
            total += len(words(sentence))

    assert wrong / total < 0.20, f"{wrong} of {total} words were misheard"
