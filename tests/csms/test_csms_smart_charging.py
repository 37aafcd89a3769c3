"""The central system knows what a station has of charging profiles, and notices when its schedule is another one."""

from __future__ import annotations

from typing import Any

import pytest
from csms_kit import Client, World

from pilotwire.domain.facts import (
    ChargingLimitChanged,
    ChargingProfilesCleared,
    ChargingProfileSet,
    CompositeScheduleDiffered,
    VehicleScheduleNotified,
)
from pilotwire.domain.fold import fold
from pilotwire.domain.records import Station

VERSIONS = ("1.6", "2.0.1", "2.1")
V2 = ("2.0.1", "2.1")


def ready(version: str, **world: Any) -> tuple[World, Client]:
    made = World(**world)
    made.token()
    station = made.station(version=version)
    station.boot()
    return made, station


def profile(
    station: Client, limits: list[tuple[int, float]], *, id_: int = 1, stack: int = 0, purpose: str = "", **more: Any
) -> dict[str, Any]:
    """A SetChargingProfile for connector or EVSE 1, absolute from now on."""
    old = station.version == "1.6"
    schedule = {
        "chargingRateUnit": "A",
        "startSchedule": station.at(),
        "chargingSchedulePeriod": [{"startPeriod": at, "limit": limit} for at, limit in limits],
    }
    body: dict[str, Any] = {
        "chargingProfileId" if old else "id": id_,
        "stackLevel": stack,
        "chargingProfilePurpose": purpose or "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule if old else [{"id": 1, **schedule}],
        **more,
    }
    return {"connectorId": 1, "csChargingProfiles": body} if old else {"evseId": 1, "chargingProfile": body}


def send(world: World, action: str, payload: dict[str, Any]) -> str:
    """Send a command; the outcome."""
    replies = world.command(action, payload)
    world.run()
    return replies[0].outcome


def installed(world: World) -> list[Any]:
    charging = world.record().charging
    return [] if charging is None else charging.profiles


def schedule_of(station: Client, limits: list[tuple[int, float]], duration: int = 3600) -> Any:
    """An answer to GetCompositeSchedule."""

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        periods = [{"startPeriod": at, "limit": limit} for at, limit in limits]
        body = {"chargingRateUnit": "A", "duration": duration, "chargingSchedulePeriod": periods}
        if station.version == "1.6":
            return {
                "status": "Accepted",
                "connectorId": 1,
                "scheduleStart": station.at(),
                "chargingSchedule": body,
            }
        return {"status": "Accepted", "schedule": {"evseId": 1, "scheduleStart": station.at(), **body}}

    return answer


def ask_schedule(world: World, station: Client) -> None:
    name = "connectorId" if station.version == "1.6" else "evseId"
    assert send(world, "GetCompositeSchedule", {name: 1, "duration": 3600, "chargingRateUnit": "A"}) == "answered"


def same_after_replay(world: World) -> None:
    """The journal folded anew gives the station as it is stored."""
    rows = [row for row in world.store._entries]
    records = [record for record in fold(rows) if isinstance(record, Station)]
    assert [record.charging for record in records] == [world.record().charging]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_accepted_is_remembered_until_it_is_cleared(version: str) -> None:
    world, station = ready(version)
    station.on["SetChargingProfile"] = lambda payload: {"status": "Rejected"}
    send(world, "SetChargingProfile", profile(station, [(0, 10)]))
    assert installed(world) == []
    del station.on["SetChargingProfile"]
    send(world, "SetChargingProfile", profile(station, [(0, 10), (600, 6)]))
    send(world, "SetChargingProfile", profile(station, [(0, 12)], id_=2, stack=1))
    send(world, "SetChargingProfile", profile(station, [(0, 13)], id_=2, stack=1))
    assert [(each.id, each.stack, each.schedules[0].periods[0].limit) for each in installed(world)] == [
        (1, 0, 10_000),
        (2, 1, 13_000),
    ]
    assert all(not each.wire for each in installed(world))
    same_after_replay(world)
    # Another process has the same from the store.
    station.link.close(1000, "")  # type: ignore[union-attr]
    world.run()
    world.boot()
    station.dial()
    station.boot()
    assert len(installed(world)) == 2
    name = "id" if version == "1.6" else "chargingProfileId"
    send(world, "ClearChargingProfile", {name: 1})
    assert [each.id for each in installed(world)] == [2]
    # A station that says Unknown has none of these.
    station.on["ClearChargingProfile"] = lambda payload: {"status": "Unknown"}
    criteria = {"stackLevel": 1}
    send(world, "ClearChargingProfile", criteria if version == "1.6" else {"chargingProfileCriteria": criteria})
    assert world.record().charging is None
    assert [fact.ids for fact in world.facts(ChargingProfilesCleared)] == [(1,), (2,)]
    assert len(world.facts(ChargingProfileSet)) == 3
    same_after_replay(world)


@pytest.mark.parametrize("version", VERSIONS)
def test_profiles_of_a_transaction_end_with_it(version: str) -> None:
    world, station = ready(version)
    if version == "1.6":
        transaction = station.call("StartTransaction", station.start_v16())["transactionId"]
    else:
        station.call("TransactionEvent", station.event("Started", 0, 5))
        transaction = "tx-1"
    made = profile(station, [(0, 8)], purpose="TxProfile", transactionId=transaction)
    if version == "1.6":
        del made["csChargingProfiles"]["transactionId"]  # 1.6 need not say it
    send(world, "SetChargingProfile", made)
    assert [each.transaction for each in installed(world)] == [str(transaction)]
    if version == "1.6":
        body = {"transactionId": transaction, "meterStop": 2000, "timestamp": station.at()}
        station.call("StopTransaction", body)
    else:
        station.call("TransactionEvent", station.event("Ended", 1, 6))
    assert installed(world) == []
    same_after_replay(world)


@pytest.mark.parametrize("version", V2)
def test_a_profile_that_came_with_the_start_is_the_transactions(version: str) -> None:
    world, station = ready(version)
    body = profile(station, [(0, 8)], purpose="TxProfile")["chargingProfile"]
    start = {"evseId": 1, "remoteStartId": 77, "idToken": {"idToken": "TAG", "type": "ISO14443"}}
    send(world, "RequestStartTransaction", start | {"chargingProfile": body})
    assert installed(world)[0].transaction == "remote start 77"
    event = station.event("Started", 0, 5)
    event["transactionInfo"]["remoteStartId"] = 77
    station.call("TransactionEvent", event)
    assert installed(world)[0].transaction == "tx-1"
    same_after_replay(world)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_schedule_that_does_not_follow_is_flagged_with_both(version: str) -> None:
    world, station = ready(version)
    send(world, "SetChargingProfile", profile(station, [(0, 10), (600, 6), (1800, 20)]))
    right = [(0, 10), (597, 6), (1797, 16)]  # a little later, and the hardware gives 16 A
    station.on["GetCompositeSchedule"] = schedule_of(station, right)
    ask_schedule(world, station)
    assert world.facts(CompositeScheduleDiffered) == []
    for limits, duration, why in (
        ([(0, 10), (1797, 16)], 3600, "above"),  # the middle is missing
        ([(0, 10), (597, 6), (1797, 6), (2400, 16)], 3600, "below"),
        ([(0, 10), (597, 6), (1797, 16)], 863_820, "longer"),
    ):
        station.on["GetCompositeSchedule"] = schedule_of(station, limits, duration)
        ask_schedule(world, station)
        fact = world.facts(CompositeScheduleDiffered)[-1]
        assert (fact.why, fact.evse, fact.unit) == (why, 1, "A")
        assert [step.limit for step in fact.expected] == [10_000, 6_000, 20_000]
        assert [(step.start_ms, step.limit) for step in fact.answered] == [(s * 1000, a * 1000) for s, a in limits]
    if version == "1.6":
        station.on["GetCompositeSchedule"] = schedule_of(station, [])
        ask_schedule(world, station)
        assert world.facts(CompositeScheduleDiffered)[-1].why == "empty"
    station.on["GetCompositeSchedule"] = lambda payload: {"status": "Rejected"}
    ask_schedule(world, station)
    assert len(world.facts(CompositeScheduleDiffered)) == (4 if version == "1.6" else 3)


@pytest.mark.parametrize("version", V2)
def test_other_systems_limits_are_known_and_make_the_judgement_cautious(version: str) -> None:
    world, station = ready(version)
    send(world, "SetChargingProfile", profile(station, [(0, 10)]))
    limit = {"chargingLimit": {"chargingLimitSource": "EMS", "isGridCritical": True}, "evseId": 0}
    assert station.call("NotifyChargingLimit", limit) == {}
    assert world.record().charging.elsewhere == ["EMS 0"]
    station.on["GetCompositeSchedule"] = schedule_of(station, [(0, 7), (60, 5)])
    ask_schedule(world, station)
    assert world.facts(CompositeScheduleDiffered) == []
    station.on["GetCompositeSchedule"] = schedule_of(station, [(0, 11)])
    ask_schedule(world, station)
    assert world.facts(CompositeScheduleDiffered)[-1].why == "above"
    assert station.call("ClearedChargingLimit", {"chargingLimitSource": "EMS", "evseId": 0}) == {}
    assert world.record().charging.elsewhere == []
    assert [fact.cleared for fact in world.facts(ChargingLimitChanged)] == [False, True]
    same_after_replay(world)


@pytest.mark.parametrize("version", V2)
def test_what_a_station_reports_stands(version: str) -> None:
    world, station = ready(version)
    send(world, "SetChargingProfile", profile(station, [(0, 10)]))
    there = profile(station, [(0, 9)], id_=1)["chargingProfile"]
    foreign = profile(station, [(0, 5)], id_=-3, purpose="ChargingStationExternalConstraints")["chargingProfile"]
    for source, row in (("CSO", there), ("SO", foreign)):
        body = {"requestId": 4, "chargingLimitSource": source, "chargingProfile": [row], "evseId": 1, "tbc": False}
        assert station.call("ReportChargingProfiles", body) == {}
    assert [(each.id, each.source, each.schedules[0].periods[0].limit) for each in installed(world)] == [
        (1, "CSO", 9_000),
        (-3, "SO", 5_000),
    ]
    same_after_replay(world)
    station.boot()
    assert [each.id for each in installed(world)] == [1]  # external constraints need not outlive a restart


@pytest.mark.parametrize("version", V2)
def test_vehicles_that_plan(version: str) -> None:
    world, station = ready(version)
    needs = {
        "evseId": 1,
        "chargingNeeds": {
            "requestedEnergyTransfer": "AC_three_phase",
            "acChargingParameters": {
                "energyAmount": 20_000,
                "evMinCurrent": 6,
                "evMaxCurrent": 16,
                "evMaxVoltage": 400,
            },
        },
    }
    answer = station.call("NotifyEVChargingNeeds", needs)
    assert answer == {"status": "NoChargingProfile" if version == "2.1" else "Rejected"}
    send(world, "SetChargingProfile", profile(station, [(0, 10), (600, 6)]))

    def chosen(limits: list[tuple[int, float]]) -> dict[str, Any]:
        periods = [{"startPeriod": at, "limit": limit} for at, limit in limits]
        schedule = {"id": 1, "chargingRateUnit": "W", "duration": 1200, "chargingSchedulePeriod": periods}
        return {"timeBase": station.at(), "evseId": 1, "chargingSchedule": schedule}

    assert station.call("NotifyEVChargingSchedule", chosen([(0, 6900), (590, 4140)])) == {"status": "Accepted"}
    assert station.call("NotifyEVChargingSchedule", chosen([(0, 12_500)])) == {"status": "Rejected"}
    assert [fact.verdict for fact in world.facts(VehicleScheduleNotified)] == ["Accepted", "Rejected"]


def test_dynamic_rates_are_pulled_and_priority_is_known() -> None:
    world, station = ready("2.1")
    answer = station.call("PullDynamicScheduleUpdate", {"chargingProfileId": 9})
    assert answer["status"] == "Rejected" and answer["statusInfo"]["reasonCode"] == "InvalidProfile"
    made = profile(station, [(0, 10)], id_=9)
    made["chargingProfile"]["chargingProfileKind"] = "Dynamic"
    del made["chargingProfile"]["chargingSchedule"][0]["startSchedule"]
    send(world, "SetChargingProfile", made)
    send(world, "UpdateDynamicSchedule", {"chargingProfileId": 9, "scheduleUpdate": {"limit": 7.5}})
    answer = station.call("PullDynamicScheduleUpdate", {"chargingProfileId": 9})
    assert answer == {"status": "Accepted", "scheduleUpdate": {"limit": 7.5}}
    assert installed(world)[0].updated == world.clock.now() - 90 or installed(world)[0].updated > 0
    station.call("TransactionEvent", station.event("Started", 0, 5))
    assert station.call("NotifyPriorityCharging", {"transactionId": "tx-1", "activated": True}) == {}
    assert world.record().charging.priority == ["tx-1"]
    station.call("TransactionEvent", station.event("Ended", 1, 6))
    assert world.record().charging.priority == []
    same_after_replay(world)


def test_the_event_is_on_the_bus_with_both_schedules() -> None:
    world, station = ready("2.0.1")
    heard = world.bus.subscribe("facts.default.CP1")
    send(world, "SetChargingProfile", profile(station, [(0, 10)]))
    station.on["GetCompositeSchedule"] = schedule_of(station, [(0, 32)])
    ask_schedule(world, station)
    facts = [fact for _, event in heard._queue for fact in event.facts]
    (found,) = [fact for fact in facts if isinstance(fact, CompositeScheduleDiffered)]
    assert (found.expected[0].limit, found.answered[0].limit) == (10_000, 32_000)
