"""What a charger of GB/T 27930 does about each message of the vehicle."""

from __future__ import annotations

from typing import Any, Literal

from pilotwire.core.evse_link import (
    Connected,
    Fault,
    Identified,
    Limits,
    Needs,
)
from pilotwire.core.time import to_datetime

from . import timers as t
from .codec import MESSAGES, said
from .evse_base import EvseBase
from .fields import MOST_MA
from .messages import V1_1

NEAR_MV = 10_000
"""So near to the battery's voltage the output is when the contactor closes (GB/T 18487.1 B.3.5)."""
TOLERANCE_MA = 1_000
MIN_MS = 60_000
_STATES = (
    "cell_voltage", "soc", "over_current", "over_temperature", "insulation", "connector", "permitted",
)  # fmt: skip
_BSM_CODES = {
    "over_current": "OverCurrentFailure",
    "over_temperature": "HighTemperature",
    "insulation": "GroundFailure",
    "connector": "EVContactorFault",
    "cell_voltage": "EVBatteryFault",
    "soc": "EVBatteryFault",
}
_BST_FAULTS = (
    "insulation", "connector_hot", "component_hot", "connector", "battery_hot", "relay", "detection_point_2", "other",
    "over_current", "voltage",
)  # fmt: skip


class EvseHears(EvseBase):
    """One method a message: its values, its bytes, the time."""

    def on_bhm(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        if self.phase != "handshake":
            return []
        effects = self._connect("2015")
        if values["max_voltage"] is not None:
            effects.append(Limits(service="DC", max_mv=values["max_voltage"]))
        return effects + self._insulation(now)

    def _connect(self, edition: Literal["2011", "2015"]) -> list[Any]:
        if self._connected:
            return []
        self._connected = True
        self.line.edition = edition
        return [Connected(protocol="gbt27930-2011" if edition == "2011" else "gbt27930-2015")]

    def on_brm(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        if self.phase == "recognised":
            return []
        effects: list[Any] = []
        if not self._connected:
            newer = values["version"] >= V1_1 and self.config.edition != "2011"
            effects += self._connect("2015" if newer else "2011")
        if vin := values["vin"]:
            effects.append(Identified(vin=vin))
        self.phase = "recognised"
        self.line.done(t.BRM)
        self.line.wait(t.BCP, now)
        effects += self.line.repeat("CRM", lambda: self._crm(0xAA), now)
        # The one that goes out every 250 ms says AA from its next turn on; this one says it at once.
        effects += self.line.send("CRM", self._crm(0xAA), now)
        return effects + self._ask()

    def on_bcp(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        if self.phase != "recognised":
            return []
        self._battery = values
        self.line.done(t.BCP)
        capacity, soc = values["capacity"], values["soc"]
        effects: list[Any] = [
            Limits(
                service="DC",
                max_mv=values["max_voltage"],
                max_ma=values["max_current"],
                capacity_wh=capacity,
            ),
            *self._need(soc=soc),
        ]
        self.line.quiet("CRM")
        offer = self.output.offer
        self._told = {
            "max_voltage": self.config.max_mv or offer.max_mv or 0,
            "min_voltage": max(self.config.min_mv, offer.min_mv),
            "max_current": min(MOST_MA, self.config.max_ma if self.config.max_ma is not None else offer.max_ma),
            "min_current": max(self.config.min_ma, offer.min_ma),
        }
        if problem := self._misfit(values):
            return effects + self._cease({"fault": 1, "other": 1}, problem, "evse", "InvalidVehicleMode", now)
        self.phase = "configure"
        self.line.wait(t.BRO, now)
        self.line.wait(t.BRO_READY, now)
        effects += self.line.repeat("CTS", self._time, now)
        return effects + self.line.repeat("CML", self._cml, now)

    def _misfit(self, battery: dict[str, Any]) -> str:
        """Why battery and charger do not go together; empty: they do."""
        highest, lowest = self._told["max_voltage"], self._told["min_voltage"]
        voltage, limit = battery["voltage"], battery["max_voltage"]
        if limit is None or limit < lowest:
            return f"the battery takes {limit} mV at most, the charger gives {lowest} mV at least"
        if voltage is not None and not lowest <= voltage <= highest:
            return f"the battery has {voltage} mV, the charger gives {lowest} to {highest} mV"
        return ""

    def _cml(self) -> dict[str, int]:
        known = {signal.name for signal in MESSAGES[self.line.edition]["CML"].signals}
        return {name: value for name, value in self._told.items() if name in known}

    def _time(self) -> dict[str, int]:
        when = to_datetime(self._now + self.config.utc_offset_ms)
        return {
            "second": when.second, "minute": when.minute, "hour": when.hour,
            "day": when.day, "month": when.month, "year": when.year,
        }  # fmt: skip

    def on_bro(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        self.line.done(t.BRO)
        if values["ready"] != 0xAA:
            if self.phase == "configure":
                self.line.wait(t.BRO, now)
            return []
        if self.phase != "configure":
            return []
        self.phase = "prepare"
        self.line.done(t.BRO_READY)
        self.line.wait(t.READY, now)
        self.line.quiet("CTS", "CML")
        effects = self.line.repeat("CRO", lambda: {"ready": 0xAA if self.phase == "ready" else 0x00}, now)
        return effects + self._prepare(now)

    def _prepare(self, now: int) -> list[Any]:
        """Authorised, then precharged, then the contactor, then CRO(AA)."""
        if self.phase != "prepare":
            return []
        if self._authorized is False:
            return self._cease({"condition_reached": 1}, "charging is not authorised", "evse", "", now)
        if self._authorized is None:
            return self._ask()
        battery_mv = self._battery.get("voltage") or 0
        if not self._contactor_asked:
            effects = self.output.ask(battery_mv, 0, precharge=True)
            if abs(self.output.measured.mv - battery_mv) > NEAR_MV:
                return effects
            self._contactor_asked = True
            return effects + self.output.close()
        if not self.output.closed:
            return []
        self.phase = "ready"
        self.line.done(t.READY)
        self.line.wait(t.BCL_FIRST, now)
        self.line.wait(t.BCS, now)
        return self.line.send("CRO", {"ready": 0xAA}, now)

    def on_bcl(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        voltage, current = values["voltage"], values["current"]
        if voltage is None or current is None:
            self.line.counts.malformed += 1
            return []
        self.line.done(t.BCL_FIRST)
        self.line.wait(t.BCL, now)
        if problem := self._excess(voltage, current):
            flags = {"fault": 1, problem[1]: 1}
            return self._cease(flags, problem[0], "ev", problem[2], now, rule="BCL, GB/T 27930-2015 10.3.1")
        self._demand = values
        return self._go_on(now)

    def _excess(self, voltage: int, current: int) -> tuple[str, str, str] | None:
        """What the vehicle asks for beyond what was agreed: in words, as a bit of CST, as a code."""
        limit = self._battery.get("max_voltage")
        if limit is not None and voltage > limit:
            return f"the vehicle asks for {voltage} mV, its own limit is {limit} mV (BCP)", "voltage", "OverVoltage"
        if voltage > self._told["max_voltage"]:
            most = self._told["max_voltage"]
            return f"the vehicle asks for {voltage} mV, {most} mV are allowed (CML)", "voltage", "OverVoltage"
        if current < 0:
            return f"the vehicle asks to give {-current} mA back", "current", "OverCurrentFailure"
        most = self._told["max_current"]
        if current > most + TOLERANCE_MA and not self.config.clip_current:
            text = f"the vehicle asks for {current} mA, {most} mA are allowed (CML)"
            return text, "current", "OverCurrentFailure"
        return None

    def on_bcs(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        if values["voltage"] is None or values["current"] is None:
            self.line.counts.malformed += 1
            return []
        self._have_bcs = True
        self.line.wait(t.BCS, now)
        return [*self._need(soc=values["soc"], remaining_ms=values["remaining"]), *self._go_on(now)]

    def _need(self, *, soc: int | None, remaining_ms: int | None = None) -> list[Any]:
        needs = Needs(soc=soc, remaining_ms=remaining_ms)
        if needs == self._needs or soc is None:
            return []
        self._needs = needs
        return [needs]

    def _go_on(self, now: int) -> list[Any]:
        """The output follows the demand; from the first demand and status on CCS is told."""
        if self.phase == "ready":
            if self._demand is None or not self._have_bcs:
                return []
            self.phase = "charging"
            self._charging_since = now
            self._energy_before = self.output.measured.energy_wh
            self.line.quiet("CRO")
            return [*self._output(), *self.line.repeat("CCS", self._ccs, now)]
        return self._output() if self.phase == "charging" else []

    def _output(self) -> list[Any]:
        demand = self._demand
        if demand is None or self._paused or self._state.get("permitted") == 0:
            return self.output.rest()
        return self.output.ask(demand["voltage"], min(demand["current"], self._told["max_current"]))

    def _delivered(self, now: int) -> list[Any]:
        """No more than the energy that is offered (CST: what was set at the charger is reached)."""
        most = self.output.offer.energy_wh
        if self.phase != "charging" or most is None or self.output.measured.energy_wh - self._energy_before < most:
            return []
        return self._cease({"condition_reached": 1}, f"the {most} Wh that were offered are delivered", "evse", "", now)

    def _ccs(self) -> dict[str, Any]:
        measured, since = self.output.measured, self._charging_since
        values: dict[str, Any] = {
            "voltage": measured.mv,
            "current": measured.ma,
            "time": min(600, (self._now - since) // MIN_MS) * MIN_MS if since is not None else 0,
        }
        if self.line.edition == "2015":
            values["permitted"] = 0 if self._paused else 1
        return values

    def on_bsm(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        # Untrusted (10): what was said before still holds (annex C.3); too low (10 of the first two) is said.
        for name in _STATES:
            value = values[name]
            if value is not None and (value != 2 or name in ("cell_voltage", "soc")):
                self._state[name] = value
        if words := said("BSM", {name: self._state.get(name, 0) for name in _STATES if name != "permitted"}):
            code = next(code for name, code in _BSM_CODES.items() if self._state.get(name))
            text = f"the vehicle's battery is not as it should be: {words}"
            return self._cease({"fault": 1, "other": 1}, text, "ev", code, now, rule="BSM, GB/T 27930-2015 10.3.4")
        if self._state.get("permitted") == 0:
            self.line.wait_on(t.PERMISSION, now)
        else:
            self.line.done(t.PERMISSION)
        return self._go_on(now)

    def on_bmv(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        self.cells = tuple(values["cells"])
        return []

    def on_bmt(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        self.temperatures = tuple(values["temperatures"])
        return []

    def on_bst(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        self.line.done(t.BST)
        if self.phase == "statistics":
            return []
        if self.phase == "stopping":
            self.phase = "statistics"
            return []
        words = said("BST", values)
        good = not any(values[name] == 1 for name in _BST_FAULTS)
        told = f"the vehicle has stopped (BST): {words}" if words else "the vehicle has stopped (BST)"
        code = "" if good else "EVContactorFault" if values["relay"] == 1 else "EVChargingFault"
        effects = self._cease({"bms_stopped": 1}, told, "ev", code, now, ok=good, rule="BST, GB/T 27930-2015 10.3.8")
        self.line.done(t.BST)
        self.phase = "statistics"
        return effects

    def on_bsd(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        self.line.done(t.BSD, t.BST)
        self.phase = "statistics"
        self.line.quiet("CST")
        self.line.wait(t.LINGER, now)
        return [*self._need(soc=values["soc"]), *self.line.repeat("CSD", self._csd, now)]

    def _csd(self) -> dict[str, Any]:
        since = self._charging_since
        ended = self._stopped_at if since is not None else 0
        return {
            "time": min(600, (ended - (since or 0)) // MIN_MS) * MIN_MS,
            "energy": max(0, self.output.measured.energy_wh - self._energy_before),
            "charger": self.config.charger,
        }

    def on_bem(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        words = said("BEM", values)
        if not words:
            return []
        if self.phase in ("stopping", "statistics"):
            return self._close(now, ok=False)
        return self._fail(None, f"the vehicle tells of an error (BEM): {words}", "ev", now)

    def on_diagnostics(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        codes = ", ".join(f"SPN {code['spn']} mode {code['mode']}" for code in values["codes"])
        return [Fault(code="EVDiagnostics", by="ev", text=codes, rule="DM1, GB/T 27930-2015 annex B")] if codes else []
