"""The EVCC of ISO 15118-2 from ChargeParameterDiscovery to the end of the loop: parameters, power, receipts."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from pilotwire.core.ev_link import Flowing, Offered
from pilotwire.core.evse_link import Offer
from pilotwire.protocols.exi.codec import Message

from ..config import Payment
from ..exchange_evcc import ONGOING
from ..exchange_evcc_dc import DcEvcc, wanted_wh
from ..physical import amperes, milli, volts, watt_hours, watts
from ..pnc import SUITES, EvccPnc, signed_by_contract
from ..signature import Part, SignatureError, check
from . import schedules
from .timers import LIMITS

MOST_PROFILE: Final = 24
"""Entries of a ChargingProfile."""
_AC_MV: Final = {1: 230_000, 3: 400_000}

CLAUSES: Final[dict[str, str]] = {
    "parse": "ISO 15118-2 8.3.3",
    "sequence": "ISO 15118-2 8.8.3, a response that was not waited for",
    "refused": "ISO 15118-2 8.8.3.3, a response code that says FAILED",
    "session": "ISO 15118-2 8.3.2, SessionID",
    "timeout": "ISO 15118-2 8.7.2 and 8.7.3",
    "choice": "ISO 15118-2 8.4.3.3, nothing is offered that the vehicle takes",
    "signature": "ISO 15118-2 8.4.3.11",
}


class PowerEvcc(DcEvcc):
    """ChargeParameterDiscovery, PowerDelivery, ChargingStatus and MeteringReceipt; see `evcc`."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._payment: Payment = "external"
        self._mode = ""
        """EnergyTransferMode."""
        self._schedule = 1
        self._nominal_mv = 230_000
        self._progress = "Start"
        """What the PowerDeliveryReq that is under way says."""

    @property
    def _dc(self) -> bool:
        return self._mode.startswith("DC")

    @property
    def _keys(self) -> EvccPnc:
        return cast(EvccPnc, self._pnc)

    # ── parameters ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _ask_discovery(self, now: int) -> None:
        drive = self._wants
        said: Message = {
            "MaxEntriesSAScheduleTuple": min(self._config.tuples, 1024),
            "RequestedEnergyTransferMode": self._mode,
        }
        parameters: Message
        if self._dc:
            parameters = said["DC_EVChargeParameter"] = self._dc_parameters()
        else:
            three = self._mode == "AC_three_phase_core"
            parameters = said["AC_EVChargeParameter"] = {
                "EAmount": watt_hours(wanted_wh(drive)),
                "EVMaxVoltage": volts(_AC_MV[3 if three else 1]),
                "EVMaxCurrent": amperes(drive.max_ma),
                "EVMinCurrent": amperes(drive.min_ma),
            }
        if drive.departure_ms is not None:
            parameters["DepartureTime"] = max(0, drive.departure_ms // 1000)
        self._request("ChargeParameterDiscovery", said, now)

    def _discovery(self, body: Message, now: int) -> None:
        dc, ac = body.get("DC_EVSEChargeParameter"), body.get("AC_EVSEChargeParameter")
        found = cast("Message | None", dc if self._dc else ac)
        if found is None:
            self._give_up("the station's parameters are of another kind of energy", "evse", "WrongParameter", "choice")
            return
        status = found["DC_EVSEStatus" if self._dc else "AC_EVSEStatus"]
        self._watch(status if self._dc else _as_dc(status))
        if body["EVSEProcessing"] != "Finished":
            self._due.setdefault(ONGOING, now + LIMITS[ONGOING])
            if not self._turned(now):
                self._later(self._ask_discovery, "ChargeParameterDiscovery", now)
            return
        self._due.pop(ONGOING, None)
        listed = body.get("SAScheduleList")
        self._schedules = schedules.read(listed) if listed else ()
        if not self._schedules:
            self._give_up("the station gives no schedule", "evse", "WrongParameter", "choice")
            return
        if listed and self._payment == "contract" and not self._tariffs_signed(listed):
            self._schedules = tuple(msgspec.structs.replace(one, prices=()) for one in self._schedules)
        self._schedule = self._schedules[0].id
        if self._dc:
            self._dc_offered(found)
        else:
            self._most_ma = milli(found["EVSEMaxCurrent"])
            self._ac_offered(milli(found["EVSENominalVoltage"]))
        if self._turned(now):
            return
        if self._dc:
            self._start_cable_check(now)
        else:
            self._ask_power(now)

    def _tariffs_signed(self, listed: Message) -> bool:
        """Whether the mobility operator's authority, which issued the contract, has signed the tariffs."""
        chain = self._keys.chain("iso2")
        tariffs = [one["SalesTariff"] for one in cast(list[Message], listed["SAScheduleTuple"]) if "SalesTariff" in one]
        if len(chain) < 2 or any("Id" not in one for one in tariffs):
            return False
        try:
            check(
                self._header.get("Signature"),
                [Part("iso2", "SalesTariff", one) for one in tariffs],
                SUITES["iso2"],
                lambda suite, data, value: self._keys.verify(chain[1], suite, data, value),
            )
        except SignatureError:
            return False
        return True

    def _ac_offered(self, nominal_mv: int | None = None) -> None:
        if nominal_mv is not None:
            self._nominal_mv = nominal_mv
        phases = 3 if self._mode == "AC_three_phase_core" else 1
        offer = Offer(max_ma=self._most_ma, phases=phases, nominal_mv=self._nominal_mv)
        self._effects.append(Offered(offer=offer, schedules=self._schedules))

    # ── power ────────────────────────────────────────────────────────────────────────────────────────────────────────
    def _ask_power(self, now: int) -> None:
        said: Message = {"ChargeProgress": "Start", "SAScheduleTupleID": self._schedule}
        said["ChargingProfile"] = {"ProfileEntry": self._profile()}
        if self._dc:
            said["DC_EVPowerDeliveryParameter"] = self._delivery()
        else:
            self._close()  # state C of the pilot, which the station may wait for before it answers ([V2G2-847])
        self._progress = "Start"
        self._request("PowerDelivery", said, now)

    def _delivery(self, *, ready: bool = True) -> Message:
        drive = self._wants
        return {
            "DC_EVStatus": self._ev_status(ready=ready),
            "BulkChargingComplete": False,
            "ChargingComplete": drive.soc >= drive.target_soc,
        }

    def _profile(self) -> list[Message]:
        """As much as the schedule allows and the vehicle takes."""
        drive = self._wants
        if self._dc:
            most = drive.max_mw
        else:
            most = drive.max_ma * self._nominal_mv // 1000 * (3 if self._mode == "AC_three_phase_core" else 1)
        points = next(one.points for one in self._schedules if one.id == self._schedule)
        if len(points) > MOST_PROFILE:  # the last entry has no end, so it is as low as all that would follow
            start = points[MOST_PROFILE - 1][0]
            points = (*points[: MOST_PROFILE - 1], (start, min(mw for _, mw in points[MOST_PROFILE - 1 :])))
        return [
            {"ChargingProfileEntryStart": start, "ChargingProfileEntryMaxPower": watts(min(most, mw))}
            for start, mw in points
        ]

    def _ask_renegotiation(self, now: int) -> None:
        self._progress = "Renegotiate"
        said: Message = {"ChargeProgress": "Renegotiate", "SAScheduleTupleID": self._schedule}
        if self._dc:
            said["DC_EVPowerDeliveryParameter"] = self._delivery()
        self._request("PowerDelivery", said, now)

    def _ask_end(self, now: int) -> None:
        self._ending = True
        self._progress = "Stop"
        said: Message = {"ChargeProgress": "Stop", "SAScheduleTupleID": self._schedule}
        if self._dc:
            said["DC_EVPowerDeliveryParameter"] = self._delivery(ready=False)
        else:
            self._open()
        self._request("PowerDelivery", said, now)

    def _power_delivery(self, body: Message, now: int) -> None:
        if self._progress == "Stop":
            self._charging = False
            if self._dc:
                self._open_and_weld(now)
            else:
                self._ask_stop(now)
            return
        if self._progress == "Renegotiate":
            self._charging = self._looped = False
            if not self._dc:
                self._renegotiated(now)
                return
            self._open()
            if self._contacts_pending:
                self._when_inside(self._renegotiated, now)
            else:
                self._renegotiated(now)
            return
        self._charging, self._looped = True, False
        if self._dc:
            self._ask_demand(now)
        else:
            self._ask_status(now)

    def _renegotiated(self, now: int) -> None:
        if not self._turned(now):
            self._ask_discovery(now)

    # ── the loops ────────────────────────────────────────────────────────────────────────────────────────────────────
    def _ask_status(self, now: int) -> None:
        self._request("ChargingStatus", {}, now)

    def _charging_status(self, body: Message, now: int) -> None:
        self._watch(_as_dc(body["AC_EVSEStatus"]))
        current, meter = body.get("EVSEMaxCurrent"), body.get("MeterInfo")
        if current is not None and milli(current) != self._most_ma:
            self._most_ma = milli(current)
            self._ac_offered()
        self._effects.append(self._drawn(meter.get("MeterReading") if meter is not None else None))
        self._after_loop(body, now)

    def _drawn(self, energy_wh: int | None) -> Flowing:
        """An AC station tells of its meter alone: what flows is what the vehicle draws of what it may."""
        drive = self._wants
        ma = max(0, min(drive.target_ma, self._most_ma)) if drive.ready and self._contacts else 0
        phases = 3 if self._mode == "AC_three_phase_core" else 1
        mw = self._nominal_mv * ma // 1000 * phases
        return Flowing(mv=self._nominal_mv, ma=ma, mw=mw, energy_wh=energy_wh)

    def _after_demand(self, body: Message, now: int) -> None:
        self._after_loop(body, now)

    def _after_loop(self, body: Message, now: int) -> None:
        if body.get("ReceiptRequired") and body.get("MeterInfo") is not None and self._payment == "contract":
            said: Message = {
                "Id": "id1",
                "SessionID": self.session_id,
                "SAScheduleTupleID": body["SAScheduleTupleID"],
                "MeterInfo": body["MeterInfo"],
            }
            signature = signed_by_contract(self._keys, "iso2", "MeteringReceiptReq", said)
            self._request("MeteringReceipt", said, now, signature)
            return
        self._looped = True
        self._again(now)

    def _again(self, now: int) -> None:
        if not self._turned(now):
            what = self._ask_demand if self._dc else self._ask_status
            self._later(what, "CurrentDemand" if self._dc else "ChargingStatus", now)

    def _metering_receipt(self, body: Message, now: int) -> None:
        dc, ac = body.get("DC_EVSEStatus"), body.get("AC_EVSEStatus")
        if dc is not None:
            self._watch(dc)
        elif ac is not None:
            self._watch(_as_dc(ac))
        self._looped = True
        self._again(now)


def _as_dc(status: Message) -> Message:
    """AC_EVSEStatus in the words of DC."""
    return {**status, "EVSEStatusCode": "EVSE_Malfunction" if status["RCD"] else "EVSE_Ready"}
