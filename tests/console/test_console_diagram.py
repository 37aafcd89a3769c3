"""The drawing of a site: places that do not lie on each other, bars that say the truth, groups that fold."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.api import types
from pilotwire.api.language import spoken
from pilotwire.console import diagram as drawing
from pilotwire.console import site_plots as plots
from pilotwire.console.diagram import Diagram, bars_of, diagram, flows_of, state_of_evse
from pilotwire.console.pages.site_live import PIECES
from pilotwire.console.view import macros


def node(id: str, parent: str | None, kind: str = "group", **given_: object) -> types.SiteNode:
    return types.SiteNode(
        **{
            "id": id, "kind": kind, "parent": parent, "metered": True, "online": True,
            "current_ma": [10_000, 20_000, None], "power_w": 6_900, "limits": [],
        } | given_
    )  # type: ignore[arg-type]  # fmt: skip


def evse(id: str, at: str, **given_: object) -> types.SiteEvse:
    return types.SiteEvse(
        **{
            "id": id, "node": at, "online": True, "pilot": "C", "charging": True, "power_w": 3_680,
            "current_ma": [16_000, 0, 0], "unit": "mA", "set_point": 16_000, "target": 16_000, "confirmed": None,
            "code": "limit", "reason": "x", "why": [], "session": "", "session_wh": None, "energy_wh": None,
            "soc_percent": None, "departure_at": None, "fault": "",
        } | given_
    )  # type: ignore[arg-type]  # fmt: skip


def now(nodes: list[types.SiteNode], evses: list[types.SiteEvse], **given_: object) -> types.SiteNow:
    flows = types.SiteFlows(grid_w=1_000, pv_w=-500, battery_w=None, cars_w=20, building_w=-1_480)
    return types.SiteNow(
        **{
            "site_id": "x", "name": "x", "time_zone": "UTC", "time": "2026-01-01T00:00:00Z", "seq": 1, "flows": flows,
            "nodes": nodes, "evses": evses, "devices": [], "marks": [], "limits": [], "windows": [],
        } | given_
    )  # type: ignore[arg-type]  # fmt: skip


def _boxes(drawn: Diagram) -> list[tuple[str, float, float, float, float]]:
    found = [(place.node.id, place.x, place.y, place.width, drawing.NODE_HEIGHT) for place in drawn.places]
    found += [
        (one.evse.id, one.x, one.y, drawing.EVSE_WIDTH, drawing.EVSE_HEIGHT)
        for place in drawn.places if not place.folded for one in place.evses
    ]  # fmt: skip
    return found


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=14),
    st.lists(st.integers(0, 10_000), max_size=200),
    st.booleans(),
)
def test_nothing_lies_on_anything_else(parents: list[int], homes: list[int], opened: bool) -> None:
    """Any tree: each place and EVSE once, within the drawing, and none on another."""
    nodes = [node("n0", None, "connection")]
    for number, parent in enumerate(parents, 1):
        nodes.append(node(f"n{number}", f"n{parent % number}"))
    depths = {"n0": 0}
    for one in nodes[1:]:
        depths[one.id] = depths[one.parent or ""] + 1
    evses = [evse(f"e{number}", f"n{home % len(nodes)}") for number, home in enumerate(homes)]
    drawn = diagram(now(nodes, evses), all_open=opened)
    assert sorted(place.node.id for place in drawn.places) == sorted(depths)
    assert sum(len(place.evses) for place in drawn.places) == len(evses)
    assert not opened or not any(place.folded for place in drawn.places)
    boxes = _boxes(drawn)
    for name, x, y, width, height in boxes:
        assert x >= 0 and y >= 0 and y + height <= drawn.height + 1, name
        assert depths.get(name, 0) > 20 or x + width <= drawing.WIDTH + 400
    boxes.sort(key=lambda box: box[2])
    for place, (name, x, y, width, height) in enumerate(boxes):
        for other, ox, oy, owidth, _ in boxes[place + 1 :]:
            if oy >= y + height:
                break
            assert ox >= x + width or x >= ox + owidth, f"{name} lies on {other}"


def test_a_bar_says_how_near_the_lowest_limit_is() -> None:
    limit = types.LowestLimit(what="L1", value=10_500, unit="mA", source="fuse")
    low = types.LowestLimit(what="L2", value=16_000, unit="mA", source="order")
    phases, power = bars_of(node("a", None, limits=[limit, low]))
    assert [(bar.level, bar.source) for bar in phases] == [("warn", "fuse"), ("bad", "order"), ("", "")]
    assert phases[1].share == 1.25 and phases[1].width == drawing.BAR
    assert (phases[1].now, phases[1].most, phases[2].now) == ("20 A", "16 A", "–")
    assert power.level == "" and power.now == "6.9 kW"


@pytest.mark.parametrize(
    ("given_", "kind", "text"),
    [
        ({"online": False}, "off", "Not heard"),
        ({"fault": "ground"}, "fault", "Faulted"),
        ({"pilot": "E"}, "fault", "Faulted"),
        ({"pilot": "F"}, "off", "Out of service"),
        ({"pilot": None}, "off", "Not known yet"),
        ({"pilot": "A", "charging": False}, "free", "Free"),
        ({"pilot": "B", "charging": False}, "busy", "Car does not charge"),
        ({"pilot": "B", "charging": False, "set_point": 0}, "busy", "Paused by us"),
        ({}, "charging", "Charging"),
    ],
)
def test_an_evse_has_one_state(given_: dict[str, object], kind: str, text: str) -> None:
    state = state_of_evse(evse("a", "n", **given_))
    assert (state.kind, state.text) == (kind, text)
    assert len(state.letter) == 1, "no colour is needed to tell states apart"


def test_marks_stand_at_their_place_or_on_their_own() -> None:
    marks = [types.SiteMark(where=where, code="offline", words="is not heard") for where in ("a", "e", "cloud")]
    state = now([node("a", None, online=False), node("b", "a", online=False)], [evse("e", "b")], marks=marks)
    drawn = diagram(state)
    first, second = drawn.places
    assert [mark.code for mark in first.marks] == ["offline"], "it has been said by the site itself"
    assert [mark.code for mark in second.marks] == ["meter_lost"]
    assert [mark.where for mark in second.evses[0].marks] == ["e"]
    assert [mark.where for mark in drawn.marks] == ["cloud"]


def test_a_device_stands_where_the_site_says() -> None:
    """Below its place, before the EVSEs; beside the connection where nobody says; none on anything else."""
    where = {"roof": "a", "cellar": "b", "boiler": "b", "pump": None, "fan": "gone"} | {f"l{n}": "b" for n in range(6)}
    devices = [
        types.SiteDevice(id=id, kind="load", node=at, online=True, points={"power_w": 100})
        for id, at in where.items()
    ]  # fmt: skip
    nodes = [node("a", None, "connection"), node("b", "a"), node("c", "b")]
    drawn = diagram(now(nodes, [evse("e", "b")], devices=devices))
    found = {one.device.id: one for one in drawn.extras}
    assert [one.number for one in drawn.extras] == list(range(len(devices)))
    assert {id: one.node for id, one in found.items()} == {id: "b" if at == "b" else "a" for id, at in where.items()}
    top, below, last = drawn.places
    assert all(one.y < top.y for one in found.values() if one.node == "a")
    for one in found.values():
        if one.node == "b":
            assert below.y + drawing.NODE_HEIGHT < one.y
            assert one.y + drawing.DEVICE_HEIGHT < below.evses[0].y < last.y
            assert one.x + drawing.EVSE_WIDTH <= drawing.WIDTH
    spots = sorted((one.y, one.x) for one in found.values())
    for (y, x), (other_y, other_x) in pairwise(spots):
        assert other_y >= y + drawing.DEVICE_HEIGHT or (other_y == y and other_x >= x + drawing.EVSE_WIDTH)


def test_flows_have_a_direction() -> None:
    device = types.SiteDevice(id="roof", kind="inverter", node="a", online=True, points={})
    found = {one.key: one for one in flows_of(now([node("a", None)], [], devices=[device]))}
    assert set(found) == {"grid", "pv", "building", "cars"}, "there is no battery"
    assert found["grid"].into and found["pv"].into and found["building"].into
    assert found["cars"].still and not found["grid"].still
    assert found["pv"].thick < found["grid"].thick


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-900_000, 900_000)), min_size=1, max_size=30))
def test_a_course_stays_in_its_drawing(values: list[int | None]) -> None:
    times = [str(place) for place in range(len(values))]
    drawn = plots.compared(times, ("grid-fill", "measured", values), ("planned", "planned", values[::-1]), times)
    assert len(drawn.ticks) == 5 and any(abs(tick) < 1e-6 for tick in drawn.ticks), "zero is one of the lines"
    steps = {round(one - other, 6) for one, other in zip(drawn.ticks, drawn.ticks[1:], strict=False)}
    assert len(steps) == 1
    for rect in drawn.rects:
        assert rect.y >= -0.02 and rect.y + rect.height <= 200.02
        edge = rect.y if rect.y < drawn.zero - 0.02 else rect.y + rect.height
        assert math.isclose(rect.y + rect.height, drawn.zero, abs_tol=0.02) or math.isclose(
            rect.y, drawn.zero, abs_tol=0.02
        ), edge
    assert sum(1 for value in values if value) == len(drawn.rects)


def test_stacked_parts_lie_on_each_other() -> None:
    drawn = plots.stacked(["a", "b"], [("x", "X", [1_000, None]), ("y", "Y", [3_000, -5])], ["a", "b"])
    assert [(rect.kind, rect.height) for rect in drawn.rects] == [("x", 50.0), ("y", 150.0)]
    assert drawn.rects[1].y == 0 and drawn.rects[0].title == "a: X 1.0 kW"


def test_a_set_point_holds_until_the_next() -> None:
    path = plots.steps([(0, 6_000), (500, 16_000)], 100, 1_100, 16_000)
    assert path == "M0.0 125.0H400.0L400.0 0.0H1000.0"


def test_windows_stand_where_they_lie_in_the_day() -> None:
    """One window is not as wide as the day."""
    begin, hour = 1_767_225_600_000, 3_600_000
    times = [f"{place:02}:00" for place in range(24)]
    one = plots.Window(begin + 6 * hour, begin + 7 * hour, 5_000, 6_000, False, False, "x")
    other = plots.Window(begin + 7 * hour, begin + 8 * hour, -400, 6_000, True, False, "y")
    drawn = plots.windows([one], begin, begin + 24 * hour, times)
    (rect,) = drawn.rects
    assert 250 <= rect.x < 260 and 30 < rect.width < 1000 / 24
    assert drawn.labels[0] == "00:00" and drawn.labels[21] == "21:00" and len(drawn.labels) == 24
    ((_, line),) = drawn.lines
    assert line.startswith("M250.0 ") and line.endswith("H291.67")
    drawn = plots.windows([one, other], begin, begin + 24 * hour, times)
    assert drawn.rects[1].height == 0 and drawn.rects[1].kind == "grid-fill hatched"
    assert drawn.lines[0][1].count("M") == 1, "their targets are one line"
    assert plots.windows([], begin, begin + 24 * hour, times).lines == []


def test_a_limit_below_nothing_is_nothing_with_words() -> None:
    limit = types.LowestLimit(
        what="power", value=-1_100, unit="W", source="demand window quarter, a battery about to take more"
    )
    _, power = bars_of(node("grid", None, power_w=-30, limits=[limit]))
    assert (power.now, power.most, power.share) == ("0.0 kW", "0.0 kW", None)
    assert power.source == "nothing is left: demand window quarter, a battery about to take more"
    assert drawing.amps(-40) == "0.0" and drawing.figure(-49, "W") == "0.0 kW"


def test_limits_that_the_site_names_itself_are_named_in_the_readers_language() -> None:
    names = ("surplus", "surplus of the phase", "contracted capacity", "feed-in", "my surplus")
    assert [drawing.source_text(name) for name in names] == list(names)
    with spoken("de"):
        assert [drawing.source_text(name) for name in names] == [
            "Überschuss", "Überschuss der Phase", "vereinbarte Leistung", "Einspeisung", "my surplus",
        ]  # fmt: skip
        assert drawing.source_text("feed-in, a battery about to take more").startswith("Einspeisung, ")


def test_a_month_of_which_no_window_is_over_has_no_highest() -> None:
    window = types.SiteWindow(
        id="quarter", node="grid", begin="2026-01-01T00:00:00Z", end="2026-01-01T00:15:00Z", energy_wh=1, target_w=9,
        limit_w=9, forecast_w=5, peak_w=0, quality="register",
    )  # fmt: skip
    assert "no highest of the month yet" in str(macros(PIECES).window(window))
    window.peak_w = 41_900
    assert "highest of the month so far: 41.9 kW" in str(macros(PIECES).window(window))
