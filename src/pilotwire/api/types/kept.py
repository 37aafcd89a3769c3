"""What a station keeps of what it was told: reservations, monitors, streams, messages, grid controls, payments."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .base import Time

_Component = Annotated[str, Meta(description="Component of the device model", examples=["EVSE"])]
_Variable = Annotated[str, Meta(examples=["Power"])]
_Instance = Annotated[str, Meta(description="Empty: it has but one", examples=[""])]
_Token = Annotated[str, Meta(examples=["04A1B2C3"])]
_Transaction = Annotated[str, Meta(description="The protocol's transactionId; empty: none", examples=["tx-42"])]


class KeptReservation(msgspec.Struct, kw_only=True):
    """A place held for a token."""

    id: Annotated[int, Meta(description="reservationId", examples=[7])]
    token: _Token
    token_type: Annotated[str, Meta(examples=["ISO14443"])]
    group: Annotated[str, Meta(description="Group id (1.6: parentIdTag); empty: none", examples=[""])]
    evse: Annotated[int | None, Meta(description="null: any of the station's")]
    connector_type: Annotated[str, Meta(description="Empty: any", examples=["cCCS2"])]
    made_at: Time
    expires_at: Time
    status: Annotated[
        Literal["waiting", "used", "no-show", "cancelled", "removed", "no-transaction"],
        Meta(
            description="no-show: nobody came in time, by the station's word or, in 1.6, by the clock; removed: the "
            "station let go of it; no-transaction: the driver came and did not charge"
        ),
    ]
    ended_at: Time | None
    session_id: Annotated[str | None, Meta(description="The session that used it")]


class KeptMonitor(msgspec.Struct, kw_only=True):
    """A variable monitor: the station tells when a variable leaves its bounds, changes, or at intervals."""

    id: Annotated[int, Meta(examples=[1])]
    component: _Component
    component_instance: _Instance
    variable: _Variable
    variable_instance: _Instance
    evse: int | None
    connector: int | None
    kind: Annotated[str, Meta(description="MonitorEnumType", examples=["UpperThreshold"])]
    value: Annotated[str, Meta(description="The number as the wire had it", examples=["22000"])]
    severity: Annotated[int, Meta(description="0 danger … 9 debug", examples=[3])]
    transaction: Annotated[bool, Meta(description="It counts while a transaction runs")]
    origin: Annotated[
        str, Meta(description="Who made it: the hardware, the vendor, or a central system", examples=["CustomMonitor"])
    ]


class KeptMonitoring(msgspec.Struct, kw_only=True):
    """What the station watches by itself."""

    base: Annotated[
        str, Meta(description="SetMonitoringBase as last accepted; empty: never set", examples=["FactoryDefault"])
    ]
    level: Annotated[int | None, Meta(description="Events of a higher number than this are not sent")]
    monitors: list[KeptMonitor]


class KeptStream(msgspec.Struct, kw_only=True):
    """A periodic event stream (2.1)."""

    id: Annotated[int, Meta(examples=[3])]
    monitor: Annotated[int, Meta(description="The monitor whose values it carries", examples=[1])]
    interval_s: int | None
    values: Annotated[int | None, Meta(description="It sends as soon as it has so many")]
    opened_at: Time
    last_at: Annotated[Time | None, Meta(description="When values last came, to within ten seconds")]
    told: Annotated[int, Meta(description="Values that came", examples=[1200])]
    pending: Annotated[int, Meta(description="Values that waited at the station when it last sent some")]


class KeptText(msgspec.Struct, kw_only=True):
    """A text in one language."""

    format: Annotated[str, Meta(examples=["UTF8"])]
    language: Annotated[str, Meta(description="RFC 5646; empty: not told", examples=["en"])]
    content: Annotated[str, Meta(examples=["Free parking until six"])]


class KeptMessage(msgspec.Struct, kw_only=True):
    """A message on the station's display."""

    id: Annotated[int, Meta(examples=[1])]
    priority: Annotated[str, Meta(examples=["NormalCycle"])]
    texts: Annotated[list[KeptText], Meta(description="The first is the message's own")]
    state: Annotated[str, Meta(description="It is shown in this state alone; empty: in any", examples=["Charging"])]
    starts_at: Time | None
    ends_at: Time | None
    transaction: _Transaction


class KeptLocalList(msgspec.Struct, kw_only=True):
    """The local authorization list that the station has."""

    version: Annotated[int, Meta(description="0: it has none; -1: it keeps no list", examples=[4])]
    at: Annotated[Time, Meta(description="When it said so")]
    kind: Annotated[str, Meta(description="How we sent it: Full or Differential; empty: others did", examples=["Full"])]
    entries: Annotated[int | None, Meta(description="null where only the station knows")]


class KeptReport(msgspec.Struct, kw_only=True):
    """A report that comes in parts."""

    kind: Literal["variables", "monitors", "messages", "customer", "controls"]
    request_id: Annotated[int, Meta(examples=[5])]
    complete: bool
    missing: Annotated[
        list[list[int]],
        Meta(description="Parts that are not there, as [first, last] of their seqNo", examples=[[[1, 1]]]),
    ]
    at: Annotated[Time, Meta(description="When the newest part came")]


class KeptControl(msgspec.Struct, kw_only=True):
    """A DER control (2.1)."""

    id: Annotated[str, Meta(examples=["droop-1"])]
    kind: Annotated[str, Meta(description="DERControlEnumType", examples=["FreqDroop"])]
    default: Annotated[bool, Meta(description="It holds while no scheduled one does")]
    priority: Annotated[int, Meta(description="0 goes first", examples=[1])]
    starts_at: Time | None
    duration_s: Annotated[str, Meta(description="Exact; empty: without end", examples=["60.5"])]
    setting: Annotated[dict[str, Any], Meta(description="The control itself, as OCPP writes it")]
    superseded: Annotated[bool, Meta(description="Another one of its kind holds in its place")]
    running: bool


class KeptSignal(msgspec.Struct, kw_only=True):
    """An aFRR signal that the station has taken (2.1)."""

    at: Time
    signal: Annotated[int, Meta(examples=[40])]


class KeptTransfer(msgspec.Struct, kw_only=True):
    """Which kinds of energy transfer a transaction may use (2.1)."""

    transaction: _Transaction
    modes: Annotated[list[str], Meta(examples=[["DC", "DC_BPT"]])]


class KeptBattery(msgspec.Struct, kw_only=True):
    """A battery of a swap station."""

    evse: int
    serial: str
    soc_percent: float
    soh_percent: Annotated[float, Meta(description="State of health", examples=[98.5])]
    made_at: Time | None
    info: str


class KeptSwap(msgspec.Struct, kw_only=True):
    """A step of a battery swap (2.1)."""

    request_id: Annotated[int, Meta(examples=[5])]
    kind: Literal["requested", "BatteryIn", "BatteryOut", "BatteryOutTimeout"]
    at: Time
    token: _Token
    batteries: list[KeptBattery]


class KeptPayment(msgspec.Struct, kw_only=True):
    """A settlement that the station's payment terminal made (2.1)."""

    reference: Annotated[str, Meta(description="pspRef", examples=["psp-81f2"])]
    status: Literal["Settled", "Canceled", "Rejected", "Failed"]
    amount: Annotated[str, Meta(description="Exact, in the currency of the transaction", examples=["12.40"])]
    at: Time
    transaction: _Transaction
    receipt: Annotated[str, Meta(description="Its number; empty: none", examples=["R-2291"])]
    receipt_url: Annotated[str, Meta(examples=["https://receipts.example.com/R-2291"])]
    why: Annotated[str, Meta(description="What the station added", examples=[""])]
    vat_number: Annotated[str, Meta(examples=["DE136695976"])]
    company: Annotated[str, Meta(examples=["Example Charging"])]


class KeptInventory(msgspec.Struct, kw_only=True):
    """When the station was asked for all of its variables by the central system itself."""

    firmware: str
    at: Time
    status: Annotated[str, Meta(description="What it answered", examples=["Accepted"])]


class StationKept(msgspec.Struct, kw_only=True):
    """What a station keeps, as it has accepted or told it. Every list is bounded; the oldest go first."""

    reservations: Annotated[list[KeptReservation], Meta(description="Newest first")]
    monitoring: KeptMonitoring
    streams: list[KeptStream]
    display_messages: list[KeptMessage]
    local_list: KeptLocalList | None
    reports: list[KeptReport]
    grid_controls: list[KeptControl]
    grid_alarms: Annotated[
        list[str],
        Meta(description="That have not ended: control type and fault", examples=[["FreqDroop UnderFrequency"]]),
    ]
    grid_signal: KeptSignal | None
    energy_transfers: list[KeptTransfer]
    battery_swaps: Annotated[list[KeptSwap], Meta(description="Newest first")]
    payments: Annotated[list[KeptPayment], Meta(description="Newest first")]
    inventory: KeptInventory | None
