from __future__ import annotations

from typing import Any

import httpx
import pytest

from spark_control.errors import NotFound, Unavailable
from spark_control.settings import ModelsSettings, Settings
from spark_control.upstreams import listeners, speakers, thinkers
from spark_control.upstreams.models import ModelNames

NOBODY = httpx.AsyncClient()


def names(upstreams: dict[str, dict[str, Any]], **models: Any) -> ModelNames:
    """What models mean where these engines are; those of language models have told theirs under `told`."""
    told = {name: settings.pop("told", ()) for name, settings in upstreams.items()}
    for settings in upstreams.values():
        settings["url"] = "http://spark-1:1"
    known = Settings(upstreams=upstreams).upstreams
    engines = thinkers(known, NOBODY)
    found = ModelNames(listeners(known, NOBODY), speakers(known, NOBODY), engines, ModelsSettings(**models))
    for engine in engines:
        if told[engine.name]:
            found.told(engine, told[engine.name])
    return found


def house(**models: Any) -> ModelNames:
    return names(
        {
            "ear": {"kind": "parakeet"},
            "nim": {"kind": "parakeet-nim", "priority": 1},
            "voice": {"kind": "magpie"},
            "vllm": {"kind": "openai", "told": ("qwen3-30b", "shared")},
            "ollama": {"kind": "openai", "told": ("llama3.2", "shared")},
        },
        **models,
    )


def test_every_model_is_listed_once_with_its_engine() -> None:
    assert [(model.name, model.task, model.owner) for model in house().listed()] == [
        ("parakeet-tdt-0.6b-v3", "transcription", "ear"),
        ("parakeet-1.1b-ctc-en-us", "transcription", "nim"),
        ("magpie-tts-multilingual", "speech", "voice"),
        ("qwen3-30b", "chat", "vllm"),
        ("shared", "chat", "vllm"),
        ("llama3.2", "chat", "ollama"),
    ]


def test_an_alias_is_listed_and_means_its_model() -> None:
    found = house(aliases={"gpt-4o": "llama3.2", "nothing": "nowhere"})

    assert ("gpt-4o", "ollama") in [(model.name, model.owner) for model in found.listed()]
    assert "nothing" not in [model.name for model in found.listed()]
    assert found.known("gpt-4o").task == "chat"
    assert found.chat_model("GPT-4o").name == "llama3.2"


def test_openais_names_mean_the_first_model_of_their_task() -> None:
    assert house().known("whisper-1").name == "parakeet-tdt-0.6b-v3"
    assert house().known("tts-1-hd").name == "magpie-tts-multilingual"
    with pytest.raises(NotFound):
        house().known("gpt-4o")


def test_a_language_model_is_asked_of_the_engines_that_have_it() -> None:
    assert house().chat_model("llama3.2").among == {"ollama": 0}
    assert house().chat_model("shared").among == {"vllm": 0, "ollama": 0}
    assert house().chat_model("ollama/shared").among == {"ollama": 0}


@pytest.mark.parametrize("asked", ["gpt-9", None, ""])
def test_a_language_model_that_nobody_knows_is_the_first_engines_own(asked: str | None) -> None:
    assert (house().chat_model(asked).name, house().chat_model(asked).among) == ("qwen3-30b", {"vllm": 0})


def test_where_names_are_strict_one_that_nobody_knows_is_not_found() -> None:
    strict = house(strict=True)

    for ask in (strict.chat_model, lambda name: strict.ranks("speech", name)):
        with pytest.raises(NotFound) as caught:
            ask("gpt-9")
        assert caught.value.code == "model_not_found"
    assert strict.ranks("speech", "tts-1") is None
    assert strict.chat_model(None).name == "qwen3-30b"


def test_where_names_are_strict_nobody_is_refused_for_what_an_engine_has_not_told_yet() -> None:
    silent = names({"vllm": {"kind": "openai"}}, strict=True)

    with pytest.raises(Unavailable):
        silent.chat_model("qwen3-30b")


def test_before_anybody_has_told_anything_the_name_goes_to_whoever_answers() -> None:
    silent = names({"vllm": {"kind": "openai"}, "ollama": {"kind": "openai"}})

    assert silent.chat_model("qwen3-30b").name == "qwen3-30b"
    assert set(silent.chat_model("qwen3-30b").among) == {"vllm", "ollama"}


def test_a_tag_may_be_left_out_as_ollama_allows() -> None:
    ollama = names({"ollama": {"kind": "openai", "told": ("llama3.2:latest", "qwen3:8b")}})

    assert ollama.chat_model("llama3.2").name == "llama3.2:latest"
    assert ollama.chat_model("qwen3:8b").name == "qwen3:8b"


def test_an_ear_that_is_asked_for_by_its_model_or_name_is_the_best_and_the_others_stand_in() -> None:
    assert house().ranks("transcription", "parakeet-1.1b-ctc-en-us") == {"ear": 1, "nim": 0}
    assert house().ranks("transcription", "NIM") == {"ear": 1, "nim": 0}
    assert house().ranks("transcription", "whisper-1") is None
    assert house(aliases={"whisper-1": "nim"}).ranks("transcription", "whisper-1") == {"ear": 1, "nim": 0}
    assert house().ranks("speech", "magpie-tts-multilingual") is None, "there is no other"
