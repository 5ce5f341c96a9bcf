"""The OpenAPI document: all of the routes, all of the errors, and nothing that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from fastapi.openapi.utils import get_openapi

import spark_control
from spark_control import __version__
from spark_control.api_description import document
from spark_control.api_description.failures import FAILURES
from spark_control.errors import GatewayError
from spark_control.server import create_app
from spark_control.settings import Settings
from spark_control.store.records import Entry, Incident

APP = create_app(Settings())
DOCUMENT = document(__version__)
OPERATIONS = [
    (f"{verb.upper()} {path}", each)
    for path, verbs in DOCUMENT["paths"].items()
    for verb, each in verbs.items()
]


def parts(of: Any) -> Iterator[dict[str, Any]]:
    """Every object in a piece of the document."""
    if isinstance(of, dict):
        yield of
    for inner in of.values() if isinstance(of, dict) else of if isinstance(of, list) else ():
        yield from parts(inner)


def found(reference: str) -> Any:
    """What a reference leads to."""
    there: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        there = there[step]
    return there


def kinds_of_errors(root: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    yield root
    for kind in root.__subclasses__():
        yield from kinds_of_errors(kind)


def test_every_route_is_described_and_nothing_else():
    listed = get_openapi(title="", version="", routes=APP.routes)["paths"]
    routes = {f"{verb.upper()} {path}" for path, verbs in listed.items() for verb in verbs}
    assert routes
    assert {name for name, _ in OPERATIONS} == routes


def test_the_gateway_answers_with_its_description(gateway):
    answer = gateway.get("/openapi.json")
    assert answer.json() == DOCUMENT
    assert answer.json()["openapi"].startswith("3.1.")


def test_every_reference_leads_somewhere():
    references = [each["$ref"] for each in parts(DOCUMENT) if "$ref" in each]
    assert references
    for reference in references:
        assert found(reference)


def test_every_part_is_used():
    used = {each["$ref"] for each in parts(DOCUMENT) if "$ref" in each}
    named = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "parameters", "headers")
        for name in DOCUMENT["components"][kind]
    }
    assert named <= used


def test_every_schema_is_one_of_json_schema():
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


def test_every_example_is_as_its_own_schema_says():
    examples = 0
    for schema in parts(DOCUMENT):
        for example in schema.get("examples", ()):
            examples += 1
            whole = {**schema, "components": DOCUMENT["components"]}
            assert jsonschema_rs.validator_for(whole).is_valid(example), example
    assert examples


def test_no_two_operations_have_the_same_name():
    names = [each["operationId"] for _, each in OPERATIONS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("name", "each"), OPERATIONS)
def test_an_operation_tells_all_of_its_path_its_answers_and_who_may_ask(name, each):
    parameters = [found(one["$ref"]) if "$ref" in one else one for one in each.get("parameters", ())]
    in_path = {one["name"] for one in parameters if one["in"] == "path"}
    assert in_path == set(re.findall(r"{(\w+)}", name))
    assert each["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    assert ("401" in each["responses"]) is ("429" in each["responses"]) is bool(each["security"])
    for response in each["responses"].values():
        told = found(response["$ref"]) if "$ref" in response else response
        assert told["content"]
        assert "X-Request-ID" in told["headers"]


def closed(schema: Any) -> Any:
    """The same, where an object has none but the fields that are named."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {"additionalProperties": False} if "properties" in schema else {}
    return strict | {name: closed(each) for name, each in schema.items()}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/models", "ModelList"),
        ("/v1/models/tts-1", "ModelPage"),
        ("/v1/audio/models", "SpeakingModelList"),
        ("/v1/audio/voices", "VoiceList"),
        ("/v1/audio/voices/alloy", "Voice"),
        ("/healthz", "Alive"),
        ("/readyz", "Ready"),
        ("/api/status", "Status"),
        ("/api/incidents", "IncidentList"),
        ("/api/speech-cache", "SpeechCache"),
        ("/api/machine", "MachineList"),
        ("/v1/models/nobody", "Error"),
    ],
)
def test_an_answer_has_no_field_that_is_not_described(gateway, path, name):
    schemas = {"components": {"schemas": closed(DOCUMENT["components"]["schemas"])}}
    whole = {"$ref": f"#/components/schemas/{name}", **schemas}
    jsonschema_rs.validator_for(whole).validate(gateway.get(path).json())


def test_an_incident_has_no_field_that_is_not_described():
    described = DOCUMENT["components"]["schemas"]["Incident"]["properties"]
    assert [field.name for field in fields(Incident)] == list(described)
    entry = described["timeline"]["items"]["properties"]
    assert [field.name for field in fields(Entry)] == list(entry)


def test_every_kind_of_error_is_described_with_its_code():
    for kind in kinds_of_errors():
        if kind.__module__.startswith("spark_control."):
            assert kind.code in FAILURES[kind.status].codes, kind


def test_every_code_that_an_error_is_given_is_described():
    described = {code for failure in FAILURES.values() for code in failure.codes}
    for file in Path(spark_control.__file__).parent.rglob("*.py"):
        for code in re.findall(r'\bcode="(\w+)"', file.read_text()):
            assert code in described, f"{code} of {file.name}"
