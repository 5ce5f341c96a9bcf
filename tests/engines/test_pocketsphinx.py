from __future__ import annotations

import io
import threading
import wave
from itertools import pairwise
from typing import Any

import av
import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_control.engines.recording import LONGEST_UTTERANCE, RATE, utterances

TEXT = "We will meet again tomorrow morning at half past nine."
EXPECTED = {"meet", "again", "tomorrow", "morning", "half", "past", "nine"}


@pytest.fixture(scope="module")
def speech(say):
    return say(TEXT)


def pcm_of(wav):
    with wave.open(io.BytesIO(wav)) as file:
        return file.readframes(file.getnframes())


def wav_of(pcm: bytes, rate=RATE, width=2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(width)
        out.setframerate(rate)
        out.writeframes(pcm)
    return file.getvalue()


def encoded(wav, container, codec, rate, layout):
    """The same sound in another container."""
    file = io.BytesIO()
    with av.open(io.BytesIO(wav), "r") as source, av.open(file, "w", format=container) as target:
        stream: Any = target.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 128_000  # at some codecs' defaults PocketSphinx mishears more
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return file.getvalue()


def room_noise(seconds: float, rate=RATE, seed=1) -> bytes:
    return np.random.default_rng(seed).normal(0, 20, int(seconds * rate)).astype("<i2").tobytes()


def seconds_of(clock: str) -> float:
    hours, minutes, seconds = clock.strip().replace(",", ".").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def test_the_words_come_back_as_json(hear, speech):
    answer = hear(speech)

    assert answer.status_code == 200
    assert set(answer.json()) == {"text"}
    assert set(answer.json()["text"].split()) >= EXPECTED


def test_text_is_plain(hear, speech):
    answer = hear(speech, response_format="text")

    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == hear(speech).json()["text"]


def test_verbose_json_has_segments_and_the_true_duration_but_no_words_unasked(hear, speech):
    answer = hear(speech, response_format="verbose_json").json()

    assert answer["task"] == "transcribe"
    assert answer["language"] == "auto"
    assert answer["words"] is None
    assert answer["duration"] == pytest.approx(len(pcm_of(speech)) / 2 / 22050, abs=0.002)
    assert " ".join(segment["text"] for segment in answer["segments"]) == answer["text"]
    assert set(answer["segments"][0]) == {
        *("id", "seek", "start", "end", "text", "tokens"),
        *("temperature", "avg_logprob", "compression_ratio", "no_speech_prob"),
    }


@pytest.mark.parametrize("field", ["timestamp_granularities[]", "timestamp_granularities"])
def test_words_asked_for_have_times_in_order_and_inside_the_audio(hear, speech, field):
    answer = hear(speech, **{"response_format": "verbose_json", field: ["segment", "word"]}).json()

    assert [word["word"] for word in answer["words"]] == answer["text"].split()
    times = [time for word in answer["words"] for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert 0 < times[0] < times[-1] <= answer["duration"]


def test_segments_alone_bring_no_words(hear, speech):
    asked = {"response_format": "verbose_json", "timestamp_granularities[]": "segment"}

    assert hear(speech, **asked).json()["words"] is None


def test_neither_fillers_nor_the_dictionary_s_numbers_are_words(hear, speech):
    assert not set(hear(speech).json()["text"]) & set("<>[]()+0123456789")


def test_a_pause_parts_the_segments_and_the_subtitles(hear, speech):
    pcm = pcm_of(speech)
    paused = wav_of(pcm + room_noise(2, 22050) + pcm, 22050)

    first, second = hear(paused, response_format="verbose_json").json()["segments"]
    assert second["start"] - first["end"] > 2

    answer = hear(paused, response_format="srt")
    assert answer.headers["content-type"].startswith("application/x-subrip")
    cues = answer.text.strip().split("\n\n")
    assert [cue.split("\n")[0] for cue in cues] == ["1", "2"]
    times = [seconds_of(clock) for cue in cues for clock in cue.split("\n")[1].split("-->")]
    assert times == pytest.approx([first["start"], first["end"], second["start"], second["end"]], abs=0.001)
    assert [cue.split("\n")[2] for cue in cues] == [first["text"], second["text"]]


def test_vtt_is_vtt(hear, speech):
    answer = hear(speech, response_format="vtt")

    assert answer.headers["content-type"].startswith("text/vtt")
    header, cue = answer.text.strip().split("\n\n")
    assert header == "WEBVTT"
    start, end = (seconds_of(clock) for clock in cue.split("\n")[0].split("-->"))
    assert 0 < start < end < 10


@pytest.mark.parametrize(
    ("container", "codec", "rate", "layout"),
    [
        ("mp3", "libmp3lame", 24000, "mono"),
        ("ogg", "libopus", 48000, "stereo"),
        ("webm", "libopus", 48000, "mono"),
        ("flac", "flac", 16000, "mono"),
        ("mp4", "aac", 44100, "stereo"),
        ("wav", "pcm_f32le", 48000, "stereo"),
    ],
)
def test_any_container_rate_and_number_of_channels_is_understood(
    hear, speech, container, codec, rate, layout
):
    if container == "mp4":
        container = "ipod"  # FFmpeg's name for a .m4a
    answer = hear(encoded(speech, container, codec, rate, layout), f"speech.{container}")

    assert answer.status_code == 200
    assert len(EXPECTED & set(answer.json()["text"].split())) >= 5


def test_a_tag_in_an_unknown_encoding_does_not_spoil_the_sound(hear, speech):
    title = b"LIST" + (16).to_bytes(4, "little") + b"INFOINAM" + (4).to_bytes(4, "little") + b"\xe9t\xe9\0"
    tagged = speech[:36] + title + speech[36:]

    assert hear(tagged).json() == hear(speech).json()


def test_the_same_recording_is_heard_the_same_whatever_came_before(hear, say):
    one = say("Open the window and close the door.")
    others = [say(text) for text in ("The train leaves in twenty minutes.", "Good night.", "Is it dark?")]
    heard = set()
    for other in (*others, *reversed(others)):
        hear(other)
        heard.add(hear(one).json()["text"])
    assert len(heard) == 1


@pytest.mark.parametrize("seconds", [0.05, 1, 40])
def test_silence_is_no_words(hear, seconds):
    assert hear(wav_of(bytes(2 * int(seconds * RATE)))).json() == {"text": ""}
    quiet = hear(wav_of(room_noise(seconds)), response_format="verbose_json").json()
    assert (quiet["text"], quiet["segments"]) == ("", [])


def test_a_long_recording_is_heard_in_pieces_whose_times_fit_together(hear, say):
    spoken = say(TEXT, sample_rate_hz=RATE)
    piece = pcm_of(spoken) + room_noise(9)
    answer = hear(
        wav_of(piece * 4), **{"response_format": "verbose_json", "timestamp_granularities[]": "word"}
    ).json()

    starts = [word["start"] for word in answer["words"]]
    assert answer["duration"] > 40
    assert starts == sorted(starts)
    assert answer["text"].split().count("tomorrow") == 4
    said = [word["start"] for word in answer["words"] if word["word"] == "tomorrow"]
    assert all(
        later - earlier == pytest.approx(len(piece) / 2 / RATE, abs=0.1) for earlier, later in pairwise(said)
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 50), min_size=1, max_size=4), st.integers(0, 2**32))
def test_however_long_it_is_no_utterance_is_too_long_and_no_sound_is_lost(lengths, seed):
    random = np.random.default_rng(seed)
    loudness = np.concatenate([np.full(int(seconds * RATE), random.choice([0, 500])) for seconds in lengths])
    sound = (random.normal(0, 1, len(loudness)) * loudness).astype("<i2")
    heard = np.zeros_like(sound)

    for start, piece in utterances(io.BytesIO(sound.tobytes())):
        at = round(start * RATE)
        assert 0 < len(piece) <= 2 * LONGEST_UTTERANCE
        heard[at : at + len(piece) // 2] = np.frombuffer(piece, "<i2")

    assert (heard == sound).all()


@pytest.mark.parametrize(
    ("audio", "fields", "status", "detail"),
    [
        (b"RIFF", {"model": "whisper-1"}, 400, "Unknown model 'whisper-1'. Available models: ["),
        (b"RIFF", {"response_format": "xml"}, 400, "Unsupported response_format 'xml'"),
        (b"", {}, 400, "Empty file"),
        (b"not audio at all" * 100, {}, 415, "Audio could not be decoded"),
        (wav_of(b""), {}, 415, "Audio could not be decoded"),
        (wav_of(bytes(2000))[:30], {}, 415, "Audio could not be decoded"),
    ],
)
def test_what_it_cannot_use_is_refused_with_a_sentence(hear, audio, fields, status, detail):
    answer = hear(audio, **fields)

    assert answer.status_code == status
    assert answer.json()["detail"].startswith(detail)


def test_its_own_models_are_accepted_by_any_of_their_names(hear, parakeet):
    for model in parakeet.get("/health").json()["models"]:
        assert hear(wav_of(bytes(3200)), model=model).status_code == 200


def test_a_missing_file_is_fastapi_s_list(parakeet):
    answer = parakeet.post("/v1/audio/transcriptions", files={"model": (None, "parakeet-tdt-0.6b-v3")})

    assert answer.status_code == 422
    assert answer.json()["detail"] == [
        {"type": "missing", "loc": ["body", "file"], "msg": "Field required", "input": None}
    ]


def test_a_video_without_sound_is_refused(hear):
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as target:
        stream: Any = target.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        # In the encoder's own format: to convert it would leave FFmpeg's threads with this one, which no fork survives.
        target.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        target.mux(stream.encode(None))

    assert hear(file.getvalue(), "film.mkv").status_code == 415


@pytest.mark.parametrize("playlist", ["#EXTM3U\n#EXTINF:9,\n{path}\n", "ffconcat version 1.0\nfile {path}\n"])
def test_a_playlist_cannot_make_it_read_other_files(hear, speech, tmp_path, playlist):
    path = tmp_path / "private.wav"
    path.write_bytes(speech)

    assert hear(playlist.format(path=path).encode(), "list.m3u8").status_code == 415
    assert hear(playlist.format(path=f"file:{path}").encode(), "list.m3u8").status_code == 415


def test_more_than_256_mib_is_too_much(hear):
    answer = hear(bytes(256 * 1024 * 1024 + 1))

    assert answer.status_code == 413
    assert answer.json() == {"detail": "File exceeds the 268435456 byte upload limit"}


def test_more_than_two_hours_is_too_long(hear):
    assert hear(wav_of(bytes(8000 * 7201), rate=8000, width=1)).status_code == 413


def test_language_prompt_and_temperature_change_nothing(hear, speech):
    hinted = hear(speech, language="de", prompt="Kessel", temperature="0.9")

    assert hinted.json() == hear(speech).json()


def test_health_answers_while_a_clip_is_heard(parakeet, hear, say):
    clip = say(f"{TEXT} " * 8)
    answers = []
    hearing = threading.Thread(target=lambda: answers.append(hear(clip)))
    hearing.start()
    with httpx.Client(base_url=parakeet.base_url) as other:
        health = other.get("/health")
    was_still_hearing = hearing.is_alive()
    hearing.join()

    assert was_still_hearing
    assert health.json()["status"] == "healthy"
    assert health.json()["ready"] is True
    assert answers[0].json()["text"].split().count("tomorrow") >= 6


def test_one_is_heard_at_a_time_and_every_one_gets_its_own_words(hear, say):
    said = ["tomorrow", "seven", "kitchen", "coffee"]
    clips = {word: say(f"The {word} is in the garden. ") for word in said}
    heard = {}
    threads = [
        threading.Thread(target=lambda word=word: heard.update({word: hear(clips[word]).json()["text"]}))
        for word in said
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    alone = {word: hear(clips[word]).json()["text"] for word in said}
    assert heard == alone
    assert len(set(alone.values())) == len(said)


def test_it_is_the_server_without_a_list_of_models(parakeet):
    assert parakeet.get("/healthz").status_code == 200
    assert parakeet.get("/v1/models").status_code == 404
