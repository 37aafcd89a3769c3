"""`pilotwire top`: what it makes of the API's answers, and its screen before a real server."""

from __future__ import annotations

import asyncio
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cli.cli_kit import done, pilotwire, raw_station
from tests.interop import csms_process

from pilotwire.cli import runfile
from pilotwire.cli.top import Where
from pilotwire.cli.top_app import Help, Top
from pilotwire.cli.top_model import VIEWS, Model, gauges, ordered, plain, state_of
from pilotwire.client import types

TIME = "2026-03-01T12:00:00.000Z"


def connector(evse: int, status: str, **more: Any) -> types.Connector:
    given = {"error_code": "", "info": "", "power_w": 0, "session_id": None, "status_since": TIME, "connector": 1}
    return types.Connector(**{**given, "evse": evse, "status": status, **more})


def station(name: str, *connectors: types.Connector, connected: bool = True, **more: Any) -> types.Station:
    fields = {one.name: _empty(one.type) for one in msgspec.structs.fields(types.Station)}
    given = {
        "id": name,
        "connected": connected,
        "connectors": list(connectors),
        "last_seen": TIME,
        "vendor": "Voltwerk",
    }
    return types.Station(**{**fields, **given, **more})


def session(name: str, at: str, **more: Any) -> types.Session:
    fields = {one.name: _empty(one.type) for one in msgspec.structs.fields(types.Session)}
    given = {"id": name, "station_id": at, "evse": 1, "connector": 1, "status": "active", "started_at": TIME}
    return types.Session(**{**fields, **given, **more})


def _empty(kind: Any) -> Any:
    plain_kind = typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind
    return {int: 0, bool: False, str: "", list[str]: []}.get(plain_kind)


def totals(**more: int) -> types.Totals:
    fields = {one.name: 0 for one in msgspec.structs.fields(types.Totals)}
    return types.Totals(**{**fields, "time": TIME, **more})  # type: ignore[arg-type]


def news(seq: int) -> types.Happening:
    return types.Happening(seq=seq, time=TIME, station_id="A", type="x", summary=f"event {seq}", level="info")


@pytest.fixture
def model() -> Model:
    made = Model()
    stations = [
        station("B", connector(1, "Occupied", session_id="s", power_w=11_000), power_w=11_000),
        station("A", connector(0, "Available"), connector(1, "Available"), connector(2, "Faulted")),
        station("C", connector(1, "Available"), connected=False),
    ]
    running = [session("s", "B", energy_wh=2_500, power_w=11_000, soc_percent=45.5, charging_state="Charging")]
    made.take(types.Overview(totals=totals(stations=3), stations=stations, sessions=running, events=[news(2), news(1)]))
    return made


def test_a_2x_connector_says_what_its_session_does(model: Model):
    b, a, c = model.stations["B"], model.stations["A"], model.stations["C"]
    assert state_of(b, list(model.sessions.values())) == ("Charging", 2)
    assert state_of(a, [])[0] == "1 Faulted, 1 Available"
    assert state_of(c, [])[0] == "Offline"


def test_the_worst_is_first_and_the_order_can_be_turned(model: Model):
    rows = model.rows("stations")
    assert [row.key for row in ordered(rows, 1, backwards=False)] == ["A", "C", "B"]
    assert [row.key for row in ordered(rows, 0, backwards=True)] == ["C", "B", "A"]
    assert next(row.key for row in ordered(rows, 2, backwards=False)) == "B"
    for view in VIEWS:
        for column in range(len(VIEWS[view])):
            ordered(model.rows(view), column, backwards=False)


def test_a_filter_wants_all_of_its_words(model: Model):
    assert [row.key for row in model.rows("stations", "volt CHARG")] == ["B"]
    assert model.rows("stations", "charging nothing") == []


def test_updates_replace_remove_and_end(model: Model):
    ended = session("s", "B", status="ended", ended_at=TIME)
    update = types.LiveUpdate(
        totals=totals(stations=2), stations=[station("A", connector(1, "Available"))], sessions=[ended], removed=["C"],
        events=[news(2), news(3)],
    )  # fmt: skip
    model.take(update)
    assert set(model.stations) == {"A", "B"} and model.sessions == {}
    assert [one.seq for one in model.news] == [3, 2, 1]


METRICS = """# HELP pilotwire_messages_total CALLs
pilotwire_messages_total{action="Heartbeat",version="1.6"} %d.0
pilotwire_messages_total{action="MeterValues",version="2.1"} 10.0
pilotwire_errors_total{code="FormatViolation"} 2.0
pilotwire_loop_lag_seconds 0.3
pilotwire_store_lag_seconds 1.25
"""


def test_rates_are_of_what_was_counted_in_between(model: Model):
    model.measure(gauges(METRICS % 5, 10.0))
    assert model.messages_per_s is None
    model.measure(gauges(METRICS % 55, 12.0))
    assert model.messages_per_s == 25.0
    shown = {what: (value, mood) for what, value, mood in model.headline()}
    assert shown["Messages"] == ("25.0/s", "") and shown["Errors"] == ("2", "bad")
    assert shown["Loop lag"] == ("300 ms", "warn") and shown["Store lag"] == ("1.2 s", "bad")
    model.measure(gauges(METRICS % 1, 14.0))
    assert model.messages_per_s is None, "the server began to count anew"


def test_plain_text_lines_up_and_says_what_it_leaves_out(model: Model):
    text = plain(model, "http://x", 2)
    lines = text.splitlines()
    head = next(line for line in lines if line.startswith("Station "))
    row = next(line for line in lines if line.startswith("B "))
    assert row.index("Charging") == head.index("State")
    assert "STATIONS (3)" in text and "… and 1 more" in text and "ALARMS (0)" in text


# -- before a real server ----------------------------------------------------------------------------------------------
async def until(pilot: Any, holds: Callable[[], object], what: str) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await pilot.pause(0.05)
    assert holds(), what


def text_of(app: Top, name: str) -> str:
    return str(app.query_one(name).render())


def cells(app: Top, column: int = 0) -> list[str]:
    return [str(app.table.get_row_at(at)[column]) for at in range(app.table.row_count)]


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_the_screen_shows_stations_sessions_and_alarms(csms: csms_process.Csms, size: tuple[int, int]):
    name = f"TOP-{size[0]}"
    made = await asyncio.to_thread(done, "stations", "add", name, "--json", data=csms.data)
    await asyncio.to_thread(done, "tokens", "add", "T0B", data=csms.data)
    password = msgspec.json.decode(made)["password"]
    run = runfile.read(csms.data)
    assert run is not None
    opened = raw_station(csms.ocpp, name, password)
    raw = await asyncio.to_thread(opened.__enter__)
    app = Top(lambda: Where(run.http, run.key))
    try:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.link == ("good", "live"), "connected")
            await asyncio.to_thread(raw.boot)
            status = {"connectorId": 1, "errorCode": "GroundFailure", "status": "Faulted"}
            await asyncio.to_thread(raw.call, "StatusNotification", status)
            await until(pilot, lambda: name in cells(app) and "Faulted" in cells(app, 1), "the station")
            assert app.table.size.width <= size[0] and app.screen.size == size
            footer = app.query_one("Footer")
            assert footer.region.bottom == size[1], "the keys are on the screen"

            await pilot.press("slash", *name, "enter")
            await until(pilot, lambda: cells(app) == [name], "the filter")
            await pilot.press("enter")
            await until(pilot, lambda: app.query_one("#details").has_class("open"), "details")
            assert ("EVSE 1", "Faulted GroundFailure, 0.0 kW") in app.model.details("stations", name)
            await pilot.press("escape", "escape")
            await until(pilot, lambda: not app.query_one("#details").has_class("open"), "closed again")

            begun = {"connectorId": 1, "idTag": "T0B", "meterStart": 0, "timestamp": "2026-03-01T12:00:00Z"}
            answer = await asyncio.to_thread(raw.call, "StartTransaction", begun)
            await pilot.press("2")
            await until(pilot, lambda: name in cells(app), "the session")
            end = {"transactionId": answer["transactionId"], "meterStop": 9, "timestamp": "2026-03-01T13:00:00Z"}
            await asyncio.to_thread(raw.call, "StopTransaction", end)
            await until(pilot, lambda: name not in cells(app), "its end")
            await pilot.press("tab")
            await until(pilot, lambda: name in cells(app, 2), "the alarm")
            await pilot.press("4")
            await until(pilot, lambda: name in cells(app, 1), "news")
            await pilot.press("s", "S", "r", "space")
            await until(pilot, lambda: "paused" in text_of(app, "#status"), "paused")
            await pilot.press("space", "question_mark")
            await until(pilot, lambda: isinstance(app.screen, Help), "help")
            await pilot.press("escape")
            await until(pilot, lambda: not isinstance(app.screen, Help), "help closed")
            await until(pilot, lambda: app.model.messages_per_s is not None, "measured twice")
            assert app.model.gauges is not None and app.model.gauges.loop_lag_s is not None
    finally:
        await asyncio.to_thread(opened.__exit__, None, None, None)


async def test_it_finds_a_server_that_was_started_anew(tmp_path: Path):
    data = tmp_path / "data"

    def where() -> Where | None:
        run = runfile.read(data)
        return Where(run.http, run.key) if run else None

    app = Top(where)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "no server runs here" in app.link[1], "nothing yet")
        first = await asyncio.to_thread(csms_process.start, data)
        try:
            await until(pilot, lambda: app.link[1] == "live", "the first")
        finally:
            await asyncio.to_thread(first.kill)
        await until(pilot, lambda: app.link[0] != "good", "gone")
        second = await asyncio.to_thread(csms_process.start, data)
        try:
            await until(pilot, lambda: app.link[1] == "live" and second.http in text_of(app, "#status"), "the second")
            assert second.http != first.http
        finally:
            await asyncio.to_thread(second.kill)


def test_without_a_terminal_it_prints_a_snapshot(csms: csms_process.Csms):
    for name in ("TOP-ONCE", "TOP-TWICE"):
        done("stations", "add", name, data=csms.data)
    text = done("top", data=csms.data)
    assert "TOP-ONCE" in text and "STATIONS (" in text and "Messages: " in text and "Loop lag: " in text
    assert len(done("top", "--once", "--rows", "1", data=csms.data)) < len(text)


def test_a_narrow_key_sees_what_it_may(csms: csms_process.Csms):
    key = done("users", "key", "top-viewer", data=csms.data).strip().splitlines()[0]
    text = done("top", "--once", "--url", csms.http, "--key", key)
    assert "STATIONS (" in text


def test_without_a_server_it_says_what_to_do(tmp_path: Path):
    ended = pilotwire("top", data=tmp_path)
    assert ended.returncode == 1 and "pilotwire run" in ended.stderr


def test_a_wrong_key_is_told(csms: csms_process.Csms):
    ended = pilotwire("top", "--once", "--url", csms.http, "--key", "pw_wrong")
    assert ended.returncode == 1 and "key" in ended.stderr
