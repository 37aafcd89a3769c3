"""The SECC's DC phases, which DIN SPEC 70121 and ISO 15118-2 share to the letter: from the cable check to the welds.

Output and contactor follow the vehicle's requests only after the isolation was found good, and never beyond the offer.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

from pilotwire.core.evse_link import (
    Fault,
    IsolationAsked,
    Limits,
    Needs,
    Requested,
)
from pilotwire.protocols.exi.codec import Message

from .exchange_commands import STOPPING
from .exchange_secc import Secc
from .physical import amperes, milli, volts, watt_hours, watts

CABLE: Final = "V2G_SECC_CableCheck_Performance_Time"
PRECHARGE_MOST_MA: Final = 2_000
"""No more flows before the vehicle's contactors are closed (IEC 61851-23, CC.5.2)."""
_ISOLATION: Final = {"valid": "Valid", "warning": "Warning", "fault": "Fault", "no-monitor": "No_IMD"}
_EVERY_MS: Final = 60_000
"""Remaining times that differ by less are no news."""


class DcSecc(Secc):
    """Handlers of CableCheckReq, PreChargeReq, CurrentDemandReq and WeldingDetectionReq."""

    NO_MONITOR: ClassVar[str]
    """How the dialect says that there is no isolation monitor."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._soc: int | None = None
        self._remaining: int | None = None
        self._limits: tuple[Any, ...] = ()
        self._ev_error = False
        self._isolated = False
        """The last cable check was passed."""
        self._cable_late = False
        self._precharge_mv = 0

    # ── what the vehicle says of itself ──────────────────────────────────────────────────────────────────────────────
    def _ev_status(self, request: str, status: Message, remaining_ms: int | None = None) -> None:
        soc = status["EVRESSSOC"] * 10
        if remaining_ms is not None and self._remaining is not None:
            news = abs(remaining_ms - self._remaining) >= _EVERY_MS
        else:
            news = remaining_ms is not None
        if soc != self._soc or news:
            self._soc = soc
            if news:
                self._remaining = remaining_ms
            self._effects.append(Needs(soc=soc, remaining_ms=self._remaining))
        error = status["EVErrorCode"]
        if error != "NO_ERROR" and not self._ev_error:
            self._ev_error = True
            self._zero()
            self._effects.append(
                Fault(
                    code=error,
                    by="ev",
                    text=f"the vehicle says {error} in {request}",
                    rule=f"{request}: DC_EVStatus, {self.CLAUSES['ev-status']}",
                )
            )

    @property
    def _dead(self) -> bool:
        """Nothing may flow any more, whatever the vehicle asks for."""
        return self._fault is not None or self._ev_error or (self._stop is not None and self._stop.emergency)

    def _dc_status(self, code: str, now: int) -> Message:
        """DC_EVSEStatus; `code` where nothing worse is to be told."""
        if self._fault is not None:
            code = "EVSE_Malfunction"
        elif self._stop is not None:
            code = "EVSE_EmergencyShutdown" if self._stop.emergency else "EVSE_Shutdown"
        isolation = self._isolation
        if isolation is None:
            word = "Invalid"
        elif isolation.status == "no-monitor":
            word = self.NO_MONITOR
        else:
            word = _ISOLATION[isolation.status]
        return {"EVSEIsolationStatus": word, "EVSEStatusCode": code, **self._notification(now)}

    def _notification(self, now: int) -> Message:
        """NotificationMaxDelay (s) and EVSENotification."""
        if self._fault is not None or self._stop is not None:
            left = max(0, self._due.get(STOPPING, now) - now) // 1000
            return {"NotificationMaxDelay": left, "EVSENotification": "StopCharging"}
        if self._renegotiating:
            return {"NotificationMaxDelay": 0, "EVSENotification": "ReNegotiation"}
        return {"NotificationMaxDelay": 0, "EVSENotification": "None"}

    # ── the phases ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _cable_check(self, body: Message, now: int) -> None:
        self._ev_status("CableCheckReq", body["DC_EVStatus"])
        if CABLE not in self._due and not self._cable_late:
            self._isolated = False
            self._isolation = None
            self._due[CABLE] = now + self.LIMITS[CABLE]
            self._lock()
            self._effects.append(IsolationAsked())
        isolation = self._isolation
        if self._cable_late:
            text = f"the isolation was not found good within {self.LIMITS[CABLE] // 1000} s"
            self._fail("CableCheckReq", "FAILED", text, "cable-check", now, code="CableCheckFault", by="evse")
        elif isolation is None:
            self._answer("CableCheckRes", self._checked("EVSE_IsolationMonitoringActive", "Ongoing", now), now)
        elif isolation.status == "fault":
            text = "the isolation monitor found a fault"
            self._fail("CableCheckReq", "FAILED", text, "cable-check", now, code="CableCheckFault", by="evse")
        else:
            del self._due[CABLE]
            self._isolated = True
            self._answer("CableCheckRes", self._checked("EVSE_Ready", "Finished", now), now, "PreCharge")

    def _checked(self, code: str, processing: Literal["Ongoing", "Finished"], now: int) -> Message:
        return {"ResponseCode": "OK", "DC_EVSEStatus": self._dc_status(code, now), "EVSEProcessing": processing}

    def _cable_expired(self) -> None:
        """The next CableCheckReq is told."""
        self._cable_late = True
        self._off()

    def _pre_charge(self, body: Message, now: int) -> None:
        self._ev_status("PreChargeReq", body["DC_EVStatus"])
        if self._dead:
            self._zero()
        else:
            self._close()
            self._precharge_mv = milli(body["EVTargetVoltage"])
            mv, ma, _ = self._within(self._precharge_mv, milli(body["EVTargetCurrent"]))
            self._used = True
            self._effects.append(Requested(mv=mv, ma=min(ma, PRECHARGE_MOST_MA), phase="precharge"))
        self._answer(
            "PreChargeRes",
            {
                "ResponseCode": "OK",
                "DC_EVSEStatus": self._dc_status("EVSE_Ready", now),
                "EVSEPresentVoltage": volts(self._measured.mv if self._measured else 0),
            },
            now,
            "PowerDelivery",
        )

    def _within(self, mv: int, ma: int) -> tuple[int, int, tuple[bool, bool, bool]]:
        """A target as it may be followed, and whether the limits of current, voltage and power were met."""
        offer = self._offer
        if offer is None:
            return 0, 0, (True, True, True)
        most_mv, most_ma, most_mw = offer.max_mv, 0 if self._pausing else offer.max_ma, offer.max_mw
        over_v = most_mv is not None and mv >= most_mv
        over_a = ma >= most_ma
        mv = max(0, mv if most_mv is None or mv <= most_mv else most_mv)
        ma = max(0, ma if ma <= most_ma else most_ma)
        over_w = most_mw is not None and mv * ma >= most_mw * 1000
        if over_w and mv and most_mw is not None:
            ma = min(ma, most_mw * 1000 // mv)
        return mv, ma, (over_a, over_v, over_w)

    def _current_demand(self, body: Message, now: int) -> None:
        remaining = body.get("RemainingTimeToFullSoC")
        status = body["DC_EVStatus"]
        self._ev_status("CurrentDemandReq", status, milli(remaining) if remaining is not None else None)
        self._ev_limits(body)
        mv, ma, reached = self._within(milli(body["EVTargetVoltage"]), milli(body["EVTargetCurrent"]))
        if self._dead or not self._contactor:
            self._zero()
        else:
            if not status["EVReady"]:
                ma = 0
            self._used = True
            self._effects.append(Requested(mv=mv, ma=ma))
        measured, offer = self._measured, self._offer
        answer: Message = {
            "ResponseCode": "OK",
            "DC_EVSEStatus": self._dc_status("EVSE_Ready", now),
            "EVSEPresentVoltage": volts(measured.mv if measured else 0),
            "EVSEPresentCurrent": amperes(measured.ma if measured else 0),
            "EVSECurrentLimitAchieved": reached[0],
            "EVSEVoltageLimitAchieved": reached[1],
            "EVSEPowerLimitAchieved": reached[2],
        }
        if offer is not None:
            if offer.max_mv is not None:
                answer["EVSEMaximumVoltageLimit"] = volts(offer.max_mv)
            answer["EVSEMaximumCurrentLimit"] = amperes(0 if self._pausing else offer.max_ma)
            if offer.max_mw is not None:
                answer["EVSEMaximumPowerLimit"] = watts(0 if self._pausing else offer.max_mw)
        self._answer("CurrentDemandRes", answer, now, self._after_loop(answer))

    def _after_loop(self, answer: Message) -> str:
        """Adds to CurrentDemandRes what the dialect has beyond it; returns the state behind it."""
        return "ChargeLoop"

    def _ev_limits(self, body: Message) -> None:
        voltage = body.get("EVMaximumVoltageLimit")
        current = body.get("EVMaximumCurrentLimit")
        power = body.get("EVMaximumPowerLimit")
        if (voltage or current or power) and (voltage, current, power) != self._limits:
            self._limits = (voltage, current, power)
            self._effects.append(
                Limits(
                    service="DC",
                    max_mv=milli(voltage) if voltage else None,
                    max_ma=milli(current) if current else None,
                    max_mw=milli(power) if power else None,
                )
            )

    def _welding_detection(self, body: Message, now: int) -> None:
        self._ev_status("WeldingDetectionReq", body["DC_EVStatus"])
        self._answer(
            "WeldingDetectionRes",
            {
                "ResponseCode": "OK",
                "DC_EVSEStatus": self._dc_status("EVSE_NotReady", now),
                "EVSEPresentVoltage": volts(self._measured.mv if self._measured else 0),
            },
            now,
        )

    # ── parameters ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _dc_parameters(self, now: int) -> Message:
        """DC_EVSEChargeParameter of the offer; zeros while there is none."""
        offer = self._offer
        parameters: Message = {
            "DC_EVSEStatus": self._dc_status("EVSE_Ready", now),
            "EVSEMaximumCurrentLimit": amperes(offer.max_ma if offer else 0),
            "EVSEMaximumVoltageLimit": volts((offer.max_mv or 0) if offer else 0),
            "EVSEMinimumCurrentLimit": amperes(offer.min_ma if offer else 0),
            "EVSEMinimumVoltageLimit": volts(offer.min_mv if offer else 0),
            "EVSEPeakCurrentRipple": amperes(1_000),
            "EVSEMaximumPowerLimit": watts(self._most_mw()),
        }
        if offer is not None and offer.energy_wh is not None:
            parameters["EVSEEnergyToBeDelivered"] = watt_hours(offer.energy_wh)
        return parameters

    def _most_mw(self) -> int:
        """What the offer allows in all; voltage times current where no power is told."""
        offer = self._offer
        if offer is None:
            return 0
        product = (offer.max_mv or 0) * offer.max_ma // 1000
        return product if offer.max_mw is None else offer.max_mw
