"""The EVCC's DC phases, which DIN SPEC 70121 and ISO 15118-2 share: from the cable check to the welds."""

from __future__ import annotations

from typing import Any, Final

from pilotwire.core.ev_link import Drive, Flowing, Offered
from pilotwire.core.evse_link import Offer, Schedule
from pilotwire.protocols.exi.codec import Message

from .exchange_evcc import Evcc
from .physical import amperes, milli, seconds, volts, watt_hours, watts

CABLE: Final = "V2G_EVCC_CableCheck_Timeout"
PRECHARGE: Final = "V2G_EVCC_PreCharge_Timeout"
NEAR_MV: Final = 20_000
"""So near to the battery's voltage the contacts may close (IEC 61851-23, CC.5.2)."""
PRECHARGE_MA: Final = 2_000
SAFE_MV: Final = 60_000
WELDING_TRIES: Final = 20
_ERRORS: Final = ("EVSE_EmergencyShutdown", "EVSE_Malfunction", "EVSE_UtilityInterruptEvent")


class DcEvcc(Evcc):
    """Requests and answers of CableCheck, PreCharge, CurrentDemand and WeldingDetection."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._schedules: tuple[Schedule, ...] = ()
        self._limits: tuple[Any, ...] = ()
        self._most_ma = 0
        self._welding = 0
        self._error = "NO_ERROR"

    @property
    def _wants(self) -> Drive:
        return self._drive or Drive()

    def _ev_status(self, *, ready: bool) -> Message:
        soc = min(100, max(0, self._wants.soc // 10))
        error = self._error
        if error == "NO_ERROR" and self._halt is not None and self._halt.emergency:
            error = "FAILED_EVRESSMalfunction"
        return {"EVReady": ready, "EVErrorCode": error, "EVRESSSOC": soc}

    # ── parameters ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _dc_parameters(self) -> Message:
        """DC_EVChargeParameter."""
        drive = self._wants
        return {
            "DC_EVStatus": self._ev_status(ready=False),
            "EVMaximumCurrentLimit": amperes(drive.max_ma),
            "EVMaximumPowerLimit": watts(drive.max_mw),
            "EVMaximumVoltageLimit": volts(drive.max_mv),
            "EVEnergyCapacity": watt_hours(drive.capacity_wh),
            "EVEnergyRequest": watt_hours(wanted_wh(drive)),
            "FullSOC": 100,
        }

    def _dc_offered(self, found: Message) -> None:
        """DC_EVSEChargeParameter as `Offered`; the schedules have been read before."""
        power = found.get("EVSEMaximumPowerLimit")
        self._most_ma = milli(found["EVSEMaximumCurrentLimit"])
        self._limits = ()
        self._effects.append(
            Offered(
                offer=Offer(
                    max_mv=milli(found["EVSEMaximumVoltageLimit"]),
                    min_mv=milli(found["EVSEMinimumVoltageLimit"]),
                    max_ma=self._most_ma,
                    min_ma=milli(found["EVSEMinimumCurrentLimit"]),
                    max_mw=milli(power) if power else None,
                ),
                schedules=self._schedules,
            )
        )

    def _watch(self, status: Message) -> None:
        """DC_EVSEStatus: whether the EVSE wants an end, a new schedule, or has broken down."""
        code, notification = status["EVSEStatusCode"], status["EVSENotification"]
        if code in _ERRORS:
            self._stop_because(f"the station says {code}", "evse", failed=True)
        elif status.get("EVSEIsolationStatus") == "Fault":
            self._stop_because("the station says that the isolation is faulty", "evse", failed=True)
        elif notification == "StopCharging" or code == "EVSE_Shutdown":
            self._stop_because("the station asked for the end of charging", "evse")
        elif notification == "ReNegotiation" and self._charging and self._goal == "charge":
            self._goal = "ask"

    # ── the phases ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _start_cable_check(self, now: int) -> None:
        self._due[CABLE] = now + self.LIMITS[CABLE]
        self._ask_cable_check(now)

    def _ask_cable_check(self, now: int) -> None:
        self._request("CableCheck", {"DC_EVStatus": self._ev_status(ready=True)}, now)

    def _cable_check(self, body: Message, now: int) -> None:
        self._watch(body["DC_EVSEStatus"])
        if body["EVSEProcessing"] != "Finished":
            if not self._turned(now):
                self._later(self._ask_cable_check, "CableCheck", now)
            return
        del self._due[CABLE]
        if not self._turned(now):
            self._due[PRECHARGE] = now + self.LIMITS[PRECHARGE]
            self._ask_pre_charge(now)

    def _ask_pre_charge(self, now: int) -> None:
        drive = self._wants
        self._request(
            "PreCharge",
            {
                "DC_EVStatus": self._ev_status(ready=True),
                "EVTargetVoltage": volts(drive.present_mv),
                "EVTargetCurrent": amperes(min(PRECHARGE_MA, drive.max_ma)),
            },
            now,
        )

    def _pre_charge(self, body: Message, now: int) -> None:
        self._watch(body["DC_EVSEStatus"])
        present = milli(body["EVSEPresentVoltage"])
        self._effects.append(Flowing(mv=present))
        if self._turned(now):
            return
        if abs(present - self._wants.present_mv) > NEAR_MV:
            self._later(self._ask_pre_charge, "PreCharge", now)
            return
        self._close()
        if self._contacts_pending:
            self._when_inside(self._start_charging, now)
        else:
            self._start_charging(now)

    def _start_charging(self, now: int) -> None:
        if not self._turned(now):
            self._due.pop(PRECHARGE, None)
            self._ask_power(now)

    def _ask_power(self, now: int) -> None:
        """PowerDeliveryReq, Start."""
        raise NotImplementedError

    def _ask_demand(self, now: int) -> None:
        drive = self._wants
        ma = max(0, min(drive.target_ma, drive.max_ma)) if drive.ready and self._goal == "charge" else 0
        body: Message = {
            "DC_EVStatus": self._ev_status(ready=True),
            "EVTargetCurrent": amperes(ma),
            "EVMaximumVoltageLimit": volts(drive.max_mv),
            "EVMaximumCurrentLimit": amperes(drive.max_ma),
            "EVMaximumPowerLimit": watts(drive.max_mw),
            "BulkChargingComplete": False,
            "ChargingComplete": drive.soc >= drive.target_soc,
            "EVTargetVoltage": volts(drive.target_mv),
        }
        if drive.remaining_ms is not None:
            body["RemainingTimeToFullSoC"] = seconds(drive.remaining_ms)
            body["RemainingTimeToBulkSoC"] = seconds(drive.remaining_ms)
        self._request("CurrentDemand", body, now)

    def _current_demand(self, body: Message, now: int) -> None:
        self._watch(body["DC_EVSEStatus"])
        mv = milli(body["EVSEPresentVoltage"])
        meter = body.get("MeterInfo")
        self._effects.append(
            Flowing(
                mv=mv,
                ma=milli(body["EVSEPresentCurrent"]),
                energy_wh=meter.get("MeterReading") if meter else None,
            )
        )
        if mv > self._wants.max_mv * 11 // 10:
            self._error = "FAILED_ChargingVoltageOutOfRange"
            self._stop_because(f"{mv} mV at the inlet are more than the battery may have", "evse", failed=True)
        limits = (
            body.get("EVSEMaximumVoltageLimit"),
            body.get("EVSEMaximumCurrentLimit"),
            body.get("EVSEMaximumPowerLimit"),
        )
        if limits != self._limits:
            self._limits = limits
            self._told(*limits)
        self._after_demand(body, now)

    def _told(self, voltage: Message | None, current: Message | None, power: Message | None) -> None:
        if current is not None:
            self._most_ma = milli(current)
        self._effects.append(
            Offered(
                offer=Offer(
                    max_mv=milli(voltage) if voltage else None,
                    max_ma=self._most_ma,
                    max_mw=milli(power) if power else None,
                ),
                schedules=self._schedules,
            )
        )

    def _after_demand(self, body: Message, now: int) -> None:
        if not self._turned(now):
            self._later(self._ask_demand, "CurrentDemand", now)

    def _ask_welding(self, now: int) -> None:
        self._request("WeldingDetection", {"DC_EVStatus": self._ev_status(ready=False)}, now)

    def _open_and_weld(self, now: int) -> None:
        """The contacts open, then their welds are looked for."""
        self._open()
        self._welding = 0
        if self._contacts_pending:
            self._when_inside(self._ask_welding, now)
        else:
            self._ask_welding(now)

    def _welding_detection(self, body: Message, now: int) -> None:
        self._welding += 1
        if milli(body["EVSEPresentVoltage"]) > SAFE_MV and self._welding < WELDING_TRIES:
            self._later(self._ask_welding, "WeldingDetection", now)
        else:
            self._ask_stop(now)


def wanted_wh(drive: Drive) -> int:
    """Energy up to the target."""
    if drive.energy_wh is not None:
        return max(0, drive.energy_wh)
    return max(0, drive.capacity_wh * (drive.target_soc - drive.soc) // 1000)
