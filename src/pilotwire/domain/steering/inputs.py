"""What comes into a tick of `steer`: wishes, measurements, signals from outside, prices and the plan."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from pilotwire.domain.energy import Demand, Limit
from pilotwire.domain.energy.model import Phases

Mode = Literal["now", "min_pv", "pv", "off"]


class Wish(msgspec.Struct, frozen=True):
    """What the people of a car want. `demand` is all it could take; its `pool` and `guaranteed` are set here.

    `now`: as fast as limits allow. `min_pv`: its minimum always, more from surplus. `pv`: surplus only. `off`: nothing.
    `cheap_below`: while the price is at most this, as `now`. `cheapest`: as `now` in the cheapest slots that suffice
    until departure, where no plan says better; in the others it follows `mode` (but `now` waits). `boost`: may take
    from the battery what it gives. `switchable`: the EVSE can change between one and three conductors (as one with a
    `switching` in the tree always can).
    """

    demand: Demand
    mode: Mode = "now"
    cheap_below: int | None = None
    cheapest: bool = False
    boost: bool = False
    switchable: bool = False


class Meter(msgspec.Struct, frozen=True):
    """A node's meter: what flows through it, import positive, sampled at `at_ms` of the tick's clock.

    `energy_wh` is its import register, which only ever counts up, read at `energy_at_ms`. `voltage_mv` is the mean of
    its phases.
    """

    power_mw: int
    at_ms: int
    phases_ma: Phases | None = None
    energy_wh: int | None = None
    energy_at_ms: int | None = None
    voltage_mv: int | None = None


class Car(msgspec.Struct, frozen=True):
    """What an EVSE draws from the grid, and what it had been offered when it was measured (same unit)."""

    power_mw: int
    at_ms: int
    offered_mw: int | None = None


class Cell(msgspec.Struct, frozen=True):
    """A battery: its power (charging positive), state of charge, and its own limits where it says them."""

    power_mw: int
    soc_permille: int
    at_ms: int
    charge_mw: int | None = None
    discharge_mw: int | None = None


class Power(msgspec.Struct, frozen=True):
    """An inverter (negative when it generates) or a load."""

    power_mw: int
    at_ms: int


_METERS: Mapping[str, Meter] = {}
_CARS: Mapping[str, Car] = {}
_CELLS: Mapping[str, Cell] = {}
_POWERS: Mapping[str, Power] = {}


class Measured(msgspec.Struct, frozen=True):
    """Good values only: `meters` by node, `cars` by EVSE, the others by id. What is missing is not known."""

    meters: Mapping[str, Meter] = _METERS
    cars: Mapping[str, Car] = _CARS
    batteries: Mapping[str, Cell] = _CELLS
    inverters: Mapping[str, Power] = _POWERS
    loads: Mapping[str, Power] = _POWERS


class Price(msgspec.Struct, frozen=True):
    """From `from_ms` until before `until_ms` (UTC), in millionths of the currency per kWh."""

    from_ms: int
    until_ms: int
    import_micro: int
    export_micro: int = 0


class Control(msgspec.Struct, frozen=True):
    """A signal of telecontrol, decoded: who says what of which node, from when until when (UTC; None: until revoked).

    `import_limit`: at most `value_mw` into the node. `steuve_limit`: at most that for the controllable devices of
    § 14a EnWG together, never below their legal minimum; without a value that minimum ("dim"). `export_limit`: at most
    that out of it, or `permille` of the installed power. `id` tells signals apart; the same id again replaces.
    """

    id: str
    source: str
    kind: Literal["import_limit", "steuve_limit", "export_limit"]
    node: str
    value_mw: int | None = None
    permille: int | None = None
    from_ms: int | None = None
    until_ms: int | None = None

    def in_force(self, utc_ms: int) -> bool:
        """Whether it counts at this time."""
        return (self.from_ms is None or self.from_ms <= utc_ms) and (self.until_ms is None or utc_ms < self.until_ms)


class Entered(msgspec.Struct, frozen=True):
    """What people have entered for the car that is there: when it leaves (UTC), and what it still wanted at that time.

    `register_wh` and `session_wh` are what the EVSE's counters showed then, `told_wh` what the car itself had said that
    it wants of its session.
    """

    departure_ms: int | None = None
    energy_wh: int | None = None
    register_wh: int | None = None
    session_wh: int = 0
    told_wh: int | None = None


class Ordered(msgspec.Struct, frozen=True):
    """What is ordered of one EVSE from outside, as long as it is there. None: nothing is said of it.

    `maximum_ma` is per phase, `maximum_mw` at the vehicle (DC) or from the grid (AC); of the two the lower counts.
    `pause`: it is to give nothing. `phases`: conductors to use, where the EVSE can change them. `source` says who.
    `mode`: it charges by this in place of its own mode, plan and prices. `entered`: nothing that anybody must keep to,
    but what is known of its car.
    """

    source: str
    maximum_ma: int | None = None
    maximum_mw: int | None = None
    pause: bool = False
    priority: int | None = None
    phases: Literal[1, 3] | None = None
    mode: Mode | None = None
    entered: Entered | None = None


_LIMITS: Mapping[str, tuple[Limit, ...]] = {}
_ORDERED: Mapping[str, Ordered] = {}


class External(msgspec.Struct, frozen=True):
    """What is signalled from outside: telecontrol, and day-ahead prices (which come before the table of rates).

    `limits` by node and `evses` by id are orders of energy managers and brokers; they can lower what is given, and
    nothing else. Whoever is not in the tree is passed over.
    """

    controls: tuple[Control, ...] = ()
    prices: tuple[Price, ...] = ()
    limits: Mapping[str, tuple[Limit, ...]] = _LIMITS
    evses: Mapping[str, Ordered] = _ORDERED


class Slot(msgspec.Struct, frozen=True):
    """A step of the plan: `power_mw` of the grid side from `from_ms` until before `until_ms` (UTC)."""

    from_ms: int
    until_ms: int
    power_mw: int


Course = tuple[Slot, ...]
_COURSES: Mapping[str, Course] = {}


class Plan(msgspec.Struct, frozen=True):
    """What the planner wants; good until before `until_ms`. Whatever it does not name is steered without it.

    `cars` by EVSE: how much each is to draw (0: wait). `batteries` by id: charging positive. `peaks` by window id: the
    highest mean power of a window that is worth its price. `sides` by node: forecast of everything beside cars and
    batteries, for the reserve of windows.
    """

    made_ms: int
    until_ms: int
    cars: Mapping[str, Course] = _COURSES
    batteries: Mapping[str, Course] = _COURSES
    peaks: Mapping[str, Course] = _COURSES
    sides: Mapping[str, Course] = _COURSES


def planned(courses: Mapping[str, Course], id: str, utc_ms: int) -> int | None:
    """What a plan says of `id` now; None where it says nothing."""
    for slot in courses.get(id, ()):
        if slot.from_ms <= utc_ms < slot.until_ms:
            return slot.power_mw
    return None
