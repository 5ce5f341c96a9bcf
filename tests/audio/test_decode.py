from __future__ import annotations

import functools
import io
import itertools
import random
import resource
import struct
import tempfile

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_control.audio.decode import BYTES_PER_SECOND, RATE, canonical_header, is_canonical, to_canonical
from spark_control.audio.wav import read_header, wav_header
from spark_control.errors import GatewayError, InvalidRequest, TooLarge
from tests.audio.tones import pitch, recording, tone

DELAY = 0.2  # seconds: what codecs put before and after the sound

CONTAINERS = [
    ("wav", "pcm_s16le", 48_000),
    ("wav", "pcm_f32le", 8000),
    ("mp3", "libmp3lame", 44_100),
    ("mp4", "aac", 48_000),
    ("ipod", "alac", 22_050),
    ("matroska", "pcm_s16le", 11_025),
    ("webm", "libopus", 48_000),
    ("ogg", "libopus", 24_000),
    ("flac", "flac", 96_000),
    ("adts", "aac", 16_000),
]


def never() -> bool:
    return False


def heard(file: bytes, longest: float = 600) -> bytes:
    """The canonical samples of a file."""
    pieces: list[bytes] = []
    seconds = to_canonical(io.BytesIO(file), pieces.append, longest=longest, deadline=never)
    pcm = b"".join(pieces)
    assert seconds == len(pcm) / BYTES_PER_SECOND
    return pcm


@functools.cache
def made(container: str, codec: str, rate: int, layout: str = "mono") -> bytes:
    return recording(container, codec, rate, layout, tone(rate, 2, channels=1 if layout == "mono" else 2))


def in_wav(pcm: bytes, rate: int, channels: int) -> bytes:
    """A WAV file of interleaved s16le samples, with no word on which channel is where."""
    frame = 2 * channels
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * frame & 0xFFFFFFFF, frame, 16)
    return b"RIFF\xff\xff\xff\xffWAVE" + layout + struct.pack("<4sI", b"data", len(pcm)) + pcm


def refused(file: bytes) -> str:
    """The sentence with which a file is turned away."""
    with pytest.raises(InvalidRequest) as refusal:
        heard(file)
    assert (refusal.value.status, refusal.value.code, refusal.value.param) == (
        400,
        "audio_undecodable",
        "file",
    )
    return refusal.value.message


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize(("container", "codec", "rate"), CONTAINERS)
def test_any_container_becomes_16_khz_mono(container, codec, rate, layout):
    pcm = heard(made(container, codec, rate, layout))

    assert 2 - 0.01 <= len(pcm) / BYTES_PER_SECOND <= 2 + DELAY
    assert pitch(pcm, RATE) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 7, 8, 9, 16, 24, 64])
def test_any_number_of_channels_is_mixed_down(channels):
    pcm = heard(in_wav(tone(16_000, 0.5, channels=channels), 16_000, channels))

    assert len(pcm) == BYTES_PER_SECOND / 2
    assert pitch(pcm, RATE) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("silent", [0, 1])
def test_a_voice_in_one_of_two_channels_is_heard(silent):
    mono = tone(16_000, 0.5)
    pairs = [(b"\0\0", mono[at : at + 2])[:: 1 if silent == 0 else -1] for at in range(0, len(mono), 2)]

    pcm = heard(in_wav(b"".join(itertools.chain(*pairs)), 16_000, 2))

    assert pitch(pcm + pcm, RATE) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("rate", [1000, 8000, 11_025, 192_000, 768_000])
def test_any_rate_becomes_16_khz(rate):
    pcm = heard(in_wav(tone(rate, 0.5), rate, 1))

    assert len(pcm) / BYTES_PER_SECOND == pytest.approx(0.5, abs=0.002)
    assert pitch(pcm, RATE) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(
    ("rate", "channels"),
    [(16_000, 65), (16_000, 255), (768_000, 255), (1, 1), (999, 2), (2**31 - 1, 1), (2**32 - 1, 9)],
)
def test_impossible_rates_and_channels_are_refused_and_take_no_memory(rate, channels):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert "cannot be read as audio" in refused(in_wav(b"\1" * 100_000, rate, channels))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024  # KiB


def test_the_middle_of_a_long_recording_is_not_kept_in_memory():
    file = in_wav(b"\1\2\3\4" * 48_000 * 300, 48_000, 2)
    heard(made("wav", "pcm_s16le", 48_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    sizes: list[int] = []
    to_canonical(io.BytesIO(file), lambda piece: sizes.append(len(piece)), longest=600, deadline=never)

    assert max(sizes) < 64 * 1024
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 5 * 1024  # KiB


def test_a_small_file_that_declares_a_huge_index_takes_no_memory():
    file = bytearray(made("mp4", "aac", 48_000))
    samples = 80_000_000  # at 24 bytes each
    struct.pack_into(">II", file, file.index(b"stsz") + 8, 1, samples)
    struct.pack_into(">I", file, file.index(b"stsc") + 16, samples)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    refused(bytes(file))

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024  # KiB


def test_audio_beyond_the_longest_allowed_is_refused_while_it_is_decoded():
    written: list[bytes] = []
    file = made("flac", "flac", 96_000)

    with pytest.raises(
        TooLarge, match=r"^The audio is longer than the 1\.5 seconds this gateway takes\.$"
    ) as refusal:
        to_canonical(io.BytesIO(file), written.append, longest=1.5, deadline=never)

    assert (refusal.value.status, refusal.value.code, refusal.value.param) == (413, "audio_too_large", "file")
    assert 1.3 < sum(map(len, written)) / BYTES_PER_SECOND <= 1.5
    assert len(heard(file, longest=2.0)) == 2 * BYTES_PER_SECOND


def test_a_longer_limit_is_told_in_minutes():
    with pytest.raises(TooLarge, match="longer than the 2 minutes"):
        heard(in_wav(b"\0\1" * 8000 * 121, 8000, 1), longest=120)


@pytest.mark.parametrize("asked", [0, 1, 2, 20])
def test_decoding_stops_where_the_time_is_over(asked):
    clock = itertools.count()

    with pytest.raises(InvalidRequest, match="took too long") as refusal:
        to_canonical(
            io.BytesIO(made("mp3", "libmp3lame", 44_100)),
            len,
            longest=9,
            deadline=lambda: next(clock) >= asked,
        )

    assert refusal.value.code == "audio_undecodable"


@pytest.mark.parametrize(
    "file", [b"", b"hello", b"\0" * 10_000, random.Random(1).randbytes(50_000), b"RIFF\0\0\0\0WAVE"]
)
def test_what_is_not_audio_is_said_to_be_damaged(file):
    assert refused(file) == "This file cannot be read as audio; is it damaged?"


def test_a_file_with_no_samples_has_no_sound_in_it():
    assert refused(wav_header(16_000, 0)) == "This file has no sound in it."


def test_a_film_without_sound_has_no_sound_in_it():
    assert refused(film()) == "This file has no sound in it."


def film() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        output.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        output.mux(stream.encode(None))
    return file.getvalue()


def test_the_sound_of_a_film_is_heard_and_its_pictures_are_not_looked_at():
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        video, audio = output.add_stream("mpeg4", rate=25), output.add_stream("aac", 48_000, layout="mono")
        video.width = video.height = 64
        output.mux(video.encode(av.VideoFrame(64, 64, "yuv420p")))
        output.mux(video.encode(None))
        frame = av.AudioFrame("s16", "mono", 48_000)
        frame.planes[0].update(tone(48_000, 1))
        frame.sample_rate = 48_000
        output.mux(audio.encode(frame))
        output.mux(audio.encode(None))

    assert pitch(heard(file.getvalue()), RATE) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(
    "list_of_files",
    [
        b"#EXTM3U\n#EXTINF:2,\nfile://{}\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile {}\n",
        b"ffconcat version 1.0\nfile 'file:{}'\n",
        b"v=0\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n",
        b"<?xml version='1.0'?><MPD type='static'><Period><BaseURL>file://{}</BaseURL></Period></MPD>",
    ],
)
def test_a_list_of_other_files_is_no_audio(list_of_files, tmp_path):
    secret = tmp_path / "secret.wav"
    secret.write_bytes(made("wav", "pcm_s16le", 48_000))

    assert "cannot be read" in refused(list_of_files.replace(b"{}", str(secret).encode()))


def test_an_mp4_that_points_to_another_file_does_not_open_it(tmp_path):
    elsewhere = tmp_path / "secret.mov"
    whole = made("mov", "pcm_s16le", 48_000)
    elsewhere.write_bytes(whole)
    pointer = pointing_to(str(elsewhere).encode(), whole)

    assert refused(pointer) == "This file has no sound in it."
    # FFmpeg would, if it were let.
    unguarded = {"enable_drefs": "1", "use_absolute_path": "1"}
    with av.open(io.BytesIO(pointer), "r", options=unguarded) as container:
        assert next(container.decode(audio=0)).samples


def pointing_to(path: bytes, whole: bytes) -> bytes:
    """The QuickTime file `whole` with an alias to `path` in place of its note that its samples are its own."""
    entry = whole.index(b"dref") + 12
    size = int.from_bytes(whole[entry : entry + 4], "big")
    even = path + bytes(len(path) % 2)
    alias = b"alis" + bytes(4 + 150) + struct.pack(">HH", 2, len(path)) + even + b"\xff\xff\0\0"
    alias = struct.pack(">I", len(alias) + 4) + alias
    file = bytearray(whole[:entry] + alias + whole[entry + size :])
    for box in (b"moov", b"trak", b"mdia", b"dinf", b"dref"):
        grow(file, file.index(box) - 4, len(alias) - size)
    grow(file, file.rindex(b"minf", 0, entry) - 4, len(alias) - size)
    return bytes(file)


def grow(file: bytearray, at: int, by: int) -> None:
    struct.pack_into(">I", file, at, int.from_bytes(file[at : at + 4], "big") + by)


@pytest.mark.parametrize(("container", "codec", "rate"), CONTAINERS)
def test_a_file_cut_short_gives_what_it_has(container, codec, rate):
    if container in {"mp4", "ipod"}:
        return  # its index lies at the end, and nothing can be read without
    file = made(container, codec, rate)

    pcm = heard(file[: len(file) * 2 // 3])

    assert 0.9 < len(pcm) / BYTES_PER_SECOND < 1.5
    assert pitch(pcm, RATE) == pytest.approx(440, abs=2)


def test_damage_in_the_middle_costs_no_more_than_the_middle():
    file = bytearray(made("mp3", "libmp3lame", 44_100))
    middle = len(file) // 2
    file[middle : middle + 2000] = random.Random(2).randbytes(2000)

    pcm = heard(bytes(file))

    assert len(pcm) / BYTES_PER_SECOND > 1.6
    assert pitch(pcm[-BYTES_PER_SECOND // 2 :], RATE) == pytest.approx(440, abs=4)


def test_tags_in_an_unknown_encoding_are_no_reason_to_refuse_the_sound():
    tag = b"TIT2\0\0\0\5\0\0\3\xff\xfe\xfa\xff"
    file = b"ID3\3\0\0\0\0\0" + bytes([len(tag)]) + tag + made("mp3", "libmp3lame", 44_100)

    assert heard(file)


def test_a_stream_that_changes_its_rate_is_heard_to_the_end():
    pcm = heard(made("adts", "aac", 16_000) + made("adts", "aac", 48_000))

    assert len(pcm) / BYTES_PER_SECOND == pytest.approx(4, abs=2 * DELAY)
    assert pitch(pcm[-BYTES_PER_SECOND:], RATE) == pytest.approx(440, abs=4)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_no_damage_is_answered_with_anything_but_sound_or_a_sentence(data):
    kind = data.draw(st.sampled_from(CONTAINERS))
    file = bytearray(made(*kind))
    # Headers matter most: half of the damage is done within the first and the last kilobyte.
    places = st.one_of(
        st.integers(0, 1023), st.integers(len(file) - 1024, len(file) - 1), st.integers(0, len(file) - 1)
    )
    for at, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=30)):
        file[at] = byte
    file = file[: data.draw(st.one_of(st.just(len(file)), places))]
    written: list[bytes] = []

    # A real file, since it cannot be moved about in as freely as a BytesIO.
    with tempfile.TemporaryFile(buffering=0) as upload:
        upload.write(file)
        upload.seek(0)
        try:
            seconds = to_canonical(upload, written.append, longest=60, deadline=never)
        except GatewayError as error:
            assert error.message.endswith((".", "?"))
        else:
            assert seconds == sum(map(len, written)) / BYTES_PER_SECOND > 0


def test_a_fault_of_the_disk_is_not_blamed_on_the_file():
    class BrokenDisk(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        to_canonical(BrokenDisk(b"RIFF"), len, longest=9, deadline=never)


def test_a_fault_in_writing_is_not_blamed_on_the_file():
    def full(piece: bytes) -> None:
        raise ValueError("the disk is full")

    with pytest.raises(ValueError, match="the disk is full"):
        to_canonical(io.BytesIO(made("wav", "pcm_s16le", 48_000)), full, longest=9, deadline=never)


def test_canonical_samples_behind_their_header_are_a_wav_that_needs_no_decoding():
    pcm = heard(made("ogg", "libopus", 24_000))
    file = canonical_header(len(pcm)) + pcm

    header = read_header(file)

    assert header is not None
    assert is_canonical(header)
    assert (header.data_starts, header.data_bytes) == (44, len(pcm))
    assert struct.unpack_from("<I", file, 4) == (len(file) - 8,)
    assert heard(file) == pcm


@pytest.mark.parametrize(
    ("format_tag", "channels", "rate", "bits"),
    [
        (3, 1, RATE, 16),
        (0xFFFE, 1, RATE, 16),
        (1, 2, RATE, 16),
        (1, 1, 8000, 16),
        (1, 1, RATE, 8),
        (1, 1, RATE, 24),
    ],
)
def test_a_wav_of_another_kind_is_not_canonical(format_tag, channels, rate, bits):
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, format_tag, channels, rate, rate, 2, bits)

    header = read_header(b"RIFF\0\0\0\0WAVE" + layout + b"data\0\0\0\0")

    assert header is not None
    assert (header.format_tag, header.channels, header.rate, header.bits) == (
        format_tag,
        channels,
        rate,
        bits,
    )
    assert not is_canonical(header)
