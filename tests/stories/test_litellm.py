"""LiteLLM, a gateway of its own in front of this one: the openai package, and verbose_json whatever was asked."""

from __future__ import annotations

import openai
import pytest

from tests.fakes.parakeet import words_of
from tests.sounds import recording, wav

CLIP = wav(3.0)


@pytest.fixture
def client(gateway):
    with openai.OpenAI(base_url=f"{gateway.base_url}/v1", api_key="anything", max_retries=0) as sdk:
        yield sdk


def transcribed(client, file, **fields):
    """What it makes its own answer of: the parsed body and the headers."""
    raw = client.audio.transcriptions.with_raw_response.create(
        model="whisper-1", file=file, response_format="verbose_json", timeout=600, **fields
    )
    return raw.parse().model_dump(), raw.headers


def test_it_gets_the_verbose_json_that_it_asks_for_in_everybody_s_name(client):
    told, headers = transcribed(client, ("clip.wav", CLIP), timestamp_granularities=["segment"])

    assert told["text"] == words_of(CLIP)
    assert told["segments"][0]["text"] == words_of(CLIP)
    assert headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("container", ["wav", "mp3", "webm"])
def test_it_reckons_the_price_by_the_duration(client, container):
    told, _ = transcribed(client, (f"clip.{container}", recording(container, 3.0)))

    assert told["duration"] == pytest.approx(3.0, abs=0.1)
