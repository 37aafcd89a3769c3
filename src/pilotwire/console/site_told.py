"""What a site's controller says in English sentences, said in the reader's language.

The controller's words are made from a few dozen sentences with figures and names in them (`domain.energy.reasons`,
`domain.steering.reasons`, `site.explain`, `site.decide`, `site.commissioning`). `SENTENCES` and
`COMMISSIONING_SENTENCES` are those; one that fits is translated with its names and figures, one that is not known stays
as it is.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from pilotwire.api.language import N_, catalogue, speaking, translate

from .diagram import OWN_SOURCES, source_text
from .words.commissioning_sentences import COMMISSIONING_SENTENCES
from .words.site_sentences import ORDERS, SENTENCES

_FIELD = re.compile(r"\\\{(\w+)\\\}")
_DECIMAL = re.compile(r"(?<![\d.])(\d+)\.(\d+)(?!\d|\.\d)")
"""A figure, no address."""
_LONG = re.compile(r"(-?\d+\.\d{2,}) (?=kW\b|A\b)")
_NONE = re.compile(r"(?<![\w.])-(0(?:\.0+)?)(?= (?:kWh?|A)\b)")
"""-0.0 kW is 0.0 kW."""
_BY_OWN = re.compile(rf" by ({'|'.join(sorted(OWN_SOURCES, key=len, reverse=True))})(?=, |$)")
_SMALL = re.compile(r"\b(\d+) m([sA])\b")


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Those first that begin with a word of their own, then the longest: none is taken for one that says less."""
    every = (*SENTENCES, *COMMISSIONING_SENTENCES)
    ordered = sorted(every, key=lambda one: (one.startswith("{"), -len(re.sub(r"\{\w+\}", "", one))))
    return [(one, re.compile(_FIELD.sub(_group, re.escape(one)))) for one in ordered]


_SHAPES = {"amps": r"-?[\d.]+ A(?: / -?[\d.]+ A)*", "age": r"[\d.]+ m?s", "phases": r"\d", "words": ".+"}


def _group(field: re.Match[str]) -> str:
    return f"(?P<{field[1]}>{_SHAPES.get(field[1], '[^;]+?')})"


def told(sentence: str) -> str:
    """The sentence in the language of the request, its figures as people write them."""
    return _told(_NONE.sub(r"\1", _SMALL.sub(_whole, _LONG.sub(_rounded, sentence))), speaking())


def _rounded(found: re.Match[str]) -> str:
    """1.093 A is 1.1 A."""
    return f"{float(found[1]):.1f} "


def _whole(found: re.Match[str]) -> str:
    """32000 mA is 32 A, 3915 ms is 3.9 s; what is less than a tenth stays."""
    thousandths = int(found[1])
    return found[0] if thousandths < 1_000 else f"{thousandths / 1_000:.1f}".removesuffix(".0") + f" {found[2]}"


@lru_cache(maxsize=4_096)
def _told(sentence: str, language: str) -> str:
    """`language` is that which is spoken: it belongs to the key."""
    said = _one(sentence)
    if said is None and "; " in sentence:
        return "; ".join(_one(part) or part for part in sentence.split("; "))
    return sentence if said is None else said


def _known(sentence: str) -> str | None:
    for english, pattern in _patterns():
        if (found := pattern.fullmatch(sentence)) is not None:
            return translate(english, **{name: _field(name, value) for name, value in found.groupdict().items()})
    return None


def _one(sentence: str) -> str | None:
    """What is told of somebody ("bay-1: …", "bay-1 is not heard: …") is translated without the name, too."""
    if (said := _known(sentence)) is not None:
        return said
    for sign in (": ", " "):
        name, found, rest = sentence.partition(sign)
        if found and " " not in name and (said := _known(rest)) is not None:
            return f"{name}{sign}{said}"
    return None


def _field(name: str, value: str) -> str:
    if name == "words":
        return _told(value, speaking())
    if name == "order":
        return translate(ORDERS.get(value, value))
    if name == "allowed":
        value = _BY_OWN.sub(lambda found: f" by {source_text(found[1])}", value)
        value = value.replace(" of imbalance by ", f" {translate(N_('of imbalance'))} by ")
        value = value.replace(" by ", f" {translate(N_('by'))} ")
    if name in ("source", "allowed"):
        value = source_text(value)
    if name == "what":
        value = translate(ORDERS.get(value, value))
    return _DECIMAL.sub(rf"\1{catalogue(speaking()).get('.', '.')}\2", value)
