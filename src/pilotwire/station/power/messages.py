"""What the station says to a power cabinet and hears of it."""

from __future__ import annotations

import msgspec

from .unit import UnitId


# ── to the cabinet ───────────────────────────────────────────────────────────────────────────────────────────────────
class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What an output is to give, now: a vehicle's `Requested`. Replaces the last one; zero current keeps it ready."""

    output: int
    mv: int
    ma: int
    want_ma: int
    """What the vehicle would take if it could: its limit. Modules are assigned by this."""
    limit_mv: int
    """The lower of what vehicle and station say is the most; over-voltage is measured by it."""
    priority: int = 0


class Halt(msgspec.Struct, frozen=True):
    """The output is to be off. `OutputOff` says when it is: current is safe for contactors by then."""

    output: int
    emergency: bool = False
    reason: str = "the station wants it off"


class Release(msgspec.Struct, frozen=True):
    """A fault of the output has been looked at: it may be used again."""

    output: int


class Contact(msgspec.Struct, frozen=True):
    """The mirror contact of a switch of the matrix."""

    unit: UnitId
    output: int
    closed: bool


class Metered(msgspec.Struct, frozen=True):
    """What is measured at an output, at least four times a second."""

    output: int
    mv: int
    ma: int


class Tripped(msgspec.Struct, frozen=True):
    """The over-voltage monitor of an output has acted."""

    output: int
    emergency: bool
    text: str = ""


class Insulation(msgspec.Struct, frozen=True):
    """What the isolation monitor of an output finds, in ohm."""

    output: int
    ohm: int


class BusDown(msgspec.Struct, frozen=True):
    """A bus is off, or on again."""

    bus: str
    down: bool


CabinetCommand = Demand | Halt | Release | Contact | Metered | Tripped | Insulation | BusDown


# ── from the cabinet ─────────────────────────────────────────────────────────────────────────────────────────────────
class Connect(msgspec.Struct, frozen=True):
    """Close or open a switch of the matrix; `Contact` answers. `loaded`: open it though current may flow."""

    unit: UnitId
    output: int
    closed: bool
    loaded: bool = False


class OutputOffer(msgspec.Struct, frozen=True, kw_only=True):
    """What an output can give from now on, and why that has changed."""

    output: int
    max_mv: int
    max_ma: int
    max_mw: int
    reason: str


class OutputMeasured(msgspec.Struct, frozen=True):
    """What is at an output (4 Hz)."""

    output: int
    mv: int
    ma: int


class OutputFault(msgspec.Struct, frozen=True):
    """An output is turned off and stays off until `Release`. `code`: an IEC 61851 minimum error code where one fits."""

    output: int
    code: str
    text: str


class OutputOff(msgspec.Struct, frozen=True):
    """An output is off: its current is safe."""

    output: int
    reason: str


class UnitChanged(msgspec.Struct, frozen=True):
    """A module has gone out of service, has come back, or has been given another place."""

    unit: UnitId
    state: str
    reason: str


class TripAll(msgspec.Struct, frozen=True):
    """Current cannot be stopped otherwise: the input of the whole cabinet is cut (shunt trip)."""

    reason: str


CabinetEvent = Connect | OutputOffer | OutputMeasured | OutputFault | OutputOff | UnitChanged | TripAll
