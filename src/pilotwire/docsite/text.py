"""One guide: Markdown to HTML, its headings, what can be searched, and where its links and pictures lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token


class Heading(NamedTuple):
    level: int
    text: str
    anchor: str


class Passage(NamedTuple):
    """A heading and the text below it, for the search."""

    heading: str
    anchor: str
    text: str


class Guide(NamedTuple):
    """A page."""

    name: str
    """Of its file, without `.md`."""
    title: str
    html: str
    headings: list[Heading]
    passages: list[Passage]
    links: list[str]
    """To other guides, as written: `operator.md#alarms`."""
    pictures: list[str]
    """File names."""


_markdown = MarkdownIt("commonmark", {"html": False, "typographer": False}).enable("table")


def slug(text: str) -> str:
    """`Why won't it charge?` → `why-wont-it-charge`."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold().replace("'", "").replace("’", "")).strip("-") or "section"


def read(name: str, text: str) -> Guide:
    """Parse a guide. Its first heading is its title."""
    tokens = _markdown.parse(text)
    headings: list[Heading] = []
    links: list[str] = []
    pictures: list[str] = []
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            said = _plain(tokens[at + 1])
            anchor = _unused(slug(said), [one.anchor for one in headings])
            token.attrSet("id", anchor)
            headings.append(Heading(int(token.tag[1]), said, anchor))
        elif token.type == "table_open":
            token.attrSet("class", "data")
        elif str(token.attrGet("style")) == "text-align:right":
            # The site's policy allows no style within a page.
            del token.attrs["style"]
            token.attrSet("class", "num")
        for child in token.children or ():
            _lead(child, links, pictures)
    return Guide(
        name=name,
        title=headings[0].text if headings else name,
        html=_markdown.renderer.render(tokens, _markdown.options, {}).replace("<pre>", '<pre tabindex="0">'),
        headings=headings,
        passages=list(_passages(tokens, headings)),
        links=links,
        pictures=pictures,
    )


def _lead(token: Token, links: list[str], pictures: list[str]) -> None:
    """Point links at the built pages, and pictures at their copies."""
    if token.type == "link_open":
        target = str(token.attrGet("href") or "")
        page, hash_, anchor = target.partition("#")
        if "://" in target or page.startswith("/"):
            return
        if page.endswith(".md"):
            links.append(target)
            token.attrSet("href", f"{page.removesuffix('.md')}.html{hash_}{anchor}")
        elif not page:
            links.append(target)
    elif token.type == "image":
        file = str(token.attrGet("src") or "").rpartition("/")[2]
        pictures.append(file)
        token.attrSet("src", f"images/{file}")
        token.attrSet("loading", "lazy")


def _plain(token: Token) -> str:
    return "".join(
        " " if one.type in ("softbreak", "hardbreak") else one.content
        for one in token.children or ()
        if one.type in ("text", "code_inline", "softbreak", "hardbreak")
    )


def _unused(anchor: str, used: list[str]) -> str:
    found, number = anchor, 2
    while found in used:
        found, number = f"{anchor}-{number}", number + 1
    return found


def _passages(tokens: list[Token], headings: list[Heading]) -> Iterator[Passage]:
    left = iter(headings)
    now: Heading | None = None
    said: list[str] = []
    in_heading = False
    for token in tokens:
        if token.type == "heading_open":
            if now is not None:
                yield Passage(now.text, now.anchor, " ".join(said))
            now, said, in_heading = next(left), [], True
        elif token.type == "heading_close":
            in_heading = False
        elif token.type == "inline" and not in_heading:
            said.append(_plain(token))
        elif token.type in ("fence", "code_block"):
            said.append(" ".join(token.content.split()))
    if now is not None:
        yield Passage(now.text, now.anchor, " ".join(said))
