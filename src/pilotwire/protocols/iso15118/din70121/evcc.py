"""The EVCC of DIN SPEC 70121: direct current, external payment.

    evcc = DinEvcc(config, "din", random=random, tls=False)
    evcc.command(Drive(...), now)          # what the battery is and wants; again when it changes
    evcc.start(now)                        # → effects: Send(Frame), Close, events of core.ev_link
    evcc.receive(Frame(0x8001, exi), now)

It begins with SessionSetupReq, behind supportedAppProtocol. DIN knows no pause: `Rest` ends the session in order, and
`Ask` has no message and is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, cast

from pilotwire.core.ev_link import Allowed
from pilotwire.core.evse_link import Fault
from pilotwire.protocols.exi.codec import Message

from ..config import Dialect, EvccConfig, Random
from ..exchange_evcc_dc import DcEvcc
from ..pnc import EvccPnc
from . import schedules
from .schedules import MOST_W
from .timers import LIMITS, MESSAGES, PACE

READY: Final = "V2G_EVCC_ReadyToCharge_Timeout"

CLAUSES: Final[dict[str, str]] = {
    "parse": "DIN SPEC 70121 9.1",
    "sequence": "DIN SPEC 70121 9.7.3, a response that was not waited for",
    "refused": "DIN SPEC 70121 9.7.3, a response code that says FAILED",
    "session": "DIN SPEC 70121 9.1, SessionID",
    "timeout": "DIN SPEC 70121 9.6.4 and 9.6.5, tables 75 to 77",
    "choice": "DIN SPEC 70121 9.4.1.3, nothing is offered that the vehicle takes",
}


class DinEvcc(DcEvcc):
    """See the module."""

    schema = "din"
    protocol = "din70121"
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
        self.kept: Any = None
        """Nothing sleeps in DIN."""
        self._evse_id = ""
        self._schedule = 1
        self._starting = False

    def _begin(self, now: int) -> None:
        self._due[READY] = now + LIMITS[READY]
        self._request("SessionSetup", {"EVCCID": self._config.mac}, now)

    def _session_setup(self, body: Message, now: int) -> None:
        self.session_id = self._header["SessionID"]
        self._evse_id = body["EVSEID"].hex().upper()
        self._linked(self._evse_id, resumed=False)
        if not self._turned(now):
            self._request("ServiceDiscovery", {}, now)

    def _service_discovery(self, body: Message, now: int) -> None:
        service = body["ChargeService"]
        text = ""
        if "ExternalPayment" not in body["PaymentOptions"]["PaymentOption"] or "external" not in self._config.payments:
            text = "no payment option that the vehicle takes is offered"
        elif "DC" not in service["EnergyTransferType"] or "DC" not in self._config.services:
            text = "no energy transfer that the vehicle takes is offered"
        if text:
            rule = f"ServiceDiscoveryRes: {CLAUSES['choice']}"
            self._effects.append(Fault(code="NothingInCommon", by="evse", text=text, rule=rule))
            self._stop_because(text, "evse", failed=True)
            self._turned(now)
            return
        self._linked(self._evse_id, resumed=False, service="DC")
        if not self._turned(now):
            chosen = [{"ServiceID": service["ServiceTag"]["ServiceID"]}]
            said: Message = {
                "SelectedPaymentOption": "ExternalPayment",
                "SelectedServiceList": {"SelectedService": chosen},
            }
            self._request("ServicePaymentSelection", said, now)

    def _selection(self, body: Message, now: int) -> None:
        if not self._turned(now):
            self._ask_authentication(now)

    def _ask_authentication(self, now: int) -> None:
        self._request("ContractAuthentication", {}, now)

    def _authentication(self, body: Message, now: int) -> None:
        finished = body["EVSEProcessing"] == "Finished"
        if finished:
            self._effects.append(Allowed())
        if self._turned(now):
            return
        if finished:
            self._driven(self._ask_discovery, now)
        else:
            self._later(self._ask_authentication, "ContractAuthentication", now)

    def _ask_discovery(self, now: int) -> None:
        said: Message = {
            "EVRequestedEnergyTransferType": "DC_extended",
            "DC_EVChargeParameter": self._dc_parameters(),
        }
        self._request("ChargeParameterDiscovery", said, now)

    def _discovery(self, body: Message, now: int) -> None:
        found = cast("Message | None", body.get("DC_EVSEChargeParameter"))
        listed = cast("Message | None", body.get("SAScheduleList"))
        if found is None or listed is None:
            text = "the station gives no DC parameters and schedule"
            self._give_up(text, "evse", "WrongParameter", "choice")
            return
        self._watch(found["DC_EVSEStatus"])
        if body["EVSEProcessing"] != "Finished":
            if not self._turned(now):
                self._later(self._ask_discovery, "ChargeParameterDiscovery", now)
            return
        self._schedules = schedules.read(listed)
        self._schedule = self._schedules[0].id
        self._dc_offered(found)
        if not self._turned(now):
            self._start_cable_check(now)

    # ── power ────────────────────────────────────────────────────────────────────────────────────────────────────────
    def _ask_power(self, now: int) -> None:
        self._starting = True
        points = self._schedules[0].points
        most_w = min(MOST_W, self._wants.max_mw // 1000)
        entries = [
            {"ChargingProfileEntryStart": start, "ChargingProfileEntryMaxPower": min(most_w, mw // 1000)}
            for start, mw in points
        ]
        said: Message = {
            "ReadyToChargeState": True,
            "ChargingProfile": {"SAScheduleTupleID": self._schedule, "ProfileEntry": entries},
            "DC_EVPowerDeliveryParameter": self._delivery(ready=True),
        }
        self._request("PowerDelivery", said, now)

    def _delivery(self, *, ready: bool) -> Message:
        drive = self._wants
        return {
            "DC_EVStatus": self._ev_status(ready=ready),
            "BulkChargingComplete": False,
            "ChargingComplete": drive.soc >= drive.target_soc,
        }

    def _ask_end(self, now: int) -> None:
        self._ending, self._starting = True, False
        said: Message = {"ReadyToChargeState": False, "DC_EVPowerDeliveryParameter": self._delivery(ready=False)}
        self._request("PowerDelivery", said, now)

    def _power_delivery(self, body: Message, now: int) -> None:
        if self._starting:
            self._due.pop(READY, None)
            self._charging = True
            self._ask_demand(now)
        else:
            self._charging = False
            self._open_and_weld(now)

    def _after_demand(self, body: Message, now: int) -> None:
        self._looped = True
        super()._after_demand(body, now)

    def _ask_renegotiation(self, now: int) -> None:
        self._ask_demand(now)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _ask_stop(self, now: int) -> None:
        self._ending = True
        self._due.clear()
        self._request("SessionStop", {}, now)

    def _session_stop(self, body: Message, now: int) -> None:
        self._part()

    ANSWERS: ClassVar[Mapping[str, Callable[[Any, Message, int], None]]] = {
        "SessionSetup": _session_setup,
        "ServiceDiscovery": _service_discovery,
        "ServicePaymentSelection": _selection,
        "ContractAuthentication": _authentication,
        "ChargeParameterDiscovery": _discovery,
        "CableCheck": DcEvcc._cable_check,
        "PreCharge": DcEvcc._pre_charge,
        "PowerDelivery": _power_delivery,
        "CurrentDemand": DcEvcc._current_demand,
        "WeldingDetection": DcEvcc._welding_detection,
        "SessionStop": _session_stop,
    }
