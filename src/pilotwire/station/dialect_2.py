"""OCPP 2.0.1 and 2.1 for the station program; 2.1 is a delta that a station like this one hardly shows.

A transaction is named by the station, so its messages need nothing from the CSMS. Where it begins and ends is for
`points` to say (E01, E06).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from pilotwire.core.time import from_datetime, to_datetime
from pilotwire.protocols.ocpp.version import Version

from .authorization import ACCEPTED, Grant
from .blocks.variables import component_of, variable_of
from .evse import Evse
from .host import BootVerdict, OnAnswer
from .monitors import Event
from .outbox import Queued
from .sessions import Reading, Session
from .states import charging_state, status_2

if TYPE_CHECKING:
    from .program import Station

_encode = msgspec.json.Encoder(decimal_format="number").encode
_MODULE = {"2.0.1": "v201", "2.1": "v21"}


class Dialect2:
    """See `pilotwire.station.dialect.Dialect`. `m` is the version's message module."""

    __slots__ = ("_station", "_version", "m")

    def __init__(self, station: Station, version: Version) -> None:
        self._station = station
        self._version = version
        # Both versions name their types alike, so one dialect builds either's.
        self.m: Any = import_module(f"pilotwire.protocols.ocpp.{_MODULE[version.name]}.messages")

    # ── boot, heartbeat, authorization ───────────────────────────────────────────────────────────────────────────

    def boot_request(self, reason: str) -> msgspec.Struct:
        config = self._station.config
        return self.m.BootNotificationRequest(
            reason=reason,
            charging_station=self.m.ChargingStationType(
                vendor_name=config.vendor[:50],
                model=config.model[:20],
                serial_number=config.serial[:25] or None,
                firmware_version=self._station.maintenance.version[:50],
            ),
        )

    def boot_verdict(self, response: Any) -> BootVerdict:
        return BootVerdict(response.status, response.interval, from_datetime(response.current_time))

    def current_time(self, response: Any) -> int:
        return from_datetime(response.current_time)

    def authorize_request(self, token: str, token_type: str) -> msgspec.Struct:
        more = self._station.payment.additional(token)
        id_token = self.m.IdTokenType(id_token=token, type=token_type, additional_info=more or None)
        return self.m.AuthorizeRequest(id_token=id_token)

    def authorize_grant(self, response: Any) -> Grant:
        return grant_of(response.id_token_info, self._version.name)

    # ── status ───────────────────────────────────────────────────────────────────────────────────────────────────

    def status(self, evse: Evse) -> str:
        return status_2(
            evse.phase,
            faulted=bool(evse.fault),
            available=evse.available,
            plugged=evse.car is not None or evse.cable_left,
            reserved=self._station.reservations.holder(evse) is not None,
        )

    def report_station(self) -> None:
        """2.x has connectors only; the station as a whole is not reported."""

    def report_status(self, evse: Evse, status: str, *, back: bool = False) -> None:
        if "swap" in self._station.features or (back and self._version.name == "2.1"):
            self._report_by_event(evse, status)
            return
        self._station.conversation.call(
            "StatusNotification",
            self.m.StatusNotificationRequest(
                timestamp=self._station.clock.wall(), connector_status=status, evse_id=evse.id, connector_id=1
            ),
            self._station.availability.told(evse, status),
        )

    def _report_by_event(self, evse: Evse, status: str) -> None:
        """2.1 B04.FR.01, .02, and for the connector of a slot S03.FR.02, .04."""
        done = self._station.availability.told(evse, status)
        self._hard_wired(evse, "Connector", "AvailabilityState", status, 8, done)

    def fault_told(self, evse: Evse, *, gone: bool) -> None:
        """What is wrong, beside the status that says that something is."""
        code, text = evse.fault_code or evse.fault, evse.fault_text
        self._hard_wired(evse, "Connector", "Problem", "false" if gone else "true", 3, code=code, text=text)

    def lock_failed(self, evse: Evse) -> None:
        self._hard_wired(evse, "ConnectorPlugRetentionLock", "Problem", "true", 1)

    def _hard_wired(
        self,
        evse: Evse,
        component: str,
        variable: str,
        value: str,
        severity: int,
        done: OnAnswer | None = None,
        *,
        code: str = "",
        text: str = "",
    ) -> None:
        """An event of no monitor, about the connector of `evse`. 2.0.1 has no severity here."""
        m, station = self.m, self._station
        wall = station.clock.wall()
        more = {} if self._version.name == "2.0.1" else {"severity": severity}  # N07.FR.21
        row = m.EventDataType(
            event_id=station.monitors.next_event(),
            timestamp=wall,
            trigger="Delta",
            actual_value=value,
            tech_code=code[:50] or None,
            tech_info=text[:500] or None,
            component=m.ComponentType(name=component, evse=m.EVSEType(id=evse.id, connector_id=1)),
            variable=m.VariableType(name=variable),
            event_notification_type="HardWiredNotification",
            **more,
        )
        station.conversation.call(
            "NotifyEvent",
            m.NotifyEventRequest(generated_at=wall, seq_no=0, event_data=[row]),
            done,
        )

    # ── transactions ─────────────────────────────────────────────────────────────────────────────────────────────

    def started(self, evse: Evse, session: Session, trigger: str, reading: Reading) -> None:
        # S04.FR.02: a battery in its slot is charged from the first moment on.
        state = "Charging" if "swap" in self._station.features else charging_state(evse.phase)
        self._event(evse, session, "Started", trigger, [reading], state=state, first=True)

    def state_changed(self, evse: Evse, session: Session) -> None:
        state = charging_state(evse.phase)
        if state != session.last_state:
            # E16.FR.05: what has stopped the energy is said in the event that says that it stopped.
            station = self._station
            why = (station.costs.why(evse) or station.swap.why(evse)) if state == "SuspendedEVSE" else ""
            trigger = why or "ChargingStateChanged"
            self._event(evse, session, "Updated", trigger, [], state=state)

    def progressed(self, evse: Evse, session: Session, trigger: str, token: str = "", token_type: str = "") -> None:
        """Something has happened in the session that `trigger` names; `token` was shown for it."""
        state = charging_state(evse.phase)
        self._event(evse, session, "Updated", trigger, [], state=state, token=token, token_type=token_type)

    def sampled(self, evse: Evse, session: Session, reading: Reading, trigger: str) -> None:
        periodic = trigger in ("MeterValuePeriodic", "MeterValueClock")
        state = None if periodic else charging_state(evse.phase)
        self._event(evse, session, "Updated", trigger, [reading], state=state, periodic=periodic)

    def idle_sampled(self, evse: Evse, reading: Reading) -> None:
        self._station.conversation.call(
            "MeterValues",
            self.m.MeterValuesRequest(evse_id=evse.id, meter_value=[self._meter_value(evse, None, "", reading)]),
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
        reason = _REASONS.get(reason, reason)
        state = "Idle" if evse.car is None else "EVConnected"
        self._event(
            evse, session, "Ended", trigger, readings, state=state, reason=reason, token=token, token_type=token_type
        )

    def _event(
        self,
        evse: Evse,
        session: Session,
        kind: str,
        trigger: str,
        readings: list[Reading],
        *,
        state: str | None = None,
        reason: str | None = None,
        token: str = "",
        token_type: str = "",
        first: bool = False,
        periodic: bool = False,
    ) -> None:
        m, station = self.m, self._station
        if not session.begun:
            return
        values = [self._meter_value(evse, session, kind, reading) for reading in readings if reading.values]
        id_token = None
        fresh = not session.token_sent
        if fresh:
            session.token_sent = True
            id_token = m.IdTokenType(id_token=session.token, type=session.token_type)
        elif token:
            id_token = m.IdTokenType(id_token=token, type=token_type or session.token_type)
        if fresh and id_token is not None:
            more = station.payment.additional(session.token) if self._version.name == "2.1" else []  # C18.FR.06
            name, name_type = station.links.name(evse)
            if name and name != session.token:
                more.append(m.AdditionalInfoType(additional_id_token=name, type=name_type))  # Q01.FR.02
            id_token.additional_info = more or None
        phases = 0 if evse.config.dc else sum(1 for current in evse.meter.currents if current)
        if state != "Charging" and phases == session.phases:
            phases = 0  # E02.FR.18, .19: told when energy begins to flow, and when their number has changed
        session.phases = phases or session.phases
        request = m.TransactionEventRequest(
            event_type=kind,
            timestamp=to_datetime(session.started_at) if first else station.clock.wall(),
            trigger_reason=trigger,
            seq_no=session.seq_no,
            transaction_info=m.TransactionType(
                transaction_id=session.key,
                charging_state=state,
                stopped_reason=reason,
                remote_start_id=session.remote_start_id if fresh else None,
            ),
            meter_value=values or None,
            number_of_phases_used=phases or None,
            evse=m.EVSEType(id=evse.id, connector_id=1) if first or state is not None else None,
            reservation_id=session.reservation if fresh else None,
            id_token=id_token,
        )
        session.seq_no += 1
        if state is not None:
            session.last_state = state
        if self._version.name == "2.1":
            if trigger == "OperationModeChanged":
                request.transaction_info.operation_mode = station.v2x.mode(evse)
            if station.v2x.sleeping(evse):
                request.evse_sleep = True
            station.costs.complete(evse, session, request, readings)
        station.enqueue(evse, session, "TransactionEvent", _encode(request), periodic=periodic)

    def _meter_value(self, evse: Evse, session: Session | None, kind: str, reading: Reading) -> Any:
        m, signed = self.m, self._station.signing.signed
        return m.MeterValueType(
            timestamp=to_datetime(reading.time),
            sampled_value=[
                m.SampledValueType(
                    value=row.value,
                    context=reading.context,
                    measurand=row.measurand,
                    phase=row.phase,
                    location=row.location,
                    signed_meter_value=signed(evse, session, kind, reading, row),
                    unit_of_measure=m.UnitOfMeasureType(unit=row.unit),
                )
                for row in reading.values
            ],
        )

    def prepare(self, entry: Queued) -> msgspec.Struct:
        request: Any = self._version.actions[entry.action].decode_request(entry.payload).message
        if entry.offline and entry.action == "TransactionEvent":
            request.offline = True  # E11.FR.07
        return request

    def encode(self, request: msgspec.Struct) -> bytes:
        """As the outbox keeps it."""
        return _encode(request)

    def delivered(self, entry: Queued, response: Any) -> None:
        if entry.action != "TransactionEvent":
            self._station.payment.settled(entry, response)
            return
        if response.total_cost is not None:
            # I02.FR.04, I03.FR.03: the running cost, or with Ended the total.
            self._station.transactions.cost(entry.session, Decimal(response.total_cost), final=True)
        if self._version.name == "2.1":
            self._station.costs.answered(entry.session, response)
            request = self.prepare(entry)
            if request.event_type == "Ended":
                total = None if response.total_cost is None else Decimal(response.total_cost)
                self._station.payment.ended_told(entry.session, total)
        self._read(entry, response)
        info = response.id_token_info
        self._rank(entry.session, response.charging_priority, info)
        if info is None:
            return
        station = self._station
        grant = grant_of(info, self._version.name)
        request: Any = self.prepare(entry)
        if request.id_token is not None and request.id_token.id_token:
            station.entrance.learned(request.id_token.id_token, request.id_token.type, grant)
        session = station.transactions.of_key(entry.session)
        if session is None:
            return
        if (grant.group and not session.group) or (grant.languages and not session.languages):
            session.group = session.group or grant.group
            session.languages = session.languages or grant.languages
            station.store_session(session)
        if grant.status != ACCEPTED:
            station.transactions.not_accepted(session)

    def _rank(self, transaction: str, own: int | None, info: Any) -> None:
        """How urgent a transaction is: by the answer to its event, else by what is said of its token (K03.FR.05)."""
        if own is not None:
            self._station.smart_charging.sharing.rank(transaction, own, own=True)
        elif info is not None and info.charging_priority is not None:
            self._station.smart_charging.sharing.rank(transaction, info.charging_priority)

    def _read(self, entry: Queued, response: Any) -> None:
        """What the driver is to read of the tariff, that has come with the answer to an event (I06.FR.03)."""
        session = self._station.transactions.of_key(entry.session)
        if session is None:
            return
        tariffs, info = self._station.tariffs, response.id_token_info
        if info is not None:
            tariffs.personal(session.token, info.personal_message)
        more = getattr(response, "updated_personal_message_extra", None)
        tariffs.personal(session.token, response.updated_personal_message, more)

    def given_up(self, entry: Queued) -> None:
        """The gap in seqNo tells the CSMS."""

    # ── the rest ─────────────────────────────────────────────────────────────────────────────────────────────────

    def firmware_status(self, status: str, request_id: int | None, *, signed: bool = False) -> None:
        self._station.conversation.call(
            "FirmwareStatusNotification",
            self.m.FirmwareStatusNotificationRequest(status=status, request_id=request_id),
            keep=True,
        )

    def log_status(self, status: str, request_id: int | None, *, diagnostics: bool) -> None:
        self._station.conversation.call(
            "LogStatusNotification",
            self.m.LogStatusNotificationRequest(status=status, request_id=request_id),
            keep=True,
        )

    def publish_status(self, status: str, request_id: int | None, places: list[str] | None) -> None:
        self._station.conversation.call(
            "PublishFirmwareStatusNotification",
            self.m.PublishFirmwareStatusNotificationRequest(status=status, request_id=request_id, location=places),
            keep=True,
        )

    def notify_events(self, events: list[Event], number: int, *, more: bool, keep: bool) -> None:
        m = self.m
        rows: list[Any] = []
        for event in events:
            monitor = event.monitor
            # 2.0.1 has no severity here (N07.FR.20 is 2.1's).
            severity = {} if self._version.name == "2.0.1" else {"severity": monitor.severity}
            rows.append(
                m.EventDataType(
                    event_id=event.id,
                    timestamp=to_datetime(event.time),
                    trigger=event.trigger,
                    actual_value=event.value[:2500],
                    cleared=True if event.cleared else None,
                    transaction_id=event.transaction or None,
                    component=component_of(m, monitor.place),
                    variable=variable_of(m, monitor.place),
                    variable_monitoring_id=monitor.id,
                    event_notification_type=monitor.kind,
                    **severity,
                )
            )
        request = m.NotifyEventRequest(
            generated_at=self._station.clock.wall(), seq_no=number, tbc=True if more else None, event_data=rows
        )
        self._station.conversation.call("NotifyEvent", request, keep=keep)

    def disconnected(self, evse: Evse) -> None:
        """The event that ends the transaction says it."""

    def list_conflict(self) -> None:
        """2.x has no word for it."""

    def reservation_ended(self, id_: int, status: str) -> None:
        if status == "NoTransaction" and self._version.name == "2.0.1":
            return  # 2.0.1 has no word for it
        self._station.conversation.call(
            "ReservationStatusUpdate",
            self.m.ReservationStatusUpdateRequest(reservation_id=id_, reservation_update_status=status),
            keep=True,
        )

    def load(self, stored: Mapping[str, bytes]) -> None:
        """Nothing to remember: the station names its transactions itself."""

    def forget(self, session: str) -> None:
        """Nothing is kept."""


_REASONS = {"HardReset": "ImmediateReset", "SoftReset": "ImmediateReset", "UnlockCommand": "Remote"}
"""The program's (1.6) words for what 2.x calls otherwise."""


def grant_of(info: Any, version: str) -> Grant:
    """IdTokenInfoType. What a driver is told of tariffs by 2.0.1 is in it as text, and not kept (C10.FR.09)."""
    expiry = None if info.cache_expiry_date_time is None else int(from_datetime(info.cache_expiry_date_time))
    group = info.group_id_token.id_token if info.group_id_token is not None else ""
    languages = tuple(name for name in (info.language1, info.language2) if name)
    kept = _kept(info) if version == "2.1" else ""
    priority = info.charging_priority or 0
    return Grant(info.status, group, expiry, tuple(info.evse_id or ()), languages, info=kept, priority=priority)


def _kept(info: Any) -> str:
    """IdTokenInfoType as a cache keeps it: whole, but for additionalInfo of its group (C10.FR.14)."""
    group = info.group_id_token
    if group is not None and group.additional_info:
        info = replace(info, group_id_token=replace(group, additional_info=None))
    return _encode(info).decode()
