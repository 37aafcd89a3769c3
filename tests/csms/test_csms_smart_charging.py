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
    assert answer == {"status": "Rejected"}
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


# ── what is not sent ─────────────────────────────────────────────────────────────────────────────────────────────────


def objected(world: World, action: str, payload: dict[str, Any]) -> str:
    """Why a command was not sent; "" where it was."""
    replies = world.command(action, payload)
    world.run()
    [reply] = replies
    if reply.outcome == "answered":
        return ""
    assert (reply.outcome, reply.answer["code"]) == ("invalid", "NotAllowed"), reply
    return reply.answer["description"]


@pytest.mark.parametrize("version", VERSIONS)
def test_profiles_in_the_wrong_place_are_not_sent(version: str) -> None:
    """And those for a default, for a transaction, for the whole station and with a start are."""
    world, station = ready(version)
    old = version == "1.6"
    sent: list[dict[str, Any]] = []
    for action in ("SetChargingProfile", "RemoteStartTransaction", "RequestStartTransaction"):

        def kept(payload: dict[str, Any]) -> dict[str, Any]:
            sent.append(payload)
            return {"status": "Accepted"}

        station.on[action] = kept

    def put(purpose: str, evse: int, **more: Any) -> str:
        made = profile(station, [(0, 8)], purpose=purpose, **more)
        made["connectorId" if old else "evseId"] = evse
        return objected(world, "SetChargingProfile", made)

    maximum = "ChargePointMaxProfile" if old else "ChargingStationMaxProfile"
    key: dict[str, Any] = {} if old else {"transactionId": "tx-1"}
    assert "one EVSE" in put("TxProfile", 0, **key)
    assert "whole station" in put(maximum, 1)
    assert sent == []
    assert put(maximum, 0) == put("TxDefaultProfile", 0, id_=2) == put("TxProfile", 1, id_=3, **key) == ""
    body = next(iter(row for name, row in sent[-1].items() if "rofile" in name))
    assert body["chargingProfilePurpose"] == "TxProfile" and len(sent) == 3
    made = profile(station, [(0, 8)], purpose="TxProfile", id_=4)
    body = made["csChargingProfiles" if old else "chargingProfile"]
    if old:
        name, start = "RemoteStartTransaction", {"connectorId": 1, "idTag": "TAG"}
    else:
        name, start = (
            "RequestStartTransaction",
            {"evseId": 1, "remoteStartId": 7, "idToken": {"idToken": "TAG", "type": "ISO14443"}},
        )
    assert "is a TxProfile" in objected(
        world, name, start | {"chargingProfile": body | {"chargingProfilePurpose": "TxDefaultProfile"}}
    )
    assert "no id yet" in objected(
        world, name, start | {"chargingProfile": body | {"transactionId": 7 if old else "7"}}
    )
    assert len(sent) == 3
    assert objected(world, name, start | {"chargingProfile": body}) == "" and sent[-1]["chargingProfile"] == body


@pytest.mark.parametrize("version", V2)
def test_profiles_that_the_standard_forbids_are_not_sent(version: str) -> None:
    world, station = ready(version)
    sent: list[dict[str, Any]] = []

    def kept(payload: dict[str, Any]) -> dict[str, Any]:
        sent.append(payload)
        return {"status": "Accepted"}

    station.on["SetChargingProfile"] = station.on["ClearChargingProfile"] = kept

    def put(limits: list[tuple[int, float]], change: Any = None, **more: Any) -> str:
        made = profile(station, limits, **more)
        body = made["chargingProfile"]
        if change is not None:
            change(body, body["chargingSchedule"][0])
        return objected(world, "SetChargingProfile", made)

    def undated(body: dict[str, Any], schedule: dict[str, Any]) -> None:
        del schedule["startSchedule"]

    def twice(body: dict[str, Any], schedule: dict[str, Any]) -> None:
        body["chargingSchedule"].append({**schedule, "id": 2})

    def relative(body: dict[str, Any], schedule: dict[str, Any]) -> None:
        body["chargingProfileKind"] = "Relative"

    def phase(number: int) -> Any:
        def change(body: dict[str, Any], schedule: dict[str, Any]) -> None:
            schedule["chargingSchedulePeriod"][0] |= {"numberPhases": number, "phaseToUse": 2}

        return change

    assert "other than this one" in put([(0, 9)], purpose="ChargingStationExternalConstraints")
    for purpose in ("ChargingStationExternalConstraints", *(["LocalGeneration"] if version == "2.1" else [])):
        criteria = {"chargingProfilePurpose": purpose}
        assert "not ours" in objected(world, "ClearChargingProfile", {"chargingProfileCriteria": criteria})
    assert "needs startSchedule" in put([(0, 9)], undated)
    assert "no startSchedule" in put([(0, 9)], relative)
    assert "order" in put([(0, 9), (600, 8), (300, 7)])
    assert "first startPeriod" in put([(60, 9)])
    assert "numberPhases 1" in put([(0, 9)], phase(3))
    assert "ACPhaseSwitchingSupported" in put([(0, 9)], phase(1))
    assert "transactionId" in put([(0, 9)], purpose="TxProfile")
    station.call("TransactionEvent", station.event("Started", 0, 5))
    transaction = {"purpose": "TxProfile", "transactionId": "tx-1"}
    assert "more than one schedule" in put([(0, 9)], twice, **transaction)
    assert sent == []
    # No two of one level at the same time, unless one takes the place of the other.
    assert put([(0, 9)], id_=1) == put([(0, 8)], id_=1) == put([(0, 8)], id_=2, stack=1) == ""
    assert "profile 1 has that stackLevel" in put([(0, 8)], id_=3)
    assert put([(0, 9)], id_=4, **transaction) == ""
    assert "profile 4 has that stackLevel" in put([(0, 9)], id_=5, **transaction)
    assert put([(0, 9)], id_=5, stack=1, **transaction) == ""
    # What the station and the vehicle say of themselves opens more.
    needs = {"requestedEnergyTransfer": "AC_three_phase"}
    assert station.call("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs})["status"] != "Accepted"
    assert put([(0, 9)], twice, id_=6, stack=2, **transaction) == ""

    def says(name: str, value: str, kind: str) -> None:
        row = {
            "component": {"name": "SmartChargingCtrlr"},
            "variable": {"name": name},
            "variableAttribute": [{"type": "Actual", "value": value, "mutability": "ReadOnly"}],
            "variableCharacteristics": {"dataType": kind, "supportsMonitoring": False},
        }
        report = {"requestId": 1, "generatedAt": station.at(), "seqNo": 0, "tbc": False, "reportData": [row]}
        assert station.call("NotifyReport", report) == {}

    says("ACPhaseSwitchingSupported", "true", "boolean")
    assert put([(0, 9)], phase(1), id_=7, stack=7) == ""
    says("MaxExternalConstraintsId", "50", "integer")
    assert "gives itself" in put([(0, 9)], id_=50, stack=9)
    assert put([(0, 9)], id_=51, stack=9) == ""
    same_after_replay(world)
    station.call("TransactionEvent", station.event("Ended", 1, 6))
    assert world.record().charging.planning == []


def test_periods_of_21_that_contradict_their_mode_are_not_sent() -> None:
    world, station = ready("2.1")

    def put(unit: str = "W", kind: str = "Absolute", rows: int = 1, **period: Any) -> str:
        made = profile(station, [(0, 0)] * rows)
        body = made["chargingProfile"]
        [schedule] = body["chargingSchedule"]
        schedule |= {"chargingRateUnit": unit}
        for at, row in enumerate(schedule["chargingSchedulePeriod"]):
            del row["limit"]
            row |= period | {"startPeriod": at * 60}
        if kind == "Dynamic":
            body["chargingProfileKind"] = kind
            del schedule["startSchedule"]
        return objected(world, "SetChargingProfile", made)

    curve = [{"frequency": 49, "power": -10}, {"frequency": 51, "power": 10}]
    follows: dict[str, Any] = {"operationMode": "LocalFrequency", "v2xBaseline": 0, "v2xFreqWattCurve": curve}
    for wrong in (
        {"operationMode": "ChargingOnly", "limit": 9, "dischargeLimit": -9},
        {"limit": 9, "setpoint": 5},
        {"operationMode": "CentralSetpoint", "setpoint": 5, "limit": 9},
        follows | {"limit": 9},
        {"operationMode": "Idle", "limit": 0},
    ):
        assert "no place in it" in put(**wrong)
    assert "needs a setpoint" in put(operationMode="CentralSetpoint")
    assert "two points" in put(**follows | {"v2xFreqWattCurve": curve[:1]})
    assert "in W" in put("A", **follows)
    assert "one schedule of one period" in put(kind="Dynamic", rows=2, limit=9)
    for right in (
        {"limit": 9},
        {"operationMode": "CentralSetpoint", "setpoint": -5},
        follows,
        {"operationMode": "Idle"},
    ):
        assert put(**right) == ""
    assert put(kind="Dynamic", limit=9) == ""
