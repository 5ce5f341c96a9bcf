"""`POST /v1/audio/transcriptions`."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import wave
from itertools import pairwise

import httpx
import pytest

from tests.fakes.faults import CutOff, Fault
from tests.fakes.parakeet import words_of
from tests.live import eventually
from tests.sounds import CONTAINERS, recording, wav, wav_of

CLIP = wav(1.0)
WORDS = {"timestamp_granularities[]": ["word", "segment"]}


def hear(gateway, file=("a.wav", CLIP, "audio/wav"), **fields):
    return gateway.post(
        "/v1/audio/transcriptions", files={"file": file}, data={"model": "whisper-1", **fields}
    )


def test_a_recording_reaches_parakeet_whole_and_its_words_come_back(gateway, parakeet):
    answer = hear(gateway)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-model"] == "parakeet-tdt-0.6b-v3"
    assert answer.json() == {"text": words_of(CLIP)}
    assert parakeet.heard[0].sha256 == hashlib.sha256(CLIP).hexdigest()


def test_a_foreign_model_name_is_never_passed_on(gateway, parakeet):
    hear(gateway)

    assert parakeet.heard[0].fields == {"response_format": "json"}


def test_text_is_the_bare_words(gateway):
    answer = hear(gateway, response_format="text")

    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == words_of(CLIP)


def test_verbose_json_has_every_key_that_whisper_s_has_and_the_true_duration(gateway):
    answer = hear(gateway, response_format="verbose_json").json()

    assert (answer["task"], answer["language"], answer["duration"]) == ("transcribe", "unknown", 1.0)
    assert "words" not in answer
    segment = answer["segments"][0]
    assert set(segment) == {
        *("id", "seek", "start", "end", "text", "tokens", "temperature"),
        *("avg_logprob", "compression_ratio", "no_speech_prob"),
    }
    assert (segment["start"], segment["end"], segment["text"]) == (0.1, 0.9, words_of(CLIP))


@pytest.mark.parametrize("name", ["timestamp_granularities[]", "timestamp_granularities"])
def test_words_come_when_asked_for_under_either_name(gateway, parakeet, name):
    answer = hear(gateway, response_format="verbose_json", **{name: ["segment", "word"]}).json()

    assert answer["words"] == [{"word": "heard", "start": 0.1, "end": 0.4}]
    assert parakeet.heard[0].fields["timestamp_granularities[]"] == "word"


@pytest.mark.parametrize(
    ("configured", "asked", "sent"),
    [(None, None, None), (None, "en", "en"), ("de", None, "de"), ("de", "en", "en"), ("de", "", "de")],
)
def test_parakeet_is_told_the_client_s_language_or_the_configured_one(
    gateway_with, upstreams, parakeet, configured, asked, sent
):
    with gateway_with(upstreams={"p": {**upstreams["parakeet"], "language": configured}}) as gateway:
        hear(gateway, **({} if asked is None else {"language": asked}))

    assert parakeet.heard[0].fields.get("language") == sent


@pytest.mark.parametrize(
    ("configured", "asked", "sent"),
    [
        (None, None, "en-US"),
        (None, "en", "en-US"),
        (None, "DE", "de-DE"),
        (None, "zh-CN", "zh-CN"),
        ("fr-FR", None, "fr-FR"),
        (None, "multi", "multi"),
    ],
)
def test_a_nim_always_gets_a_locale(gateway_with, nim, nim_settings, configured, asked, sent):
    with gateway_with(upstreams={"nim": {**nim_settings, "language": configured}}) as gateway:
        answer = hear(gateway, **({"language": asked} if asked else {}))

    assert answer.json() == {"text": words_of(CLIP)}, "without Riva's trailing blank"
    assert nim.heard[0].fields == {"language": sent, "response_format": "json"}


def test_a_nim_s_transcript_in_verbose_json_is_one_segment_over_the_recording(
    gateway_with, nim, nim_settings
):
    with gateway_with(upstreams={"nim": nim_settings}) as gateway:
        answer = hear(gateway, response_format="verbose_json", language="en").json()

    assert (answer["duration"], answer["language"]) == (1.0, "en")
    assert [(each["start"], each["end"]) for each in answer["segments"]] == [(0.0, 1.0)]


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_reaches_the_engine_as_16_khz_mono_wav(gateway, parakeet, container):
    sent = recording(container)
    answer = hear(
        gateway, file=("whatever.bin", sent, "application/octet-stream"), response_format="verbose_json"
    )

    assert answer.status_code == 200
    heard = parakeet.heard[0]
    assert (heard.filename, heard.content_type) == ("audio.wav", "audio/wav")
    with wave.open(io.BytesIO(heard.data)) as reader:
        assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (16_000, 1, 2)
        assert reader.getnframes() / 16_000 == pytest.approx(1.0, abs=0.1)
    assert answer.json()["duration"] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("name", "type_"),
    [("recording.webm", "video/webm"), ("a.mp3", "audio/mpeg"), ("a", None), ("a.wav", "text/html")],
)
def test_the_bytes_decide_what_a_file_is_and_a_wav_that_fits_is_passed_on_untouched(
    gateway, parakeet, name, type_
):
    assert hear(gateway, file=(name, CLIP, type_)).status_code == 200
    assert parakeet.heard[0].data == CLIP


def test_an_engine_that_accepts_a_container_gets_it_as_it_came(gateway_with, upstreams, parakeet):
    sent = recording("mp3")
    with gateway_with(upstreams={"p": {**upstreams["parakeet"], "accepts": ["mp3"]}}) as gateway:
        hear(gateway, file=("a.webm", sent))
        hear(gateway, file=("a.webm", recording("flac")))

    assert (parakeet.heard[0].data, parakeet.heard[0].filename) == (sent, "audio.mp3")
    assert parakeet.heard[1].filename == "audio.wav"


def test_a_long_recording_is_heard_in_parts_cut_where_it_is_quiet_and_joined(
    gateway_with, upstreams, parakeet
):
    """Twenty-one seconds to an engine that hears nine at once; the sound pauses at 7.5 s and 14.5 s."""
    loud = [wav(length, seed=str(length).encode())[44:] for length in (7.0, 6.0, 5.99)]
    sent = wav_of(bytes(32_000).join(loud), 16_000)
    with gateway_with(upstreams={"p": {**upstreams["parakeet"], "longest": 9, "pieces": 2}}) as gateway:
        answer = hear(gateway, file=("a.wav", sent), response_format="verbose_json", **WORDS).json()

    by_size = [heard.data for heard in parakeet.heard]
    parts = sorted(by_size, key=lambda data: sent.index(data[44:]))
    assert b"".join(part[44:] for part in parts) == sent[44:]
    assert len(parts) == 3
    starts = [sent.index(part[44:]) / 32_000 for part in parts]
    assert 7.0 <= starts[1] <= 8.1
    assert 14.0 <= starts[2] <= 15.1
    assert answer["text"] == " ".join(words_of(part) for part in parts)
    assert answer["duration"] == pytest.approx(20.99, abs=0.01)
    for start, segment, word in zip(starts, answer["segments"], answer["words"], strict=True):
        assert segment["start"] == pytest.approx(start + 0.1, abs=0.01)
        assert word["end"] == pytest.approx(start + 0.4, abs=0.01)


@pytest.mark.parametrize("declared", [1, 16_000, 64_000, 0xFFFFFFFF])
def test_a_wrong_byte_rate_in_a_header_loses_nothing(gateway_with, upstreams, parakeet, declared):
    sent = bytearray(wav(5.0))
    sent[28:32] = declared.to_bytes(4, "little")
    with gateway_with(upstreams={"p": {**upstreams["parakeet"], "longest": 2}}) as gateway:
        answer = hear(gateway, file=("a.wav", bytes(sent)), response_format="verbose_json").json()

    assert answer["duration"] == 5.0
    assert sum(len(heard.data) - 44 for heard in parakeet.heard) == len(sent) - 44


def test_live_text_of_several_parts_is_the_text_at_the_end(gateway_with, upstreams, parakeet):
    with gateway_with(upstreams={"p": {**upstreams["parakeet"], "longest": 2}}) as gateway:
        parakeet.fault = Fault(200, LIVE, EVENTS)
        *deltas, done = told(hear(gateway, file=("a.wav", wav(5.0)), stream="true"))

    assert done["text"].count("Turn on the light.") >= 3
    assert "".join(each["delta"] for each in deltas) == done["text"]


def test_a_long_recording_for_a_nim_is_a_segment_for_each_part(gateway_with, nim, nim_settings):
    with gateway_with(upstreams={"nim": {**nim_settings, "longest": 2}}) as gateway:
        answer = hear(gateway, file=("a.wav", wav(5.0)), response_format="verbose_json").json()

    ends = [(segment["start"], segment["end"]) for segment in answer["segments"]]
    assert len(ends) >= 3
    assert all(end == start for (_, end), (start, _) in pairwise(ends))
    assert (ends[0][0], ends[-1][1]) == (0.0, 5.0)


SRT = "1\n00:00:00,100 --> 00:00:00,900\n{}\n"
VTT = "WEBVTT\n\n00:00:00.100 --> 00:00:00.900\n{}\n"


@pytest.mark.parametrize(
    ("format_", "media_type", "text"),
    [("srt", "application/x-subrip; charset=utf-8", SRT), ("vtt", "text/vtt; charset=utf-8", VTT)],
)
def test_subtitles_are_made_of_the_segments(gateway, parakeet, format_, media_type, text):
    answer = hear(gateway, response_format=format_)

    assert answer.headers["content-type"] == media_type
    assert answer.text.strip() == text.format(words_of(CLIP)).strip()
    assert parakeet.heard[0].fields["response_format"] == "verbose_json"


def told(answer):
    assert answer.headers["content-type"] == "text/event-stream"
    return [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]


def test_a_stream_of_an_engine_that_does_not_stream_is_one_delta_and_the_end(gateway):
    assert told(hear(gateway, stream="true")) == [
        {"type": "transcript.text.delta", "delta": words_of(CLIP)},
        {"type": "transcript.text.done", "text": words_of(CLIP)},
    ]


def test_a_stream_of_a_recording_that_was_cut_is_a_delta_for_each_part(gateway_with, upstreams):
    with gateway_with(upstreams={"p": {**upstreams["parakeet"], "longest": 2}}) as gateway:
        *deltas, done = told(hear(gateway, file=("a.wav", wav(5.0)), stream="true"))

    assert len(deltas) >= 3
    assert "".join(each["delta"] for each in deltas) == done["text"]


LIVE = (
    b'event: transcript.text.delta\ndata: {"type":"transcript.text.delta","delta":"Turn on "}\n\n: wait\n\n'
    b'data: {"type":"transcript.text.delta","delta":"the light."}\n\n'
    b'data: {"type":"transcript.text.done","text":"Turn on the light."}\n\ndata: [DONE]\n\n'
)
EVENTS = {"content-type": "text/event-stream; charset=utf-8"}


def test_a_stream_of_an_engine_that_streams_is_relayed_as_it_comes(gateway, parakeet):
    parakeet.fault = Fault(200, LIVE, EVENTS)

    assert [each.get("delta") or each["text"] for each in told(hear(gateway, stream="true"))] == [
        "Turn on ",
        "the light.",
        "Turn on the light.",
    ]
    assert parakeet.heard[0].fields["stream"] == "true"


@pytest.mark.parametrize(
    "body",
    [b'data: {"error":{"message":"CUDA error"}}\n\n', b"data: {\n\n", b"", b": nothing\n\n", b"data: []\n\n"],
)
def test_a_stream_that_fails_before_its_first_word_is_an_error(gateway, parakeet, body):
    parakeet.fault = Fault(200, body, EVENTS)

    answer = hear(gateway, stream="true")
    assert answer.status_code == 502
    assert "CUDA" not in answer.text


def test_a_stream_that_fails_later_breaks_the_connection(gateway, parakeet):
    parakeet.fault = Fault(200, LIVE[:150] + b'\n\ndata: {"error":{"message":"CUDA error"}}\n\n', EVENTS)

    with pytest.raises(httpx.RemoteProtocolError):
        hear(gateway, stream="true")


@pytest.mark.parametrize(
    ("said", "text", "language"),
    [
        ("language English<asr_text>Turn it on.", "Turn it on.", "English"),
        (" hello there  ", "hello there", "unknown"),
    ],
)
def test_what_engines_put_around_the_words_is_taken_away(gateway, parakeet, said, text, language):
    parakeet.fault = Fault(200, json.dumps({"text": said}).encode())

    assert hear(gateway).json() == {"text": text}
    assert hear(gateway, response_format="verbose_json").json()["language"] == language


def test_no_words_in_audible_sound_are_passed_on_and_noted(gateway, parakeet, monkeypatch):
    noted = []
    monkeypatch.setattr(
        "spark_control.deep_health.log.warning", lambda _, reason, **__: noted.append(reason), raising=False
    )
    # The closed loop would find it sick.
    eventually(lambda: gateway.get("/api/status").json()["closed_loop"])
    parakeet.fault = Fault(200, b'{"text": ""}')

    assert hear(gateway, file=("a.wav", wav_of(bytes(32_000), 16_000))).json() == {"text": ""}
    assert noted == []
    assert hear(gateway).json() == {"text": ""}
    assert noted == ["no words in audible sound"]


@pytest.mark.parametrize("path", ["/v1/audio/translations", "/audio/translations"])
def test_translation_is_refused_since_no_engine_can(gateway, path):
    answer = gateway.post(path, files={"file": ("a.wav", CLIP)}, data={"model": "whisper-1"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_operation")


BOUNDARY = "b7f3"


def form(*parts: tuple[str, bytes]) -> bytes:
    """A multipart body written by hand: (headers, content) for each part."""
    body = b"".join(
        f"--{BOUNDARY}\r\n{headers}\r\n\r\n".encode() + content + b"\r\n" for headers, content in parts
    )
    return body + f"--{BOUNDARY}--\r\n".encode()


FILE = ('Content-Disposition: form-data; name="file"; filename="a.wav"', CLIP)
TYPED_FILE = (FILE[0] + "\r\nContent-Type: audio/wav", CLIP)
UNNAMED_FILE = ('Content-Disposition: form-data; name="file"', CLIP)


def field(name: str, value: str) -> tuple[str, bytes]:
    return f'Content-Disposition: form-data; name="{name}"', value.encode()


def post(gateway, body, **headers):
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}", **headers}
    return gateway.post("/v1/audio/transcriptions", content=body, headers=headers)


@pytest.mark.parametrize(
    "parts",
    [
        [FILE, field("language", "en"), field("model", "whisper-1")],
        [field("model", "whisper-1"), field("language", "en"), TYPED_FILE],
        [field("language", "en"), UNNAMED_FILE, field("vad_filter", "false")],
        [field("language", "en"), field("keywords[]", "kettle"), field("chunking_strategy[type]", "x"), FILE],
        [field("prompt", ""), field("language", "en"), FILE, field("temperature", "")],
    ],
)
def test_a_form_is_read_in_any_order_and_unknown_fields_are_ignored(gateway, parakeet, parts):
    assert post(gateway, form(*parts)).status_code == 200
    assert parakeet.heard[0].fields == {"language": "en", "response_format": "json"}
    assert parakeet.heard[0].size == len(CLIP)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_chunked_upload_of_any_piece_size_is_read_whole(gateway, parakeet, size):
    body = form(field("language", "en"), (FILE[0], CLIP[:3000]))
    pieces = (body[start : start + size] for start in range(0, len(body), size))

    assert post(gateway, pieces).status_code == 200
    assert parakeet.heard[0].sha256 == hashlib.sha256(CLIP[:3000]).hexdigest()


def in_json(data: bytes, **fields):
    return {
        "model": "whisper-1",
        "input_audio": {"data": base64.b64encode(data).decode(), "format": "mp3"},
        **fields,
    }


def test_a_recording_may_come_inside_of_json(gateway, parakeet):
    answer = gateway.post("/v1/audio/transcriptions", json=in_json(CLIP, language="en"))

    assert answer.json() == {"text": words_of(CLIP)}
    assert parakeet.heard[0].fields["language"] == "en"


def test_a_recording_in_json_names_its_model_too(gateway_with):
    with gateway_with(models={"strict": True}) as gateway:
        answer = gateway.post("/v1/audio/transcriptions", json=in_json(CLIP, model="nobody"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
        answer = gateway.post("/v1/audio/transcriptions", json=in_json(CLIP, model=7))
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"input_audio": "x"}, {"input_audio": {"data": "*"}}, {"input_audio": {"data": 5}}]
)
def test_json_without_a_recording_is_refused(gateway, body):
    answer = gateway.post("/v1/audio/transcriptions", json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_multipart")


def test_a_recording_in_json_has_the_same_limit(gateway_with):
    with gateway_with(uploads={"max_bytes": 1000}) as gateway:
        assert gateway.post("/v1/audio/transcriptions", json=in_json(CLIP)).status_code == 413


def test_prompt_and_temperature_are_passed_on(gateway, parakeet):
    hear(gateway, prompt="Spark, Magpie", temperature="0.2")

    assert parakeet.heard[0].fields["prompt"] == "Spark, Magpie"
    assert parakeet.heard[0].fields["temperature"] == "0.2"


def test_silence_is_an_empty_text_and_no_error(gateway, parakeet):
    parakeet.fault = Fault(200, b'{"text": ""}')

    answer = hear(gateway)
    assert (answer.status_code, answer.json()) == (200, {"text": ""})
    assert hear(gateway, response_format="verbose_json").json()["segments"] == []


@pytest.mark.parametrize("size", [1_500_000, 6_000_000])
def test_a_large_upload_goes_by_way_of_the_disk_and_arrives_unharmed(gateway, parakeet, size):
    large = CLIP + bytes(range(256)) * (size // 256)

    assert hear(gateway, file=("a.wav", large)).json() == {"text": words_of(large)}


@pytest.mark.parametrize(
    ("send", "status", "code", "sentence"),
    [
        (lambda g: hear(g, file=("a.wav", b"")), 400, "audio_undecodable", "The file is empty"),
        (
            lambda g: hear(g, file=("a.wav", b"Dear diary, ...")),
            400,
            "audio_undecodable",
            "cannot be read as audio",
        ),
        (lambda g: hear(g, file=("a.wav", b"R")), 400, "audio_undecodable", "cannot be read as audio"),
        (lambda g: hear(g, response_format="xml"), 400, "unsupported_format", "'xml' cannot be made"),
        (lambda g: hear(g, response_format="diarized_json"), 400, "unsupported_format", "speakers"),
        (lambda g: hear(g, stream="true", response_format="srt"), 400, "unsupported_value", "without stream"),
        (
            lambda g: g.post("/v1/audio/transcriptions", data={"model": "whisper-1"}),
            400,
            "invalid_multipart",
            "multipart/form-data",
        ),
        (
            lambda g: g.post("/v1/audio/transcriptions", json={"file": "x"}),
            400,
            "invalid_multipart",
            '"file"',
        ),
        (lambda g: g.post("/v1/audio/transcriptions"), 400, "invalid_multipart", '"file"'),
        (lambda g: post(g, form(field("model", "x"))), 400, "missing_required_parameter", "No file came"),
        (lambda g: post(g, form(FILE)[:-40]), 400, "invalid_multipart", "closing boundary"),
        (lambda g: post(g, b"--b7f3 nonsense"), 400, "invalid_multipart", "broken"),
        (lambda g: post(g, b""), 400, "invalid_multipart", "closing boundary"),
        (
            lambda g: post(g, form(*[field(f"f{n}", "") for n in range(300)])),
            400,
            "invalid_multipart",
            "200 parts",
        ),
        (lambda g: post(g, form((f"X-Long: {'y' * 9000}", b""))), 400, "invalid_multipart", "broken"),
        (lambda g: post(g, form(field("prompt", "y" * 70_000), FILE)), 413, "audio_too_large", "'prompt'"),
    ],
)
def test_what_cannot_be_heard_is_refused_in_a_sentence(gateway, parakeet, send, status, code, sentence):
    answer = send(gateway)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert sentence in error["message"]
    assert answer.json()["detail"] == error["message"]
    assert parakeet.heard == []


def test_a_file_over_the_limit_is_refused_by_its_declared_length(gateway_with, parakeet):
    with gateway_with(uploads={"max_bytes": 10_000}) as gateway:
        answer = post(gateway, form((FILE[0], CLIP * 100)), expect="100-continue")

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "audio_too_large")
    assert parakeet.heard == []


@pytest.mark.parametrize("sound", [wav(3.0), recording("flac", 3.0)])
def test_a_recording_over_the_limit_in_seconds_is_refused(gateway_with, parakeet, sound):
    with gateway_with(uploads={"max_seconds": 2}) as gateway:
        answer = hear(gateway, file=("a", sound))

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "audio_too_large")
    assert "longer than the 2 seconds" in answer.json()["error"]["message"]
    assert parakeet.heard == []


def test_a_file_over_the_limit_is_not_read_to_its_end(gateway_with, parakeet):
    """A chunked upload declares no length: it is cut off where it passes the limit."""
    sent = 0

    def endless():
        nonlocal sent
        yield form(FILE)[:-100]
        while sent < 500_000_000:
            sent += 65536
            yield bytes(65536)

    # The client may meet the closed connection before it looks for an answer.
    with gateway_with(uploads={"max_bytes": 1_000_000}) as gateway, contextlib.suppress(httpx.WriteError):
        assert post(gateway, endless()).status_code == 413

    assert sent < 50_000_000
    assert parakeet.heard == []


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault(500, b"Internal Server Error", {"content-type": "text/plain"}), 503, "service_unavailable"),
        (Fault(200, b"<html>"), 502, "upstream_garbage"),
        (Fault(200, b'{"words": []}'), 502, "upstream_garbage"),
        (Fault(200, b'{"text": 5}'), 502, "upstream_garbage"),
        (Fault(200, b'{"text": "a", "segments": [{"start": "NaN"}]}'), 502, "upstream_garbage"),
        (Fault(200, b""), 502, "upstream_garbage"),
        (CutOff(after=5), 502, "upstream_error"),
        (Fault(415, b'{"detail": "Audio could not be decoded"}'), 400, "audio_undecodable"),
        (Fault(413, b'{"detail": "File exceeds"}'), 413, "audio_too_large"),
        (Fault(400, b'{"detail": "audio too long"}'), 400, "refused_by_engine"),
        (Fault(422, b'{"detail": [{"msg": "Field required"}]}'), 400, "refused_by_engine"),
        (Fault(503, b'{"detail": "Model is not ready"}'), 503, "service_loading"),
    ],
)
def test_an_engine_that_fails_is_an_honest_error(gateway, parakeet, fault, status, code):
    parakeet.fault = fault

    answer = hear(gateway)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert len(parakeet.heard) == 1


def test_an_engine_s_reason_is_told_unless_it_gives_something_away(gateway, parakeet):
    parakeet.fault = Fault(400, b'{"detail": "audio too long"}')
    assert "audio too long" in hear(gateway).json()["error"]["message"]

    for secret in (
        "open /srv/models/x.py failed",
        "see http://10.0.0.5:9000/v1",
        "Traceback (most recent call",
    ):
        parakeet.fault = Fault(400, f'{{"detail": "{secret}"}}'.encode())
        assert secret not in hear(gateway).text
