"""Whether what a device says can be true: figures against their ranges, against one another, and against time.

    plausibility(points, kind="meter")                                  one reading
    plausibility(points, kind="meter", earlier=before, elapsed_ms=...)  two: energies against the power between them
    follows(points, limit_ma=10_000)                                    a charger was told so, and a car wants more
    follows_power(points, 2_000_000)                                    a battery was told so

Points are base units by name; None is a value that could not be read or is not there. What these rules see is a device
file that is wrong (an address beside the right one, words the wrong way round, ten times too much, a sign), a current
transformer on the wrong phase, and a register that stands still. They judge; they change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isqrt
from typing import Literal

import msgspec

from .layout import Reading
from .schema import Kind

Rule = Literal[
    "absent", "range", "phases", "power", "total", "sign", "apparent", "energy", "frozen", "state", "charger", "follows"
]


class Finding(msgspec.Struct, frozen=True):
    """One thing that cannot be, or that is very unlikely."""

    rule: Rule
    points: tuple[str, ...]
    """What it is about."""
    text: str


PHASES = (1, 2, 3)
RANGES: dict[str, tuple[int, int]] = {
    "frequency_mhz": (45_000, 65_000),
    "power_factor_permille": (-1000, 1000),
    "soc_permille": (0, 1000),
    "health_permille": (0, 1100),
    "temperature_mc": (-45_000, 125_000),
    "capacity_wh": (100, 1_000_000_000),
    "energy_import_wh": (0, 10**14),
    "energy_export_wh": (0, 10**14),
    "session_wh": (0, 2_000_000),
    "session_s": (0, 100 * 86_400),
    "phases": (1, 3),
    "cable": (0, 1),
    "enable": (0, 1),
    "lock": (0, 1),
    "watchdog_ms": (0, 86_400_000),
    "failsafe_ma": (0, 80_000),
    "offered_ma": (0, 80_000),
    "limit_ma": (0, 80_000),
    "charge_limit_mw": (0, 10**10),
    "discharge_limit_mw": (0, 10**10),
    "soc_reserve_permille": (0, 1000),
    "power_limit_permille": (0, 1000),
    **{f"input_{number}": (0, 1) for number in range(1, 17)},
}
VOLTAGES = ((95_000, 140_000), (180_000, 290_000))
"""Between a phase and the neutral, in North America and in most of the rest of the world."""
MOST_MA: dict[Kind, int] = {
    "charger": 100_000, "meter": 8_000_000, "inverter": 4_000_000, "battery": 4_000_000, "load": 1_000_000,
    "contacts": 0,
}  # fmt: skip
_SMALL_MW = 60_000
"""Below this a power is too small to be held against a current."""
_LIVE_MA = 500


def plausibility(
    points: Mapping[str, Reading],
    *,
    kind: Kind = "meter",
    earlier: Mapping[str, Reading] | None = None,
    elapsed_ms: int = 0,
    optional: frozenset[str] = frozenset(),
    steps: Mapping[str, int] | None = None,
) -> list[Finding]:
    """All that is odd. `optional` points may be absent; `steps` says the resolution of energies, in Wh."""
    rules = [_absent(points, optional), _ranges(points, kind), _phases(points), _power(points), _total(points)]
    rules += [_apparent(points), _sign(points, kind)]
    if kind == "charger":
        rules.append(_charger(points))
    if earlier is not None and elapsed_ms > 0:
        rules.append(_energy(points, earlier, elapsed_ms, steps or {}))
    return [finding for rule in rules for finding in rule]


def follows(points: Mapping[str, Reading], limit_ma: int) -> list[Finding]:
    """Whether a charger gives what it was told, while its car wants more than that."""
    currents = [abs(value) for phase in PHASES if (value := _number(points, f"current_l{phase}_ma")) is not None]
    value = _number(points, "current_ma")
    currents += [] if value is None else [value]
    if not currents:
        volts, power = _number(points, "voltage_l1_mv") or 230_000, _number(points, "power_mw")
        if power is None:
            return []
        # One phase or three: either is in order.
        most = abs(power) * 1000 // volts
        if any(abs(most // phases - limit_ma) <= max(1000, limit_ma // 10) for phases in PHASES):
            return []
        return [
            Finding("follows", ("limit_ma", "power_mw"), f"told {limit_ma / 1000:g} A, it gives {power / 1e6:.2f} kW")
        ]
    if abs(max(currents) - limit_ma) <= max(1000, limit_ma // 10):
        return []
    return [Finding("follows", ("limit_ma",), f"told {limit_ma / 1000:g} A, it gives {max(currents) / 1000:.1f} A")]


def follows_power(points: Mapping[str, Reading], setpoint_mw: int) -> list[Finding]:
    """Whether a battery, neither full nor empty, does what it was told: so much, and in that direction."""
    power = _number(points, "battery_mw")
    power = _number(points, "power_mw") if power is None else power
    if power is None or abs(power - setpoint_mw) <= max(_SMALL_MW, abs(setpoint_mw) // 8):
        return []
    text = f"told {setpoint_mw / 1e6:g} kW, it does {power / 1e6:.2f} kW (charging is positive)"
    return [Finding("follows", ("setpoint_mw", "power_mw"), text)]


def _number(points: Mapping[str, Reading], name: str) -> int | None:
    value = points.get(name)
    return value if isinstance(value, int) else None


def _absent(points: Mapping[str, Reading], optional: frozenset[str]) -> Iterator[Finding]:
    for name, value in points.items():
        if value is None and name not in optional:
            yield Finding("absent", (name,), f"{name} cannot be read, or is not what the file says it could be")


def _ranges(points: Mapping[str, Reading], kind: Kind) -> Iterator[Finding]:
    for name, (low, high) in RANGES.items():
        value = _number(points, name)
        if value is not None and not low <= value <= high:
            yield Finding("range", (name,), f"{name} is {value}: not between {low} and {high}")
    for name in ("current_l1_ma", "current_l2_ma", "current_l3_ma", "current_ma", "current_n_ma"):
        value = _number(points, name)
        if value is not None and abs(value) > MOST_MA[kind]:
            yield Finding("range", (name,), f"{value / 1000:g} A is more than any {kind} has")
    for name in ("power_mw", "power_l1_mw", "power_l2_mw", "power_l3_mw", "dc_power_mw", "battery_mw"):
        value = _number(points, name)
        if value is not None and abs(value) > MOST_MA[kind] * 750:
            yield Finding("range", (name,), f"{value / 1e6:g} kW is more than any {kind} has")


def _phases(points: Mapping[str, Reading]) -> Iterator[Finding]:
    """Voltages: in a range, and alike. A device on one phase has none on the others."""
    volts = {
        f"voltage_l{phase}_mv": value
        for phase in PHASES
        if (value := _number(points, f"voltage_l{phase}_mv")) is not None
    }
    if not volts:
        return
    live = {name: value for name, value in volts.items() if value}
    single = len(volts) == 3 and list(live) == ["voltage_l1_mv"]
    for name, value in volts.items():
        if not any(low <= value <= high for low, high in VOLTAGES) and not (single and value == 0):
            yield Finding("range", (name,), f"{name} is {value / 1000:g} V: no mains has that")
    if live and max(live.values()) > 1.15 * min(live.values()):
        yield Finding("phases", tuple(live), "the voltages of the phases are far apart")


def _pf(points: Mapping[str, Reading]) -> int | None:
    value = _number(points, "power_factor_permille")
    return abs(value) if value is not None and abs(value) <= 1000 else None


def _power(points: Mapping[str, Reading]) -> Iterator[Finding]:
    """P is at most U times I, and at a known power factor it is that much of it."""
    pf, sums, complete = _pf(points), 0, True
    for phase in PHASES:
        names = (f"voltage_l{phase}_mv", f"current_l{phase}_ma", f"power_l{phase}_mw")
        volt, current, power = (_number(points, name) for name in names)
        if volt is None or current is None:
            complete = complete and current == 0
            continue
        product = abs(volt * current) // 1000
        sums += product
        if power is not None:
            yield from _fits(names, abs(power), product, None)
    total = _number(points, "power_mw")
    if total is not None and complete and sums:
        names = ("power_mw", "current_l1_ma", "current_l2_ma", "current_l3_ma")
        parts = [value for phase in PHASES if (value := _number(points, f"power_l{phase}_mw")) is not None]
        mixed = any(part > 0 for part in parts) and any(part < 0 for part in parts)
        if not mixed:
            yield from _fits(names, abs(total), sums, pf)


def _fits(names: tuple[str, ...], power: int, product: int, pf: int | None) -> Iterator[Finding]:
    if power > product + product // 12 + _SMALL_MW:
        yield Finding("power", names, f"{power / 1e6:.3f} kW is more than volts times amperes, {product / 1e6:.3f} kVA")
    elif product > 4 * _SMALL_MW and pf is not None and abs(power - product * pf // 1000) > product // 6 + _SMALL_MW:
        yield Finding("power", names, f"{power / 1e6:.3f} kW is not {pf / 1000:g} times {product / 1e6:.3f} kVA")
    elif product > 4 * _SMALL_MW and power < product // 4:
        yield Finding("power", names, f"{power / 1e6:.3f} kW is next to nothing of {product / 1e6:.3f} kVA")


def _total(points: Mapping[str, Reading]) -> Iterator[Finding]:
    total = _number(points, "power_mw")
    parts = [_number(points, f"power_l{phase}_mw") for phase in PHASES]
    if total is None or any(part is None for part in parts):
        return
    phases = sum(part for part in parts if part is not None)
    if abs(phases - total) > abs(total) // 33 + _SMALL_MW // 6:
        names = ("power_mw", "power_l1_mw", "power_l2_mw", "power_l3_mw")
        yield Finding(
            "total", names, f"the phases have {phases / 1e6:.3f} kW together, the total says {total / 1e6:.3f} kW"
        )


def _apparent(points: Mapping[str, Reading]) -> Iterator[Finding]:
    power, reactive, apparent = (_number(points, name) for name in ("power_mw", "reactive_mvar", "apparent_mva"))
    if power is None:
        return
    pf = _pf(points)
    if apparent is not None:
        apparent = abs(apparent)
        if abs(power) > apparent + apparent // 50 + _SMALL_MW:
            yield Finding("apparent", ("power_mw", "apparent_mva"), "more power than apparent power")
        elif apparent > 4 * _SMALL_MW and pf is not None and abs(abs(power) - apparent * pf // 1000) > apparent // 6:
            yield Finding(
                "apparent", ("power_mw", "apparent_mva", "power_factor_permille"), "P is not S times the power factor"
            )
        elif apparent > 4 * _SMALL_MW and abs(power) < apparent // 4:
            yield Finding("apparent", ("power_mw", "apparent_mva"), "next to no power of the apparent power")
    if reactive is None:
        return
    square = power**2 + reactive**2
    if apparent is not None and abs(isqrt(square) - apparent) > apparent // 6 + _SMALL_MW:
        yield Finding("apparent", ("power_mw", "reactive_mvar", "apparent_mva"), "P and Q together are not S")
    elif pf is not None and square > 16 * _SMALL_MW**2 and abs(abs(power) * 1000 // isqrt(square) - pf) > 150:
        yield Finding(
            "apparent", ("power_mw", "reactive_mvar", "power_factor_permille"), "P and Q do not fit the power factor"
        )


def _sign(points: Mapping[str, Reading], kind: Kind) -> Iterator[Finding]:
    for name in ("power_mw", "power_l1_mw", "power_l2_mw", "power_l3_mw", "dc_power_mw"):
        value = _number(points, name)
        if value is None or (name == "dc_power_mw" and kind != "inverter"):
            continue
        if kind == "charger" and value < -_SMALL_MW:
            yield Finding("sign", (name,), f"{value / 1e6:.3f} kW: a car that charges takes power, that is positive")
        if kind == "inverter" and value > _SMALL_MW:
            yield Finding("sign", (name,), f"{value / 1e6:.3f} kW: what an inverter gives is negative")
    for phase in PHASES:
        current, power = _number(points, f"current_l{phase}_ma"), _number(points, f"power_l{phase}_mw")
        total = _number(points, "power_mw") if power is None else power
        if current is not None and total is not None and current < -_LIVE_MA and total > _SMALL_MW:
            yield Finding("sign", (f"current_l{phase}_ma",), "a current that flows out while power flows in")
    if kind in ("charger", "inverter"):
        flows = [value for phase in PHASES if (value := _number(points, f"current_l{phase}_ma")) is not None]
        if any(value > _LIVE_MA for value in flows) and any(value < -_LIVE_MA for value in flows):
            names = ("current_l1_ma", "current_l2_ma", "current_l3_ma")
            yield Finding("sign", names, "some phases have their current flow in and others out")


def _charger(points: Mapping[str, Reading]) -> Iterator[Finding]:
    state, offered = points.get("state"), _number(points, "offered_ma")
    currents = [_number(points, f"current_l{phase}_ma") for phase in PHASES] + [_number(points, "current_ma")]
    flowing = max((abs(current) for current in currents if current is not None), default=0)
    power = abs(_number(points, "power_mw") or 0)
    if not flowing and power > 4 * _SMALL_MW and all(current is None for current in currents):
        flowing = power // 690
    if flowing > 2000 and state in ("A", "B", "E", "F"):
        yield Finding("state", ("state",), f"{flowing / 1000:.1f} A flow in state {state}")
    if state in ("B", "C") and points.get("cable") == 0:
        yield Finding("state", ("state", "cable"), f"state {state} without a cable")
    if state == "A" and points.get("cable") == 1:
        yield Finding("state", ("state", "cable"), "a vehicle is plugged in, and the state says there is none")
    if offered is not None and flowing > 2000 and flowing > offered + offered // 6 + 1000:
        yield Finding("charger", ("offered_ma",), f"{flowing / 1000:.1f} A flow where {offered / 1000:g} A are offered")
    for name in ("offered_ma", "failsafe_ma", "limit_ma"):
        value = _number(points, name)
        if value is not None and 0 < value < 4000:
            yield Finding("charger", (name,), f"{value / 1000:g} A: no charger offers between 0 and 5 A")
    session, total = _number(points, "session_wh"), _number(points, "energy_import_wh")
    if session is not None and total is not None and session > total:
        yield Finding("charger", ("session_wh", "energy_import_wh"), "one session has more energy than all together")


def _energy(
    points: Mapping[str, Reading], earlier: Mapping[str, Reading], elapsed_ms: int, steps: Mapping[str, int]
) -> Iterator[Finding]:
    """Energies never run back, and grow by the power that was there: as far as their resolution shows it."""
    now, then = _number(points, "power_mw"), _number(earlier, "power_mw")
    if now is None or then is None:
        parts = [[_number(each, f"power_l{phase}_mw") for phase in PHASES] for each in (points, earlier)]
        if all(part is not None for sample in parts for part in sample):
            now, then = (sum(part for part in sample if part is not None) for sample in parts)
    battery = _number(points, "battery_mw")
    if now is None and battery is not None:
        now, then = battery, _number(earlier, "battery_mw")
    for name, sign in (("energy_import_wh", 1), ("energy_export_wh", -1), ("session_wh", 1)):
        end, begin = _number(points, name), _number(earlier, name)
        if end is None or begin is None:
            continue
        grown, step = end - begin, max(1, steps.get(name, 1))
        if grown < -step and name != "session_wh":
            yield Finding("energy", (name,), f"{name} ran back by {-grown} Wh")
            continue
        if now is None or then is None:
            continue
        powers = [max(0, sign * power) for power in (now, then)]
        mean = sum(powers) * elapsed_ms // 2 // 3_600_000_000
        room = mean // 4 + 3 * step + 2
        if powers[0] and powers[1] and abs(powers[0] - powers[1]) > max(powers) // 4:
            continue  # the power has changed in between: what flowed is not known well enough
        if grown > mean + room:
            yield Finding("energy", (name, "power_mw"), f"{name} grew by {grown} Wh while power for {mean} Wh flowed")
        elif grown < mean - room:
            rule: Rule = "frozen" if grown == 0 else "energy"
            yield Finding(rule, (name, "power_mw"), f"{name} grew by {grown} Wh while power for {mean} Wh flowed")
