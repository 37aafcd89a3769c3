"""R DER control: set, get, clear (R04)."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire.core.time import from_datetime
from pilotwire.domain.der.effects import TRIPS
from pilotwire.domain.der.model import (
    DEFAULT_ONLY,
    Control,
    Curve,
    Droop,
    Enter,
    Hysteresis,
    Limit,
    PowerFactor,
    Ramp,
    Reactive,
    Setting,
)
from pilotwire.protocols.ocpp.model import dec_hook
from pilotwire.protocols.ocpp.v21 import messages as v21
from pilotwire.station.host import Reply

from .handling import V21, in_parts, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station

_FIELDS = {
    "FixedPFAbsorb": "fixed_pf_absorb",
    "FixedPFInject": "fixed_pf_inject",
    "FixedVar": "fixed_var",
    "LimitMaxDischarge": "limit_max_discharge",
    "FreqDroop": "freq_droop",
    "EnterService": "enter_service",
    "Gradients": "gradient",
}
"""controlType → the field with its setting; all others are a curve (R04.FR.16)."""
_ALL = (*_FIELDS.values(), "curve")
_TYPES = {
    "curve": v21.DERCurveType,
    "fixed_pf_absorb": v21.FixedPFType,
    "fixed_pf_inject": v21.FixedPFType,
    "fixed_var": v21.FixedVarType,
    "limit_max_discharge": v21.LimitMaxDischargeType,
    "freq_droop": v21.FreqDroopType,
    "enter_service": v21.EnterServiceType,
    "gradient": v21.GradientType,
}
# Decoders are made here and not when first needed, since threads may need one for the first time together.
_decoders: dict[str, Any] = {
    name: msgspec.json.Decoder(type_, dec_hook=dec_hook, float_hook=Decimal) for name, type_ in _TYPES.items()
}
_encode = msgspec.json.Encoder(decimal_format="number").encode
_PER_MESSAGE = 8
_TIMES = frozenset(("PowerMonitoringMustTrip",))
"""Curves whose x is a time."""
_PERCENT = ("PctMaxW", "PctWAvail")


class _Refused(Exception):
    """Why a control is not taken: reasonCode and words."""


def _field(kind: str) -> str:
    return _FIELDS.get(kind, "curve")


def set_control(station: Station, request: v21.SetDERControlRequest) -> Reply:
    kind = request.control_type
    if not station.der.supports(kind):
        return _set("NotSupported", "UnsupportedParam", kind)  # R04.FR.01
    try:
        control = _control(request, station.clock.now())
    except _Refused as refused:
        return _set("Rejected", *refused.args)
    gone = station.der.add(control)
    if gone is None:
        return _set("Rejected", "TooManyElements", kind)
    return Reply(v21.SetDERControlResponse(status="Accepted", superseded_ids=list(gone) or None), station.der.follow)


def _set(status: Any, code: str, words: str) -> Reply:
    return Reply(v21.SetDERControlResponse(status=status, status_info=reason(v21, code, words)))


def _control(request: v21.SetDERControlRequest, now: int) -> Control:
    kind = request.control_type
    given = [name for name in _ALL if getattr(request, name) is not None]
    if given != [_field(kind)]:
        raise _Refused("InvalidValue" if given else "MissingParam", f"{kind} is set by {_field(kind)} alone")  # .17
    wire: Any = getattr(request, given[0])
    start_time, duration = getattr(wire, "start_time", None), getattr(wire, "duration", None)
    if request.is_default and (start_time is not None or duration is not None):
        raise _Refused("InvalidValue", "a default control has no startTime and duration")  # R04.FR.13
    start: int | None = None
    end: int | None = None
    if not request.is_default:
        if kind in DEFAULT_ONLY:
            raise _Refused("InvalidValue", f"{kind} is a default control")  # R04.FR.15
        if start_time is None or (duration is None and given[0] == "curve"):
            raise _Refused("MissingParam", "a scheduled control has a startTime and a duration")
        start = int(from_datetime(start_time))
        end = None if duration is None else start + int(duration * 1000)
        if end is not None and end <= now:
            raise _Refused("InvalidValue", "it is over already")
    return Control(
        id=request.control_id,
        kind=kind,
        default=request.is_default,
        priority=wire.priority,
        setting=_setting(kind, wire),
        start=start,
        end=end,
        wire=_encode(wire).decode(),
    )


def _setting(kind: str, wire: Any) -> Setting:
    if isinstance(wire, v21.DERCurveType):
        return _curve(kind, wire)
    if isinstance(wire, v21.FreqDroopType):
        if wire.under_freq >= wire.over_freq or wire.over_droop <= 0 or wire.under_droop <= 0:
            raise _Refused("InvalidValue", "the dead band of a droop is between underFreq and overFreq")
        return Droop(
            _milli(wire.over_freq),
            _milli(wire.under_freq),
            _milli(wire.over_droop),
            _milli(wire.under_droop),
            _milli(wire.response_time),
        )
    if isinstance(wire, v21.LimitMaxDischargeType):
        percent, monitor = wire.pct_max_discharge_power, wire.power_monitoring_must_trip
        if percent is not None and not 0 <= percent <= 100:
            raise _Refused("InvalidValue", "pctMaxDischargePower is from 0 to 100")
        if percent is None and monitor is None:
            raise _Refused("MissingParam", "pctMaxDischargePower")
        return Limit(
            None if percent is None else _milli(percent),
            None if monitor is None else _curve("PowerMonitoringMustTrip", monitor),
        )
    if isinstance(wire, v21.EnterServiceType):
        if wire.low_voltage > wire.high_voltage or wire.low_freq > wire.high_freq:
            raise _Refused("InvalidValue", "what is low is not above what is high")
        return Enter(
            _milli(wire.high_voltage),
            _milli(wire.low_voltage),
            _milli(wire.high_freq),
            _milli(wire.low_freq),
            _milli(wire.delay or 0),
            _milli(wire.random_delay or 0),
            _milli(wire.ramp_rate or 0),
        )
    if isinstance(wire, v21.GradientType):
        return Ramp(_milli(wire.gradient), _milli(wire.soft_gradient))
    if isinstance(wire, v21.FixedPFType):
        if not 0 < wire.displacement <= 1:
            raise _Refused("InvalidValue", "a power factor is above 0 and not above 1")
        return PowerFactor(_milli(wire.displacement), wire.excitation)
    if not -100 <= wire.setpoint <= 100:
        raise _Refused("InvalidValue", "setpoint is from -100 to 100")
    return Reactive(_milli(wire.setpoint), wire.unit)


def _curve(kind: str, wire: v21.DERCurveType) -> Curve:
    points = tuple((_milli(point.x), _milli(point.y)) for point in wire.curve_data)
    if any(after[0] < before[0] for before, after in pairwise(points)):
        raise _Refused("InvalidValue", "the points of a curve are in order of x")
    if kind in ("FreqWatt", "VoltWatt") and wire.y_unit not in _PERCENT:
        raise _Refused("InvalidValue", f"the y of {kind} is a percentage of active power")
    if (kind in TRIPS or kind in _TIMES) and any(y < 0 for _, y in points):
        raise _Refused("InvalidValue", f"the y of {kind} is not negative")
    return Curve(points, wire.y_unit, _milli(wire.response_time or 0), _hysteresis(wire.hysteresis), _mean(wire))


def _hysteresis(wire: v21.HysteresisType | None) -> Hysteresis | None:
    if wire is None:
        return None
    low, high = (None if each is None else _milli(each) for each in (wire.hysteresis_low, wire.hysteresis_high))
    delay, gradient = _milli(wire.hysteresis_delay or 0), _milli(wire.hysteresis_gradient or 0)
    if (low is not None and high is not None and low > high) or delay < 0 or gradient < 0:
        raise _Refused("InvalidValue", "a hysteresis has a low value below its high one, and no negative times")
    return Hysteresis(low, high, delay, gradient)


def _mean(wire: v21.DERCurveType) -> tuple[int, int] | None:
    given = wire.voltage_params
    if given is None or (given.hv10_min_mean_value is None and given.hv10_min_mean_trip_delay is None):
        return None
    if given.hv10_min_mean_value is None or given.hv10_min_mean_trip_delay is None:
        raise _Refused("MissingParam", "hv10MinMeanValue and hv10MinMeanTripDelay belong together")
    return _milli(given.hv10_min_mean_value), _milli(given.hv10_min_mean_trip_delay)


def _milli(value: Decimal | int) -> int:
    return int(Decimal(value).scaleb(3).to_integral_value())


def get_control(station: Station, request: v21.GetDERControlRequest) -> Reply:
    kind, id_ = request.control_type, request.control_id
    if id_ is None and kind is not None and not station.der.supports(kind):
        return Reply(v21.GetDERControlResponse(status="NotSupported"))  # R04.FR.36
    found = station.der.controls.select(default=request.is_default, kind=kind, id_=id_)
    if not found:
        return Reply(v21.GetDERControlResponse(status="NotFound"))  # R04.FR.30
    return Reply(v21.GetDERControlResponse(status="Accepted"), lambda: _report(station, request.request_id, found))


def _report(station: Station, request_id: int, controls: tuple[Control, ...]) -> None:
    for rows, _, more in in_parts(controls, _PER_MESSAGE):
        fields: dict[str, Any] = {}
        for row in rows:
            fields.setdefault(_field(row.kind), []).append(_reported(row))
        station.conversation.call(
            "ReportDERControl", v21.ReportDERControlRequest(request_id=request_id, tbc=more, **fields)
        )


@cache
def _shape(field: str) -> Any:
    """The ...GetType of a field."""
    return {
        "curve": v21.DERCurveGetType,
        "fixed_pf_absorb": v21.FixedPFGetType,
        "fixed_pf_inject": v21.FixedPFGetType,
        "fixed_var": v21.FixedVarGetType,
        "limit_max_discharge": v21.LimitMaxDischargeGetType,
        "freq_droop": v21.FreqDroopGetType,
        "enter_service": v21.EnterServiceGetType,
        "gradient": v21.GradientGetType,
    }[field]


def _reported(row: Control) -> Any:
    field = _field(row.kind)
    inner = "fixed_pf" if field.startswith("fixed_pf") else field
    fields: dict[str, Any] = {"id": row.id, inner: _decoders[field].decode(row.wire)}
    if row.kind not in DEFAULT_ONLY:
        fields |= {"is_default": row.default, "is_superseded": row.superseded}
    if field == "curve":
        fields["curve_type"] = row.kind
    return _shape(field)(**fields)


def clear_control(station: Station, request: v21.ClearDERControlRequest) -> Reply:
    kind, id_ = request.control_type, request.control_id
    if id_ is None and kind is not None and not station.der.supports(kind):
        return Reply(v21.ClearDERControlResponse(status="NotSupported"))  # R04.FR.43
    if id_ is None and kind is None and not station.der.active:
        return Reply(v21.ClearDERControlResponse(status="NotSupported"))
    cleared = station.der.clear(default=request.is_default, kind=kind, id_=id_)
    if not cleared and (kind is not None or id_ is not None):
        return Reply(v21.ClearDERControlResponse(status="NotFound"))  # R04.FR.41, .42
    return Reply(v21.ClearDERControlResponse(status="Accepted"), station.der.follow)


HANDLERS = on(V21, {"ClearDERControl": clear_control, "GetDERControl": get_control, "SetDERControl": set_control})
