"""Every action of every version: what the CSMS may ask is served, what the station may say is said somewhere."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pilotwire.station
from pilotwire.protocols.ocpp import version as ocpp
from pilotwire.station.blocks.table import HANDLERS

VERSIONS = {"1.6": 39, "2.0.1": 64, "2.1": 91}


def said() -> set[str]:
    """The texts in the station's source that are an action's name handed to whoever sends it."""
    found: set[str] = set()
    for path in Path(next(iter(pilotwire.station.__path__))).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in ("call", "send", "_send", "_say", "enqueue", "_enqueue", "tell_durably"):
                found |= {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_csms_may_ask_is_served(version):
    actions = ocpp.load(version).actions
    assert len(actions) == VERSIONS[version]
    asked = {name for name, action in actions.items() if action.by_csms}
    assert {action for of, action in HANDLERS if of == version} == asked


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_station_may_say_is_said(version):
    wanted = {name for name, action in ocpp.load(version).actions.items() if action.by_station}
    assert wanted - said() <= {"DataTransfer"}, "DataTransfer is for whoever has something to transfer"
