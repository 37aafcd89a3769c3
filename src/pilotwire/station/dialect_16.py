"""OCPP 1.6 for the station program: what happened → messages, answers → what to do.

1.6 knows a transaction only by the CSMS's id, which arrives with StartTransaction.conf. The messages of the transaction
wait in the outbox behind that request, so the id is filled in when they are sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire.core.time import from_datetime, to_datetime
from pilotwire.protocols.ocpp import v16
from pilotwire.protocols.ocpp.v16 import messages as m

from .authorization import ACCEPTED, Grant
from .evse import Evse
from .host import BootVerdict, OnAnswer
from .monitors import Event
from .outbox import Queued
from .sessions import Reading, Session
from .states import status_16

if TYPE_CHECKING:
    from .program import Station

_encode = msgspec.json.Encoder(decimal_format="number").encode
_UNKNOWN = -1
"""The transactionId when the CSMS never gave one: it refused the StartTransaction for good."""

_FAULTS = frozenset(
    {
        "ConnectorLockFailure", "EVCommunicationError", "GroundFailure", "HighTemperature", "InternalError",
        "OtherError", "OverCurrentFailure", "OverVoltage", "PowerMeterFailure", "PowerSwitchFailure", "ReaderFailure",
        "ResetFailure", "UnderVoltage", "WeakSignal",
    }
)  # fmt: skip


class Dialect16:
    """See `pilotwire.station.dialect.Dialect`."""

    __slots__ = ("_minus_one", "_station", "_transactions", "m")

    def __init__(self, station: Station) -> None:
        self.m = m
        self._station = station
        self._transactions: dict[str, int] = {}
        """transactionId by session key, as long as messages of it may have to be sent."""
        self._minus_one: set[str] = set()

    # ── boot, heartbeat, authorization ───────────────────────────────────────────────────────────────────────────

    def boot_request(self, reason: str) -> msgspec.Struct:
        config = self._station.config
        return m.BootNotificationRequest(
            charge_point_vendor=config.vendor[:20],
            charge_point_model=config.model[:20],
            charge_point_serial_number=config.serial[:25] or None,
            firmware_version=self._station.maintenance.version[:50],
        )

    def boot_verdict(self, response: m.BootNotificationResponse) -> BootVerdict:
        return BootVerdict(response.status, response.interval, from_datetime(response.current_time))

    def current_time(self, response: m.HeartbeatResponse) -> int:
        return from_datetime(response.current_time)

    def authorize_request(self, token: str, token_type: str) -> msgspec.Struct:
        return m.AuthorizeRequest(id_tag=token)

    def authorize_grant(self, response: m.AuthorizeResponse) -> Grant:
        return grant_of(response.id_tag_info)

    # ── status ───────────────────────────────────────────────────────────────────────────────────────────────────

    def status(self, evse: Evse) -> str:
        return status_16(
            evse.phase,
            faulted=bool(evse.fault),
            available=evse.available,
            reserved=self._station.reservations.holder(evse) is not None,
        )

    def report_station(self) -> None:
        self.report_main()

    def report_main(self) -> None:
        """Connector 0: Available unless every connector is out of service."""
        self._status(0, self._main_status(), "NoError")

    def _main_status(self) -> str:
        inoperative = all(not evse.available for evse in self._station.evses)
        return "Unavailable" if inoperative else "Available"

    def report_status(self, evse: Evse, status: str, *, back: bool = False) -> None:
        error = (evse.fault if evse.fault in _FAULTS else "OtherError") if evse.fault else "NoError"
        if not evse.fault and evse.session is not None and evse.unlocked:
            error = "ConnectorLockFailure"
        pulled = evse.car is None and status in ("Finishing", "SuspendedEV")
        info = "EV side disconnected" if pulled else evse.fault_text[:50] or None
        done = self._station.availability.told(evse, status)
        self._status(evse.id, status, error, done, info, evse.fault_code[:50] or None)

    def fault_told(self, evse: Evse, *, gone: bool) -> None:
        """StatusNotification says all of it, see `report_status`."""

    def lock_failed(self, evse: Evse) -> None:
        self._status(evse.id, self.status(evse), "ConnectorLockFailure")

    def disconnected(self, evse: Evse) -> None:
        """4.9: that the session has ended is told, and why, before the connector is free again."""
        self._station.availability.report(evse)

    def _status(
        self,
        connector: int,
        status: str,
        error: str,
        on_answer: OnAnswer | None = None,
        info: str | None = None,
        vendor_code: str | None = None,
    ) -> None:
        self._station.conversation.call(
            "StatusNotification",
            m.StatusNotificationRequest(
                connector_id=connector,
                status=status,  # type: ignore[arg-type]
                error_code=error,  # type: ignore[arg-type]
                timestamp=self._station.clock.wall(),
                info=info,
                vendor_error_code=vendor_code,
            ),
            on_answer,
        )

    # ── transactions ─────────────────────────────────────────────────────────────────────────────────────────────

    def started(self, evse: Evse, session: Session, trigger: str, reading: Reading) -> None:
        if session.offline_start and self._station.config.quirks.offline_transaction_minus_one:
            self._minus_one.add(session.key)
        self._enqueue(
            evse,
            session,
            "StartTransaction",
            m.StartTransactionRequest(
                connector_id=evse.id,
                id_tag=session.token,
                meter_start=session.register_start,
                timestamp=to_datetime(session.started_at),
                reservation_id=session.reservation,
            ),
        )

    def state_changed(self, evse: Evse, session: Session) -> None:
        """StatusNotification says it, see `report_status`."""

    def sampled(self, evse: Evse, session: Session, reading: Reading, trigger: str) -> None:
        request = m.MeterValuesRequest(connector_id=evse.id, transaction_id=0, meter_value=[meter_value(reading)])
        self._enqueue(evse, session, "MeterValues", request, periodic=True)

    def idle_sampled(self, evse: Evse, reading: Reading) -> None:
        self._station.conversation.call(
            "MeterValues", m.MeterValuesRequest(connector_id=evse.id, meter_value=[meter_value(reading)])
        )

    def stopped(
        self,
        evse: Evse,
        session: Session,
        reason: str,
        trigger: str,
        token: str,
        token_type: str,
        readings: list[Reading],
    ) -> None:
        self._enqueue(
            evse,
            session,
            "StopTransaction",
            m.StopTransactionRequest(
                transaction_id=0,
                meter_stop=evse.meter.register_wh,
                timestamp=self._station.clock.wall(),
                reason=reason,  # type: ignore[arg-type]
                id_tag=token or None,
                transaction_data=[meter_value(reading) for reading in readings] or None,
            ),
        )

    def _enqueue(
        self, evse: Evse, session: Session, action: str, request: msgspec.Struct, *, periodic: bool = False
    ) -> None:
        self._station.enqueue(evse, session, action, _encode(request), periodic=periodic)

    def prepare(self, entry: Queued) -> msgspec.Struct:
        request: Any = v16.VERSION.actions[entry.action].decode_request(entry.payload).message
        if entry.action != "StartTransaction":
            minus_one = entry.session in self._minus_one
            request.transaction_id = _UNKNOWN if minus_one else self._transactions.get(entry.session, _UNKNOWN)
        return request

    def delivered(self, entry: Queued, response: Any) -> None:
        if entry.action == "StartTransaction":
            self._start_answered(entry, response)
        elif entry.action == "StopTransaction" and response.id_tag_info is not None:
            request: Any = self.prepare(entry)
            if request.id_tag:
                self._station.entrance.learned(request.id_tag, "", grant_of(response.id_tag_info))

    def _start_answered(self, entry: Queued, response: m.StartTransactionResponse) -> None:
        station = self._station
        self._transactions[entry.session] = response.transaction_id
        station.store({f"transaction.{entry.session}": str(response.transaction_id).encode()})
        station.transactions.name(entry.session, str(response.transaction_id))
        session = station.transactions.of_key(entry.session)
        grant = grant_of(response.id_tag_info)
        request: Any = self.prepare(entry)
        station.entrance.learned(request.id_tag, "", grant)
        if session is None:
            return
        session.transaction = response.transaction_id
        if grant.group and not session.group:
            session.group = grant.group
        station.store_session(session)
        if grant.status != ACCEPTED:
            station.transactions.not_accepted(session)

    def given_up(self, entry: Queued) -> None:
        """A refused StartTransaction leaves the transaction without an id; what follows is sent under -1."""

    def session_of(self, transaction_id: int) -> Session | None:
        """The running session that the CSMS calls so."""
        for evse in self._station.evses:
            if evse.session is not None and evse.session.transaction == transaction_id:
                return evse.session
        return None

    # ── the rest ─────────────────────────────────────────────────────────────────────────────────────────────────

    def firmware_status(self, status: str, request_id: int | None, *, signed: bool = False) -> None:
        if request_id is None and not signed:
            self._say("FirmwareStatusNotification", m.FirmwareStatusNotificationRequest(status=status))  # type: ignore[arg-type]
        else:
            self._say(
                "SignedFirmwareStatusNotification",
                m.SignedFirmwareStatusNotificationRequest(status=status, request_id=request_id),  # type: ignore[arg-type]
            )

    def log_status(self, status: str, request_id: int | None, *, diagnostics: bool) -> None:
        if status == "AcceptedCanceled":
            return  # 1.6 has no word for it: the answer to GetLog has said so
        if diagnostics:
            self._say("DiagnosticsStatusNotification", m.DiagnosticsStatusNotificationRequest(status=status))  # type: ignore[arg-type]
        else:
            self._say("LogStatusNotification", m.LogStatusNotificationRequest(status=status, request_id=request_id))  # type: ignore[arg-type]

    def _say(self, action: str, request: msgspec.Struct) -> None:
        self._station.conversation.call(action, request, keep=True)

    def publish_status(self, status: str, request_id: int | None, places: list[str] | None) -> None:
        """1.6 knows no Local Controllers."""

    def notify_events(self, events: list[Event], number: int, *, more: bool, keep: bool) -> None:
        """1.6 has no monitors."""

    def list_conflict(self) -> None:
        """3.5.2: what the CSMS says of a token is not what its list says."""
        self._status(0, self._main_status(), "LocalListConflict")

    def reservation_ended(self, id_: int, status: str) -> None:
        """1.6 has no message for it; StatusNotification says that the connector is free again."""

    def load(self, stored: Mapping[str, bytes]) -> None:
        prefix = "transaction."
        self._transactions = {key[len(prefix) :]: int(stored[key]) for key in stored if key.startswith(prefix)}

    def forget(self, session: str) -> None:
        self._minus_one.discard(session)
        if self._transactions.pop(session, None) is not None:
            self._station.store({f"transaction.{session}": None})


def grant_of(info: m.IdTagInfo) -> Grant:
    expiry = None if info.expiry_date is None else int(from_datetime(info.expiry_date))
    return Grant(info.status, info.parent_id_tag or "", expiry)


def meter_value(reading: Reading) -> m.MeterValue:
    return m.MeterValue(
        timestamp=to_datetime(reading.time),
        sampled_value=[
            m.SampledValue(
                value=str(row.value),
                context=reading.context,  # type: ignore[arg-type]
                measurand=row.measurand,  # type: ignore[arg-type]
                phase=row.phase,  # type: ignore[arg-type]
                location=row.location,  # type: ignore[arg-type]
                # 1.6 has no unit for the measurand Frequency; its readings are in Hertz (7.31).
                unit=None if row.unit == "Hz" else row.unit,  # type: ignore[arg-type]
            )
            for row in reading.values
        ],
    )
