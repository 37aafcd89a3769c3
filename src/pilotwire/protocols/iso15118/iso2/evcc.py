"""The EVCC of ISO 15118-2: AC and DC, external payment and Plug & Charge.

    evcc = Iso2Evcc(config, "iso2", random=random, tls=False)
    evcc.command(Drive(...), now)          # what the battery is and wants; again when it changes
    evcc.start(now)                        # → effects: Send(Frame), Close, events of core.ev_link
    evcc.receive(Frame(0x8001, exi), now)

It begins with SessionSetupReq, behind supportedAppProtocol. `kept`, once it has parted with `paused=True`, is what
`resume` of the next one wants. Requests of a loop follow one another at the pace of `timers.PACE`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Literal, cast

import msgspec

from pilotwire.core.ev_link import Allowed
from pilotwire.core.evse_link import Fault, Service
from pilotwire.protocols.exi.codec import Message

from ..config import Dialect, EvccConfig, Payment, Random
from ..exchange import within
from ..exchange_evcc import ONGOING
from ..exchange_evcc_dc import DcEvcc
from ..pnc import EvccPnc, chain_element, root_ids, signed_by_contract, signed_by_provisioning
from . import services
from .evcc_power import CLAUSES, PowerEvcc
from .timers import LIMITS, MESSAGES, PACE


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a vehicle keeps of a session that sleeps."""

    session_id: bytes
    payment: Payment
    mode: str


class Iso2Evcc(PowerEvcc):
    """See the module."""

    schema = "iso2"
    protocol = "iso15118-2"
    MESSAGES = MESSAGES
    LIMITS = LIMITS
    PACE = PACE
    CLAUSES = CLAUSES

    def __init__(
        self,
        config: EvccConfig,
        dialect: Dialect,
        *,
        random: Random,
        tls: bool,
        pnc: EvccPnc | None = None,
        resume: Any = None,
    ) -> None:
        super().__init__(config, random=random, tls=tls, pnc=pnc)
        self.kept: Kept | None = None
        """What is kept of this session once it sleeps."""
        self._resume: Kept | None = resume if isinstance(resume, Kept) else None
        self._service: Service = "DC"
        self._evse_id = ""
        self._certificate: Literal["", "install", "update"] = ""
        self._challenge = b""
        self._resumed = False
        self._pausing = False

    # ── set-up and choice ────────────────────────────────────────────────────────────────────────────────────────────
    def _begin(self, now: int) -> None:
        if self._resume is not None:
            self.session_id = self._resume.session_id
        self._request("SessionSetup", {"EVCCID": self._config.mac}, now)

    def _session_setup(self, body: Message, now: int) -> None:
        self.session_id = self._header["SessionID"]
        self._resumed = body["ResponseCode"] == "OK_OldSessionJoined"
        if not self._resumed:
            self._resume = None
        self._evse_id = body["EVSEID"]
        self._linked(self._evse_id, resumed=self._resumed)
        if not self._turned(now):
            self._request("ServiceDiscovery", {}, now)

    def _service_discovery(self, body: Message, now: int) -> None:
        service = body["ChargeService"]
        listed = cast(list[Message], within(body, "ServiceList").get("Service", []))
        certificates = any(one["ServiceID"] == services.CERTIFICATE for one in listed)
        payment = self._choose_payment(body["PaymentOptionList"]["PaymentOption"], certificates, now)
        mode = self._choose_mode(service["SupportedEnergyTransferMode"]["EnergyTransferMode"])
        if payment is None or mode is None:
            lacking = "no payment option" if payment is None else "no energy transfer"
            text = f"{lacking} that the vehicle takes is offered"
            self._effects.append(
                Fault(
                    code="NothingInCommon",
                    by="evse",
                    text=text,
                    rule=f"ServiceDiscoveryRes: {CLAUSES['choice']}",
                )
            )
            self._stop_because(text, "evse", failed=True)
            self._turned(now)
            return
        self._payment, self._mode = payment, mode
        self._linked(self._evse_id, resumed=self._resumed, service=self._service)
        if self._turned(now):
            return
        if self._certificate:
            self._request("ServiceDetail", {"ServiceID": services.CERTIFICATE}, now)
        else:
            self._ask_selection([{"ServiceID": service["ServiceID"]}], now)

    def _choose_payment(self, offered: list[str], certificates: bool, now: int) -> Payment | None:
        """The vehicle's first choice of what is offered; a contract that it lacks may be installed."""
        pnc = cast("EvccPnc | None", self._pnc)
        for one in self._config.payments if self._resume is None else (self._resume.payment,):
            if one == "external" and "ExternalPayment" in offered:
                return "external"
            if one == "contract" and "Contract" in offered and self._tls and pnc is not None:
                has = bool(pnc.chain("iso2"))
                update = has and certificates and (self._config.update or pnc.expires_soon("iso2", now))
                install = not has and certificates and self._config.install and bool(pnc.provisioning_chain("iso2"))
                if has or install:
                    self._certificate = "update" if update else "install" if install else ""
                    return "contract"
        return None

    def _choose_mode(self, offered: list[str]) -> str | None:
        if self._resume is not None and self._resume.mode in offered:
            self._service = "DC" if self._resume.mode.startswith("DC") else "AC"
            return self._resume.mode
        three = self._wants.phases == 3
        for service in self._config.services:
            if service == "DC":
                wanted = ("DC_extended", "DC_core", "DC_combo_core", "DC_unique")
            elif service == "AC":
                wanted = ("AC_three_phase_core", "AC_single_phase_core") if three else ("AC_single_phase_core",)
            else:
                continue
            for mode in wanted:
                if mode in offered:
                    self._service = service
                    return mode
        return None

    def _service_detail(self, body: Message, now: int) -> None:
        wanted = services.INSTALLATION if self._certificate == "install" else services.UPDATE
        sets = cast(list[Message], within(body, "ServiceParameterList").get("ParameterSet", []))
        selected: list[Message] = [{"ServiceID": services.CHARGING}]
        if any(one["ParameterSetID"] == wanted for one in sets):
            selected.append({"ServiceID": services.CERTIFICATE, "ParameterSetID": wanted})
        elif self._certificate == "install":
            self._stop_because("the station installs no contract certificates", "evse", failed=True)
        else:
            self._certificate = ""
        if not self._turned(now):
            self._ask_selection(selected, now)

    def _ask_selection(self, selected: list[Message], now: int) -> None:
        option = "Contract" if self._payment == "contract" else "ExternalPayment"
        said: Message = {"SelectedPaymentOption": option, "SelectedServiceList": {"SelectedService": selected}}
        self._request("PaymentServiceSelection", said, now)

    def _selection(self, body: Message, now: int) -> None:
        if self._turned(now):
            return
        if self._payment == "external":
            self._ask_authorization(now)
        elif self._certificate == "install":
            self._ask_installation(now)
        elif self._certificate == "update":
            self._ask_update(now)
        else:
            self._ask_details(now)

    # ── Plug & Charge ────────────────────────────────────────────────────────────────────────────────────────────────
    def _ask_installation(self, now: int) -> None:
        said: Message = {
            "Id": "id1",
            "OEMProvisioningCert": self._keys.provisioning_chain("iso2")[0],
            "ListOfRootCertificateIDs": root_ids(self._keys.roots("iso2")),
        }
        self._request("CertificateInstallation", said, now, signed_by_provisioning(self._keys, "iso2", said))

    def _ask_update(self, now: int) -> None:
        said: Message = {
            "Id": "id1",
            "ContractSignatureCertChain": chain_element(self._keys.chain("iso2")),
            "eMAID": self._keys.emaid("iso2"),
            "ListOfRootCertificateIDs": root_ids(self._keys.roots("iso2")),
        }
        signature = signed_by_contract(self._keys, "iso2", "CertificateUpdateReq", said)
        self._request("CertificateUpdate", said, now, signature)

    def _installed(self, body: Message, now: int) -> None:
        """CertificateInstallationRes and CertificateUpdateRes."""
        verdict = self._keys.take("iso2", body, self._header.get("Signature"), now)
        if not verdict.ok:
            text = f"the contract certificate is not taken: {verdict.text or verdict.code}"
            self._effects.append(
                Fault(code="CertificateNotTaken", by="evse", text=text, rule=f"ContractSignatureCertChain: {_INSTALL}")
            )
            self._stop_because(text, "evse", failed=True)
        if not self._turned(now):
            self._ask_details(now)

    def _ask_details(self, now: int) -> None:
        chain = chain_element(self._keys.chain("iso2"))
        said: Message = {"eMAID": self._keys.emaid("iso2"), "ContractSignatureCertChain": chain}
        self._request("PaymentDetails", said, now)

    def _details(self, body: Message, now: int) -> None:
        self._challenge = body["GenChallenge"]
        if not self._turned(now):
            self._ask_authorization(now)

    def _ask_authorization(self, now: int) -> None:
        if self._payment == "external":
            self._request("Authorization", {}, now)
            return
        said: Message = {"Id": "id1", "GenChallenge": self._challenge}
        self._request("Authorization", said, now, signed_by_contract(self._keys, "iso2", "AuthorizationReq", said))

    def _authorization(self, body: Message, now: int) -> None:
        processing = body["EVSEProcessing"]
        if processing == "Finished":
            self._due.pop(ONGOING, None)
            self._effects.append(Allowed())
            if not self._turned(now):
                self._driven(self._ask_discovery, now)
            return
        if processing == "Ongoing":
            self._due.setdefault(ONGOING, now + LIMITS[ONGOING])
        else:
            self._due.pop(ONGOING, None)  # who waits for a person waits as long as the person takes ([V2G2-854])
        if not self._turned(now):
            self._later(self._ask_authorization, "Authorization", now)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _ask_stop(self, now: int) -> None:
        pause = self._goal == "rest" and self._ending
        self._ending = True
        self._pausing = pause
        self._due.clear()
        self._request("SessionStop", {"ChargingSession": "Pause" if pause else "Terminate"}, now)

    def _session_stop(self, body: Message, now: int) -> None:
        if self._pausing:
            self.kept = Kept(session_id=self.session_id, payment=self._payment, mode=self._mode)
        self._part(paused=self._pausing)

    ANSWERS: ClassVar[Mapping[str, Callable[[Any, Message, int], None]]] = {
        "SessionSetup": _session_setup,
        "ServiceDiscovery": _service_discovery,
        "ServiceDetail": _service_detail,
        "PaymentServiceSelection": _selection,
        "CertificateInstallation": _installed,
        "CertificateUpdate": _installed,
        "PaymentDetails": _details,
        "Authorization": _authorization,
        "ChargeParameterDiscovery": PowerEvcc._discovery,
        "PowerDelivery": PowerEvcc._power_delivery,
        "ChargingStatus": PowerEvcc._charging_status,
        "MeteringReceipt": PowerEvcc._metering_receipt,
        "CableCheck": DcEvcc._cable_check,
        "PreCharge": DcEvcc._pre_charge,
        "CurrentDemand": DcEvcc._current_demand,
        "WeldingDetection": DcEvcc._welding_detection,
        "SessionStop": _session_stop,
    }


_INSTALL: Final = CLAUSES["signature"]
