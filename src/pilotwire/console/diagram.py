"""The single-line diagram of a site: where its places stand in the drawing, and what each of them says.

A place of the tree is a row, indented below its parent; the EVSEs of a place stand below it, side by side. A group of
many folds into one row of small squares. The drawing has one width (`WIDTH`); small screens show the same as a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pilotwire.api import types
from pilotwire.api.language import N_, translate

from .view import numeral

WIDTH = 1200
INDENT = 34
LEFT = 12
NODE_HEIGHT = 76
EVSE_WIDTH, EVSE_HEIGHT, GAP = 216, 82, 10
DEVICE_HEIGHT, DEVICE_ROW = 46, 66
DOT = 20
BAR = 250
"""Width of a place's bars."""
FOLD_FROM = 13
"""A place with so many EVSEs of its own is folded, unless somebody unfolds it."""
FOLD_ALL = 40
"""On a site with so many, places with more than four are."""


class State(NamedTuple):
    """What an EVSE does, to the eye; `letter` stands in small squares, so that no colour is needed to tell."""

    kind: str
    text: str
    letter: str


_STATES = {
    "lost": State("off", N_("Not heard"), "?"),
    "fault": State("fault", N_("Faulted"), "!"),
    "gone": State("off", N_("Out of service"), "×"),
    "free": State("free", N_("Free"), "–"),
    "charging": State("charging", N_("Charging"), "C"),
    "paused": State("busy", N_("Paused by us"), "P"),
    "waiting": State("busy", N_("Car does not charge"), "B"),
    "unknown": State("off", N_("Not known yet"), "?"),
}


def state_of_evse(one: types.SiteEvse) -> State:
    """From its pilot state (IEC 61851-1), its set-point, and whether anything flows."""
    if not one.online:
        return _STATES["lost"]
    if one.fault or one.pilot == "E":
        return _STATES["fault"]
    match one.pilot:
        case "F":
            return _STATES["gone"]
        case "A":
            return _STATES["free"]
        case None:
            return _STATES["unknown"]
        case _:
            if one.charging:
                return _STATES["charging"]
            return _STATES["waiting" if one.set_point else "paused"]


class Bar(NamedTuple):
    """A figure against its lowest limit. `share` is 0 to 1, None where either is not known; `over`: above it."""

    name: str
    now: str
    most: str
    source: str
    share: float | None
    level: str
    """good, warn (above nine tenths), bad (above the limit), or "" where nothing is known."""

    @property
    def width(self) -> float:
        """In the drawing; what is above the limit ends at its edge and says so."""
        return round(min(self.share or 0, 1) * BAR, 1)


class Place(NamedTuple):
    """A node as a row of the drawing, or as an entry of the list."""

    number: int
    node: types.SiteNode
    x: float
    y: float
    depth: int
    bars: list[Bar]
    power: Bar
    below_w: int | None
    """What the EVSEs below draw together."""
    evses: list[Outlet]
    folded: bool
    foldable: bool
    marks: list[types.SiteMark]
    counts: list[tuple[State, int]]
    """Its own EVSEs by state."""

    @property
    def width(self) -> float:
        return WIDTH - self.x - 2


class Outlet(NamedTuple):
    """An EVSE in the drawing."""

    number: int
    evse: types.SiteEvse
    x: float
    y: float
    state: State
    marks: list[types.SiteMark]
    phases: list[Bar]


class Extra(NamedTuple):
    """A device that is no EVSE: PV, a battery, a load. `node` is where it stands: the connection, if nobody says."""

    number: int
    node: str
    device: types.SiteDevice
    x: float
    y: float
    power_w: int | None
    soc: float | None
    marks: list[types.SiteMark]


class Diagram(NamedTuple):
    """All of it, in a viewBox of WIDTH × `height`."""

    height: float
    places: list[Place]
    extras: list[Extra]
    lines: list[str]
    """Paths of what connects them."""
    marks: list[types.SiteMark]
    """What belongs to no place in the drawing."""


def amps(ma: int | None) -> str:
    """A current with one decimal below 100 A."""
    if ma is None:
        return "–"
    return numeral(ma / 1000, 0 if abs(ma) >= 100_000 or ma % 1000 == 0 else 1)


def figure(value: int | None, unit: str) -> str:
    """A set-point with its unit: A for mA, kW for W."""
    if value is None:
        return "–"
    return f"{amps(value)} A" if unit == "mA" else f"{numeral(value / 1000, 1)} kW"


_TAKING = ", a battery about to take more"
_WINDOW = re.compile(r"\bdemand window ([^\s,()]+)")
OWN_SOURCES = {
    "surplus": N_("surplus"),
    "surplus of the phase": N_("surplus of the phase"),
    "contracted capacity": N_("contracted capacity"),
    "feed-in": N_("feed-in"),
}
"""Limits that the site names itself, beside the demand windows."""


def source_text(source: str, *, nothing: bool = False) -> str:
    """Who says so, in the reader's language where the site has made the name. `nothing`: the limit is below zero, which
    the allocation takes for "nothing is left": what flows beside the cars is above it already."""
    if nothing:
        return translate(N_("nothing is left: {source}"), source=source_text(source))
    name, taking, _rest = source.partition(_TAKING)
    said = _WINDOW.sub(lambda found: translate(N_("demand window {id}"), id=found[1]), source)
    if name in OWN_SOURCES:
        said = translate(OWN_SOURCES[name]) + taking
    return said.replace(_TAKING, translate(N_(", a battery about to take more")))


def level_of(share: float | None) -> str:
    """As `Bar.level`."""
    if share is None:
        return ""
    return "bad" if share > 1 else "warn" if share > 0.9 else "good"


def bars_of(node: types.SiteNode) -> tuple[list[Bar], Bar]:
    """(L1, L2, L3; power) of a node against the lowest limits."""
    limits = {one.what: one for one in node.limits}

    def bar(name: str, now: int | None, unit: str) -> Bar:
        limit = limits.get(name)  # type: ignore[call-overload]
        share = None if now is None or limit is None or limit.value <= 0 else abs(now) / limit.value
        shown = "–" if now is None else figure(now, unit)
        most = "" if limit is None else figure(max(0, limit.value), unit)
        source = "" if limit is None else source_text(limit.source, nothing=limit.value < 0)
        return Bar(name, shown, most, source, share, level_of(share))

    phases = [bar(name, now, "mA") for name, now in zip(("L1", "L2", "L3"), node.current_ma, strict=True)]
    return phases, bar("power", node.power_w, "W")


def _phases_of(one: types.SiteEvse) -> list[Bar]:
    """What each phase of an EVSE carries of what it may."""
    if one.unit != "mA":
        return []
    bars: list[Bar] = []
    for name, now in zip(("L1", "L2", "L3"), one.current_ma, strict=True):
        share = None if now is None else (abs(now) / one.set_point if one.set_point else float(now > 500))
        bars.append(
            Bar(name, amps(now), amps(one.set_point), "", share, level_of(None if share is None else share - 0.1))
        )
    return bars


def diagram(now: types.SiteNow, *, unfolded: frozenset[str] = frozenset(), all_open: bool = False) -> Diagram:
    """Lay a state out. `unfolded`: places whose EVSEs are to be seen one by one whatever their number."""
    children: dict[str | None, list[types.SiteNode]] = {}
    for node in now.nodes:
        children.setdefault(node.parent, []).append(node)
    at_node: dict[str, list[types.SiteEvse]] = {}
    for one in now.evses:
        at_node.setdefault(one.node, []).append(one)
    marks = _by_place(now.marks)
    numbers = {one.id: place for place, one in enumerate(now.evses)}
    places: list[Place] = []
    lines: list[str] = []
    y = 8.0
    extras, y = _beside(now, marks, y, lines)
    at_place: dict[str, list[Extra]] = {}
    for extra in extras:
        at_place.setdefault(extra.node, []).append(extra)
    fold_from = 5 if len(now.evses) >= FOLD_ALL else FOLD_FROM

    def put(node: types.SiteNode, depth: int, y: float) -> float:
        x = LEFT + depth * INDENT
        own = at_node.get(node.id, [])
        foldable = len(own) >= fold_from
        folded = foldable and not all_open and node.id not in unfolded
        bars, power = bars_of(node)
        trunk = x + 16
        top = y
        y += NODE_HEIGHT + GAP
        outlets: list[Outlet] = []
        ends: list[float] = []
        if node.parent is not None and node.id in at_place:
            put_there = _below_place(at_place[node.id], x + INDENT + 6, trunk, y, lines, ends)
            for extra in put_there:
                extras[extra.number] = extra
            y = max(extra.y for extra in put_there) + DEVICE_HEIGHT + GAP
        if own and not folded:
            left = x + INDENT + 6
            across = max(1, int((WIDTH - left + GAP) // (EVSE_WIDTH + GAP)))
            for place, one in enumerate(own):
                row, column = divmod(place, across)
                ex, ey = left + column * (EVSE_WIDTH + GAP), y + row * (EVSE_HEIGHT + 2 * GAP) + GAP
                outlets.append(
                    Outlet(numbers[one.id], one, ex, ey, state_of_evse(one), marks.get(one.id, []), _phases_of(one))
                )
                lines.append(f"M{ex + 20} {ey - GAP}v{GAP}")
            rows = -(-len(own) // across)
            for row in range(rows):
                bus = y + row * (EVSE_HEIGHT + 2 * GAP)
                last = min(across, len(own) - row * across) - 1
                lines.append(f"M{trunk} {bus}H{left + last * (EVSE_WIDTH + GAP) + 20}")
                ends.append(bus)
            y += rows * (EVSE_HEIGHT + 2 * GAP) + GAP / 2
        elif folded:
            outlets = [
                Outlet(numbers[one.id], one, 0, 0, state_of_evse(one), marks.get(one.id, []), _phases_of(one))
                for one in own
            ]
            across = int((WIDTH - x - INDENT - 8) // DOT)
            ends.append(y)
            lines.append(f"M{trunk} {y}h{INDENT - 12}")
            y += -(-len(own) // across) * DOT + 30
        for child in children.get(node.id, []):
            ends.append(y + NODE_HEIGHT / 2)
            lines.append(f"M{trunk} {y + NODE_HEIGHT / 2}h{INDENT - 16}")
            y = put(child, depth + 1, y)
        if ends:
            lines.append(f"M{trunk} {top + NODE_HEIGHT}V{max(ends)}")
        below = [one.power_w for one in _below(node.id, children, at_node) if one.power_w is not None]
        counts: dict[State, int] = {}
        for one in own:
            state = state_of_evse(one)
            counts[state] = counts.get(state, 0) + 1
        number = next(place for place, each in enumerate(now.nodes) if each.id == node.id)
        places.append(
            Place(
                number, node, x, top, depth, bars, power, sum(below) if below else None, outlets, folded, foldable,
                [*marks.get(node.id, []), *_of_meter(node, now, marks)],
                sorted(counts.items(), key=lambda each: -each[1]),
            )
        )  # fmt: skip
        return y

    for root in children.get(None, []):
        y = put(root, 0, y)
    places.sort(key=lambda place: place.y)
    shown = {node.id for node in now.nodes} | {one.id for one in now.evses} | {extra.device.id for extra in extras}
    return Diagram(y, places, extras, lines, [mark for mark in now.marks if mark.where not in shown])


def _beside(
    now: types.SiteNow, marks: Mapping[str, list[types.SiteMark]], y: float, lines: list[str]
) -> tuple[list[Extra], float]:
    """PV, batteries and loads. Those at the connection stand above the tree; the rest is put below its place."""
    parents = {node.id: node.parent for node in now.nodes}
    root = next((node.id for node in now.nodes if node.parent is None), "")
    devices = [one for one in now.devices if one.kind in ("inverter", "battery", "load")]
    found: list[Extra] = []
    for number, one in enumerate(devices):
        soc = one.points.get("soc_permille")
        found.append(
            Extra(
                number, one.node if one.node in parents else root, one, 0, 0, one.points.get("power_w"),
                None if soc is None else soc / 10, marks.get(one.id, []),
            )
        )  # fmt: skip
    across = int((WIDTH - 60) // (EVSE_WIDTH + GAP))
    above = [one for one in found if one.node == root]
    for place, one in enumerate(above):
        row, column = divmod(place, across)
        x, at = LEFT + 44 + column * (EVSE_WIDTH + GAP), y + row * DEVICE_ROW
        found[one.number] = one._replace(x=x, y=at)
        lines.append(f"M{x + 20} {at + DEVICE_HEIGHT}v{GAP}")
    rows = -(-len(above) // across)
    for row in range(rows):
        last = min(across, len(above) - row * across) - 1
        bus = y + row * DEVICE_ROW + DEVICE_HEIGHT + GAP
        lines.append(f"M{LEFT + 16} {bus}H{LEFT + 64 + last * (EVSE_WIDTH + GAP)}")
    if rows:
        lines.append(f"M{LEFT + 16} {y + DEVICE_HEIGHT + GAP}V{y + rows * DEVICE_ROW + 4}")
    return found, y + rows * DEVICE_ROW + (4 if rows else 0)


def _below_place(
    devices: list[Extra], left: float, trunk: float, y: float, lines: list[str], ends: list[float]
) -> list[Extra]:
    """The devices of a place side by side below it, with their places in the drawing."""
    across = max(1, int((WIDTH - left + GAP) // (EVSE_WIDTH + GAP)))
    put: list[Extra] = []
    for place, one in enumerate(devices):
        row, column = divmod(place, across)
        x, bus = left + column * (EVSE_WIDTH + GAP), y + row * DEVICE_ROW
        put.append(one._replace(x=x, y=bus + GAP))
        lines.append(f"M{trunk if not column else x + 20 - EVSE_WIDTH - GAP} {bus}H{x + 20}v{GAP}")
        ends.append(bus)
    return put


def _below(
    node: str, children: Mapping[str | None, list[types.SiteNode]], at_node: Mapping[str, list[types.SiteEvse]]
) -> Iterable[types.SiteEvse]:
    yield from at_node.get(node, [])
    for child in children.get(node, []):
        yield from _below(child.id, children, at_node)


def _by_place(marks: Iterable[types.SiteMark]) -> dict[str, list[types.SiteMark]]:
    found: dict[str, list[types.SiteMark]] = {}
    for mark in marks:
        found.setdefault(mark.where, []).append(mark)
    return found


def _of_meter(
    node: types.SiteNode, now: types.SiteNow, marks: Mapping[str, list[types.SiteMark]]
) -> list[types.SiteMark]:
    """A meter that is not heard is a mark of its node, where the site has not said so itself."""
    if node.metered and not node.online and node.id not in marks:
        return [types.SiteMark(where=node.id, code="meter_lost", words=translate(N_("its meter is not heard")))]
    return []


class Flow(NamedTuple):
    """One part of the energy flows. `into`: towards the middle (it feeds the site)."""

    key: str
    name: str
    power_w: int | None
    into: bool
    words: str

    @property
    def still(self) -> bool:
        """Less than 50 W: nothing flows."""
        return self.power_w is None or abs(self.power_w) < 50

    @property
    def thick(self) -> float:
        """Of its line: by the root, so that small flows are seen beside large ones."""
        return 0 if self.power_w is None else round(min(16.0, 2 + (abs(self.power_w) / 1000) ** 0.5 * 1.4), 1)


def flows_of(now: types.SiteNow) -> list[Flow]:
    """Grid, PV, battery, building, cars: those that the site has."""
    flows = now.flows
    kinds = {one.kind for one in now.devices}
    grid, battery = flows.grid_w, flows.battery_w
    found = [
        Flow(
            "grid",
            translate(N_("Grid")),
            grid,
            (grid or 0) >= 0,
            translate(N_("is drawn") if (grid or 0) >= 0 else N_("is fed in")),
        )
    ]
    if "inverter" in kinds:
        found.append(Flow("pv", translate(N_("PV")), flows.pv_w, True, translate(N_("from the sun"))))
    if "battery" in kinds:
        gives = (battery or 0) < 0
        found.append(
            Flow(
                "battery", translate(N_("Battery")), battery, gives, translate(N_("gives") if gives else N_("charges"))
            )
        )
    gives = (flows.building_w or 0) < 0
    found.append(
        Flow(
            "building",
            translate(N_("Building")),
            flows.building_w,
            gives,
            translate(N_("gives") if gives else N_("draws")),
        )
    )
    gives = (flows.cars_w or 0) < 0
    found.append(
        Flow("cars", translate(N_("Cars")), flows.cars_w, gives, translate(N_("give") if gives else N_("draw")))
    )
    return found
