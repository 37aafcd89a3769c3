"""The SECC of ISO 15118-2: AC and DC, external payment and Plug & Charge.

    secc = Iso2Secc(config, "iso2", random=random, tls=False, paused=paused)
    secc.begin(now)                        # supportedAppProtocolRes has been sent
    secc.receive(Frame(0x8001, exi), now)  # → effects: Send(Frame), Close, events of core.evse_link
    secc.command(Offer(...), now)

What the station has not done does not happen: no charging without `Authorize`, no contactor before `Isolation`, no
PowerDeliveryRes OK before `Contactor`. ChargeParameterDiscoveryRes says Ongoing until there is an `Offer`. `paused` is
shared by all sessions of an outlet: the session's ID → what is kept of a session that sleeps. A paused session says
`Paused` and then closes; it is not `Ended`. Who joins it again is asked for no other payment, but `AuthorizationAsked`
again: the station knows whether its session still stands.

`Pause` sets the limits that the vehicle is told to zero, which is how -2 lets a station put charging off.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, ClassVar, Final, cast

import msgspec

from pilotwire.core.evse_link import Paused
from pilotwire.core.machines import Close
from pilotwire.protocols.exi.codec import Message

from ..config import Dialect, Payment, Random, SeccConfig
from ..exchange_commands import STOPPING
from ..exchange_secc import CLOSING, Handler
from ..exchange_secc_dc import CABLE, DcSecc
from ..pnc import SeccPnc
from . import answers, contract, services
from .secc_power import ONGOING, PowerSecc
from .states import ALLOWED, CLAUSES, LOOP
from .timers import LIMITS

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


class Iso2Secc(PowerSecc):
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
        self._kept: Kept | None = None
        self._chosen: set[tuple[int, int | None]] = set()
        """(service, parameter set)"""
        # Plug & Charge
        self._chain: tuple[bytes, ...] = ()
        self._emaid = ""
        self._challenge = b""
        self._signed = False
        """The vehicle has shown that the contract is its own."""

    # ── set-up and choice ────────────────────────────────────────────────────────────────────────────────────────────
    def _session_setup(self, body: Message, now: int) -> None:
        self._kept = self._set_up(body["EVCCID"], Kept)
        code = "OK_NewSessionEstablished" if self._kept is None else "OK_OldSessionJoined"
        said = {"ResponseCode": code, "EVSEID": self._evse_id, "EVSETimeStamp": now // 1000}
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
        timer = EXTERNAL if self._payment == "external" else ONGOING
        processing = "Ongoing" if self._payment == "contract" else "Ongoing_WaitingForCustomerInteraction"
        self._let_in("Authorization", self._payment, timer, processing, now)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _session_stop(self, body: Message, now: int) -> None:
        charged = self.state in ("WeldingDetection", "SessionStop")
        self._off()
        self._send("SessionStopRes", {"ResponseCode": "OK"})
        if self.over:
            return
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
        return answers.refusal(request, code, evse_id=self._evse_id, dc=dc, status=status)

    HANDLERS: ClassVar[Mapping[str, Handler]] = {
        "SessionSetupReq": _session_setup,
        "ServiceDiscoveryReq": _service_discovery,
        "ServiceDetailReq": _service_detail,
        "PaymentServiceSelectionReq": _payment_selection,
        "CertificateInstallationReq": contract.install,
        "CertificateUpdateReq": contract.update,
        "PaymentDetailsReq": contract.details,
        "AuthorizationReq": _authorization,
        "ChargeParameterDiscoveryReq": PowerSecc._discovery,
        "PowerDeliveryReq": PowerSecc._power_delivery,
        "ChargingStatusReq": PowerSecc._charging_status,
        "MeteringReceiptReq": contract.receipt,
        "CableCheckReq": DcSecc._cable_check,
        "PreChargeReq": DcSecc._pre_charge,
        "CurrentDemandReq": DcSecc._current_demand,
        "WeldingDetectionReq": DcSecc._welding_detection,
        "SessionStopReq": _session_stop,
    }
