"""An entry of the catalogue."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["integer", "boolean", "string", "decimal", "dateTime", "MemberList", "SequenceList", "OptionList"]
Mutability = Literal["ReadOnly", "ReadWrite", "WriteOnly"]


class Entry(NamedTuple):
    """A variable of the device model, or a 1.6 configuration key (component "")."""

    component: str
    """"*": of any component."""
    variable: str
    kind: Kind
    mutability: Mutability
    text: str
    """What it does, one or two sentences."""
    unit: str = ""
    values: tuple[str, ...] = ()
    """Allowed values, or allowed members of a list, where they are few."""
    low: int | None = None
    high: int | None = None
    required: bool = False
    """Every station has it (of those that have the component's feature)."""
    reboot: bool = False
    """A change often takes effect after a restart."""
    profile: str = ""
    """1.6: the feature profile."""
