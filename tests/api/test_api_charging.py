"""A station's charging profiles, and the schedules that follow from them."""

from __future__ import annotations

from typing import Any

from pilotwire.domain import facts, records
from pilotwire.domain.schedules.model import Period, Profile, Schedule

MINUTE = 60_000


def limited(world: Any) -> None:
    now = world.clock.now()
    periods = (Period(start_ms=0, limit=16_000), Period(start_ms=30 * MINUTE, limit=6_000, phases=1))
    rows = [
        Profile(
            id=1, evse=1, stack=2, purpose="TxDefaultProfile", kind="Absolute", installed=now,
            schedules=(Schedule(unit="A", start=now - 10 * MINUTE, duration_ms=60 * MINUTE, periods=periods),),
        ),
        Profile(
            id=9, evse=0, stack=0, purpose="ChargingStationMaxProfile", kind="Recurring", recurrency="Daily",
            schedules=(Schedule(unit="W", start=now - 40 * MINUTE, periods=(Period(start_ms=0, limit=22_000_000),)),),
        ),
    ]  # fmt: skip
    station = records.Station(
        tenant="default", id="CP-A", ocpp_version="2.0.1", connectors=[records.Connector(1, 1)],
        charging=records.Charging(profiles=rows, elsewhere=["EMS 0"], priority=["t-s-1"]),
    )  # fmt: skip
    said = facts.PriorityChargingChanged(event_time=now, transaction="t-s-1", activated=True)
    world.commit("CP-A", said, touched=(station,))


async def test_profiles_and_what_follows(world, api) -> None:
    limited(world)
    found = (await api.get("/api/v1/stations/CP-A/charging", params={"hours": 2})).json()
    assert [(one["id"], one["evse"], one["purpose"], one["unit"], one["stack_level"]) for one in found["profiles"]] == [
        (1, 1, "TxDefaultProfile", "A", 2),
        (9, 0, "ChargingStationMaxProfile", "W", 0),
    ]
    assert found["profiles"][0]["periods"][1] == {"start_s": 1800, "limit": 6.0, "phases": 1, "mode": "ChargingOnly"}
    assert (found["limited_by"], found["priority"]) == (["EMS 0"], ["t-s-1"])
    whole, first = found["schedules"]
    assert (whole["evse"], first["evse"], first["duration_s"]) == (0, 1, 7200)
    assert whole["steps"][0]["limit"] == 11_040  # no more than its one EVSE may
    assert [(one["time"][11:19], one["limit"]) for one in first["steps"]] == [
        ("12:00:00", 11_040.0),  # 16 A on three phases
        ("12:20:00", 1_380.0),  # 6 A on one
        ("12:50:00", 22_000.0),
    ]
    amps = (await api.get("/api/v1/stations/CP-A/charging", params={"hours": 1, "unit": "A"})).json()
    assert [one["limit"] for one in amps["schedules"][1]["steps"]][:2] == [16.0, 6.0]


async def test_a_station_without_limits_and_none_at_all(api) -> None:
    found = (await api.get("/api/v1/stations/CP-B/charging")).json()
    assert found["profiles"] == [] and [one["evse"] for one in found["schedules"]] == [1, 2]
    assert found["schedules"][0]["steps"] == [{"time": found["schedules"][0]["start"], "limit": None}]
    assert (await api.get("/api/v1/stations/CP-D/charging")).json()["schedules"] == []
    assert (await api.get("/api/v1/stations/nobody/charging")).status_code == 404
    assert (await api.get("/api/v1/stations/CP-B/charging", params={"hours": 0})).status_code == 400
