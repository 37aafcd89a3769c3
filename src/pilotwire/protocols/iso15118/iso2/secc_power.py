"""The SECC of ISO 15118-2 from ChargeParameterDiscovery to the end of the loop: parameters, power, readings."""

from __future__ import annotations

from typing import Any, Final, cast

from pilotwire.core.evse_link import Limits, Needs, ProfileChosen, Requested
from pilotwire.protocols.exi.codec import Message

from ..config import Payment
from ..exchange import within
from ..exchange_commands import CONTACTOR
from ..exchange_secc_dc import DcSecc
from ..physical import amperes, is_in, milli, volts, whole
from . import contract
from .schedules import Points, exceeds, sa_schedules
from .states import LOOP
from .timers import LIMITS

ONGOING: Final = "V2G_SECC_Ongoing_Performance_Time"
NO_EVSE_ID: Final = "ZZ00000"
"""What a station without an EVSEID of 7 to 37 characters says (8.4.3.2)."""
DISCOVERY: Final = "ChargeParameterDiscovery"
_UNITS: Final = {
    True: {"EVMaximumCurrentLimit": "A", "EVMaximumVoltageLimit": "V", "EVMaximumPowerLimit": "W",
           "EVEnergyCapacity": "Wh", "EVEnergyRequest": "Wh"},
    False: {"EAmount": "Wh", "EVMaxVoltage": "V", "EVMaxCurrent": "A", "EVMinCurrent": "A"},
}  # fmt: skip


class PowerSecc(DcSecc):
    """Handlers of ChargeParameterDiscoveryReq, PowerDeliveryReq and ChargingStatusReq; see `secc`."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        told = self._config.evse_id
        self._evse_id = told if 7 <= len(told) <= 37 else NO_EVSE_ID
        self._dc = "DC" in self._config.services
        """What refusals look like before the vehicle has chosen."""
        self._payment: Payment = "external"
        self._mode = ""
        self._said: dict[int, Points] = {}
        """SAScheduleTupleID → what was told."""
        self._names: dict[int, int] = {}
        """SAScheduleTupleID → what the station calls the schedule."""
        self._schedule = 1
        self._meter_said: Message | None = None
        """The reading that the vehicle is to confirm."""
        self._ev_ma = 0
        self._three_phases = False

    @property
    def _modes(self) -> tuple[str, ...]:
        """EnergyTransferModes that are offered, the best first."""
        raise NotImplementedError

    # ── parameters ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _discovery(self, body: Message, now: int) -> None:
        request = "ChargeParameterDiscoveryReq"
        mode = cast(str, body["RequestedEnergyTransferMode"])
        dc = mode.startswith("DC")
        found = body.get("DC_EVChargeParameter" if dc else "AC_EVChargeParameter")
        if mode not in self._modes:
            text = f"{mode} was not offered"
            self._fail(request, "FAILED_WrongEnergyTransferMode", text, "parameters", now, code="InvalidVehicleMode")
            return
        wrong = f"the parameters are not those of {mode}" if found is None else _wrong(found, dc=dc)
        if not wrong and found is not None:
            wrong = self._misfit(found, dc=dc)
        if wrong:
            self._fail(request, "FAILED_WrongChargeParameter", wrong, "parameters", now, code="InvalidVehicleMode")
            return
        parameters = cast(Message, found)
        self._dc, self._mode, self._three_phases = dc, mode, mode == "AC_three_phase_core"
        departure = cast("int | None", parameters.get("DepartureTime"))
        self._told(parameters, departure, cast("int | None", body.get("MaxEntriesSAScheduleTuple")))
        if self._offer is None and not self._halting:
            if ONGOING in self._late:
                text = f"the station offered nothing within {LIMITS[ONGOING] // 1000} s"
                self._fail(request, "FAILED", text, "timeout", now, code=ONGOING, by="evse")
                return
            self._due.setdefault(ONGOING, now + LIMITS[ONGOING])
            said: Message = {"ResponseCode": "OK", "EVSEProcessing": "Ongoing", **self._parameters(now)}
            self._answer("ChargeParameterDiscoveryRes", said, now)
            return
        self._due.pop(ONGOING, None)
        schedules, self._said, self._names = sa_schedules(
            self._schedules.values(),
            now,
            self._ac_mw() if not dc else self._most_mw(),
            cast("int | None", body.get("MaxEntriesSAScheduleTuple")),
            departure,
        )
        self._renegotiating = False
        said = {
            "ResponseCode": "OK",
            "EVSEProcessing": "Finished",
            "SAScheduleList": schedules,
            **self._parameters(now),
        }
        self._cable_late = False
        state = "CableCheck" if dc else "AcPowerDelivery"
        signature = contract.sign_tariffs(self, schedules) if self._payment == "contract" else None
        self._answer("ChargeParameterDiscoveryRes", said, now, state, signature)

    def _misfit(self, found: Message, *, dc: bool) -> str:
        """Why vehicle and station cannot work together; nothing: they can."""
        offer = self._offer
        if offer is None or not dc:
            return ""
        most = milli(found["EVMaximumVoltageLimit"])
        if most < offer.min_mv:
            return f"the vehicle takes at most {most} mV, the station gives no less than {offer.min_mv} mV"
        return ""

    def _told(self, found: Message, departure: int | None, tuples: int | None) -> None:
        """What the vehicle has said of itself, as events."""
        departure_ms = departure * 1000 if departure is not None else None
        if not self._dc:
            self._ev_ma = milli(found["EVMaxCurrent"])
            self._effects.append(
                Limits(
                    service="AC",
                    max_mv=milli(found["EVMaxVoltage"]),
                    max_ma=self._ev_ma,
                    min_ma=milli(found["EVMinCurrent"]),
                    phases=3 if self._three_phases else 1,
                )
            )
            self._effects.append(
                Needs(energy_wh=whole(found["EAmount"]), departure_ms=departure_ms, tuples=tuples, dynamic=False)
            )
            return
        power, capacity, wanted = (
            found.get(name) for name in ("EVMaximumPowerLimit", "EVEnergyCapacity", "EVEnergyRequest")
        )
        self._limits = (found["EVMaximumVoltageLimit"], found["EVMaximumCurrentLimit"], power)
        self._effects.append(
            Limits(
                service="DC",
                max_mv=milli(found["EVMaximumVoltageLimit"]),
                max_ma=milli(found["EVMaximumCurrentLimit"]),
                max_mw=milli(power) if power else None,
                capacity_wh=whole(capacity) if capacity else None,
            )
        )
        full = found.get("FullSOC")
        self._soc = found["DC_EVStatus"]["EVRESSSOC"] * 10
        self._effects.append(
            Needs(
                soc=self._soc,
                target_soc=full * 10 if full is not None else None,
                energy_wh=whole(wanted) if wanted else None,
                departure_ms=departure_ms,
                tuples=tuples,
                dynamic=False,
            )
        )
        self._ev_status("ChargeParameterDiscoveryReq", found["DC_EVStatus"])

    def _parameters(self, now: int) -> Message:
        if self._dc:
            return {"DC_EVSEChargeParameter": self._dc_parameters(now)}
        offer = self._offer
        return {
            "AC_EVSEChargeParameter": {
                "AC_EVSEStatus": self._ac_status(now),
                "EVSENominalVoltage": volts(offer.nominal_mv if offer else 230_000),
                "EVSEMaxCurrent": amperes(self._ac_ma()),
            }
        }

    def _ac_status(self, now: int) -> Message:
        fault = self._fault
        return {**self._notification(now), "RCD": fault is not None and fault.code == "GroundFailure"}

    def _ac_ma(self) -> int:
        """What each phase may take now."""
        return 0 if self._offer is None or self._pausing else self._offer.max_ma

    def _ac_mw(self) -> int:
        offer = self._offer
        if offer is None:
            return 0
        phases = min(offer.phases, 3) if self._three_phases else 1
        whole_mw = offer.nominal_mv * offer.max_ma // 1000 * phases
        return whole_mw if offer.max_mw is None else min(whole_mw, offer.max_mw)

    # ── power ────────────────────────────────────────────────────────────────────────────────────────────────────────
    def _power_delivery(self, body: Message, now: int) -> None:
        request = "PowerDeliveryReq"
        progress, schedule = body["ChargeProgress"], cast(int, body["SAScheduleTupleID"])
        looping = self.state in LOOP
        if (progress == "Renegotiate") != looping and progress != "Stop":
            text = f"PowerDeliveryReq says {progress} {'in' if looping else 'before'} the charging loop"
            self._fail(request, "FAILED_SequenceError", text, "delivery", now)
            return
        if progress == "Stop":
            self._stopped(now)
            return
        points = self._said.get(schedule)
        if points is None:
            text = f"schedule {schedule} was not offered"
            self._fail(request, "FAILED_TariffSelectionInvalid", text, "delivery", now)
            return
        if progress == "Renegotiate":
            self._renegotiating = False
            if self._dc:
                self._open(now)  # the cable is checked again, without voltage
            said: Message = {"ResponseCode": "OK", **self._status("EVSE_Ready", now)}
            self._answer("PowerDeliveryRes", said, now, DISCOVERY)
            return
        profile = [
            (cast(int, one["ChargingProfileEntryStart"]), milli(one["ChargingProfileEntryMaxPower"]))
            for one in cast(list[Message], within(body, "ChargingProfile").get("ProfileEntry", []))
        ]
        if exceeds(points, profile):
            text = f"the charging profile is above what schedule {schedule} allows"
            self._fail(request, "FAILED_ChargingProfileInvalid", text, "delivery", now)
            return
        if self._halting or (self._dc and (not self._isolated or self._ev_error)):
            text = self._why_stopping() or "the vehicle has told of an error"
            self._fail(
                request,
                "FAILED_PowerDeliveryNotApplied",
                text,
                "stop" if self._halting else "delivery",
                now,
                told=self._fault is not None,
            )
            return
        self._schedule = schedule
        self._effects.append(ProfileChosen(schedule=self._names[schedule], points=tuple(profile)))
        self._lock()
        self._close()
        if self._contactor:
            self._power_on(now)
        else:
            self._held = request
            self._due[CONTACTOR] = now + LIMITS[CONTACTOR]

    def _power_on(self, now: int) -> None:
        """The contactor is closed."""
        said: Message = {"ResponseCode": "OK", **self._status("EVSE_Ready", now)}
        self._answer("PowerDeliveryRes", said, now, "FirstDemand" if self._dc else "FirstStatus")
        if not self._dc and not self.over:
            self._ac_requested()

    def _ac_requested(self) -> None:
        self._used = True
        self._effects.append(Requested(ma=min(self._ev_ma, self._ac_ma())))

    def _offer_changed(self, now: int) -> None:
        if self.state in LOOP and not self._dc and not self._dead:
            self._ac_requested()

    def _stopped(self, now: int) -> None:
        self._renegotiating = False
        self._open(now)
        said: Message = {"ResponseCode": "OK", **self._status("EVSE_NotReady", now)}
        self._answer("PowerDeliveryRes", said, now, "WeldingDetection" if self._dc else "SessionStop")

    def _status(self, code: str, now: int) -> Message:
        if self._dc:
            return {"DC_EVSEStatus": self._dc_status(code, now)}
        return {"AC_EVSEStatus": self._ac_status(now)}

    # ── the loops ────────────────────────────────────────────────────────────────────────────────────────────────────
    def _charging_status(self, body: Message, now: int) -> None:
        said: Message = {
            "ResponseCode": "OK",
            "EVSEID": self._evse_id,
            "SAScheduleTupleID": self._schedule,
            "EVSEMaxCurrent": amperes(self._ac_ma()),
            "AC_EVSEStatus": self._ac_status(now),
        }
        looped = self._metered(said)
        self._answer("ChargingStatusRes", said, now, looped or "AcChargeLoop")

    def _after_loop(self, answer: Message) -> str:
        answer["EVSEID"] = self._evse_id
        answer["SAScheduleTupleID"] = self._schedule
        return self._metered(answer) or "ChargeLoop"

    def _metered(self, said: Message) -> str | None:
        """Adds the meter's reading; returns the state behind it where the vehicle is to confirm it."""
        measured = self._measured
        if measured is None or not measured.meter_id:
            return None
        meter: Message = {"MeterID": measured.meter_id[:32], "MeterReading": max(0, measured.energy_wh)}
        if 0 < len(measured.signed) <= 64:
            meter["SigMeterReading"] = measured.signed
        said["MeterInfo"] = meter
        if not (self._receipt_wanted and self._payment == "contract" and self._config.receipts):
            return None
        self._receipt_wanted = False
        self._meter_said = meter
        said["ReceiptRequired"] = True
        return "MeteringReceipt"


def _wrong(found: Message, *, dc: bool) -> str:
    """What cannot be right in a vehicle's parameters, in words; nothing: all is well."""
    for name, unit in _UNITS[dc].items():
        value = found.get(name)
        if value is None:
            continue
        if not is_in(value, unit):
            return f"{name} is in {value['Unit']}, not in {unit}"
        if value["Value"] < 0:
            return f"{name} is negative"
    if not dc and milli(found["EVMinCurrent"]) > milli(found["EVMaxCurrent"]):
        return "EVMinCurrent is above EVMaxCurrent"
    return ""
