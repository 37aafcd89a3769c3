"""The words that people read: English in the source, every other language one file `languages/<code>.json`.

The language is that of the request that is being answered: the guard takes it from the console's cookie or from
Accept-Language, and it is English wherever no request is answered. The files lie with the console, whose words are most
of them; the API's own (events, checks, alarms, problems) are in the same ones.

`_("Text")` gives the text in the language of the request that is being answered; `_("{n} stations", n=3)` fills in.
`several(n, "{n} station", "{n} stations")` picks singular or plural. `N_("Text")` marks a text that is looked up later.
Names in braces are the same in every language. A test holds that each text of templates and pages has its German.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "console" / "languages"
COOKIE = "pilotwire_language"
DEFAULT = "en"
_current: ContextVar[str] = ContextVar("language", default=DEFAULT)


@cache
def catalogue(code: str) -> dict[str, str]:
    """English → the language's own words; empty for English. The key "" holds the language's own name."""
    if code == DEFAULT:
        return {"": "English"}
    words: dict[str, str] = json.loads((FOLDER / f"{code}.json").read_text("utf-8"))
    return words


@cache
def languages() -> dict[str, str]:
    """Code → name, of every language there is, English first."""
    codes = [DEFAULT, *sorted(one.stem for one in FOLDER.glob("*.json"))]
    return {code: catalogue(code)[""] for code in codes}


@lru_cache(maxsize=256)
def choose(cookie: str, accepted: str) -> str:
    """The language of a request: what was chosen, else the best of what the browser accepts (RFC 9110, 12.5.4)."""
    known = languages()
    if cookie in known:
        return cookie
    weighed: list[tuple[float, int, str]] = []
    for place, part in enumerate(accepted.split(",")[:20]):
        name, _, rest = part.strip().partition(";")
        try:
            weight = float(rest.partition("q=")[2] or 1)
        except ValueError:
            continue
        weighed.append((-weight, place, name.strip().lower().partition("-")[0]))
    return next((name for weight, _, name in sorted(weighed) if weight < 0 and name in known), DEFAULT)


def use(code: str) -> None:
    """Speak this language for the rest of the request."""
    _current.set(code)


@contextmanager
def spoken(code: str) -> Iterator[None]:
    """Speak this language for a while."""
    token = _current.set(code)
    try:
        yield
    finally:
        _current.reset(token)


def in_others(say: Callable[[], str]) -> dict[str, str]:
    """What `say` says in every language but English, by code: for texts that are kept and read later by anybody."""
    found: dict[str, str] = {}
    for code in languages():
        if code != DEFAULT:
            with spoken(code):
                found[code] = say()
    return found


def speaking() -> str:
    """The language now."""
    return _current.get()


def translate(text: str, /, **values: object) -> str:
    """`text` in the language now, with `{names}` filled in; a text that the language lacks stays English."""
    said = catalogue(_current.get()).get(text, text) if text else ""
    return said.format(**values) if values else said


def several(count: int, one: str, many: str, /, **values: object) -> str:
    """Singular or plural; `{n}` is the count, with thousands apart."""
    return translate(one if count == 1 else many, n=f"{count:,}", **values)


def N_(text: str) -> str:
    """Marks a text that is translated where it is shown."""
    return text


_ = translate
