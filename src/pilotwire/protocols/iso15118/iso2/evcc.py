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

from pilotwire.core.ev_link import Allowed, Flowing, Offered
from pilotwire.core.evse_link import Fault, Offer, Service
from pilotwire.protocols.exi.codec import Message

from ..config import Dialect, EvccConfig, Payment, Random
from ..exchange import within
from ..exchange_evcc import ONGOING
from ..exchange_evcc_dc import DcEvcc, wanted_wh
from ..physical import amperes, milli, volts, watt_hours, watts
from ..pnc import SUITES, EvccPnc, chain_element, root_ids, signed_by_contract, signed_by_provisioning
from ..signature import Part, SignatureError, check
from . import schedules, services
from .timers import LIMITS, MESSAGES, PACE

MOST_PROFILE: Final = 24
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


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a vehicle keeps of a session that sleeps."""

    session_id: bytes
    payment: Payment
    mode: str


class Iso2Evcc(DcEvcc):
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
        self._payment: Payment = "external"
        self._mode = ""
        self._service: Service = "DC"
        self._evse_id = ""
        self._certificate: Literal["", "install", "update"] = ""
        self._challenge = b""
        self._schedule = 1
        self._loop_answer: Message = {}
        self._resumed = False

    @property
    def _dc(self) -> bool:
        return self._mode.startswith("DC")

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
    @property
    def _keys(self) -> EvccPnc:
        return cast(EvccPnc, self._pnc)

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

    _nominal_mv = 230_000

    # ── power ────────────────────────────────────────────────────────────────────────────────────────────────────────
    def _ask_power(self, now: int) -> None:
        said: Message = {"ChargeProgress": "Start", "SAScheduleTupleID": self._schedule}
        said["ChargingProfile"] = {"ProfileEntry": self._profile()}
        if self._dc:
            said["DC_EVPowerDeliveryParameter"] = self._delivery()
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

    _progress = "Start"

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
            self._close()
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
        if meter is not None:
            self._effects.append(Flowing(energy_wh=meter.get("MeterReading")))
        self._after_loop(body, now)

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

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _ask_stop(self, now: int) -> None:
        pause = self._goal == "rest" and self._ending
        self._ending = True
        self._pausing = pause
        self._due.clear()
        self._request("SessionStop", {"ChargingSession": "Pause" if pause else "Terminate"}, now)

    _pausing = False

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
        "ChargeParameterDiscovery": _discovery,
        "PowerDelivery": _power_delivery,
        "ChargingStatus": _charging_status,
        "MeteringReceipt": _metering_receipt,
        "CableCheck": DcEvcc._cable_check,
        "PreCharge": DcEvcc._pre_charge,
        "CurrentDemand": DcEvcc._current_demand,
        "WeldingDetection": DcEvcc._welding_detection,
        "SessionStop": _session_stop,
    }


_INSTALL: Final = CLAUSES["signature"]


def _as_dc(status: Message) -> Message:
    """AC_EVSEStatus in the words of DC."""
    return {**status, "EVSEStatusCode": "EVSE_Malfunction" if status["RCD"] else "EVSE_Ready"}
