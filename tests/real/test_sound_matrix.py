"""Every format out and every container in, through the gateway and its own engines, judged by FFmpeg's own tools."""

from __future__ import annotations

import json
import subprocess

import httpx
import pytest

from tests.conftest import need
from tests.processes import serve
from tests.words import SENTENCES, word_error

FORMATS = {
    "wav": ("pcm_s16le", 22_050),
    "mp3": ("mp3", 22_050),
    "opus": ("opus", 48_000),
    "aac": ("aac", 24_000),
    "flac": ("flac", 22_050),
    "pcm": ("pcm_s16le", 24_000),
}
SHORT = SENTENCES[0]
LONG = " ".join(SENTENCES * 2)

# Made by ffmpeg unless sox is named: the words that stand between the WAV and the new file.
CONTAINERS = {
    "a.wav": "-ar 44100 -ac 2",
    "b.wav": "-ar 32000 -c:a pcm_s24le",
    "c.wav": "-c:a pcm_f32le -ar 48000",
    "a.mp3": "-ar 48000 -ac 2 -b:a 128k",
    "a.m4a": "-c:a aac -ar 44100",
    "a.mp4": "-c:a aac -ar 48000 -ac 2",
    "a.webm": "-c:a libopus -ar 48000",
    "a.ogg": "-c:a libopus -ar 48000 -ac 2",
    "b.ogg": "sox",
    "a.flac": "sox -r 32000",
    "a.aac": "-c:a aac -ar 24000",
}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with serve(tmp_path_factory.mktemp("gateway")) as gateway, gateway.client() as client:
        gateway.wait_until_ready()
        yield client


def speak(house: httpx.Client, text: str, format_: str) -> bytes:
    answer = house.post(
        "/v1/audio/speech", json={"input": text, "voice": "alloy", "response_format": format_}
    )
    assert answer.status_code == 200, answer.text
    return answer.content


def hear(house: httpx.Client, sound: bytes) -> str:
    answer = house.post("/v1/audio/transcriptions", files={"file": sound}, data={"response_format": "text"})
    assert answer.status_code == 200, answer.text
    return answer.text


def probe(path, format_):
    """FFmpeg's own view: codec, rate, channels; and the seconds that decoding gives, without a complaint."""
    bare = ["-f", "s16le", "-ar", "24000", "-ac", "1"] if format_ == "pcm" else []
    told = subprocess.run(
        [need("ffprobe", "ffmpeg"), "-v", "error", *bare, "-show_streams", "-of", "json", path],
        capture_output=True,
        check=True,
    )
    (stream,) = json.loads(told.stdout)["streams"]
    decoded = subprocess.run(
        [
            need("ffmpeg", "ffmpeg"),
            "-v",
            "error",
            *bare,
            "-i",
            path,
            "-f",
            "s16le",
            "-ar",
            "16000",
            "-ac",
            "1",
            "-",
        ],
        capture_output=True,
        check=True,
    )
    assert decoded.stderr == b""
    return stream["codec_name"], int(stream["sample_rate"]), stream["channels"], len(decoded.stdout) / 32_000


@pytest.mark.parametrize("text", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_decodes_to_the_right_codec_rate_channels_and_duration(house, tmp_path, format_, text):
    (tmp_path / "sound").write_bytes(speak(house, text, format_))
    (tmp_path / "plain").write_bytes(speak(house, text, "wav"))

    codec, rate, channels, seconds = probe(tmp_path / "sound", format_)
    expected = probe(tmp_path / "plain", "wav")[3]

    assert (codec, rate, channels) == (*FORMATS[format_], 1)
    assert seconds == pytest.approx(expected, abs=0.15)


@pytest.fixture(scope="module")
def spoken(house):
    """The ten sentences as WAV."""
    return [speak(house, sentence, "wav") for sentence in SENTENCES]


@pytest.fixture(scope="module")
def plain_error(house, spoken):
    """The word error of WAV, which every other format is held against."""
    error = word_error(zip(SENTENCES, (hear(house, sound) for sound in spoken), strict=True))
    assert error < 0.20
    return error


@pytest.mark.parametrize("format_", [name for name in FORMATS if name not in ("wav", "pcm")])
def test_every_format_is_understood_as_well_as_wav(house, plain_error, format_):
    heard = [hear(house, speak(house, sentence, format_)) for sentence in SENTENCES]

    assert word_error(zip(SENTENCES, heard, strict=True)) <= plain_error + 0.10, heard


def test_pcm_is_understood_as_well_as_wav(house, plain_error, tmp_path):
    """Bare samples have to be told what they are; then they go in like any WAV."""
    heard = []
    for sentence in SENTENCES:
        (tmp_path / "bare").write_bytes(speak(house, sentence, "pcm"))
        told = [need("ffmpeg", "ffmpeg"), "-v", "error", "-y", "-f", "s16le", "-ar", "24000", "-ac", "1"]
        subprocess.run([*told, "-i", tmp_path / "bare", tmp_path / "a.wav"], check=True)
        heard.append(hear(house, (tmp_path / "a.wav").read_bytes()))

    assert word_error(zip(SENTENCES, heard, strict=True)) <= plain_error + 0.10, heard


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_is_understood_as_well_as_wav(house, spoken, plain_error, tmp_path, name):
    heard = []
    for sound in spoken:
        (tmp_path / "said.wav").write_bytes(sound)
        how, path = CONTAINERS[name].split(), tmp_path / name
        if how[0] == "sox":
            subprocess.run([need("sox", "sox"), tmp_path / "said.wav", *how[1:], path], check=True)
        else:
            ffmpeg = [need("ffmpeg", "ffmpeg"), "-v", "error", "-y", "-i", tmp_path / "said.wav"]
            subprocess.run([*ffmpeg, *how, path], check=True)
        heard.append(hear(house, path.read_bytes()))

    assert word_error(zip(SENTENCES, heard, strict=True)) <= plain_error + 0.10, heard


@pytest.mark.parametrize("speed", [0.25, 0.5, 2.0, 4.0])
def test_a_speed_makes_speech_about_so_much_shorter(house, tmp_path, speed):
    """About: the engine paces by its own lights from a half to double, and pads what it says with quiet."""
    seconds = {}
    for asked in (1.0, speed):
        body = {"input": SENTENCES[6], "voice": "alloy", "response_format": "flac", "speed": asked}
        (tmp_path / "sound").write_bytes(house.post("/v1/audio/speech", json=body).content)
        seconds[asked] = probe(tmp_path / "sound", "flac")[3]

    assert seconds[1.0] / seconds[speed] == pytest.approx(speed, rel=0.35)
