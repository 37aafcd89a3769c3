"""What a station was told to keep, or has told that it keeps: reservations, monitors, streams, messages, grid controls.

A `Kept` is part of a station's record, so it is stored in the same commit as the fact that changed it and comes back
when the journal is replayed. Every list is bounded: a station that reports without end costs itself its oldest entries.
Times are ms since the epoch, numbers of the wire are kept as exact text.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

import msgspec

MOST_RESERVATIONS: Final = 100
MOST_MONITORS: Final = 1_000
MOST_STREAMS: Final = 100
MOST_MESSAGES: Final = 200
MOST_CONTROLS: Final = 200
PERSISTS: Final = "persists TxProfile"
"""Of `Kept.limits`: 1 where TxProfiles outlive a restart (2.1 ChargingProfilePersistence)."""
MOST_REPORTS: Final = 16
MOST_SWAPS: Final = 50
MOST_PAYMENTS: Final = 50
MOST_TRANSFERS: Final = 32
MOST_SESSION_LIMITS: Final = 100
"""How many are kept of each; those that were longest untouched go first."""

CUSTOM: Final = "CustomMonitor"
"""Origin of monitors that a central system has set."""

Standing = Literal["waiting", "used", "no-show", "cancelled", "removed", "expired", "no-transaction"]


class Reservation(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """H01: a place held for a token."""

    id: int
    token: str
    token_type: str = ""
    group: str = ""
    evse: int = 0
    """0: any."""
    connector_type: str = ""
    made_at: int
    expires_at: int
    status: str = "waiting"
    """waiting, used, cancelled, expired (the station said that nobody came), removed (it let go of it by itself) or
    no-transaction (2.1: the driver came and did not charge)."""
    ended_at: int | None = None
    session: str = ""


def standing(one: Reservation, now: int) -> Standing:
    """How it stands at `now`: 1.6 stations never say that nobody came, so the clock does."""
    if one.status == "expired" or (one.status == "waiting" and one.expires_at <= now):
        return "no-show"
    return one.status  # type: ignore[return-value]


class Place(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Component and variable of the device model."""

    component: str
    variable: str
    component_instance: str = ""
    variable_instance: str = ""
    evse: int | None = None
    connector: int | None = None


class Monitor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A variable monitor (N04, N07)."""

    id: int
    place: Place
    kind: str
    """UpperThreshold, LowerThreshold, Delta, Periodic, PeriodicClockAligned, TargetDelta, TargetDeltaRelative."""
    value: str
    severity: int
    """0 danger … 9 debug."""
    transaction: bool = False
    origin: str = CUSTOM
    """HardWiredMonitor, PreconfiguredMonitor or CustomMonitor."""


class Stream(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A periodic event stream (2.1 N11 … N15)."""

    id: int
    monitor: int
    interval_s: int | None = None
    values: int | None = None
    opened_at: int = 0
    last_at: int | None = None
    """When values last came."""
    told: int = 0
    """Values that came."""
    pending: int = 0
    """Values that waited at the station when it last sent some."""


class Display(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A message on a station's display (O01)."""

    id: int
    priority: str
    content: str
    format: str = "UTF8"
    language: str = ""
    state: str = ""
    starts_at: int | None = None
    ends_at: int | None = None
    transaction: str = ""
    more: tuple[tuple[str, str, str], ...] = ()
    """2.1 messageExtra: (format, language, content)."""


class Control(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A DER control (2.1 R04)."""

    id: str
    kind: str
    """DERControlEnumType."""
    default: bool = False
    priority: int = 0
    """0 is the highest."""
    starts_at: int | None = None
    duration_s: str = ""
    setting: str = ""
    """The control itself, as JSON text."""
    superseded: bool = False
    """Another one of a higher priority holds in its place."""
    running: bool = False


class Progress(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """Of a report in several parts, which may come in any order."""

    kind: str
    """variables, monitors, messages, customer or controls."""
    request_id: int
    seen: list[list[int]] = []
    """seqNo ranges received."""
    last: int | None = None
    """The seqNo of the part that said that none follows."""
    at: int = 0
    """When the newest part came."""

    @property
    def complete(self) -> bool:
        """Every part is here."""
        return self.last is not None and self.seen[:1] == [[0, self.last]]

    @property
    def missing(self) -> list[list[int]]:
        """Which parts are not here, as [first, last]; what follows the newest is not known before the last came."""
        gaps: list[list[int]] = []
        after = 0
        for first, last in self.seen:
            if first > after:
                gaps.append([after, first - 1])
            after = last + 1
        if self.last is not None and after <= self.last:
            gaps.append([after, self.last])
        return gaps


class ListAtStation(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The local authorization list as the station has it, as far as it has said so (D01, D02)."""

    version: int
    """0: it has none; -1: it keeps no list."""
    at: int
    kind: str = ""
    """Full or Differential, where we sent it."""
    entries: int | None = None
    """How many it holds, where we know; None: somebody else sent it."""


class Inventory(msgspec.Struct, frozen=True, gc=False):
    """When the station was last asked for all of its variables, and with which firmware."""

    firmware: str
    at: int
    status: str
    """What it answered: Accepted, Rejected, NotSupported, EmptyResultSet."""


class Swap(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One step of a battery swap (2.1 block S)."""

    request_id: int
    kind: str
    """requested, BatteryIn, BatteryOut or BatteryOutTimeout."""
    at: int
    token: str = ""
    batteries: tuple[Battery, ...] = ()


class Battery(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A battery of a swap station; SoC and SoH in 0.1 %."""

    evse: int
    serial: str
    soc: int
    soh: int
    made_at: int | None = None
    info: str = ""


class Payment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A settlement that the station told of (2.1 C21 … C24)."""

    reference: str
    status: str
    amount: str
    at: int
    transaction: str = ""
    receipt: str = ""
    receipt_url: str = ""
    why: str = ""
    vat_number: str = ""
    company: str = ""


class SessionLimit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """How far a session may go (2.1 TransactionLimitType, E16)."""

    max_cost: str = ""
    """With tax, in the currency of the tariff."""
    max_energy: str = ""
    """Wh."""
    max_time: int | None = None
    """s."""
    max_soc: int | None = None
    """%."""

    def within(self, other: SessionLimit) -> SessionLimit | None:
        """What of this still limits a session that `other` limits already; None: nothing does."""
        left = SessionLimit(
            max_cost=self.max_cost if _lower(self.max_cost, other.max_cost) else "",
            max_energy=self.max_energy if _lower(self.max_energy, other.max_energy) else "",
            max_time=self.max_time if _lower(self.max_time, other.max_time) else None,
            max_soc=self.max_soc if _lower(self.max_soc, other.max_soc) else None,
        )
        return None if left == SessionLimit() else left

    @property
    def named(self) -> tuple[str, ...]:
        """Which of its limits are set, as the wire calls them."""
        given = {
            "maxCost": self.max_cost,
            "maxEnergy": self.max_energy,
            "maxTime": self.max_time,
            "maxSoC": self.max_soc,
        }
        return tuple(name for name, value in given.items() if value not in ("", None))

    def lowest(self, other: SessionLimit) -> SessionLimit:
        """Of each the lower one."""
        return SessionLimit(
            max_cost=self.max_cost if _lower(self.max_cost, other.max_cost) else other.max_cost,
            max_energy=self.max_energy if _lower(self.max_energy, other.max_energy) else other.max_energy,
            max_time=self.max_time if _lower(self.max_time, other.max_time) else other.max_time,
            max_soc=self.max_soc if _lower(self.max_soc, other.max_soc) else other.max_soc,
        )


def _lower(one: str | int | None, other: str | int | None) -> bool:
    if one in ("", None):
        return False
    return other in ("", None) or Decimal(str(one)) < Decimal(str(other))


class Kept(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """See the module."""

    reservations: list[Reservation] = []
    monitors: list[Monitor] = []
    renumbered: bool = False
    """It has booted since its monitors were told: ours may have other ids now (N04.FR.19)."""
    monitoring_base: str = ""
    """All, FactoryDefault or HardWiredOnly, as the station last accepted it."""
    monitoring_level: int | None = None
    """Events of a severity above this one are not sent."""
    streams: list[Stream] = []
    messages: list[Display] = []
    controls: list[Control] = []
    alarms: list[str] = []
    """DER alarms that have not ended, by control type and fault."""
    signal: tuple[int, int] | None = None
    """The last aFRR signal that it took: (ms, signal)."""
    transfers: dict[str, tuple[str, ...]] = {}
    """Transaction → the energy transfer modes that it was allowed."""
    reports: list[Progress] = []
    local_list: ListAtStation | None = None
    master: str = ""
    """The group of its master passes (2.x MasterPassGroupId)."""
    networks: str = ""
    """The slots of network profiles that are in use, the first first (2.x NetworkConfigurationPriority): "1,2"."""
    inventory: Inventory | None = None
    swaps: list[Swap] = []
    payments: list[Payment] = []
    takes: str | None = None
    """Which limits of sessions the station can follow (2.1 TxCtrlr.SupportedLimits); None: it has not said so."""
    session_limits: dict[int, SessionLimit] = {}
    """remoteStartId → how far the session may go that it begins (2.1 F07)."""
    limits: dict[str, int] = {}
    """How large requests may be that cannot come in several: "items SendLocalList", "bytes SendLocalList" …, as the
    station's variables say. Those that can are in `Station.batches`. And of SmartChargingCtrlr "periods", "external
    ids" (the highest that the station gives itself) and "phase switching" (1: it can; "phase switching 2" for EVSE 2).
    """
