"""The OpenAPI document is true: whatever schemathesis makes up of it, answers keep to it and nothing breaks."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import quote

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from tests.api.conftest import PlainPasswords
from tests.api.controller_kit import site

from pilotwire.api import examples
from pilotwire.api.app import create_app
from pilotwire.api.context import ApiContext
from pilotwire.api.openapi import schema_of
from pilotwire.api.problems import CATALOGUE, PREFIX
from pilotwire.api.resources.controllers import Controllers
from pilotwire.core.ids import SeededIds
from pilotwire.core.time import SimScheduler
from pilotwire.storage.memory import MemoryStore
from pilotwire.transport.bus import LocalBus

KEY = "pw_test-process-key"
HEADERS = {"Authorization": f"Bearer {KEY}"}
STREAMS = {"streamController", "streamEvents", "streamFrames", "streamJob", "streamLive"}
EXAMPLES = 4
"""Requests of each kind to each operation; `PILOTWIRE_SCHEMA_EXAMPLES` asks for more."""


def no_unsaid_failure(ctx: Any, response: Any, case: Any) -> None:
    """Nothing breaks. What a station does not answer, and what is not ready, says so and is declared."""
    if response.status_code >= 500:
        kind = response.json().get("type") if b"{" in response.content else None
        assert kind in {"/api#problem-no-answer", "/api#problem-not-ready", "/api#problem-busy"}, response.content


CHECKS: list[Any] = [
    no_unsaid_failure,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
    allow_header_conformance,
]


def document_of_a_new_app() -> dict[str, Any]:
    context = ApiContext(
        store=MemoryStore(), bus=LocalBus(), scheduler=SimScheduler(0), ids=SeededIds(1), passwords=PlainPasswords()
    )
    return schema_of(create_app(context))


def operations(document: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {
        operation["operationId"]: (path, method)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


DOCUMENT = document_of_a_new_app()
OPERATIONS = sorted(set(operations(DOCUMENT)) - STREAMS)
CASES = [(one, mode) for one in OPERATIONS for mode in ("positive", "negative")]


@pytest.fixture(scope="module")
def furnished(served) -> Any:
    """The server, with one of everything that an example of the document makes."""
    with httpx.Client(base_url=served.url, headers=HEADERS, timeout=60) as client:
        for path, item in DOCUMENT["paths"].items():
            body = item.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json")
            if body is None or "{" in path or "$ref" not in body["schema"]:
                continue
            schema = DOCUMENT["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
            answer = client.post(path, json=schema["examples"][0])
            assert answer.status_code < 500 or answer.status_code == 503, (path, answer.text)
        for one in client.get("/api/v1/sites").json()["items"]:
            Controllers.of(served.world.context).add(one["id"], site().watched)
        yield served, client


@pytest.fixture(scope="module")
def schema(served) -> Any:
    return schemathesis.openapi.from_dict(httpx.get(f"{served.url}/openapi.json", timeout=60).json())


def known(client: httpx.Client, path: str) -> list[str]:
    """Ids that the first parameter of this path can be: of the list that stands before it."""
    if "{" not in path:
        return []
    head, _, rest = path.partition("/{")
    if rest.startswith("command_id"):
        head = "/api/v1/stations/CP-A/commands"
    answer = client.get(head, params={"limit": 5})
    if answer.status_code != 200 or "json" not in answer.headers.get("content-type", ""):
        return []
    items = answer.json().get("items", [])
    return [str(one[name]) for one in items for name in ("id", "name", "token", "type") if name in one][:6]


@pytest.mark.parametrize(("operation_id", "mode"), CASES)
def test_answers_keep_to_the_document(furnished, schema, operation_id: str, mode: str) -> None:
    served, client = furnished
    path, method = operations(DOCUMENT)[operation_id]
    operation = schema[path][method.upper()]
    generation = schemathesis.GenerationMode(mode)
    try:
        strategy = operation.as_strategy(generation_mode=generation)
    except Unsatisfiable:
        return
    names = re.findall(r"{(\w+)}", path)
    ids = st.sampled_from(known(client, path) or [""])
    tried = 0

    @settings(
        max_examples=int(os.environ.get("PILOTWIRE_SCHEMA_EXAMPLES", EXAMPLES)), deadline=None, derandomize=True,
        database=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy, ids, st.booleans())
    def attempt(case: Any, id: str, use_known: bool) -> None:
        nonlocal tried
        tried += 1
        if case.query:
            case.query.pop("fields", None)  # fewer fields than the schema promises: tried by itself
        if id and use_known:
            case.path_parameters[names[0]] = quote(id, safe="")
        case.call_and_validate(base_url=served.url, headers=HEADERS, checks=CHECKS)

    try:
        attempt()
    except Unsatisfiable:
        assert mode == "negative", "it takes nothing that could be wrong"
        return
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
            assert operation["tags"][0] in {one["name"] for one in document["tags"]}, path
            for status, response in operation["responses"].items():
                if status >= "4":
                    assert set(response["content"]) == {"application/problem+json"}, path


def test_examples_of_commands_are_valid() -> None:
    body = DOCUMENT["paths"]["/api/v1/stations/{station_id}/commands"]["post"]["requestBody"]["content"]
    schema = {**DOCUMENT["components"]["schemas"]["NewCommand"], "components": DOCUMENT["components"]}
    for example in body["application/json"]["examples"].values():
        jsonschema_rs.validate(schema, example["value"])


def test_everything_is_described_and_has_an_example() -> None:
    """Every operation, parameter, field and type. What a field has none of its own is in `pilotwire.api.examples`."""
    schemas = DOCUMENT["components"]["schemas"]
    assert examples.missing(schemas) == []
    lacking = [name for name, schema in schemas.items() if not schema.get("description")]
    for path, item in DOCUMENT["paths"].items():
        for operation in item.values():
            where = operation["operationId"]
            if len(operation.get("description", "")) < 10 or not operation.get("summary"):
                lacking.append(where)
            lacking += [
                f"{where}: {one['name']}"
                for one in operation.get("parameters", ())
                if not one.get("description") or not {"example", "examples"} & set(one)
            ]
            if "security" in operation:
                assert operation["security"] == [] and path in PUBLIC, where
            problems = [status for status in operation["responses"] if status >= "4"]
            assert path in PUBLIC or {"401", "403", "429"} <= set(problems), where
    assert lacking == []
    assert set(DOCUMENT["components"]["securitySchemes"]) == {"key", "login"}
    assert DOCUMENT["security"] == [{"key": []}, {"login": []}]


PUBLIC = {"/healthz", "/readyz", "/metrics"}


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
def test_examples_of_types_are_valid(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    validator = jsonschema_rs.validator_for({**schema, "components": DOCUMENT["components"]})
    for example in schema["examples"]:
        validator.validate(example)


def test_every_problem_says_what_to_do(world) -> None:
    assert create_app(world.context) is not None
    for name, (status, title, advice) in CATALOGUE.items():
        assert 400 <= status < 600, name
        assert title and advice.endswith("."), name
    assert PREFIX.startswith("/api#")
