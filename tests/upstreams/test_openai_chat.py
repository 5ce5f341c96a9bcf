"""The dialect, held to what each server is known to say."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.upstreams.openai_chat import OpenAIChat
from tests.fakes.llm import EMBEDDER, FLAVOURS, MODEL
from tests.live import serving


@pytest.fixture(params=FLAVOURS)
def server(request):
    """(a dialect, a way to have its requests answered, the server that answers them)."""
    fake = FLAVOURS[request.param]()
    with serving(fake.app) as url, httpx.Client() as client:

        def body(request):
            answer = client.send(request)
            assert answer.status_code == 200
            return answer.content

        yield OpenAIChat(url, flavour=request.param), body, fake


def test_each_server_tells_that_it_is_ready_and_what_it_has(server):
    dialect, answered, fake = server
    answered(dialect.ready_request())

    assert dialect.read_models(answered(dialect.models_request())) == tuple(fake.models)
    assert MODEL in fake.models


def test_each_server_s_token_is_a_passed_canary(server):
    dialect, answered, _ = server

    assert dialect.read_canary(answered(dialect.canary_request(MODEL))) is None


def test_a_canary_asks_for_one_token(server):
    dialect, answered, fake = server
    answered(dialect.canary_request(MODEL))

    (asked,) = fake.asked
    assert (asked.path, asked.json["max_tokens"], asked.json["temperature"]) == (
        "/v1/chat/completions",
        1,
        0,
    )
    assert "stream" not in asked.json


def test_ollama_tells_which_models_are_in_memory():
    fake = FLAVOURS["ollama"]()
    with serving(fake.app) as url, httpx.Client() as client:
        dialect = OpenAIChat(url, flavour="ollama")
        asleep = dialect.read_loaded(client.send(dialect.loaded_request()).content)
        client.send(dialect.embedding_canary_request(EMBEDDER))
        awake = dialect.read_loaded(client.send(dialect.loaded_request()).content)

    assert (asleep, awake) == ((), (EMBEDDER,))


@pytest.mark.parametrize(
    ("flavour", "path", "said", "loaded"),
    [
        ("vllm", "/v1/models", {"data": [{"id": "base"}, {"id": "lora"}]}, ("base", "lora")),
        ("llama.cpp", "/v1/models", {"data": [{"id": "m.gguf"}]}, ("m.gguf",)),
        (
            "llama.cpp",
            "/v1/models",
            {
                "data": [
                    {"id": "a", "status": {"value": "unloaded"}},
                    {"id": "b", "status": {"value": "loaded"}},
                ]
            },
            ("b",),
        ),
        ("llama.cpp", "/v1/models", {"data": [{"id": "a", "status": {"value": "sleeping"}}]}, ()),
        ("ollama", "/api/ps", {"models": [{"name": "a:1b", "model": "a:1b"}]}, ("a:1b",)),
        ("ollama", "/api/ps", {"models": None}, ()),
        (
            "localai",
            "/system",
            {"backends": [], "loaded_models": [{"id": "whisper"}, {"id": "mine"}]},
            ("mine",),
        ),
        ("localai", "/system", {"backends": [], "loaded_models": []}, ()),
        (None, "/v1/models", {"data": [{"id": "only"}]}, ("only",)),
    ],
)
def test_what_a_canary_would_not_wake_is_read_from_each_server(flavour, path, said, loaded):
    dialect = OpenAIChat("http://spark:8000", flavour=flavour, model="mine")

    assert str(dialect.loaded_request().url) == f"http://spark:8000{path}"
    assert dialect.read_loaded(json.dumps(said).encode()) == loaded


def test_of_an_unknown_server_with_several_models_nobody_knows_which_are_in_memory():
    with pytest.raises(LookupError):
        OpenAIChat("http://spark:8000").read_loaded(b'{"data": [{"id": "a"}, {"id": "b"}]}')


def test_a_list_is_read_whatever_else_stands_in_it():
    listed = [
        {"id": "a"},
        None,
        {"id": 5},
        {},
        "b",
        {"id": "a"},
        {"id": "x" * 300},
        {"id": "\x1b[2J"},
        {"id": "c"},
    ]

    assert OpenAIChat("http://x").read_models(json.dumps({"data": listed}).encode()) == ("a", "c")


@given(
    st.binary()
    | st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["data", "id", "status", "value"]), inner)
        ),
    ).map(lambda said: json.dumps(said).encode())
)
def test_whatever_a_server_says_is_read_or_a_value_error(body):
    dialect = OpenAIChat("http://x", flavour="vllm")
    for read in (dialect.read_models, dialect.read_loaded, dialect.read_canary):
        try:
            read(body)
        except ValueError:
            continue


@pytest.mark.parametrize("said", [{}, {"choices": []}, {"data": []}, {"choices": None}])
def test_an_answer_with_nothing_in_it_is_no_passed_canary(said):
    assert OpenAIChat("http://x").read_canary(json.dumps(said).encode())


@pytest.mark.parametrize("size", [0, 100, 512 * 1024, 512 * 1024 + 1, 2_000_000])
def test_a_body_goes_as_it_is_and_can_be_sent_again(size):
    dialect, body = OpenAIChat("http://x"), bytes(size)
    for _ in range(2):
        request = dialect.relay_request("/v1/embeddings", body, {"accept": "*/*", "cookie": "a=b"})
        sent = request.read() if size <= 512 * 1024 else _all_of(request)

        assert sent == body
        assert request.headers["content-length"] == str(size)
        assert "transfer-encoding" not in request.headers
        assert "cookie" not in request.headers


def _all_of(request):
    async def read():
        return await request.aread()

    return asyncio.run(read())
