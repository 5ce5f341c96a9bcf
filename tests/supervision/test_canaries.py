from __future__ import annotations

import io
import math
import struct
import wave

import pytest

from spark_control.audio.wav import wav_header
from spark_control.supervision.canaries import (
    CLIP,
    CLIP_SECONDS,
    CLIP_TEXT,
    ENOUGH,
    PHRASES,
    judge_speech,
    judge_transcript,
    share_heard,
)
from tests.engines.conftest import engine
from tests.fakes.parakeet import words_of
from tests.sounds import wav, wav_of

RATE = 22_050


@pytest.fixture(scope="module")
def parakeet():
    with engine("parakeet") as client:
        yield client


@pytest.fixture(scope="module")
def magpie():
    with engine("magpie") as client:
        yield client


@pytest.fixture(scope="module")
def hear(parakeet):
    def heard(sound):
        answer = parakeet.post("/v1/audio/transcriptions", files={"file": ("a.wav", sound)})
        return answer.raise_for_status().json()["text"]

    return heard


@pytest.fixture(scope="module")
def say(magpie):
    def said(text, rate=RATE, route="synthesize"):
        form = {"text": (None, text), "sample_rate_hz": (None, str(rate))}
        return magpie.post(f"/v1/audio/{route}", files=form).raise_for_status().content

    return said


def note(seconds, level=3000, rate=RATE):
    count = int(seconds * rate)
    return struct.pack(f"<{count}h", *(round(level * math.sin(each / 10)) for each in range(count)))


def test_the_clip_is_a_few_seconds_as_recognisers_want_them():
    with wave.open(io.BytesIO(CLIP)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert file.getnframes() / 16_000 == CLIP_SECONDS

    assert 3 <= CLIP_SECONDS <= 5
    assert judge_speech(CLIP, 16_000, CLIP_TEXT) is None


def test_a_recogniser_hears_every_word_of_the_clip(hear):
    assert share_heard(CLIP_TEXT, hear(CLIP)) == 1.0


@pytest.mark.parametrize("phrase", PHRASES)
def test_what_one_engine_says_the_other_understands(say, hear, phrase):
    sound = say(phrase)

    assert judge_speech(sound, RATE, phrase) is None
    assert share_heard(phrase, hear(sound)) >= ENOUGH


def test_there_are_phrases_enough_each_long_enough():
    assert len(set(PHRASES)) >= 6
    assert all(len(phrase.split()) >= 8 for phrase in (CLIP_TEXT, *PHRASES))


def test_bare_samples_are_judged_alike(say):
    assert judge_speech(say(PHRASES[0], route="synthesize_online"), RATE, PHRASES[0]) is None


@pytest.mark.parametrize(
    ("words", "transcript", "share"),
    [
        ("We meet at half past nine.", "we meet at half past nine", 1.0),
        ("We meet at half past nine.", "WE MEET, at: half-past… Nine!", 1.0),
        ("Don't stop.", "don\u2019t stop", 1.0),
        ("We meet at half past nine.", "past nine", 1 / 3),
        ("The cat and the dog", "the the the the", 0.4),
        ("The cat and the dog", "the", 0.2),
        ("The cat", "", 0.0),
        ("The cat", "concatenate them", 0.0),
        ("Grüße aus Köln", "grüße aus köln", 1.0),
    ],
)
def test_a_word_counts_as_often_as_it_is_heard_and_punctuation_does_not(words, transcript, share):
    assert share_heard(words, transcript) == pytest.approx(share)


def test_a_transcript_with_most_of_the_words_is_good():
    assert judge_transcript(CLIP_TEXT) is None
    assert judge_transcript("it takes about in our to get to the airport") is None
    assert judge_transcript("we will meet", "We will meet again.") is None


@pytest.mark.parametrize("transcript", ["", "thank you for watching", words_of(b"anything")])
def test_one_without_them_is_not(transcript):
    reason = judge_transcript(transcript)

    assert reason is not None
    assert reason.startswith("only 0% of the canary's words")


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (b"", "0.0 s of sound cannot be the 62 characters"),
        (b"RIFF", "its WAV header makes no sense"),
        (b"RIFF" + bytes(100), "its WAV header makes no sense"),
        (wav_header(RATE, 0), "0.0 s of sound cannot be"),
        (wav_header(RATE, 400_000), "0.0 s of sound cannot be"),
        (wav(4, rate=24_000), "its rate is 24000 Hz, not the 22050 Hz"),
        (wav(2.1, rate=RATE), "2.1 s of sound cannot be"),
        (wav(12.5, rate=RATE), "12.5 s of sound cannot be"),
        (bytes(2 * RATE * 4), "it is silent"),
        (wav_of(note(4, level=100), RATE), "it is silent"),
        (wav_of(note(4), RATE).replace(b"\x10\x00data", b"\x08\x00data"), "its WAV header makes no sense"),
    ],
)
def test_what_cannot_be_the_sentence_is_told_why(sound, reason):
    said = judge_speech(sound, RATE, PHRASES[0])

    assert said is not None
    assert said.startswith(reason)


@pytest.mark.parametrize("seconds", [2.3, 4.0, 12.0])
def test_any_pace_of_speech_is_sane(seconds):
    assert judge_speech(wav_of(note(seconds), RATE), RATE, PHRASES[0]) is None


def test_a_header_that_declares_an_endless_stream_is_sane():
    assert judge_speech(wav_header(RATE) + note(4), RATE, PHRASES[0]) is None


def test_an_odd_byte_at_the_end_is_no_reason():
    assert judge_speech(note(4) + b"\0", RATE, PHRASES[0]) is None
