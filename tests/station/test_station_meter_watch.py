"""1.6, California: readings when the central system wants them (triggerMeterValue of RunningCost)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from tests.station.tariff_kit import ask, charge

from pilotwire.core.time import to_rfc3339


def ready(make_world, **settings):
    world = make_world("1.6", settings={"cost_display": "true", "sample_interval": "0"} | settings)
    world.station.power_on()
    world.run(5)
    return world


def running_cost(world, **trigger):
    key = int(world.station.truth[-1].transaction)
    body = {"transactionId": key, "cost": 1.25, "triggerMeterValue": trigger} if trigger else {
        "transactionId": key, "cost": 1.25}  # fmt: skip
    data = msgspec.json.encode(body).decode()
    vendor = "org.openchargealliance.costmsg"
    return ask(world, "DataTransfer", vendor_id=vendor, message_id="RunningCost", data=data).status


def registers(world):
    return [
        (int(Decimal(row.value)), value.timestamp)
        for request in world.csms.heard("MeterValues")
        for value in request.meter_value
        for row in value.sampled_value
        if row.measurand in (None, "Energy.Active.Import.Register")
    ]


def test_at_a_time_and_at_a_register_once_each(make_world):
    world = ready(make_world)
    charge(world, 1)
    at = world.scheduler.now() + 300_000
    assert running_cost(world, atTime=to_rfc3339(at), atEnergykWh=2) == "Accepted"
    world.run(3600)
    (first, when), (second, _) = registers(world)
    assert abs(when.timestamp() * 1000 - at) < 1000
    assert first < 2000 <= second <= 2003


def test_where_the_power_passes_a_value_and_in_a_status(make_world):
    world = ready(make_world)
    charge(world, 1)
    assert running_cost(world, atPowerkW=5, atCPStatus=["SuspendedEVSE"]) == "Accepted"
    world.run(600)
    assert registers(world) == []
    session = world.station.evses[0].session
    for held, count in ((True, 1), (True, 1), (False, 2), (True, 3)):
        session.held = held
        world.station.touch(1)
        world.run(30)
        assert len(registers(world)) == count, "down, nothing, up, down"
    assert running_cost(world) == "Accepted"
    session.held = False
    world.station.touch(1)
    world.run(30)
    assert len(registers(world)) == 3, "a message without a wish ends it"


@pytest.mark.parametrize("trigger", [{"atTime": "soon"}, {"atEnergykWh": "much"}, {"atCPStatus": 5}])
def test_what_cannot_be_read_is_refused(make_world, trigger):
    world = ready(make_world)
    charge(world, 1)
    assert running_cost(world, **trigger) == "Rejected"
