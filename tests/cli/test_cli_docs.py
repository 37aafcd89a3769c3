"""`pilotwire docs`: the guides are whole, true, and readable in a browser from a server and from a folder."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from tests.cli.cli_kit import pilotwire

from pilotwire.cli.main import COMMANDS, main
from pilotwire.docsite import source
from pilotwire.docsite.site import BrokenGuide, guides
from pilotwire.docsite.text import read

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ROOT / "docs" / "guide"
ROLES = ["operator", "site-owner", "integrator", "developer"]
LINKED = ["vehicles", "site", "commissioning", "site-console", "timers", "modbus-map", "mqtt"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    ended = pilotwire("docs", "build", folder)
    assert ended.returncode == 0, ended.stderr
    return folder


class Links(HTMLParser):
    """What a page has by id, and where it leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.leads: list[str] = []
        self.inline: list[str] = []
        self._script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._script = tag == "script" and "src" not in given
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        if given.get("id"):
            self.ids.append(str(given["id"]))
        for name in ("href", "src"):
            if given.get(name):
                self.leads.append(str(given[name]))

    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.inline.append(data)
        self._script = False


def test_every_link_and_picture_of_the_site_leads_somewhere(built: Path):
    pages = {path.name: Links(path.read_text("utf-8")) for path in built.glob("*.html")}
    assert {
        f"{name}.html"
        for name in [*ROLES, "index", "console", *LINKED, "commands", "conformance", "reference", "problems"]
    } == set(pages)
    for name, page in pages.items():
        assert page.inline == [], f"{name} has script or style within it"
        assert len(page.ids) == len(set(page.ids)), f"{name} has an id twice"
        for lead in page.leads:
            assert "://" not in lead, f"{name} loads or links {lead} from elsewhere"
            target, _, anchor = lead.partition("#")
            assert (built / (target or name)).is_file(), f"{name}: {lead}"
            if anchor and (target or name).endswith(".html"):
                assert anchor in pages[target or name].ids, f"{name}: {lead}"


def test_a_built_site_is_built_again_and_nothing_else_is_overwritten(built: Path, tmp_path: Path):
    assert pilotwire("docs", "build", built).returncode == 0
    (tmp_path / "mine.txt").write_text("x")
    ended = pilotwire("docs", "build", tmp_path)
    assert ended.returncode == 1 and "holds something else" in ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt"]
    ended = pilotwire("docs", "build", tmp_path / "mine.txt")
    assert ended.returncode == 1 and "is a file" in ended.stderr


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(source, "guides", lambda: tmp_path)
    for text, what in [("[a](b.md)", "b.md"), ("[a](#x)", "#x"), ("![a](i/none.png)", "none.png")]:
        (tmp_path / "a.md").write_text(f"# A\n\n{text}\n")
        with pytest.raises(BrokenGuide, match=re.escape(what)):
            guides()
    (tmp_path / "a.md").write_text("# A\n\n## A\n\n[a](#a-2) <b onclick='x'>raw</b>\n")
    (guide,) = guides()
    assert "&lt;b onclick" in guide.html and guide.headings[1].anchor == "a-2"


def test_what_can_be_searched():
    guide = read("x", "# Title\n\nOne `two`\nthree.\n\n## Why won't it?\n\n- four\n\n    five six\n")
    assert [tuple(one) for one in guide.passages] == [
        ("Title", "title", "One two three."), ("Why won't it?", "why-wont-it", "four five six"),
    ]  # fmt: skip


class Taken(Exception):
    """The options are as the parser wants them."""


def _lines() -> list[str]:
    found: set[str] = set()
    for path in GUIDES.glob("*.md"):
        text = path.read_text()
        lines = re.findall(r"^ {4}(pilotwire .*)$", text, re.M) + re.findall(r"`(pilotwire [^`]+)`", text)
        found |= {line.partition("#")[0].strip() for line in lines if "COMMAND" not in line}
    return sorted(found)


@pytest.mark.parametrize("line", _lines())
def test_a_command_line_of_a_guide_is_taken(line: str, monkeypatch: pytest.MonkeyPatch):
    name, *rest = shlex.split(line.replace("…", "x"))[1:]
    assert name in COMMANDS
    parse = argparse.ArgumentParser.parse_args

    def stop(self: argparse.ArgumentParser, *arguments: object) -> None:
        raise Taken(parse(self, *arguments))  # type: ignore[arg-type]

    if rest:
        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
        with pytest.raises(Taken):
            main([name, *rest])


def test_every_command_is_in_the_guide():
    text = (GUIDES / "commands.md").read_text()
    for name in COMMANDS:
        assert f"`pilotwire {name}`" in text


def test_the_python_of_the_guides_is_python_and_uses_what_there_is():
    from pilotwire.client import AsyncClient, Client

    for path in [*GUIDES.glob("*.md"), ROOT / "README.md"]:
        for code in re.findall(r"```python\n(.*?)```", path.read_text(), re.S):
            compile(code, str(path), "exec")
            for name in re.findall(r"client\.(\w+)\(", code):
                assert hasattr(Client, name) and hasattr(AsyncClient, name), f"{path.name}: {name}"


def test_the_signature_of_the_guide_is_ours():
    from pilotwire.domain.webhooks import sign

    (code,) = [
        one for one in re.findall(r"```python\n(.*?)```", (GUIDES / "integrator.md").read_text(), re.S) if "hmac" in one
    ]
    space: dict[str, Callable[[str, str, bytes], bool]] = {}
    exec(code, space)
    now = int(__import__("time").time())
    assert space["genuine"]("whsec_x", sign("whsec_x", now, b"{}"), b"{}")
    assert not space["genuine"]("whsec_x", sign("whsec_x", now, b"{}"), b"[]")


# -- in a browser ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium-headless-shell")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page(viewport={"width": 1280, "height": 800})
        browser.close()


def search(page: Page) -> None:
    page.fill("#q", "check signature")
    expect(page.locator("#found a").first).to_contain_text("signature", ignore_case=True, timeout=30_000)
    page.press("#q", "ArrowDown")
    page.press("#q", "Enter")
    page.wait_for_url("**/integrator.html#*", timeout=30_000)
    page.fill("#q", "xyzzy")
    expect(page.locator("#found")).to_contain_text("Nothing has all of these words", timeout=30_000)
    page.press("#q", "Escape")
    expect(page.locator("#found")).to_be_hidden(timeout=30_000)


AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
FAULTS = """async () => {
  const found = await axe.run(document);
  return found.violations.filter((one) => ["serious", "critical"].includes(one.impact)).map(
    (one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 120)).join(" | ")}`);
}"""


def test_served_with_a_strict_policy_searchable_and_accessible(page: Page):
    process = subprocess.Popen(
        [sys.executable, "-m", "pilotwire", "docs", "serve", "--http", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+/", process.stdout.readline())
        assert found
        url = found[0]
        answer = httpx.get(url + "index.html", timeout=30)
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert httpx.get(url + "images/", timeout=30).status_code == 404
        assert httpx.get(url + "../../etc/passwd", timeout=30).status_code == 404
        for name in [*ROLES, "console", "problems"]:
            page.goto(f"{url}{name}.html")
            assert page.locator("h1").count() == 1
            assert page.evaluate("[...document.images].every((one) => one.loading === 'lazy' || one.naturalWidth > 0)")
            page.evaluate(AXE.read_text("utf-8"))
            assert page.evaluate(FAULTS) == [], name
            page.set_viewport_size({"width": 390, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, name
            page.set_viewport_size({"width": 1280, "height": 800})
        search(page)
        assert wrong == []
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_from_a_folder_it_works_too(page: Page, built: Path):
    page.goto(f"file://{built}/index.html")
    search(page)


def test_the_index_knows_the_reference_and_the_problems(built: Path):
    text = (built / "search-index.js").read_text("utf-8")
    rows = json.loads(text.removeprefix("window.PILOTWIRE_INDEX = ").rstrip().removesuffix(";"))
    addresses = {row[0] for row in rows}
    assert {"reference.html#listStations", "problems.html#problem-stale"} <= addresses
