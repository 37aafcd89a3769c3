"""One station in memory: the fold of its facts.

`apply` does the same live and in replay; `touched` tells which records it changed. Everything that a later decision
needs is in the records themselves, so a state made `from_image` decides as the one that was lost would have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from pilotwire.core.errors import LocalError
from pilotwire.core.ids import StationKey

from . import charging_fold, clock, costs_fold, kept_fold, sessions
from .context import Need
from .facts import (
    AnyFact,
    ChargingLimitChanged,
    ChargingNeedsNotified,
    ChargingProfilesCleared,
    ChargingProfileSet,
    ChargingProfilesReported,
    ChargingRatesUpdated,
    CommandRequested,
    CommandSettled,
    ConnectorStatusChanged,
    DefaultTariffSet,
    FirmwareStatusChanged,
    OrphanReceived,
    PriorityChargingChanged,
    QuirkSeen,
    ReportedVariable,
    SessionCostDiffered,
    SessionCostTold,
    SessionEnded,
    SessionStarted,
    SessionTariffDeclined,
    SessionTariffOffered,
    SessionTariffSet,
    SessionUpdated,
    StationBooted,
    StationConnected,
    StationDisconnected,
    TariffsCleared,
    VariablesReported,
)
from .flags import clear, flag
from .records import ClockEstimate, Command, Connector, QuirkRecord, Session, Station, Variable
from .variables import attribute_of

Record = Session | Station | Variable | Command

KEEP_ENDED = 32
"""Ended sessions kept in memory; older ones are asked for (`Need`)."""
KEEP_ABSENT = 64
KEEP_ORPHANS = 32
KEEP_QUIRKS = 200
REFRESH_MS = 10_000
"""How stale `Station.last_seen` and `Connector.power_w` may be, so that not every value writes the station."""

BATCHED = frozenset({"ClearVariableMonitoring", "GetVariables", "SetVariableMonitoring", "SetVariables"})
"""Instances of ItemsPerMessage for messages whose items may as well come in several."""
ALWAYS = frozenset({"BootNotification"})
WHILE_PENDING = frozenset(
    {
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "NotifyEvent",
        "NotifyReport",
        "SecurityEventNotification",
        "SignCertificate",
        "SignedFirmwareStatusNotification",
        "StatusNotification",
    }
)
"""What a Pending station may be asked for by TriggerMessage or a report request (1.6 4.2, 2.x B02)."""


class UnknownSession(LocalError):
    """A fact names a session that was neither started nor added: the journal is broken or a decision was skipped."""


class StationState:
    """Mutable fold of one station. Owned by its actor; not shared between threads."""

    __slots__ = (
        "_absent",
        "_active",
        "_asked",
        "_by_key",
        "_by_transaction",
        "_keep",
        "_orphans",
        "_touched",
        "commands",
        "complete",
        "key",
        "sessions",
        "station",
    )

    def __init__(self, key: StationKey, station: Station, *, complete: bool, keep: int | None = KEEP_ENDED) -> None:
        self.key = key
        self.station = station
        self.sessions: dict[str, Session] = {}
        """By id: every active session and the last `keep` ended ones (all where None)."""
        self.commands: dict[str, Command] = {}
        """Durable intents not yet settled, by id."""
        self.complete = complete
        """No session of this station is missing from `sessions`."""
        self._keep = keep
        self._active: dict[str, Session] = {}
        self._by_transaction: dict[str, Session] = {}
        self._by_key: dict[str, Session] = {}
        self._absent: dict[Need, None] = {}
        self._asked: Need | None = None
        self._orphans: dict[tuple[str, str, int, str], None] = {}
        self._touched: dict[object, Record] = {}

    # -- making ---------------------------------------------------------------------------------------------------
    @classmethod
    def fresh(cls, key: StationKey, *, keep: int | None = KEEP_ENDED) -> StationState:
        """A station of which nothing is known yet."""
        return cls(key, Station(tenant=key.tenant, id=key.station), complete=True, keep=keep)

    @classmethod
    def from_image(
        cls,
        key: StationKey,
        station: Station | None,
        sessions: Iterable[Session],
        complete: bool,
        commands: Iterable[Command] = (),
    ) -> StationState:
        """What `storage.port.StationImage` holds, taken over: the records belong to the state from here on."""
        state = cls(key, station or Station(tenant=key.tenant, id=key.station), complete=complete)
        for session in sorted(sessions, key=lambda s: s.received_at):
            state._index(session)
        state.commands = {command.id: command for command in commands}
        state._trim()
        return state

    # -- looking --------------------------------------------------------------------------------------------------
    @property
    def active(self) -> Iterable[Session]:
        """The running sessions, in the order in which they were first heard of."""
        return self._active.values()

    def by_transaction(self, transaction: str) -> Session | None:
        """The newest session with this transactionId."""
        return self._by_transaction.get(transaction)

    def by_start_key(self, start_key: str) -> Session | None:
        """The session that this 1.6 start made."""
        return self._by_key.get(start_key)

    def may_send(self, action: str) -> bool:
        """Whether the station's boot status allows it to send `action`.

        Before the first boot only BootNotification is allowed; a Pending station also what it can be asked for. Some
        stations never send BootNotification: being lenient to them is the caller's choice (`station.boot_status`).
        """
        status = self.station.boot_status
        return status == "Accepted" or action in ALWAYS or (status == "Pending" and action in WHILE_PENDING)

    def connector(self, evse: int, connector: int) -> Connector | None:
        """The record of one connector; (0, 0) is the whole station in 1.6."""
        for one in self.station.connectors:
            if one.evse == evse and one.connector == connector:
                return one
        return None

    # -- older sessions -------------------------------------------------------------------------------------------
    def need(self, transaction: str = "", start_key: str = "") -> Need | None:
        """What to ask the store before a session with this name may be called unknown; None when that is certain."""
        if self.complete:
            return None
        need = Need(transaction, start_key)
        if need in self._absent:
            return None
        self._asked = need
        return need

    def add(self, session: Session | None, need: Need | None = None) -> None:
        """Take in what the store found for a `Need` (the last one returned, unless given)."""
        need = need or self._asked
        self._asked = None
        if session is None:
            if need is not None:
                self._absent[need] = None
                while len(self._absent) > KEEP_ABSENT:
                    del self._absent[next(iter(self._absent))]
            return
        if session.id not in self.sessions:
            self._index(session, newest=False)
            self._trim(spare=session)

    # -- folding --------------------------------------------------------------------------------------------------
    def apply(self, fact: AnyFact, recv_time: int, epoch: int) -> None:
        """Fold one fact in. `recv_time` (ms, our clock) and `epoch` are of the entry that holds it.

        Raises UnknownSession where the fact names a session that the state does not hold.
        """
        handler = _HANDLERS.get(type(fact))
        if handler is not None:
            handler(self, fact, recv_time, epoch)
        elif recv_time - self.station.last_seen >= REFRESH_MS:
            self.station.last_seen = recv_time
            self._touch_station()

    def touched(self) -> tuple[Record, ...]:
        """The records changed since the last call, each once, for `Entry.touched`."""
        touched = tuple(self._touched.values())
        self._touched.clear()
        return touched

    def is_known_orphan(self, fact: OrphanReceived) -> bool:
        """Whether the same orphan came lately: a retry of it needs no second fact."""
        return _orphan_key(fact) in self._orphans

    # -- inner ----------------------------------------------------------------------------------------------------
    def _index(self, session: Session, *, newest: bool = True) -> None:
        self.sessions[session.id] = session
        if session.status == "active":
            self._active[session.id] = session
        if session.start_key:
            self._by_key[session.start_key] = session
            self._absent.pop(Need("", session.start_key), None)
        if newest or session.transaction not in self._by_transaction:
            self._by_transaction[session.transaction] = session
        self._absent.pop(Need(session.transaction, ""), None)

    def _trim(self, spare: Session | None = None) -> None:
        """Forget the ended sessions that were longest untouched, beyond the number to keep; never `spare`."""
        if self._keep is None:
            return
        surplus = len(self.sessions) - len(self._active) - self._keep
        if surplus <= 0:
            return
        ended = [s for s in self.sessions.values() if s.status != "active" and s is not spare]
        ended.sort(key=lambda s: s.updated_at)
        for session in ended[:surplus]:
            del self.sessions[session.id]
            if self._by_transaction.get(session.transaction) is session:
                del self._by_transaction[session.transaction]
            if self._by_key.get(session.start_key) is session:
                del self._by_key[session.start_key]
            self.complete = False

    def _touch_station(self) -> None:
        self._touched["station"] = self.station

    def _session(self, session_id: str) -> Session:
        session = self.sessions.get(session_id)
        if session is None:
            raise UnknownSession(f"no session {session_id} at station {self.key}")
        return session

    def _bind(self, evse: int) -> None:
        """Show on the connectors of `evse` which session runs there and its power."""
        if not evse:
            return
        for connector in self.station.connectors:
            if connector.evse != evse:
                continue
            newest: Session | None = None
            for session in self._active.values():
                here = session.evse == evse and session.connector in (0, connector.connector)
                if here and (newest is None or session.started_at >= newest.started_at):
                    newest = session
            connector.session_id = newest.id if newest else ""
            connector.power_w = newest.power_w if newest else 0
        self._touch_station()

    def _ensure_connector(self, evse: int, connector: int) -> None:
        if evse and connector and self.connector(evse, connector) is None:
            self._add_connector(Connector(evse=evse, connector=connector))

    def _add_connector(self, connector: Connector) -> None:
        self.station.connectors.append(connector)
        self.station.connectors.sort(key=lambda c: (c.evse, c.connector))

    def _observe(self, event_time: int, recv_time: int, offline: bool) -> None:
        """Every ten seconds at most: last_seen, powers, and a look at the station's clock."""
        station = self.station
        if recv_time - station.last_seen >= REFRESH_MS:
            station.last_seen = recv_time
            for evse in {session.evse for session in self._active.values()}:
                self._bind(evse)
            self._touch_station()
        if offline:
            return
        estimate = station.clock
        if estimate is None:
            estimate = station.clock = ClockEstimate(at=recv_time - clock.SAMPLE_MS)
        if recv_time - estimate.at >= clock.SAMPLE_MS:
            skew = clock.observe(estimate, event_time, recv_time)
            if skew is not None:
                station.skew_ms = skew
            self._touch_station()

    # -- one small function per fact ----------------------------------------------------------------------------------
    def _on_session_started(self, fact: SessionStarted, recv_time: int, epoch: int) -> None:
        session = self.sessions.get(fact.session_id)
        if session is None:
            session = sessions.create(self.key.tenant, self.key.station, fact, recv_time)
            self._index(session)
        sessions.on_started(session, fact, recv_time, self.station.skew_ms)
        if session.bill is not None:
            costs_fold.on_started(session, fact)
        self._touched[session.id] = session
        self._ensure_connector(session.evse, session.connector)
        self._bind(session.evse)
        self._observe(fact.event_time, recv_time, fact.offline)
        if self.station.charging is not None and charging_fold.on_session_started(
            self.station, session.transaction, session.evse, fact.remote_start_id
        ):
            self._touch_station()
        if fact.reservation_id is not None and kept_fold.on_session(
            self.station, fact.reservation_id, session.id, fact.event_time
        ):
            self._touch_station()
        self._trim()

    def _on_session_updated(self, fact: SessionUpdated, recv_time: int, epoch: int) -> None:
        session, station = self._session(fact.session_id), self.station
        evse, power = session.evse, session.power_w
        sessions.on_updated(session, fact, recv_time, station.skew_ms)
        if session.bill is not None:
            costs_fold.on_updated(session, fact)
        self._touched[session.id] = session
        if session.evse != evse:
            self._ensure_connector(session.evse, session.connector)
            self._bind(evse)
            self._bind(session.evse)
        elif (power == 0) != (session.power_w == 0):
            self._bind(evse)
        estimate, seen = station.clock, station.last_seen
        if estimate is None or recv_time - estimate.at >= REFRESH_MS or recv_time - seen >= REFRESH_MS:
            self._observe(fact.event_time, recv_time, fact.offline)

    def _on_session_ended(self, fact: SessionEnded, recv_time: int, epoch: int) -> None:
        session = self._session(fact.session_id)
        sessions.on_ended(session, fact, recv_time, self.station.skew_ms)
        if session.bill is not None:
            costs_fold.on_ended(session, fact)
        self._active.pop(session.id, None)
        self._touched[session.id] = session
        self._bind(session.evse)
        self._observe(fact.event_time, recv_time, fact.offline or fact.implied)
        if self.station.charging is not None and charging_fold.on_session_ended(self.station, session.transaction):
            self._touch_station()
        self._trim()

    def _on_orphan(self, fact: OrphanReceived, recv_time: int, epoch: int) -> None:
        self._orphans[_orphan_key(fact)] = None
        while len(self._orphans) > KEEP_ORPHANS:
            del self._orphans[next(iter(self._orphans))]

    def _on_connected(self, fact: StationConnected, recv_time: int, epoch: int) -> None:
        station = self.station
        station.ocpp_version = fact.ocpp_version
        station.peer = fact.peer
        station.security_profile = fact.security_profile
        station.connected = True
        station.connected_at = station.last_seen = recv_time
        station.epoch = max(station.epoch, epoch)
        self._touch_station()

    def _on_disconnected(self, fact: StationDisconnected, recv_time: int, epoch: int) -> None:
        station = self.station
        if epoch != station.epoch:
            return  # an older connection went away after a newer one had taken its place
        station.connected = False
        station.disconnected_at = recv_time
        self._touch_station()

    def _on_booted(self, fact: StationBooted, recv_time: int, epoch: int) -> None:
        station = self.station
        station.vendor = fact.vendor
        station.model = fact.model
        station.serial = fact.serial
        station.firmware = fact.firmware
        station.boot_status = fact.verdict
        station.booted_at = station.last_seen = recv_time
        charging_fold.on_booted(station)
        kept_fold.on_booted(station, fact.reason)
        self._touch_station()

    def _on_status(self, fact: ConnectorStatusChanged, recv_time: int, epoch: int) -> None:
        connector = self.connector(fact.evse, fact.connector)
        if connector is None:
            connector = Connector(evse=fact.evse, connector=fact.connector)
            self._add_connector(connector)
            self._bind(fact.evse)
        if connector.status != fact.status:
            connector.status = fact.status
            connector.since = fact.event_time if clock.regime(fact.event_time, recv_time) == 0 else recv_time
        connector.error_code = fact.error_code
        connector.info = fact.info
        self.station.last_seen = recv_time
        self._touch_station()
        for session in self._active.values():
            if session.evse != fact.evse or session.connector != fact.connector or session.ocpp_version != "1.6":
                continue
            if fact.status == "Available":
                flag(session, "connector-available")
            else:
                clear(session, "connector-available")
                if fact.status in ("Charging", "SuspendedEV", "SuspendedEVSE"):
                    session.charging_state = fact.status
            costs_fold.on_status(session, fact)
            self._touched[session.id] = session

    def _on_firmware_status(self, fact: FirmwareStatusChanged, recv_time: int, epoch: int) -> None:
        self.station.firmware_status = fact.status
        self.station.last_seen = recv_time
        self._touch_station()

    def _on_batch(self, one: ReportedVariable) -> bool:
        """Whether it says something new of how many items a message may carry."""
        value, name = one.value or "", one.variable_instance or ""
        if name not in BATCHED or not value.isdecimal() or not 0 < int(value) < 1_000_000:
            return False
        changed = self.station.batches.get(name) != int(value)
        self.station.batches = {**self.station.batches, name: int(value)}
        return changed

    def _on_variables(self, fact: VariablesReported, recv_time: int, epoch: int) -> None:
        tenant, station = self.key
        if kept_fold.on_variables(self.station, fact, recv_time):
            self._touch_station()
        for one in fact.variables:
            if one.variable == "ItemsPerMessage" and one.attribute == "Actual" and self._on_batch(one):
                self._touch_station()
            if one.attribute == "Actual" and costs_fold.on_variable(self.station, one):
                self._touch_station()
            record = Variable(
                tenant=tenant,
                station_id=station,
                component=one.component,
                variable=one.variable,
                component_instance=one.component_instance,
                variable_instance=one.variable_instance,
                evse=one.evse,
                connector=one.connector,
                attribute=attribute_of(one),
                value=one.value,
                mutability=one.mutability,
                data_type=one.data_type,
                unit=one.unit,
                reported_at=recv_time,
            )
            self._touched[variable_key(record)] = record

    def _on_command_requested(self, fact: CommandRequested, recv_time: int, epoch: int) -> None:
        command = Command(
            tenant=self.key.tenant,
            id=fact.command_id,
            station_id=self.key.station,
            action=fact.action,
            payload=fact.payload,
            requested_at=fact.event_time,
            expires_at=fact.expires_at,
            by=fact.by,
        )
        self.commands[command.id] = command
        self._touched[command.id] = command

    def _on_command_settled(self, fact: CommandSettled, recv_time: int, epoch: int) -> None:
        command = self.commands.pop(fact.command_id, None)
        if command is None:
            return  # settled before: the first settlement stands
        command.outcome = fact.outcome
        command.answer = fact.answer
        command.settled_at = fact.event_time
        self._touched[command.id] = command

    def _on_needs(self, fact: ChargingNeedsNotified, recv_time: int, epoch: int) -> None:
        self._on_charging(fact, recv_time, epoch)
        session = self.by_transaction(fact.transaction) if fact.transaction else None
        if session is not None:
            sessions.on_needs(session, fact)
            self._touched[session.id] = session

    def _on_charging(self, fact: Any, recv_time: int, epoch: int) -> None:
        _CHARGING[type(fact)](self.station, fact)
        self.station.last_seen = recv_time
        self._touch_station()

    def _on_session_cost(self, fact: Any, recv_time: int, epoch: int) -> None:
        session = self._session(fact.session_id)
        _COSTS[type(fact)](session, fact)
        self._touched[session.id] = session

    def _on_pricing(self, fact: Any, recv_time: int, epoch: int) -> None:
        _PRICING[type(fact)](self.station, fact)
        self._touch_station()

    def _on_kept(self, fact: Any, recv_time: int, epoch: int) -> None:
        if kept_fold.FOLDS[type(fact)](self.station, fact, recv_time):
            self.station.last_seen = recv_time
            self._touch_station()

    def _on_quirk(self, fact: QuirkSeen, recv_time: int, epoch: int) -> None:
        station = self.station
        known = station.quirks.get(fact.quirk)
        if known is not None:
            known.last, known.firmware = recv_time, station.firmware
        elif len(station.quirks) < KEEP_QUIRKS:
            station.quirks[fact.quirk] = QuirkRecord(recv_time, recv_time, station.firmware)
        self._touch_station()

    HANDLERS: ClassVar[dict[type, Callable[[StationState, Any, int, int], None]]] = {
        SessionStarted: _on_session_started,
        SessionUpdated: _on_session_updated,
        SessionEnded: _on_session_ended,
        OrphanReceived: _on_orphan,
        StationConnected: _on_connected,
        StationDisconnected: _on_disconnected,
        StationBooted: _on_booted,
        ConnectorStatusChanged: _on_status,
        FirmwareStatusChanged: _on_firmware_status,
        VariablesReported: _on_variables,
        CommandRequested: _on_command_requested,
        CommandSettled: _on_command_settled,
        ChargingProfileSet: _on_charging,
        ChargingProfilesCleared: _on_charging,
        ChargingRatesUpdated: _on_charging,
        ChargingProfilesReported: _on_charging,
        ChargingLimitChanged: _on_charging,
        PriorityChargingChanged: _on_charging,
        ChargingNeedsNotified: _on_needs,
        SessionTariffSet: _on_session_cost,
        SessionTariffOffered: _on_session_cost,
        SessionTariffDeclined: _on_session_cost,
        SessionCostTold: _on_session_cost,
        SessionCostDiffered: _on_session_cost,
        DefaultTariffSet: _on_pricing,
        TariffsCleared: _on_pricing,
        QuirkSeen: _on_quirk,
        **dict.fromkeys(kept_fold.FOLDS, _on_kept),
    }
    """Facts without an entry (tokens, events, data transfers …) change no record but `last_seen`."""


_CHARGING: dict[type, Callable[[Station, Any], None]] = {
    ChargingProfileSet: charging_fold.on_profile_set,
    ChargingProfilesCleared: charging_fold.on_profiles_cleared,
    ChargingRatesUpdated: charging_fold.on_rates_updated,
    ChargingProfilesReported: charging_fold.on_profiles_reported,
    ChargingLimitChanged: charging_fold.on_limit_changed,
    PriorityChargingChanged: charging_fold.on_priority_changed,
    ChargingNeedsNotified: charging_fold.on_needs_notified,
}

_COSTS: dict[type, Callable[[Session, Any], None]] = {
    SessionTariffSet: costs_fold.on_set,
    SessionTariffOffered: costs_fold.on_offered,
    SessionTariffDeclined: costs_fold.on_declined,
    SessionCostTold: costs_fold.on_told,
    SessionCostDiffered: costs_fold.on_differed,
}
_PRICING: dict[type, Callable[[Station, Any], None]] = {
    DefaultTariffSet: costs_fold.on_default,
    TariffsCleared: costs_fold.on_cleared,
}

_HANDLERS = StationState.HANDLERS  # by its short name: `apply` looks it up for every fact


def _orphan_key(fact: OrphanReceived) -> tuple[str, str, int, str]:
    return fact.action, fact.transaction, fact.event_time, fact.why


def variable_key(record: Variable) -> tuple[object, ...]:
    """What makes a variable the same one when it is reported again."""
    return (
        record.component,
        record.component_instance,
        record.evse,
        record.connector,
        record.variable,
        record.variable_instance,
        record.attribute,
    )
