"""Quirks over the API: of a station with their frames, of all by model, and what operators say about remedies."""

from __future__ import annotations

from typing import Any

import pytest

from pilotwire.csms.remedies import load
from pilotwire.domain import facts, records
from pilotwire.domain.quirks import REMEDIES, quirks
from pilotwire.storage.port import Entry

NOW = 1_767_268_800_000
DAY = 86_400_000


def stands(
    world: Any, name: str, *, model: str = "Column 150", firmware: str = "1.0", **found: tuple[int, int]
) -> None:
    """A station that has quirks; the name of each with _ for -, and when it was seen first and last."""
    station = records.Station(
        tenant="default",
        id=name,
        vendor="Voltwerk",
        model=model,
        firmware=firmware,
        ocpp_version="1.6",
        quirks={
            quirk.replace("_", "-"): records.QuirkRecord(first, last, firmware)
            for quirk, (first, last) in found.items()
        },
    )
    world.commit(name, touched=(station,))


def shows(world: Any, name: str, quirk: str, frame: bytes, time: int = NOW) -> None:
    world.store.append(
        Entry(
            tenant="default",
            station=name,
            recv_time=time,
            epoch=1,
            direction="in",
            frame=frame,
            facts=(facts.QuirkSeen(event_time=time, quirk=quirk),),
        )
    )


async def test_the_quirks_of_a_station_with_their_frames(world, api) -> None:
    stands(world, "Q", null_payload=(NOW - DAY, NOW), clock_not_set=(NOW, NOW), of_another_release=(NOW, NOW))
    shows(world, "Q", "null-payload", b'[2,"1","Heartbeat",null]', NOW - DAY)
    shows(world, "Q", "null-payload", b'[2,"2","Heartbeat",null]')
    answer = await api.get("/api/v1/stations/Q/quirks")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert [one["id"] for one in told["items"]] == ["clock-not-set", "null-payload"], "the gravest first"
    clock, null = told["items"]
    assert null["frame"].startswith('[2,"2","Heartbeat"') or null["frame"] == '[2,"2","Heartbeat",null]'
    assert (null["first_seen_at"], null["frame_at"]) == ("2025-12-31T12:00:00.000Z", "2026-01-01T12:00:00.000Z")
    assert clock["frame"] is None and clock["remedy"] == "whole-seconds"
    assert [one["id"] for one in told["remedies"]] == ["whole-seconds"]
    assert all(null[name] for name in ("title", "seen", "effect", "ours", "operator"))
    assert (await api.get("/api/v1/stations/nobody/quirks")).status_code == 404


async def test_a_frame_hides_its_secrets(world, api) -> None:
    stands(world, "Q", boolean_spelling=(NOW, NOW))
    frame = b'[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"0123456789abcdef"}]'
    shows(world, "Q", "boolean-spelling", frame)
    told = (await api.get("/api/v1/stations/Q/quirks")).json()
    assert "0123456789abcdef" not in told["items"][0]["frame"]
    assert "AuthorizationKey" in told["items"][0]["frame"]


async def test_the_fleet_by_model_and_firmware(world, api) -> None:
    stands(world, "Q1", null_payload=(NOW - DAY, NOW))
    stands(world, "Q2", null_payload=(NOW - 2 * DAY, NOW - DAY), firmware="1.1")
    stands(world, "Q3", null_payload=(NOW, NOW), clock_1970=(NOW, NOW), model="Wallbox")
    answer = await api.get("/api/v1/quirks")
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert {one["id"] for one in items} == set(quirks())
    first, second = items[:2]
    assert (first["id"], first["stations"], second["id"], second["stations"]) == ("null-payload", 3, "clock-1970", 1)
    assert (first["first_seen_at"], first["last_seen_at"]) == ("2025-12-30T12:00:00.000Z", "2026-01-01T12:00:00.000Z")
    assert [(one["model"], one["firmware"], one["stations"]) for one in first["models"]] == [
        ("Column 150", "1.0", 1),
        ("Column 150", "1.1", 1),
        ("Wallbox", "1.0", 1),
    ]
    assert first["frames"] and all(one["stations"] == 0 for one in items[2:])
    seen = (await api.get("/api/v1/quirks?seen=true&model=wallbox")).json()["items"]
    assert [(one["id"], one["stations"]) for one in seen] == [("clock-1970", 1), ("null-payload", 1)]
    assert len((await api.get("/api/v1/quirks?seen=false")).json()["items"]) == len(quirks()) - 2


async def test_a_word_on_a_remedy_reaches_the_central_system(world, api) -> None:
    found = (await api.get("/api/v1/quirk-settings")).json()
    assert found["items"] == [] and {one["id"] for one in found["remedies"]} == set(REMEDIES)
    said = {"remedy": "keys-by-name", "vendor": "Voltwerk", "model": "Column 150", "note": "answers are cut off"}
    made = await api.post("/api/v1/quirk-settings", json=said)
    assert made.status_code == 201, made.text
    setting = made.json()
    assert (setting["on"], setting["model"], bool(setting["by"])) == (True, "Column 150", True)
    (heard,) = await load(world.store, "default")
    assert (heard.remedy, heard.vendor, heard.on) == ("keys-by-name", "Voltwerk", True)
    stands(world, "Q")
    assert [one["id"] for one in (await api.get("/api/v1/stations/Q/quirks")).json()["remedies"]] == ["keys-by-name"]
    gone = await api.delete(f"/api/v1/quirk-settings/{setting['id']}")
    assert gone.status_code == 204, gone.text
    assert await load(world.store, "default") == ()
    assert (await api.delete(f"/api/v1/quirk-settings/{setting['id']}")).status_code == 404


@pytest.mark.parametrize("wrong", [{"remedy": "pray"}, {"remedy": "no-triggers", "modle": "x"}, {}])
async def test_a_setting_that_is_none_is_refused(api, wrong) -> None:
    assert (await api.post("/api/v1/quirk-settings", json=wrong)).status_code == 422
