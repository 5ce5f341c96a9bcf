"""The gateway held to its own document: whatever Schemathesis makes of it is answered as it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from schemathesis.checks import CheckFunction
from schemathesis.config import SchemathesisConfig
from starlette.responses import JSONResponse, Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.checks import not_a_server_error
from spark_control.api_description import document
from spark_control.settings import Settings
from spark_control.speech_cache import SpeechCache
from spark_control.speech_cache.files import SpeechFiles
from tests.conftest import IMPATIENT, live_gateway
from tests.fakes.llm import FakeVLLM, stream_of
from tests.fakes.magpie import FakeMagpie
from tests.fakes.parakeet import FakeParakeet
from tests.live import eventually, serving
from tests.sounds import wav
import os

EXAMPLES = int(os.environ.get("EX", "8"))

class Talker(FakeVLLM):
    """Understands anything."""

    def _answer(self, path: str, asked: dict[str, Any]) -> Response:
        if asked.get("stream") is True:
            return Response(stream_of(path, asked["model"], ["Yes."]), media_type="text/event-stream")
        return JSONResponse({"object": "answer", "model": asked["model"], "choices": ["Yes."]})


@pytest.fixture(scope="module")
def gateway(tmp_path_factory) -> Iterator[httpx.Client]:
    cache = SpeechCache(SpeechFiles(tmp_path_factory.mktemp("speech"), 1 << 24))
    with serving(FakeMagpie().app) as magpie, serving(FakeParakeet().app) as parakeet, serving(Talker().app) as talker:
        upstreams = {
            "magpie": {"kind": "magpie", "url": magpie},
            "parakeet": {"kind": "parakeet", "url": parakeet},
            "vllm": {"kind": "openai", "flavour": "vllm", "url": talker, "probe_when": "always"},
            "spare": {"kind": "parakeet", "url": parakeet, "priority": 9},
        }
        with live_gateway(Settings(upstreams=upstreams, deep_health=IMPATIENT), speech_cache=cache) as client:
            eventually(lambda: client.get("/v1/audio/voices").json()["data"])
            yield client


config = SchemathesisConfig.from_dict({
        "seed": int(os.environ.get("SEED","5")),
        "generation": {"max-examples": EXAMPLES, "database": "none"},
        "parameters": {"path.name": "spare"},
    })
N = {}
@pytest.fixture(scope="module", autouse=True)
def _n():
    yield
    import sys, json
    open("/tmp/plan/oa_n.json","w").write(json.dumps({"n": N, "s": S}, indent=1))
S={}
CONFORMANCE: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
schema = schemathesis.openapi.from_dict(document("test"), config=config)

@schema.exclude(path="/api/events").parametrize()
def test_every_answer_is_as_the_document_says(case, gateway):
    global N
    N[case.operation.label] = N.get(case.operation.label, 0) + 1
    r = case.call_and_validate(base_url=str(gateway.base_url), checks=CONFORMANCE)
    k=f'{case.operation.label} {r.status_code}'
    S[k]=S.get(k,0)+1
