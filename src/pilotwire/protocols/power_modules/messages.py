"""What a charger says to power modules and hears of them, whichever family they are of.

Quantities are integers: mV, mA, mW, tenths of a degree. A module is named by its address on its bus.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Family = Literal["infy", "uugreen", "winline", "dpm1000", "huawei"]
FAMILIES: tuple[Family, ...] = ("infy", "uugreen", "winline", "dpm1000", "huawei")


# ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────────
class Set(msgspec.Struct, frozen=True):
    """Voltage and current limit of one module (its own share, not the output's). Kept and repeated by the driver."""

    address: int
    mv: int
    ma: int


class Switch(msgspec.Struct, frozen=True):
    """Turn one module on or off. Kept and repeated by the driver until the module says that it has done so."""

    address: int
    on: bool


ModuleCommand = Set | Switch


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────────
class Found(msgspec.Struct, frozen=True):
    """A module answers: for the first time, or again after it was lost. It is off, or has been told to be."""

    address: int


class Lost(msgspec.Struct, frozen=True):
    """A module has been silent for so long that it must have turned itself off."""

    address: int
    silent_ms: int


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a module says of itself. Told as often as voltage and current have both been read (4 Hz)."""

    address: int
    mv: int
    ma: int
    running: bool | None = None
    """It says that its output is on; None: it has not said yet."""
    obeyed: bool = False
    """It has answered the last order to turn on or off."""
    temperature: int | None = None
    """Tenths of a degree Celsius."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a module can do by its name plate, or now that it derates itself."""

    address: int
    max_mv: int
    min_mv: int
    max_ma: int
    max_mw: int


class Alarm(msgspec.Struct, frozen=True):
    """One thing that a module complains of."""

    word: str
    """In plain words."""
    code: str = ""
    """One of IEC 61851's minimum error codes, where one fits."""
    stops: bool = True
    """The module delivers nothing while this lasts; else it only tells, or limits itself."""


class Alarms(msgspec.Struct, frozen=True):
    """The alarms of a module have changed; empty: it has none any more."""

    address: int
    alarms: tuple[Alarm, ...]


class Refused(msgspec.Struct, frozen=True):
    """A module has answered a command with an error, or with what makes no sense."""

    address: int
    text: str


ModuleEvent = Found | Lost | Reading | Limits | Alarms | Refused


# ── the words of alarms ──────────────────────────────────────────────────────────────────────────────────────────────
SHORT = Alarm("output short circuit", "OverCurrentFailure")
FAULT = Alarm("module fault", "")
PROTECTION = Alarm("module protection", "")
FAN = Alarm("fan fault", "")
HOT = Alarm("over temperature", "HighTemperature")
COLD = Alarm("too cold", "")
OUTPUT_HIGH = Alarm("output over-voltage", "OverVoltage")
OUTPUT_LOW = Alarm("output under-voltage", "UnderVoltage", stops=False)
OUTPUT_CURRENT = Alarm("output over-current", "OverCurrentFailure")
INPUT_HIGH = Alarm("input over-voltage", "OverVoltage")
INPUT_LOW = Alarm("input under-voltage", "UnderVoltage")
INPUT_PHASE = Alarm("input phase lost", "PowerLoss")
INPUT_GONE = Alarm("no input", "PowerLoss")
INPUT_UNBALANCED = Alarm("input unbalanced", "")
INPUT_STAGE = Alarm("fault of the input stage", "")
SILENCE = Alarm("module has not heard from the charger", "")
INNER_LINK = Alarm("no conversation inside the module", "")
DOUBLE = Alarm("two modules with one address", "")
DISCHARGE = Alarm("discharge circuit fault", "")
RELAY = Alarm("fault of the module's output relay", "EVSEContactorFault")
SHARING = Alarm("module does not share its current", "", stops=False)
LIMITED = Alarm("module limits its power", "", stops=False)
DERATED = Alarm("module limits its power: temperature", "", stops=False)
MODE = Alarm("input mode or wiring wrong", "")


def decode_alarms(bits: int, table: dict[int, Alarm]) -> tuple[Alarm, ...]:
    """The alarms of a status word; bits that no one knows of are left out."""
    return tuple(alarm for bit, alarm in table.items() if bits >> bit & 1)
