from __future__ import annotations

import gc
import io
import itertools
import resource
import struct
import wave

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_control.audio.encode import FORMATS, PCM_RATE, Encoder
from spark_control.audio.wav import wav_header
from tests.audio.tones import pitch, sweep, tone

RATES = [8000, 16_000, 22_050, 24_000, 44_100, 48_000]
CODEC_DELAY = 0.08  # seconds: what mp3 and aac put before and after the sound


def encode(format_: str, rate: int, pcm: bytes, tempo: float = 1.0) -> bytes:
    encoder = Encoder(format_, rate, tempo=tempo)
    return encoder.feed(pcm) + encoder.finish()


def decode(format_: str, encoded: bytes) -> tuple[str, int, bytes]:
    """Codec, rate and s16le mono PCM of what an encoder made."""
    if format_ == "pcm":
        return "pcm_s16le", PCM_RATE, encoded
    with av.open(io.BytesIO(encoded), "r") as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.layout.nb_channels == 1
        to_s16 = av.AudioResampler("s16", "mono", stream.rate)
        frames = [frame for sound in container.decode(stream) for frame in to_s16.resample(sound)]
        frames += to_s16.resample(None)
        pcm = b"".join(frame.to_ndarray().tobytes() for frame in frames if frame)
        return stream.codec_context.codec.canonical_name, stream.rate, pcm


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("format_", "codec", "rates"),
    [
        ("mp3", "mp3", {22_050: 22_050, 44_100: 44_100, 48_000: 48_000}),
        ("aac", "aac", {44_100: 44_100, 48_000: 48_000}),
        ("opus", "opus", dict.fromkeys(RATES, 48_000)),  # what its decoders give, whatever it was made from
        ("flac", "flac", {rate: rate for rate in RATES}),
        ("wav", "pcm_s16le", {rate: rate for rate in RATES}),
        ("pcm", "pcm_s16le", {}),
    ],
)
def test_every_format_decodes_to_the_sound_that_was_fed(format_, codec, rates, rate):
    found, decoded_rate, pcm = decode(format_, encode(format_, rate, tone(rate, 2)))

    assert found == codec
    assert decoded_rate == rates.get(rate, 24_000)
    assert pitch(pcm, decoded_rate) == pytest.approx(440, abs=2)
    delay = CODEC_DELAY if format_ in {"mp3", "aac"} else 0.001
    assert 2 - 0.001 <= len(pcm) / 2 / decoded_rate <= 2 + delay


@pytest.mark.parametrize("format_", sorted(FORMATS))
@pytest.mark.parametrize("rate", RATES)
def test_the_first_bytes_leave_after_a_tenth_of_a_second_of_sound(format_, rate):
    encoder = Encoder(format_, rate)
    piece = tone(rate, 0.01)
    headers = {"opus": 97, "wav": 44, "flac": 90}  # bytes that are no sound yet

    sent = b"".join(encoder.feed(piece) for _ in range(11))

    assert len(sent) > headers.get(format_, 0)


@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_bytes_leave_steadily_and_nothing_much_is_kept_for_the_end(format_):
    encoder = Encoder(format_, 22_050)
    sent = [len(encoder.feed(sweep(22_050, 0.1))) for _ in range(50)]

    assert all(sent[1:])
    assert len(encoder.finish()) < 4 * max(sent)


@pytest.mark.parametrize("format_", sorted(FORMATS))
@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 2 * 22_050), max_size=12), tempo=st.sampled_from([1.0, 1.3]))
def test_however_the_sound_is_cut_the_bytes_are_the_same(format_, cuts, tempo):
    pcm = sweep(22_050, 1)
    encoder = Encoder(format_, 22_050, tempo=tempo)
    at = [0, *sorted(cuts), len(pcm)]

    pieces = [encoder.feed(pcm[start:end]) for start, end in itertools.pairwise(at)]

    assert b"".join(pieces) + encoder.finish() == encode(format_, 22_050, pcm, tempo)
    if format_ == "pcm":
        assert all(len(piece) % 2 == 0 for piece in pieces)


@pytest.mark.parametrize("format_", ["wav", "pcm", "flac"])
def test_a_lossless_format_keeps_every_sample_and_drops_half_a_one(format_):
    pcm = sweep(24_000, 0.7)

    assert decode(format_, encode(format_, 24_000, pcm + b"\1"))[2] == pcm


@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_nothing_fed_gives_nothing(format_):
    assert encode(format_, 22_050, b"") == b""
    assert encode(format_, 22_050, b"\1") == b""


@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_a_click_of_five_milliseconds_is_a_whole_file(format_):
    _, rate, pcm = decode(format_, encode(format_, 22_050, tone(22_050, 0.005)))

    assert len(pcm) / 2 / rate >= 0.0045


@pytest.mark.parametrize("tempo", [0.25, 0.5, 0.8, 0.99, 1.25, 2, 3, 4])
@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_tempo_changes_the_duration_and_not_the_pitch(tempo, rate):
    pcm = encode("wav", rate, tone(rate, 3), tempo)[44:]

    assert len(pcm) / 2 / rate == pytest.approx(3 / tempo, abs=0.06)
    assert pitch(pcm, rate) == pytest.approx(440, abs=3)


@pytest.mark.parametrize("format_", sorted(FORMATS))
@pytest.mark.parametrize("tempo", [0.5, 2])
def test_tempo_goes_with_every_format(format_, tempo):
    _, rate, pcm = decode(format_, encode(format_, 24_000, tone(24_000, 2), tempo))

    assert len(pcm) / 2 / rate == pytest.approx(2 / tempo, abs=0.06 + CODEC_DELAY)
    assert pitch(pcm, rate) == pytest.approx(440, abs=3)


def test_the_end_of_the_last_word_survives_a_change_of_tempo():
    quiet, word = b"\0" * 48_000, tone(24_000, 0.1)

    for tempo in (0.5, 0.8, 1.25, 2):
        heard = np.frombuffer(encode("pcm", 24_000, quiet + word, tempo), "<i2").astype(float)
        loud = np.flatnonzero(np.abs(heard) > 1000)
        assert (loud[-1] - loud[0]) / 24_000 == pytest.approx(0.1 / tempo, abs=0.04)


def test_a_wav_begins_with_44_bytes_that_leave_its_size_open():
    sent = Encoder("wav", 22_050).feed(tone(22_050, 0.1))

    assert sent[:44] == wav_header(22_050)
    assert struct.unpack_from("<I", sent, 4) == struct.unpack_from("<I", sent, 40) == (0xFFFFFFFF,)
    with wave.open(io.BytesIO(sent[:2048])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (22_050, 1, 2)


def test_an_mp3_is_nothing_but_frames_of_64_kbit_and_claims_no_length():
    encoded = encode("mp3", 24_000, tone(24_000, 2))
    frame_bytes = 72 * 64_000 // 24_000

    assert {encoded[at : at + 3] for at in range(0, len(encoded), frame_bytes)} == {encoded[:3]}
    assert not any(tag in encoded for tag in (b"Xing", b"Info", b"ID3"))


@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_no_version_of_ffmpeg_is_written_into_the_sound(format_):
    encoded = encode(format_, 22_050, tone(22_050, 1))

    assert not any(name in encoded for name in (b"Lavf6", b"Lavc6", b"Lavf/", b"libopus "))


@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_memory_does_not_grow_with_the_length(format_):
    encoder, minute = Encoder(format_, 8000), tone(8000, 60)
    encoder.feed(minute)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(5):
        encoder.feed(minute)

    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KiB

    assert grown < 5 * 1024


@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_an_encoder_may_be_left_halfway(format_):
    Encoder(format_, 22_050)
    Encoder(format_, 22_050).feed(tone(22_050, 0.5))

    gc.collect()  # what goes wrong here is a warning, and warnings are errors


@pytest.mark.parametrize(
    ("format_", "tempo"), [("ogg", 1), ("mp3", 0.24), ("mp3", 4.1), ("mp3", float("nan"))]
)
def test_there_is_no_such_format_or_tempo(format_, tempo):
    with pytest.raises(ValueError, match=r"no format|from 0.25 to 4"):
        Encoder(format_, 22_050, tempo=tempo)
