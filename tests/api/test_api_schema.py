"""The OpenAPI document is true: whatever schemathesis makes up of it, answers keep to it and nothing breaks."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from pilotwire.api.app import create_app
from pilotwire.api.openapi import schema_of
from pilotwire.api.problems import CATALOGUE, PREFIX

KEY = "pw_test-process-key"
HEADERS = {"Authorization": f"Bearer {KEY}"}
STREAMS = {"streamEvents", "streamFrames", "streamLive"}
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
    allow_header_conformance,
]
KNOWN = {"station_id": ["CP-A", "CP-B", "CP-C"], "session_id": ["s-1", "s-0"], "token": ["04A1B2C3"], "name": ["ada"]}


def operations(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {
        operation["operationId"]: (path, method)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


OPERATIONS = [
    "listStations", "getStation", "createStation", "changeStation", "deleteStation", "listVariables", "listCommands",
    "sendCommand", "getCommand", "listSessions", "getSession", "listSamples", "getCurve", "getTotals", "listTokens",
    "getToken", "putToken", "deleteToken", "listUsers", "putUser", "deleteUser", "listApiKeys", "createApiKey",
    "deleteApiKey", "getHealth", "getReadiness", "getMetrics", "getMe",
]  # fmt: skip


def test_every_operation_is_tried_or_a_stream(world) -> None:
    assert set(operations(schema_of(world.app))) == {*OPERATIONS, *STREAMS}


PLAIN = {"getTotals", "getHealth", "getReadiness", "getMetrics", "getMe"}
"""They take nothing that could be wrong."""
CASES = [
    (one, mode) for one in OPERATIONS for mode in ("positive", "negative") if mode == "positive" or one not in PLAIN
]


@pytest.mark.parametrize(("operation_id", "mode"), CASES)
def test_answers_keep_to_the_document(served, operation_id: str, mode: str) -> None:
    document = httpx.get(f"{served.url}/openapi.json").json()
    path, method = operations(document)[operation_id]
    operation = schemathesis.openapi.from_dict(document)[path][method.upper()]
    generation = schemathesis.GenerationMode(mode)
    names = [name for name in KNOWN if f"{{{name}}}" in path]
    known = st.sampled_from(KNOWN[names[0]] if names else [""])
    tried = 0

    @settings(
        max_examples=12, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(operation.as_strategy(generation_mode=generation), known, st.booleans())
    def attempt(case: Any, id: str, use_known: bool) -> None:
        nonlocal tried
        tried += 1
        if id and use_known:
            case.path_parameters[names[0]] = id
        case.call_and_validate(base_url=served.url, headers=HEADERS, checks=CHECKS)

    attempt()
    assert tried


def test_the_document_is_valid_and_stands_alone(world) -> None:
    document = schema_of(world.app)
    assert document["openapi"].startswith("3.1")
    names = set(document["components"]["schemas"])
    used: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                used.add(node["$ref"].removeprefix("#/components/schemas/"))
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)
    assert used <= names
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})
    for path, item in document["paths"].items():
        for operation in item.values():
            assert operation["summary"], path
            assert operation["description"], path
            for status, response in operation["responses"].items():
                if status >= "4":
                    assert set(response["content"]) == {"application/problem+json"}, path


def test_examples_are_valid(world) -> None:
    document = schema_of(world.app)
    body = document["paths"]["/api/v1/stations/{station_id}/commands"]["post"]["requestBody"]["content"]
    schema = {**document["components"]["schemas"]["NewCommand"], "components": document["components"]}
    for example in body["application/json"]["examples"].values():
        jsonschema_rs.validate(schema, example["value"])


def test_every_problem_says_what_to_do(world) -> None:
    assert create_app(world.context) is not None
    for name, (status, title, advice) in CATALOGUE.items():
        assert 400 <= status < 600, name
        assert title and advice.endswith("."), name
    assert PREFIX.startswith("/api#")
