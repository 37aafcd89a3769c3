"""The site at one moment, as plain data: what flows where, against which limit, and why.

Figures are integers in base units (mA, mW, Wh), import positive; None is not known. `pilotwire.site.picture` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

PilotState = Literal["A", "B", "C", "D", "E", "F"]
"""IEC 61851-1: A no vehicle, B connected, C and D charging, E no power, F not available."""

Code = Literal[
    "offline",
    "unanswered",
    "unknown",
    "unverified",
    "meter_lost",
    "meter_suspect",
    "source_lost",
    "out_of_service",
    "safe_state",
    "clock_step",
    "no_plan",
    "no_prices",
]


class Mark(msgspec.Struct, frozen=True):
    """Something that is not as it should be; it is there as long as it is so."""

    where: str
    code: Code
    words: str


DeviceKind = Literal["meter", "inverter", "battery", "load", "contacts"]


class LimitPicture(msgspec.Struct, frozen=True):
    """The lowest limit in force of one figure, and who says so. `what` is L1, L2, L3 (mA) or power (mW)."""

    what: Literal["L1", "L2", "L3", "power"]
    value: int
    source: str


class NodePicture(msgspec.Struct, frozen=True, kw_only=True):
    """A place in the tree; the figures are of its meter, and without one reckoned from what is measured below it."""

    id: str
    kind: str
    parent: str | None
    metered: bool
    online: bool
    phases_ma: tuple[int | None, int | None, int | None]
    power_mw: int | None
    limits: tuple[LimitPicture, ...]


class EvsePicture(msgspec.Struct, frozen=True, kw_only=True):
    """An EVSE, what it gives, what it may give, and why not more."""

    id: str
    node: str
    online: bool
    pilot: PilotState | None
    charging: bool
    power_mw: int | None
    phases_ma: tuple[int | None, int | None, int | None]
    unit: Literal["mA", "mW"]
    set_point: int
    target: int
    confirmed: int | None
    """What the charger itself says that it offers."""
    code: str
    reason: str
    session: str
    session_wh: int | None
    energy_wh: int | None
    soc: int | None
    departure_ms: int | None
    fault: str


class DevicePicture(msgspec.Struct, frozen=True, kw_only=True):
    """A meter, inverter, battery, load or set of contacts: its points that are not bad, by name."""

    id: str
    kind: DeviceKind
    online: bool
    points: Mapping[str, int]
    node: str | None = None
    """Where it is in the tree, by the configuration; of a meter the node that it measures. None: it is not said."""


class Flows(msgspec.Struct, frozen=True, kw_only=True):
    """Power in mW. `building` is what is left: grid less cars, battery and PV (which is negative)."""

    grid: int | None = None
    pv: int | None = None
    battery: int | None = None
    cars: int | None = None
    building: int | None = None


class SitePicture(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `at_ms` is UTC."""

    site: str
    seq: int
    at_ms: int
    flows: Flows
    nodes: tuple[NodePicture, ...]
    evses: tuple[EvsePicture, ...]
    devices: tuple[DevicePicture, ...]
    marks: tuple[Mark, ...]
    """What is not as it should be."""
