"""What a session's meter measured, as series for a chart."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal, NamedTuple

from pilotwire.domain.records import Sample, Session

from .. import types
from ..access import Principal
from ..context import ApiContext
from ..curve import Point, derived, measured, thinned
from ..problems import not_found
from ..queries import Queries

_SAMPLES = 300_000
_LARGE = 5_000
"""So many are gone through beside the loop, so that others are served meanwhile."""
_OUTLET = ("", "Outlet")
_PHASES = ("", "L1", "L2", "L3")


class _Kind(NamedTuple):
    kind: Literal["power-offered", "soc", "current", "current-offered", "voltage"]
    unit: Literal["W", "%", "A", "V"]
    phases: tuple[str, ...]
    anywhere: bool = False
    """Whether the location matters not: the battery is measured in the car."""


_PLAIN: dict[str, _Kind] = {
    "Power.Offered": _Kind("power-offered", "W", ("",), True),
    "Power.Import.Offered": _Kind("power-offered", "W", ("",), True),
    "SoC": _Kind("soc", "%", ("",), True),
    "Current.Import": _Kind("current", "A", _PHASES),
    "Current.Offered": _Kind("current-offered", "A", ("",), True),
    "Current.Import.Offered": _Kind("current-offered", "A", ("",), True),
    "Voltage": _Kind("voltage", "V", _PHASES),
}


async def curves(context: ApiContext, principal: Principal, session_id: str, *, points: int) -> types.SessionCurves:
    """Power, energy, state of charge, current and voltage over time. Raises Problem 404, 403."""
    principal.need("sessions:read")
    await Queries(context, principal).session(session_id)
    session = await context.store.session(principal.tenant, session_id)
    if session is None:
        raise not_found("session", session_id)
    samples = await context.store.samples(principal.tenant, session_id, limit=_SAMPLES)
    if len(samples) > _LARGE:
        series = await asyncio.to_thread(series_of, session, samples, points)
    else:
        series = series_of(session, samples, points)
    return types.SessionCurves(session_id=session_id, series=series)


def series_of(session: Session, samples: Iterable[Sample], points: int) -> list[types.MeterSeries]:
    """Pure: the series in the order of a page: power, energy, state of charge, current, voltage."""
    given = list(samples)
    found: list[types.MeterSeries] = []
    power = measured(given)
    calculated = not power
    power = power or derived(given)
    if power:
        found.append(_series("power", "", "W", [(at, w) for at, w in thinned(power, points)], derived=calculated))
    if energy := _energy(session, given):
        found.append(_series("energy", "", "Wh", thinned(energy, points)))
    gathered: dict[tuple[_Kind, str], dict[int, int]] = defaultdict(dict)
    for one in given:
        kind = _PLAIN.get(one.measurand)
        if kind is None or not (kind.anywhere or one.location in _OUTLET):
            continue
        phase = one.phase.removesuffix("-N")
        if phase in kind.phases:
            gathered[kind, phase][one.time] = one.value
    order = list(dict.fromkeys(_PLAIN.values()))
    for kind, phase in sorted(gathered, key=lambda key: (order.index(key[0]), key[1])):
        if not phase and kind.kind in ("current", "voltage") and any((kind, one) in gathered for one in _PHASES[1:]):
            continue
        line = thinned(sorted(gathered[kind, phase].items()), points)
        found.append(_series(kind.kind, phase, kind.unit, [(at, value / 1000) for at, value in line]))
    return found


def _energy(session: Session, samples: Iterable[Sample]) -> list[Point]:
    """Delivered since the beginning, Wh, from the register."""
    register = sorted(
        (one.time, one.value // 1000)
        for one in samples
        if one.measurand == "Energy.Active.Import.Register" and not one.phase and one.location in _OUTLET
    )
    if not register:
        return []
    start = session.meter_start_wh
    # Some meters count each session from zero while the reported start is absolute: then the first reading is the zero.
    zero = start if start is not None and start <= register[0][1] else register[0][1]
    return [(at, max(0, wh - zero)) for at, wh in register]


def _series(
    kind: Literal["power", "energy", "power-offered", "soc", "current", "current-offered", "voltage"],
    phase: str,
    unit: Literal["W", "Wh", "%", "A", "V"],
    line: Iterable[tuple[int, float]],
    *,
    derived: bool = False,
) -> types.MeterSeries:
    drawn = list(line)
    return types.MeterSeries(
        kind=kind,
        phase=phase,
        unit=unit,
        derived=derived,
        times=[at for at, _ in drawn],
        values=[value for _, value in drawn],
    )
