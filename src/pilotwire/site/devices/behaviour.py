"""How simulated devices behave: what their points say after a moment in which they were told this and that. No IO.

Each behaviour has `told(name, value, now)` for commands, and `step(now)`, which returns all it has to say, by the names
of `site.ports.POINTS`. Quantities are integers in base units; every figure fits the others: P = ΣU·I·pf, E = ∫P.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Literal, Protocol

from .schema import DeviceFile

VOLT_MV = 230_000
VOLTS = (231_200, 229_400, 232_700)
"""Of a simulated grid: not the same on each phase, that a mixed up phase is seen."""
_HOUR = 3_600_000
_PHASES = (1, 2, 3)


class Behaviour(Protocol):
    """A device's inside."""

    def told(self, name: str, value: int, now: int) -> None:
        """A command has come."""
        ...

    def asked(self, now: int) -> None:
        """Somebody has read something."""
        ...

    def step(self, now: int) -> Mapping[str, int | str]:
        """What there is to be read now."""
        ...


class _Energy:
    """The integral of a power, kept in mW·ms so that nothing is lost."""

    def __init__(self, begin_wh: int) -> None:
        self._sum = begin_wh * _HOUR * 1000

    def add(self, power_mw: int, ms: int) -> None:
        self._sum += max(0, power_mw) * ms

    @property
    def wh(self) -> int:
        return self._sum // (_HOUR * 1000)


def phase_points(powers: Sequence[int], volts: Sequence[int] = VOLTS, pf: int = 1000) -> dict[str, int | str]:
    """The electrical points of three phases: mW and mV of each, and the power factor in 0.1 %."""
    found: dict[str, int | str] = {"frequency_mhz": 50_020, "power_factor_permille": pf}
    currents: list[int] = []
    for phase, power, volt in zip(_PHASES, powers, volts, strict=True):
        currents.append(abs(power) * 1_000_000 // (volt * pf))
        found |= {f"voltage_l{phase}_mv": volt, f"power_l{phase}_mw": power, f"current_l{phase}_ma": currents[-1]}
    total = sum(powers)
    apparent = abs(total) * 1000 // pf
    return found | {
        "power_mw": total,
        "apparent_mva": apparent,
        "reactive_mvar": isqrt(max(0, apparent**2 - total**2)),
        "current_ma": max(currents),
        "current_n_ma": max(currents) - min(currents),
    }


class MeterBehaviour:
    """A meter with a load on each phase; set `loads` to change it."""

    def __init__(self, now: int) -> None:
        self.loads = (1_500_000, 900_000, 2_100_000)
        """mW on each phase; negative where a generator is stronger."""
        self._then = now
        self._import, self._export = _Energy(12_345_678), _Energy(2_345_678)

    def told(self, name: str, value: int, now: int) -> None:
        """A meter is told nothing."""

    def asked(self, now: int) -> None:
        """It does not mind."""

    def step(self, now: int) -> Mapping[str, int | str]:
        ms, self._then = max(0, now - self._then), now
        total = sum(self.loads)
        self._import.add(total, ms)
        self._export.add(-total, ms)
        found = phase_points(self.loads, pf=960)
        return found | {"energy_import_wh": self._import.wh, "energy_export_wh": self._export.wh}


class ChargerBehaviour:
    """A charger with a car that can be plugged in and out. It follows its limit with a lag, and its own watchdog."""

    LAG_MS = 1500

    def __init__(self, device: DeviceFile, now: int) -> None:
        able = device.abilities
        self.plugged = False
        self.ready = True
        """The car wants to charge."""
        self.car_ma = 16_000
        self.car_phases: Literal[1, 3] = 3
        self.fault = 0
        self.phases: Literal[1, 2, 3] = able.phases if able else 3
        self.limit_ma = self.maximum_ma = able.maximum_ma if able else 32_000
        self.limit_mw: int | None = None
        self.enabled = True
        self.unlocks = self.restarts = 0
        """How often its plug was set free, and how often it began anew."""
        self.failsafe_ma = able.failsafe_ma if able and able.failsafe_ma is not None else 6_000
        self.failsafe_mw = able.failsafe_mw if able and able.failsafe_mw is not None else 0
        self.watchdog_ms = (able.watchdog_ms or 0) if able else 0
        self.minimum_ma = able.minimum_ma if able else 6_000
        self.fallen = False
        """The watchdog has bitten: the fail-safe is in force."""
        self._keep = able.keepalive if able else None
        self._by_power = "limit_mw" in device.commands and "limit_ma" not in device.commands
        self._word = self._then = now
        self._changed = now
        self._current = 0
        self._energy = _Energy(4_321_000)
        self._session = _Energy(0)
        self._since = now

    def told(self, name: str, value: int, now: int) -> None:
        if self._keep in (name, "read"):
            self._word, self.fallen = now, False
        match name:
            case "limit_ma":
                self.limit_ma, self._changed = value, now
            case "limit_mw":
                self.limit_mw, self._changed = value, now
            case "enable":
                self.enabled, self._changed = bool(value), now
            case "unlock":
                self.unlocks += 1
            case "restart":  # it has forgotten what it was told
                self.restarts += 1
                self.limit_ma, self.enabled, self._changed = self.maximum_ma, True, now
            case "phase_switch":
                self.phases = 1 if value == 1 else 3
            case "failsafe_ma":
                self.failsafe_ma = value
            case "failsafe_mw":
                self.failsafe_mw = value
            case "watchdog_ms":
                self.watchdog_ms, self._word = value, now
            case _:
                pass  # it takes other commands and does nothing for them: they stand in its registers

    def asked(self, now: int) -> None:
        if self._keep == "read":
            self._word, self.fallen = now, False

    @property
    def offered_ma(self) -> int:
        """What it gives at the most, on each phase."""
        if not self.enabled:
            return 0
        limit = self.failsafe_ma if self.fallen else self.limit_ma
        if self._by_power:
            power = self.failsafe_mw if self.fallen else (self.limit_mw if self.limit_mw is not None else 1 << 40)
            limit = min(limit, power * 1000 // (VOLT_MV * self.phases))
        return limit if limit >= self.minimum_ma else 0

    def step(self, now: int) -> Mapping[str, int | str]:
        ms, self._then = max(0, now - self._then), now
        if self.watchdog_ms and now - self._word > self.watchdog_ms and not self.fallen:
            self.fallen, self._changed = True, now
        charging = self.plugged and self.ready and not self.fault and self.offered_ma > 0
        wanted = min(self.offered_ma, self.car_ma) if charging else 0
        if wanted < self._current or now - self._changed >= self.LAG_MS:
            self._current = wanted
        used = min(self.phases, self.car_phases)
        if not self.plugged:
            self._session, self._since = _Energy(0), now
        powers = [
            self._current * volt // 1000 if phase <= used else 0 for phase, volt in zip(_PHASES, VOLTS, strict=True)
        ]
        self._energy.add(sum(powers), ms)
        self._session.add(sum(powers), ms)
        state = "F" if self.fault else "A" if not self.plugged else "C" if charging else "B"
        found = phase_points(powers)
        for phase in _PHASES:
            found[f"current_l{phase}_ma"] = self._current if phase <= used else 0
        return found | {
            "current_ma": self._current,
            "energy_import_wh": self._energy.wh,
            "energy_export_wh": 0,
            "state": state,
            "cable": int(self.plugged),
            "phases": self.phases,
            "session_wh": self._session.wh,
            "session_s": (now - self._since) // 1000,
            "error": self.fault,
            "offered_ma": self.offered_ma,
            "offered_mw": self.limit_mw
            if self.limit_mw is not None
            else self.offered_ma * VOLT_MV * self.phases // 1000,
            "failsafe_ma": self.failsafe_ma,
            "failsafe_mw": self.failsafe_mw,
            "watchdog_ms": self.watchdog_ms,
            "limit_ma": self.limit_ma,
            "enable": int(self.enabled),
        }


class InverterBehaviour:
    """An inverter with sun: it gives what there is, up to what it is told, until that reverts."""

    def __init__(self, device: DeviceFile, now: int) -> None:
        self.rating_mw = 10_000_000
        self.sun_mw = 6_000_000
        self.limit_mw: int | None = None
        self.limit_permille: int | None = None
        self.feed_in_mw: int | None = None
        self.limiting = "limit_enable" not in device.commands
        """Whether the limit counts: it has to be switched on where there is a command for that."""
        self.revert_ms = 0
        self._switched = now
        self._then = now
        self._energy = _Energy(8_765_000)

    def told(self, name: str, value: int, now: int) -> None:
        match name:
            case "power_limit_mw":
                self.limit_mw = value
            case "power_limit_permille":
                self.limit_permille = value
            case "feed_in_limit_mw":
                self.feed_in_mw = value
            case "limit_enable":
                self.limiting = bool(value)
            case "revert_ms":
                self.revert_ms = value
            case _:
                return
        self._switched = now

    def asked(self, now: int) -> None:
        """It does not mind."""

    def step(self, now: int) -> Mapping[str, int | str]:
        ms, self._then = max(0, now - self._then), now
        if self.revert_ms and now - self._switched >= self.revert_ms:
            self.limit_mw = self.limit_permille = None
        power = min(self.sun_mw, self.rating_mw)
        if self.limiting:
            limits = [self.limit_mw, self.feed_in_mw]
            limits.append(None if self.limit_permille is None else self.rating_mw * self.limit_permille // 1000)
            power = min([power, *(limit for limit in limits if limit is not None)])
        self._energy.add(power, ms)
        third = -power // 3
        found = phase_points((third, third, -power - 2 * third))
        return found | {
            "dc_power_mw": -power,
            "energy_export_wh": self._energy.wh,
            "energy_import_wh": 0,
            "temperature_mc": 41_000,
        }


class BatteryBehaviour:
    """A battery: it follows its set-point within its limits, and is neither emptied nor overfilled."""

    def __init__(self, device: DeviceFile, now: int) -> None:
        self.capacity_wh = 10_000
        self.setpoint_mw = 0
        self.charge_limit_mw = self.discharge_limit_mw = 5_000_000
        self.reserve_permille = 50
        self.revert_ms = 0
        self._told = now
        self._then = now
        self._stored = 5_000 * _HOUR * 1000
        self._in, self._out = _Energy(654_000), _Energy(543_000)

    def told(self, name: str, value: int, now: int) -> None:
        match name:
            case "setpoint_mw":
                self.setpoint_mw, self._told = value, now
            case "charge_limit_mw":
                self.charge_limit_mw = value
            case "discharge_limit_mw":
                self.discharge_limit_mw = value
            case "soc_reserve_permille":
                self.reserve_permille = value
            case "revert_ms":
                self.revert_ms, self._told = value, now
            case _:
                pass  # it takes other commands and does nothing for them: they stand in its registers

    def asked(self, now: int) -> None:
        """It does not mind."""

    @property
    def soc_permille(self) -> int:
        """How full it is."""
        return self._stored // (self.capacity_wh * _HOUR)

    def step(self, now: int) -> Mapping[str, int | str]:
        ms, self._then = max(0, now - self._then), now
        if self.revert_ms and now - self._told >= self.revert_ms:
            self.setpoint_mw = 0
        power = max(-self.discharge_limit_mw, min(self.charge_limit_mw, self.setpoint_mw))
        if (power > 0 and self.soc_permille >= 1000) or (power < 0 and self.soc_permille <= self.reserve_permille):
            power = 0
        self._stored = max(0, min(self.capacity_wh * _HOUR * 1000, self._stored + power * ms))
        self._in.add(power, ms)
        self._out.add(-power, ms)
        third = power // 3
        found = phase_points((third, third, power - 2 * third))
        return found | {
            "battery_mw": power,
            "dc_power_mw": power,
            "soc_permille": self.soc_permille,
            "capacity_wh": self.capacity_wh,
            "health_permille": 980,
            "energy_import_wh": self._in.wh,
            "energy_export_wh": self._out.wh,
            "charge_limit_mw": self.charge_limit_mw,
            "discharge_limit_mw": self.discharge_limit_mw,
            "soc_reserve_permille": self.reserve_permille,
            "temperature_mc": 24_000,
        }


class LoadBehaviour:
    """A heat pump or a heater that has enough to do: it takes what it may, by power or by mode (off, then more).

    One with a watchdog takes no more than its fail-safe when that has fired.
    """

    def __init__(self, device: DeviceFile, now: int) -> None:
        able = device.abilities
        self.failsafe_mw = able.failsafe_mw if able and able.failsafe_mw is not None else 0
        self.watchdog_ms = (able.watchdog_ms or 0) if able else 0
        self._keep = able.keepalive if able else None
        self._word = now
        self.wants_mw = 3_000_000
        self.limit_mw: int | None = 0 if "limit_mw" in device.commands else None
        self.mode: int | None = 0 if "mode" in device.commands else None
        self._then = now
        self._energy = _Energy(432_000)

    def told(self, name: str, value: int, now: int) -> None:
        if self._keep in (name, "read"):
            self._word = now
        match name:
            case "limit_mw":
                self.limit_mw = value
            case "mode":
                self.mode = value
            case "failsafe_mw":
                self.failsafe_mw = value
            case "watchdog_ms":
                self.watchdog_ms, self._word = value, now
            case _:
                pass  # it takes other commands and does nothing for them: they stand in its registers

    def asked(self, now: int) -> None:
        if self._keep == "read":
            self._word = now

    def step(self, now: int) -> Mapping[str, int | str]:
        ms, self._then = max(0, now - self._then), now
        power = self.wants_mw if self.limit_mw is None else min(self.wants_mw, self.limit_mw)
        if self.watchdog_ms and now - self._word > self.watchdog_ms:
            power = min(power, self.failsafe_mw)
        if self.mode is not None and self.mode < 2:
            power = 0  # SG-ready: 1 is blocked
        self._energy.add(power, ms)
        third = power // 3
        found = phase_points((third, third, power - 2 * third))
        return found | {
            "energy_import_wh": self._energy.wh,
            "energy_export_wh": 0,
            "temperature_mc": 47_000,
            "failsafe_mw": self.failsafe_mw,
            "watchdog_ms": self.watchdog_ms,
        }


class ContactsBehaviour:
    """A module of digital inputs; set `closed` to change them."""

    def __init__(self, device: DeviceFile) -> None:
        self.closed: set[int] = set()
        """By number."""
        self._numbers = [int(name[6:]) for name in device.points if name.startswith("input_")]

    def told(self, name: str, value: int, now: int) -> None:
        """Inputs are told nothing."""

    def asked(self, now: int) -> None:
        """It does not mind."""

    def step(self, now: int) -> Mapping[str, int | str]:
        return {f"input_{number}": int(number in self.closed) for number in self._numbers}


def behaviour_of(device: DeviceFile, now: int) -> Behaviour:
    """The behaviour of a device's kind."""
    if device.kind == "charger":
        return ChargerBehaviour(device, now)
    if device.kind == "inverter":
        return InverterBehaviour(device, now)
    if device.kind == "load":
        return LoadBehaviour(device, now)
    if device.kind == "contacts":
        return ContactsBehaviour(device)
    return BatteryBehaviour(device, now) if device.kind == "battery" else MeterBehaviour(now)
