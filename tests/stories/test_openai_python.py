"""PyPI's openai package, unmodified, on a live socket."""

from __future__ import annotations

import openai
import pytest

from tests.fakes.faults import CutOff, Fault, Slow
from tests.fakes.magpie import VOICES, speech_of
from tests.fakes.parakeet import words_of
from tests.live import eventually
from tests.sounds import wav

CLIP = wav(1.0)
HELLO = {"model": "tts-1", "voice": "alloy", "input": "Hello from Python.", "response_format": "wav"}


@pytest.fixture
def client(gateway):
    eventually(lambda: gateway.get("/v1/audio/voices").json()["voices"])
    with openai.OpenAI(base_url=f"{gateway.base_url}/v1", api_key="anything", max_retries=0) as sdk:
        yield sdk


def test_it_lists_models(client):
    assert [model.id for model in client.models.list()] == ["parakeet-tdt-0.6b-v3", "magpie-tts-multilingual"]
    assert client.models.retrieve("tts-1").id == "magpie-tts-multilingual"
    assert len(client.models.retrieve("tts-1").model_dump()["voices"]) == len(VOICES)


def test_it_speaks(client, magpie):
    assert client.audio.speech.create(**HELLO).content == speech_of(magpie.asked[0])


def test_it_speaks_as_a_stream(client, magpie):
    magpie.fault = Slow(after=2000)
    with client.audio.speech.with_streaming_response.create(**HELLO) as answer:
        pieces = answer.iter_bytes(1000)
        heard = next(pieces)
        magpie.fault.released.set()
        heard += b"".join(pieces)

    assert heard == speech_of(magpie.asked[0])


def test_it_names_a_voice_by_an_object(client, magpie):
    client.audio.speech.create(**{**HELLO, "voice": {"id": VOICES[2]}})

    assert magpie.asked[0]["voice"] == VOICES[2]


def test_it_hears_json(client):
    answer = client.audio.transcriptions.create(model="whisper-1", file=("clip.wav", CLIP))

    assert answer.text == words_of(CLIP)


def test_it_hears_text(client):
    answer = client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("clip.webm", CLIP), response_format="text"
    )

    assert answer == words_of(CLIP)


def test_it_hears_verbose_json_with_words(client):
    answer = client.audio.transcriptions.create(
        model="whisper-1",
        file=("clip.wav", CLIP),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )

    assert answer.duration == 1.0
    assert [(word.word, word.start, word.end) for word in answer.words] == [("heard", 0.1, 0.4)]
    assert answer.segments[0].text == words_of(CLIP)
    assert answer.segments[0].no_speech_prob == 0.0


def test_it_reads_the_sentence_of_an_error(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.speech.create(**{**HELLO, "voice": "nobody"})

    assert caught.value.code == "voice_not_found"
    assert caught.value.param == "voice"
    assert "There is no voice 'nobody'" in str(caught.value)
    assert str(caught.value.request_id).startswith("req_")


def test_it_tries_again_when_the_engine_was_loading(client, magpie):
    faults = [Fault(503, b"", {"retry-after": "1"})]
    magpie.fault_for = lambda _: faults.pop() if faults else None
    patient = client.with_options(max_retries=2)

    assert patient.audio.speech.create(**HELLO).read()


def test_half_an_answer_is_never_taken_for_a_whole_one(client, magpie):
    magpie.fault = CutOff(after=5000)
    with pytest.raises(openai.APIConnectionError):
        client.audio.speech.create(**HELLO)
