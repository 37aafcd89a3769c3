"""What the standard's variables mean, told in our own words: for whoever reads or changes a station's settings.

`described("1.6", "", "HeartbeatInterval")`, `described("2.0.1", "OCPPCommCtrlr", "HeartbeatInterval")`. Importing
this imports no table; each is imported on first use. Names, types, units and mutability are the standard's (1.6 chapter
9 and the security whitepaper; 2.0.1 and 2.1 part 2, referenced components and variables); the sentences are not.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from .entry import Entry, Kind

__all__ = ["Entry", "Kind", "described", "entries"]

_TABLES = {"1.6": "keys_16", "2.0.1": "variables_2", "2.1": "variables_2"}


@cache
def entries(version: str) -> dict[tuple[str, str], Entry]:
    """(component, variable) → what it is; a 1.6 key has the component "". Empty for a version that we do not speak."""
    name = _TABLES.get(version)
    if name is None:
        return {}
    table: tuple[Entry, ...] = import_module(f"{__name__}.{name}").TABLE
    return {(one.component, one.variable): one for one in table}


def described(version: str, component: str, variable: str) -> Entry | None:
    """What a variable is, in any case of its letters; None for what the standard does not name."""
    found = entries(version)
    exact = found.get((component, variable)) or found.get(("*", variable))
    if exact is not None:
        return exact
    return _folded(version).get((component.casefold(), variable.casefold()))


@cache
def _folded(version: str) -> dict[tuple[str, str], Entry]:
    return {(component.casefold(), variable.casefold()): one for (component, variable), one in entries(version).items()}
