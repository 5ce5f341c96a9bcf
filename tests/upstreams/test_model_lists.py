from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.upstreams.model_lists import models_for

SPEACHES = [
    {"id": "Systran/faster-whisper-small", "task": "automatic-speech-recognition"},
    {"id": "speaches-ai/Kokoro-82M-v1.0-ONNX", "task": "text-to-speech"},
    {"id": "pyannote/segmentation", "task": "voice-activity-detection"},
]


def listed(entries, task="speech"):
    return models_for(task, json.dumps({"object": "list", "data": entries}).encode())


def test_the_models_of_a_task_are_told_by_what_the_list_says():
    assert listed(SPEACHES) == ("speaches-ai/Kokoro-82M-v1.0-ONNX",)
    assert listed(SPEACHES, "transcription") == ("Systran/faster-whisper-small",)


def test_a_server_s_own_names_come_before_openai_s():
    assert listed([{"id": "tts-1"}, {"id": "tts-1-hd"}, {"id": "kokoro"}]) == ("kokoro", "tts-1", "tts-1-hd")


def test_the_only_model_is_the_one_whatever_it_is_called():
    assert listed([{"id": "my-own"}]) == ("my-own",)
    assert listed([{"id": "my-own"}], "transcription") == ("my-own",)


def test_a_model_of_another_task_is_never_the_one():
    assert listed([{"id": "my-own", "task": "automatic-speech-recognition"}]) == ()
    assert listed([{"id": "qwen3-4b"}, {"id": "whisper-base"}]) == ()


@pytest.mark.parametrize("entry", [None, "kokoro", {}, {"id": 5}, {"id": "kokoro\n"}, {"id": "kokoro" * 99}])
def test_what_is_no_model_is_left_out(entry):
    assert listed([entry, {"id": "kokoro"}, {"id": "whisper"}]) == ("kokoro",)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{}", b'{"data": 5}', b"[" * 100_000, b'{"data":' * 100_000], ids=range(7)
)
def test_what_is_no_list_of_models_is_a_value_error(body):
    with pytest.raises(ValueError):  # noqa: PT011
        models_for("speech", body)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["id", "task", "capability", "x"]),
            st.none() | st.text(max_size=9) | st.lists(st.integers(), max_size=2) | st.integers(),
        )
    )
)
def test_any_entries_give_usable_names_once_each(entries):
    for task in ("speech", "transcription"):
        names = models_for(task, json.dumps({"data": entries}).encode())
        assert len(set(names)) == len(names)
        assert all(name.isascii() and name.isprintable() and " " not in name for name in names)
