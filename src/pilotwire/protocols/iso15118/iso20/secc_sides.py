"""The side streams of the station: schedules anew, meter readings confirmed, the vehicle's check in and out.

They run beside the main stream: each may have a request open while the main one has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pilotwire.core.evse_link import ReceiptSigned

from .. import pnc, v2gtp
from ..signature import SignatureError
from .receipts import Receipt
from .states import requests
from .wire import Came, sub

if TYPE_CHECKING:
    from .secc import Iso20Secc

Message = dict[str, Any]


class Sides:
    """What may come on a side stream, and the answers."""

    def __init__(self, secc: Iso20Secc) -> None:
        self.secc = secc
        self._wanted: list[Message] = []
        """Readings (MeterInfo, and Receipt where there is one) that the vehicle was told, and has not confirmed."""
        self._receipt = Receipt()
        self._handlers: dict[str, Callable[[Came], None]] = {
            "ScheduleExchangeReq": secc.power.exchange,
            "MeteringConfirmationReq": self._confirmation,
            "VehicleCheckInReq": self._check_in,
            "VehicleCheckOutReq": self._check_out,
            **secc.before.handlers,
        }

    def allowed(self, stream: int) -> frozenset[str]:
        """The requests that may come on a side stream now."""
        secc = self.secc
        found = frozenset[str]()
        if stream == v2gtp.SCHEDULE_RENEGOTIATION and secc.in_loop:
            found = requests("ScheduleExchangeReq")
        elif stream == v2gtp.METERING_CONFIRMATION and self._wanted:
            found = requests("MeteringConfirmationReq")
        elif stream == v2gtp.PARKING_STATUS and secc.session.parking and secc.mode is not None:
            found = requests("VehicleCheckInReq", "VehicleCheckOutReq")
        elif stream == v2gtp.ACDP_SYSTEM_STATUS and secc.dialect == "iso20-acdp" and secc.session.id:
            found = requests("ACDP_SystemStatusReq")
        if secc.mode is not None:
            found |= secc.mode.sides.get(stream, frozenset())
        return found

    def handle(self, came: Came) -> None:
        handler = self._handlers.get(came.name)
        if handler is None:
            assert self.secc.mode is not None
            handler = self.secc.mode.handlers[came.name]
        handler(came)

    # ── meter readings ───────────────────────────────────────────────────────────────────────────────────────────────
    def want_receipt(self) -> None:
        """The command. Confirmations are signed by a contract: without one there is nobody to ask."""
        if self.secc.session.by == "contract":
            self.secc.notices.add("MeteringConfirmation")

    def reading(self, asked: bool) -> Message:
        """MeterInfo for an answer of the loop, where the vehicle asks for it or is to confirm it."""
        secc = self.secc
        confirm = "MeteringConfirmation" in secc.notices
        if not (asked or confirm):
            return {}
        measured = secc.measured
        info: Message = {
            "MeterID": measured.meter_id[:32],
            "ChargedEnergyReadingWh": max(0, measured.energy_wh),
            "MeterTimestamp": secc.now // 1000,
        }
        if measured.signed and len(measured.signed) <= 64:
            info["MeterSignature"] = measured.signed
        if confirm:
            # The loop goes on while the vehicle signs: any of the last few readings is one that it was told.
            told = {"MeterInfo": info, **self._receipt.element()}
            self._wanted = [*self._wanted[-7:], told]
            return told
        return {"MeterInfo": info}

    def count(self) -> None:
        """The meter was read."""
        secc, session = self.secc, self.secc.session
        schedule = session.schedules.get(session.chosen) or next(iter(session.schedules.values()), None)
        self._receipt.read(secc.measured.energy_wh, secc.measured.mw, secc.now, schedule, session.anchor)

    def _confirmation(self, came: Came) -> None:
        secc, session = self.secc, self.secc.session
        data: Message = came.body["SignedMeteringData"]
        signature = came.body["Header"].get("Signature")
        assert secc.pnc is not None
        try:
            pnc.check_signed(secc.pnc, "iso20", came.name, came.body, signature, session.contract[0])
        except SignatureError as error:
            secc.refuse(came, "FAILED_MeteringSignatureNotValid", str(error), "8.3.4.3.11")
            return
        confirmed = {name: data[name] for name in ("MeterInfo", "Receipt") if data.get(name) is not None}
        if data["SessionID"] != session.id or confirmed not in self._wanted:
            text = "it confirms a reading that it was not told"
            secc.refuse(came, "FAILED_MeteringSignatureNotValid", text, "8.3.4.3.11")
            return
        self._wanted = []
        secc.notices.discard("MeteringConfirmation")
        secc.answer(came)
        value: bytes = sub(sub(came.body["Header"], "Signature"), "SignatureValue").get("value", b"")
        secc.emit(ReceiptSigned(energy_wh=data["MeterInfo"]["ChargedEnergyReadingWh"], signature=value))

    # ── parking ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _check_in(self, came: Came) -> None:
        self.secc.answer(came)

    def _check_out(self, came: Came) -> None:
        # What is plugged in and charging cannot leave yet.
        out = "Scheduled" if self.secc.in_loop else "Completed"
        self.secc.answer(came, EVSECheckOutStatus=out)
