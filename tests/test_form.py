"""Multipart forms, in any order and cut into any pieces."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.errors import GatewayError, InvalidRequest
from spark_control.form import Form, read_form
from spark_control.uploads import Upload

TYPE = "multipart/form-data; boundary=b"
NAMES = st.sampled_from(["model", "language", "prompt", "timestamp_granularities[]"])
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def written(fields, file, position) -> bytes:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    parts.insert(position, head + file + b"\r\n")
    return b"".join(parts) + b"--b--\r\n"


def cut(body: bytes, cuts) -> list[bytes]:
    edges = [0, *sorted(min(edge, len(body)) for edge in cuts), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


def read(pieces, spool_bytes=100, max_bytes=10_000) -> tuple[Form, bytes]:
    async def scenario() -> tuple[Form, bytes]:
        async def arriving():
            for piece in pieces:
                yield piece

        upload = Upload(spool_bytes, max_bytes)
        try:
            form = await read_form(TYPE, arriving(), upload, file_field="file")
            return form, b"".join([piece async for piece in upload.pieces()])
        finally:
            upload.close()

    return asyncio.run(scenario())


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=5),
    st.binary(max_size=400).filter(lambda data: b"\r\n--b" not in data),
    st.integers(0, 5),
    st.lists(st.integers(0, 1500), max_size=8),
)
def test_any_order_and_any_cutting_gives_the_same_form(fields, file, position, cuts):
    form, received = read(cut(written(fields, file, position), cuts))

    assert received == file
    expected: dict[str, list[str]] = {}
    for name, value in fields:
        expected.setdefault(name, []).append(value)
    assert form.fields == expected


@given(st.binary(max_size=200), st.integers(1, 60))
def test_a_form_that_stops_early_is_never_taken_for_a_whole_one(file, missing):
    whole = written([("model", "x")], file, 0)

    with pytest.raises(InvalidRequest):
        read([whole[: len(whole) - 2 - missing]])


@given(st.binary(max_size=500))
def test_noise_is_refused_and_nothing_else_happens(noise):
    with pytest.raises(GatewayError):
        read([noise])


@given(st.data())
def test_a_damaged_form_is_read_or_refused(data):
    body = bytearray(written([("model", "whisper-1"), ("language", "en")], b"RIFF1234WAVE", 1))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        read([bytes(body)])
    except GatewayError as exc:
        assert exc.status in (400, 413)


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 5000])
def test_a_file_comes_back_the_same_from_memory_and_from_disk(size):
    file = bytes(range(256)) * 20

    assert read([written([], file[:size], 0)])[1] == file[:size]
