"""Transactions that go on after a restart get their charging profiles back (2.1 B13, E17)."""

from __future__ import annotations

from typing import Any

import pytest
from csms_kit import Client, World

from pilotwire.domain.fold import fold
from pilotwire.domain.records import Station


def profile(number: int, transaction: str, stack: int = 0) -> dict[str, Any]:
    periods = [{"startPeriod": 0, "limit": 10.0 + number}, {"startPeriod": 600, "limit": 6.0}]
    schedule = {"id": number, "chargingRateUnit": "A", "chargingSchedulePeriod": periods}
    body = {
        "id": number,
        "stackLevel": stack,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "transactionId": transaction,
        "chargingSchedule": [schedule],
    }
    return {"evseId": 1 if transaction == "tx-1" else 2, "chargingProfile": body}


def charging(persistent: str | None) -> tuple[World, Client]:
    """Two transactions with profiles, one of the first with two."""
    world = World()
    station = world.station(version="2.1")
    station.boot()
    if persistent is not None:
        row = {
            "component": {"name": "SmartChargingCtrlr"},
            "variable": {"name": "ChargingProfilePersistence", "instance": "TxProfile"},
            "variableAttribute": [{"type": "Actual", "value": persistent}],
        }
        station.call("NotifyReport", {"requestId": 1, "seqNo": 0, "generatedAt": station.at(), "reportData": [row]})
    for transaction, evse in (("tx-1", 1), ("tx-2", 2)):
        started = station.event("Started", 0, 1000.0, tx=transaction, evse={"id": evse, "connectorId": 1})
        station.call("TransactionEvent", started)
    for asked in (profile(1, "tx-1"), profile(2, "tx-1", 3), profile(3, "tx-2")):
        replies = world.command("SetChargingProfile", asked)
        world.run()
        assert [one.outcome for one in replies] == ["answered"], replies
    station.calls.clear()
    return world, station


def resumed(station: Client, transaction: str, seq: int) -> None:
    event = station.event("Updated", seq, 1001.0, tx=transaction, evse={"id": int(transaction[-1]), "connectorId": 1})
    station.call("TransactionEvent", event | {"triggerReason": "TxResumed"}, ms=2_000)


def ids(world: World) -> tuple[list[int], list[int]]:
    """Of the profiles that the station has, and of those that it lost."""
    record = world.record()
    [again] = [one for one in fold(list(world.store._entries)) if isinstance(one, Station)]
    assert again.charging == record.charging, "the journal folded anew gives the same"
    found = record.charging
    return ([], []) if found is None else ([one.id for one in found.profiles], [one.id for one in found.lost])


@pytest.mark.parametrize("persistent", [None, "false"])
def test_what_a_restart_cost_is_set_again(persistent: str | None) -> None:
    world, station = charging(persistent)
    station.boot()
    assert ids(world) == ([], [1, 2, 3]) and station.calls == []
    resumed(station, "tx-1", 1)
    sent = [call[3] for call in station.calls if call[2] == "SetChargingProfile"]
    assert sent == [profile(1, "tx-1"), profile(2, "tx-1", 3)], "as they were sent at first"
    assert ids(world) == ([1, 2], [3])
    station.call("TransactionEvent", station.event("Ended", 1, 1002.0, tx="tx-2", evse={"id": 2, "connectorId": 1}))
    assert ids(world) == ([1, 2], [])
    station.calls.clear()
    resumed(station, "tx-1", 2)
    assert station.calls == [], "they are there"
    assert world.system.counters.faults == 0


def test_a_station_that_keeps_them_is_sent_nothing() -> None:
    world, station = charging("true")
    station.boot()
    resumed(station, "tx-1", 1)
    assert ids(world) == ([1, 2, 3], []) and station.calls == []
