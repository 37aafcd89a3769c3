"""Facts: what happened, in the words of no protocol version. State is a fold over them.

A fact is frozen and never rewritten. Its tag carries its version (`session-started.1`); when a field changes meaning, a
new class with the next number is added and the old one stays readable. The envelope (tenant, station, stream, seq,
recv_time, epoch, raw frame) is `pilotwire.storage.port.Entry`: facts of one message share it.

`event_time` is the reporter's own clock, uncorrected, in ms since the epoch; what the clock is worth is state
(`skew_ms`), and derived values are corrected, never the fact.
"""

from __future__ import annotations

import msgspec

from .kept import Battery, Control, Display, Monitor, SessionLimit
from .schedules.model import Profile, Rates, Schedule, Unit
from .tariffs.bill import Told
from .tariffs.model import Tariff


class Fact(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True, kw_only=True, gc=False):
    """Something that happened at `event_time` (ms, the reporter's clock)."""

    event_time: int


class StationConnected(Fact, frozen=True, tag="station-connected.1"):
    ocpp_version: str
    """"1.6", "2.0.1" or "2.1"."""
    peer: str = ""
    security_profile: int = 0


class StationDisconnected(Fact, frozen=True, tag="station-disconnected.1"):
    code: int
    """WebSocket close code; 1006 when the connection broke."""
    reason: str = ""


class StationBooted(Fact, frozen=True, tag="station-booted.1"):
    vendor: str
    model: str
    serial: str = ""
    firmware: str = ""
    reason: str = ""
    verdict: str = "Accepted"
    """RegistrationStatus that was answered."""


class ConnectorStatusChanged(Fact, frozen=True, tag="connector-status-changed.1"):
    evse: int
    """1.6 connectorId n is EVSE n with connector 1; 0 is the whole station."""
    connector: int
    status: str
    """The version's own status name (1.6 has nine, 2.x five)."""
    error_code: str = ""
    info: str = ""
    vendor_id: str = ""
    vendor_error_code: str = ""


class TokenPresented(Fact, frozen=True, tag="token-presented.1"):
    token: str
    token_type: str
    verdict: str
    """AuthorizationStatus that was answered."""
    evse: int = 0


class SessionStarted(Fact, frozen=True, tag="session-started.1"):
    session_id: str
    transaction: str
    """transactionId as text: made by us in 1.6, by the station in 2.x."""
    start_key: str
    """What makes a retry of the same start recognisable."""
    ocpp_version: str
    evse: int
    connector: int
    token: str = ""
    token_type: str = ""
    verdict: str = "Accepted"
    meter_start_wh: int | None = None
    seq_no: int | None = None
    trigger: str = ""
    charging_state: str = ""
    remote_start_id: int | None = None
    reservation_id: int | None = None
    offline: bool = False
    implied: bool = False
    """2.x: a later event came first; the Started event may still follow (with the same session_id)."""
    reused: bool = False
    """2.x: the station gave a transactionId away a second time."""
    vehicle: str = ""
    vehicle_type: str = ""
    """EVCCID, VIN or MacAddress."""


class SessionUpdated(Fact, frozen=True, tag="session-updated.1"):
    session_id: str
    seq_no: int | None = None
    trigger: str = ""
    charging_state: str = ""
    register_wh: int | None = None
    """Energy.Active.Import.Register of the last reading in the message."""
    register_time: int | None = None
    first_register_wh: int | None = None
    """The first reading in the message, where it differs (a batch of queued values)."""
    first_register_time: int | None = None
    begins: bool = False
    """The first reading is of context Transaction.Begin, whichever event brought it."""
    power_w: int | None = None
    soc: int | None = None
    """0.1 %."""
    evse: int | None = None
    connector: int | None = None
    token: str = ""
    token_type: str = ""
    offline: bool = False
    vehicle: str = ""
    vehicle_type: str = ""


class SessionEnded(Fact, frozen=True, tag="session-ended.1"):
    session_id: str
    reason: str = ""
    seq_no: int | None = None
    trigger: str = ""
    charging_state: str = ""
    meter_stop_wh: int | None = None
    token: str = ""
    token_type: str = ""
    offline: bool = False
    implied: bool = False
    """The station never said so: a later session on the same connector shows it. A late stop still counts."""


class OrphanReceived(Fact, frozen=True, tag="orphan-received.1"):
    """A transaction message that belongs to no session we can name: kept, answered, never applied."""

    action: str
    transaction: str
    why: str
    meter_wh: int | None = None


class ReportedVariable(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """One value of the device model; a 1.6 configuration key is a variable of component "" ."""

    component: str
    variable: str
    component_instance: str = ""
    variable_instance: str = ""
    evse: int | None = None
    connector: int | None = None
    attribute: str = "Actual"
    value: str | None = None
    mutability: str = ""
    """ReadOnly, WriteOnly or ReadWrite."""
    data_type: str = ""
    unit: str = ""


class VariablesReported(Fact, frozen=True, tag="variables-reported.1"):
    variables: tuple[ReportedVariable, ...]
    request_id: int | None = None
    seq_no: int = 0
    more: bool = False


class EventNotified(Fact, frozen=True, tag="event-notified.1"):
    """One element of a NotifyEvent."""

    event_id: int
    component: str
    variable: str
    trigger: str
    actual_value: str = ""
    cleared: bool = False
    evse: int | None = None
    connector: int | None = None
    severity: int | None = None
    tech_code: str = ""
    tech_info: str = ""
    component_instance: str = ""
    variable_instance: str = ""
    kind: str = ""
    """EventNotificationEnumType: HardWiredNotification, HardWiredMonitor, PreconfiguredMonitor, CustomMonitor."""
    cause: int | None = None
    """The event that caused this one."""
    transaction: str = ""
    monitor: int | None = None
    """variableMonitoringId."""


class SecurityEventNotified(Fact, frozen=True, tag="security-event-notified.1"):
    kind: str
    tech_info: str = ""


class DataTransferred(Fact, frozen=True, tag="data-transferred.1"):
    vendor_id: str
    message_id: str = ""
    data: str = ""
    """The payload as JSON text (a 1.6 string stays as it came)."""
    verdict: str = ""


class FirmwareStatusChanged(Fact, frozen=True, tag="firmware-status-changed.1"):
    status: str
    request_id: int | None = None


class LogStatusChanged(Fact, frozen=True, tag="log-status-changed.1"):
    status: str
    kind: str = "log"
    """"log" (LogStatusNotification) or "diagnostics" (1.6 DiagnosticsStatusNotification)."""
    request_id: int | None = None


class CertificateRequested(Fact, frozen=True, tag="certificate-requested.1"):
    """The station wants a certificate signed (A02, A03)."""

    use: str
    """ChargingStationCertificate, V2GCertificate or V2G20Certificate."""
    verdict: str
    """What was answered: Accepted or Rejected."""
    reason: str = ""
    request_id: int | None = None
    common_name: str = ""
    organization: str = ""
    key: str = ""
    """Of what kind its key is, e.g. EC secp256r1."""


class CertificateIssued(Fact, frozen=True, tag="certificate-issued.1"):
    """An authority has signed the station's request."""

    enrollment: str
    use: str
    authority: str
    serial: str
    """Hexadecimal."""
    issuer: str = ""
    not_after: int = 0


class CertificateSettled(Fact, frozen=True, tag="certificate-settled.1"):
    """What became of a signing request in the end."""

    enrollment: str
    use: str
    status: str
    """delivered, refused (by the station), failed or superseded."""
    reason: str = ""
    serial: str = ""


class CredentialChanged(Fact, frozen=True, tag="credential-changed.1"):
    """By what the station is let in has changed."""

    what: str
    """password or security-profile."""
    value: str = ""
    """The new profile; never the password."""


class Step(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """From `start_ms` into a composite schedule on: `limit` in thousandths of its unit; None: nothing limits."""

    start_ms: int
    limit: int | None


class ChargingProfileSet(Fact, frozen=True, tag="charging-profile-set.1"):
    """The station has accepted a charging profile of ours."""

    profile: Profile
    """Without the text that it came in: the command has that."""
    version: str


class ChargingProfilesCleared(Fact, frozen=True, tag="charging-profiles-cleared.1"):
    """These profiles are not installed at the station any more."""

    ids: tuple[int, ...]


class ChargingRatesUpdated(Fact, frozen=True, tag="charging-rates-updated.1"):
    """The station has new rates of a dynamic profile, sent or asked for."""

    profile_id: int
    rates: Rates


class ChargingProfilesReported(Fact, frozen=True, tag="charging-profiles-reported.1"):
    """ReportChargingProfiles: what the station says that it has."""

    evse: int
    source: str
    """chargingLimitSource."""
    profiles: tuple[Profile, ...]
    request_id: int
    more: bool = False


class ChargingLimitChanged(Fact, frozen=True, tag="charging-limit-changed.1"):
    """Another system than ours limits the station, or adds to what it may draw, or does so no more."""

    source: str
    evse: int = 0
    schedules: tuple[Schedule, ...] = ()
    """Empty where the station does not tell."""
    critical: bool = False
    local_generation: bool = False
    cleared: bool = False


class PriorityChargingChanged(Fact, frozen=True, tag="priority-charging-changed.1"):
    """Priority charging is on or off for a transaction."""

    transaction: str
    activated: bool


class ChargingNeedsNotified(Fact, frozen=True, tag="charging-needs-notified.1"):
    """A vehicle has told what it needs (ISO 15118)."""

    evse: int
    transfer: str
    """EnergyTransferModeEnumType."""
    verdict: str
    energy_wh: int | None = None
    departure: int | None = None
    max_tuples: int | None = None
    transaction: str = ""
    """The one that the vehicle needs it for."""


class VehicleScheduleNotified(Fact, frozen=True, tag="vehicle-schedule-notified.1"):
    """A vehicle has told how it will charge, from `start` (ms) on."""

    evse: int
    start: int
    schedule: Schedule
    verdict: str


class CompositeScheduleDiffered(Fact, frozen=True, tag="composite-schedule-differed.1"):
    """The composite schedule that the station stated is not the one that follows from its profiles."""

    evse: int
    unit: Unit
    start: int
    """ms, the station's clock."""
    duration_ms: int
    why: str
    """above, below, empty or longer (`domain.schedules.judging`)."""
    expected: tuple[Step, ...]
    answered: tuple[Step, ...]
    at: tuple[int, ...] = ()
    """Where they differ, ms into the schedule."""


class ReservationMade(Fact, frozen=True, tag="reservation-made.1"):
    """The station holds a place for a token. The same id again replaces the older one (H01.FR.02)."""

    reservation_id: int
    token: str
    expires_at: int
    token_type: str = ""
    group: str = ""
    evse: int = 0
    """0: any."""
    connector_type: str = ""


class ReservationEnded(Fact, frozen=True, tag="reservation-ended.1"):
    """It holds it no longer. Being used is told by the session that names it."""

    reservation_id: int
    why: str
    """cancelled (by us), expired, removed or no-transaction."""


class MonitorsTold(Fact, frozen=True, tag="monitors-told.1"):
    """Monitors that the station has: reported (`request_id`), or set by us."""

    monitors: tuple[Monitor, ...]
    request_id: int | None = None
    seq_no: int = 0
    more: bool = False


class MonitorsCleared(Fact, frozen=True, tag="monitors-cleared.1"):
    ids: tuple[int, ...]


class MonitoringSet(Fact, frozen=True, tag="monitoring-set.1"):
    """The station has another base of monitors, or tells events up to another severity."""

    base: str = ""
    severity: int | None = None


class CustomerInformationTold(Fact, frozen=True, tag="customer-information-told.1"):
    """A part of what a station keeps about a customer has come. Its text is no fact: it stands in the frame alone,
    and goes with it."""

    request_id: int
    seq_no: int
    length: int
    more: bool = False


class StreamSet(Fact, frozen=True, tag="stream-set.1"):
    """A periodic event stream was opened by the station, or its pace changed by us."""

    stream: int
    monitor: int | None = None
    """None: as it was."""
    interval_s: int | None = None
    values: int | None = None


class StreamsListed(Fact, frozen=True, tag="streams-listed.1"):
    """The station has told which streams it has, and so that it has no other."""

    streams: tuple[StreamRow, ...]


class StreamRow(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A stream as the station told it."""

    stream: int
    monitor: int
    interval_s: int | None = None
    values: int | None = None


class StreamClosed(Fact, frozen=True, tag="stream-closed.1"):
    stream: int


class StreamValue(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value of a stream: when (ms, the station's clock), and what."""

    time: int
    value: str


class StreamTold(Fact, frozen=True, tag="stream-told.1"):
    """Values of a periodic event stream."""

    stream: int
    values: tuple[StreamValue, ...]
    pending: int = 0


class DisplayMessagesTold(Fact, frozen=True, tag="display-messages-told.1"):
    """Messages that the station has: reported (`request_id`), or set by us."""

    messages: tuple[Display, ...]
    request_id: int | None = None
    more: bool = False


class DisplayMessageCleared(Fact, frozen=True, tag="display-message-cleared.1"):
    message: int


class SessionLimitSet(Fact, frozen=True, tag="session-limit-set.1"):
    """A start was asked for with a limit: the answer to its first event is to carry it (2.1 F07)."""

    start_id: int
    """The remoteStartId."""
    limit: SessionLimit


class FirmwarePublished(Fact, frozen=True, tag="firmware-published.1"):
    """How far a local controller is with offering firmware to others (L03, L04)."""

    status: str
    request_id: int | None = None
    locations: tuple[str, ...] = ()
    why: str = ""


class PaymentSettled(Fact, frozen=True, tag="payment-settled.1"):
    """A payment terminal's settlement (2.1 C21 … C24)."""

    reference: str
    status: str
    """Settled, Canceled, Rejected or Failed."""
    amount: str
    transaction: str = ""
    receipt: str = ""
    receipt_url: str = ""
    why: str = ""
    vat_number: str = ""
    company: str = ""


class VatNumberAsked(Fact, frozen=True, tag="vat-number-asked.1"):
    number: str
    verdict: str
    why: str = ""
    evse: int = 0


class WebPaymentStarted(Fact, frozen=True, tag="web-payment-started.1"):
    """The station was told that somebody is paying by a web page for an EVSE (2.1 C25)."""

    evse: int
    timeout_s: int


class EnergyTransferAllowed(Fact, frozen=True, tag="energy-transfer-allowed.1"):
    """The station has taken which kinds of energy transfer a transaction may use (2.1 Q01)."""

    transaction: str
    modes: tuple[str, ...]


class BatterySwapRequested(Fact, frozen=True, tag="battery-swap-requested.1"):
    """The station has taken our request to swap a battery (2.1 S02)."""

    request_id: int
    token: str


class BatterySwapped(Fact, frozen=True, tag="battery-swapped.1"):
    """Batteries went in or out (2.1 S01, S03, S04)."""

    kind: str
    """BatteryIn, BatteryOut or BatteryOutTimeout."""
    request_id: int
    token: str
    token_type: str
    batteries: tuple[Battery, ...]


class GridControlsTold(Fact, frozen=True, tag="grid-controls-told.1"):
    """DER controls that the station has: reported (`request_id`), or set by us."""

    controls: tuple[Control, ...]
    superseded: tuple[str, ...] = ()
    """Ids of those that no longer hold because of these."""
    request_id: int | None = None
    more: bool = False


class GridControlsCleared(Fact, frozen=True, tag="grid-controls-cleared.1"):
    default: bool
    control: str = ""
    """Its id; else `kind`, else all of them."""
    kind: str = ""


class GridControlRan(Fact, frozen=True, tag="grid-control-ran.1"):
    """A scheduled DER control began or ended (2.1 R05)."""

    control: str
    started: bool
    superseded: tuple[str, ...] = ()


class GridAlarm(Fact, frozen=True, tag="grid-alarm.1"):
    """A DER alarm (2.1 R06): the grid is, or is no longer, where a control must act."""

    kind: str
    fault: str = ""
    ended: bool = False
    info: str = ""


class GridSignalTaken(Fact, frozen=True, tag="grid-signal-taken.1"):
    """The station has taken an aFRR signal (2.1 Q08)."""

    signal: int


class LocalListTold(Fact, frozen=True, tag="local-list-told.1"):
    """Which local authorization list the station has: sent by us (`kind`), or told when asked."""

    version: int
    kind: str = ""
    entries: int | None = None


class TransactionStatusTold(Fact, frozen=True, tag="transaction-status-told.1"):
    """What the station said when asked about a transaction, or about what waits to be sent (2.x E14)."""

    queued: bool
    transaction: str = ""
    ongoing: bool | None = None


class InventoryAsked(Fact, frozen=True, tag="inventory-asked.1"):
    """The station was asked for all of its variables by the central system itself."""

    firmware: str
    status: str


class SessionTariffSet(Fact, frozen=True, tag="session-tariff-set.1"):
    """By which tariff a session is priced, from its start or (`begins` false) from now on."""

    session_id: str
    tariff: Tariff
    why: str
    """driver, default, station (which has named it) or changed."""
    begins: bool = False
    local: bool = False
    """The station works out the cost, too."""
    more: bool = False
    """The message that begins the session, late, says more than its beginning."""
    seq_no: int | None = None
    """Of the message that says so."""
    zone: str = ""
    evse_kind: str = "AC"
    reserved_ms: int | None = None
    """How long its place was reserved for it before it began."""


class SessionTariffOffered(Fact, frozen=True, tag="session-tariff-offered.1"):
    """The station has taken another tariff for a running session; it says when it uses it."""

    session_id: str
    tariff: Tariff


class SessionTariffDeclined(Fact, frozen=True, tag="session-tariff-declined.1"):
    """The driver does not want the tariff (2.1 I07.FR.30): the session costs nothing."""

    session_id: str


class SessionCostTold(Fact, frozen=True, tag="session-cost-told.1"):
    """What the station says that a session costs."""

    session_id: str
    told: Told


class SessionCostDiffered(Fact, frozen=True, tag="session-cost-differed.1"):
    """The station's final cost is not the one that follows from its own messages by the same tariff."""

    session_id: str
    tariff_id: str
    currency: str
    expected: str
    told: str


class DefaultTariffSet(Fact, frozen=True, tag="default-tariff-set.1"):
    """The station has taken a default tariff, for one EVSE or (0) for all."""

    evse: int
    tariff: Tariff


class TariffsCleared(Fact, frozen=True, tag="tariffs-cleared.1"):
    """These default tariffs are not at the station any more, or not at this EVSE."""

    ids: tuple[str, ...]
    evse: int = 0


class CommandRequested(Fact, frozen=True, tag="command-requested.1"):
    command_id: str
    action: str
    payload: str
    """JSON text, as it will be sent."""
    expires_at: int
    by: str = ""


class CommandSettled(Fact, frozen=True, tag="command-settled.1"):
    """The command came to its end."""

    command_id: str
    outcome: str
    """answered, refused (a CALLERROR), timed-out, expired, undeliverable."""
    answer: str = ""
    """JSON text: the station's answer, or {"code", "description", "details"} of its CALLERROR."""


class DeviationAccepted(Fact, frozen=True, tag="deviation-accepted.1"):
    """A named tolerance rule let a message pass that the schema would refuse."""

    action: str
    rules: tuple[str, ...]


class QuirkSeen(Fact, frozen=True, tag="quirk-seen.1"):
    """The station did something that the catalogue of quirks has a name for; told once a day at most. The frame of the
    entry shows it, where one frame does."""

    quirk: str
    about: str = ""
    """What it was seen in, where the frame does not say it."""


AnyFact = (
    StationConnected
    | StationDisconnected
    | StationBooted
    | ConnectorStatusChanged
    | TokenPresented
    | SessionStarted
    | SessionUpdated
    | SessionEnded
    | OrphanReceived
    | VariablesReported
    | EventNotified
    | SecurityEventNotified
    | DataTransferred
    | FirmwareStatusChanged
    | LogStatusChanged
    | CertificateRequested
    | CertificateIssued
    | CertificateSettled
    | CredentialChanged
    | ChargingProfileSet
    | ChargingProfilesCleared
    | ChargingRatesUpdated
    | ChargingProfilesReported
    | ChargingLimitChanged
    | PriorityChargingChanged
    | ChargingNeedsNotified
    | VehicleScheduleNotified
    | CompositeScheduleDiffered
    | SessionTariffSet
    | SessionTariffOffered
    | SessionTariffDeclined
    | SessionCostTold
    | SessionCostDiffered
    | DefaultTariffSet
    | TariffsCleared
    | ReservationMade
    | ReservationEnded
    | MonitorsTold
    | MonitorsCleared
    | MonitoringSet
    | CustomerInformationTold
    | StreamSet
    | StreamsListed
    | StreamClosed
    | StreamTold
    | DisplayMessagesTold
    | DisplayMessageCleared
    | SessionLimitSet
    | FirmwarePublished
    | PaymentSettled
    | VatNumberAsked
    | WebPaymentStarted
    | EnergyTransferAllowed
    | BatterySwapRequested
    | BatterySwapped
    | GridControlsTold
    | GridControlsCleared
    | GridControlRan
    | GridAlarm
    | GridSignalTaken
    | LocalListTold
    | TransactionStatusTold
    | InventoryAsked
    | CommandRequested
    | CommandSettled
    | DeviationAccepted
    | QuirkSeen
)
"""The closed union: what a journal may hold."""
