"""The SECC of ISO 15118-2: AC and DC, external payment and Plug & Charge.

    secc = Iso2Secc(config, "iso2", random=random, tls=False, paused=paused)
    secc.begin(now)                        # supportedAppProtocolRes has been sent
    secc.receive(Frame(0x8001, exi), now)  # → effects: Send(Frame), Close, events of core.evse_link
    secc.command(Offer(...), now)

What the station has not done does not happen: no charging without `Authorize`, no contactor before `Isolation`, no
PowerDeliveryRes OK before `Contactor`. ChargeParameterDiscoveryRes says Ongoing until there is an `Offer`. `paused` is
shared by all sessions of an outlet: the session's ID → what is kept of a session that sleeps. A paused session says
`Paused` and then closes; it is not `Ended`.

`Pause` sets the limits that the vehicle is told to zero, which is how -2 lets a station put charging off.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, ClassVar, Final, cast

import msgspec

from pilotwire.core.evse_link import (
    Limits,
    Needs,
    Paused,
    ProfileChosen,
    Requested,
)
from pilotwire.core.machines import Close
from pilotwire.protocols.exi.codec import Message

from ..config import Dialect, Payment, Random, SeccConfig
from ..exchange import within
from ..exchange_secc import CLOSING, CONTACTOR, STOPPING, Handler
from ..exchange_secc_dc import CABLE, DcSecc
from ..physical import amperes, is_in, milli, volts, whole
from ..pnc import SeccPnc
from . import answers, contract, services
from .schedules import Points, exceeds, sa_schedules
from .states import ALLOWED, CLAUSES, LOOP
from .timers import LIMITS

ONGOING: Final = "V2G_SECC_Ongoing_Performance_Time"
EXTERNAL: Final = "EVSE_Authorization_External"
MOST_PAUSED: Final = 16
"""Sessions of one outlet that sleep; the one that sleeps longest is forgotten for another."""
_DC_MODES: Final = ("DC_extended", "DC_core")
_PAYMENTS: Final[dict[str, Payment]] = {"ExternalPayment": "external", "Contract": "contract"}


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What stays of a session that sleeps ([V2G2-741])."""

    evccid: bytes
    payment: Payment
    chain: tuple[bytes, ...] = ()
    emaid: str = ""
    schedule: int = 1
    mode: str = ""


class Iso2Secc(DcSecc):
    """See the module."""

    schema = "iso2"
    protocol = "iso15118-2"
    title = "ISO 15118-2"
    LIMITS = LIMITS
    ALLOWED = ALLOWED
    LOOP = LOOP
    CLAUSES = CLAUSES
    CONTACTOR_CODE = "FAILED_ContactorError"
    NO_MONITOR = "No_IMD"

    def __init__(
        self,
        config: SeccConfig,
        dialect: Dialect,
        *,
        random: Random,
        tls: bool,
        pnc: SeccPnc | None = None,
        paused: MutableMapping[bytes, Any],
    ) -> None:
        super().__init__(config, random=random, tls=tls, pnc=pnc, paused=paused)
        self._dc = "DC" in config.services
        """What refusals look like before the vehicle has chosen."""
        self._kept: Kept | None = None
        self._payment: Payment = "external"
        self._mode = ""
        self._chosen: set[tuple[int, int | None]] = set()
        """(service, parameter set)"""
        self._said: dict[int, Points] = {}
        """SAScheduleTupleID → what was told."""
        self._names: dict[int, int] = {}
        """SAScheduleTupleID → what the station calls the schedule."""
        self._schedule = 1
        self._meter_said: Message | None = None
        self._ev_ma = 0
        self._three_phases = False
        # Plug & Charge
        self._chain: tuple[bytes, ...] = ()
        self._emaid = ""
        self._challenge = b""
        self._signed = False
        """The vehicle has shown that the contract is its own."""

    # ── set-up and choice ────────────────────────────────────────────────────────────────────────────────────────────
    def _session_setup(self, body: Message, now: int) -> None:
        self._kept = self._set_up(body["EVCCID"])
        code = "OK_NewSessionEstablished" if self._kept is None else "OK_OldSessionJoined"
        said = {"ResponseCode": code, "EVSEID": self._config.evse_id, "EVSETimeStamp": now // 1000}
        self._answer("SessionSetupRes", said, now, "ServiceDiscovery")

    @property
    def _payments(self) -> tuple[Payment, ...]:
        if self._kept is not None:
            return (self._kept.payment,)
        may = self._tls and self._pnc is not None
        return tuple(one for one in self._config.payments if one != "contract" or may) or ("external",)

    @property
    def _modes(self) -> tuple[str, ...]:
        """EnergyTransferModes, the best first; those of AC by the phases of the offer."""
        if self._kept is not None and self._kept.mode:
            return (self._kept.mode,)
        modes: tuple[str, ...] = ()
        for service in self._config.services:
            if service == "DC":
                modes += _DC_MODES
            elif service == "AC":
                three = self._offer is None or self._offer.phases == 3
                modes += ("AC_three_phase_core", "AC_single_phase_core") if three else ("AC_single_phase_core",)
        return modes

    def _service_discovery(self, body: Message, now: int) -> None:
        offered = services.offered(self._config, contract="contract" in self._payments)
        names = {"external": "ExternalPayment", "contract": "Contract"}
        said: Message = {
            "ResponseCode": "OK",
            "PaymentOptionList": {"PaymentOption": [names[one] for one in self._payments]},
            "ChargeService": {
                "ServiceID": services.CHARGING,
                "ServiceName": "AC_DC_Charging",
                "ServiceCategory": "EVCharging",
                "FreeService": self._config.free,
                "SupportedEnergyTransferMode": {"EnergyTransferMode": list(self._modes)},
            },
        }
        listed = services.listed(offered, body.get("ServiceCategory"))
        if listed and body.get("ServiceScope") is None:
            said["ServiceList"] = {"Service": listed}
        self._answer("ServiceDiscoveryRes", said, now, "Selection")

    def _service_detail(self, body: Message, now: int) -> None:
        service = body["ServiceID"]
        offered = services.offered(self._config, contract="contract" in self._payments)
        if service != services.CHARGING and service not in offered:
            text = f"service {service} was not offered"
            self._fail("ServiceDetailReq", "FAILED_ServiceIDInvalid", text, "service-detail", now)
            return
        said: Message = {"ResponseCode": "OK", "ServiceID": service}
        if service in offered:
            said["ServiceParameterList"] = {"ParameterSet": services.parameter_sets(service)}
        self._answer("ServiceDetailRes", said, now)

    def _payment_selection(self, body: Message, now: int) -> None:
        request = "PaymentServiceSelectionReq"
        payment = _PAYMENTS[body["SelectedPaymentOption"]]
        chosen = {
            (cast(int, one["ServiceID"]), cast("int | None", one.get("ParameterSetID")))
            for one in body["SelectedServiceList"]["SelectedService"]
        }
        offered = services.offered(self._config, contract=payment == "contract")
        wrong = services.wrong(chosen, offered)
        if payment not in self._payments:
            text = f"{body['SelectedPaymentOption']} was not offered"
            self._fail(request, "FAILED_PaymentSelectionInvalid", text, "selection", now)
        elif wrong:
            self._fail(request, "FAILED_ServiceSelectionInvalid", wrong, "selection", now)
        elif not any(service == services.CHARGING for service, _ in chosen):
            text = "the charging service was not chosen"
            self._fail(request, "FAILED_NoChargeServiceSelected", text, "selection", now)
        else:
            self._payment, self._chosen = payment, chosen
            if payment == "external":
                state = "Authorization"
            elif any(service == services.CERTIFICATE for service, _ in chosen):
                state = "Certificate"
            else:
                state = "PaymentDetails"
            self._answer("PaymentServiceSelectionRes", {"ResponseCode": "OK"}, now, state)

    # ── authorisation ────────────────────────────────────────────────────────────────────────────────────────────────
    def _authorization(self, body: Message, now: int) -> None:
        if self._payment == "contract" and not contract.proven(self, body, now):
            return
        if self._kept is not None and not self._halting:
            self._answer("AuthorizationRes", {"ResponseCode": "OK", "EVSEProcessing": "Finished"}, now, _DISCOVERY)
            return
        timer = EXTERNAL if self._payment == "external" else ONGOING
        processing = "Ongoing" if self._payment == "contract" else "Ongoing_WaitingForCustomerInteraction"
        self._let_in("Authorization", self._payment, timer, processing, now)

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
            self._answer("PowerDeliveryRes", said, now, _DISCOVERY)
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
        if not self._dc:
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
            "EVSEID": self._config.evse_id,
            "SAScheduleTupleID": self._schedule,
            "EVSEMaxCurrent": amperes(self._ac_ma()),
            "AC_EVSEStatus": self._ac_status(now),
        }
        looped = self._metered(said)
        self._answer("ChargingStatusRes", said, now, looped or "AcChargeLoop")

    def _after_loop(self, answer: Message) -> str:
        answer["EVSEID"] = self._config.evse_id
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

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _session_stop(self, body: Message, now: int) -> None:
        charged = self.state in ("WeldingDetection", "SessionStop")
        self._off()
        self._send("SessionStopRes", {"ResponseCode": "OK"})
        pause = body["ChargingSession"] == "Pause"
        if pause and charged and self._fault is None:
            while len(self._paused) >= MOST_PAUSED:
                del self._paused[next(iter(self._paused))]
            self._paused[self.session_id] = Kept(
                evccid=self._evccid,
                payment=self._payment,
                chain=self._chain,
                emaid=self._emaid,
                schedule=self._schedule,
                mode=self._mode,
            )
            self._effects.append(Paused(by="ev"))
            self._effects.append(Close(after_ms=LIMITS[CLOSING], reason="SessionStopReq says Pause"))
            self._finish()
            return
        why = self._why_stopping()
        if why:
            reason = f"the vehicle ended the session (SessionStopReq) after {why}"
        elif charged:
            reason = "the vehicle ended the session in order (SessionStopReq)"
        else:
            reason = f"the vehicle ended the session before charging (SessionStopReq for {self._waited()})"
        emergency = self._stop is not None and self._stop.emergency
        self._end(reason, "evse" if why else "ev", ok=self._fault is None and not emergency and not self._ev_error)

    # ── timers ───────────────────────────────────────────────────────────────────────────────────────────────────────
    def _expired(self, name: str, now: int) -> None:
        if name == CABLE:
            self._cable_expired()
        elif name in (ONGOING, EXTERNAL):
            self._late.add(name)
        elif name == contract.CERTIFICATE:
            contract.nothing_came(self, now)
        else:
            super()._expired(name, now)

    def _on_certificate(self, command: Any, now: int) -> None:
        contract.came(self, command, now)

    def _failed_answer(self, request: str, code: str) -> Message:
        ac = request == "ChargingStatusReq"
        dc_only = request in ("CableCheckReq", "PreChargeReq", "CurrentDemandReq", "WeldingDetectionReq")
        dc = (self._dc or dc_only) and not ac
        status: Message | None = None
        if self._fault is not None or self._stop is not None or (dc and self._isolation is not None):
            now = self._due.get(STOPPING, 0)
            status = self._dc_status("EVSE_Shutdown", now) if dc else self._ac_status(now)
        return answers.refusal(request, code, evse_id=self._config.evse_id, dc=dc, status=status)

    HANDLERS: ClassVar[Mapping[str, Handler]] = {
        "SessionSetupReq": _session_setup,
        "ServiceDiscoveryReq": _service_discovery,
        "ServiceDetailReq": _service_detail,
        "PaymentServiceSelectionReq": _payment_selection,
        "CertificateInstallationReq": contract.install,
        "CertificateUpdateReq": contract.update,
        "PaymentDetailsReq": contract.details,
        "AuthorizationReq": _authorization,
        "ChargeParameterDiscoveryReq": _discovery,
        "PowerDeliveryReq": _power_delivery,
        "ChargingStatusReq": _charging_status,
        "MeteringReceiptReq": contract.receipt,
        "CableCheckReq": DcSecc._cable_check,
        "PreChargeReq": DcSecc._pre_charge,
        "CurrentDemandReq": DcSecc._current_demand,
        "WeldingDetectionReq": DcSecc._welding_detection,
        "SessionStopReq": _session_stop,
    }


_DISCOVERY: Final = "ChargeParameterDiscovery"
_UNITS: Final = {
    True: {"EVMaximumCurrentLimit": "A", "EVMaximumVoltageLimit": "V", "EVMaximumPowerLimit": "W",
           "EVEnergyCapacity": "Wh", "EVEnergyRequest": "Wh"},
    False: {"EAmount": "Wh", "EVMaxVoltage": "V", "EVMaxCurrent": "A", "EVMinCurrent": "A"},
}  # fmt: skip


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
