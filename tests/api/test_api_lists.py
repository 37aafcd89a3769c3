"""Lists: whatever is asked in whatever order, pages are complete, without repeats, and what a plain look would find."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pilotwire.api import listing
from pilotwire.api.fleet import fleet_of
from pilotwire.api.fleet_query import SORTS, StationQuery
from pilotwire.api.problems import Problem
from pilotwire.domain import facts, records
from pilotwire.storage.port import Entry
from pilotwire.transport.bus import PowerNow

NOW = 1_767_268_800_000


async def stations(world: Any, count: int) -> None:
    """Stations of all kinds, some with an account only."""
    chance = random.Random(3)
    touched: list[records.Station] = []
    for n in range(count):
        name = f"F-{n:03d}"
        if chance.random() < 0.8:
            await world.store.put_account(
                records.StationAccount(
                    tenant="default", id=name, site=chance.choice(["", "north", "south"]), note=f"bay {n}",
                    enabled=chance.random() < 0.9,
                )
            )  # fmt: skip
            if chance.random() < 0.1:
                continue
        touched.append(
            records.Station(
                tenant="default", id=name, vendor=chance.choice(["Voltwerk", "Elbstrom", ""]), connected=n % 3 > 0,
                model=chance.choice(["A", "b", "C"]), firmware=chance.choice(["1.0", "1.1"]),
                ocpp_version=chance.choice(["1.6", "2.0.1", ""]), last_seen=chance.choice([0, NOW - n * 1000]),
                connectors=[
                    records.Connector(1, 1, chance.choice(["Available", "Charging", "Faulted"]), power_w=n % 5 * 1000)
                ],
            )
        )  # fmt: skip
    world.commit("F-000", touched=tuple(touched))


async def walk(api: Any, path: str, limit: int, **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    for _ in range(500):
        given = {**asked, "limit": limit} | ({"cursor": cursor} if cursor else {})
        answer = await api.get(path, params=given)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next"]
        if cursor is None:
            return found
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("sort", [*SORTS, *(f"-{one}" for one in SORTS)])
async def test_every_sort_is_complete_and_in_order(world, api, sort: str) -> None:
    await stations(world, 40)
    whole = await walk(api, "/api/v1/stations", 500, sort=sort)
    assert await walk(api, "/api/v1/stations", 7, sort=sort) == whole
    assert sorted(one["id"] for one in whole) == sorted({one["id"] for one in whole})
    assert len(whole) == len((await api.get("/api/v1/stations?limit=500")).json()["items"]) > 40
    field = sort.removeprefix("-")
    keys = [one[field] if one[field] != "" else None for one in whole]
    there = [key.casefold() if isinstance(key, str) else key for key in keys if key is not None]
    assert there == sorted(there, reverse=sort.startswith("-"))
    assert None not in keys[: len(there)], "what has none comes last, up and down"


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        ({"vendor": "voltwerk"}, lambda one: one["vendor"] == "Voltwerk"),
        ({"vendor": ["Voltwerk", "ELBSTROM"]}, lambda one: one["vendor"] in ("Voltwerk", "Elbstrom")),
        ({"connected": True, "model": "a"}, lambda one: one["connected"] and one["model"] == "A"),
        ({"site": "north"}, lambda one: one["site"] == "north"),
        ({"site": ["-", "south"]}, lambda one: one["site"] in ("", "south")),
        ({"status": "faulted"}, lambda one: any(c["status"] == "Faulted" for c in one["connectors"])),
        ({"enabled": False}, lambda one: not one["enabled"]),
        ({"registered": False}, lambda one: not one["registered"]),
        ({"ocpp_version": "1.6", "firmware": "1.1"}, lambda o: o["ocpp_version"] == "1.6" and o["firmware"] == "1.1"),
        ({"q": "BAY 1"}, lambda one: "bay 1" in one["note"]),
        ({"q": "zzzz"}, lambda one: False),
    ],
)  # fmt: skip
async def test_filters_find_what_a_look_at_all_finds(world, api, asked: dict[str, Any], fits: Any) -> None:
    await stations(world, 60)
    everything = await walk(api, "/api/v1/stations", 500)
    found = await walk(api, "/api/v1/stations", 4, **asked)
    assert [one["id"] for one in found] == [one["id"] for one in everything if fits(one)]
    counted = (await api.get("/api/v1/stations", params={**asked, "count": True, "limit": 1})).json()
    assert counted["total"] == len(found)


async def test_facets_say_what_there_is(world, api) -> None:
    await stations(world, 60)
    facets = (await api.get("/api/v1/station-facets")).json()
    for field, values in facets.items():
        for one in values:
            value = one["value"] or ("-" if field == "site" else None)
            if value is not None:
                assert len(await walk(api, "/api/v1/stations", 500, **{field: value})) == one["stations"], (field, one)


async def test_a_cursor_belongs_to_its_question(world, api) -> None:
    await stations(world, 20)
    for path, first, others in (
        (
            "/api/v1/stations",
            {"sort": "-power_w"},
            [{"sort": "power_w"}, {}, {"sort": "-power_w", "vendor": "Voltwerk"}],
        ),
        ("/api/v1/sessions", {"status": "ended"}, []),
    ):
        cursor = (await api.get(path, params={**first, "limit": 1})).json()["next"]
        if cursor is None:
            continue
        assert (await api.get(path, params={**first, "limit": 3, "cursor": cursor})).status_code == 200
        for other in others:
            answer = await api.get(path, params={**other, "cursor": cursor})
            assert (answer.status_code, answer.json()["type"]) == (400, "/api#problem-bad-cursor"), other


async def test_made_up_places_in_a_cursor_are_refused(api) -> None:
    page = (await api.get("/api/v1/stations?limit=1&sort=power_w")).json()
    place = listing.cursors.decode(page["next"], listing._Place)
    for made_up in (["text", "x"], [None], 7, ["a", 5], [True, "x"]):
        cursor = listing.cursors.encode(listing._Place(place.question, made_up))
        answer = await api.get("/api/v1/stations", params={"sort": "power_w", "cursor": cursor})
        assert answer.status_code in (200, 400), made_up


async def test_what_comes_and_goes_between_pages(world, api) -> None:
    """The place is a key, not a number: what was not given out yet comes, whatever else changes."""
    await stations(world, 30)
    first = (await api.get("/api/v1/stations?limit=10")).json()
    seen = [one["id"] for one in first["items"]]
    for name in ("AA-0", "F-100"):
        await api.post("/api/v1/stations", json={"id": name})
    world.store._settle()
    rest = []
    cursor = first["next"]
    while cursor:
        page = (await api.get("/api/v1/stations", params={"limit": 10, "cursor": cursor})).json()
        rest += [one["id"] for one in page["items"]]
        cursor = page["next"]
    assert "F-100" in rest and "AA-0" not in seen + rest
    assert len(set(seen + rest)) == len(seen + rest)


async def test_present_power_is_listed_and_stays_until_the_session_ends(world, api) -> None:
    async def power() -> int:
        return (await api.get("/api/v1/stations/CP-A")).json()["power_w"]

    assert await power() == 11_000
    news = PowerNow(tenant="default", station="CP-A", time=NOW, evse=1, connector=1, power_w=7_000, session_id="s-1")
    world.bus.publish("power.default.CP-A", news)
    assert await power() == 7_000
    assert (await api.get("/api/v1/stations?sort=-power_w&limit=1")).json()["items"][0]["power_w"] == 7_000
    fact = facts.DataTransferred(event_time=1, vendor_id="v", message_id="1")
    world.commit("CP-A", fact)
    assert await power() == 7_000, "the record is behind the bus; the bus is right"
    world.store._settle()
    station = world.store._stations["default", "CP-A"]
    station.connectors[0].session_id, station.connectors[0].power_w = "", 0
    world.commit("CP-A", fact, touched=(station,))
    assert await power() == 0


async def test_the_index_survives_lost_news_and_a_store_that_is_away(world, api, monkeypatch) -> None:
    await api.get("/api/v1/stations")
    fleet = fleet_of(world.context, "default")
    world.store._settle()
    station = world.store._stations["default", "CP-B"]
    station.firmware = "7"
    world.store.append(
        Entry(tenant="default", station="CP-B", recv_time=NOW, epoch=1, direction="in", touched=(station,))
    )
    fleet._subscription[0].shed += 1  # type: ignore[index]
    read = world.store.some_stations

    async def broken(*args: Any) -> Any:
        raise OSError("disk gone")

    monkeypatch.setattr(world.store, "some_stations", broken)
    assert (await api.get("/api/v1/stations/CP-B")).status_code == 500
    monkeypatch.setattr(world.store, "some_stations", read)
    assert (await api.get("/api/v1/stations/CP-B")).json()["firmware"] == "7"


async def test_a_database_that_others_write_to_is_looked_at_again(world, api, monkeypatch) -> None:
    monkeypatch.setattr(type(world.store), "shared", True)
    assert (await api.get("/api/v1/stations/X-1")).status_code == 404
    world.store._stations["default", "X-1"] = records.Station(tenant="default", id="X-1")
    assert (await api.get("/api/v1/stations/X-1")).status_code == 404
    world.clock.run_for(2_000)
    assert (await api.get("/api/v1/stations/X-1")).status_code == 200


async def test_sessions_by_everything_that_the_list_takes(world, api) -> None:
    world.commit(
        "CP-B",
        touched=tuple(
            records.Session(
                tenant="default", id=f"q-{n}", station_id="CP-B", transaction=str(n), ocpp_version="1.6", evse=1,
                connector=1, token=f"TOK{n % 3}", started_at=NOW - 86_400_000 + n * 1000, status="ended",
                ended_at=NOW - 86_000_000 + n * 2000, energy_wh=n * 100, stop_reason="Remote" if n % 2 else "Local",
                flags=["seq-gap"] if n == 4 else [],
            )
            for n in range(30)
        ),
    )  # fmt: skip

    async def ids(**asked: Any) -> list[str]:
        return [one["id"] for one in await walk(api, "/api/v1/sessions", 4, **asked)]

    assert await ids(token="tok1", sort="started_at") == [f"q-{n}" for n in range(1, 30, 3)]
    assert await ids(energy_from_wh=2_700, energy_to_wh=2_900, station="CP-B") == ["q-29", "q-28", "q-27"]
    assert await ids(stop_reason="Remote", started_before="2025-12-31T12:00:10Z") == ["q-9", "q-7", "q-5", "q-3", "q-1"]
    assert await ids(flags="seq-gap") == ["q-4"] == await ids(flagged=True)
    assert (await ids(sort="-ended_at"))[:3] == ["s-0", "q-29", "q-28"]
    assert await ids(sort="energy_wh", energy_to_wh=200) == ["q-0", "q-1", "q-2"]
    assert await ids(q="q-7") == ["q-7"] and await ids(q="tok9") == []
    assert (await api.get("/api/v1/sessions?count=true&limit=1")).json()["total"] == 32

    async def sums(**asked: Any) -> tuple[int, int, int]:
        return tuple((await api.get("/api/v1/sessions/sums", params=asked)).json().values())

    assert await sums(stop_reason="Remote", started_before="2025-12-31T12:00:10Z") == (5, 2_500, 5 * 400 + 25)
    assert await sums(token="tok9") == (0, 0, 0)
    all_of_them = await walk(api, "/api/v1/sessions", 50)
    energy = sum(one["energy_wh"] for one in all_of_them)
    assert (await sums())[:2] == (32, energy) and (await sums(status="active"))[0] == 1
    assert (await sums(status="ended"))[1] + (await sums(status="active"))[1] == energy
    both = await api.get("/api/v1/sessions?status=active&sort=energy_wh")
    assert (both.status_code, both.json()["errors"][0]["field"]) == (400, "sort")
    bad = await api.get("/api/v1/sessions?started_from=2025-12-31")
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (400, "started_from")


def test_pages_of_a_list_in_memory() -> None:
    items = [{"id": f"i{n}", "size": n % 4 or None, "name": "B" if n % 2 else "a"} for n in range(23)]

    def page(cursor: str | None, sort: str, limit: int = 5, **filters: object) -> tuple[list[Any], str | None]:
        return listing.page_of(
            items, name="things", sort=sort, default="id", keys={"id": lambda o: o["id"], "size": lambda o: o["size"],
            "name": lambda o: o["name"]}, id_of=lambda o: o["id"], cursor=cursor, limit=limit, filters=filters,
        )  # fmt: skip

    for sort in ("id", "-id", "size", "-size", "name", "-name"):
        seen: list[Any] = []
        cursor: str | None = None
        while True:
            found, cursor = page(cursor, sort)
            seen += found
            if cursor is None:
                break
        assert sorted(one["id"] for one in seen) == sorted(one["id"] for one in items), sort
        sizes = [one["size"] for one in seen if one["size"]]
        if sort.endswith("size"):
            assert sizes == sorted(sizes, reverse=sort[0] == "-") and seen[-1]["size"] is None
    _, cursor = page(None, "size")
    for sort, filters in (("-size", {}), ("size", {"colour": "red"})):
        with pytest.raises(Problem):
            page(cursor, sort, **filters)
    assert page(cursor, "size", colour=None)[0], "a filter that is not given is none"
    with pytest.raises(Problem):
        page(None, "weight")


def test_no_question_is_everything() -> None:
    assert StationQuery().everything and not StationQuery(q="x").everything
