"""Charging profiles in the words of no version: what 1.6, 2.0.1 and 2.1 send is made into this once.

Rates are integers in thousandths of the schedule's unit: mA per phase for "A", mW for "W" (all phases together, or L1
alone where a period also names L2 and L3). Times are ms since the epoch (UTC), lengths are ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from types import MappingProxyType
from typing import Literal, NamedTuple

import msgspec

from pilotwire.domain.interpolation import Point

STATION_MAX = "ChargingStationMaxProfile"
EXTERNAL = "ChargingStationExternalConstraints"
TX_DEFAULT = "TxDefaultProfile"
TX = "TxProfile"
PRIORITY = "PriorityCharging"
LOCAL_GENERATION = "LocalGeneration"
EV_SCHEDULE = "EVChargingSchedule"
"""Ours: what the vehicle itself said it will take (NotifyEVChargingSchedule), a cap of its EVSE (K15.FR.14)."""

Unit = Literal["A", "W"]

CHARGING_ONLY = "ChargingOnly"
EXTERNAL_SETPOINT = "ExternalSetpoint"
EXTERNAL_LIMITS = "ExternalLimits"

DAY_MS = 86_400_000
CYCLES = {"Daily": DAY_MS, "Weekly": 7 * DAY_MS}
"""How long a recurrencyKind is: 24 hours and 7 days from startSchedule on (1.6 errata 3.79)."""


class Rates(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The twelve rates of a schedule period (2.1; before it `limit` alone), and what an update of them carries."""

    limit: int | None = None
    limit_l2: int | None = None
    limit_l3: int | None = None
    discharge: int | None = None
    """Zero or less."""
    discharge_l2: int | None = None
    discharge_l3: int | None = None
    setpoint: int | None = None
    """Positive: towards the vehicle."""
    setpoint_l2: int | None = None
    setpoint_l3: int | None = None
    reactive: int | None = None
    """Positive: inductive."""
    reactive_l2: int | None = None
    reactive_l3: int | None = None


RATE_FIELDS = Rates.__struct_fields__


class Period(Rates, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One ChargingSchedulePeriod: from `start_ms` into the schedule until the next one starts."""

    start_ms: int
    phases: int | None = None
    """numberPhases."""
    phase_to_use: int | None = None
    mode: str = CHARGING_ONLY
    """operationMode."""
    sleep: bool = False
    """evseSleep."""
    precondition: bool = False
    """preconditioningRequest."""
    baseline: int | None = None
    """v2xBaseline, mW."""
    freq_watt: tuple[Point, ...] = ()
    """v2xFreqWattCurve: (mHz, mW), in order of frequency."""
    signal_watt: tuple[Point, ...] = ()
    """v2xSignalWattCurve: (thousandths of the signal, mW), in order of signal."""


class LimitAtSoc(NamedTuple):
    """From `soc` (0.1 %) on no more than `limit` (K01.FR.100)."""

    soc: int
    limit: int


class Schedule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One ChargingSchedule."""

    unit: Unit
    periods: tuple[Period, ...]
    id: int = 0
    start: int | None = None
    """startSchedule; with `local` the reading of the station's clock on the wall, as if it were UTC."""
    duration_ms: int | None = None
    min_rate: int | None = None
    local: bool = False
    """useLocalTime (K01.FR.90)."""
    random_delay_ms: int = 0
    limit_at_soc: LimitAtSoc | None = None


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One ChargingProfile, installed on `evse` (0: the whole station)."""

    id: int
    evse: int
    stack: int
    purpose: str
    """As 2.x names it; 1.6 ChargePointMaxProfile is ChargingStationMaxProfile."""
    kind: str
    """Absolute, Recurring, Relative or Dynamic."""
    schedules: tuple[Schedule, ...]
    recurrency: str | None = None
    valid_from: int | None = None
    valid_to: int | None = None
    transaction: str | None = None
    """TxProfile: the key of the transaction it is for."""
    installed: int = 0
    """When it was set. A schedule of the whole station that names no start begins here."""
    max_offline_ms: int | None = None
    invalid_after_offline: bool = False
    update_interval_ms: int = 0
    """Dynamic: how long after the last update the station asks for the next; 0: it does not."""
    updated: int | None = None
    """Dynamic: dynUpdateTime."""
    source: str = "CSO"
    """chargingLimitSource."""
    wire: str = ""
    """The profile as it came (JSON text), for what is carried and not executed: tariffs, signatures, customData."""


class Place(NamedTuple):
    """What is electrically known of an EVSE, or of the whole station (EVSE 0)."""

    mv: int = 230_000
    """The voltage that A and W are converted with: the set line voltage, never a measured one (K01.FR.50)."""
    phases: int = 3
    dc: bool = False
    max_ma: int | None = None
    """What the hardware can give: mA per phase."""
    max_mw: int | None = None


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """What the profiles need to know of the transaction that runs on an EVSE."""

    key: str
    start: int
    """When energy could first flow (PowerPathClosed): where relative schedules begin."""
    priority: bool = False
    """Priority charging is on (K21, K22)."""
    schedule: int = 0
    """Which of up to three schedules the vehicle chose (ISO 15118); 0 is the first."""
    soc: int | None = None
    """0.1 %; None: not known, then limitAtSoC does not apply."""
    delays: Mapping[int, tuple[int, ...]] = MappingProxyType({})
    """Profile id → how many ms each of its periods is late (K01.FR.93), drawn once by `draw_delays`."""


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """What holds at the station beside its profiles."""

    places: Mapping[int, Place] = MappingProxyType({})
    """By EVSE id; 0 is the whole station. Without an entry: three phases, 230 V, no hardware maximum."""
    transactions: Mapping[int, Transaction] = MappingProxyType({})
    """By EVSE id."""
    zone: tzinfo | None = None
    """The station's local time; None: UTC."""
    offline_since: int | None = None
    external: Mapping[int, Rates] = MappingProxyType({})
    """By EVSE id (0: all): what an external system says now, in the unit of the schedule that asks for it (Q05)."""
    setpoint_by_csms: bool = False
    """SetpointPriority is CSMS: a set-point of the transaction's profile comes before an external one (Q06.FR.22)."""


class Interval(NamedTuple):
    """One period of a composite schedule: from `start_ms` after its begin on. Rates in thousandths of its unit."""

    start_ms: int
    limit: int | None
    """None: nothing limits, and no hardware maximum is known."""
    phases: int | None = None
    limit_l2: int | None = None
    limit_l3: int | None = None
    discharge: int | None = None
    discharge_l2: int | None = None
    discharge_l3: int | None = None
    setpoint: int | None = None
    setpoint_l2: int | None = None
    setpoint_l3: int | None = None
    reactive: int | None = None
    reactive_l2: int | None = None
    reactive_l3: int | None = None
    phase_to_use: int | None = None
    mode: str = CHARGING_ONLY
    sleep: bool = False
    precondition: bool = False
    baseline: int | None = None
    freq_watt: tuple[Point, ...] = ()
    signal_watt: tuple[Point, ...] = ()


class Composite(NamedTuple):
    """A composite schedule from `start` on for `duration_ms`."""

    evse: int
    unit: Unit
    start: int
    duration_ms: int
    intervals: tuple[Interval, ...]
    """At least one, the first at 0; neighbours differ."""


class Limits(NamedTuple):
    """What holds now, for the loop that controls the current. None: not limited that way."""

    ma: int | None = None
    """mA on each phase."""
    mw: int | None = None
    """mW of all phases together."""
    phases: int | None = None
    until: int | None = None
    """When to look again; None: not before something is set or a transaction changes."""
    rich: Interval | None = None
    """In W, where more than a limit is asked: set-points, discharging, single phases, modes."""

    def lowest(self, other: Limits) -> Limits:
        """Both bind, and the sooner of the two changes first. What is rich is this one's."""
        return Limits(
            _least(self.ma, other.ma),
            _least(self.mw, other.mw),
            _least(self.phases, other.phases),
            _least(self.until, other.until),
            self.rich,
        )


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)
