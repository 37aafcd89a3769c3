"""Charging profiles and composite schedules of 1.6, 2.0.1 and 2.1 ⇄ `domain.schedules`.

Rates of the wire are decimals of A or W; here they are integers in thousandths. Limits are rounded down and signed
rates towards zero, so that nothing is ever more than was said.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_DOWN, ROUND_FLOOR, Decimal
from typing import Any, cast

import msgspec

from pilotwire.core.time import from_datetime, to_datetime
from pilotwire.domain.schedules.compare import on_the_wire
from pilotwire.domain.schedules.model import (
    CHARGING_ONLY,
    RATE_FIELDS,
    STATION_MAX,
    Composite,
    Interval,
    LimitAtSoc,
    Period,
    Profile,
    Rates,
    Schedule,
    Unit,
)
from pilotwire.domain.schedules.store import Criteria
from pilotwire.protocols.ocpp.model import dec_hook
from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.protocols.ocpp.v21 import messages as v21
from pilotwire.protocols.ocpp.v201 import messages as v201

_PURPOSE_16 = {"ChargePointMaxProfile": STATION_MAX}
_encode = msgspec.json.Encoder(decimal_format="number").encode
# Decoders are made here and not when first needed, since threads may need one for the first time together.
_PROFILES = {
    module: msgspec.json.Decoder(module.ChargingProfileType, dec_hook=dec_hook, float_hook=Decimal)
    for module in (v201, v21)
}

_WIRE_RATES = {
    "limit": "limit",
    "limit_l2": "limit_l2",
    "limit_l3": "limit_l3",
    "discharge": "discharge_limit",
    "discharge_l2": "discharge_limit_l2",
    "discharge_l3": "discharge_limit_l3",
    "setpoint": "setpoint",
    "setpoint_l2": "setpoint_l2",
    "setpoint_l3": "setpoint_l3",
    "reactive": "setpoint_reactive",
    "reactive_l2": "setpoint_reactive_l2",
    "reactive_l3": "setpoint_reactive_l3",
}
"""Our names of the twelve rates → the fields of ChargingSchedulePeriodType and ChargingScheduleUpdateType."""


# ── from the wire ────────────────────────────────────────────────────────────────────────────────────────────────────


def milli(value: Decimal | int) -> int:
    """A wire rate in thousandths: limits (never negative in use) down, what is negative towards zero."""
    rounding = ROUND_FLOOR if value >= 0 else ROUND_DOWN
    return int(Decimal(value).scaleb(3).to_integral_value(rounding=rounding))


def profile_16(wire: v16.ChargingProfile, evse: int, transaction: str | None, now: int) -> Profile:
    """A 1.6 ChargingProfile that is set on connector `evse` at `now`; `transaction` is the key of a TxProfile's one."""
    purpose = _PURPOSE_16.get(wire.charging_profile_purpose, wire.charging_profile_purpose)
    schedule = wire.charging_schedule
    return Profile(
        id=wire.charging_profile_id,
        evse=evse,
        stack=wire.stack_level,
        purpose=purpose,
        kind=wire.charging_profile_kind,
        recurrency=wire.recurrency_kind,
        valid_from=_instant(wire.valid_from),
        valid_to=_instant(wire.valid_to),
        transaction=transaction,
        installed=now,
        schedules=(
            Schedule(
                unit=schedule.charging_rate_unit,
                periods=tuple(
                    Period(start_ms=row.start_period * 1000, limit=milli(row.limit), phases=row.number_phases)
                    for row in schedule.charging_schedule_period
                ),
                start=_instant(schedule.start_schedule),
                duration_ms=None if schedule.duration is None else schedule.duration * 1000,
                min_rate=None if schedule.min_charging_rate is None else milli(schedule.min_charging_rate),
            ),
        ),
        wire=_encode(wire).decode(),
    )


def profile_2(wire: Any, evse: int, transaction: str | None, now: int) -> Profile:
    """A ChargingProfileType of 2.0.1 or 2.1."""
    interval = getattr(wire, "dyn_update_interval", None)
    offline = getattr(wire, "max_offline_duration", None)
    return Profile(
        id=wire.id,
        evse=evse,
        stack=wire.stack_level,
        purpose=wire.charging_profile_purpose,
        kind=wire.charging_profile_kind,
        recurrency=wire.recurrency_kind,
        valid_from=_instant(wire.valid_from),
        valid_to=_instant(wire.valid_to),
        transaction=transaction,
        installed=now,
        max_offline_ms=None if offline is None else offline * 1000,
        invalid_after_offline=bool(getattr(wire, "invalid_after_offline_duration", None)),
        update_interval_ms=(interval or 0) * 1000,
        updated=_instant(getattr(wire, "dyn_update_time", None)),
        schedules=tuple(schedule_2(each) for each in wire.charging_schedule),
        wire=_encode(wire).decode(),
    )


def schedule_2(wire: Any) -> Schedule:
    """A ChargingScheduleType of 2.0.1 or 2.1."""
    soc = getattr(wire, "limit_at_soc", None)
    local = bool(getattr(wire, "use_local_time", None))
    start: datetime | None = wire.start_schedule
    if start is not None and local:
        start = start.replace(tzinfo=None)  # K01.FR.90: whatever offset it has is of no meaning
    return Schedule(
        id=wire.id,
        unit=wire.charging_rate_unit,
        periods=tuple(_period(row) for row in wire.charging_schedule_period),
        start=_instant(start),
        duration_ms=None if wire.duration is None else wire.duration * 1000,
        min_rate=None if wire.min_charging_rate is None else milli(wire.min_charging_rate),
        local=local,
        random_delay_ms=(getattr(wire, "randomized_delay", None) or 0) * 1000,
        limit_at_soc=None if soc is None else LimitAtSoc(soc.soc * 10, milli(soc.limit)),
    )


def _period(wire: Any) -> Period:
    return Period(
        start_ms=wire.start_period * 1000,
        phases=wire.number_phases,
        phase_to_use=wire.phase_to_use,
        mode=getattr(wire, "operation_mode", None) or CHARGING_ONLY,
        sleep=bool(getattr(wire, "evse_sleep", None)),
        precondition=bool(getattr(wire, "preconditioning_request", None)),
        **_rates(wire),
        **_local(wire),
    )


def _local(wire: Any) -> dict[str, Any]:
    """What a station works its own set-point out of (2.1 Q08)."""
    if getattr(wire, "operation_mode", None) != "LocalFrequency":
        return {}
    baseline = wire.v2x_baseline
    return {
        "baseline": None if baseline is None else milli(baseline),
        "freq_watt": tuple(
            sorted((milli(point.frequency), milli(point.power)) for point in wire.v2x_freq_watt_curve or ())
        ),
        "signal_watt": tuple(
            sorted((point.signal * 1000, milli(point.power)) for point in wire.v2x_signal_watt_curve or ())
        ),
    }


def rates(wire: v21.ChargingScheduleUpdateType) -> Rates:
    """What UpdateDynamicSchedule or the answer to PullDynamicScheduleUpdate carries."""
    return Rates(**_rates(wire))


def _rates(wire: Any) -> dict[str, Any]:
    return {
        name: milli(value) for name, field in _WIRE_RATES.items() if (value := getattr(wire, field, None)) is not None
    }


def _instant(value: datetime | None) -> int | None:
    return None if value is None else int(from_datetime(value))


def cleared_16(request: v16.ClearChargingProfileRequest) -> Criteria:
    """What a 1.6 ClearChargingProfile means: all that fits every field it has (errata 3.25, 3.26)."""
    purpose = request.charging_profile_purpose
    return Criteria(
        ids=None if request.id is None else frozenset((request.id,)),
        evse=request.connector_id,
        purpose=None if purpose is None else _PURPOSE_16.get(purpose, purpose),
        stack=request.stack_level,
    )


def cleared_2(request: Any) -> Criteria:
    """What a 2.x ClearChargingProfile means: the id alone where there is one (K10.FR.03, .04)."""
    if request.charging_profile_id is not None:
        return Criteria(ids=frozenset((request.charging_profile_id,)))
    wanted = request.charging_profile_criteria
    if wanted is None:
        return Criteria()
    return Criteria(evse=wanted.evse_id, purpose=wanted.charging_profile_purpose, stack=wanted.stack_level)


def asked(request: Any) -> Criteria:
    """What a GetChargingProfiles asks for (K09.FR.03 to .06)."""
    wanted = request.charging_profile
    if wanted.charging_profile_id:
        return Criteria(ids=frozenset(wanted.charging_profile_id), evse=request.evse_id)
    sources = wanted.charging_limit_source
    return Criteria(
        evse=request.evse_id,
        purpose=wanted.charging_profile_purpose,
        stack=wanted.stack_level,
        sources=frozenset(sources) if sources else None,
    )


# ── to the wire ──────────────────────────────────────────────────────────────────────────────────────────────────────


def number(value: int | None) -> Decimal | None:
    """Thousandths as the wire's decimal, without needless zeros."""
    return None if value is None else _decimal(value)


def _decimal(value: int) -> Decimal:
    return Decimal(value // 1000) if not value % 1000 else Decimal(value).scaleb(-3).normalize()


def composite_16(schedule: Composite) -> v16.ChargingSchedule:
    """The `chargingSchedule` of a 1.6 GetCompositeSchedule.conf (without startSchedule, errata 3.57)."""
    shown = on_the_wire(schedule)
    return v16.ChargingSchedule(
        charging_rate_unit=cast("Any", shown.unit),
        duration=shown.duration_ms // 1000,
        charging_schedule_period=[
            v16.ChargingSchedulePeriod(
                start_period=row.start_ms // 1000, limit=_decimal(_limit(row)), number_phases=row.phases
            )
            for row in shown.intervals
        ],
    )


def composite_2(m: Any, schedule: Composite) -> Any:
    """A CompositeScheduleType of `m`, the messages of 2.0.1 or 2.1."""
    shown = on_the_wire(schedule)
    return m.CompositeScheduleType(
        evse_id=shown.evse,
        duration=shown.duration_ms // 1000,
        schedule_start=to_datetime(shown.start),
        charging_rate_unit=shown.unit,
        charging_schedule_period=[_period_wire(m, row) for row in shown.intervals],
    )


def _limit(row: Interval | Period) -> int:
    # Whoever shows a schedule knows what the hardware can give; only a profile's period may be without a limit.
    assert row.limit is not None
    return row.limit


def _period_wire(m: Any, row: Interval | Period) -> Any:
    fields: dict[str, Any] = {"start_period": row.start_ms // 1000, "number_phases": row.phases}
    if row.phase_to_use is not None:
        fields["phase_to_use"] = row.phase_to_use
    if m is not v21:
        return m.ChargingSchedulePeriodType(limit=number(_limit(row)), **fields)
    for name, field in _WIRE_RATES.items():
        fields[field] = number(getattr(row, name))
    if row.mode != CHARGING_ONLY:
        fields["operation_mode"] = row.mode
    if row.sleep:
        fields["evse_sleep"] = True
    if row.precondition:
        fields["preconditioning_request"] = True
    if row.freq_watt:
        fields["v2x_baseline"] = number(row.baseline)
        fields["v2x_freq_watt_curve"] = [
            v21.V2XFreqWattPointType(frequency=_decimal(x), power=_decimal(y)) for x, y in row.freq_watt
        ]
    if row.signal_watt:
        fields["v2x_signal_watt_curve"] = [
            v21.V2XSignalWattPointType(signal=x // 1000, power=_decimal(y)) for x, y in row.signal_watt
        ]
    return m.ChargingSchedulePeriodType(**fields)


def schedule_wire(m: Any, schedule: Schedule) -> Any:
    """A ChargingScheduleType made of what is known of `schedule`: for what came from no wire."""
    fields: dict[str, Any] = {}
    if m is v21 and schedule.local:
        fields["use_local_time"] = True
    return m.ChargingScheduleType(
        id=schedule.id,
        charging_rate_unit=schedule.unit,
        charging_schedule_period=[_period_wire(m, row) for row in schedule.periods],
        start_schedule=None if schedule.start is None else to_datetime(schedule.start),
        duration=None if schedule.duration_ms is None else schedule.duration_ms // 1000,
        min_charging_rate=number(schedule.min_rate),
        **fields,
    )


def profile_wire(m: Any, profile: Profile) -> Any:
    """A ChargingProfileType for ReportChargingProfiles: as it came, with the rates and the time of its last update."""
    if not profile.wire:
        fields: dict[str, Any] = {}
        if m is v21 and profile.updated is not None:
            fields["dyn_update_time"] = to_datetime(profile.updated)
        return m.ChargingProfileType(
            id=profile.id,
            stack_level=profile.stack,
            charging_profile_purpose=profile.purpose,
            charging_profile_kind=profile.kind,
            recurrency_kind=profile.recurrency,
            valid_from=None if profile.valid_from is None else to_datetime(profile.valid_from),
            valid_to=None if profile.valid_to is None else to_datetime(profile.valid_to),
            transaction_id=profile.transaction,
            charging_schedule=[schedule_wire(m, each) for each in profile.schedules],
            **fields,
        )
    wire: Any = _PROFILES[m].decode(profile.wire)
    if profile.kind == "Dynamic" and m is v21:
        row = wire.charging_schedule[0].charging_schedule_period[0]
        for name, field in _WIRE_RATES.items():
            setattr(row, field, number(getattr(profile.schedules[0].periods[0], name)))
        if profile.updated is not None:
            wire.dyn_update_time = to_datetime(profile.updated)
    return wire


def update_wire(said: Rates) -> v21.ChargingScheduleUpdateType:
    """Rates as UpdateDynamicSchedule and PullDynamicScheduleUpdate carry them."""
    fields: dict[str, Any] = {_WIRE_RATES[name]: number(getattr(said, name)) for name in RATE_FIELDS}
    return v21.ChargingScheduleUpdateType(**fields)


# ── a station's own composite schedule ───────────────────────────────────────────────────────────────────────────────


def answered_16(response: v16.GetCompositeScheduleResponse, evse: int, duration_s: int) -> Composite | None:
    """What a 1.6 station answered to GetCompositeSchedule; None where that is no schedule."""
    schedule = response.charging_schedule
    if response.status != "Accepted" or schedule is None or response.schedule_start is None:
        return None
    return _answered(
        evse,
        schedule.charging_rate_unit,
        int(from_datetime(response.schedule_start)),
        schedule.duration or duration_s,
        [Interval(row.start_period * 1000, milli(row.limit)) for row in schedule.charging_schedule_period],
    )


def answered_2(response: Any, duration_s: int) -> Composite | None:
    """The same of a 2.x station."""
    schedule = response.schedule
    if response.status != "Accepted" or schedule is None:
        return None
    rows: list[Interval] = []
    for row in schedule.charging_schedule_period:
        said = _rates(row)
        rows.append(Interval(row.start_period * 1000, said.pop("limit", None), row.number_phases, **said))
    return _answered(
        schedule.evse_id,
        schedule.charging_rate_unit,
        int(from_datetime(schedule.schedule_start)),
        schedule.duration or duration_s,
        rows,
    )


def _answered(evse: int, unit: Unit, start: int, duration_s: int, rows: Sequence[Interval]) -> Composite:
    return Composite(evse, unit, start, duration_s * 1000, tuple(sorted(rows, key=lambda row: row.start_ms)))
