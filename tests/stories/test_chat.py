"""People who talk to language models with PyPI's and npm's openai packages, unmodified, while engines live and die."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from spark_control.server import create_app
from spark_control.settings import Settings
from tests.conftest import engines, need
from tests.fakes.faults import Slow
from tests.fakes.llm import EMBEDDER, MODEL, FakeOllama, FakeVLLM
from tests.fakes.supervised import ROOT, port_of_its_own
from tests.live import eventually, serving

STORY = Path(__file__).parent / "node" / "chat.cjs"
PACKAGES = Path(sys.prefix) / "node" / "node_modules"
HELLO: Any = [{"role": "user", "content": "Hello there, kettle."}]
TOO_LONG: Any = [{"role": "user", "content": "word " * 5000}]


class Revives:
    """Restarts a fake engine for the watcher, as Docker would a real one."""

    kind, what = "docker", "vllm"

    def __init__(self, engine: FakeVLLM) -> None:
        self.times = 0
        self._engine = engine

    async def restart(self) -> None:
        self.times += 1
        self._engine.dead = False


@contextmanager
def house(upstreams: dict[str, Any], models: int, **parts: Any) -> Iterator[httpx.Client]:
    """A gateway before these engines, once it has met them."""
    with ExitStack() as house:
        url = house.enter_context(serving(create_app(Settings(upstreams=upstreams), **parts)))
        client = house.enter_context(httpx.Client(base_url=url, timeout=30))
        eventually(lambda: len(client.get("/v1/models").json()["data"]) == models)
        yield client


def sdk(gateway: httpx.Client) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.base_url}/v1", api_key="anything", max_retries=0)


@pytest.fixture(scope="module")
def home():
    """(a gateway, vLLM, Ollama)"""
    vllm, ollama = FakeVLLM(), FakeOllama()
    ollama.models = [EMBEDDER]
    with serving(vllm.app) as first, serving(ollama.app) as second:
        upstreams = {
            "vllm": {"kind": "openai", "flavour": "vllm", "url": first},
            "ollama": {"kind": "openai", "flavour": "ollama", "url": second},
        }
        with house(upstreams, 2) as gateway:
            yield gateway, vllm, ollama


@pytest.fixture
def client(home):
    with sdk(home[0]) as client:
        yield client


def test_it_lists_models(client):
    assert [model.id for model in client.with_options(timeout=10).models.list()] == [MODEL, EMBEDDER]


def test_it_chats(client):
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, temperature=0.7)

    assert answer.choices[0].message.content == "Hello there, kettle."
    assert answer.usage.total_tokens == 6


def test_it_chats_as_a_stream(client):
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    deltas = [chunk.choices[0].delta.content for chunk in stream]

    assert deltas == ["", "Hello ", "there, ", "kettle. ", None]


def test_it_reads_the_first_words_before_the_last_are_thought_of_and_may_stop_there(client, home):
    _, vllm, _ = home
    vllm.faults = [slow := Slow(after=400)]
    with client.chat.completions.create(model=MODEL, messages=HELLO, stream=True) as stream:
        assert next(stream).choices[0].delta.role == "assistant"
        assert next(stream).choices[0].delta.content == "Hello "
    eventually(slow.abandoned.is_set)


def test_it_completes_and_responds(client):
    assert client.completions.create(model=MODEL, prompt="Once upon").choices[0].text == "Once upon"
    assert client.responses.create(model=MODEL, input="Why is it so?").output_text == "Why is it so?"
    stream = client.responses.create(model=MODEL, input="Why is it so?", stream=True)
    deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "Why is it so? "


def test_it_embeds(client):
    answer = client.embeddings.create(model=EMBEDDER, input=["a", "bc"], encoding_format="float")

    assert [each.embedding for each in answer.data] == [[0.25, 1.0], [0.25, 2.0]]


@pytest.mark.parametrize("stream", [False, True])
def test_it_learns_that_a_conversation_is_too_long(client, stream):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=TOO_LONG, stream=stream)

    assert caught.value.code == "context_length_exceeded"
    assert "maximum context length is 4096 tokens" in str(caught.value)
    assert str(caught.value.request_id).startswith("req_")


def test_npm_s_package_does_all_of_it_too(home):
    node = need("node", "nodejs")
    if not (PACKAGES / "openai").is_dir():
        need("openai (an npm package)", "npm, with which `make test` installs it,")
    ended = subprocess.run(
        [node, STORY, f"{home[0].base_url}/v1", MODEL, EMBEDDER],
        env={**os.environ, "NODE_PATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)

    assert told["models"] == [MODEL, EMBEDDER]
    assert (told["whole"], told["streamed"]) == ("Hello from Node.", "Hello from Node. ")
    assert told["answered"] == "Hello again. "
    assert told["vectors"] == [[0.25, 1.0], [0.25, 2.0]]
    refused = told["refused"]
    assert (refused["name"], refused["status"]) == ("BadRequestError", 400)
    assert refused["code"] == "context_length_exceeded"


@pytest.mark.parametrize("stream", [False, True])
def test_ollama_s_runner_dies_and_nobody_notices(stream):
    ollama = FakeOllama()
    with serving(ollama.app) as url:
        upstreams = {"ollama": {"kind": "openai", "flavour": "ollama", "url": url}}
        with house(upstreams, 2) as gateway, sdk(gateway) as client:
            client.chat.completions.create(model=MODEL, messages=HELLO)
            ollama.dead = True
            answer = client.chat.completions.create(model=MODEL, messages=HELLO, stream=stream)
            if stream:
                assert len(list(answer)) == 5

    assert len(ollama.asked) == 3
    assert ollama.canaries == []  # its model was gone, and no canary wakes one


def test_an_idle_model_is_never_woken(client, home):
    gateway, _, ollama = home
    ollama.reset()
    ollama.models = [EMBEDDER]
    client.embeddings.create(model=EMBEDDER, input="a", encoding_format="float")
    ollama.loaded.clear()  # it has been idle for five minutes
    httpx.post(f"{gateway.base_url}/api/upstreams/ollama/probe").raise_for_status()

    assert (ollama.canaries, ollama.loaded) == ([], [])


def test_a_dead_engine_in_a_living_process_is_restarted_and_its_request_answered():
    """So vLLM does if it is told to stay: every answer is an empty 500, for ever."""
    vllm = FakeVLLM()
    with serving(vllm.app) as url:
        revives = Revives(vllm)
        upstreams = {"vllm": {"kind": "openai", "flavour": "vllm", "url": url}}
        with house(upstreams, 1, restarters={"vllm": revives}) as gateway, sdk(gateway) as client:
            client.chat.completions.create(model=MODEL, messages=HELLO)
            vllm.dead = True
            answer = client.chat.completions.create(model=MODEL, messages=HELLO)

    assert answer.choices[0].message.content == "Hello there, kettle."
    assert revives.times == 1


class Docker:
    """Runs vLLM, and starts it again. The first one is mortal."""

    kind, what = "docker", "vllm"

    def __init__(self) -> None:
        self.port = port_of_its_own()
        self.ended: list[int] = []
        self._process = self._start("--dies-of", "kaboom")

    def __enter__(self) -> Docker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        with self._process:
            pass

    async def restart(self) -> None:
        with self._process as process:  # it is shutting down by itself
            self.ended.append(await asyncio.to_thread(process.wait, 5))
        self._process = self._start()

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.fakes.llm", "vllm", "--port", str(self.port), *options]
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)


@pytest.mark.parametrize("stream", [False, True])
def test_the_engine_dies_of_a_question_and_the_one_that_follows_it_answers(stream):
    with Docker() as docker:
        upstreams = {"vllm": {"kind": "openai", "flavour": "vllm", "url": f"http://127.0.0.1:{docker.port}"}}
        with house(upstreams, 1, restarters={"vllm": docker}) as gateway, sdk(gateway) as client:
            question: Any = [{"role": "user", "content": "kaboom"}]
            answer: Any = client.chat.completions.create(model=MODEL, messages=question, stream=stream)
            if stream:
                words = "".join(chunk.choices[0].delta.content or "" for chunk in answer)
            else:
                words = answer.choices[0].message.content
            eventually(lambda: engines(gateway)[0]["state"] == "healthy")

    assert words.strip() == "kaboom"
    assert docker.ended == [0]
