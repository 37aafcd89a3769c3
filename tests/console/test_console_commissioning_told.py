"""What a commissioning says is said in German, too: each sentence that stands in its code is known."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilotwire import site
from pilotwire.api.language import catalogue, spoken
from pilotwire.console.site_told import told
from pilotwire.console.words.commissioning_sentences import COMMISSIONING_SENTENCES
from pilotwire.domain.energy import pulse

FOLDER = Path(site.__file__).parent / "commissioning"
FILES = [*(FOLDER / f"{name}.py" for name in ("dry", "failsafe", "failsafe_loads", "pulses", "record", "running",
                                               "scan", "wizard")), Path(pulse.__file__)]  # fmt: skip
FIGURES = {"figure": "16 A", "thousandth": "16"}
"""What a call in a sentence says; all else is a name or a number."""


def _text(node: ast.expr) -> str:
    """A string as it may come out; empty: it is none, or empty."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.IfExp):
        return _text(node.body) or _text(node.orelse)
    if not isinstance(node, ast.JoinedStr):
        return ""
    said = ""
    for part in node.values:
        value = part.value if isinstance(part, ast.FormattedValue) else part
        call = value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""
        inside = ast.unparse(value)
        if isinstance(value, ast.Constant):
            said += str(value.value)
        elif inside in ("name", "why", "after"):
            said += {"name": "less", "why": ": it waits", "after": "after 60 s without a word"}[inside]
        else:
            said += FIGURES.get(call, "x1")
    return said


def _said(path: Path) -> Iterator[str]:
    """Whatever is called words or todo, what a pulse breaks off with, and what progress says."""
    for node in ast.walk(ast.parse(path.read_text())):
        found: list[ast.expr] = []
        if isinstance(node, ast.Call):
            found += [each.value for each in node.keywords if each.arg in ("words", "todo")]
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("progress", "_progress"):
                found.append(node.args[2])
            if name == "Broken":
                found += node.args[1:]
            if name == "Told" and len(node.args) == 2:
                found.append(node.args[1])
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("words", "todo"):
            found.append(node.value)
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            found += node.value.elts
        yield from (text for each in found if " " in (text := _text(each)) and text != "x1: x1")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_sentence_is_known(path: Path) -> None:
    sentences = set(_said(path))
    assert sentences, "it says something"
    with spoken("de"):
        for sentence in sentences:
            assert told(sentence) != sentence, sentence


def test_figures_and_names_stay() -> None:
    with spoken("de"):
        assert told("bay-1: pulse 2 of 3, less (6 A)") == "bay-1: Puls 2 von 3, weniger (6 A)"
        assert told("it is on L2: 3 of 3 pulses say so and none says otherwise; written down is L1 (RST)") == (
            "er ist an L2: 3 von 3 Pulsen sagen das und keiner etwas anderes; eingetragen ist L1 (RST)"
        )
        assert told("falls back to 6 A after 60 s without a word; read back; left alone it fell back to 6 A") == (
            "fällt auf 6 A zurück, wenn 60 s lang kein Wort kommt; zurückgelesen; "
            "allein gelassen fiel er auf 6 A zurück"
        )
        assert told("tcp://10.0.0.5:502: 2 found") == "tcp://10.0.0.5:502: 2 gefunden"
        assert told("the firmware's own words") == "the firmware's own words"


def test_every_sentence_has_its_german_with_the_same_names() -> None:
    german = catalogue("de")
    for sentence in COMMISSIONING_SENTENCES:
        assert set(re.findall(r"\{\w+\}", german[sentence])) == set(re.findall(r"\{\w+\}", sentence)), sentence
