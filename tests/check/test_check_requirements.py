"""Requirements that tests and cases are said to be about are there, and so are the tests."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.requirement_marks import KNOWN, NAMED

from pilotwire.check import library

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", NAMED)
def test_what_is_said_of_tests_by_name(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = {node.name for node in tree.body if isinstance(node, functions)}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    names |= {f"{one.name}::{node.name}" for one in classes for node in one.body if isinstance(node, functions)}
    for table in NAMED[path]:
        shows: dict[str, list[str]] = table["shows"]
        for name, ids in shows.items():
            assert name in names
            for each in ids:
                version, _, requirement = each.rpartition(":")
                among = [version] if version else list(KNOWN)
                assert any(table["side"] in KNOWN[one].get(requirement, ()) for one in among), f"{name}: {each}"


@pytest.mark.parametrize("side", ["csms", "station"])
@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_what_is_said_of_cases(side: str, version: str) -> None:
    for script in library.scripts(side, version):
        assert not set(script.case.requirements) - set(KNOWN[version]), script.id
