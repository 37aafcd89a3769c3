"""The typed messages say what the EXI tables say: every field of every type that a message can hold."""

from __future__ import annotations

import importlib
import typing
from types import ModuleType
from typing import Any

import pytest

from pilotwire.protocols import exi
from pilotwire.protocols.exi.grammar import Grammar, Particle, grammar_of

MODULES = {
    "sap": "sap_messages",
    "din": "din70121.messages",
    "iso2": "iso2.messages",
    "iso20-common": "iso20.common_messages",
    "iso20-ac": "iso20.ac_messages",
    "iso20-dc": "iso20.dc_messages",
    "iso20-wpt": "iso20.wpt_messages",
    "iso20-acdp": "iso20.acdp_messages",
}
SIMPLE = {"boolean": bool, "integer": int, "string": str, "base64": bytes, "hex": bytes}


def required_of(particle: Particle) -> set[str]:
    """Elements without which the model is not fulfilled, found by trying what may be left out."""
    if particle.low == 0:
        return set()
    if particle.kind == "element":
        return {particle.local}
    inner = [required_of(child) for child in particle.children]
    if not inner:
        return set()
    return set.union(*inner) if particle.kind == "sequence" else set.intersection(*inner)


def check(grammar: Grammar, module: ModuleType, index: int, typed: Any, seen: set[int]) -> None:
    if index in seen:
        return
    seen.add(index)
    kind = grammar.types[index]
    hints = typing.get_type_hints(typed, vars(module), include_extras=True)
    fields = grammar.fields(index)
    assert set(hints) == set(fields), typed
    required = {name for name, _, _, needed in kind.get("attributes", ()) if needed}
    required |= {"value"} if "text" in kind else required_of(grammar.content(index)) if "content" in kind else set()
    for name, field in fields.items():
        hint = hints[name]
        optional = typing.get_origin(hint) is typing.NotRequired
        assert optional == (name not in required), f"{typed.__name__}.{name}"
        if optional:
            (hint,) = typing.get_args(hint)
        assert (typing.get_origin(hint) is list) == field.many, f"{typed.__name__}.{name}"
        if field.many:
            (hint,) = typing.get_args(hint)
        of = grammar.types[field.type]
        if of["kind"] == "complex":
            check(grammar, module, field.type, hint, seen)
        elif of["kind"] == "enumeration":
            assert list(typing.get_args(hint)) == of["values"], f"{typed.__name__}.{name}"
        else:
            assert hint is SIMPLE[of["kind"]], f"{typed.__name__}.{name}"


@pytest.mark.parametrize("schema", [schema for schema in exi.SCHEMAS if schema != "xmldsig"])
def test_every_field_of_every_message(schema: str) -> None:
    grammar = grammar_of(schema)
    module = importlib.import_module(f"pilotwire.protocols.iso15118.{MODULES[schema]}")
    document = dict(grammar.document)
    seen: set[int] = set()
    roots = typing.get_type_hints(module.Message)
    assert roots
    for local, typed in roots.items():
        check(grammar, module, document[local], typed, seen)
    names = set(typing.get_args(module.MessageName))
    assert names == {local for local in document if local.endswith(("Req", "Res"))}
