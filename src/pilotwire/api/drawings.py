"""Drawings that people bring: SVG made harmless, GeoJSON read into outlines and plans.

An SVG is written anew from what is known to be a drawing: shapes, lines, texts, gradients. Scripts, styles, links,
references to anything outside the file, images, animation and everything that is not known fall away. It is served as a
picture of its own besides (never within a page), where a browser would run nothing of it anyway.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

import msgspec

from . import types
from .language import _
from .problems import Problem, problem

MAX_BYTES = 524_288
MAX_ELEMENTS = 20_000
MAX_DEPTH = 64
MAX_POINTS = 500
"""Points of one outline."""

_SVG = "http://www.w3.org/2000/svg"
_ELEMENTS = frozenset((
    "svg", "g", "defs", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan", "title",
    "desc", "linearGradient", "radialGradient", "stop", "clipPath",
))  # fmt: skip
_TEXTS = frozenset(("text", "tspan", "title", "desc"))
_ATTRIBUTES = frozenset((
    "id", "viewBox", "preserveAspectRatio", "width", "height", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx",
    "ry", "fx", "fy", "dx", "dy", "d", "points", "transform", "fill", "fill-opacity", "fill-rule", "stroke",
    "stroke-width", "stroke-opacity", "stroke-linecap", "stroke-linejoin", "stroke-dasharray", "stroke-dashoffset",
    "stroke-miterlimit", "opacity", "color", "font-family", "font-size", "font-weight", "font-style", "text-anchor",
    "dominant-baseline", "letter-spacing", "clip-path", "clip-rule", "clipPathUnits", "gradientUnits",
    "gradientTransform", "spreadMethod", "offset", "stop-color", "stop-opacity", "visibility", "display",
    "vector-effect", "textLength", "lengthAdjust", "rotate", "pathLength",
))  # fmt: skip
_OWN = re.compile(r"url\(\s*[\"']?#[\w.:-]+[\"']?\s*\)")
_DANGER = re.compile(r"url\s*\(|javascript|expression|data:|@import|\\", re.I)
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)\s*(?:px|mm|cm|in|pt|pc)?\s*$", re.I)


class Svg(NamedTuple):
    """A drawing that holds nothing but a drawing."""

    text: str
    width: float
    height: float
    """Its own measures; only what they are to one another counts."""


def _bad(message: str) -> Problem:
    return problem("bad-file", message)


class _Cleaner:
    """Writes anew what expat reads, as far as it is allowed."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.size: tuple[float, float] | None = None
        self._open: list[str] = []
        self._skipping = 0
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise _bad(_("The drawing has more than {n} elements.", n=f"{MAX_ELEMENTS:,}"))
        if len(self._open) + self._skipping >= MAX_DEPTH:
            raise _bad(_("The drawing is nested more than {n} deep.", n=MAX_DEPTH))
        space, _sep, local = name.rpartition(" ")
        first = not self._open
        if first and (local != "svg" or space not in (_SVG, "")):
            raise _bad(_("This is no SVG: it begins with <{name}>.", name=local[:40]))
        if self._skipping or space not in (_SVG, "") or local not in _ELEMENTS:
            self._skipping += 1
            return
        kept = _attributes(attributes)
        if first:
            self.size = _size(kept)
            kept.setdefault("viewBox", f"0 0 {self.size[0]:g} {self.size[1]:g}")
            kept = {"xmlns": _SVG, **kept}
        self._open.append(local)
        self.out.append(f"<{local}{''.join(f' {key}={quoteattr(value)}' for key, value in kept.items())}>")

    def end(self, _name: str) -> None:
        if self._skipping:
            self._skipping -= 1
        else:
            self.out.append(f"</{self._open.pop()}>")

    def text(self, data: str) -> None:
        if not self._skipping and self._open and self._open[-1] in _TEXTS:
            self.out.append(escape(data))

    def refuse(self, *_given: Any) -> None:
        raise _bad(_("The drawing declares a document type or entities: save it as plain SVG."))


def _attributes(given: dict[str, str]) -> dict[str, str]:
    """Those that are allowed, with what a style attribute says as attributes."""
    found: dict[str, str] = {}
    for declaration in given.get("style", "").split(";"):
        key, colon, value = declaration.partition(":")
        if colon:
            found[key.strip()] = value.replace("!important", "").strip()
    return {
        key: value
        for key, value in {**given, **found}.items()
        if key in _ATTRIBUTES and not _DANGER.search(_OWN.sub("", value))
    }


def _size(attributes: dict[str, str]) -> tuple[float, float]:
    box = re.split(r"[\s,]+", attributes.get("viewBox", "").strip())
    try:
        if len(box) == 4 and float(box[2]) > 0 and float(box[3]) > 0 and all(map(math.isfinite, map(float, box))):
            return float(box[2]), float(box[3])
    except ValueError:
        pass
    attributes.pop("viewBox", None)
    measures = [_NUMBER.match(attributes.get(name, "")) for name in ("width", "height")]
    if measures[0] is None or measures[1] is None:
        raise _bad(_("The drawing says neither a viewBox nor its width and height."))
    width, height = float(measures[0][1]), float(measures[1][1])
    if not (0 < width < 1e9 and 0 < height < 1e9):
        raise _bad(_("The drawing has no size."))
    return width, height


def clean_svg(data: bytes) -> Svg:
    """A drawing made harmless. Raises Problem 413, 422 (bad-file)."""
    if len(data) > MAX_BYTES:
        raise problem("too-large", _("A drawing has {n} KiB at most.", n=MAX_BYTES // 1024))
    cleaner = _Cleaner()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = cleaner.start
    parser.EndElementHandler = cleaner.end
    parser.CharacterDataHandler = cleaner.text
    parser.StartDoctypeDeclHandler = cleaner.refuse
    parser.EntityDeclHandler = cleaner.refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise _bad(_("The drawing cannot be read: {why}.", why=str(error))) from None
    assert cleaner.size is not None
    return Svg("".join(cleaner.out), *cleaner.size)


# -- GeoJSON ----------------------------------------------------------------------------------------------------------
Point = tuple[float, float]
"""Longitude and latitude, in this order, as GeoJSON has them (RFC 7946)."""
METRES_PER_DEGREE = 111_320.0


class _Feature(NamedTuple):
    properties: dict[str, Any]
    geometry: dict[str, Any]


def features_of(data: bytes) -> list[_Feature]:
    """What a GeoJSON text holds: a FeatureCollection, a Feature or a bare geometry. Raises Problem 413, 422."""
    if len(data) > MAX_BYTES:
        raise problem("too-large", _("A GeoJSON file has {n} KiB at most.", n=MAX_BYTES // 1024))
    try:
        given: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(_("This is no GeoJSON: {why}.", why=str(error))) from None
    return list(_features(given, {}, 0))


def _features(given: Any, properties: dict[str, Any], depth: int) -> Iterator[_Feature]:
    if not isinstance(given, dict) or depth > 8:
        raise _bad(_("This is no GeoJSON: a feature or geometry is an object with a type."))
    match given.get("type"):
        case "FeatureCollection" | "GeometryCollection" as kind:
            inner = given.get("features" if kind == "FeatureCollection" else "geometries")
            if not isinstance(inner, list) or len(inner) > 5_000:
                raise _bad(_("This is no GeoJSON: a collection is a list of at most 5,000."))
            for one in inner:
                yield from _features(one, properties, depth + 1)
        case "Feature":
            own = given.get("properties")
            if given.get("geometry") is not None:
                yield from _features(given["geometry"], own if isinstance(own, dict) else {}, depth + 1)
        case "Point" | "MultiPoint" | "LineString" | "MultiLineString" | "Polygon" | "MultiPolygon":
            yield _Feature(properties, given)
        case other:
            raise _bad(_("This is no GeoJSON: there is no type {name}.", name=repr(other)[:60]))


def _points(given: Any) -> list[Point]:
    if not isinstance(given, list):
        raise _bad(_("This is no GeoJSON: coordinates are lists of [longitude, latitude]."))
    found: list[Point] = []
    for one in given:
        pair = one[:2] if isinstance(one, list) else ()
        if len(pair) != 2 or not all(isinstance(x, int | float) and not isinstance(x, bool) for x in pair):
            raise _bad(_("This is no GeoJSON: coordinates are lists of [longitude, latitude]."))
        if not (-180 <= pair[0] <= 180 and -90 <= pair[1] <= 90):
            raise _bad(_("A position lies beyond the earth: {place}. GeoJSON is in degrees, WGS 84.", place=str(pair)))
        found.append((float(pair[0]), float(pair[1])))
    return found


def _lines(geometry: dict[str, Any]) -> Iterator[tuple[list[Point], bool]]:
    """(points, closed) of each line and each outer ring."""
    given = geometry.get("coordinates")
    match geometry["type"]:
        case "LineString":
            yield _points(given), False
        case "MultiLineString":
            for one in given if isinstance(given, list) else ():
                yield _points(one), False
        case "Polygon":
            yield _points(given[0] if isinstance(given, list) and given else None), True
        case "MultiPolygon":
            for one in given if isinstance(given, list) else ():
                yield _points(one[0] if isinstance(one, list) and one else None), True


def _thin(points: list[Point]) -> list[Point]:
    """At most `MAX_POINTS` of them, evenly; a ring without its repeated end."""
    if len(points) > 1 and points[0] == points[-1]:
        points = points[:-1]
    if len(points) <= MAX_POINTS:
        return points
    return [points[index * len(points) // MAX_POINTS] for index in range(MAX_POINTS)]


def outline_of(data: bytes) -> list[list[Point]]:
    """The outer rings of every polygon in a GeoJSON text. Raises Problem 422 where there is none."""
    rings = [
        _thin(points)
        for feature in features_of(data)
        for points, closed in _lines(feature.geometry)
        if closed and len(set(points)) > 2
    ]
    if not rings:
        raise _bad(_("There is no polygon in it."))
    if len(rings) > 20:
        raise _bad(_("There are {n} polygons in it; a site has 20 at most.", n=len(rings)))
    return rings


_KINDS = ("area", "building", "parking", "road", "wall", "green")


def plan_of(data: bytes) -> types.SitePlan:
    """A plan of GeoJSON features, north up, one unit a metre: lines and polygons become shapes (`kind` and `name` of
    their properties), points with `station_id` places. Raises Problem 413, 422."""
    lines: list[tuple[dict[str, Any], list[Point], bool]] = []
    places: dict[str, Point] = {}
    for feature in features_of(data):
        for points, closed in _lines(feature.geometry):
            thin = _thin(points)
            if len(set(thin)) > 1:
                lines.append((feature.properties, thin, closed))
        name = feature.properties.get("station_id")
        if feature.geometry["type"] == "Point" and isinstance(name, str) and 0 < len(name) <= 48 and name.isprintable():
            places[name] = _points([feature.geometry.get("coordinates")])[0]
    every = [*(point for _given, points, _closed in lines for point in points), *places.values()]
    if not every:
        raise _bad(_("There is no line, polygon or station in it."))
    if len(lines) > 200 or len(places) > 2_000:
        raise _bad(_("A plan has 200 shapes and 2,000 stations at most."))
    west, north = min(x for x, _y in every), max(y for _x, y in every)
    shrink = math.cos(math.radians((north + min(y for _x, y in every)) / 2))

    def metres(point: Point) -> tuple[float, float]:
        x = (point[0] - west) * METRES_PER_DEGREE * shrink
        return round(x + margin, 2), round((north - point[1]) * METRES_PER_DEGREE + margin, 2)

    margin = 0.0
    wide, high = (max(values) for values in zip(*map(metres, every), strict=True))
    margin = round(max(wide, high, 10.0) * 0.04, 1)
    if max(wide, high) > 90_000:
        raise _bad(_("A plan is of one site: this is {n} km wide.", n=round(max(wide, high) / 1000)))
    return types.SitePlan(
        width=round(wide + 2 * margin, 1),
        height=round(max(high, wide / 6, 5.0) + 2 * margin, 1),
        shapes=[_shape(given, list(map(metres, points)), closed) for given, points, closed in lines],
        places=[
            types.PlanPlace(station_id=name, x=metres(at)[0], y=metres(at)[1], latitude=at[1], longitude=at[0])
            for name, at in places.items()
        ],
    )


def _shape(given: dict[str, Any], points: list[tuple[float, float]], closed: bool) -> types.PlanShape:
    kind = given.get("kind")
    label = given.get("label") or given.get("name")
    text = "".join(sign for sign in label if sign.isprintable())[:60] if isinstance(label, str) else ""
    return types.PlanShape(
        kind=kind if kind in _KINDS else ("area" if closed else "road"), label=text, closed=closed, points=points
    )


def feature_of(site: types.Site, summary: types.SiteSummary | None, *, outline: bool) -> dict[str, Any]:
    """A site as a GeoJSON feature: a point where it lies, or with `outline` its outline. Where it has none, the
    geometry is null, as RFC 7946 (3.2) has it for what has no place."""
    geometry: dict[str, Any] | None = None
    if outline and site.outline:
        geometry = {"type": "MultiPolygon", "coordinates": [[[*ring, ring[0]]] for ring in site.outline]}
    elif not outline and site.latitude is not None and site.longitude is not None:
        geometry = {"type": "Point", "coordinates": [site.longitude, site.latitude]}
    told: dict[str, Any] = {"name": site.name, "city": site.address.city, "power_limit_w": site.power_limit_w}
    if summary is not None:
        told |= {
            "stations": summary.stations,
            "stations_online": summary.stations_online,
            "connectors": summary.connectors,
            "connectors_charging": summary.connectors_charging,
            "connectors_faulted": summary.connectors_faulted,
            "power_w": summary.power_w,
            "energy_today_wh": summary.energy_today_wh,
        }
    return {"type": "Feature", "id": site.id, "geometry": geometry, "properties": told}


def collection_of(features: Iterable[dict[str, Any]]) -> bytes:
    """Features as one GeoJSON text."""
    return msgspec.json.encode({"type": "FeatureCollection", "features": list(features)})
