"""Server-sent events."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control import events

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def read(pieces):
    async def scenario():
        async def arriving():
            for piece in pieces:
                yield piece

        return [event async for event in events.read(arriving())]

    return asyncio.run(scenario())


@given(
    st.lists(
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), JSON, max_size=3)
    ),
    st.integers(1, 50),
)
def test_what_was_written_is_read_again_however_it_is_cut(told, size):
    stream = b"".join(events.written(event) for event in told)

    assert read(stream[start : start + size] for start in range(0, len(stream), size)) == told


def test_what_engines_put_around_the_data_is_passed_over():
    stream = (
        b'event: x\r\ndata: {"a": 1}\r\n\r\n: comment\nretry: 3\ndata:{"b": 2}\n\ndata:\n\ndata: [DONE]\n\n'
    )

    assert read([stream]) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("stream", [b"data: {\n\n", b"data: []\n\n", b"data: \xff\n\n", b"x" * 5_000_000])
def test_what_is_no_event_is_an_error(stream):
    with pytest.raises(ValueError):  # noqa: PT011 (any of them)
        read([stream])
