"""Reports through the API: figures against what the journal and the sessions say, over restarts, rebuilt, exported."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx
import msgspec
import pytest
from tests.api import happenings_kit as kit

from pilotwire.api.happenings.reporting import Reporting
from pilotwire.api.workers import Workers
from pilotwire.core.ids import StationKey
from pilotwire.core.time import from_rfc3339
from pilotwire.domain import facts, records
from pilotwire.domain.ledger import ENERGY, zeros
from pilotwire.storage.documents import Delete

HOUR = 3_600_000
NOW = from_rfc3339("2026-01-01T12:00:00Z")


class Booking:
    """A world whose figures are kept."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self._workers: Workers | None = None

    async def start(self) -> Booking:
        self._workers = Workers(self.world.context, [Reporting])
        await self._workers.start()
        assert self._workers.running
        return self

    async def stop(self) -> None:
        if self._workers is not None:
            await self._workers.stop()
            self._workers = None

    async def settle(self) -> None:
        await self.world.context.parts[Reporting].settle()

    async def hours(self, count: float) -> None:
        """Time passes."""
        self.world.clock.run_for(round(count * HOUR))
        await self.settle()

    def status(self, station: str, text: str, evse: int = 1) -> None:
        now = self.world.clock.now()
        self.world.commit(station, facts.ConnectorStatusChanged(event_time=now, evse=evse, connector=1, status=text))

    async def charge(self, name: str, station: str, hours: float, wh: int, evse: int = 1) -> None:
        """A session that lasts for a while from now on."""
        begin = self.world.clock.now()
        given = {
            "tenant": "default", "id": name, "station_id": station, "transaction": name, "ocpp_version": "2.0.1",
            "evse": evse, "connector": 1, "started_at": begin, "received_at": begin, "updated_at": begin,
        }  # fmt: skip
        started = facts.SessionStarted(
            event_time=begin, session_id=name, transaction=name, start_key=name, ocpp_version="2.0.1", evse=evse,
            connector=1, charging_state="Charging",
        )  # fmt: skip
        self.world.commit(station, started, touched=(records.Session(**given),))
        await self.hours(hours)
        end = self.world.clock.now()
        ended = records.Session(**{**given, "status": "ended", "ended_at": end, "updated_at": end, "energy_wh": wh})
        self.world.commit(station, facts.SessionEnded(event_time=end, session_id=name), touched=(ended,))
        await self.settle()


@pytest.fixture
async def booking(world) -> AsyncIterator[Booking]:
    await world.store.put_account(records.StationAccount(tenant="default", id="CP-A", site="north"))
    await world.store.put_account(records.StationAccount(tenant="default", id="CP-B", site="south"))
    made = await Booking(world).start()
    yield made
    await made.stop()


@pytest.fixture
async def sites(api) -> None:
    await api.post("/api/v1/sites", json={"id": "north", "name": "North"})
    await api.post("/api/v1/sites", json={"id": "south", "name": "South", "time_zone": "Pacific/Auckland"})


async def get(api: httpx.AsyncClient, **params: Any) -> dict[str, Any]:
    answer = await api.get("/api/v1/reports", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_sessions_of_before_are_booked_in_the_background(sites, booking, api) -> None:
    """The seed has one session that ended at 10:20 and one that runs."""
    await booking.settle()
    report = await get(api)
    assert report["complete"] is True and report["end"] == "2026-01-02"
    totals = report["totals"]
    assert (totals["sessions"], totals["energy_wh"]) == (1, 7_250 + 5_500)
    assert totals["occupied_s"] == 100 * 60 + 30 * 60  # the running one up to now: it told something just before
    state = (await api.get("/api/v1/reports/state")).json()
    assert (state["complete"], state["done"], state["since"]) == (True, 2, "2026-01-01T12:00:00.000Z")


async def test_figures_by_day_site_and_station(sites, booking, api) -> None:
    await booking.settle()
    booking.status("CP-A", "Occupied")
    await booking.charge("n-1", "CP-A", 2, 20_000)
    booking.status("CP-A", "Available")
    await booking.charge("n-2", "CP-A", 12, 24_000)  # 14:00 to 02:00
    days = await get(api, begin="2026-01-01", end="2026-01-03", group="day", station="CP-A")
    first, second = days["items"]
    assert (first["begin"], first["end"]) == ("2026-01-01", "2026-01-02")
    assert (first["sessions"], second["sessions"]) == (1, 1)
    assert (first["energy_wh"] - 5_500, second["energy_wh"]) == (20_000 + 20_000, 4_000)
    assert second["occupied_s"] == 2 * 3600 and second["charging_s"] == 2 * 3600
    assert second["average_energy_wh"] == 4_000 and second["average_duration_s"] == 12 * 3600
    assert second["evse_s"] == 2 * 3600  # as far as the day has come
    assert second["utilisation_percent"] == 100.0 and second["uptime_percent"] == 100.0
    by_site = await get(api, begin="2026-01-01", end="2026-02-01", by="site")
    energies = {one["site_id"]: one["energy_wh"] for one in by_site["items"]}
    assert energies == {"": 0, "north": 49_500, "south": 7_250}
    assert by_site["totals"]["energy_wh"] == 56_750
    stations = await get(api, begin="2026-01-01", end="2026-02-01", by="station", sort="-energy_wh", limit=1)
    assert [one["station_id"] for one in stations["items"]] == ["CP-A"] and stations["next"]
    rest = await get(
        api, begin="2026-01-01", end="2026-02-01", by="station", sort="-energy_wh", limit=9, cursor=stations["next"]
    )
    assert [one["station_id"] for one in rest["items"]] == ["CP-B", "CP-C"]
    everything = [
        (await get(api, begin=begin, end=end, by=by, group=group))["totals"]["energy_wh"]
        for begin, end in (("2026-01-01", "2026-01-03"), ("2025-12-17", "2026-01-15"), ("2025-01-01", "2027-01-01"))
        for by in ("all", "site", "station")
        for group in ("total", "month")
    ]
    assert set(everything) == {56_750}
    for group in ("day", "week"):
        report = await get(api, begin="2025-12-29", end="2026-01-05", by="station", group=group)
        assert report["totals"]["energy_wh"] == 56_750
    evses = (await api.get("/api/v1/stations/CP-A/use", params={"begin": "2026-01-01", "end": "2026-01-03"})).json()
    assert [(one["evse"], one["energy_wh"], one["sessions"]) for one in evses["items"]] == [(1, 49_500, 2)]


async def test_a_day_is_that_of_the_sites_zone(sites, booking, api) -> None:
    """Auckland is thirteen hours ahead: noon UTC is one in the morning of the next day."""
    await booking.settle()
    await booking.charge("s-9", "CP-B", 1, 1_000)
    report = await get(api, begin="2026-01-01", end="2026-01-03", group="day", site="south")
    assert [one["energy_wh"] for one in report["items"]] == [7_250, 1_000]  # before 11:00 UTC, and after it


async def test_nothing_is_booked_twice_or_lost_over_restarts(sites, booking, api) -> None:
    await booking.settle()
    booking.status("CP-A", "Available")
    await booking.charge("n-1", "CP-A", 1, 10_000)
    before = await get(api, begin="2026-01-01", end="2026-01-03", by="station", sort="station_id")
    for _ in range(3):
        await booking.stop()
        await booking.start()
        await booking.settle()
    after = await get(api, begin="2026-01-01", end="2026-01-03", by="station", sort="station_id")
    assert after["items"] == before["items"]
    # While nobody watches a session ends: the next process reads it from the journal.
    await booking.stop()
    now = booking.world.clock.now()
    record = await booking.world.store.session("default", "s-1")
    record.status, record.ended_at, record.energy_wh = "ended", now, 9_500
    booking.world.commit("CP-A", facts.SessionEnded(event_time=now, session_id="s-1"), touched=(record,))
    booking.world.clock.run_for(HOUR)
    await booking.start()
    await booking.settle()
    ended = await get(api, begin="2026-01-01", end="2026-01-03", by="station", sort="station_id")
    assert ended["items"][0]["energy_wh"] == before["items"][0]["energy_wh"] + 4_000
    assert ended["items"][0]["sessions"] == before["items"][0]["sessions"] + 1
    assert ended["items"][0]["watched_s"] == before["items"][0]["watched_s"] + 3600


async def test_a_rebuild_comes_to_the_same(sites, booking, api) -> None:
    await booking.settle()
    world = booking.world
    world.commit("CP-A", facts.StationConnected(event_time=0, ocpp_version="2.0.1"))
    booking.status("CP-A", "Available")
    await booking.charge("n-1", "CP-A", 3, 30_000)
    booking.status("CP-A", "Faulted")
    await booking.hours(2)
    booking.status("CP-A", "Available")
    await booking.hours(1)
    before = await get(api, begin="2026-01-01", end="2026-01-03", station="CP-A")
    assert before["totals"]["outage_s"] == 2 * 3600
    begun = await api.post("/api/v1/reports/rebuild")
    assert (begun.status_code, begun.json()["rebuilding"]) == (202, True)
    again = await api.post("/api/v1/reports/rebuild")
    assert (again.status_code, again.json()["type"]) == (409, "/api#problem-under-way")
    await kit.until(lambda: not world.context.parts[Reporting].rebuilding, "it comes to an end")
    await booking.settle()
    after = await get(api, begin="2026-01-01", end="2026-01-03", station="CP-A")
    for name in ("energy_wh", "sessions", "outage_s", "charging_s"):
        assert (name, after["totals"][name]) == (name, before["totals"][name])
    # A session that runs and has fallen silent is booked up to its newest message by the one, a little longer by the
    # other, who saw it go on.
    assert 0 <= before["totals"]["occupied_s"] - after["totals"]["occupied_s"] <= 900
    listed = (await api.get("/api/v1/reports/outages")).json()["items"]
    assert next((one["station_id"], one["duration_s"]) for one in listed if one["ended_at"]) == ("CP-A", 7200)


async def test_an_entry_that_cannot_be_read_holds_no_rebuild_up(sites, booking, api, monkeypatch) -> None:
    await booking.settle()
    await booking.charge("n-1", "CP-A", 3, 30_000)
    before = await get(api, begin="2026-01-01", end="2026-01-03", station="CP-A")
    whole, broken = type(booking.world.store).journal, []

    async def damaged(self: Any, *, lenient: bool = False, **named: Any) -> AsyncIterator[Any]:
        async for row in whole(self, **named):
            if row.seq == 2:
                broken.append(lenient)
                if not lenient:
                    raise msgspec.DecodeError("facts")
                row = msgspec.structs.replace(row, facts=())
            yield row

    monkeypatch.setattr(type(booking.world.store), "journal", damaged)
    assert (await api.post("/api/v1/reports/rebuild")).status_code == 202
    await kit.until(lambda: not booking.world.context.parts[Reporting].rebuilding, "it comes to an end")
    await booking.settle()
    assert broken and all(broken)
    after = await get(api, begin="2026-01-01", end="2026-01-03", station="CP-A")
    assert after["totals"]["energy_wh"] == before["totals"]["energy_wh"] >= 30_000
    pages = ("/api/v1/stations/CP-A/messages", "/api/v1/stations/CP-A/checks", "/api/v1/sessions/s-0/events")
    assert {(await api.get(path)).status_code for path in pages} == {200}


async def test_outages_and_exclusions(sites, booking, api) -> None:
    await booking.settle()
    booking.world.commit("CP-A", facts.StationConnected(event_time=0, ocpp_version="2.0.1"))
    booking.status("CP-A", "Available")
    await booking.hours(2)
    booking.status("CP-A", "Faulted")
    await booking.settle()
    (lasting,) = (await api.get("/api/v1/reports/outages", params={"station": "CP-A"})).json()["items"]
    assert (lasting["ended_at"], lasting["cause"]) == (None, "faulted")
    await booking.hours(4)
    booking.status("CP-A", "Available")
    await booking.hours(4)

    async def uptime() -> tuple[float, float, int]:
        row = (await get(api, begin="2026-01-01", end="2026-01-02", station="CP-A"))["items"][0]
        return row["uptime_percent"], row["availability_percent"], row["excluded_s"]

    assert await uptime() == (60.0, 60.0, 0)
    data = {
        "station_id": "CP-A", "begin": "2026-01-01T15:00:00Z", "end": "2026-01-01T17:00:00Z", "reason": "maintenance",
        "note": "new cable",
    }  # fmt: skip
    first = await api.post("/api/v1/reports/exclusions", json=data)
    assert first.status_code == 201, first.text
    assert await uptime() == (80.0, 60.0, 7200)
    overlapping = {
        "site_id": "north", "begin": "2026-01-01T16:00:00Z", "end": "2026-01-01T19:00:00Z", "reason": "utility",
    }  # fmt: skip
    second = await api.post("/api/v1/reports/exclusions", json=overlapping)
    assert second.status_code == 201, second.text
    assert await uptime() == (90.0, 60.0, 3 * 3600)
    (over,) = (await api.get("/api/v1/reports/outages", params={"station": "CP-A"})).json()["items"]
    assert (over["duration_s"], over["excluded_s"], over["site_id"]) == (4 * 3600, 3 * 3600, "north")
    listed = (await api.get("/api/v1/reports/exclusions")).json()["items"]
    assert [one["reason"] for one in listed] == ["utility", "maintenance"]
    assert (await api.delete(f"/api/v1/reports/exclusions/{first.json()['id']}")).status_code == 204
    assert await uptime() == (80.0, 60.0, 2 * 3600)
    # What is excluded beforehand counts when it happens.
    ahead = {"station_id": "CP-A", "begin": "2026-01-01T22:00:00Z", "end": "2026-01-01T23:00:00Z", "reason": "closed"}
    assert (await api.post("/api/v1/reports/exclusions", json=ahead)).status_code == 201
    booking.status("CP-A", "Unavailable")
    await booking.hours(1)
    booking.status("CP-A", "Available")
    await booking.settle()
    assert (await uptime())[2] == 3 * 3600


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"site_id": "north"}, "station_id"),
        ({"station_id": None}, "station_id"),
        ({"end": "2026-01-01T10:00:00Z"}, "end"),
        ({"end": "2028-01-01T10:00:00Z"}, "end"),
        ({"reason": "rain"}, "reason"),
        ({"begin": "2026-01-01T12:00:00"}, "begin"),
    ],
)
async def test_an_exclusion_that_cannot_be_says_what_to_mend(booking, api, change: dict[str, Any], field: str) -> None:
    data = {
        "station_id": "CP-A", "begin": "2026-01-01T12:00:00Z", "end": "2026-01-01T13:00:00Z", "reason": "other"
    } | change  # fmt: skip
    refused = await api.post("/api/v1/reports/exclusions", json=data)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"begin": "yesterday"}, "begin"),
        ({"begin": "2026-02-01", "end": "2026-01-01"}, "begin"),
        ({"begin": "2001-01-01", "end": "2026-01-01"}, "begin"),
        ({"begin": "2025-01-01", "end": "2026-01-01", "by": "station", "group": "day"}, "group"),
        ({"sort": "colour"}, "sort"),
        ({"group": "year"}, "group"),
    ],
)
async def test_a_report_that_cannot_be_says_what_to_mend(booking, api, params: dict[str, Any], field: str) -> None:
    refused = await api.get("/api/v1/reports", params=params)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field)


async def test_a_report_as_csv(sites, booking, api) -> None:
    await booking.settle()
    params = {"begin": "2026-01-01", "end": "2026-01-02", "by": "station"}
    answer = await api.get("/api/v1/reports.csv", params=params)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="report-by-station.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    shown = (await get(api, **params, sort="site_id"))["items"]
    assert [row["station_id"] for row in rows] == [one["station_id"] for one in shown] == ["CP-C", "CP-A", "CP-B"]
    for row, one in zip(rows, shown, strict=True):
        assert {name: row[name] for name in one} == {
            name: "" if value is None else str(value) for name, value in one.items()
        }


async def test_a_site_owner_sees_the_figures_of_their_site_alone(sites, booking, world) -> None:
    await booking.settle()
    from pilotwire.api.access import Principal
    from pilotwire.api.problems import Problem
    from pilotwire.api.resources import outages, reports

    owner = Principal(tenant="default", name="o", role="site-owner", by="login", sites=frozenset({"south"}))
    report = await reports.report(world.context, owner)
    assert report.totals.energy_wh == 7_250
    stations = await reports.report(world.context, owner, by="station")
    assert [one.station_id for one in stations.items] == ["CP-B"]
    assert [one.site_id for one in (await reports.report(world.context, owner, by="site")).items] == ["south"]
    for wanted in ({"site": "north"}, {"station": "CP-A"}):
        with pytest.raises(Problem) as refused:
            await reports.report(world.context, owner, **wanted)
        assert refused.value.status == 404
    assert {one.station_id for one in (await outages.outages(world.context, owner)).items} <= {"CP-B"}
    with pytest.raises(Problem) as refused:
        await reports.rebuild(world.context, owner)
    assert refused.value.status == 403


async def test_without_a_worker_what_is_kept_is_shown(sites, booking, api) -> None:
    await booking.settle()
    with_worker = await get(api, by="station")
    await booking.stop()
    assert (await get(api, by="station"))["items"] == with_worker["items"]
    refused = await api.post("/api/v1/reports/rebuild")
    assert (refused.status_code, refused.json()["type"]) == (503, "/api#problem-not-ready")


async def test_a_store_that_fails_for_a_moment_loses_no_figure(sites, booking, api, world) -> None:
    await booking.settle()
    booking.status("CP-A", "Available")
    await booking.hours(1)
    write = world.store.write_documents
    failures = 0

    async def failing(tenant: str, changes: Any) -> list[int]:
        nonlocal failures
        failures += 1
        raise OSError("the disk is full")

    world.store.write_documents = failing
    world.clock.run_for(HOUR)
    with pytest.raises(OSError, match="full"):
        await booking.settle()
    world.store.write_documents = write
    await booking.hours(1)
    assert failures
    report = await get(api, begin="2026-01-01", end="2026-01-02", station="CP-A")
    assert report["totals"]["watched_s"] == 3 * 3600
    assert await world.store.station(StationKey("default", "CP-A")) is not None


async def test_a_session_is_not_lost_when_it_could_not_be_read_for_a_moment(sites, booking, api, world) -> None:
    await booking.settle()
    now = world.clock.now()
    ended = records.Session(
        tenant="default", id="n-1", station_id="CP-A", transaction="n-1", ocpp_version="2.0.1", evse=1, connector=1,
        started_at=now, received_at=now, updated_at=now, status="ended", ended_at=now, energy_wh=500,
    )  # fmt: skip
    world.commit("CP-A", facts.SessionEnded(event_time=now, session_id="n-1"), touched=(ended,))
    read = world.store.some_sessions

    async def failing(tenant: str, ids: Any) -> list[records.Session]:
        raise OSError("the disk is away")

    world.store.some_sessions = failing
    world.clock.run_for(10_000)
    with pytest.raises(OSError, match="away"):
        await world.context.parts[Reporting].fresh("default")
    world.store.some_sessions = read
    world.clock.run_for(10_000)
    assert (await get(api))["totals"]["sessions"] == 2


async def test_whoever_leaves_while_figures_are_written_has_them_booked_once(sites, booking, api, world) -> None:
    """The transaction of a request whose client went away is committed all the same."""
    await booking.settle()
    booking.status("CP-A", "Available")
    await booking.settle()
    write, written, gate = world.store.write_documents, asyncio.Event(), asyncio.Event()

    async def slow(tenant: str, changes: Any) -> list[int]:
        versions = await write(tenant, changes)
        written.set()
        await gate.wait()
        return versions

    world.clock.run_for(HOUR // 100)
    world.store.write_documents = slow
    asking = asyncio.create_task(world.context.parts[Reporting].fresh("default"))
    await written.wait()
    asking.cancel()
    await asyncio.sleep(0)
    gate.set()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    assert asking.cancelled()
    world.store.write_documents = write
    world.clock.run_for(HOUR - HOUR // 100)
    assert (await get(api, station="CP-A"))["totals"]["watched_s"] == 3600


async def test_beginning_again_in_the_middle_of_the_pass_books_nothing_twice(sites, world, api) -> None:
    read, reading, gate = world.store.sessions, asyncio.Event(), asyncio.Event()

    async def slow(*arguments: Any, **named: Any) -> Any:
        reading.set()
        await gate.wait()
        return await read(*arguments, **named)

    world.store.sessions = slow
    booking = await Booking(world).start()
    await reading.wait()
    again = asyncio.create_task(world.context.parts[Reporting]._follower._begin())  # as after a store that was away
    for _ in range(50):
        await asyncio.sleep(0)
    gate.set()
    await again
    await booking.settle()
    totals = (await get(api))["totals"]
    assert (totals["sessions"], totals["energy_wh"]) == (1, 7_250 + 5_500)
    await booking.stop()


async def test_a_rebuild_that_was_cut_off_is_begun_again(sites, booking, api, world) -> None:
    await booking.charge("n-1", "CP-A", 3, 30_000)
    before = (await get(api, station="CP-A"))["totals"]["energy_wh"]
    write, deleting = world.store.write_documents, asyncio.Event()

    async def stuck(tenant: str, changes: Any) -> list[int]:
        if any(isinstance(one, Delete) and one.kind == "report-table" for one in changes):
            deleting.set()
            await asyncio.Event().wait()
        return await write(tenant, changes)

    world.store.write_documents = stuck
    assert (await api.post("/api/v1/reports/rebuild")).status_code == 202
    await deleting.wait()
    await booking.stop()
    world.store.write_documents = write
    await booking.start()
    await kit.until(lambda: not world.context.parts[Reporting].rebuilding, "it comes to an end")
    await booking.settle()
    report = await get(api, station="CP-A")
    assert (report["totals"]["energy_wh"], report["complete"]) == (before, True)


async def test_an_exclusion_counts_for_an_outage_that_is_over_but_not_kept_yet(sites, booking, api, world) -> None:
    booking.status("CP-A", "Faulted")
    await booking.hours(2)
    booking.status("CP-A", "Available")
    reporting = world.context.parts[Reporting]
    await reporting._follower.settle()
    assert reporting.reports("default").ledger.outages
    data = {"station_id": "CP-A", "begin": "2026-01-01T12:00:00Z", "end": "2026-01-01T13:00:00Z", "reason": "closed"}
    assert (await api.post("/api/v1/reports/exclusions", json=data)).status_code == 201
    await booking.hours(1)
    assert (await get(api, station="CP-A"))["totals"]["excluded_s"] == 3600


async def test_every_outage_is_reached_page_by_page(sites, booking, api) -> None:
    """Those that last fill whole pages before those that are over."""
    for evse in range(1, 6):
        booking.status("CP-A", "Faulted", evse)
    await booking.hours(1)
    for evse in (4, 5):
        booking.status("CP-A", "Available", evse)
    await booking.hours(1)
    whole = (await api.get("/api/v1/reports/outages")).json()["items"]
    assert [one["ended_at"] is None for one in whole] == [True] * (len(whole) - 2) + [False] * 2
    for limit in (1, 2, 3, len(whole) - 2):
        found, cursor = list[Any](), None
        while True:
            params = {"limit": limit} | ({"cursor": cursor} if cursor else {})
            page = (await api.get("/api/v1/reports/outages", params=params)).json()
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                break
        assert [one["id"] for one in found] == [one["id"] for one in whole]


@pytest.mark.parametrize("sort", ["energy_wh", "-energy_wh", "station_id", "-station_id"])
def test_a_page_goes_on_after_a_line_that_is_gone(sort: str) -> None:
    from pilotwire.api.resources import reports
    from pilotwire.api.resources.report_figures import Asked, Line

    begin, end = date(2026, 1, 1), date(2026, 2, 1)
    lines = [Line(begin, end, "", name, zeros(), 0) for name in ("A", "b", "C", "d")]
    for number, line in enumerate(lines):
        line.sums[ENERGY] = number
    asked = Asked(begin, end, "total", "station", None, None)
    page, cursor = reports._page(list(lines), asked, sort, None, 2)
    rest, _ = reports._page([one for one in lines if one is not page[-1]], asked, sort, cursor, 9)
    assert sorted(one.station or "" for one in page + rest) == ["A", "C", "b", "d"]


async def test_a_large_fleet_is_not_written_whenever_a_small_one_is(sites, world, monkeypatch) -> None:
    from pilotwire.api.happenings import reporting

    monkeypatch.setattr(reporting, "LARGE", 1)
    await world.store.put_account(records.StationAccount(tenant="other", id="X"))
    booking = await Booking(world).start()
    await booking.settle()
    write, written = world.store.write_documents, list[str]()

    async def noted(tenant: str, changes: Any) -> list[int]:
        written.append(tenant)
        return await write(tenant, changes)

    world.store.write_documents = noted
    follower = world.context.parts[Reporting]._follower
    world.clock.run_for(reporting.FLUSH_MS)
    await follower.settle()
    assert written == ["other"]
    world.clock.run_for(reporting.LARGE_FLUSH_MS - reporting.FLUSH_MS)
    await follower.settle()
    assert sorted(written[1:]) == ["", "default", "other"]
    await booking.stop()
