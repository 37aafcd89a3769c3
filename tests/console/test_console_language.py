"""Every text of the console has its German; a language is chosen as the browser and the person say."""

from __future__ import annotations

import importlib.util
import re
import string
from pathlib import Path
from types import ModuleType

import pytest
from jinja2 import Environment, nodes

from pilotwire.api import language
from pilotwire.api.problems import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "src/pilotwire/console/templates"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("console_words", ROOT / "tools/console_words.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_text_has_its_german(tool: ModuleType) -> None:
    assert tool.missing("de") == {}


def test_the_texts_are_found(tool: ModuleType) -> None:
    found = tool.texts()
    assert found["Stations"].startswith("console/navigation.py") or "Stations" in found
    assert "Skip to the content" in found
    assert len(found) > 150


def test_problems_are_told_in_german() -> None:
    words = language.catalogue("de")
    lacking = [text for _, title, advice in CATALOGUE.values() for text in (title, advice) if text not in words]
    assert lacking == []


def test_translations_fill_in_the_same_names() -> None:
    for english, german in language.catalogue("de").items():
        names = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in (english, german)]
        assert names[0] == names[1], english


_PLAIN = re.compile(
    r"Pilotwire|OCPP|EVSE|kWh|kW|JSON|CSV|API|CSMS|Ctrl|Esc|Enter|AuthorizationKey|BasicAuthPassword|Wh|SoC|TLS|URL|QR|\bmin\b"
)


_DATA = {
    "idtag, uid, rfid, card, Karte", "state, Zustand", "parent, Gruppe", "valid until, gültig bis", "Typ",
    "comment, Bemerkung",  # names of columns that an import knows, in any language
    "-hint", "-error", "default", "stations", "OpenAPI 3.1", "JSON Lines", "· HTTP",
}  # fmt: skip
"""What stands in templates and is the same in every language."""


def test_no_text_of_a_template_is_left_out() -> None:
    """Words between tags, and in the attributes that people are told, come through `_`."""
    left: list[str] = []
    for path in sorted(TEMPLATES.rglob("*.html")):
        if path.name == "reference.html":  # the reference is of the API, which is English
            continue
        tree = Environment(autoescape=True).parse(path.read_text("utf-8"))
        data = "\x00".join(one.data for one in tree.find_all(nodes.TemplateData))
        told = re.findall(r'(?:aria-label|title|placeholder|alt)="([^"\x00]*)"', data)
        between = re.sub(r"<(code|pre|kbd)\b.*?</\1>", "", data, flags=re.S)
        between = re.sub(r"<[^<>]*>", "\x01", re.sub(r"<[^<>]*\x00[^<>]*>", "\x01", between))
        for text in [*told, *re.split(r"[\x00\x01\n]", between)]:
            if text.strip() in _DATA or "=" in text or "<" in text or ">" in text or '"' in text:
                continue
            word = re.search(r"[A-Za-z]{3,}", _PLAIN.sub("", re.sub(r"&\w+;", "", text)))
            if word:
                left.append(f"{path.relative_to(TEMPLATES)}: {text.strip()[:80]}")
    assert left == []


@pytest.mark.parametrize(
    ("cookie", "accepted", "chosen"),
    [
        ("", "", "en"),
        ("", "de-DE,de;q=0.9,en;q=0.8", "de"),
        ("", "fr-FR,fr;q=0.9,de;q=0.5", "de"),
        ("", "en;q=0.2, de;q=0.1", "en"),
        ("", "de;q=0", "en"),
        ("", "de;q=x, *;q=0.1", "en"),
        ("de", "en", "de"),
        ("xx", "de", "de"),
        ("../../x", "", "en"),
    ],
)
def test_the_language_of_a_request(cookie: str, accepted: str, chosen: str) -> None:
    assert language.choose(cookie, accepted) == chosen


def test_plurals_and_numbers() -> None:
    language.use("de")
    try:
        assert language.several(1, "{n} shown", "{n} shown") == language.translate("{n} shown", n="1")
        from pilotwire.console import view

        assert (view.kw(1_234_560), view.kwh(12_430), view.kwh(1_234_567)) == ("1.234,6", "12,43", "1.234,6")
    finally:
        language.use("en")
    assert language.translate("Stations") == "Stations"
    assert language.translate("nobody has translated {n} of these", n=3) == "nobody has translated 3 of these"
    assert language.translate("{text} of {count}", text="x", count=2) == "x of 2", "any name may be filled in"
