"""The SECC of DIN SPEC 70121: direct current, external payment.

    secc = DinSecc(config, "din", random=random, tls=False, paused={})
    secc.begin(now)                        # supportedAppProtocolRes has been sent
    secc.receive(Frame(0x8001, exi), now)  # → effects: Send(Frame), Close, events of core.evse_link
    secc.command(Offer(...), now)

DIN knows no pause and no renegotiation that a vehicle answers: every session is a new one, `Pause` sets the current
that the vehicle is told to zero, `Renegotiate` is told to it as EVSENotification and nothing is expected of that.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, ClassVar, Final, cast

from pilotwire.core.evse_link import Limits, Needs, ProfileChosen
from pilotwire.protocols.exi.codec import Message

from ..config import Dialect, Random, SeccConfig
from ..exchange import within
from ..exchange_commands import CONTACTOR, STOPPING
from ..exchange_secc import Handler
from ..exchange_secc_dc import CABLE, DcSecc
from ..physical import is_in, milli, whole
from ..pnc import SeccPnc
from . import answers
from .schedules import Points, exceeds, sa_schedules
from .states import ALLOWED, CLAUSES, LOOP
from .timers import LIMITS

EXTERNAL: Final = "EVSE_Authorization_External"
OFFER: Final = "EVSE_Offer"
POWER: Final = "V2G_SECC_PowerDelivery_Timeout"
WELDING: Final = "V2G_SECC_WeldingDetection_Timeout"
NEAR_MV: Final = 20_000
"""The voltage is that of the battery when it is no further from it."""
_UNITS: Final = {
    "EVMaximumCurrentLimit": "A",
    "EVMaximumVoltageLimit": "V",
    "EVMaximumPowerLimit": "W",
    "EVEnergyCapacity": "Wh",
    "EVEnergyRequest": "Wh",
}


def evse_id_bytes(evse_id: str) -> bytes:
    """EVSEID as hexBinary: nibbles where it is of digits and stars (DIN SPEC 91286), else its letters."""
    if evse_id.isascii() and evse_id.replace("*", "").replace("+", "").isdigit():
        digits = evse_id.replace("+", "").replace("*", "A")
        return bytes.fromhex(digits if len(digits) % 2 == 0 else digits + "A")[:32]
    return evse_id.encode()[:32] or b"\0"


class DinSecc(DcSecc):
    """See the module."""

    schema = "din"
    protocol = "din70121"
    title = "DIN SPEC 70121"
    LIMITS = LIMITS
    ALLOWED = ALLOWED
    LOOP = LOOP
    CLAUSES = CLAUSES
    CONTACTOR_CODE = "FAILED_PowerDeliveryNotApplied"
    NO_MONITOR = "Warning"

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
        self._evse_id = evse_id_bytes(config.evse_id)
        self._said: dict[int, Points] = {}
        self._names: dict[int, int] = {}
        """SAScheduleTupleID → what the station calls the schedule."""

    def _session_setup(self, body: Message, now: int) -> None:
        self._set_up(body["EVCCID"])  # nothing sleeps in DIN: always a new session
        said: Message = {
            "ResponseCode": "OK_NewSessionEstablished",
            "EVSEID": self._evse_id,
            "DateTimeNow": now // 1000,
        }
        self._answer("SessionSetupRes", said, now, "ServiceDiscovery")

    def _service_discovery(self, body: Message, now: int) -> None:
        said: Message = {
            "ResponseCode": "OK",
            "PaymentOptions": {"PaymentOption": ["ExternalPayment"]},
            "ChargeService": answers.service(self._config.free),
        }
        self._answer("ServiceDiscoveryRes", said, now, "Selection")

    def _payment_selection(self, body: Message, now: int) -> None:
        request = "ServicePaymentSelectionReq"
        chosen = {cast(int, one["ServiceID"]) for one in body["SelectedServiceList"]["SelectedService"]}
        if body["SelectedPaymentOption"] != "ExternalPayment":
            text = f"{body['SelectedPaymentOption']} was not offered"
            self._fail(request, "FAILED_PaymentSelectionInvalid", text, "selection", now)
        elif chosen != {1}:
            text = f"of the services {sorted(chosen)} only 1 was offered"
            self._fail(request, "FAILED_ServiceSelectionInvalid", text, "selection", now)
        else:
            said: Message = {"ResponseCode": "OK"}
            self._answer("ServicePaymentSelectionRes", said, now, "ContractAuthentication")

    def _authentication(self, body: Message, now: int) -> None:
        self._let_in("ContractAuthentication", "external", EXTERNAL, "Ongoing", now)

    def _discovery(self, body: Message, now: int) -> None:
        request = "ChargeParameterDiscoveryReq"
        mode = cast(str, body["EVRequestedEnergyTransferType"])
        found = cast("Message | None", body.get("DC_EVChargeParameter"))
        if not mode.startswith("DC"):
            text = f"{mode} was not offered"
            self._fail(request, "FAILED_WrongEnergyTransferType", text, "parameters", now, code="InvalidVehicleMode")
            return
        wrong = "there are no DC_EVChargeParameter" if found is None else self._wrong(found)
        if wrong or found is None:
            self._fail(request, "FAILED_WrongChargeParameter", wrong, "parameters", now, code="InvalidVehicleMode")
            return
        self._told(found)
        said: Message = {"ResponseCode": "OK", "EVSEProcessing": "Finished"}
        parameters = {"DC_EVSEChargeParameter": self._dc_parameters(now)}
        if self._offer is None and not self._halting:
            if OFFER in self._late:
                text = f"the station offered nothing within {LIMITS[OFFER] // 1000} s"
                self._fail(request, "FAILED", text, "timeout", now, code=OFFER, by="evse")
                return
            self._due.setdefault(OFFER, now + LIMITS[OFFER])
            said |= {"EVSEProcessing": "Ongoing", "SAScheduleList": answers.no_power(), **parameters}
            self._answer("ChargeParameterDiscoveryRes", said, now)
            return
        self._due.pop(OFFER, None)
        schedules, self._said, self._names = sa_schedules(self._schedules.values(), now, self._most_mw())
        self._cable_late = False
        said |= {"SAScheduleList": schedules, **parameters}
        self._answer("ChargeParameterDiscoveryRes", said, now, "CableCheck")

    def _wrong(self, found: Message) -> str:
        """What cannot be right in a vehicle's parameters, in words; nothing: all is well."""
        for name, unit in _UNITS.items():
            value = found.get(name)
            if value is not None and not is_in(value, unit):
                return f"{name} is in {value['Unit']}, not in {unit}"
            if value is not None and value["Value"] < 0:
                return f"{name} is negative"
        most, offer = milli(found["EVMaximumVoltageLimit"]), self._offer
        if offer is not None and most < offer.min_mv:
            return f"the vehicle takes at most {most} mV, the station gives no less than {offer.min_mv} mV"
        return ""

    def _told(self, found: Message) -> None:
        """What the vehicle has said of itself, as events."""
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
            )
        )
        self._ev_status("ChargeParameterDiscoveryReq", found["DC_EVStatus"])

    # ── power ────────────────────────────────────────────────────────────────────────────────────────────────────────
    def _pre_charge(self, body: Message, now: int) -> None:
        self._due.setdefault(POWER, now + LIMITS[POWER])
        super()._pre_charge(body, now)

    def _power_delivery(self, body: Message, now: int) -> None:
        request = "PowerDeliveryReq"
        self._due.pop(POWER, None)
        if not body["ReadyToChargeState"]:
            self._open(now)
            said: Message = {"ResponseCode": "OK", "DC_EVSEStatus": self._dc_status("EVSE_NotReady", now)}
            self._answer("PowerDeliveryRes", said, now, "WeldingDetection")
            return
        if self.state in LOOP:
            text = "PowerDeliveryReq says that it is ready to charge, and charges"
            self._fail(request, "FAILED_SequenceError", text, "delivery", now)
            return
        profile = within(body, "ChargingProfile")
        schedule = cast(int, profile.get("SAScheduleTupleID", next(iter(self._said))))
        chosen = self._said.get(schedule)
        entries = [
            (cast(int, one["ChargingProfileEntryStart"]), cast(int, one["ChargingProfileEntryMaxPower"]) * 1000)
            for one in cast(list[Message], profile.get("ProfileEntry", []))
        ]
        measured = self._measured
        if chosen is None:
            text = f"schedule {schedule} was not offered"
            self._fail(request, "FAILED_TariffSelectionInvalid", text, "delivery", now)
        elif exceeds(chosen, entries):
            text = f"the charging profile is above what schedule {schedule} allows"
            self._fail(request, "FAILED_ChargingProfileInvalid", text, "delivery", now)
        elif self._halting or not self._isolated or self._ev_error:
            text = self._why_stopping() or "the vehicle has told of an error"
            clause = "stop" if self._halting else "delivery"
            told = self._fault is not None
            self._fail(request, "FAILED_PowerDeliveryNotApplied", text, clause, now, told=told)
        elif measured is not None and measured.mv + NEAR_MV < min(self._precharge_mv, self._most_mv):
            text = f"there are {measured.mv} mV at the outlet, {self._precharge_mv} mV were asked for"
            self._fail(request, "FAILED_EVSEPresentVoltageToLow", text, "delivery", now, code="UnderVoltage", by="evse")
        else:
            self._effects.append(ProfileChosen(schedule=self._names[schedule], points=tuple(entries)))
            self._close()
            if self._contactor:
                self._power_on(now)
            else:
                self._held = request
                self._due[CONTACTOR] = now + LIMITS[CONTACTOR]

    @property
    def _most_mv(self) -> int:
        offer = self._offer
        return self._precharge_mv if offer is None or offer.max_mv is None else offer.max_mv

    def _power_on(self, now: int) -> None:
        said: Message = {"ResponseCode": "OK", "DC_EVSEStatus": self._dc_status("EVSE_Ready", now)}
        self._answer("PowerDeliveryRes", said, now, "FirstDemand")

    def _after_loop(self, answer: Message) -> str:
        self._renegotiating = False  # told once; DIN has no answer to it
        return "ChargeLoop"

    def _welding_detection(self, body: Message, now: int) -> None:
        self._due.setdefault(WELDING, now + LIMITS[WELDING])
        super()._welding_detection(body, now)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _session_stop(self, body: Message, now: int) -> None:
        charged = self.state == "WeldingDetection"
        self._off()
        self._send("SessionStopRes", {"ResponseCode": "OK"})
        if self.over:
            return
        why = self._why_stopping()
        if why:
            reason = f"the vehicle ended the session (SessionStopReq) after {why}"
        elif charged:
            reason = "the vehicle ended the session in order (SessionStopReq)"
        else:
            reason = f"the vehicle ended the session before charging (SessionStopReq for {self._waited()})"
        self._end(reason, "evse" if why else "ev", ok=not self._dead)

    def _never(self, body: Message, now: int) -> None:
        """Of the schema alone: in no state of the table."""

    def _expired(self, name: str, now: int) -> None:
        if name == CABLE:
            self._cable_expired()
        elif name in (EXTERNAL, OFFER):
            self._late.add(name)
        elif name in (POWER, WELDING):
            request = "PreChargeReq" if name == POWER else "WeldingDetectionReq"
            text = f"the vehicle was not done with {request} within {LIMITS[name] // 1000} s"
            self._break_off(text, "ev", code=name, rule=f"{request}: {CLAUSES['timeout']}")
        else:
            super()._expired(name, now)

    def _failed_answer(self, request: str, code: str) -> Message:
        status: Message | None = None
        if self._halting or self._isolation is not None:
            status = self._dc_status("EVSE_Shutdown", self._due.get(STOPPING, 0))
        return answers.refusal(request, code, evse_id=self._evse_id, status=status)

    HANDLERS: ClassVar[Mapping[str, Handler]] = {
        "SessionSetupReq": _session_setup,
        "ServiceDiscoveryReq": _service_discovery,
        "ServicePaymentSelectionReq": _payment_selection,
        "ContractAuthenticationReq": _authentication,
        "ChargeParameterDiscoveryReq": _discovery,
        "CableCheckReq": DcSecc._cable_check,
        "PreChargeReq": _pre_charge,
        "PowerDeliveryReq": _power_delivery,
        "CurrentDemandReq": DcSecc._current_demand,
        "WeldingDetectionReq": _welding_detection,
        "SessionStopReq": _session_stop,
        "ServiceDetailReq": _never,
        "PaymentDetailsReq": _never,
        "CertificateInstallationReq": _never,
        "CertificateUpdateReq": _never,
        "ChargingStatusReq": _never,
        "MeteringReceiptReq": _never,
    }
