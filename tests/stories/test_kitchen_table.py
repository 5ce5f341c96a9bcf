"""Ten sentences at the kitchen table: spoken and heard through one gateway that brought its own engines."""

from __future__ import annotations

import openai

from tests.processes import serve
from tests.words import SENTENCES, word_error


def test_what_is_said_is_heard(tmp_path):
    heard = []
    with serve(tmp_path) as gateway, openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none") as client:
        for sentence in SENTENCES:
            sound = client.audio.speech.create(model="tts-1", voice="alloy", input=sentence)
            heard.append(
                client.audio.transcriptions.create(model="whisper-1", file=("said.mp3", sound.content)).text
            )

    assert word_error(zip(SENTENCES, heard, strict=True)) < 0.20, heard
