from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from spark_control.engines.espeak import perform
from spark_control.engines.espeak_library import Espeak, Line
from spark_control.engines.espeak_voices import VOICES

TEXT = "The kettle on the second shelf is ready for tea."
MIA = "Magpie-Multilingual.EN-US.Mia"


@pytest.fixture
def ask(magpie):
    """A request to a synthesis route, its fields sent as the parts of a multipart form."""

    def asked(route="synthesize", **fields):
        parts = {name: (None, str(value)) for name, value in fields.items()}
        return magpie.post(f"/v1/audio/{route}", files=parts)

    return asked


def samples(wav: bytes):
    with wave.open(io.BytesIO(wav)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_speech_is_one_complete_wav_file(ask):
    answer = ask(text=TEXT, language="en-US", voice=MIA, sample_rate_hz=22050, encoding="LINEAR_PCM")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/wav"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert int.from_bytes(answer.content[4:8], "little") == len(answer.content) - 8
    with wave.open(io.BytesIO(answer.content)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (22050, 1, 2)
        assert len(TEXT) / 28 < file.getnframes() / 22050 < len(TEXT) / 5


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24000, 44100, 48000])
def test_it_speaks_at_the_rate_asked_for(say, rate):
    with wave.open(io.BytesIO(say(TEXT, sample_rate_hz=rate))) as file:
        assert file.getframerate() == rate
        length = file.getnframes() / rate

    assert length == pytest.approx(len(samples(say(TEXT))) / 22050, abs=0.01)


@pytest.mark.parametrize("rate", [22050, 24000])
def test_the_stream_is_the_same_sound_without_a_header(ask, rate):
    whole = ask(text=TEXT, sample_rate_hz=rate)
    stream = ask("synthesize_online", text=TEXT, sample_rate_hz=rate)

    assert "content-length" not in stream.headers
    assert stream.headers["transfer-encoding"] == "chunked"
    assert stream.content == samples(whole.content).tobytes()


def test_a_listener_who_leaves_stops_the_speech():
    pieces: list[bytes] = []

    def listen_to_three(piece):
        pieces.append(piece)
        return len(pieces) < 3

    perform(Espeak(), Line(TEXT * 20, VOICES[MIA], 22050), listen_to_three)

    assert len(pieces) < 6  # a padding, two pieces of speech, a padding and what the resampler held


def test_a_stream_nobody_reads_to_its_end_leaves_the_engine_well(magpie, say):
    fields = {"text": (None, "One sentence follows another. " * 60), "sample_rate_hz": (None, "48000")}
    for _ in range(3):
        with magpie.stream("POST", "/v1/audio/synthesize_online", files=fields) as stream:
            next(stream.iter_raw())

    assert len(samples(say(TEXT))) > 22050


def test_a_listener_who_fails_is_not_swallowed_by_espeak():
    def fail(_piece):
        raise OSError("gone")

    espeak = Espeak()
    with pytest.raises(OSError, match="gone"):
        espeak.say(Line(TEXT, VOICES[MIA], 22050), fail)


def test_the_same_words_are_the_same_bytes_whatever_was_said_between(say):
    first = say(TEXT)
    say("Bonjour madame.", voice="Magpie-Multilingual.FR-FR.Pascal")

    assert say(TEXT) == first


def test_every_voice_speaks_and_no_two_sound_alike(say):
    spoken = {voice: say("Magpie one two three.", voice=voice) for voice in VOICES}

    assert len(set(spoken.values())) == len(VOICES)
    for voice, wav in spoken.items():
        assert np.abs(samples(wav)).max() > 0.2 * 32768, voice
        assert say("Magpie one two three.", voice=voice) == wav, voice


def test_it_is_never_digitally_silent_and_never_clips(say):
    sound = samples(say(TEXT)).astype(float)

    assert 0.45 < np.abs(sound).max() / 32768 < 0.75
    assert 10 < sound[:4000].std() < 30


def test_voices_are_listed_under_one_key_that_is_every_locale(magpie):
    (locales, listed), *others = magpie.get("/v1/audio/list_voices").json().items()

    assert not others
    assert locales.split(",")[:5] == ["en-US", "es-US", "fr-FR", "de-DE", "it-IT"]
    assert listed["voices"] == list(VOICES)
    assert MIA in listed["voices"]
    assert all(voice.split(".")[1].upper() == voice.split(".")[1] for voice in listed["voices"])


@pytest.mark.parametrize(
    "fields",
    [
        {"text": ""},
        {"text": "   "},
        {},
        {"text": "x" * 2001},
        {"text": TEXT, "voice": "Magpie-Multilingual.EN-US.Nobody"},
        {"text": TEXT, "voice": MIA.lower()},
        {"text": TEXT, "voice": MIA, "language": "de-DE"},
        {"text": TEXT, "encoding": "OGGOPUS"},
        {"text": TEXT, "sample_rate_hz": 7999},
        {"text": TEXT, "sample_rate_hz": 48001},
    ],
)
@pytest.mark.parametrize("route", ["synthesize", "synthesize_online"])
def test_what_the_real_one_refuses_is_refused(ask, route, fields):
    answer = ask(route, **{"language": "en-US", **fields})

    assert answer.status_code == 400
    assert isinstance(answer.json()["detail"], str)


def test_two_thousand_characters_are_not_too_many(ask):
    assert ask(text="word " * 399 + "words").status_code == 200


def test_what_it_does_not_know_is_ignored(magpie, say):
    form = {"text": (None, TEXT), "audio_prompt": ("me.wav", b"RIFF"), "prompt_quality": (None, "20")}

    assert magpie.post("/v1/audio/synthesize", files=form).content == say(TEXT)


def test_ssml_is_understood(say):
    plain = len(samples(say("<speak>Hello there my friend</speak>")))
    with_a_break = len(samples(say('<speak>Hello there <break time="900ms"/> my friend</speak>')))
    slowly = len(samples(say('<speak><prosody rate="50%">Hello there my friend</prosody></speak>')))

    # The tags themselves are not read out; espeak ends a paragraph with a longer pause.
    assert plain == pytest.approx(len(samples(say("Hello there my friend"))), abs=0.4 * 22050)
    assert with_a_break > plain + 0.6 * 22050
    assert slowly > 1.4 * plain


def test_ssml_that_names_a_file_does_not_have_it_played(say, tmp_path):
    noise = tmp_path / "noise.wav"
    noise.write_bytes(say("One two three four five six seven eight nine ten."))
    spoken = say(f'<speak>Hello <audio src="{noise}">there</audio></speak>')

    assert len(spoken) < len(noise.read_bytes()) / 2


def test_hours_of_pauses_are_cut_short(say):
    assert len(samples(say("<speak>" + '<break time="600s"/>Yes. ' * 20 + "</speak>"))) < 700 * 22050


def test_text_that_is_not_ssml_is_spoken_as_it_stands(say):
    assert len(say("Salt & pepper < oil > water")) > 1.5 * len(say("Salt pepper"))


def test_it_says_that_it_is_ready_and_alive(magpie):
    assert magpie.get("/v1/health/ready").json() == {"status": "ready"}
    assert magpie.get("/v1/health/live").status_code == 200


def test_it_has_no_openai_route(magpie):
    assert magpie.post("/v1/audio/speech", json={"input": TEXT}).status_code == 404
