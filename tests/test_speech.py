"""`POST /v1/audio/speech`."""

from __future__ import annotations

import base64
import io
import json

import av
import httpx
import pytest

from spark_control.audio.formats import MP3, sniff
from spark_control.audio.speaking_time import speaking_time
from tests.fakes.faults import CutOff, Fault
from tests.fakes.magpie import speech_of
from tests.live import eventually
from tests.sounds import seconds, wav

MIA = "Magpie-Multilingual.EN-US.Mia"
HELLO = {"model": "tts-1", "input": "Hello there, kettle.", "voice": MIA, "response_format": "wav"}


def speak(gateway, **changes):
    body = {name: value for name, value in {**HELLO, **changes}.items() if value is not ...}
    return gateway.post("/v1/audio/speech", json=body)


def test_speech_is_spoken_by_magpie_and_passed_on_byte_for_byte(gateway, magpie):
    answer = speak(gateway)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.content == speech_of(magpie.asked[0])
    assert magpie.asked == [
        {
            "text": "Hello there, kettle.",
            "language": "en-US",
            "voice": MIA,
            "sample_rate_hz": "22050",
            "encoding": "LINEAR_PCM",
        }
    ]


def test_the_answer_says_which_model_and_voice_spoke(gateway):
    answer = speak(gateway, voice="ALLOY")

    assert (answer.headers["x-model"], answer.headers["x-voice"]) == ("magpie-tts-multilingual", MIA)
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize(
    ("asked", "voice", "language"),
    [
        (MIA.lower(), MIA, "en-US"),
        ("magpie-multilingual.ES-us.diego", "Magpie-Multilingual.ES-US.Diego", "es-US"),
        ({"id": "Magpie-Multilingual.DE-DE.Sofia"}, "Magpie-Multilingual.DE-DE.Sofia", "de-DE"),
        ("ash", "Magpie-Multilingual.EN-US.Jason", "en-US"),
        ("verse", "Magpie-Multilingual.EN-US.Leo", "en-US"),
        ("default", MIA, "en-US"),
        ("", MIA, "en-US"),
        (None, MIA, "en-US"),
        (..., MIA, "en-US"),
    ],
)
def test_a_voice_is_found_by_any_of_its_names_and_sent_by_its_own(gateway, magpie, asked, voice, language):
    assert speak(gateway, voice=asked).status_code == 200
    assert (magpie.asked[0]["voice"], magpie.asked[0]["language"]) == (voice, language)


def test_the_owner_names_voices(gateway_with, magpie):
    with gateway_with(
        voices={"Kitchen": "Magpie-Multilingual.FR-FR.Pascal", "alloy": "Magpie-Multilingual.ES-US.Mia"}
    ) as gateway:
        speak(gateway, voice="kitchen")
        speak(gateway, voice="alloy")

    assert [asked["language"] for asked in magpie.asked] == ["fr-FR", "es-US"]


def test_an_own_name_for_a_voice_that_is_not_there_is_told(gateway_with, magpie):
    with gateway_with(voices={"kitchen": "Magpie-Multilingual.XX-XX.Nobody"}) as gateway:
        answer = speak(gateway, voice="kitchen")

    assert answer.status_code == 400
    assert "Magpie-Multilingual.XX-XX.Nobody" in answer.json()["error"]["message"]


@pytest.mark.parametrize("format_", [None, ..., "mp3", "MP3", ""])
def test_mp3_is_the_answer_unless_another_format_is_named(gateway, format_):
    answer = speak(gateway, response_format=format_)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["content-disposition"] == 'inline; filename="speech.mp3"'
    assert sniff(answer.content) is MP3


@pytest.mark.parametrize(
    ("format_", "media_type", "codec"),
    [
        ("mp3", "audio/mpeg", "mp3"),
        ("opus", "audio/ogg; codecs=opus", "opus"),
        ("ogg", "audio/ogg; codecs=opus", "opus"),
        ("aac", "audio/aac", "aac"),
        ("flac", "audio/flac", "flac"),
        ("wav", "audio/wav", "pcm_s16le"),
    ],
)
def test_every_format_is_what_it_says_it_is_and_lasts_as_long_as_what_was_spoken(
    gateway, magpie, format_, media_type, codec
):
    answer = speak(gateway, response_format=format_)

    assert answer.headers["content-type"] == media_type
    with av.open(io.BytesIO(answer.content)) as sound:
        (stream,) = sound.streams.audio
        assert stream.codec_context.name.startswith(codec)
        assert stream.codec_context.channels == 1
    assert seconds(answer.content) == pytest.approx(seconds(speech_of(magpie.asked[0])), abs=0.1)


def test_pcm_is_24_khz_s16le_mono_without_a_header(gateway, magpie):
    answer = speak(gateway, response_format="pcm")

    assert answer.headers["content-type"] == "audio/pcm;rate=24000;channels=1"
    assert len(answer.content) % 2 == 0
    assert len(answer.content) / 48_000 == pytest.approx(seconds(speech_of(magpie.asked[0])), abs=0.01)


LONG = " ".join(
    f"This is sentence number {number} of a text that takes a while to say." for number in range(40)
)


def test_long_text_is_spoken_in_pieces_in_order_without_a_word_lost_or_repeated(gateway, magpie):
    answer = speak(gateway, input=LONG)

    assert "".join(asked["text"] for asked in magpie.asked) == LONG
    assert all(speaking_time(asked["text"]) <= 15 for asked in magpie.asked)
    assert speaking_time(magpie.asked[0]["text"]) < 6, "the first piece is short, so that sound starts early"
    # A streamed WAV: the header says that nobody knows yet how long it will be.
    assert answer.content[:4] + answer.content[8:12] == b"RIFFWAVE"
    assert answer.content[4:8] == answer.content[40:44] == b"\xff\xff\xff\xff"
    assert answer.content[44:] == b"".join(speech_of(asked)[44:] for asked in magpie.asked)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_pieces_are_spoken_ahead_within_the_engine_s_concurrency(
    gateway_with, upstreams, magpie, concurrency
):
    settings = {"m": {**upstreams["magpie"], "pieces": concurrency}}
    magpie.linger = 0.02
    with gateway_with(upstreams=settings) as gateway:
        answer = speak(gateway, input=LONG)

    assert magpie.most_at_once == concurrency
    assert answer.content[44:] == b"".join(
        speech_of(asked)[44:] for asked in sorted(magpie.asked, key=lambda asked: LONG.index(asked["text"]))
    )


def test_long_text_in_mp3_is_one_continuous_stream(gateway, magpie):
    answer = speak(gateway, input=LONG, response_format="mp3")

    spoken = sum(seconds(speech_of(asked)) for asked in magpie.asked)
    assert seconds(answer.content) == pytest.approx(spoken, abs=0.2)


def test_what_nobody_says_is_left_out(gateway, magpie):
    speak(gateway, input="# News\n\nIt is **very** warm 🌞: 31 °C, see [the map](https://example.com/a?b=1).")

    said = magpie.asked[0]["text"]
    assert "very" in said
    assert "31 °C" in said
    assert "the map" in said
    assert not {"#", "*", "🌞", "[", "example"} & set(said)


def test_the_owner_may_have_everything_said_as_it_is(gateway_with, magpie):
    with gateway_with(speech={"clean": False}) as gateway:
        speak(gateway, input="It is **very** warm.")

    assert magpie.asked[0]["text"] == "It is **very** warm."


SSML = '<speak>One <break time="150ms"/> two &amp; three.</speak>'


def test_ssml_goes_whole_to_an_engine_that_takes_it(gateway, magpie):
    assert speak(gateway, input=SSML).status_code == 200
    assert magpie.asked[0]["text"] == SSML


def test_the_speed_of_ssml_is_changed_afterwards(gateway, magpie):
    answer = speak(gateway, input=SSML, speed=2.0, response_format="flac")

    assert magpie.asked[0]["text"] == SSML
    assert seconds(answer.content) == pytest.approx(seconds(speech_of(magpie.asked[0])) / 2, abs=0.1)


@pytest.mark.parametrize(
    ("voice", "instructions", "spoken_by"),
    [
        (MIA, "Speak in a calm and friendly voice.", f"{MIA}.Calm"),
        ("alloy", "CALM!", f"{MIA}.Calm"),
        (MIA, "Calmly, please.", MIA),
        (MIA, "Sound angry.", MIA),
        ("Magpie-Multilingual.EN-US.Jason", "calm", "Magpie-Multilingual.EN-US.Jason"),
        (MIA, "None", MIA),
        (MIA, "", MIA),
    ],
)
def test_instructions_may_name_an_emotion_that_the_voice_has(gateway, magpie, voice, instructions, spoken_by):
    speak(gateway, voice=voice, instructions=instructions)

    assert magpie.asked[0]["voice"] == spoken_by


def test_events_bring_the_sound_in_base64_and_say_when_it_is_done(gateway):
    whole = speak(gateway, response_format="mp3").content
    answer = speak(gateway, response_format="mp3", stream_format="sse")

    assert answer.headers["content-type"] == "text/event-stream"
    *lines, end = answer.text.split("\n\n")
    assert end == ""
    told = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert {each["type"] for each in told[:-1]} == {"speech.audio.delta"}
    assert b"".join(base64.b64decode(each["audio"]) for each in told[:-1]) == whole
    assert told[-1]["type"] == "speech.audio.done"
    assert set(told[-1]["usage"]) == {"input_tokens", "output_tokens", "total_tokens"}


@pytest.mark.parametrize(("format_", "rate"), [("wav", 22_050), ("pcm", 24_000), ("mp3", 22_050)])
def test_base64_comes_with_true_facts(gateway, magpie, format_, rate):
    whole = speak(gateway, response_format=format_).content
    told = gateway.post("/v1/audio/speech/base64", json={**HELLO, "response_format": format_}).json()

    assert base64.b64decode(told["audio"]) == whole
    assert (told["format"], told["sample_rate"]) == (format_, rate)
    assert told["duration_ms"] == pytest.approx(seconds(speech_of(magpie.asked[0])) * 1000, abs=2)


def test_a_batch_is_a_line_for_each_item_with_its_sound_or_its_error(gateway):
    items = [
        "One.",
        {"input": "Two.", "response_format": "flac"},
        {"input": "Three.", "voice": "nobody"},
        7,
        {},
    ]
    answer = gateway.post(
        "/v1/audio/speech/batch", json={"inputs": items, "voice": "nova", "response_format": "wav"}
    )

    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = sorted((json.loads(line) for line in answer.text.splitlines()), key=lambda line: line["index"])
    assert [line["index"] for line in lines] == [0, 1, 2, 3, 4]
    assert base64.b64decode(lines[0]["audio"]) == speak(gateway, input="One.", voice="nova").content
    assert (lines[1]["format"], lines[1]["voice"]) == ("flac", "Magpie-Multilingual.EN-US.Isabela")
    assert [line["error"]["code"] for line in lines[2:]] == [
        "voice_not_found",
        "invalid_type",
        "missing_required_parameter",
    ]


@pytest.mark.parametrize("inputs", [[], "text", None, ["x"] * 101])
def test_a_batch_of_nothing_or_too_much_is_refused(gateway, inputs):
    answer = gateway.post("/v1/audio/speech/batch", json={"inputs": inputs})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "inputs")


def test_a_batch_with_a_wrong_header_is_refused_as_a_whole(gateway):
    answer = gateway.post(
        "/v1/audio/speech/batch", json={"inputs": ["One."]}, headers={"x-spark-patience": "long"}
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_parameter")


def test_a_voice_can_be_tried_in_its_own_language(gateway, magpie):
    answer = gateway.get("/v1/audio/voices/Magpie-Multilingual.DE-DE.Sofia/preview")

    assert answer.headers["content-type"] == "audio/mpeg"
    assert magpie.asked[0]["text"].startswith("Guten Tag")
    assert gateway.get("/v1/audio/voices/nobody/preview").status_code == 404


def test_a_sample_in_a_format_that_cannot_be_made_is_refused(gateway):
    answer = gateway.get("/v1/audio/voices/alloy/preview?response_format=mp5")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_format")


def test_a_text_over_the_owner_s_limit_is_refused(gateway_with):
    with gateway_with(speech={"max_characters": 100}) as gateway:
        assert speak(gateway, input="a" * 100).status_code == 200
        assert speak(gateway, input="a" * 101).json()["error"]["code"] == "string_above_max_length"


def test_unknown_fields_and_foreign_models_are_ignored(gateway):
    assert speak(gateway, model="gpt-4o-mini-tts", seed=7, lang_code="a", stream=True).status_code == 200


def test_a_body_is_json_whatever_its_content_type_says(gateway):
    answer = gateway.post(
        "/v1/audio/speech", content=b'{"input": "Hello"}', headers={"content-type": "text/plain"}
    )

    assert answer.status_code == 200


def test_speed_is_asked_of_magpie_as_prosody_with_the_text_escaped(gateway, magpie):
    assert speak(gateway, input="Salt & pepper <3", speed=1.5).status_code == 200

    assert magpie.asked[0]["text"] == (
        '<speak><prosody rate="150%">Salt &amp; pepper &lt;3</prosody></speak>'
    )


@pytest.mark.parametrize(
    ("changes", "status", "code", "param", "sentence"),
    [
        ({"input": ""}, 400, "invalid_value", "input", "input is empty"),
        ({"input": " \n "}, 400, "invalid_value", "input", "input is empty"),
        ({"input": ...}, 400, "missing_required_parameter", "input", "input is missing"),
        ({"input": 5}, 400, "invalid_type", "input", "input must be a string"),
        ({"input": ["a"]}, 400, "invalid_type", "input", "input must be a string"),
        ({"input": "a" * 4097}, 400, "string_above_max_length", "input", "4,096 characters"),
        ({"input": "👍 --- 🎉"}, 400, "nothing_to_say", "input", "nothing in input to say"),
        ({"stream_format": "rss"}, 400, "invalid_value", "stream_format", '"audio" or "sse"'),
        ({"voice": "Mia"}, 400, "voice_not_found", "voice", f"Did you mean {MIA}"),
        ({"voice": "aloy"}, 400, "voice_not_found", "voice", "Did you mean alloy"),
        ({"voice": "zzzzz"}, 400, "voice_not_found", "voice", "GET /v1/audio/voices lists"),
        ({"voice": 7}, 400, "invalid_type", "voice", "voice must be a string"),
        (
            {"response_format": "exe"},
            400,
            "unsupported_format",
            "response_format",
            "'exe' cannot be made; ask for mp3",
        ),
        ({"speed": 0.2}, 400, "invalid_value", "speed", "from 0.25 to 4"),
        ({"speed": 4.1}, 400, "invalid_value", "speed", "from 0.25 to 4"),
        ({"speed": "fast"}, 400, "invalid_value", "speed", "from 0.25 to 4"),
    ],
)
def test_what_cannot_be_spoken_is_refused_in_a_sentence(
    gateway, magpie, changes, status, code, param, sentence
):
    answer = speak(gateway, **changes)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert error["type"] == "invalid_request_error"
    assert sentence in error["message"]
    assert answer.json()["detail"] == error["message"]
    assert magpie.asked == []


def test_a_slower_pace_makes_more_pieces(gateway, magpie):
    text = "This sentence takes about four seconds to say at the pace. " * 3

    speak(gateway, input=text)
    assert len(magpie.asked) == 1
    speak(gateway, input=text, speed=0.5)
    assert len(magpie.asked) > 3


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"null"])
def test_a_body_that_is_no_json_object_is_refused(gateway, body):
    answer = gateway.post("/v1/audio/speech", content=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in ("invalid_json", "invalid_type")


def test_a_body_of_megabytes_is_not_read(gateway):
    answer = gateway.post("/v1/audio/speech", content=b"{" + b" " * 5_000_000)

    assert answer.status_code == 413


@pytest.mark.parametrize("format_", ["wav", "mp3", "pcm"])
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault(500, b'{"detail": "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"}'), 503, "service_unavailable"),
        (Fault(500, b""), 503, "service_unavailable"),
        (Fault(200, b"<html>It works!</html>", {"content-type": "text/html"}), 502, "upstream_garbage"),
        (CutOff(after=0), 502, "upstream_error"),
        (Fault(503, b"", {"retry-after": "17"}), 503, "service_loading"),
        (Fault(429, b"", {"retry-after": "3"}), 429, "rate_limit_exceeded"),
        (Fault(401, b'{"detail": "no key"}'), 502, "upstream_refused_key"),
        (Fault(404, b"Not Found"), 502, "upstream_not_understood"),
        (Fault(302, b"", {"location": "/elsewhere"}), 502, "upstream_not_understood"),
        (Fault(504, b""), 504, "upstream_timeout"),
    ],
)
def test_an_engine_that_fails_before_its_first_sound_is_an_honest_error(
    gateway, magpie, fault, status, code, format_
):
    magpie.fault = fault

    answer = speak(gateway, response_format=format_)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "CUDA" not in answer.text
    assert "127.0.0.1" not in answer.text
    assert len(magpie.asked) == 1, "what an engine has been given is not sent again"


def test_an_engine_that_is_loading_says_for_how_long(gateway, magpie):
    magpie.fault = Fault(503, b"", {"retry-after": "17"})

    assert speak(gateway).headers["retry-after"] == "17"


BARE_HEADER = b"RIFF\x24\x00\x00\x00WAVE" + b"\x00" * 32


@pytest.mark.parametrize(
    ("format_", "fault", "code"),
    [
        ("wav", Fault(200, b""), "upstream_garbage"),
        ("wav", Fault(200, BARE_HEADER), "upstream_garbage"),
        ("wav", CutOff(after=20), "upstream_error"),
        ("wav", Fault(200, wav(0.1, 22_050)), "upstream_cut_short"),
        ("mp3", Fault(200, b""), "upstream_cut_short"),
        ("mp3", Fault(200, b"\x00"), "upstream_cut_short"),
        ("mp3", Fault(200, bytes(1000)), "upstream_cut_short"),
        ("pcm", CutOff(after=20), "upstream_error"),
    ],
)
def test_silence_is_never_a_good_answer(gateway, magpie, format_, fault, code):
    magpie.fault = fault

    answer = speak(gateway, response_format=format_)

    assert (answer.status_code, answer.json()["error"]["code"]) == (502, code)


@pytest.mark.parametrize("format_", ["wav", "mp3", "opus", "flac", "pcm"])
@pytest.mark.parametrize("fault", [CutOff(after=30_000), Fault(200, b"\x01\x02" * 15_000)])
def test_sound_that_ends_too_early_breaks_the_connection(gateway, magpie, format_, fault):
    """In the third piece of a long text the engine breaks off, or says less than its words need."""
    magpie.fault_for = lambda number: fault if number == 3 else None
    with gateway.stream(
        "POST", "/v1/audio/speech", json={**HELLO, "input": LONG, "response_format": format_}
    ) as got:
        assert got.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            got.read()


def test_after_a_broken_answer_nothing_more_is_asked_of_the_engine(gateway, magpie):
    magpie.fault_for = lambda number: Fault(500) if number == 2 else None
    with pytest.raises(httpx.RemoteProtocolError):
        speak(gateway, input=LONG)

    eventually(lambda: gateway.get("/health").text)
    assert len(magpie.asked) <= 4


def test_an_engine_that_never_stops_talking_is_stopped(gateway, magpie, monkeypatch):
    monkeypatch.setattr("spark_control.speaking._ENDLESS", 2)
    magpie.fault = Fault(200, bytes(200_000))

    with pytest.raises(httpx.RemoteProtocolError):
        speak(gateway, response_format="pcm")


def test_a_batch_of_many_is_spoken_to_its_end(gateway):
    """More items than may be spoken ahead of the client."""
    answer = gateway.post(
        "/v1/audio/speech/batch", json={"inputs": [f"Number {each}." for each in range(30)]}
    )

    assert sorted(json.loads(line)["index"] for line in answer.text.splitlines()) == list(range(30))


def test_a_batch_asks_no_more_of_the_engine_at_once_than_one_text(gateway_with, upstreams, magpie):
    magpie.linger = 0.02
    with gateway_with(upstreams={"m": {**upstreams["magpie"], "pieces": 2}}) as gateway:
        gateway.post("/v1/audio/speech/batch", json={"inputs": [LONG] * 4, "response_format": "pcm"})

    assert magpie.most_at_once == 2


def test_half_a_sample_breaks_the_connection(gateway, magpie):
    magpie.fault_for = lambda number: Fault(200, bytes(300_001)) if number == 2 else None

    with pytest.raises(httpx.RemoteProtocolError):
        speak(gateway, input=LONG, response_format="pcm")
