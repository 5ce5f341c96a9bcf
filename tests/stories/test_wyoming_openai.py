"""wyoming_openai, which gives Home Assistant's voice assistants any server that speaks OpenAI's API."""

from __future__ import annotations

import io
import wave
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from tests.fakes.magpie import VOICES, speech_of
from tests.fakes.parakeet import words_of
from tests.live import eventually
from tests.sounds import wav

COMMAND = wav(1.0)
CHUNK = 2048


@pytest.fixture
def client(gateway):
    eventually(lambda: gateway.get("/v1/audio/voices").json()["voices"])
    with openai.OpenAI(base_url=f"{gateway.base_url}/v1", api_key="unused", max_retries=0) as sdk:
        yield sdk


def backend(gateway):
    """The questions by which it finds out whom it talks to, in its order and without a key."""
    if gateway.get("/v1/readyz").is_success:
        return "LOCALAI"
    health = gateway.get("/health")
    if health.is_success and health.text == "OK":
        return "SPEACHES"
    test = gateway.get("/v1/test")
    if test.is_success and test.json().get("status") == "ok":
        return "KOKORO_FASTAPI"
    return "OPENAI"


def test_it_takes_the_gateway_for_a_server_whose_voices_it_can_list(gateway):
    assert backend(gateway) == "SPEACHES"


def test_nothing_answers_where_other_servers_are_recognised(gateway):
    assert gateway.get("/v1/readyz").status_code == 404
    assert gateway.get("/v1/test").status_code == 404


@pytest.mark.parametrize("model", ["tts-1", "gpt-4o-mini-tts", "magpie-tts-multilingual"])
def test_home_assistant_is_offered_every_voice_of_the_model(client, gateway, model):
    page = gateway.get(f"/v1/models/{model}").json()

    assert [voice["name"] for voice in page["voices"]] == VOICES


def test_a_model_s_name_may_have_a_slash(gateway_with, upstreams):
    magpie = {**upstreams["magpie"], "model": "nvidia/magpie-tts"}
    with gateway_with(upstreams={"magpie": magpie}) as gateway:
        eventually(lambda: gateway.get("/v1/audio/voices").json()["voices"])

        assert len(gateway.get("/v1/models/nvidia/magpie-tts").json()["voices"]) == len(VOICES)


def spoken(client, text):
    """The format that the first chunk tells, and the samples of all of them."""
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice=VOICES[0], input=text, response_format="wav"
    ) as answer:
        chunks = answer.iter_bytes(CHUNK)
        first = next(chunks)
        with wave.open(io.BytesIO(first)) as header:
            told = (header.getframerate(), header.getsampwidth(), header.getnchannels())
        return told, first[44:] + b"".join(chunks)


def test_the_first_chunk_of_a_sentence_tells_how_it_sounds(client, magpie):
    told, samples = spoken(client, "The door is open.")

    assert told == (22_050, 2, 1)
    assert samples == speech_of(magpie.asked[0])[44:]


def test_so_does_the_first_chunk_of_an_answer_so_long_that_nobody_knows_its_length_yet(client, magpie):
    told, samples = spoken(
        client, " ".join(f"This is sentence number {each} of the news." for each in range(12))
    )

    assert len(magpie.asked) > 1
    assert told == (22_050, 2, 1)
    assert samples == b"".join(speech_of(asked)[44:] for asked in magpie.asked)


def test_three_sentences_at_once_are_not_mixed_up(client, magpie):
    sentences = ["One is the lamp.", "Two is the heating in the hall.", "Three is the radio."]
    with ThreadPoolExecutor(3) as pool:
        heard = list(pool.map(lambda sentence: spoken(client, sentence)[1], sentences))

    by_text = {asked["text"]: speech_of(asked)[44:] for asked in magpie.asked}
    assert heard == [by_text[sentence] for sentence in sentences]


def test_a_command_is_understood_though_no_language_is_told(client, parakeet):
    answer = client.audio.transcriptions.create(
        model="whisper-1",
        file=("recording.wav", COMMAND),
        response_format="json",
        extra_body={"vad_filter": False},  # what it adds for such a server
    )

    assert answer.text == words_of(COMMAND)
    assert "vad_filter" not in parakeet.heard[0].fields


def test_a_command_is_understood_as_a_stream(client):
    events = client.audio.transcriptions.create(
        model="whisper-1", file=("recording.wav", COMMAND), response_format="json", stream=True
    )
    heard, done = "", None
    for event in events:
        if event.type == "transcript.text.delta":
            heard += event.delta
        elif event.type == "transcript.text.done":
            done = event.text

    assert heard == done == words_of(COMMAND)
