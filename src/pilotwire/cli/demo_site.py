"""The place where the demo's stations stand: a car park with a row of posts and an island of rapid chargers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pilotwire.api import types
from pilotwire.api.access import access_of
from pilotwire.api.problems import Problem
from pilotwire.api.resources import sites

if TYPE_CHECKING:
    from pilotwire.api.context import ApiContext

SITE = "demo"
_WIDTH, _HEIGHT = 120.0, 41.0


async def make_site(context: ApiContext, stations: Sequence[str], rapid: Sequence[str]) -> None:
    """Make the site through the API, unless it is there: whoever changed it keeps the change, and so does `stations`'
    place in it. `rapid`: those of `stations` that stand on the island."""
    await _make(context, SITE, _site(stations, rapid))


async def make_depot(
    context: ApiContext, id: str, name: str, zone: str, power_limit_w: int, stations: Sequence[str]
) -> None:
    """The same for the depot: a hall with a row of posts, and a yard."""
    await _make(context, id, _depot(id, name, zone, power_limit_w, stations))


async def _make(context: ApiContext, id: str, site: types.NewSite) -> None:
    principal = access_of(context).lab()
    try:
        await sites.site(context, principal, id)
    except Problem as missing:
        if missing.status != 404:
            raise
        await sites.create(context, principal, site)


def _site(stations: Sequence[str], rapid: Sequence[str]) -> types.NewSite:
    posts = [one for one in stations if one not in set(rapid)]
    places = [
        types.PlanPlace(station_id=name, x=_across(index, len(posts)), y=10.8) for index, name in enumerate(posts)
    ]
    places += [
        types.PlanPlace(station_id=name, x=_across(index, len(rapid), 94), y=32) for index, name in enumerate(rapid)
    ]
    return types.NewSite(
        id=SITE,
        name="Demo park",
        address=types.Address(city="Berlin", country="DE"),
        latitude=52.5163,
        longitude=13.3777,
        time_zone="Europe/Berlin",
        power_limit_w=900_000,
        plan=types.SitePlan(width=_WIDTH, height=_HEIGHT, shapes=_SHAPES, places=places),
        note="Made by the demo",
    )


def _depot(id: str, name: str, zone: str, power_limit_w: int, stations: Sequence[str]) -> types.NewSite:
    inside, outside = stations[: len(stations) - 2], stations[-2:]
    places = [
        types.PlanPlace(station_id=one, x=_across(index, len(inside), 54), y=7) for index, one in enumerate(inside)
    ]
    places += [
        types.PlanPlace(station_id=one, x=_across(index, len(outside), 54), y=27) for index, one in enumerate(outside)
    ]
    return types.NewSite(
        id=id,
        name=name,
        address=types.Address(city="Berlin", country="DE"),
        latitude=52.4735,
        longitude=13.4037,
        time_zone=zone,
        power_limit_w=power_limit_w,
        plan=types.SitePlan(width=60, height=34, shapes=_DEPOT_SHAPES, places=places),
        note="Made by the demo; a site controller runs it",
    )


def _across(index: int, of: int, length: float = _WIDTH - 6) -> float:
    """The middle of the nth of so many equal parts of a row."""
    return round(3 + length * (index + 0.5) / max(1, of), 1)


def _box(kind: str, left: float, top: float, right: float, bottom: float, label: str = "") -> types.PlanShape:
    points = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return types.PlanShape(kind=kind, label=label, points=points)  # type: ignore[arg-type]


_SHAPES = [
    _box("green", 0, 0, _WIDTH, 2),
    _box("parking", 3, 3, _WIDTH - 3, 16, "Car park"),
    types.PlanShape(kind="road", closed=False, points=[(0, 20.5), (_WIDTH, 20.5)]),
    _box("area", 3, 24, 97, 38, "Rapid chargers"),
    _box("building", 101, 24, _WIDTH - 3, 38, "Kiosk"),
]
_DEPOT_SHAPES = [
    _box("building", 2, 2, 58, 12, "Hall"),
    types.PlanShape(kind="road", closed=False, points=[(0, 17), (60, 17)]),
    _box("area", 2, 22, 58, 32, "Yard"),
]
