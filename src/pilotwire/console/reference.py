"""The reference page: the OpenAPI document, readable. Drawn here, so that nothing is loaded from elsewhere."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from pilotwire.api.problems import CATALOGUE


class Field(NamedTuple):
    """A parameter, or a property of an object."""

    name: str
    where: str
    type: str
    required: bool
    text: str


class Operation(NamedTuple):
    """One method of one path."""

    id: str
    method: str
    path: str
    summary: str
    text: str
    parameters: list[Field]
    body: str
    body_fields: list[Field]
    examples: list[tuple[str, str]]
    answer: str
    answer_fields: list[Field]
    statuses: list[tuple[str, str]]
    public: bool


class Group(NamedTuple):
    name: str
    text: str
    operations: list[Operation]


def groups_of(document: dict[str, Any]) -> list[Group]:
    """Operations by tag, in the order of the tags."""
    found: dict[str, list[Operation]] = {tag["name"]: [] for tag in document["tags"]}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if isinstance(operation, dict) and "operationId" in operation:
                found.setdefault(operation["tags"][0], []).append(_operation(document, path, method, operation))
    texts = {tag["name"]: tag.get("description", "") for tag in document["tags"]}
    return [Group(name, texts.get(name, ""), operations) for name, operations in found.items() if operations]


def problems() -> list[tuple[str, int, str, str]]:
    """(name, status, title, what to do), by status."""
    return sorted(((name, *told) for name, told in CATALOGUE.items()), key=lambda one: one[1])


def _operation(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> Operation:
    sent = operation.get("requestBody", {}).get("content", {})
    body = sent.get("application/json", {})
    good = next((response for status, response in operation["responses"].items() if status.startswith("2")), {})
    media = next(iter(good.get("content", {}).items()), None)
    answer = media[1]["schema"] if media else {}
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        text=operation.get("description", ""),
        parameters=[_parameter(document, one) for one in operation.get("parameters", ())],
        body=_name(body.get("schema", {})) or ", ".join(kind for kind in sent if kind != "application/json"),
        body_fields=_fields(document, body.get("schema", {})),
        examples=[
            (one.get("summary", name), json.dumps(one["value"], indent=2, ensure_ascii=False))
            for name, one in body.get("examples", {}).items()
        ],
        answer=(_name(answer) or media[0]) if media else "",
        answer_fields=_fields(document, _items(document, answer)),
        statuses=[(status, response["description"]) for status, response in sorted(operation["responses"].items())],
        public=operation.get("security") == [],
    )


def _parameter(document: dict[str, Any], given: dict[str, Any]) -> Field:
    return Field(
        given["name"], given["in"], _type(given.get("schema", {})), given.get("required", False),
        given.get("description", ""),
    )  # fmt: skip


def _resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = _name(schema)
    return document["components"]["schemas"].get(name, schema) if name else schema


def _items(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Of a page, what it holds."""
    items = _resolve(document, schema).get("properties", {}).get("items")
    return items["items"] if items else schema


def _fields(document: dict[str, Any], schema: dict[str, Any]) -> list[Field]:
    whole = _resolve(document, schema)
    required = whole.get("required", ())
    return [
        Field(name, "", _type(one), name in required, _text(one)) for name, one in whole.get("properties", {}).items()
    ]


def _text(schema: dict[str, Any]) -> str:
    if "description" in schema:
        return str(schema["description"])
    return next((str(one["description"]) for one in schema.get("anyOf", ()) if "description" in one), "")


def _name(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if name := _name(schema):
        return name
    if "enum" in schema:
        return " | ".join(json.dumps(one) for one in schema["enum"])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " | ".join(dict.fromkeys(_type(one) for one in schema[union]))
    kind = schema.get("type", "any")
    if "prefixItems" in schema:
        return f"[{', '.join(_type(one) for one in schema['prefixItems'])}]"
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if isinstance(kind, list):
        return " | ".join(kind)
    return {"date-time": "date-time"}.get(schema.get("format", ""), str(kind))
