"""The language of an answer: English, unless the console's cookie or Accept-Language asks for another."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest

from pilotwire.api.happenings import tell
from pilotwire.api.happenings.records import AlarmRecord
from pilotwire.api.language import in_others, speaking, spoken
from pilotwire.api.live import hub_of
from pilotwire.domain import facts

GERMAN = {"Accept-Language": "de-DE,de;q=0.9,en;q=0.5"}


async def test_problems_are_english_unless_asked_otherwise(api) -> None:
    english = (await api.get("/api/v1/stations/nowhere")).json()
    german = (await api.get("/api/v1/stations/nowhere", headers=GERMAN)).json()
    assert english["title"] == "There is no such station"
    assert (german["title"], german["type"]) == ("Gibt es nicht: Station", english["type"])
    assert "nowhere" in german["detail"] and "bekannt" in german["detail"]
    assert (await api.get("/api/v1/stations/nowhere", headers={"Accept-Language": "fr"})).json() == english
    assert speaking() == "en", "the language of one request must not stay for the next"


async def test_the_cookie_of_the_console_goes_first(api) -> None:
    headers = {"Accept-Language": "de", "Cookie": "pilotwire_language=en"}
    assert (await api.get("/api/v1/stations/nowhere", headers=headers)).json()["title"] == "There is no such station"


@pytest.mark.parametrize(
    ("body", "field", "english", "german"),
    [
        ({"name": "N", "latitude": 1}, "longitude", "give both latitude and longitude, or neither", "geben Sie Breite"),
        ({"name": ""}, "name", "Expected `str` of length >= 1", "wird gebraucht"),
        ({"name": "N", "power_limit_w": 0}, "power_limit_w", "Expected `int` >= 1", "muss mindestens 1 sein"),
    ],
)
async def test_errors_of_fields(api, body: dict[str, Any], field: str, english: str, german: str) -> None:
    told = (await api.post("/api/v1/sites", json=body)).json()["errors"][0]
    assert (told["field"], told["message"]) == (field, english)
    told = (await api.post("/api/v1/sites", json=body, headers=GERMAN)).json()["errors"][0]
    assert told["field"] == field
    assert told["message"].startswith(german)


async def test_checks_and_events(world, api) -> None:
    path = "/api/v1/stations/CP-C/checks"
    english, german = (await api.get(path)).json(), (await api.get(path, headers=GERMAN)).json()
    assert [one["id"] for one in english["checks"]] == [one["id"] for one in german["checks"]]
    assert [one["verdict"] for one in english["checks"]] == [one["verdict"] for one in german["checks"]]
    for one, other in zip(english["checks"], german["checks"], strict=True):
        assert one["title"] != other["title"] or one["title"] in ("Firmware", "Tokens")
        assert one["seen"] != other["seen"] or one["id"] == "firmware"  # of which a version is the same
    async with contextlib.aclosing(aiter(hub_of(world.context, "default").watch())) as stream:
        with spoken("de"):
            snapshot = (await anext(stream)).decode()
    assert "verbunden mit OCPP" in snapshot and "connected with OCPP" not in snapshot


async def test_each_watcher_hears_its_own_language(world) -> None:
    async def hear() -> list[str]:
        stream = hub_of(world.context, "default").watch()
        said: list[str] = []
        async with asyncio.timeout(30):
            async for data in stream:
                for line in data.decode().splitlines():
                    if line.startswith("data: "):
                        said += [
                            one["summary"] for one in json.loads(line[6:])["events"] if one["station_id"] == "CP-B"
                        ]
                if any("1006" in one for one in said):
                    break
                world.commit("CP-B", facts.StationDisconnected(event_time=world.clock.now(), code=1006))
        await stream.aclose()
        return said

    async def in_(code: str) -> list[str]:
        with spoken(code):
            return await hear()

    english, german = await asyncio.gather(asyncio.create_task(in_("en")), asyncio.create_task(in_("de")))
    assert "connection lost (1006)" in english
    assert "Verbindung verloren (1006)" in german


def test_an_alarm_is_kept_in_every_language() -> None:
    fault = facts.ConnectorStatusChanged(event_time=0, evse=1, connector=1, status="Faulted")
    record = AlarmRecord(
        id="a", rule="r", rule_name="R", severity="major", state="open", raised_at=0, last_at=0,
        summary=tell.say(fault), said=in_others(lambda: tell.say(fault)),
    )  # fmt: skip
    assert tell.shown_alarm(record, muted=False).summary == "EVSE 1: faulted"
    with spoken("de"):
        assert tell.shown_alarm(record, muted=False).summary == "EVSE 1: gestört"
    with spoken("xx-not-there-when-it-was-raised"):
        assert tell.shown_alarm(record, muted=False).summary == "EVSE 1: faulted"
