"""A vehicle that tells its needs gets an offer within its station's profiles, and another when it takes too much."""

from __future__ import annotations

from typing import Any

import pytest
from csms_kit import World

NEEDS = {
    "evseId": 1,
    "chargingNeeds": {
        "requestedEnergyTransfer": "DC",
        "dcChargingParameters": {"evMaxCurrent": 200, "evMaxVoltage": 400, "evMaxPower": 60_000},
    },
}


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_from_the_needs_to_the_offer_and_the_next(version: str) -> None:
    world = World()
    world.token()
    station = world.station(version=version)
    station.boot()
    asked: list[dict[str, Any]] = []

    def taken(payload: dict[str, Any]) -> dict[str, Any]:
        asked.append(payload)
        return {"status": "Accepted"}

    station.on["SetChargingProfile"] = taken
    refused = station.call("NotifyEVChargingNeeds", NEEDS)  # nothing runs that an offer could be for
    assert refused == {"status": "Rejected"}  # K15.FR.04: by ISO 15118-2 that says that nobody plans
    station.call("TransactionEvent", station.event("Started", 0))
    told = world.clock.now()
    assert station.call("NotifyEVChargingNeeds", NEEDS) == {"status": "Accepted"}
    world.run()
    [first] = asked
    assert world.clock.now() - told < 60_000
    assert first["chargingProfile"]["transactionId"] == "tx-1"
    [schedule] = first["chargingProfile"]["chargingSchedule"]
    assert (schedule["chargingRateUnit"], schedule["chargingSchedulePeriod"]) == (
        "W",
        [{"startPeriod": 0, "limit": 60_000}],
    )

    def chosen(watts: int) -> dict[str, Any]:
        periods = [{"startPeriod": 0, "limit": watts}]
        body = {"id": 1, "chargingRateUnit": "W", "duration": 600, "chargingSchedulePeriod": periods}
        return {"timeBase": station.at(), "evseId": 1, "chargingSchedule": body}

    assert station.call("NotifyEVChargingSchedule", chosen(90_000)) == {"status": "Rejected"}
    world.run()
    assert len(asked) == 2 and asked[1]["chargingProfile"]["id"] == first["chargingProfile"]["id"]
    assert station.call("NotifyEVChargingSchedule", chosen(40_000)) == {"status": "Accepted"}
    world.run()
    assert len(asked) == 2


@pytest.mark.parametrize("mode", ["ScheduledControl", "DynamicControl"])
def test_needs_by_iso_15118_20(mode: str) -> None:
    """Who is charged alone gets one schedule at once, no longer than the vehicle and the station take; for who may give
    energy back nobody plans; what a vehicle chooses is judged as before."""
    world = World()
    world.token()
    station = world.station(version="2.1")
    station.boot()
    asked: list[tuple[int, dict[str, Any]]] = []

    def taken(payload: dict[str, Any]) -> dict[str, Any]:
        asked.append((world.clock.now(), payload))
        return {"status": "Accepted"}

    station.on["SetChargingProfile"] = taken
    cleared: list[dict[str, Any]] = []

    def forgotten(payload: dict[str, Any]) -> dict[str, Any]:
        cleared.append(payload)
        return {"status": "Accepted"}

    station.on["ClearChargingProfile"] = forgotten
    # Nobody has told us which transfers a token may have, so we do not say (Q01.FR.08, Q02.FR.03).
    assert "allowedEnergyTransfer" not in station.call("Authorize", {"idToken": {"idToken": "TAG", "type": "ISO14443"}})
    periods = [{"startPeriod": at * 600, "limit": 9000 - at * 100} for at in range(8)]
    schedule = {"id": 1, "chargingRateUnit": "W", "startSchedule": station.at(), "chargingSchedulePeriod": periods}
    default = {
        "id": 3,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
    }
    world.command("SetChargingProfile", {"evseId": 1, "chargingProfile": default})
    world.run()
    asked.clear()

    def needs(transfer: str, tuples: int, most: dict[str, Any]) -> dict[str, Any]:
        return {
            "evseId": 1,
            "maxScheduleTuples": tuples,
            "chargingNeeds": {
                "requestedEnergyTransfer": transfer,
                "availableEnergyTransfer": [transfer],
                "controlMode": mode,
                "v2xChargingParameters": most,
            },
        }

    station.call("TransactionEvent", station.event("Started", 0))
    made: dict[str, Any] = {}
    powers = {"maxChargePower": 3680, "maxChargePower_L2": 3680, "maxChargePower_L3": 3680}
    for status, transfer in (("Accepted", "AC_three_phase"), ("NoChargingProfile", "AC_BPT")):
        asked.clear()
        before = world.clock.now()
        assert station.call("NotifyEVChargingNeeds", needs(transfer, 5, powers)) == {"status": status}
        world.run()
        if status != "Accepted":
            assert asked == []
            [earlier] = cleared  # what was offered would stand in the way of set-points
            assert earlier == {"chargingProfileId": made["id"]}
            continue
        [(at, sent)] = asked
        assert at - before < 60_000
        made = sent["chargingProfile"]
        assert (made["chargingProfilePurpose"], made["transactionId"]) == ("TxProfile", "tx-1")
        [offer] = made["chargingSchedule"]
        assert 1 <= len(offer["chargingSchedulePeriod"]) <= 5
        assert offer["chargingSchedulePeriod"][0] == {"startPeriod": 0, "limit": 9000.0}
        assert all(set(row) == {"startPeriod", "limit"} for row in offer["chargingSchedulePeriod"])
    assert station.call("NotifyEVChargingNeeds", needs("AC_three_phase", 5, {})) == {"status": "NoChargingProfile"}
    station.call("NotifyEVChargingNeeds", needs("AC_three_phase", 5, powers))
    world.run()
    asked.clear()

    def chosen(watts: int) -> dict[str, Any]:
        rows = [{"startPeriod": 0, "limit": watts}]
        body = {"id": 1, "chargingRateUnit": "W", "duration": 300, "chargingSchedulePeriod": rows}
        return {"timeBase": station.at(), "evseId": 1, "chargingSchedule": body, "selectedChargingScheduleId": 1}

    assert station.call("NotifyEVChargingSchedule", chosen(8000)) == {"status": "Accepted"}
    assert asked == []
    assert station.call("NotifyEVChargingSchedule", chosen(50_000)) == {"status": "Rejected"}
    world.run()
    assert len(asked) == 1  # another offer
    # The station takes fewer periods than the vehicle.
    told = {"component": {"name": "SmartChargingCtrlr"}, "variable": {"name": "PeriodsPerSchedule"}}
    attribute = {"type": "Actual", "value": "2", "mutability": "ReadOnly"}
    kind = {"dataType": "integer", "supportsMonitoring": False}
    row = {**told, "variableAttribute": [attribute], "variableCharacteristics": kind}
    report = {"requestId": 1, "generatedAt": station.at(), "seqNo": 0, "tbc": False, "reportData": [row]}
    assert station.call("NotifyReport", report) == {}
    asked.clear()
    station.call("NotifyEVChargingNeeds", needs("AC_three_phase", 5, powers))
    world.run()
    assert len(asked[0][1]["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"]) == 2
    # What we have said that it may have counts.
    heard: list[dict[str, Any]] = []

    def allowed(payload: dict[str, Any]) -> dict[str, Any]:
        heard.append(payload)
        return {"status": "Accepted"}

    station.on["NotifyAllowedEnergyTransfer"] = allowed
    leave = {"transactionId": "tx-1", "allowedEnergyTransfer": ["DC"]}
    world.command("NotifyAllowedEnergyTransfer", leave)
    world.run()
    assert heard == [leave]
    assert station.call("NotifyEVChargingNeeds", needs("AC_three_phase", 5, powers)) == {"status": "Rejected"}
