"""`telecontrol:` in a site's file: contacts, receivers, schedule files and registers of a grid operator.

    telecontrol:
      contacts:
        - {id: w4, device: inputs, point: input_1}
      receivers:
        - {id: control-box, source: grid operator, node: grid, dims: w4}

`filed` makes of it what `join.Telecontrol` wants.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from pilotwire.site.sections import Id, NotNegative, Percent, Positive, Section

__all__ = [
    "ContactSection",
    "FigureSection",
    "FnnSection",
    "LevelsSection",
    "Limits",
    "ReceiverSection",
    "RegisterSection",
    "RowSection",
    "ScheduleSection",
    "TelecontrolSection",
]

Limits = Literal["import", "steuve", "feed_in"]
"""What an order is about: the power into a node, that of the controllable devices of § 14a EnWG there, or the power out
of it."""


class FigureSection(Section, frozen=True):
    """A power, or a share of the installed generation (of `reference_kw` for limits of the import)."""

    kw: NotNegative | None = None
    percent: Percent | None = None


class LevelsSection(Section, frozen=True):
    """Two-wire supervision: the input's values with its resistors, lowest and highest. All else is a cut or a short."""

    open: tuple[int, int]
    closed: tuple[int, int]


class ContactSection(Section, frozen=True):
    """One contact at a point of a device."""

    id: Id
    device: Id
    point: str
    """input_1 to input_16, or another point of the device whose value is 0 or 1 (with `levels`: any value)."""
    other: str | None = None
    """The second input of a change-over contact: it always shows the opposite, or a wire is broken."""
    inverted: bool = False
    """Active while it is open: a wire that is cut then counts as active."""
    debounce_s: NotNegative = Decimal("0.1")
    release_s: NotNegative | None = None
    """Debounce of its end; left out: the same."""
    fault_s: NotNegative = Decimal(1)
    """So long has to be seen what cannot be."""
    stale_s: NotNegative = Decimal(10)
    """Not read for so long: it is lost."""
    levels: LevelsSection | None = None
    broken: Literal["hold", "active"] = "hold"
    """What counts while its wire is broken: as it was last, or active."""
    lost: Literal["hold", "active", "inactive"] = "hold"
    """And while nobody can read it."""


class FnnSection(Section, frozen=True):
    """The relays of FNN's control box by their contacts: 0, 30 and 60 % of the installed generation, and dimming."""

    w3: Id
    s2: Id
    s1: Id
    w4: Id | None = None


class RowSection(Section, frozen=True):
    """While these contacts are active, that is ordered. Neither `kw` nor `percent`: with `limits: steuve` the legal
    minimum, with `free: true` that nothing is limited."""

    contacts: tuple[Id, ...]
    limits: Limits
    kw: NotNegative | None = None
    percent: Percent | None = None
    free: bool = False


class ReceiverSection(Section, frozen=True):
    """A box with contacts. Exactly one of `dims`, `fnn` and `rows` says what they mean."""

    id: Id
    node: Id
    source: str
    """Who orders: it stands in the reasons and in the intervention log."""
    dims: Id | None = None
    """One contact that dims the controllable devices of § 14a EnWG (`steering.steuve`)."""
    fnn: FnnSection | None = None
    rows: tuple[RowSection, ...] = ()
    coded: bool = False
    """rows: a row counts when exactly its contacts are active, and a pattern that is none of them is the strictest."""
    minimum_s: NotNegative = Decimal(0)
    """An order holds so long at least."""
    release_s: NotNegative = Decimal(0)
    """A looser one counts when it has been asked for so long: relays break before they make."""


class ScheduleSection(Section, frozen=True):
    """A file of limits, JSON or CSV (`domain.telecontrol.schedule`). `gap`, `stale` and `missing` are the written
    states where it says nothing, is valid no more, and has never been read; left out: no limit."""

    id: Id
    node: Id
    source: str
    file: str
    """A path from the site's file on."""
    limits: Limits = "import"
    reference_kw: Positive | None = None
    gap: FigureSection | None = None
    stale: FigureSection | None = None
    missing: FigureSection | None = None
    poll_s: Positive = Decimal(10)
    gone: Literal["keep", "missing"] = "keep"
    """A file that has been there and is not any more: its schedule holds until its end, or it is missing."""


class RegisterSection(Section, frozen=True):
    """A register that a grid operator's remote terminal unit writes by Modbus TCP; `register` has what is behind it."""

    id: Id
    node: Id
    source: str
    listen: str = "127.0.0.1:502"
    unit: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    address: Annotated[int, msgspec.Meta(ge=0, le=65_530)] = 0
    clients: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    writers: tuple[str, ...] = ()
    writes_per_minute: Annotated[int, msgspec.Meta(ge=1)] = 60
    limits: Limits = "feed_in"
    meaning: Literal["percent", "kw", "w"] = "percent"
    maximum: Annotated[int, msgspec.Meta(ge=1, le=65_534)] = 100
    """In counts of `meaning`; more is refused."""
    reference_kw: Positive | None = None
    watchdog_s: Positive | None = None
    """So long after the last write the unit is lost; left out: what was written holds until it is written again."""
    lost: Literal["hold", "free"] | FigureSection = "hold"
    """What counts then: the last order, no limit, or this."""


class TelecontrolSection(Section, frozen=True):
    """All of it. Contacts are looked at each `look_s`, whatever the loop does."""

    contacts: tuple[ContactSection, ...] = ()
    receivers: tuple[ReceiverSection, ...] = ()
    schedules: tuple[ScheduleSection, ...] = ()
    registers: tuple[RegisterSection, ...] = ()
    look_s: Positive = Decimal("0.1")
