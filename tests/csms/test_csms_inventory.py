"""Stations are asked for what they are made of after a boot: once for each firmware, politely, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from csms_kit import Client, World

from pilotwire.csms import inventory
from pilotwire.domain.facts import InventoryAsked

ASKED = ("GetConfiguration", "GetBaseReport")


def boot(station: Client, firmware: str = "1.0") -> None:
    if station.version == "1.6":
        body: dict[str, Any] = {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": firmware}
    else:
        made = {"vendorName": "V", "model": "M", "firmwareVersion": firmware}
        body = {"reason": "PowerUp", "chargingStation": made}
    station.call("BootNotification", body)


def asked(station: Client) -> list[str]:
    return [call[2] for call in station.calls if call[2] in ASKED]


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_a_station_is_asked_once_for_each_firmware(version: str) -> None:
    world = World(read_inventory=True)
    station = world.station(version=version)
    key = {"key": "HeartbeatInterval", "readonly": False, "value": "300"}
    station.on["GetConfiguration"] = lambda payload: {"configurationKey": [key]}
    boot(station)
    world.run(inventory.AFTER_MS - 1_000)
    assert asked(station) == [], "not while it tells what it has to tell"
    world.run(2_000)
    assert asked(station) == ["GetConfiguration" if version == "1.6" else "GetBaseReport"]
    if version != "1.6":
        assert station.calls[-1][3]["reportBase"] == "FullInventory"
    boot(station)
    world.run(60_000)
    assert len(asked(station)) == 1, "the same firmware once more"
    boot(station, "1.1")
    world.run(60_000)
    assert len(asked(station)) == 2
    facts = world.facts(InventoryAsked)
    assert [(fact.firmware, fact.status) for fact in facts] == [("1.0", "Accepted"), ("1.1", "Accepted")]
    kept = world.record().kept
    assert kept is not None and kept.inventory is not None and kept.inventory.firmware == "1.1"


def test_one_that_refuses_is_not_asked_again_and_one_that_is_silent_is() -> None:
    world = World(read_inventory=True)
    station = world.station(version="2.0.1")
    station.on["GetBaseReport"] = lambda payload: {"status": "NotSupported"}
    boot(station)
    world.run(60_000)
    boot(station)
    world.run(60_000)
    assert [fact.status for fact in world.facts(InventoryAsked)] == ["NotSupported"] and len(asked(station)) == 1
    silent = world.station("CP2", version="2.0.1")
    silent.on["GetBaseReport"] = lambda payload: None
    boot(silent)
    world.run(60_000)
    boot(silent)
    world.run(60_000)
    assert len(asked(silent)) == 2 and len(world.facts(InventoryAsked)) == 1


@pytest.mark.parametrize(("busy", "told"), [(1, 1), (2, 1), (9, 0)])
def test_one_that_cannot_tell_just_now_is_asked_a_little_later(busy: int, told: int) -> None:
    world = World(read_inventory=True)
    station = world.station(version="2.0.1")
    station.on["GetBaseReport"] = lambda payload: {"status": "Rejected" if len(asked(station)) <= busy else "Accepted"}
    boot(station)
    world.run(60_000)
    assert len(asked(station)) == 1 and world.facts(InventoryAsked) == []
    world.run(inventory.AGAIN_MS)
    assert len(asked(station)) == 2
    world.run(4 * inventory.AGAIN_MS)
    assert len(asked(station)) == min(busy + 1, inventory.TRIES) and len(world.facts(InventoryAsked)) == told
    boot(station)
    world.run(60_000)
    assert len(asked(station)) == min(busy + 1, inventory.TRIES) + (not told)


def test_a_fleet_that_comes_back_is_read_a_few_at_a_time() -> None:
    world = World(read_inventory=True)
    fleet = [world.station(f"CP{number}") for number in range(20)]
    for station in fleet:
        station.on["GetConfiguration"] = lambda payload: None  # as slow as can be
        boot(station)
    world.run(inventory.AFTER_MS + 2_000)
    assert sum(len(asked(station)) for station in fleet) == inventory.AT_ONCE
    world.run(200_000)
    assert sum(len(asked(station)) for station in fleet) == 20


def test_nobody_is_asked_where_it_is_off_or_the_station_is_not_accepted_or_gone() -> None:
    world = World()
    station = world.station()
    boot(station)
    world.run(60_000)
    assert asked(station) == []
    world = World(read_inventory=True)
    world.account(boot="Pending")
    station = world.station()
    boot(station)
    world.run(60_000)
    assert asked(station) == []
    gone = world.station("CP2")
    boot(gone)
    assert gone.link is not None
    gone.link.close(1000, "")
    world.run(60_000)
    assert asked(gone) == [] and world.system.counters.faults == 0


PLACE = {"component": {"name": "EVSE"}, "variable": {"name": "Power"}}


@pytest.mark.requirement("2.0.1", "N04.FR.19", side="csms")
@pytest.mark.requirement("2.1", "N04.FR.19", side="csms")
@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_monitors_are_asked_for_after_a_boot_for_their_ids_may_be_other_ones(version: str) -> None:
    world = World(read_inventory=True)
    station = world.station(version=version)
    boot(station)
    world.run(60_000)
    row = {"type": "Delta", "severity": 5, **PLACE}
    station.on["SetVariableMonitoring"] = lambda payload: {
        "setMonitoringResult": [{"status": "Accepted", "id": 1, **row}]
    }
    world.command("SetVariableMonitoring", {"setMonitoringData": [{"value": 1, **row}]})
    world.run()
    station.calls.clear()
    boot(station)
    world.run(60_000)
    assert [call[2] for call in station.calls] == ["GetMonitoringReport"]
    told: dict[str, Any] = {"id": 7, "transaction": False, "value": 1.0, "type": "Delta", "severity": 5}
    if version == "2.1":
        told["eventNotificationType"] = "CustomMonitor"
    report = {"requestId": station.calls[0][3]["requestId"], "seqNo": 0, "generatedAt": station.at()}
    station.call("NotifyMonitoringReport", report | {"monitor": [{**PLACE, "variableMonitoring": [told]}]})
    kept = world.record().kept
    assert kept is not None and [one.id for one in kept.monitors] == [7]
    station.on["GetMonitoringReport"] = lambda payload: {"status": "EmptyResultSet"}
    boot(station)
    world.run(60_000)
    kept = world.record().kept
    assert kept is not None and kept.monitors == [] and world.system.counters.faults == 0
