"""The gateway's sound beside the programs everybody else uses: ffmpeg, ffprobe and sox."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import pytest

from spark_control.audio.decode import BYTES_PER_SECOND, RATE, to_canonical
from spark_control.audio.encode import FORMATS, Encoder
from tests.audio.tones import pitch, tone
from tests.conftest import need

DELAY = 0.2  # seconds: what codecs put before and after the sound

RAW = {"pcm": ["-f", "s16le", "-ar", "24000", "-ac", "1"]}
"""What ffmpeg must be told about a format that does not tell it itself."""

BY_FFMPEG = {
    "wav": [],
    "float.wav": ["-c:a", "pcm_f32le"],
    "24bit.wav": ["-c:a", "pcm_s24le"],
    "phone.wav": ["-c:a", "pcm_mulaw"],
    "mp3": [],
    "m4a": [],
    "alac.m4a": ["-c:a", "alac"],
    "mp4": ["-movflags", "+faststart"],
    "mov": [],
    "webm": ["-c:a", "libopus", "-ar", "48000"],
    "vorbis.webm": ["-c:a", "libvorbis"],
    "mkv": ["-c:a", "flac"],
    "opus": ["-ar", "48000"],
    "ogg": ["-c:a", "libvorbis"],
    "flac": [],
    "aac": [],
    "aiff": [],
    "caf": [],
    "wma": [],
}
BY_SOX = ["wav", "flac", "ogg", "mp3", "aiff", "au", "caf", "w64"]


def ran(*command: str | Path, stdin: bytes = b"") -> bytes:
    """What a program printed; not a word of complaint is allowed."""
    done = subprocess.run(command, input=stdin, capture_output=True, check=True, timeout=60)
    assert done.stderr == b""
    return done.stdout


def encoded(format_: str, rate: int, tempo: float = 1.0) -> bytes:
    encoder = Encoder(format_, rate, tempo=tempo)
    pcm = tone(rate, 2)
    pieces = [encoder.feed(pcm[at : at + 4001]) for at in range(0, len(pcm), 4001)]
    return b"".join(pieces) + encoder.finish()


@pytest.mark.parametrize("rate", [8000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_ffmpeg_plays_what_the_gateway_encodes(format_, rate):
    pcm = ran(
        need("ffmpeg", "ffmpeg"), "-v", "error", *RAW.get(format_, []), "-i", "pipe:0",
        "-f", "s16le", "-ac", "1", "-ar", "16000", "pipe:1", stdin=encoded(format_, rate),
    )  # fmt: skip

    assert 1.98 <= len(pcm) / 32_000 <= 2 + DELAY
    assert pitch(pcm, 16_000) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("tempo", [0.5, 1, 2])
@pytest.mark.parametrize(
    ("format_", "codec", "container", "rate"),
    [
        ("mp3", "mp3", "mp3", 24_000),
        ("opus", "opus", "ogg", 48_000),
        ("aac", "aac", "aac", 24_000),
        ("flac", "flac", "flac", 24_000),
        ("wav", "pcm_s16le", "wav", 24_000),
        ("pcm", "pcm_s16le", "s16le", 24_000),
    ],
)
def test_ffprobe_recognises_what_the_gateway_encodes(format_, codec, container, rate, tempo, tmp_path):
    file = tmp_path / format_
    file.write_bytes(encoded(format_, 24_000, tempo))

    report = json.loads(
        ran(
            need("ffprobe", "ffmpeg"), "-v", "error", *RAW.get(format_, []), "-show_packets", "-show_streams",
            "-show_format", "-of", "json", file,
        )
    )  # fmt: skip

    (stream,) = report["streams"]
    assert report["format"]["format_name"] == container
    assert (stream["codec_name"], int(stream["sample_rate"]), stream["channels"]) == (codec, rate, 1)
    # The length a stream has, not what its beginning made ffprobe guess.
    duration = sum(float(packet["duration_time"]) for packet in report["packets"])
    assert duration == pytest.approx(2 / tempo + DELAY / 2, abs=DELAY / 2 + 0.01)


def check_canonical(file: Path) -> None:
    pieces: list[bytes] = []
    with file.open("rb") as source:
        seconds = to_canonical(source, pieces.append, longest=10, deadline=lambda: False)
    pcm = b"".join(pieces)
    assert seconds == len(pcm) / BYTES_PER_SECOND
    assert 1.95 <= seconds <= 2 + DELAY  # ffmpeg's own WMA lacks its last block
    assert pitch(pcm, RATE) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (48_000, 6)])
@pytest.mark.parametrize("extension", sorted(BY_FFMPEG))
def test_what_ffmpeg_records_is_heard(extension, rate, channels, tmp_path):
    channels = min(channels, 2) if extension == "wma" else channels  # its most
    file = tmp_path / f"recording.{extension}"
    given = ["-f", "s16le", "-ar", str(rate), "-ac", str(channels), "-i", "pipe:0"]
    layout = ["-af", "aformat=channel_layouts=5.1"] if channels == 6 else []
    ffmpeg = need("ffmpeg", "ffmpeg")
    ran(
        ffmpeg, "-v", "fatal", *given, *layout, *BY_FFMPEG[extension], file, stdin=tone(rate, 2, channels=channels)
    )  # fmt: skip

    check_canonical(file)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44_100, 2)])
@pytest.mark.parametrize("extension", BY_SOX)
def test_what_sox_records_is_heard(extension, rate, channels, tmp_path):
    file = tmp_path / f"recording.{extension}"
    given = ["-t", "raw", "-e", "signed", "-b", "16", "-r", str(rate), "-c", str(channels), "-"]
    ran(need("sox", "sox libsox-fmt-all"), "-V1", *given, file, stdin=tone(rate, 2, channels=channels))

    check_canonical(file)


def test_a_recording_that_ffmpeg_streams_without_going_back_is_heard(tmp_path):
    for container in ("wav", "webm", "ogg", "flac", "adts", "mp3", "matroska"):
        file = tmp_path / container
        codec = ["-c:a", "libopus"] if container in {"webm", "ogg"} else []
        given = ["-f", "s16le", "-ar", "48000", "-ac", "1", "-i", "pipe:0"]
        ffmpeg = need("ffmpeg", "ffmpeg")
        file.write_bytes(
            ran(ffmpeg, "-v", "error", *given, *codec, "-f", container, "pipe:1", stdin=tone(48_000, 2))
        )

        check_canonical(file)


def test_the_gateways_own_formats_are_heard_again():
    for format_ in FORMATS - {"pcm"}:
        pieces: list[bytes] = []
        source = io.BytesIO(encoded(format_, 22_050))
        assert to_canonical(source, pieces.append, longest=10, deadline=lambda: False) == pytest.approx(
            2, abs=DELAY
        )
        assert pitch(b"".join(pieces), RATE) == pytest.approx(440, abs=2)
