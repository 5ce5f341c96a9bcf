"""`POST /v1/audio/transcriptions`."""

from __future__ import annotations

import contextlib
import hashlib

import httpx
import pytest

from tests.fakes.faults import CutOff, Fault
from tests.fakes.parakeet import words_of
from tests.sounds import wav

CLIP = wav(1.0)
MP3 = b"ID3\x04" + bytes(2000)


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

    assert (answer["task"], answer["language"], answer["duration"]) == ("transcribe", "auto", 1.0)
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


def test_times_that_nobody_can_tell_are_refused(gateway_with, nim, nim_settings):
    with gateway_with(upstreams={"nim": nim_settings}) as gateway:
        answer = hear(gateway, file=("a.flac", b"fLaC" + bytes(100)), response_format="verbose_json")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_format")
    assert nim.heard == []


@pytest.mark.parametrize(
    ("name", "type_", "data", "sent_as"),
    [
        ("recording.webm", "video/webm", CLIP, ("audio.wav", "audio/wav")),
        ("a", "application/octet-stream", MP3, ("audio.mp3", "audio/mpeg")),
        ("a.wav", None, b"\xff\xfb\x90\x00" + bytes(50), ("audio.mp3", "audio/mpeg")),
        ("a.wav", "audio/x-wav", b"\xff\xf1\x50\x80" + bytes(50), ("audio.aac", "audio/aac")),
        ("a.mp3", "audio/mpeg", b"\x1a\x45\xdf\xa3" + bytes(50), ("audio.webm", "audio/webm")),
        ("a.mp3", "audio/mpeg", b"\x00\x00\x00\x20ftypM4A " + bytes(50), ("audio.m4a", "audio/mp4")),
        ("a.mp3", "audio/mpeg", b"OggS" + bytes(50), ("audio.ogg", "audio/ogg")),
    ],
)
def test_the_bytes_decide_what_a_file_is_not_its_name_or_type(gateway, parakeet, name, type_, data, sent_as):
    assert hear(gateway, file=(name, data, type_)).status_code == 200
    assert (parakeet.heard[0].filename, parakeet.heard[0].content_type) == sent_as


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
        (lambda g: hear(g, file=("a.wav", b"Dear diary, ...")), 400, "audio_undecodable", "not audio"),
        (lambda g: hear(g, file=("a.wav", b"R")), 400, "audio_undecodable", "not audio"),
        (lambda g: hear(g, response_format="xml"), 400, "unsupported_format", "'xml' cannot be made"),
        (lambda g: hear(g, stream="true"), 400, "unsupported_value", "not streamed"),
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
        (Fault(500, b"Internal Server Error", {"content-type": "text/plain"}), 502, "upstream_error"),
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
