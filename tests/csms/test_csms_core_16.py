"""1.6 at the central system: whole sections of the standard, one after the other (3.7.1 to 3.16, 5.6)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from csms_kit import Client, World

from pilotwire.core.time import to_datetime, to_rfc3339
from pilotwire.domain import facts

ENERGY = "Energy.Active.Import.Register"


def ready() -> tuple[World, Client]:
    made = World()
    made.token()
    station = made.station()
    station.boot()
    return made, station


def sampled(measurand: str, value: str, **more: str) -> dict[str, str]:
    return {"measurand": measurand, "value": value, **more}


# ── 3.7.1 ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_what_could_not_be_processed_is_said_to_be_so_and_taken_the_next_time() -> None:
    world, station = ready()
    world.store.failing = 2
    body = station.start_v16()
    assert [station.call("StartTransaction", body) for _ in range(2)] == ["InternalError"] * 2
    assert world.sessions() == []
    begun = station.call("StartTransaction", body)
    assert begun["idTagInfo"]["status"] == "Accepted"
    stop = {"transactionId": begun["transactionId"], "meterStop": 2000, "timestamp": station.at()}
    world.store.failing = 1
    assert station.call("StopTransaction", stop) == "InternalError"
    assert station.call("StopTransaction", stop) == {}
    assert [(one.status, one.energy_wh) for one in world.sessions()] == [("ended", 1000)]


# ── 3.8 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_connector_0_is_the_whole_station() -> None:
    world, station = ready()
    for number, status in ((0, "Available"), (1, "Preparing"), (2, "Charging")):
        station.call("StatusNotification", {"connectorId": number, "errorCode": "NoError", "status": status})
    found = {(one.evse, one.status) for one in world.record().connectors}
    assert found == {(0, "Available"), (1, "Preparing"), (2, "Charging")}
    for evse, number in ((None, 0), (2, 2)):
        world.command("availability", {"operative": False} if evse is None else {"operative": False, "evse": evse})
        world.run()
        assert station.calls[-1][3] == {"connectorId": number, "type": "Inoperative"}


# ── 3.9 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("tag", ["04A1B2C3", "x", "a b/c?", "ÄÖÜß", "0123456789ABCDEFGHIJ"])
def test_nothing_is_presumed_of_how_a_token_looks(tag: str) -> None:
    world, station = ready()
    assert station.call("Authorize", {"idTag": tag})["idTagInfo"]["status"] == "Invalid"
    world.token(tag, parent=tag[::-1])
    assert station.call("Authorize", {"idTag": tag.swapcase() if tag.isascii() else tag})["idTagInfo"] == {
        "status": "Accepted",
        "parentIdTag": tag[::-1],
    }
    assert station.call("StartTransaction", station.start_v16(tag))["idTagInfo"]["status"] == "Accepted"
    assert world.sessions()[0].token == tag


# ── 3.10 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_group_is_no_token() -> None:
    world, station = ready()
    world.token("A", parent="FLEET")
    world.token("B", parent="FLEET")
    found = [station.call("Authorize", {"idTag": name})["idTagInfo"] for name in ("A", "B", "FLEET")]
    assert [info.get("parentIdTag") for info in found] == ["FLEET", "FLEET", None]
    assert [info["status"] for info in found] == ["Accepted", "Accepted", "Invalid"]


# ── 3.12, 5.6 ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_messages_of_vendors_both_ways() -> None:
    world, station = ready()
    told = station.call("DataTransfer", {"vendorId": "com.example", "messageId": "M", "data": "text"})
    assert told == {"status": "UnknownVendorId"}
    (fact,) = world.facts(facts.DataTransferred)
    assert (fact.vendor_id, fact.message_id) == ("com.example", "M") and "text" in fact.data
    station.on["DataTransfer"] = lambda asked: {"status": "Accepted", "data": "answer"}
    payload = {"vendorId": "com.example", "messageId": "N", "data": "question"}
    replies = world.command("DataTransfer", payload)
    world.run()
    assert station.calls[-1][2:] == ["DataTransfer", payload]
    assert replies[0].answer == {"status": "Accepted", "data": "answer"}
    station.on["DataTransfer"] = lambda asked: {"status": "UnknownMessageId"}
    replies = world.command("DataTransfer", payload)
    world.run()
    assert replies[0].answer == {"status": "UnknownMessageId"}


# ── 3.14, 3.15 ───────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("hours", [-8, 0, 5.75])
@pytest.mark.parametrize("digits", ["seconds", "milliseconds", "microseconds"])
def test_times_in_every_zone_and_with_fractions_are_read_and_told_in_utc(hours: float, digits: str) -> None:
    world, station = ready()
    now = world.clock.now()
    zone = timezone(timedelta(hours=hours))
    text = to_datetime(now).astimezone(zone).isoformat(timespec=digits)
    station.call("StartTransaction", station.start_v16() | {"timestamp": text})
    (session,) = world.sessions()
    assert session.started_at == (now // 1000 * 1000 if digits == "seconds" else now)
    told = station.call("Heartbeat", {})["currentTime"]
    assert told.endswith("Z") and datetime.fromisoformat(told).utcoffset() == timedelta(0)


# ── 3.16 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_readings_of_each_kind_place_and_phase_are_kept() -> None:
    world, station = ready()
    begun = station.call("StartTransaction", station.start_v16())
    at = station.at()
    periodic = [
        sampled(ENERGY, "1500", unit="Wh", context="Sample.Periodic"),
        *(
            sampled("Current.Import", f"{n}.5", unit="A", phase=f"L{n}", location=place, context="Sample.Periodic")
            for place in ("Inlet", "Outlet")
            for n in (1, 2, 3)
        ),
    ]
    by_clock = [sampled("Voltage", "229.5", unit="V", phase="L1-N", context="Sample.Clock")]
    body = {"connectorId": 1, "transactionId": begun["transactionId"]}
    station.call("MeterValues", body | {"meterValue": [{"timestamp": at, "sampledValue": periodic}]})
    station.call("MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": at, "sampledValue": by_clock}]})
    data = [
        {"timestamp": at, "sampledValue": [sampled(ENERGY, "1.0", unit="kWh", context="Transaction.Begin")]},
        {"timestamp": at, "sampledValue": [sampled("Power.Active.Import", "11", unit="kW", context="Sample.Clock")]},
    ]
    stop = {"transactionId": begun["transactionId"], "meterStop": 2000, "timestamp": station.at(1_000)}
    station.call("StopTransaction", stop | {"transactionData": data})
    kept = [sample for entry in world.store._entries for sample in entry.samples]
    found = {(s.measurand, s.phase, s.location, s.context, s.value, s.unit) for s in kept}
    expected: set[tuple[Any, ...]] = {
        (ENERGY, "", "Outlet", "Sample.Periodic", 1_500_000, "Wh"),
        (ENERGY, "", "Outlet", "Transaction.Begin", 1_000_000, "Wh"),
        ("Voltage", "L1-N", "Outlet", "Sample.Clock", 229_500, "V"),
        ("Power.Active.Import", "", "Outlet", "Sample.Clock", 11_000_000, "W"),
        *(
            ("Current.Import", f"L{n}", place, "Sample.Periodic", n * 1000 + 500, "A")
            for place in ("Inlet", "Outlet")
            for n in (1, 2, 3)
        ),
    }
    assert found == expected
    (session,) = world.sessions()
    assert session.energy_wh == 1000 and {s.session_id for s in kept} == {session.id}
    assert to_rfc3339(kept[0].time) == at
