from __future__ import annotations

import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.audio.formats import AAC, MP3, WAV, sniff
from spark_control.audio.speaking_time import speaking_time
from spark_control.audio.wav import read_header
from tests.sounds import wav


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_a_wav_header_tells_rate_and_duration(rate):
    file = wav(1.5, rate)
    header = read_header(file[:4096])

    assert header is not None
    assert (header.rate, header.channels, header.data_starts) == (rate, 1, 44)
    assert header.duration(len(file)) == pytest.approx(1.5, abs=0.001)


@pytest.mark.parametrize("declared", [0, 0xFFFFFFFF, 10_000_000])
def test_a_streamed_wav_lasts_as_long_as_its_bytes(declared):
    file = bytearray(wav(2.0))
    file[40:44] = declared.to_bytes(4, "little")
    header = read_header(bytes(file))

    assert header is not None
    assert header.duration(len(file)) == pytest.approx(2.0)


def test_chunks_before_the_samples_are_passed_over():
    file = wav(1.0)
    extra = b"LIST\x05\x00\x00\x00abcde\x00"
    header = read_header(file[:36] + extra + file[36:])

    assert header is not None
    assert header.data_starts == 44 + len(extra)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_header_reader_fail(noise):
    read_header(noise)
    read_header(b"RIFF\x00\x00\x00\x00WAVE" + noise)


@given(st.binary(max_size=40))
def test_sniffing_never_fails_and_takes_only_the_bytes_word(noise):
    assert sniff(b"RIFF\x00\x00\x00\x00WAVE" + noise) is WAV
    sniff(noise)


@pytest.mark.parametrize(
    ("head", "format_"),
    [(b"\xff\xfb\x90", MP3), (b"\xff\xf3\x84", MP3), (b"\xff\xf1\x50", AAC), (b"\xff\xf9", AAC)],
)
def test_bare_mpeg_frames_are_told_apart(head, format_):
    assert sniff(head) is format_


@given(st.text(), st.text())
def test_more_text_takes_longer_to_say(one, other):
    assert speaking_time(one + other) == pytest.approx(speaking_time(one) + speaking_time(other))
    assert speaking_time(one) >= 0


def test_a_digit_takes_longer_than_a_letter_and_a_chinese_character_longer_still_than_that_letter():
    assert speaking_time("7") > speaking_time("字") > speaking_time("a")


def test_the_wave_module_agrees_that_test_sounds_are_wav(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(0.5))
    with wave.open(str(tmp_path / "a.wav")) as reader:
        assert reader.getnframes() == 8000
