"""Bytes kept in memory or on disk, read again from any place."""

from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.errors import TooLarge, Unavailable
from spark_control.uploads import Clip, Spool, Upload


def spooled(data: bytes, in_memory_bytes: int) -> Spool:
    spool = Spool(in_memory_bytes)
    for start in range(0, len(data), 100):
        spool.write_now(data[start : start + 100])
    return spool


async def gathered(pieces) -> bytes:
    return b"".join([piece async for piece in pieces])


SIZES = st.integers(0, 1500)


@given(st.binary(max_size=1000), SIZES, SIZES, SIZES)
def test_memory_and_disk_give_the_same_bytes_from_any_place(data, in_memory_bytes, start, end):
    spool = spooled(data, in_memory_bytes)
    try:
        assert asyncio.run(gathered(spool.pieces(start, end))) == data[start:end]
        assert asyncio.run(spool.head(start)) == data[:start]
        assert (spool.in_memory is None) == (len(data) > in_memory_bytes)
    finally:
        spool.close()


@given(st.binary(max_size=1000), SIZES, st.integers(0, 1000), st.integers(0, 1000))
def test_a_clip_is_its_header_and_a_stretch_of_the_bytes(data, in_memory_bytes, one, other):
    start, end = sorted((min(one, len(data)), min(other, len(data))))
    spool = spooled(data, in_memory_bytes)
    try:
        clip = Clip(b"head", spool, start, end)
        expected = b"head" + data[start:end]
        assert asyncio.run(gathered(clip.pieces())) == expected
        assert clip.size == len(expected)
        assert clip.in_memory in (None, expected)
    finally:
        spool.close()


@given(
    st.binary(max_size=1000),
    SIZES,
    st.lists(st.tuples(st.integers(0, 1000), st.integers(-1, 1000)), max_size=5),
)
def test_a_reader_reads_as_a_file_does(data, in_memory_bytes, moves):
    spool = spooled(data, in_memory_bytes)
    try:
        with spool.reader() as one, spool.reader() as other:
            for place, count in moves:
                one.seek(place)
                expected = data[place:] if count < 0 else data[place : place + count]
                assert one.read(count) == expected
                assert one.tell() == place + len(expected)
            assert one.seek(0, os.SEEK_END) == len(data)
            assert other.read() == data, "each has a place of its own"
    finally:
        spool.close()


def test_an_upload_stops_at_its_limit():
    async def scenario() -> None:
        upload = Upload(10, max_bytes=100)
        try:
            await upload.write(bytes(100))
            with pytest.raises(TooLarge):
                await upload.write(b"x")
        finally:
            upload.close()

    asyncio.run(scenario())


def test_a_full_disk_is_told_in_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: open("/dev/full", "wb", buffering=0))  # noqa: SIM115, PTH123
    spool = Spool(0)
    with pytest.raises(Unavailable, match="no room left"):
        spool.write_now(b"x")
    spool.close()
