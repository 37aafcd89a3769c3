"""What drivers of a product read and write beside the points of its device file: names, spare registers, switches.

Facts of the makers' register lists, as far as they are public; each product's file names its sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import msgspec

from pilotwire.protocols.modbus.values import Field, encode_value
from pilotwire.transport.modbus.registers import Table

from .figures import Figures

__all__ = ["NO_QUIRKS", "QUIRKS", "Fill", "Quirks", "Switch"]

Placed = tuple[Table, int, list[int]]
More = Callable[[Figures, int | None, int | None, int], list[Placed]]
"""(the EVSE, the set-point in force in mA, until when it holds, now) → registers of the first outlet."""


Station = Callable[[Sequence[Figures]], list[Placed]]


class Fill(msgspec.Struct, frozen=True):
    """Registers from `first` to before `end` that can be read and say nothing."""

    table: Table
    first: int
    end: int
    value: int = 0


class Switch(msgspec.Struct, frozen=True):
    """A holding register that is told something, by name of `site.ports.POINTS`; other names are kept only."""

    address: int
    name: str
    values: Mapping[int, int] | range
    """What may be written, and what it means; of a range each means itself."""
    first: int = 0
    """What it says before it was written."""


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """Of one product."""

    fills: tuple[Fill, ...] = ()
    commands: tuple[Switch, ...] = ()
    more: More = lambda figures, force, until, now: []
    station: Station = lambda found: []
    """Registers that are there once, for all outlets of a unit."""
    station_fills: tuple[Fill, ...] = ()
    group_limit: int | None = None
    """A holding register with what all outlets together may draw on each phase, in A."""


NO_QUIRKS = Quirks()
_F32 = Field(kind="f32")
_U32 = Field(kind="u32")
_ANY = range(65_536)


def _float(value_ma: int) -> list[int]:
    return encode_value(_F32, Decimal(value_ma) / 1000)


def _seconds_left(until: int | None, now: int) -> int:
    return 0 if until is None else max(0, -(-(until - now) // 1000))


def _keba(figures: Figures, force: int | None, until: int | None, now: int) -> list[Placed]:
    token = figures.status.id_token
    card = int(token[:8], 16) if token and all(each in "0123456789abcdefABCDEF" for each in token[:8]) else 0
    return [
        ("holding", 1016, encode_value(_U32, 322_022)),  # product type: P30, 22 kW, with energy metering
        ("holding", 1018, encode_value(_U32, 30_130_000)),
        ("holding", 1500, encode_value(_U32, card)),
    ]


def _alfen(figures: Figures, force: int | None, until: int | None, now: int) -> list[Placed]:
    status = figures.status
    state = status.pilot or "F"
    if state in ("B", "C", "D"):
        state += "1" if status.offered == 0 else "2"  # 2: the pilot says that it may draw
    return [
        ("holding", 300, [3, *encode_value(Field(kind="u64"), figures.age_ms or 0), 0]),  # the meter is there, and read
        ("holding", 1200, [int(status.pilot != "F")]),
        ("holding", 1201, encode_value(Field(kind="string", length=5), state)),
        ("holding", 1208, encode_value(_U32, _seconds_left(until, now))),
        ("holding", 1214, [int(force is not None and _seconds_left(until, now) > 0)]),
    ]


def _heidelberg(figures: Figures, force: int | None, until: int | None, now: int) -> list[Placed]:
    session = encode_value(_U32, figures.session_wh or 0)
    return [
        ("input", 4, [0x0108]),  # layout of the register list
        ("input", 13, [1]),  # the external lock is open
        ("input", 15, session),  # energy since power-on
        ("input", 100, [16]),
        ("input", 101, [6]),
    ]


_CHARX_STATES = {"A": "A1", "B": "B1", "C": "C2", "D": "D2", "E": "E0", "F": "F0"}


def _charx(figures: Figures, force: int | None, until: int | None, now: int) -> list[Placed]:
    state = _CHARX_STATES[figures.status.pilot or "F"]
    if figures.status.pilot in ("B", "C") and figures.ocpp != "Charging":
        state = state[0] + ("2" if figures.status.offered == 0 and state[0] == "B" else "1")
    return [
        ("holding", 1101, [32, 6]),
        ("holding", 1112, [0xFFFF]),  # a meter of no type that it knows
        ("holding", 1120, [5]),  # charging is released by Modbus
        ("holding", 1299, encode_value(Field(kind="string", length=1), state)),
    ]


def _charx_station(found: Sequence[Figures]) -> list[Placed]:
    pilots = [each.status.pilot for each in found]
    power = sum(each.power_mw or 0 for each in found)
    amps = [sum(each.amps_ma[at] or 0 for each in found) for at in range(3)]
    signed = Field(kind="s32")
    rows: list[Placed] = [
        ("holding", 100, encode_value(Field(kind="string", length=10), "CHARX SEC-3100")),
        ("holding", 110, encode_value(Field(kind="string", length=4), "V1.6.0")),
        ("holding", 114, [len(found)]),
        ("holding", 148, [sum(each in ("E", "F") for each in pilots), pilots.count("A"),
                          sum(each in ("B", "C", "D") for each in pilots),
                          sum(each.ocpp == "Charging" for each in found)]),
        ("holding", 152, encode_value(signed, power)),
        ("holding", 156, encode_value(signed, power)),
        *(("holding", 158 + 2 * at, encode_value(signed, amps[at])) for at in range(3)),
        ("holding", 164, [1]),
    ]  # fmt: skip
    return rows


QUIRKS: Mapping[str, Quirks] = {
    "keba-p30": Quirks(
        fills=(Fill("holding", 1016, 1020), Fill("holding", 1500, 1502), Fill("holding", 1550, 1554)),
        more=_keba,
    ),
    "keba-p40": Quirks(
        fills=(Fill("holding", 1016, 1020), Fill("holding", 1500, 1502), Fill("holding", 1550, 1552)),
        commands=(Switch(5012, "unlock", {0: 0}), Switch(5014, "enable", {0: 0, 1: 1}, 1)),
        more=_keba,
    ),
    # What is not measured is not a number, of all bits.
    "alfen-ng9xx": Quirks(fills=(Fill("holding", 300, 426, 0xFFFF), Fill("holding", 1200, 1216)), more=_alfen),
    "heidelberg-energy-control": Quirks(
        fills=(Fill("input", 4, 19), Fill("input", 100, 102)),
        commands=(Switch(258, "standby", _ANY, 4), Switch(259, "enable", {0: 0, 1: 1}, 1)),
        more=_heidelberg,
    ),
    "heidelberg-connect": Quirks(
        fills=(Fill("input", 4, 19), Fill("input", 100, 102)),
        commands=(Switch(258, "standby", _ANY, 4), Switch(259, "enable", {0: 0, 1: 1}, 1)),
        more=_heidelberg,
    ),
    "phoenix-charx-sec": Quirks(
        fills=(Fill("holding", 1100, 1124), Fill("holding", 1232, 1309)),
        more=_charx,
        station=_charx_station,
        station_fills=(Fill("holding", 100, 168),),
        group_limit=167,
        commands=(
            Switch(1300, "enable", {0: 0, 1: 1}, 1),
            Switch(1303, "lock", {0: 0, 1: 1}),
            Switch(1304, "available", {0: 0, 1: 1}, 1),
        ),
    ),
    "eastron-sdm630": Quirks(fills=(Fill("input", 0, 382),)),
}
