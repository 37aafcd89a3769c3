"""What the control loop sees of the world: things that are measured, and things that can be told.

A driver of a meter, inverter, battery or load is a `Device`; one of a charger, whether it speaks Modbus or OCPP, is an
`EvseDriver`. The loop never waits for them: it reads what they know last, with the time at which it was sampled, and
tells them what they may do. Quantities are integers in base units (mA, mW, mV, Wh, ms, SoC in 0.1 %). Import is
positive: into the site at a meter, into the car, into a battery that charges; a generator's power is negative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol, runtime_checkable

import msgspec

from pilotwire.domain.seen import PilotState as PilotState

Quality = Literal["good", "suspect", "bad"]
"""`suspect`: implausible, not used to raise anything. `bad`: not a value at all (a sentinel, NaN, a failed read)."""


class Value(msgspec.Struct, frozen=True):
    """One measured figure: in the point's base unit, sampled at `at_ms` of the loop's steady clock."""

    value: int
    at_ms: int
    quality: Quality = "good"


Points = Mapping[str, Value]
"""By point name, see `POINTS`."""


def shown(points: Points, name: str) -> int | None:
    """What a point says, unless it is bad or not there: for people and for other systems."""
    value = points.get(name)
    return None if value is None or value.quality == "bad" else value.value


def trusted(points: Points, name: str) -> int | None:
    """The same for decisions: nothing that is suspect either."""
    value = points.get(name)
    return None if value is None or value.quality != "good" else value.value


class EvseStatus(msgspec.Struct, frozen=True):
    """All that is known of one EVSE. None: not known."""

    online: bool = False
    pilot: PilotState | None = None
    ended: bool = False
    """The session is over though the vehicle is still plugged in."""
    points: Points = msgspec.field(default_factory=dict[str, Value])
    phases: Literal[1, 2, 3] | None = None
    """Conductors that the EVSE connects now."""
    id_token: str = ""
    session: str = ""
    soc: int | None = None
    target_energy_wh: int | None = None
    departure_ms: int | None = None
    """UTC."""
    arrived_ms: int | None = None
    """UTC: since when this vehicle is plugged in."""
    offered: int | None = None
    """The set-point as the charger itself confirms it."""
    offered_at_ms: int = 0
    fault: str = ""
    """Why it does not charge, in the charger's words; "" while all is well."""


class Abilities(msgspec.Struct, frozen=True):
    """What a charger can be told and what it does when nobody tells it anything."""

    unit: Literal["mA", "mW"] = "mA"
    minimum: int = 6_000
    maximum: int = 32_000
    step: int = 1_000
    phases: Literal[1, 2, 3] = 3
    phase_switching: bool = False
    failsafe: int | None = None
    """What it falls back to by itself; None: it has no such register and keeps what it was told last."""
    watchdog_ms: int | None = None
    """After how long without a word it falls back; None: never."""


class Told(msgspec.Struct, frozen=True):
    """What became of a command."""

    ok: bool
    error: str = ""


class EvseDriver(Protocol):
    """A charger's outlet."""

    @property
    def id(self) -> str: ...

    @property
    def abilities(self) -> Abilities: ...

    def status(self) -> EvseStatus:
        """What it has said last; cheap, called each tick."""
        ...

    def offer(self, value: int, phases: Literal[1, 3] | None, valid_ms: int, done: Callable[[Told], None]) -> None:
        """What it may give from now on, 0 for a pause, in its unit; to be told again before `valid_ms` is over.

        A set-point that is already in force is written again only to keep the watchdog content. `done` exactly once.
        """
        ...

    def failsafe(self, value: int, watchdog_ms: int, done: Callable[[Told], None]) -> None:
        """Set what it falls back to, and read it back: `ok` says that it stands there."""
        ...


@runtime_checkable
class Restful(Protocol):
    """An `EvseDriver` that can leave its charger alone.

    A charger that answers when it is read and takes no command keeps what it has for ever, for each reading feeds its
    watchdog. Left alone it falls back by itself.
    """

    def rest(self, ms: int) -> None:
        """Say nothing to it for so long, not even to read; then begin with what it was told last."""
        ...


@runtime_checkable
class Attended(Protocol):
    """An `EvseDriver` whose charger can be told more than what it may give."""

    @property
    def unlocks(self) -> bool:
        """Its plug can be set free from afar."""
        ...

    @property
    def restarts(self) -> bool:
        """It can be restarted from afar."""
        ...

    def unlock(self, done: Callable[[Told], None]) -> None:
        """Set the plug free. `done` exactly once."""
        ...

    def restart(self, done: Callable[[Told], None]) -> None:
        """Begin anew, as after a loss of power. `done` exactly once."""
        ...


class Device(Protocol):
    """A meter, an inverter, a battery, a load, a set of contacts."""

    @property
    def id(self) -> str: ...

    @property
    def online(self) -> bool: ...

    def points(self) -> Points:
        """What has been measured last; cheap, called each tick."""
        ...

    def command(self, name: str, value: int, done: Callable[[Told], None]) -> None:
        """Tell it something, by the name of a point that it can be told. `done` exactly once."""
        ...


@runtime_checkable
class Fallible(Protocol):
    """A `Device` that falls back by itself when nobody tells it anything."""

    @property
    def id(self) -> str: ...

    @property
    def online(self) -> bool: ...

    def failsafe(self, value: int, watchdog_ms: int, done: Callable[[Told], None]) -> None:
        """Set what it takes at the most then (mW), and read it back: `ok` says that it stands there."""
        ...


POINTS: Mapping[str, str] = {
    # what is measured, at any device
    "voltage_l1_mv": "mV", "voltage_l2_mv": "mV", "voltage_l3_mv": "mV",
    "current_l1_ma": "mA", "current_l2_ma": "mA", "current_l3_ma": "mA", "current_n_ma": "mA", "current_ma": "mA",
    "power_mw": "mW", "power_l1_mw": "mW", "power_l2_mw": "mW", "power_l3_mw": "mW",
    "reactive_mvar": "mvar", "apparent_mva": "mVA", "power_factor_permille": "0.1 %",
    "frequency_mhz": "mHz", "energy_import_wh": "Wh", "energy_export_wh": "Wh", "temperature_mc": "0.001 °C",
    # chargers
    "state": "A to F", "cable": "1 plugged in at the vehicle", "phases": "conductors", "session_wh": "Wh",
    "session_s": "s", "soc_permille": "0.1 %", "error": "code", "id_token": "text", "offered_ma": "mA",
    "offered_mw": "mW", "serial": "text", "model": "text", "firmware": "text",
    # what chargers are told
    "limit_ma": "mA", "limit_mw": "mW", "enable": "0 or 1", "phase_switch": "1 or 3", "unlock": "1", "restart": "1",
    "failsafe_ma": "mA", "failsafe_mw": "mW", "watchdog_ms": "ms", "alive": "any",
    # inverters and batteries
    "dc_power_mw": "mW", "battery_mw": "mW", "capacity_wh": "Wh", "health_permille": "0.1 %",
    "charge_limit_mw": "mW", "discharge_limit_mw": "mW",
    # what they are told
    "setpoint_mw": "mW", "power_limit_mw": "mW", "power_limit_permille": "0.1 %", "limit_enable": "0 or 1",
    "revert_ms": "ms", "soc_reserve_permille": "0.1 %", "mode": "device's own", "feed_in_limit_mw": "mW",
    # modules of digital inputs
    **{f"input_{number}": "0 or 1" for number in range(1, 17)},
}  # fmt: skip
"""The names that device files, drivers, facades and the loop have in common, with their unit."""
