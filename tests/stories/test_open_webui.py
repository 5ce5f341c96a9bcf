"""Open WebUI: a browser's microphone comes in, answers are read aloud, and an administrator picks the voice."""

from __future__ import annotations

import http.client
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fakes.faults import CutOff, Fault
from tests.fakes.magpie import VOICES, speech_of
from tests.fakes.parakeet import words_of
from tests.live import eventually
from tests.sounds import recording, wav
from tests.stories.sound import played
from tests.stories.wire import FORM, form, part, post, post_json

SENTENCE = "The kettle on the second shelf is ready for tea, and the bread is still warm."
NAME = "2f1c8a52-6c0e-4c86-9f53-1f7d4d3a7b10"


def read_aloud(gateway, params=None, **headers):
    """`params` is what the administrator typed as additional parameters."""
    body = {"input": SENTENCE, "voice": "alloy", "model": "tts-1", **(params or {})}
    return post_json(gateway, "/v1/audio/speech", body, Authorization="Bearer ", **headers)


# What there is to choose from. Open WebUI asks without a key.


def test_the_administrator_is_offered_the_model_that_speaks(gateway):
    data = gateway.get("/v1/audio/models").json()

    assert [model["id"] for model in data.get("models", [])] == ["magpie-tts-multilingual"]


def test_the_administrator_is_offered_every_voice(gateway):
    eventually(lambda: gateway.get("/v1/audio/voices").json()["voices"])
    data = gateway.get("/v1/audio/voices").json()

    assert {voice["id"]: voice["name"] for voice in data["voices"]} == {voice: voice for voice in VOICES}


def test_sixty_voices_do_not_become_sixty_chat_models(gateway):
    data = gateway.get("/v1/models", headers={"Authorization": "Bearer anything"}).json()["data"]

    assert [model.get("name") or model["id"] for model in data] == [
        "parakeet-tdt-0.6b-v3",
        "magpie-tts-multilingual",
    ]


# Reading aloud.


def test_an_answer_read_aloud_is_an_mp3_though_nobody_asked_for_one(gateway, magpie):
    answer = read_aloud(gateway)

    assert answer.status == 200
    assert answer.headers.get_content_type() == "audio/mpeg", "any other type would be converted first"
    sound = played(answer.body, declared="mp3")
    assert sound.seconds == pytest.approx(played(speech_of(magpie.asked[0])).seconds, abs=0.2)


def test_additional_parameters_are_obeyed(gateway):
    assert read_aloud(gateway, {"response_format": "wav", "speed": 1.1}).body.startswith(b"RIFF")


def test_bare_samples_say_how_they_are_to_be_wrapped(gateway, magpie):
    answer = read_aloud(gateway, {"response_format": "pcm"})

    assert answer.headers.get_content_type() == "audio/pcm"
    rate, channels = int(answer.headers.get_param("rate")), int(answer.headers.get_param("channels"))
    seconds = len(answer.body) / (2 * channels * rate)
    assert seconds == pytest.approx(played(speech_of(magpie.asked[0])).seconds, abs=0.01)


def test_half_an_answer_is_never_whole_since_it_would_be_cached_for_ever(gateway, magpie):
    magpie.fault = CutOff(after=100_000)

    with pytest.raises(http.client.IncompleteRead):
        read_aloud(gateway)


def test_a_failure_is_never_a_200_since_it_would_be_cached_for_ever(gateway, magpie):
    magpie.fault = Fault(200, b"<html>busy</html>", {"content-type": "text/html"})

    assert read_aloud(gateway).status == 502


def test_who_is_logged_in_is_not_told_to_the_engine(gateway, magpie):
    who = {"X-OpenWebUI-User-Name": "Ada%20L", "X-OpenWebUI-User-Email": "ada@example.org"}
    read_aloud(gateway, **who)

    assert not [name for name in magpie.headers[0] if "openwebui" in name]


# Listening.


def says(gateway, file, language=None):
    spoken = [part("language", language, type_="text/plain; charset=utf-8")] if language else []
    body = form(part("model", "whisper-1", type_="text/plain; charset=utf-8"), *spoken, file)
    return post(gateway, "/v1/audio/transcriptions", body, {**FORM, "Authorization": "Bearer anything"})


@pytest.mark.parametrize(
    ("container", "type_"),
    [
        ("mp3", "audio/mpeg"),
        ("webm", "video/webm"),
        ("wav", "audio/x-wav"),
        ("mp3", "application/octet-stream"),
    ],
)
def test_what_was_said_is_typed_whatever_the_file_claims_to_be(gateway, parakeet, container, type_):
    file = part("file", recording(container), filename=f"{NAME}.{container}", type_=type_)
    answer = says(gateway, file, language="en")

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    heard = parakeet.heard[0]
    assert answer.json()["text"] == words_of(heard.data)
    assert heard.fields["language"] == "en"
    assert played(heard.data).rate == 16_000


def test_an_old_release_says_nothing_of_what_the_file_is(gateway, parakeet):
    body = form(part("model", "whisper-1"), part("file", recording("mp3"), filename=f"{NAME}.mp3"))
    answer = post(gateway, "/v1/audio/transcriptions", body, FORM)

    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json()["text"] == words_of(parakeet.heard[0].data)


def test_the_chunks_of_a_long_recording_come_all_at_once_and_each_gets_its_own_words(gateway):
    clips = [wav(1.0, seed=bytes([number])) for number in range(6)]
    files = [part("file", clip, filename=f"{NAME}_{number}.wav") for number, clip in enumerate(clips)]
    with ThreadPoolExecutor(len(files)) as pool:
        answers = list(pool.map(lambda file: says(gateway, file), files))

    assert [answer.json()["text"] for answer in answers] == [words_of(clip) for clip in clips]


def test_a_failure_is_a_sentence_that_its_user_gets_to_see_and_comes_as_often_as_it_is_asked(
    gateway, parakeet
):
    """It posts the same file again at once, without the language, and shows what the last answer said."""
    parakeet.fault = Fault(500, b'{"detail":"CUDA error: an illegal memory access"}')
    file = part("file", wav(1.0), filename=f"{NAME}.wav", type_="audio/x-wav")
    for language in ("en", None):
        answer = says(gateway, file, language)

        assert answer.status == 503
        assert answer.json()["error"]["message"].startswith("Speech-to-text ")
