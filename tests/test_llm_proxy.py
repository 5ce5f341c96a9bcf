"""`POST /v1/chat/completions`, `/v1/completions`, `/v1/responses`, `/v1/embeddings` and `/v1/rerank`."""

from __future__ import annotations

import hashlib
import json
import socket
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from spark_control.settings import Settings
from tests.conftest import IMPATIENT, Shared, engines, live_gateway
from tests.fakes.faults import CutOff, Fault, Slow
from tests.fakes.llm import EMBEDDER, MODEL, FakeOllama, FakeVLLM, event
from tests.live import eventually, serving

CHAT = "/v1/chat/completions"
# Blanks, digits and the order of keys as no library would write them.
BODY = (
    b'{"temperature" : 0.70,"messages":[ {"role":"user","content":"gr\\u00fc\xc3\x9fe 1.0"}],\n "model":"'
    + MODEL.encode()
    + b'" }'
)
STREAMED = b'{"stream":true,' + BODY[1:]
AS_JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def _vllm():
    fake = FakeVLLM()
    with serving(fake.app) as url:
        yield fake, url


@pytest.fixture
def vllm(_vllm):
    """The engine behind `relay`."""
    _vllm[0].reset()
    return _vllm[0]


@pytest.fixture
def upstream(_vllm):
    return {"kind": "openai", "flavour": "vllm", "url": _vllm[1], "probe_when": "always"}


class Broken(Slow):
    """Other bytes than the good ones, and a pause in the middle of them."""

    def __init__(self, after, instead):
        super().__init__(after)
        self._instead = instead

    def response(self, _):
        return super().response(self._instead)


@contextmanager
def relay_to(upstreams, **settings):
    """A client of a gateway before these engines, once it knows their models."""
    with live_gateway(Settings(**{"upstreams": upstreams, "deep_health": IMPATIENT, **settings})) as client:
        client.headers.update(AS_JSON)
        eventually(lambda: client.get("/v1/models").json()["data"], within=5)
        yield client


@pytest.fixture(scope="module")
def _relaying(_vllm):
    upstream = {"kind": "openai", "flavour": "vllm", "url": _vllm[1], "probe_when": "always"}
    shared = Shared(Settings(upstreams={"vllm": upstream}, deep_health=IMPATIENT))
    yield shared
    shared.close()


@pytest.fixture
def relay(_relaying, vllm):
    """A client of a gateway with `vllm` behind it."""
    client = _relaying.client()
    client.headers.update(AS_JSON)
    eventually(lambda: client.get("/v1/models").json()["data"], within=5)
    vllm.reset()
    return client


@pytest.fixture
def direct(vllm, upstream):
    """A client of the engine itself."""
    with httpx.Client(base_url=upstream["url"], headers=AS_JSON) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, BODY),
        (CHAT, STREAMED),
        ("/v1/completions", b'{"model": "qwen3-30b", "prompt":"Once upon"}'),
        ("/v1/completions", b'{"model": "qwen3-30b", "prompt":"Once upon", "stream":true}'),
        ("/v1/responses", b'{"input": "Why?", "model":"qwen3-30b"}'),
        ("/v1/responses", b'{"input": "Why?", "model":"qwen3-30b","stream":true}'),
        ("/v1/rerank", b'{"model":"qwen3-30b","query":"q","documents":["a","b"]}'),
    ],
)
def test_bytes_go_through_as_they_are_both_ways(relay, direct, vllm, path, body):
    answer = relay.post(path, content=body)
    wanted = direct.post(path, content=body)

    assert answer.status_code == 200
    assert answer.content == wanted.content
    assert answer.headers["content-type"] == wanted.headers["content-type"]
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["x-model"] == MODEL
    assert [(asked.path, asked.body) for asked in vllm.asked] == [(path, body)] * 2
    assert vllm.asked[0].headers["content-type"] == "application/json"


def test_embeddings_go_to_whoever_has_that_model(vllm, upstream):
    ollama = FakeOllama()
    with serving(ollama.app) as url:
        other = {"kind": "openai", "flavour": "ollama", "url": url, "probe_when": "always"}
        with relay_to({"vllm": upstream, "ollama": other}) as relay:
            eventually(lambda: len(relay.get("/v1/models").json()["data"]) == 2)
            answer = relay.post("/v1/embeddings", json={"model": EMBEDDER, "input": ["a", "bc"]})

    assert [each["embedding"][1] for each in answer.json()["data"]] == [1.0, 2.0]
    assert answer.headers["x-model"] == EMBEDDER
    assert (len(vllm.asked), len(ollama.asked)) == (0, 1)


def test_a_body_of_many_megabytes_goes_through(relay, vllm):
    picture = b"A" * 20_000_000
    body = BODY.replace(b"1.0", b"data:image/png;base64," + picture)
    relay.post(CHAT, content=body)

    assert hashlib.sha256(vllm.asked[0].body).digest() == hashlib.sha256(body).digest()


def test_events_are_passed_on_as_they_come(relay, direct, vllm):
    whole = direct.post(CHAT, content=STREAMED).content
    half = len(whole) // 2
    vllm.fault = Slow(after=half)
    with relay.stream("POST", CHAT, content=STREAMED) as answer:
        pieces = answer.iter_raw()
        first = next(pieces)
        assert answer.headers["x-accel-buffering"] == "no"
        assert not vllm.fault.released.is_set()
        vllm.fault.released.set()
        rest = b"".join(pieces)

    assert len(first) == half
    assert first + rest == whole


@pytest.mark.parametrize("body", [BODY, STREAMED])
@pytest.mark.parametrize("after", [0, 150])
def test_a_client_that_leaves_cancels_the_generation(relay, vllm, body, after):
    vllm.fault = Slow(after=after)
    with pytest.raises(httpx.ReadTimeout):
        relay.post(CHAT, content=body, timeout=0.3)

    eventually(vllm.fault.abandoned.is_set)


def test_no_status_line_is_sent_before_the_first_event(relay, vllm):
    vllm.fault = Slow(after=20)
    with pytest.raises(httpx.ReadTimeout):
        relay.post(CHAT, content=STREAMED, timeout=0.3)


@pytest.mark.parametrize("name", [b'"gpt-4o"', b'"GPT-4o \\u00e9"', b'"no such/model"', b"null", b'""'])
def test_a_model_that_nobody_knows_is_the_default_and_only_its_name_changes(relay, vllm, name):
    body = BODY.replace(b'"qwen3-30b"', name)
    answer = relay.post(CHAT, content=body)

    assert answer.status_code == 200
    assert answer.headers["x-model"] == MODEL
    assert vllm.asked[0].body == BODY


def test_where_no_model_is_named_the_default_is(relay, vllm):
    assert relay.post(CHAT, content=b'{ "messages": [{"role":"user","content":"x"}]}').status_code == 200
    assert vllm.asked[0].body == b'{"model": "qwen3-30b",  "messages": [{"role":"user","content":"x"}]}'


def test_the_owner_s_names_for_models_are_understood_and_others_refused_where_names_are_strict(
    vllm, upstream
):
    models = {"strict": True, "aliases": {"house-brain": MODEL}}
    with relay_to({"vllm": upstream}, models=models) as relay:
        known = relay.post(CHAT, content=BODY.replace(MODEL.encode(), b"House-Brain"))
        unknown = relay.post(CHAT, content=BODY.replace(MODEL.encode(), b"gpt-4o"))

    assert (known.status_code, known.headers["x-model"]) == (200, MODEL)
    assert [asked.body for asked in vllm.asked] == [BODY]
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")


def test_nothing_of_a_client_but_its_words_reaches_the_engine(vllm, upstream):
    private = {
        "authorization": "Bearer mine",
        "cookie": "session=1",
        "x-openwebui-user-email": "me@example.com",
        "x-forwarded-for": "10.1.2.3",
        "forwarded": "for=10.1.2.3",
        "x-request-id": "abc",
        "referer": "http://chat.example",
        "x-stainless-lang": "python",
        "x-spark-patience": "3",
    }
    with relay_to({"vllm": {**upstream, "api_key": "of-the-engine"}}, access={"open": True}) as relay:
        answer = relay.post(CHAT, content=BODY, headers={**private, "accept": "text/event-stream"})

    asked = vllm.asked[0].headers
    assert asked.pop("authorization") == "Bearer of-the-engine"
    assert asked.pop("accept") == "text/event-stream"
    assert asked.pop("user-agent") == "spark-control"
    assert asked.keys() == {"host", "content-type", "content-length", "accept-encoding"}
    assert asked["accept-encoding"] == "identity"
    assert "of-the-engine" not in str(answer.headers) + answer.text


@pytest.mark.parametrize("accept", [b"\xe9", b"a\tb", b""])
def test_an_odd_header_harms_nobody(relay, vllm, accept):
    answer = relay.post(CHAT, content=BODY, headers=[(b"accept", accept)])

    assert answer.status_code == 200
    assert vllm.asked[0].headers["accept"] == "*/*"


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_that_is_too_long_is_told_in_the_engine_s_words(relay, vllm, stream):
    body = {"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": "word " * 5000}]}
    answer = relay.post(CHAT, json=body)
    error = answer.json()["error"]

    assert answer.status_code == 400
    assert error["message"].startswith("This model's maximum context length is 4096 tokens. However")
    assert error["code"] == "context_length_exceeded"
    assert engines(relay)[0]["state"] == "healthy"


@pytest.mark.parametrize("status", [400, 404, 409, 413, 415, 422])
def test_what_an_engine_refuses_keeps_its_status_its_code_and_its_parameter(relay, vllm, status):
    error = {"message": "Bad model of a tool.", "type": "x", "param": "tools[0].function", "code": "bad_tool"}
    vllm.fault = Fault(status, json.dumps({"error": error}).encode(), AS_JSON)
    answer = relay.post(CHAT, content=BODY)
    told = answer.json()["error"]

    assert (answer.status_code, told["message"]) == (status, "Bad model of a tool.")
    if status != 404:
        assert (told["code"], told["param"]) == ("bad_tool", "tools[0].function")
    assert "x-should-retry" not in answer.headers


def test_what_gives_something_away_is_not_passed_on(relay, vllm):
    error = {"message": "cannot open /opt/models/secret.gguf on 10.0.0.5", "code": "http://10.0.0.5:8000"}
    vllm.fault = Fault(400, json.dumps({"error": error}).encode(), AS_JSON)
    told = relay.post(CHAT, content=BODY).json()["error"]

    assert told["message"] == "The language model engine refused the request."
    assert told["code"] == "refused_by_engine"


def test_what_an_engine_does_not_offer_is_not_there(relay, vllm):
    vllm.fault = Fault(404, b'{"detail":"Not Found"}', AS_JSON)
    answer = relay.post("/v1/rerank", content=b'{"model":"qwen3-30b","documents":[]}')

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unsupported_operation")


def test_a_full_engine_is_busy_and_not_sick(relay, vllm):
    vllm.fault = Fault(429, b"", {"retry-after": "7"})
    answer = relay.post(CHAT, content=BODY)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert engines(relay)[0]["state"] == "healthy"


EMPTY = Fault(500)
ERROR_FRAME = event({"error": {"message": "EngineCore died", "type": "InternalServerError", "code": 500}})
EVENTS = {"content-type": "text/event-stream; charset=utf-8"}


@pytest.mark.parametrize(
    "fault",
    [
        EMPTY,
        Fault(200, b""),
        Fault(200, b"<html>Sign in</html>", {"content-type": "text/html"}),
        Fault(200, ERROR_FRAME, EVENTS),
        Fault(200, b": still reading\n\n" + ERROR_FRAME, EVENTS),
        Fault(200, b": still reading\n\n", EVENTS),
        Fault(200, b": still reading\n" * 200_000, EVENTS),
        CutOff(after=0),
    ],
)
def test_an_engine_that_fails_before_the_first_byte_is_an_error_in_the_envelope_and_is_looked_at(
    relay, vllm, fault
):
    canaries = len(vllm.canaries)
    vllm.faults = [fault]
    answer = relay.post(CHAT, content=STREAMED)

    assert answer.status_code in (502, 503)
    assert answer.json()["error"]["message"].startswith(("The language model", "Language model"))
    assert "EngineCore" not in answer.text
    eventually(lambda: len(vllm.canaries) > canaries)


@pytest.mark.parametrize("fault", [EMPTY, Fault(200, ERROR_FRAME, EVENTS), CutOff(after=0)])
def test_with_patience_such_a_failure_is_never_seen(vllm, upstream, fault):
    with relay_to({"vllm": upstream}, deep_health={"patience": 10}) as relay:
        vllm.faults = [fault]
        answer = relay.post(CHAT, content=STREAMED)

    assert answer.status_code == 200
    assert answer.content.endswith(b"data: [DONE]\n\n")
    assert [asked.body for asked in vllm.asked] == [STREAMED, STREAMED]


def test_an_error_of_the_client_s_that_comes_as_the_first_event_is_told_by_its_status(relay, vllm):
    error = {"message": "Unknown tool.", "type": "BadRequestError", "param": None, "code": 400}
    vllm.fault = Fault(200, event({"error": error}) + b"data: [DONE]\n\n", EVENTS)
    answer = relay.post(CHAT, content=STREAMED)

    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "Unknown tool.")
    assert engines(relay)[0]["state"] == "healthy"


def test_an_error_in_the_middle_of_a_stream_is_passed_on_and_the_engine_is_looked_at(relay, direct, vllm):
    good = direct.post(CHAT, content=STREAMED).content
    half = good.index(b"data:", 10)
    broken = good[:half] + ERROR_FRAME + b"data: [DONE]\n\n"
    canaries = len(vllm.canaries)
    vllm.faults = [fault := Broken(half, broken)]
    with relay.stream("POST", CHAT, content=STREAMED) as answer:
        pieces = answer.iter_raw()
        came = next(pieces)
        fault.released.set()
        came += b"".join(pieces)

    assert came == broken
    eventually(lambda: len(vllm.canaries) > canaries)


def test_what_a_model_says_of_errors_is_no_error(relay, vllm):
    words = '{"error": {"code": 500}} data: {"error": 1}'
    body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": words}]}
    canaries = len(vllm.canaries)

    assert relay.post(CHAT, json=body).status_code == 200
    assert (engines(relay)[0]["state"], len(vllm.canaries)) == ("healthy", canaries)


@pytest.mark.parametrize("body", [BODY, STREAMED])
def test_an_engine_that_dies_in_the_middle_breaks_the_connection(relay, vllm, body):
    vllm.faults = [CutOff(after=200)]
    with relay.stream("POST", CHAT, content=body) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            answer.read()


def test_two_engines_with_one_model_stand_in_for_each_other(vllm, upstream):
    with ExitStack() as house:
        second = FakeVLLM()
        other = {**upstream, "url": house.enter_context(serving(second.app))}
        relay = house.enter_context(relay_to({"one": upstream, "two": {**other, "priority": 1}}))
        eventually(lambda: all(each["state"] == "healthy" for each in engines(relay)))
        vllm.dead = True
        answer = relay.post(CHAT, content=BODY)

    assert answer.status_code == 200
    assert answer.headers["x-spark-degraded"].startswith("one: ")
    assert [asked.body for asked in second.asked] == [BODY]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"hello", b'{"model": ', b'{"model": "a",}', b"\xff\xfe{}", b'{"a":' * 50_000],
)
def test_what_is_no_json_object_is_refused_here(relay, vllm, body):
    answer = relay.post(CHAT, content=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")
    assert vllm.asked == []


def test_a_model_that_is_no_text_is_refused_here(relay, vllm):
    error = relay.post(CHAT, json={"model": 5, "messages": []}).json()["error"]

    assert (error["code"], error["param"]) == ("invalid_parameter", "model")
    assert vllm.asked == []


def test_a_body_that_is_too_large_is_refused_by_its_declared_length(relay):
    url = relay.base_url
    head = f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nContent-Length: {65 * 1024 * 1024}\r\n\r\n"

    with socket.create_connection((url.host, url.port), timeout=10) as connection:
        connection.sendall(head.encode())
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 413")
    assert b"request_too_large" in answer or b"request_too_large" in connection.recv(65536)


def test_without_a_language_model_there_is_nothing(gateway):
    answer = gateway.post(CHAT, json={"model": MODEL, "messages": []})

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_configured")


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/v1/chat/completions/", "//v1//chat/completions"])
def test_sloppy_addresses_are_forgiven(relay, path):
    assert relay.post(path, content=BODY).status_code == 200


def test_only_post_is_understood(relay):
    assert relay.get(CHAT).status_code == 405
