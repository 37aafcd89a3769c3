"""The whole site: guides, the reference of the API, the problems, a search over all of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from pilotwire import __version__
from pilotwire.console.reference import groups_of, problems
from pilotwire.console.view import STATIC, ticks
from pilotwire.core.errors import LocalError

from . import source
from .text import Guide, read

_OWN = Path(__file__).parent / "static"
ORDER = (
    "index", "operator", "site-owner", "integrator", "developer", "console", "vehicles", "site", "commissioning",
    "site-console", "commands",
    "modbus-map", "mqtt", "timers", "conformance",
)  # fmt: skip
"""The guides in the order of the navigation; whatever else there is comes behind."""


class BrokenGuide(LocalError):
    """A link or picture of a guide leads nowhere."""


class Place(NamedTuple):
    name: str
    title: str


def guides() -> list[Guide]:
    """Every guide, in order. Raises BrokenGuide when a link or a picture leads nowhere."""
    found = [read(path.stem, path.read_text("utf-8")) for path in sorted(source.guides().glob("*.md"))]
    found.sort(key=lambda one: (ORDER.index(one.name) if one.name in ORDER else len(ORDER), one.name))
    anchors = {one.name: {heading.anchor for heading in one.headings} for one in found}
    there = {path.name for path in source.pictures().glob("*.png")}
    for guide in found:
        for target in guide.links:
            page, _, anchor = target.partition("#")
            name = page.removesuffix(".md") or guide.name
            if name in ("reference", "problems"):
                continue
            if name not in anchors or (anchor and anchor not in anchors[name]):
                raise BrokenGuide(f"{guide.name}.md: the link to {target} leads nowhere")
        for picture in guide.pictures:
            if picture not in there:
                raise BrokenGuide(f"{guide.name}.md: there is no picture {picture}")
    return found


def build(target: Path, document: dict[str, Any]) -> list[str]:
    """Write the site into a folder; `document` is the OpenAPI document. Returns the names of its pages."""
    every = guides()
    groups, listed = groups_of(document), problems()
    target.mkdir(parents=True, exist_ok=True)
    environment = Environment(
        loader=PackageLoader("pilotwire.docsite"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["ticks"] = ticks
    places = [Place(one.name, one.title) for one in every]
    more = [Place("reference", "API reference"), Place("problems", "Problems")]

    def write(name: str, template: str, **values: Any) -> None:
        html = environment.get_template(template).render(
            here=name, places=places, more=more, version=__version__, **values
        )
        (target / f"{name}.html").write_text(html, "utf-8")

    for guide in every:
        write(guide.name, "guide.html", title=guide.title, guide=guide)
    write("reference", "reference.html", title="API reference", groups=groups)
    write("problems", "problems.html", title="Problems", problems=listed)
    (target / "openapi.json").write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    (target / "search-index.js").write_text(_index(every, groups, listed), "utf-8")
    shutil.copyfile(STATIC / "console.css", target / "console.css")
    shutil.copyfile(STATIC / "icon.svg", target / "icon.svg")
    for name in ("docs.css", "docs.js"):
        shutil.copyfile(_OWN / name, target / name)
    images = target / "images"
    images.mkdir(exist_ok=True)
    for picture in sorted({picture for guide in every for picture in guide.pictures}):
        shutil.copyfile(source.pictures() / picture, images / picture)
    return [one.name for one in [*places, *more]]


def _index(every: list[Guide], groups: list[Any], listed: list[tuple[str, int, str, str]]) -> str:
    """[address, page, heading, text] of every passage, as a script, since a page from a folder may fetch nothing."""
    rows: list[tuple[str, str, str, str]] = [
        (f"{guide.name}.html#{one.anchor}", guide.title, one.heading, one.text)
        for guide in every
        for one in guide.passages
    ]
    rows += [
        (f"reference.html#{one.id}", "API reference", one.summary, f"{one.method} {one.path} {one.id} {one.text}")
        for group in groups
        for one in group.operations
    ]
    rows += [
        (f"problems.html#problem-{name}", "Problems", title, f"{name} {advice}") for name, _, title, advice in listed
    ]
    return f"window.PILOTWIRE_INDEX = {json.dumps(rows, ensure_ascii=False)};\n"
