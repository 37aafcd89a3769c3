"""Sites: made, changed, left alone when somebody was quicker, summed up, and not deleted under a station's feet."""

from __future__ import annotations

import pytest

from pilotwire.core.ids import StationKey

NORTH = {
    "name": "Nordhof am Güterbahnhof",
    "address": {"street": "Ladestraße 1", "postal_code": "10115", "city": "Berlin", "country": "DE"},
    "latitude": 52.53,
    "longitude": 13.38,
    "time_zone": "Europe/Berlin",
    "power_limit_w": 22_000,
    "current_limit_a": 63,
    "plan": {
        "width": 40,
        "height": 20,
        "shapes": [{"kind": "building", "label": "Hall", "points": [[0, 0], [10, 0], [10, 5]]}],
        "places": [{"station_id": "CP-A", "x": 12.5, "y": 3}],
    },
    "contacts": [{"name": "Operations desk", "email": "desk@example.com", "phone": "+49 30 123"}],
}


async def test_a_site_round_trips_and_gets_an_id_from_its_name(api) -> None:
    made = await api.post("/api/v1/sites", json=NORTH)
    assert made.status_code == 201, made.text
    shown = made.json()
    assert shown["id"] == "nordhof-am-guterbahnhof"
    assert {key: shown[key] for key in NORTH if key not in ("plan", "contacts")} == {
        key: value for key, value in NORTH.items() if key not in ("plan", "contacts")
    }
    assert shown["plan"]["places"][0] == {"station_id": "CP-A", "x": 12.5, "y": 3, "latitude": None, "longitude": None}
    assert shown["contacts"][0]["email"] == "desk@example.com"
    again = await api.get(f"/api/v1/sites/{shown['id']}")
    assert (again.json(), again.headers["etag"]) == (shown, made.headers["etag"])
    second = await api.post("/api/v1/sites", json={"name": NORTH["name"]})
    assert second.json()["id"] == "nordhof-am-guterbahnhof-2"
    taken = await api.post("/api/v1/sites", json={"id": shown["id"], "name": "Another"})
    assert (taken.status_code, taken.json()["type"]) == (409, "/api#problem-exists")


async def test_a_change_made_for_an_older_version_is_refused(api) -> None:
    tag = (await api.post("/api/v1/sites", json=NORTH)).headers["etag"]
    path = "/api/v1/sites/nordhof-am-guterbahnhof"
    changed = await api.patch(path, json={"power_limit_w": None, "note": "fuse changed"}, headers={"If-Match": tag})
    assert changed.status_code == 200
    assert (changed.json()["power_limit_w"], changed.json()["note"]) == (None, "fuse changed")
    assert changed.json()["name"] == NORTH["name"]
    late = await api.patch(path, json={"note": "mine"}, headers={"If-Match": tag})
    assert (late.status_code, late.json()["type"]) == (412, "/api#problem-stale")
    assert late.headers["etag"] == changed.headers["etag"] != tag
    assert (await api.get(path)).json()["note"] == "fuse changed"
    assert (await api.delete(path, headers={"If-Match": tag})).status_code == 412
    assert (await api.delete(path, headers={"If-Match": changed.headers["etag"]})).status_code == 204
    assert (await api.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "A", "latitude": 52.5}, "longitude"),
        ({"name": "A", "time_zone": "Mars/Olympus"}, "time_zone"),
        ({"name": "A", "latitude": 91, "longitude": 0}, "latitude"),
        ({"name": ""}, "name"),
        ({"name": "A", "address": {"country": "Germany"}}, "address.country"),
        ({"name": "A", "contacts": [{"email": "no address"}]}, "contacts[0].email"),
        (
            {
                "name": "A",
                "plan": {"places": [{"station_id": "X", "x": 1, "y": 1}, {"station_id": "X", "x": 2, "y": 1}]},
            },
            "plan.places[1].station_id",
        ),
    ],
)
async def test_what_is_wrong_is_named(api, body: dict, field: str) -> None:
    answer = await api.post("/api/v1/sites", json=body)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [field]


async def test_stations_are_put_at_sites_and_summed_up(world, api) -> None:
    await api.post("/api/v1/sites", json={**NORTH, "id": "north"})
    await api.post("/api/v1/sites", json={"id": "south", "name": "South"})
    placed = await api.patch("/api/v1/stations/CP-A", json={"site": "north"})
    assert placed.json()["site"] == "north"
    nowhere = await api.patch("/api/v1/stations/CP-A", json={"site": "nowhere"})
    assert (nowhere.status_code, nowhere.json()["errors"][0]["field"]) == (422, "site")
    made = await api.post("/api/v1/stations", json={"id": "CP-E", "site": "north"})
    assert made.status_code == 201
    summary = (await api.get("/api/v1/sites/north/summary")).json()
    assert summary["stations"] == 2 and summary["stations_online"] == 1
    assert (summary["power_w"], summary["power_limit_w"], summary["load_percent"]) == (11_000, 22_000, 50.0)
    assert (summary["sessions_active"], summary["connectors_charging"]) == (1, 1)
    assert summary["energy_today_wh"] == 5_500
    every = (await api.get("/api/v1/sites/summaries")).json()["items"]
    assert [one["site_id"] for one in every] == ["north", "south", ""]
    totals = (await api.get("/api/v1/totals")).json()
    assert sum(one["energy_today_wh"] for one in every) == totals["energy_today_wh"]
    assert sum(one["power_w"] for one in every) == totals["power_w"]
    assert sum(one["stations"] for one in every) == totals["stations"]
    refused = await api.delete("/api/v1/sites/north")
    assert (refused.status_code, refused.json()["type"]) == (409, "/api#problem-in-use")


async def test_a_list_is_searched_sorted_and_paged(api) -> None:
    for name, city in (("Beta", "Ulm"), ("alpha", "Kiel"), ("Gamma", "Kiel")):
        await api.post("/api/v1/sites", json={"name": name, "address": {"city": city}})
    first = (await api.get("/api/v1/sites", params={"limit": 2})).json()
    assert [one["name"] for one in first["items"]] == ["alpha", "Beta"]
    rest = (await api.get("/api/v1/sites", params={"limit": 2, "cursor": first["next"]})).json()
    assert ([one["name"] for one in rest["items"]], rest["next"]) == (["Gamma"], None)
    found = (await api.get("/api/v1/sites", params={"q": "kiel", "sort": "-name"})).json()
    assert [one["name"] for one in found["items"]] == ["Gamma", "alpha"]


async def test_sites_of_another_tenant_are_not_there(world, api) -> None:
    await api.post("/api/v1/sites", json={"id": "north", "name": "North"})
    async with world.client(headers={"Authorization": "Bearer pw_test-process-key@other"}) as other:
        assert (await other.get("/api/v1/sites")).json()["items"] == []
        assert (await other.get("/api/v1/sites/north")).status_code == 404
        assert (await other.patch("/api/v1/sites/north", json={"name": "x"})).status_code == 404


async def test_an_etag_of_a_station_is_that_of_its_account(world, api) -> None:
    tag = (await api.get("/api/v1/stations/CP-D")).headers["etag"]
    changed = await api.patch("/api/v1/stations/CP-D", json={"note": "south gate"}, headers={"If-Match": tag})
    assert changed.status_code == 200
    assert (await api.patch("/api/v1/stations/CP-D", json={"note": "x"}, headers={"If-Match": tag})).status_code == 412
    assert (await world.store.account(StationKey("default", "CP-D"))).note == "south gate"
