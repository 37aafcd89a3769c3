"""Pictures of where stations stand, as numbers for an SVG: sites by coordinates, one site's plan, or a plain field.

Nothing is loaded from elsewhere. Coordinates are projected as web maps do (spherical Mercator), so that the tiles of a
configured server lie under them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import NamedTuple

from pilotwire.api import types

from .view import kw

WIDTH, HEIGHT = 1000.0, 560.0
FIELD = 1_200
"""So many stations at most are drawn one by one."""


class Mark(NamedTuple):
    """A site or a station at its place."""

    id: str
    text: str
    x: float
    y: float
    size: float
    kind: str
    """free, charging, busy, off or fault: the colour."""
    hint: str
    href: str


class Shape(NamedTuple):
    """Something of a site's plan."""

    kind: str
    label: str
    points: str
    """As the attribute of <polygon> or <polyline>."""
    closed: bool
    x: float
    y: float


class Drawing(NamedTuple):
    """What is drawn in a viewBox of `width` × `height`."""

    width: float
    height: float
    marks: list[Mark]
    shapes: list[Shape]
    geo: tuple[float, float, float] | None = None
    """Of a map: the Mercator x and y (0 … 1 over the world) of its upper left corner, and of one unit of drawing."""
    background: str = ""
    """Of a plan: the address of a drawing that lies below it."""
    sheet: float = 0
    """Of a plan: how high it is; what has no place on it stands below."""


def mercator(latitude: float, longitude: float) -> tuple[float, float]:
    """(x, y), each 0 … 1 over the world, y downwards; latitudes beyond 85.05° are drawn there."""
    phi = math.radians(max(-85.05, min(85.05, latitude)))
    return (longitude + 180) / 360, (1 - math.asinh(math.tan(phi)) / math.pi) / 2


def kind_of(station: types.Station, charging: frozenset[str] | set[str]) -> str:
    """The colour of a station: what is wrong comes first, then what it does."""
    if not station.connected:
        return "off"
    states = {one.status for one in station.connectors if one.evse}
    if "Faulted" in states:
        return "fault"
    if station.id in charging:
        return "charging"
    if states and states <= {"Unavailable"}:
        return "off"
    return "free" if not states or states & {"Available"} else "busy"


def site_kind(one: types.SiteSummary) -> str:
    """The colour of a site."""
    if one.connectors_faulted or (one.load_percent or 0) > 100:
        return "fault"
    if one.stations and not one.stations_online:
        return "off"
    return "charging" if one.connectors_charging else "free"


def _room(points: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """(left, top, units of the drawing in one of the world) for a frame around the points with a margin."""
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    top, bottom = min(y for _, y in points), max(y for _, y in points)
    least = 1 / 40_000  # about a kilometre: a single site is not drawn as if it were a continent
    wide, high = max(right - left, least), max(bottom - top, least * HEIGHT / WIDTH)
    scale = min(WIDTH * 0.76 / wide, HEIGHT * 0.72 / high)
    return (left + right) / 2 - WIDTH / 2 / scale, (top + bottom) / 2 - HEIGHT / 2 / scale, scale


def of_sites(sites: Iterable[types.Site], summaries: dict[str, types.SiteSummary]) -> Drawing | None:
    """The sites that have coordinates; None where none has."""
    placed = [(one, mercator(*at)) for one in sites if (at := _position(one)) is not None]
    if not placed:
        return None
    outlines = [(one, [mercator(y, x) for x, y in ring]) for one, _at in placed for ring in one.outline]
    left, top, scale = _room([*(at for _, at in placed), *(at for _, ring in outlines for at in ring)])
    shapes: list[Shape] = []
    for _site, ring in outlines:
        points = " ".join(f"{round((x - left) * scale, 1)},{round((y - top) * scale, 1)}" for x, y in ring)
        shapes.append(Shape("outline", "", points, True, 0, 0))
    marks: list[Mark] = []
    crowd = 1 if len(placed) < 60 else 0.6
    for site, (x, y) in placed:
        told = summaries.get(site.id)
        size = crowd * (11 + 3.2 * math.log2(1 + (told.stations if told else 0)))
        marks.append(
            Mark(
                id=site.id,
                text=site.name,
                x=round((x - left) * scale, 2),
                y=round((y - top) * scale, 2),
                size=round(size, 1),
                kind=site_kind(told) if told else "off",
                hint=f"{told.stations_online}/{told.stations}" if told else "",
                href=f"/?site={site.id}",
            )
        )
    marks.sort(key=lambda mark: -mark.size)
    return Drawing(WIDTH, HEIGHT, marks, shapes, geo=(left, top, 1 / scale))


def _position(site: types.Site) -> tuple[float, float] | None:
    """(latitude, longitude) of a site, else the middle of its outline; None where it has neither."""
    if site.latitude is not None and site.longitude is not None:
        return site.latitude, site.longitude
    if not site.outline:
        return None
    longitudes, latitudes = zip(*site.outline[0], strict=True)
    return (min(latitudes) + max(latitudes)) / 2, (min(longitudes) + max(longitudes)) / 2


def of_plan(
    plan: types.SitePlan, stations: dict[str, types.Station], charging: set[str], *, background: str = ""
) -> Drawing:
    """A site as its plan has it; stations that the plan does not place stand in a row below it."""
    unit = WIDTH / plan.width
    high = plan.height * unit
    shapes: list[Shape] = []
    for one in plan.shapes:
        points = [(round(x * unit, 1), round(y * unit, 1)) for x, y in one.points]
        text = " ".join(f"{x},{y}" for x, y in points)
        # What stands in the middle of an outline are stations: its name goes into the upper left corner.
        corner = (min(x for x, _ in points) + 12, min(y for _, y in points) + 22)
        shapes.append(Shape(one.kind, one.label, text, one.closed, round(corner[0], 1), round(corner[1], 1)))
    placed = {one.station_id: (one.x * unit, one.y * unit) for one in plan.places if one.station_id in stations}
    rest = [one for one in stations if one not in placed]
    for index, name in enumerate(rest):
        placed[name] = (40 + index % 12 * 80, high + 50 + index // 12 * 80)
    below = 0 if not rest else 20 + 80 * ((len(rest) - 1) // 12 + 1)
    size = _side(list(placed.values()))
    texts = _without_common(placed)
    marks = [
        _mark(stations[name], x, y, size, charging)._replace(text=text, hint=_power(stations[name]))
        for (name, (x, y)), text in zip(placed.items(), texts, strict=True)
    ]
    return Drawing(WIDTH, high + below, marks, shapes, background=background, sheet=high)


def _side(places: Sequence[tuple[float, float]]) -> float:
    """Half of the side that squares at these places may have without touching, between 9 and 34."""
    nearest = min(
        (
            max(abs(x - other_x), abs(y - other_y))
            for index, (x, y) in enumerate(places[:200])
            for other_x, other_y in places[index + 1 : 200]
        ),
        default=100.0,
    )
    return max(9.0, min(34.0, nearest * 0.44))


def of_field(stations: Sequence[types.Station], charging: set[str]) -> Drawing:
    """Stations side by side, in order of their names: squares that grow as they are fewer."""
    number = max(1, len(stations))
    columns = max(1, min(number, math.ceil(math.sqrt(number * 2.6))))
    columns = max(columns, 12)
    cell = WIDTH / columns
    rows = -(-number // columns)
    marks = [
        _mark(one, (index % columns + 0.5) * cell, (index // columns + 0.5) * cell, cell * 0.4, charging)
        for index, one in enumerate(stations)
    ]
    shorter = _without_common(one.text for one in marks)
    marks = [
        one._replace(text=text, hint=_power(station))
        for one, text, station in zip(marks, shorter, stations, strict=True)
    ]
    return Drawing(WIDTH, rows * cell, marks, [])


def _without_common(texts: Iterable[str]) -> list[str]:
    """Names without the beginning that all share, as far as its last separator, and none longer than nine letters."""
    names = list(texts)
    first, last = (min(names), max(names)) if len(names) > 1 else ("", "")
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    cut = max(first.rfind(sign, 0, same) for sign in "-_./ ") + 1
    short = [one[cut:] for one in names]
    return [one if len(one) < 10 else f"{one[:8]}…" for one in short]


def _power(station: types.Station) -> str:
    return f"{kw(station.power_w)} kW" if station.connected and station.power_w else ""


def _mark(station: types.Station, x: float, y: float, size: float, charging: set[str]) -> Mark:
    from urllib.parse import quote

    return Mark(
        id=station.id,
        text=station.id,
        x=round(x, 1),
        y=round(y, 1),
        size=round(size, 1),
        kind=kind_of(station, charging),
        hint="",
        href=f"/stations/{quote(station.id, safe='')}",
    )
