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
    assert refused == {"status": "NoChargingProfile" if version == "2.1" else "Rejected"}
    station.call("TransactionEvent", station.event("Started", 0))
    assert station.call("NotifyEVChargingNeeds", NEEDS) == {"status": "Accepted"}
    world.run()
    [first] = asked
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
