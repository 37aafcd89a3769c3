"""Drawings that people bring: SVG made harmless, GeoJSON into outlines and plans, sites as GeoJSON."""

from __future__ import annotations

import json

import pytest

from pilotwire.api import drawings
from pilotwire.api.problems import Problem

SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 100"><rect width="200" height="100" fill="#eee"/></svg>'
)
SQUARE = [[13.38, 52.54], [13.382, 52.54], [13.382, 52.541], [13.38, 52.541], [13.38, 52.54]]


def drawn(inside: str, root: str = 'viewBox="0 0 10 10"') -> str:
    return drawings.clean_svg(f'<svg xmlns="http://www.w3.org/2000/svg" {root}>{inside}</svg>'.encode()).text


@pytest.mark.parametrize(
    "evil",
    [
        "<script>alert(1)</script>",
        '<g onload="alert(1)"/>',
        '<a href="javascript:alert(1)"><path d="M0 0"/></a>',
        '<image href="http://elsewhere.example/x.png"/>',
        '<use href="#x"/>',
        "<style>@import url(http://elsewhere.example/x.css)</style>",
        '<rect fill="url(http://elsewhere.example/#x)"/>',
        "<rect style=\"fill:url( 'http://elsewhere.example' )\"/>",
        '<foreignObject><b xmlns="http://www.w3.org/1999/xhtml"><img onerror="alert(1)"/></b></foreignObject>',
        '<animate attributeName="href" values="javascript:alert(1)"/>',
        '<set attributeName="onload" to="alert(1)"/>',
        '<rect xmlns:x="http://www.w3.org/1999/xlink" x:href="http://elsewhere.example"/>',
        '<h:script xmlns:h="http://www.w3.org/1999/xhtml">alert(1)</h:script>',
        "<?xml-stylesheet href='http://elsewhere.example/x.css'?>",
        "<!-- <script>alert(1)</script> -->",
        "<text><script>alert(1)</script></text>",
        "<title>&lt;script&gt;</title><filter id='f'><feImage href='http://elsewhere.example'/></filter>",
    ],
)
def test_nothing_but_a_drawing_is_left(evil: str) -> None:
    clean = drawn(evil).replace("http://www.w3.org/2000/svg", "")
    for sign in ("<script", "alert", "elsewhere", "javascript", "onload", "onerror", "href", "style", "<a", "image"):
        assert sign not in clean
    assert drawings.clean_svg(drawn(evil).encode()).text == drawn(evil), "what is clean stays as it is"


def test_what_is_a_drawing_stays() -> None:
    kept = drawn(
        '<defs><linearGradient id="a"><stop offset="0" stop-color="red"/></linearGradient></defs>'
        '<g transform="rotate(3)"><path d="M0 0L1 1" style="fill:url(#a);stroke-width:2"/></g>'
        '<text x="1">A &amp; B</text>'
    )
    assert 'fill="url(#a)"' in kept
    assert 'stroke-width="2"' in kept
    assert "A &amp; B" in kept
    assert 'transform="rotate(3)"' in kept


@pytest.mark.parametrize(
    ("text", "size"),
    [('viewBox="0 0 200 100"', (200, 100)), ('width="30mm" height="20mm"', (30, 20)), ('viewBox="5,5 4 2"', (4, 2))],
)
def test_its_size(text: str, size: tuple[float, float]) -> None:
    found = drawings.clean_svg(f'<svg xmlns="http://www.w3.org/2000/svg" {text}/>'.encode())
    assert (found.width, found.height) == size


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no svg",
        b"<html/>",
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b'<svg xmlns="http://www.w3.org/2000/svg" width="0" height="9"/>',
        b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 nan" width="x" height="1"/>',
        b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><g></svg>',
        b'<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1">&a;</svg>',
        b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1">' + b"<g>" * 70 + b"</g>" * 70 + b"</svg>",
        b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1">' + b"<g/>" * 20_001 + b"</svg>",
    ],
)
def test_what_is_no_drawing_is_refused_readably(text: bytes) -> None:
    with pytest.raises(Problem) as refused:
        drawings.clean_svg(text)
    assert (refused.value.status, refused.value.name) == (422, "bad-file")


def test_a_plan_of_geojson_is_in_metres_north_up() -> None:
    text = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"kind": "building", "name": "Hall"},
                "geometry": {"type": "Polygon", "coordinates": [SQUARE]},
            },
            {
                "type": "Feature",
                "properties": {"station_id": "CP-A"},
                "geometry": {"type": "Point", "coordinates": [13.382, 52.541]},
            },
            {"type": "Feature", "properties": None, "geometry": None},
        ],
    }
    plan = drawings.plan_of(json.dumps(text).encode())
    (hall,) = plan.shapes
    (place,) = plan.places
    assert (hall.kind, hall.label, hall.closed, len(hall.points)) == ("building", "Hall", True, 4)
    wide = max(x for x, _y in hall.points) - min(x for x, _y in hall.points)
    high = max(y for _x, y in hall.points) - min(y for _x, y in hall.points)
    assert (round(wide), round(high)) == (135, 111)
    assert (place.station_id, place.x, place.y) == (
        "CP-A",
        max(x for x, _y in hall.points),
        min(y for _x, y in hall.points),
    )
    assert place.x < plan.width
    assert place.y < plan.height


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"type": "Sphere"}',
        '{"type": "FeatureCollection", "features": {}}',
        '{"type": "Polygon", "coordinates": [[[500, 1], [2, 2], [3, 3]]]}',
        '{"type": "Polygon", "coordinates": "x"}',
        '{"type": "LineString", "coordinates": [["a", "b"]]}',
        '{"type": "FeatureCollection", "features": []}',
        '{"type": "LineString", "coordinates": [[0, 0], [40, 40]]}',
        '{"type":"GeometryCollection","geometries":[' * 12 + "]}" * 12,
    ],
)
def test_what_is_no_plan_is_refused_readably(text: str) -> None:
    with pytest.raises(Problem) as refused:
        drawings.plan_of(text.encode())
    assert (refused.value.status, refused.value.name) == (422, "bad-file")


async def test_a_background_is_put_shown_and_taken_away(api) -> None:
    made = (await api.post("/api/v1/sites", json={"name": "Depot"})).json()
    path = f"/api/v1/sites/{made['id']}"
    assert (await api.get(f"{path}/background.svg")).status_code == 404
    answer = await api.put(f"{path}/background.svg", content=SVG, headers={"Content-Type": "image/svg+xml"})
    assert answer.status_code == 200, answer.text
    site = answer.json()
    assert site["background"].startswith(f"{path}/background.svg?v=")
    assert (site["plan"]["width"], site["plan"]["height"]) == (100, 50)
    shown = await api.get(site["background"])
    assert shown.headers["content-type"] == "image/svg+xml"
    assert "script-src 'self'" in shown.headers["content-security-policy"]
    assert "<rect" in shown.text
    assert (await api.put(f"{path}/background.svg", content=SVG, headers={"If-Match": '"9"'})).status_code == 412
    wrong = await api.put(f"{path}/background.svg", content=SVG, headers={"Content-Type": "image/png"})
    assert wrong.status_code == 415
    assert (await api.delete(f"{path}/background.svg")).status_code == 204
    assert (await api.get(path)).json()["background"] == ""
    assert (await api.get(f"{path}/background.svg")).status_code == 404


async def test_sites_as_geojson(api) -> None:
    new = {"name": "Depot", "latitude": 52.54, "longitude": 13.38, "outline": [SQUARE[:4]]}
    made = (await api.post("/api/v1/sites", json=new)).json()
    await api.post("/api/v1/sites", json={"name": "Nowhere"})
    answer = await api.get("/api/v1/sites.geojson")
    assert answer.headers["content-type"].startswith("application/geo+json")
    found = {one["id"]: one for one in answer.json()["features"]}
    assert found[made["id"]]["geometry"] == {"type": "Point", "coordinates": [13.38, 52.54]}
    assert found[made["id"]]["properties"]["stations"] == 0
    assert found["nowhere"]["geometry"] is None
    outlines = (await api.get("/api/v1/sites.geojson?shape=outline")).json()["features"]
    (ring,) = next(one for one in outlines if one["id"] == made["id"])["geometry"]["coordinates"][0]
    assert ring == SQUARE


async def test_a_plan_is_imported(api) -> None:
    made = (await api.post("/api/v1/sites", json={"name": "Depot"})).json()
    text = {"type": "Polygon", "coordinates": [SQUARE]}
    answer = await api.put(
        f"/api/v1/sites/{made['id']}/plan.geojson",
        content=json.dumps(text),
        headers={"Content-Type": "application/geo+json"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["plan"]["shapes"][0]["kind"] == "area"
