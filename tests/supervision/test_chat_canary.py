"""The canary of a language model: one token, from a model that is awake."""

from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from spark_control.supervision.probes import chat_canary, probe
from spark_control.supervision.recovery import Failed, Inconclusive, Passed
from spark_control.supervision.wedge import Verdict
from spark_control.upstreams.client import CANARIES, Upstream, open_client
from spark_control.upstreams.openai_chat import OpenAIChat
from tests.fakes.faults import Fault, Slow
from tests.fakes.llm import EMBEDDER, FLAVOURS, MODEL, FakeOllama, FakeVLLM
from tests.live import serving, unused_port


def probed(fake, flavour, *, times=1, model="", within=5.0):
    """What the last of so many canaries found."""

    async def scenario(url):
        async with open_client(agent=CANARIES) as client:
            canary = chat_canary(Upstream("llm", OpenAIChat(url, flavour=flavour, model=model), client))
            return [await probe(canary, within, time.monotonic) for _ in range(times)][-1].outcome

    with serving(fake.app) as url:
        return asyncio.run(scenario(url))


@pytest.mark.parametrize("flavour", ["vllm", "llama.cpp", None])
def test_a_server_with_one_model_does_a_token_of_work(flavour):
    fake = FLAVOURS[flavour or "vllm"]()

    assert probed(fake, flavour) == Passed()
    assert [(asked.path, asked.json["model"]) for asked in fake.canaries] == [("/v1/chat/completions", MODEL)]


def test_a_model_that_sleeps_is_left_asleep():
    fake = FakeOllama()

    assert probed(fake, "ollama") == Passed()
    assert (fake.canaries, fake.loaded) == ([], [])


def test_of_several_that_are_awake_the_engine_s_own_is_asked():
    fake = FakeOllama()
    fake.loaded = [EMBEDDER, MODEL]

    assert probed(fake, "ollama", model=MODEL) == Passed()
    assert [asked.json["model"] for asked in fake.canaries] == [MODEL]


def test_a_model_that_does_not_chat_makes_an_embedding_and_that_is_remembered():
    fake = FakeOllama()
    fake.loaded = [EMBEDDER]

    assert probed(fake, "ollama", times=2) == Passed()
    assert [asked.path for asked in fake.canaries] == [
        "/v1/chat/completions",
        "/v1/embeddings",
        "/v1/embeddings",
    ]


def test_nothing_is_known_of_a_server_that_does_neither():
    fake = FakeVLLM()
    fake.fault = Fault(400, b'{"error": {"message": "This model reranks."}}')

    assert isinstance(probed(fake, "vllm"), Inconclusive)
    assert len(fake.canaries) == 2


def test_of_an_unknown_server_with_several_models_none_is_asked():
    fake = FakeOllama()

    assert isinstance(probed(fake, None), Inconclusive)
    assert fake.canaries == []


def test_a_server_that_is_busy_is_not_sick():
    fake = FakeOllama()
    fake.loaded, fake.busy = [MODEL], True

    assert isinstance(probed(fake, "ollama"), Inconclusive)


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (Fault(500), Verdict.UNKNOWN),
        (Fault(500, b'{"error": {"message": "CUDA error: an illegal memory access"}}'), Verdict.STICKY),
        (Fault(503), Verdict.LOADING),
        (Fault(200, b"hello"), Verdict.UNKNOWN),
        (Fault(200, b"[" * 100_000), Verdict.UNKNOWN),
        (Fault(200, json.dumps({"choices": []}).encode()), Verdict.UNKNOWN),
        (Slow(), Verdict.HUNG),
    ],
)
def test_a_server_that_does_no_token_has_failed(fault, verdict):
    fake = FakeVLLM()
    fake.fault = fault
    outcome = probed(fake, "vllm", within=0.3 if verdict is Verdict.HUNG else 10)

    assert isinstance(outcome, Failed)
    assert outcome.verdict is verdict


def test_a_dead_engine_has_failed_and_so_has_one_that_is_gone():
    fake = FakeVLLM()
    fake.dead = True
    assert isinstance(probed(fake, "vllm"), Failed)

    async def gone():
        async with open_client() as client:
            canary = chat_canary(Upstream("llm", OpenAIChat(f"http://127.0.0.1:{unused_port()}"), client))
            return (await probe(canary, 5, time.monotonic)).outcome

    assert asyncio.run(gone()) == Failed(Verdict.UNREACHABLE, "refused")


def test_a_list_of_models_that_makes_no_sense_is_a_failure():
    async def nonsense(_):
        return JSONResponse("nonsense")

    fake = SimpleNamespace(app=Starlette(routes=[Route("/api/ps", nonsense)]))

    assert isinstance(probed(fake, "ollama"), Failed)
