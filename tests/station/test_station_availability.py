"""What the CSMS hears of a connector, and what it can make of it (2.x G)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pilotwire.core.time import to_datetime
from pilotwire.station.config import EvseConfig

VERSIONS = ("2.0.1", "2.1")
TWO = (EvseConfig(), EvseConfig())


def ready(make_world, version, **more):
    world = make_world(version, **{"evses": TWO, **more})
    world.station.power_on()
    world.run(5)
    return world


def ask(world, action, **fields):
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(2)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def events(world):
    """(EVSE, status) of connectors that were told by events since the last look."""
    told = [event for request in world.csms.heard("NotifyEvent") for event in request.event_data]
    rows = [
        (event.component.evse.id, event.actual_value)
        for event in told
        if (event.component.name, event.variable.name, event.trigger) == ("Connector", "AvailabilityState", "Delta")
    ]
    seen = getattr(world, "seen_events", 0)
    world.seen_events = len(rows)
    return rows[seen:]


def news(world):
    """(EVSE, status) of what was told since the last look."""
    rows = [(row.evse_id, row.connector_status) for row in world.csms.heard("StatusNotification")]
    seen = getattr(world, "seen", 0)
    world.seen = len(rows)
    return rows[seen:]


def change(world, operational, evse=None, connector=None):
    where = None if evse is None else world.csms.messages.EVSEType(id=evse, connector_id=connector)
    return ask(world, "ChangeAvailability", operational_status=operational, evse=where).status


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cable_comes_and_goes(make_world, version):
    world = ready(make_world, version)
    assert news(world) == [(1, "Available"), (2, "Available")]
    world.station.plug(1, world.car())
    world.run(2)
    assert news(world) == [(1, "Occupied")]
    world.station.unplug(1)
    world.run(2)
    assert news(world) == [(1, "Available")]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cable_goes_where_nobody_may_charge_any_more(make_world, version):
    world = ready(make_world, version)
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(10)
    assert news(world)[-1] == (1, "Occupied")
    assert change(world, "Inoperative", 1, 1) == "Scheduled"
    assert news(world) == [] and world.station.evses[0].session is not None
    world.station.unplug(1)
    world.run(5)
    assert news(world) == [(1, "Unavailable")]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_change_is_told_and_survives_a_restart(make_world, version):
    world = ready(make_world, version)
    news(world)
    assert change(world, "Inoperative", 1, 1) == "Accepted"
    assert news(world) == [(1, "Unavailable")]
    assert change(world, "Inoperative", 2) == "Accepted"
    assert news(world) == [(2, "Unavailable")]
    for restart in ("power", "reset", "evse"):
        if restart == "power":
            world.station.power_off()
            world.station = world.build()
            world.station.power_on()
        else:
            ask(world, "Reset", type="Immediate", evse_id=1 if restart == "evse" else None)
        world.run(30)
        told = news(world)
        assert told == ([] if restart == "evse" else [(1, "Unavailable"), (2, "Unavailable")])
    assert [evse.available for evse in world.station.evses] == [False, False]
    assert change(world, "Operative", 1, 1) == change(world, "Operative", 2) == "Accepted"
    assert news(world) == [(1, "Available"), (2, "Available")]
    assert change(world, "Inoperative") == "Accepted"
    assert news(world) == [(1, "Unavailable"), (2, "Unavailable")]
    assert change(world, "Operative") == "Accepted"
    assert news(world) == [(1, "Available"), (2, "Available")]
    assert change(world, "Inoperative", 3) == change(world, "Inoperative", 1, 2) == "Rejected"
    assert news(world) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_reserved_connector_waits_for_its_token_through_a_restart(make_world, version):
    world = ready(make_world, version)
    token = world.csms.messages.IdTokenType(id_token="AA11", type="ISO14443")
    until = to_datetime(world.scheduler.now()) + timedelta(hours=1)
    assert ask(world, "ReserveNow", id=1, expiry_date_time=until, id_token=token, evse_id=1).status == "Accepted"
    assert news(world)[-1] == (1, "Reserved")
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(30)
    assert news(world) == [(1, "Reserved"), (2, "Available")]
    world.station.plug(1, world.car())
    world.run(5)
    world.station.tap(1, "BB22")
    world.run(5)
    assert news(world) == [], "neither a cable nor another token uses it up"
    world.station.tap(1, "AA11")
    world.run(5)
    assert news(world) == [(1, "Occupied")]


@pytest.mark.parametrize("version", VERSIONS)
def test_after_an_absence(make_world, version):
    """B04: short, what has changed; long, everything. 2.1 tells it by events."""
    world = ready(make_world, version)
    news(world)
    look = news if version == "2.0.1" else events
    world.offline()
    world.run(20)
    world.station.plug(2, world.car())
    world.online()
    world.run(30)
    assert look(world) == [(2, "Occupied")]
    world.offline()
    world.run(90)
    world.online()
    world.run(300)
    assert world.station.online and look(world) == [(1, "Available"), (2, "Occupied")]
    world.station.unplug(2)
    world.run(5)
    assert news(world)[-1] == (2, "Available") and events(world) == []


@pytest.mark.parametrize("version", ["1.6", *VERSIONS])
def test_nothing_flows_where_the_plug_is_not_held(make_world, version):
    world = ready(make_world, version)
    evse = world.station.evses[0]
    evse.lock_fails = True
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(120)
    assert evse.session is not None and evse.meter.register_wh == 0
    if version == "1.6":
        assert world.csms.heard("StatusNotification")[-1].error_code == "ConnectorLockFailure"
        return
    told = [event for request in world.csms.heard("NotifyEvent") for event in request.event_data]
    [event] = [one for one in told if one.component.name == "ConnectorPlugRetentionLock"]
    assert (event.variable.name, event.actual_value, event.component.evse.id) == ("Problem", "true", 1)
    assert event.event_notification_type == "HardWiredNotification"
    if version == "2.1":
        assert event.severity == 1
    assert world.csms.heard("TransactionEvent")[-1].transaction_info.charging_state in (None, "SuspendedEVSE")
    m = world.csms.messages
    where = m.ComponentType(name="ConnectorPlugRetentionLock", evse=m.EVSEType(id=1, connector_id=1))
    asked = m.GetVariableDataType(component=where, variable=m.VariableType(name="Problem"))
    [problem] = ask(world, "GetVariables", get_variable_data=[asked]).get_variable_result
    assert problem.attribute_value == "true"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_fixed_cable_needs_no_lock(make_world, version):
    world = ready(make_world, version, evses=(EvseConfig(fixed_cable=True),))
    world.station.evses[0].lock_fails = True
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(600)
    assert world.station.evses[0].meter.register_wh > 0 and not world.csms.heard("NotifyEvent")
