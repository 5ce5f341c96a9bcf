"""The gateway held to its own document: whatever Schemathesis makes of that, it is answered as it says there."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from starlette.responses import JSONResponse, Response

from spark_control.api_description import document
from spark_control.settings import Settings
from spark_control.speech_cache import SpeechCache
from spark_control.speech_cache.files import SpeechFiles
from spark_control.store import Store
from spark_control.store.records import Entry, Incident
from tests.conftest import IMPATIENT, live_gateway
from tests.fakes.llm import FakeVLLM, stream_of, whole_of
from tests.fakes.magpie import FakeMagpie
from tests.fakes.parakeet import FakeParakeet
from tests.live import eventually, serving
from tests.sounds import wav
from tests.test_access import ELSEWHERE, KEY, guarded, made, with_key

# The gateway, in its own thread of this process, may use that module while an example is drawn.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning"
)

INCIDENT = Incident(
    id="inc_0123456789ab",
    service="magpie",
    opened=1_700_000_000.0,
    closed=1_700_000_004.5,
    verdict="sticky",
    evidence="status 500",
    held=1,
    replayed=1,
    degraded=0,
    failed=0,
    restarts=1,
    timeline=(Entry(1_700_000_000.0, "ejected", "sticky: status 500"), Entry(1_700_000_004.5, "healthy")),
)
KNOWN = {"name": "spare", "identity": INCIDENT.id, "model_id": "tts-1", "voice_id": "alloy"}
"""For each name in a path, one that there is."""

CLIP = wav(0.2)
TEAPOT = {"error": {"message": "Too hot.", "type": "invalid_request_error", "param": None, "code": "too_hot"}}


Case = schemathesis.Case[Any]


class Talker(FakeVLLM):
    """Understands anything, and refuses some of it in its own way."""

    def _answer(self, path: str, asked: dict[str, Any]) -> Response:
        if len(asked) % 4 == 3:
            return JSONResponse(TEAPOT, 418)
        if asked.get("stream") is True and not path.endswith(("embeddings", "rerank")):
            return Response(stream_of(path, asked["model"], ["Yes."]), media_type="text/event-stream")
        return JSONResponse(whole_of(path, asked["model"], ["Yes."]))


class Obliging:
    """Restarts nothing, and says that it has."""

    kind = "command"
    what = "true"

    async def restart(self) -> None:
        """Done."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """With an engine of each kind, one that nobody needs, remembered speech and an incident."""
    fakes: dict[str, Any] = {"magpie": FakeMagpie(), "parakeet": FakeParakeet(), "openai": Talker()}
    cache = SpeechCache(SpeechFiles(tmp_path_factory.mktemp("speech"), 1 << 24))
    store = Store.open(None)
    store.save_incident(INCIDENT)
    with ExitStack() as house:
        upstreams: dict[str, dict[str, Any]] = {
            kind: {"kind": kind, "url": house.enter_context(serving(fake.app))}
            for kind, fake in fakes.items()
        }
        upstreams["openai"]["probe_when"] = "always"
        upstreams["spare"] = {**upstreams["parakeet"], "priority": 9}
        settings = Settings(upstreams=upstreams, deep_health=IMPATIENT)
        parts: dict[str, Any] = {"restarters": {"spare": Obliging()}, "store": store, "speech_cache": cache}
        client = house.enter_context(live_gateway(settings, **parts))
        eventually(lambda: client.get("/v1/audio/voices").json()["data"])
        eventually(lambda: len(client.get("/v1/models").json()["data"]) >= len(fakes))
        yield client
    store.close()


DOCUMENT = document("test")
OPERATIONS = [(path, verb) for path, verbs in DOCUMENT["paths"].items() for verb in verbs]

described = schemathesis.openapi.from_dict(
    DOCUMENT,
    config=schemathesis.Config.from_dict(
        {
            "seed": 1,
            "generation": {"max-examples": 20, "database": "none"},
            "operations": [
                {"include-path": stream, "max-stream-events": 1} for stream in ("/api/events", "/live")
            ],
        }
    ),
)


CONFORMANCE = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    unsupported_method,
    allow_header_conformance,
]
EXACT = ("discovery", "health", "admin")
"""Tags of what takes all that the document allows, and nothing else. To speech much is forgiven, of a voice that was
drawn there is none, and what a language model makes of a request is its own affair."""
RULES_BESIDES = ("/api/speech-cache", "/api/upstreams/{name}/fault")
"""Here two fields may each be right, and not go together."""


@described.parametrize()
def test_every_answer_is_as_the_document_says(case, gateway):
    checks = [*CONFORMANCE]
    if case.operation.tags[0] in EXACT:
        checks.append(negative_data_rejection)
        if case.path not in RULES_BESIDES:
            checks.append(positive_data_acceptance)

    answer = with_sound(with_known_names(case)).call(base_url=str(gateway.base_url))

    case.validate_response(answer, checks=checks)


@pytest.mark.parametrize(
    ("headers", "statuses"),
    [
        (ELSEWHERE, {401}),
        (with_key(**ELSEWHERE), {403, 429}),
        ({"authorization": "Basic c3Bhcms6", **ELSEWHERE}, {401}),
    ],
)
def test_who_may_not_is_told_so_as_the_document_says(tmp_path, upstreams, headers, statuses):
    met = set()
    with guarded(tmp_path, upstreams, made("kitchen", KEY, uses=("chat",), rate="1/minute")) as house:
        for path, verb in OPERATIONS:
            names = {name: known for name, known in KNOWN.items() if f"{{{name}}}" in path}
            case = described[path][verb].Case(path_parameters=names)
            answer = case.call(base_url=str(house.base_url), headers=headers)
            case.validate_response(answer, checks=CONFORMANCE)
            met.add(answer.status_code)

    assert statuses <= met


def test_who_comes_through_a_proxy_where_there_are_no_keys_is_told_so_as_the_document_says(gateway):
    codes = set()
    for path, verb in OPERATIONS:
        names = {name: known for name, known in KNOWN.items() if f"{{{name}}}" in path}
        case = described[path][verb].Case(path_parameters=names)
        answer = case.call(base_url=str(gateway.base_url), headers=ELSEWHERE)
        case.validate_response(answer, checks=CONFORMANCE)
        if DOCUMENT["paths"][path][verb]["security"] and path != "/login":
            codes.add(answer.json()["error"]["code"])

    assert codes == {"key_needed", "local_only"}


def conforms(name: str) -> jsonschema_rs.Validator:
    """What validates by the schema of that name."""
    components = DOCUMENT["components"]
    return jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{name}", "components": components})


def test_each_line_of_a_batch_is_as_the_document_says(gateway):
    asked = {"inputs": ["One.", {"input": "Two.", "voice": "nobody"}], "response_format": "wav"}
    lines = gateway.post("/v1/audio/speech/batch", json=asked).text.splitlines()

    assert sorted("error" in json.loads(line) for line in lines) == [False, True]
    for line in lines:
        conforms("SpeechBatchLine").validate(json.loads(line))


def test_what_is_announced_is_as_the_document_says(gateway):
    with gateway.stream("GET", "/api/events") as events:
        told = (json.loads(line[5:]) for line in events.iter_lines() if line.startswith("data:"))
        conforms("Status").validate(next(told))
        for on in (True, False):
            gateway.post("/api/upstreams/spare/maintenance", json={"on": on})
            conforms("Announcement").validate(next(told))


def test_the_document_is_valid_openapi():
    described.validate()  # raises what is wrong


def with_known_names(case: Case) -> Case:
    """The same, and every other name in its path is of something that there is."""
    for name, drawn in case.path_parameters.items():
        if len(str(drawn)) % 2:
            case.path_parameters[name] = KNOWN[name]
    return case


def with_sound(case: Case) -> Case:
    """The same, and where it has a good form for a recording, sound is in it: drawn bytes are none."""
    body: Any = case.body
    if case.path == "/v1/audio/transcriptions" and isinstance(body, dict) and is_good(case):
        if case.media_type == "application/json":
            body["input_audio"] = {"data": base64.b64encode(CLIP).decode()}
        else:
            body["file"] = CLIP
    return case


def is_good(case: Case) -> bool:
    """Whether it is meant to fit the document, all of it."""
    return case.meta is not None and case.meta.generation.mode.is_positive
