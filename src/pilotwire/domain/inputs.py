"""What a station can tell us and what we decide to answer, in the words of no protocol version.

`translate.v16 / v201 / v21` turn requests into these inputs and outcomes into responses; `domain.stations.decide`
stands between and knows neither. Times are ms since the epoch by the station's clock; `recv_time` is in the context.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from .facts import ReportedVariable
from .kept import SessionLimit
from .metering import Samples
from .records import Sample
from .tariffs.bill import Told
from .tariffs.model import Tariff, Text


class Input(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of all inputs."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of all outcomes."""


class Done(Outcome, frozen=True):
    """Nothing to say but yes."""


class Boot(Input, frozen=True):
    vendor: str
    model: str
    serial: str = ""
    firmware: str = ""
    reason: str = ""


class BootVerdict(Outcome, frozen=True):
    verdict: str
    """Accepted, Pending or Rejected."""
    interval_s: int
    """Heartbeat interval when accepted, else how long to wait before the next boot."""


class Heartbeat(Input, frozen=True):
    pass


class Status(Input, frozen=True):
    evse: int
    connector: int
    status: str
    time: int | None = None
    """None: the version does not carry one, or the station sent none; arrival counts."""
    error_code: str = ""
    info: str = ""
    vendor_id: str = ""
    vendor_error_code: str = ""


class Authorize(Input, frozen=True):
    token: str
    token_type: str = "ISO14443"  # noqa: S105


class TokenVerdict(Outcome, frozen=True):
    """AuthorizationStatus with its group and expiry (ms)."""

    status: str
    parent: str = ""
    expires_at: int | None = None
    credit: str = ""
    """Of a prepaid token: the most that may be spent; it is not to be remembered by the station (2.1 C17)."""
    tariff: Tariff | None = None
    """The driver's own, where the station is to work out the cost by it (2.1 I08)."""
    message: tuple[Text, ...] = ()
    """What the driver is to read of the tariff (2.x I01), the default language first."""


class StartTransaction(Input, frozen=True):
    """1.6 StartTransaction.req."""

    connector: int
    token: str
    meter_start_wh: int
    time: int
    reservation_id: int | None = None


class Started(Outcome, frozen=True):
    transaction_id: int
    token: TokenVerdict


class StopTransaction(Input, frozen=True):
    """1.6 StopTransaction.req. `samples` is its transactionData."""

    transaction_id: int
    meter_stop_wh: int
    time: int
    reason: str = ""
    token: str = ""
    samples: tuple[Sample, ...] = ()


class Stopped(Outcome, frozen=True):
    token: TokenVerdict | None = None


class TransactionEvent(Input, frozen=True):
    """2.x TransactionEventRequest."""

    kind: str
    """Started, Updated or Ended."""
    transaction: str
    seq_no: int
    time: int
    trigger: str
    charging_state: str = ""
    stopped_reason: str = ""
    remote_start_id: int | None = None
    evse: int | None = None
    connector: int | None = None
    token: str = ""
    token_type: str = ""
    reservation_id: int | None = None
    offline: bool = False
    vehicle: str = ""
    """What the vehicle calls itself (additionalInfo of the token)."""
    vehicle_type: str = ""
    """EVCCID, VIN or MacAddress."""
    samples: tuple[Sample, ...] = ()
    tariff_id: str = ""
    """2.1: by which the station works out the cost."""
    cost: Told | None = None
    """2.1: what it has come to by that."""
    limit: SessionLimit | None = None
    """2.1: how far it may go by what the driver has set, or by what we have."""


class TransactionAnswered(Outcome, frozen=True):
    token: TokenVerdict | None = None
    total_cost: Decimal | None = None
    """What it costs so far, or in all, with tax."""
    message: tuple[Text, ...] = ()
    """What the driver is to read of another tariff than before (2.x I06), the default language first."""
    limit: SessionLimit | None = None
    """2.1: how far it may go (E16, F07)."""


class MeterValues(Input, frozen=True):
    """MeterValues of either line. `transaction_id` is 1.6's; 2.x values belong to no transaction."""

    evse: int
    connector: int
    transaction_id: int | None = None
    samples: Samples = ()


class Report(Input, frozen=True):
    """NotifyReport, or the answer to our GetConfiguration / GetVariables: the device model as reported."""

    variables: tuple[ReportedVariable, ...]
    time: int | None = None
    request_id: int | None = None
    seq_no: int = 0
    more: bool = False


class DeviceEvent(Input, frozen=True):
    """One NotifyEvent with its elements."""

    events: tuple[NotifiedEvent, ...]
    time: int | None = None


class NotifiedEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    event_id: int
    time: int
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
    cause: int | None = None
    transaction: str = ""
    monitor: int | None = None


class SecurityEvent(Input, frozen=True):
    kind: str
    time: int
    tech_info: str = ""


class DataTransfer(Input, frozen=True):
    vendor_id: str
    message_id: str = ""
    data: str = ""


class DataTransferVerdict(Outcome, frozen=True):
    status: str
    """Accepted, Rejected, UnknownMessageId or UnknownVendorId."""


class FirmwareStatus(Input, frozen=True):
    status: str
    request_id: int | None = None


class LogStatus(Input, frozen=True):
    status: str
    kind: str = "log"
    request_id: int | None = None
