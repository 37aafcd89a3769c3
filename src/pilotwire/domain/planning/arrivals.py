"""Who is likely to come: learned from the visits of days gone by, as `Expected` rows of a plan.

    past = (Visit(evse="e1", arrived_ms=..., departed_ms=..., energy_wh=18_000, power_mw=11_000_000), ...)
    Problem(..., expected=expected(topology, past, horizon, zone, now_ms=..., busy={"e1": departs_ms}))

A plan that knows only the cars that are there takes the evening for quiet and leaves for the cheap night what the night
has no room for, because then others will have come. What is expected is the mean of like days: each visit of each of
them counts as its part of one. Only what lies in the past is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal

import msgspec

from pilotwire.domain.energy import Topology

from .horizon import HOUR_MS
from .model import Expected

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Kind = Literal["weekday", "saturday", "sunday"]
Holidays = frozenset[int]
"""Days since 1970 by the clock on the wall that count as a Sunday."""
NO_HOLIDAYS: Holidays = frozenset()


class Visit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A car that was here. UTC. `energy_wh`: what it wanted (not what it got, where the site was short of power).

    `power_mw`: the most that it could take from the grid.
    """

    evse: str
    arrived_ms: int
    departed_ms: int
    energy_wh: int
    power_mw: int


def day_of(utc_ms: int, zone: tzinfo) -> int:
    """Days since 1970 by the clock on the wall."""
    return (_EPOCH + timedelta(milliseconds=utc_ms)).astimezone(zone).toordinal() - _EPOCH.toordinal()


def kind_of(day: int, holidays: Holidays = NO_HOLIDAYS) -> Kind:
    """Which days are alike. 1970-01-01 was a Thursday."""
    weekday = (day + 3) % 7
    if weekday == 6 or day in holidays:
        return "sunday"
    return "saturday" if weekday == 5 else "weekday"


def same_time(utc_ms: int, day: int, zone: tzinfo) -> int:
    """The same time by the clock on the wall, on another day (days since 1970), in UTC."""
    local = (_EPOCH + timedelta(milliseconds=utc_ms)).astimezone(zone)
    there = datetime.combine(date.fromordinal(day + _EPOCH.toordinal()), local.timetz())
    return round(there.timestamp() * 1000)


def expected(
    topology: Topology,
    visits: Iterable[Visit],
    zone: tzinfo,
    *,
    now_ms: int,
    until_ms: int,
    busy: Mapping[str, int] | None = None,
    depth: int | None = None,
    days: int = 20,
    arrival_ms: int = HOUR_MS,
    stay_ms: int = 2 * HOUR_MS,
    holidays: Holidays = NO_HOLIDAYS,
) -> tuple[Expected, ...]:
    """What is to be expected between now and `until_ms`, nearest first; nothing as long as no like day has been seen.

    `busy` by EVSE: until when the car there says that it stays; nobody is expected at its EVSE before. Of like days
    (working days, Saturdays, Sundays and `holidays`) the last `days` count, days without any visit among them, as far
    back as the first visit. Visits at one node whose arrivals lie in the same `arrival_ms` and whose departures lie in
    the same `stay_ms` are one row: the longer these, the smaller the plan. So it is with `depth`: of nodes further
    below the connection than that (0: the connection) only the one above them at that depth counts, and limits below
    it are not kept for who is expected. A car that is there is a need, not expected.
    Visits that begin after `now_ms`, and those at EVSEs that are no more, are left out.
    """
    past = [each for each in visits if each.evse in topology.evses and each.arrived_ms < now_ms]
    if not past:
        return ()
    by_day: dict[int, list[Visit]] = {}
    for each in past:
        by_day.setdefault(day_of(each.arrived_ms, zone), []).append(each)
    first, today = min(by_day), day_of(now_ms, zone)
    sums: dict[tuple[str, int, int], _Sum] = {}
    for target in range(today, day_of(until_ms, zone) + 1):
        kind = kind_of(target, holidays)
        like = [day for day in range(today - 1, first - 1, -1) if kind_of(day, holidays) == kind][:days]
        for day in like:
            for visit in by_day.get(day, ()):
                arrives = same_time(visit.arrived_ms, target, zone)
                leaves = arrives + visit.departed_ms - visit.arrived_ms
                if not now_ms <= arrives < until_ms:
                    continue
                arrives = max(arrives, (busy or {}).get(visit.evse, arrives))
                # Who has less time than usual, because the EVSE is taken until then, cannot take as much.
                energy = min(visit.energy_wh, visit.power_mw * max(0, leaves - arrives) // _MW_MS)
                if energy > 0:
                    key = _place(topology, visit.evse, depth), arrives // arrival_ms, leaves // stay_ms
                    sums.setdefault(key, _Sum()).add(
                        energy * _UWH // len(like), visit.power_mw // len(like), arrives - now_ms, leaves - now_ms
                    )
    rows = [each.row(node, now_ms) for (node, _, _), each in sorted(sums.items())]
    return tuple(sorted(rows, key=lambda row: (row.arrival_ms, row.departure_ms, row.node)))


def _place(topology: Topology, evse: str, depth: int | None) -> str:
    """The EVSE's node, or the one above it at that depth."""
    node = topology.evses[evse].node
    upwards = topology.above[node]
    return node if depth is None else topology.names[upwards[max(0, len(upwards) - 1 - depth)]]


_UWH = 1_000_000
_MW_MS = 3_600_000_000
"""mW · ms for one Wh."""


class _Sum:
    """Visits that are one row; their times are weighted by energy, so that the mean is where most of it is wanted."""

    __slots__ = ("arrives", "energy_uwh", "leaves", "power_mw")

    def __init__(self) -> None:
        self.energy_uwh = self.power_mw = self.arrives = self.leaves = 0

    def add(self, energy_uwh: int, power_mw: int, arrives_ms: int, leaves_ms: int) -> None:
        """A visit's part. Times from now on."""
        self.energy_uwh += energy_uwh
        self.power_mw += power_mw
        self.arrives += energy_uwh * arrives_ms
        self.leaves += energy_uwh * leaves_ms

    def row(self, node: str, now_ms: int) -> Expected:
        """All of them in one."""
        weight = max(1, self.energy_uwh)
        return Expected(
            node=node, energy_wh=(self.energy_uwh + _UWH // 2) // _UWH, arrival_ms=now_ms + self.arrives // weight,
            departure_ms=now_ms + self.leaves // weight, power_mw=self.power_mw,
        )  # fmt: skip
