"""The catalogue: read from `data/*.toml` once, checked as it is read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from pilotwire.core.errors import ConfigError

Severity = Literal["low", "medium", "high"]
"""low: tolerated without loss; medium: something is lost, late or doubtful; high: charging, money or the connection
suffers."""
Source = Literal["decoder", "messages", "frames", "answers", "connection"]

FOLDER = Path(__file__).parent / "data"


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A vendor, model or program that was reported to do it, and where everybody can read that."""

    who: str
    source: str
    """A URL."""


class Quirk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One deviation with a name."""

    id: str
    """kebab-case. Where the decoder's tolerance finds it, it is the name of its rule."""
    title: str
    versions: tuple[Literal["1.6", "2.0.1", "2.1"], ...]
    severity: Severity
    found_by: Source
    """decoder: a tolerance rule; messages: what a station sends; frames: how; answers: to our commands; connection: how
    it comes and goes."""
    seen: str
    """By what it is recognised."""
    effect: str
    """What goes wrong where nobody knows of it."""
    ours: str
    """What is done about it here."""
    operator: str
    """What an operator can do."""
    known: tuple[Known, ...] = ()
    remedy: str = ""
    """What is done differently for a station that has it (`remedies`)."""
    bare: bool = False
    """The frames begin with the connection itself: nothing was said before them."""
    frames: tuple[str, ...]
    """An example made after the public descriptions: what a station sends, line by line. A line that begins with [ is a
    frame of the station (with & before it: the next one follows at once); `$now`, `$now-60` and `$bare` (without
    offset) stand for times, `$tx` for the transactionId that was given last, `$id` for the messageId of our last CALL.
    Other lines are what happens: `ask Action {payload}` (a command of ours), `wait 60` (seconds), `drop` and `dial`
    (the connection), `second` (another connection), `times 10` (how often the next line comes), `keep` (the time, as
    `$kept` from then on)."""
    clean: tuple[str, ...]
    """The same as a station without the quirk does it."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    quirk: list[Quirk]


@cache
def quirks() -> Mapping[str, Quirk]:
    """All by id, in the order of the files. Raises ConfigError where a file is none."""
    found: dict[str, Quirk] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        try:
            read = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise ConfigError(f"{path.name}: {error}") from error
        for one in read.quirk:
            if one.id in found:
                raise ConfigError(f"{path.name}: {one.id} is there twice")
            found[one.id] = one
    return found


def quirk(id: str) -> Quirk | None:
    """One of them; None for a name of another release."""
    return quirks().get(id)


@cache
def tolerated() -> frozenset[str]:
    """Those that are found by the decoder's tolerance."""
    return frozenset(one.id for one in quirks().values() if one.found_by == "decoder")
