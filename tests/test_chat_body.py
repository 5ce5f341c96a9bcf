"""The model's name in a body: found where `json` finds it, and exchanged without touching another byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spark_control.chat_body import read_chat_body
from spark_control.errors import InvalidRequest

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.text() | st.sampled_from(["model", "stream", "mod\u00e9l", "MODEL"])
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=6)
MODELS = st.none() | st.text()
BLANKS = st.text(" \t\r\n", max_size=3)


@st.composite
def bodies(draw):
    """An object with or without a model, written in one of the many ways to write it."""
    members = list(draw(OBJECTS).items())
    members = [each for each in members if each[0] != "model"]
    if draw(st.booleans()):
        members.insert(draw(st.integers(0, len(members))), ("model", draw(MODELS)))

    def written(value):
        text = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
        return draw(BLANKS) + text + draw(BLANKS)

    inside = ",".join(f"{written(name)}:{written(value)}" for name, value in members) or draw(BLANKS)
    return f"{draw(BLANKS)}{{{inside}}}{draw(BLANKS)}".encode("utf-8", "surrogatepass")


@given(bodies(), st.text())
def test_only_the_model_s_name_changes(raw, name):
    body = read_chat_body(raw)
    before = json.loads(raw)
    named = body.naming(name)

    assert json.loads(named) == {**before, "model": name}
    assert body.model == (before.get("model") or None)
    begins, ends = body.name_at
    if name != body.model:
        assert named.startswith(raw[:begins])
        assert named.endswith(raw[ends:])
    if "model" in before:
        assert json.loads(raw[begins:ends]) == before["model"]


@given(bodies())
def test_a_name_that_is_the_same_leaves_the_bytes_as_they_are(raw):
    body = read_chat_body(raw)
    if body.model:
        assert body.naming(body.model) is raw


@given(st.binary() | bodies().map(lambda raw: raw[:-1]) | bodies().map(lambda raw: raw + b"1"))
@example(b'{"a": 1,}')
@example(b'{,"a": 1}')
@example(b'{"a" 1}')
@example(b'{"a": 1 "b": 2}')
@example(b"{1: 2}")
@example(b"[]")
@example(b"")
@example(b'{"a": "line\nbreak"}')
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"model": "\xff"}')
def test_what_json_does_not_take_is_refused(raw):
    try:
        is_object = isinstance(json.loads(raw.decode()), dict)
    except (ValueError, RecursionError):
        is_object = False
    try:
        body = read_chat_body(raw)
    except InvalidRequest as exc:
        assert not is_object or exc.param == "model"
        assert exc.status == 400
    else:
        # Text that is no UTF-8, in a place where nobody looks, is the engine's to refuse.
        assert is_object or not _is_utf8(raw), body


def _is_utf8(raw):
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_of_two_models_the_last_counts_as_it_does_for_json():
    raw = b'{"model": "a", "n": 1.10, "model": "b"}'
    body = read_chat_body(raw)

    assert body.model == json.loads(raw)["model"] == "b"
    assert body.naming("c") == b'{"model": "a", "n": 1.10, "model": "c"}'


@pytest.mark.parametrize("model", ["1", "true", "[]", '{"id": "m"}', "1.5"])
def test_a_model_that_is_no_text_is_refused(model):
    with pytest.raises(InvalidRequest) as caught:
        read_chat_body(b'{"model": %b}' % model.encode())

    assert (caught.value.code, caught.value.param) == ("invalid_parameter", "model")


@pytest.mark.parametrize(
    ("raw", "streamed"),
    [
        (b"{}", False),
        (b'{"stream": true}', True),
        (b'{"stream": false}', False),
        (b'{"stream": "true"}', False),
        (b'{"messages": [{"stream": true}]}', False),
    ],
)
def test_whether_the_answer_is_to_be_streamed_is_read(raw, streamed):
    assert read_chat_body(raw).streamed is streamed


@pytest.mark.parametrize("filling", [b"[],", b"{},", b"1,", b"[["])
def test_more_values_than_the_memory_should_hold_are_refused_unread(filling):
    with pytest.raises(InvalidRequest) as caught:
        read_chat_body(b'{"model": "m", "input": [' + filling * 5_000_000)

    assert caught.value.code == "request_too_large"
