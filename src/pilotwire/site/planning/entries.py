"""The sections `prices` and `planning` of a site's file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from ..sections import Id, NotNegative, Positive, Section
from ..typed import Finding

if TYPE_CHECKING:
    from ..config import SiteConfig


class PricesEntry(Section, frozen=True):
    """Day-ahead prices from a file beside the configuration, which is read again when it changes.

    CSV with a head (`from`, `until`, `import`, `export`) or JSON with a list of objects of these keys; times are RFC
    3339 with an offset. `until` left out: up to the next; `export` left out: `export_price`.
    """

    file: str
    per: Literal["kwh", "mwh"] = "mwh"
    """What the file's figures are for: exchanges tell them per MWh."""
    add_price: Decimal = Decimal(0)
    """What comes on top of each kWh imported: grid, levies."""
    factor_percent: Positive = Decimal(100)
    """By what the import price, with all that, is multiplied: 119 with a tax of 19 %."""
    export_price: Decimal = Decimal(0)
    """For each kWh exported, where the file does not say."""


class PeakEntry(Section, frozen=True):
    """What a kW of a demand window's highest mean costs."""

    window: Id
    price_per_kw: NotNegative
    """For what is left of its month (or year): what a new peak costs when it is reached today."""


class PlanningEntry(Section, frozen=True):
    """The next day is planned: cars and batteries wait for cheap hours and sun where that costs nobody his energy."""

    enabled: bool = True
    hours: Annotated[int, msgspec.Meta(ge=2, le=48)] = 24
    every_minutes: Annotated[int, msgspec.Meta(ge=1, le=30)] = 5
    timeout_s: Annotated[int, msgspec.Meta(ge=5, le=300)] = 60
    """A plan that takes longer is given up."""
    value_per_kwh: Positive = Decimal(5)
    """What energy is worth that a car has in time: more than any price that is to be paid for it."""
    hurry_percent: NotNegative = Decimal("0.01")
    """What an hour of delay takes off that value. 1 puts energy before its price, for a site that is short of power."""
    import_price: Decimal = Decimal("0.30")
    export_price: Decimal = Decimal("0.08")
    """Assumed where neither `prices` nor `steering.rates` knows."""
    peaks: tuple[PeakEntry, ...] = ()
    forecast: bool = True
    """Learns what building and sun do; false: what flows now goes on."""
    expected_cars: bool = True
    """Keeps room for cars that come on most days of this kind."""
    stay_h: Positive | None = None
    """How long a car stays of which nobody knows; left out: it is charged as soon as it can be."""
    energy_kwh: Positive = Decimal(20)
    """What such a car wants."""
    car_kwh: Positive = Decimal(60)
    """A car's battery, where only its state of charge is known."""
    charged_at_once: tuple[Id, ...] = ()
    """EVSEs that the plan reckons with and does not steer."""


def findings(config: SiteConfig) -> Iterator[Finding]:
    """What the two sections get wrong about the rest of the file. Their form has been checked."""
    planning, steering = config.planning, config.steering
    if planning is None:
        return
    evses = {each.id: each for each in config.evses}
    for id in planning.charged_at_once:
        if id not in evses:
            yield Finding("planning.charged_at_once", f"there is no EVSE {id}")
    windows: Sequence[object] = ()
    if steering is not None:
        given = getattr(steering, "windows", ())
        windows = given if isinstance(given, tuple) else ()
    known = {str(getattr(each, "id", "")): str(getattr(each, "node", "")) for each in windows}
    root = next((node.id for node in config.nodes if node.parent is None), "")
    seen: set[str] = set()
    for peak in planning.peaks:
        where = f"planning.peaks[{peak.window}]"
        if peak.window not in known:
            yield Finding(where, f"there is no demand window {peak.window}; enter it below steering.windows")
        elif known[peak.window] != root:
            yield Finding(where, f"its window is at {known[peak.window]}; peaks are planned at the connection {root}")
        if peak.window in seen:
            yield Finding(where, "is there twice; one price for each window")
        seen.add(peak.window)
    if planning.export_price > planning.import_price:
        text = f"is above import_price {planning.import_price}: energy would be bought to be sold"
        yield Finding("planning.export_price", text, "warning")
    if planning.value_per_kwh <= planning.import_price:
        text = f"is not above import_price {planning.import_price}: no car would be charged"
        yield Finding("planning.value_per_kwh", text)
    if not any(node.meter for node in config.nodes):
        text = "no node has a meter: what the building takes is not known and not planned for"
        yield Finding("planning", text, "warning")
