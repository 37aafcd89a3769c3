"""Monitors: set, clear, base, level, report, and the events that they lead to."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.station.config import EvseConfig
from pilotwire.station.monitors import MOST

VERSIONS = ("2.0.1", "2.1")


def ready(make_world, version, **more):
    world = make_world(version, **more)
    world.station.power_on()
    world.run(5)
    return world


def ask(world, action, **fields):
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(2)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def row(world, kind, value, variable="Power", *, component="EVSE", evse=1, severity=3, **more):
    m = world.csms.messages
    return m.SetMonitoringDataType(
        value=Decimal(value),
        type=kind,
        severity=severity,
        component=m.ComponentType(name=component, evse=None if evse is None else m.EVSEType(id=evse)),
        variable=m.VariableType(name=variable),
        **more,
    )


def watch(world, *args, **more):
    [result] = ask(
        world, "SetVariableMonitoring", set_monitoring_data=[row(world, *args, **more)]
    ).set_monitoring_result
    return result.status, result.id


def events(world, monitor=None):
    told = []
    for request in world.csms.heard("NotifyEvent"):
        assert request.seq_no == 0 and not request.tbc
        told += request.event_data
    monitored = [event for event in told if event.variable_monitoring_id is not None]
    return [event for event in monitored if monitor in (None, event.variable_monitoring_id)]


def charge(world):
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(30)


def restart(world):
    world.station.power_off()
    world.run(20)
    world.station = world.build()
    world.station.power_on()
    world.run(20)


@pytest.mark.parametrize("version", VERSIONS)
def test_upper_threshold(make_world, version):
    world = ready(make_world, version)
    status, id_ = watch(world, "UpperThreshold", 5000)
    assert status == "Accepted" and events(world, id_) == []
    charge(world)
    [event] = events(world, id_)
    assert (event.trigger, event.cleared, event.event_notification_type) == ("Alerting", None, "CustomMonitor")
    assert int(event.actual_value) > 5000 and event.component.evse.id == 1 and event.variable.name == "Power"
    assert event.transaction_id == world.station.truth[0].session
    if version == "2.1":
        assert event.severity == 3
    world.run(600)
    assert len(events(world, id_)) == 1  # exceeding it is told once
    world.station.tap(1, "AA11")
    world.run(5)
    assert [bool(e.cleared) for e in events(world, id_)] == [False, True]
    assert events(world, id_)[0].event_id < events(world, id_)[1].event_id


@pytest.mark.parametrize("version", VERSIONS)
def test_lower_threshold_and_a_new_value(make_world, version):
    world = ready(make_world, version)
    _, id_ = watch(world, "LowerThreshold", 3000)
    assert [bool(e.cleared) for e in events(world, id_)] == [False]  # 0 W is below
    charge(world)
    assert [bool(e.cleared) for e in events(world, id_)] == [False, True]
    assert watch(world, "LowerThreshold", 22000, id=id_) == ("Accepted", id_)
    assert [bool(e.cleared) for e in events(world, id_)] == [False, True, False]
    assert watch(world, "LowerThreshold", 21000, id=id_) == ("Accepted", id_)
    assert len(events(world, id_)) == 4  # N07.FR.11: the new one is exceeded, too
    assert watch(world, "LowerThreshold", 10, id=id_) == ("Accepted", id_)
    assert bool(events(world, id_)[-1].cleared)


@pytest.mark.parametrize("version", VERSIONS)
def test_delta_of_numbers_and_of_words(make_world, version):
    world = ready(make_world, version)
    _, power = watch(world, "Delta", 2000)
    m = world.csms.messages
    data = row(world, "Delta", 1, "AvailabilityState")
    data.component = m.ComponentType(name="Connector", evse=m.EVSEType(id=1, connector_id=1))
    [result] = ask(world, "SetVariableMonitoring", set_monitoring_data=[data]).set_monitoring_result
    charge(world)
    assert [e.trigger for e in events(world, power)] == ["Delta"]
    assert [e.actual_value for e in events(world, result.id)] == ["Occupied"]
    world.station.unplug(1)
    world.run(5)
    assert [e.actual_value for e in events(world, result.id)] == ["Occupied", "Available"]
    assert [e.actual_value for e in events(world, power)][1:] == ["0"]


@pytest.mark.parametrize("version", VERSIONS)
def test_periodic(make_world, version):
    world = ready(make_world, version)
    _, id_ = watch(world, "Periodic", 60)
    world.run(185)
    told = events(world, id_)
    assert [e.trigger for e in told] == ["Periodic"] * 3
    gaps = [(b.timestamp - a.timestamp).total_seconds() for a, b in pairwise(told)]
    assert gaps == [60.0, 60.0]
    _, aligned = watch(world, "PeriodicClockAligned", 900)
    world.run(3600)
    assert [(e.timestamp.minute, e.timestamp.second) for e in events(world, aligned)] == [
        (15, 0), (30, 0), (45, 0), (0, 0),
    ]  # fmt: skip
    assert watch(world, "Periodic", 0)[0] == "Rejected"


@pytest.mark.parametrize("version", VERSIONS)
def test_only_during_transactions(make_world, version):
    world = ready(make_world, version)
    _, id_ = watch(world, "Periodic", 60, transaction=True)
    world.run(300)
    assert events(world, id_) == []
    charge(world)
    world.run(120)
    assert len(events(world, id_)) in (2, 3)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_turned_down(make_world, version):
    world = ready(make_world, version)
    assert watch(world, "UpperThreshold", 5, component="Fridge", evse=None)[0] == "UnknownComponent"
    assert watch(world, "UpperThreshold", 5, evse=7)[0] == "UnknownComponent"
    assert watch(world, "UpperThreshold", 5, "Taste")[0] == "UnknownVariable"
    assert watch(world, "UpperThreshold", 5, "AvailabilityState")[0] == "UnsupportedMonitorType"
    assert watch(world, "UpperThreshold", 5, "SupplyPhases")[0] == "UnsupportedMonitorType"
    assert watch(world, "Delta", 1, "BasicAuthPassword", component="SecurityCtrlr", evse=None)[0] == (
        "UnsupportedMonitorType"
    )
    assert watch(world, "UpperThreshold", 30_000_000)[0] == "Rejected"  # N04.FR.06
    assert watch(world, "Delta", -1)[0] == "Rejected"
    assert watch(world, "Delta", 1, severity=10)[0] == "Rejected"
    assert watch(world, "Delta", 1, id=4711) == ("Rejected", 4711)
    assert watch(world, "Delta", 1, "Problem", severity=2)[0] == "Duplicate"  # the wired-in one
    assert watch(world, "Delta", 1, "Problem", severity=4, id=1) == ("Rejected", 1)
    if version == "2.1":
        assert watch(world, "TargetDelta", 1)[0] == "UnsupportedMonitorType"
    status, id_ = watch(world, "UpperThreshold", 5000)
    assert status == "Accepted"
    assert watch(world, "UpperThreshold", 6000)[0] == "Duplicate"
    assert watch(world, "UpperThreshold", 6000, severity=4)[0] == "Accepted"
    assert watch(world, "UpperThreshold", 60, "Temperature", id=id_)[0] == "Rejected"  # N04.FR.16
    many = [row(world, "Delta", 1, severity=0) for _ in range(51)]
    error = ask(world, "SetVariableMonitoring", set_monitoring_data=many)
    assert isinstance(error, RpcError) and error.code == "OccurrenceConstraintViolation"
    assert ask(world, "SetMonitoringLevel", severity=12).status == "Rejected"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_batch_is_answered_row_by_row_and_there_is_an_end_to_it(make_world, version):
    evses = (EvseConfig(),) * 12
    world = ready(make_world, version, evses=evses)
    rows = [row(world, "Delta", 1, evse=1 + n // 10, severity=n % 10) for n in range(MOST)]
    for start in (0, 50):
        results = ask(world, "SetVariableMonitoring", set_monitoring_data=rows[start : start + 50])
        assert [r.status for r in results.set_monitoring_result] == ["Accepted"] * 50
        assert [r.severity for r in results.set_monitoring_result] == [r.severity for r in rows[start : start + 50]]
    assert watch(world, "Delta", 1, evse=12)[0] == "Rejected"


@pytest.mark.parametrize("version", VERSIONS)
def test_level_and_the_offline_queue(make_world, version):
    world = ready(make_world, version)
    _, grave = watch(world, "UpperThreshold", 5000, severity=4)
    _, slight = watch(world, "UpperThreshold", 5000, severity=8)
    assert ask(world, "SetMonitoringLevel", severity=3).status == "Accepted"
    charge(world)
    assert events(world) == []
    world.station.unplug(1)
    world.run(5)
    assert ask(world, "SetMonitoringLevel", severity=9).status == "Accepted"
    assert events(world) == []
    world.offline()
    world.run(5)
    charge(world)
    world.online()
    world.run(120)
    assert [e.variable_monitoring_id for e in events(world)] == [grave]  # N07.FR.04
    world.station.unplug(1)
    world.run(5)
    assert {e.variable_monitoring_id for e in events(world) if e.cleared} == {grave, slight}


@pytest.mark.parametrize("version", VERSIONS)
def test_monitors_and_what_they_saw_survive_a_restart(make_world, version):
    world = ready(make_world, version)
    _, id_ = watch(world, "UpperThreshold", 5000)
    _, periodic = watch(world, "Periodic", 60)
    charge(world)
    assert len(events(world, id_)) == 1
    restart(world)
    assert [bool(e.cleared) for e in events(world, id_)] == [False, True]  # N07.FR.14: the power is gone
    before = len(events(world, periodic))
    world.run(120)
    assert len(events(world, periodic)) == before + 2
    ids = [e.event_id for e in events(world)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_fault_is_told_without_being_asked_for(make_world, version):
    world = ready(make_world, version)
    world.station.break_down(1)
    world.run(2)
    world.station.repair(1)
    world.run(2)
    told = events(world)
    assert [(e.actual_value, e.event_notification_type, e.trigger) for e in told] == [
        ("true", "HardWiredMonitor", "Delta"),
        ("false", "HardWiredMonitor", "Delta"),
    ]


def report(world, **fields):
    before = len(world.csms.heard("NotifyMonitoringReport"))
    status = ask(world, "GetMonitoringReport", request_id=5, **fields).status
    world.run(5)
    parts = world.csms.heard("NotifyMonitoringReport")[before:]
    assert [p.seq_no for p in parts] == list(range(len(parts)))
    assert [bool(p.tbc) for p in parts] == [True] * (len(parts) - 1) + [False] * bool(parts)
    assert all(p.request_id == 5 for p in parts)
    return status, sorted(v.id for p in parts for r in p.monitor for v in r.variable_monitoring)


@pytest.mark.parametrize("version", VERSIONS)
def test_report_clear_and_base(make_world, version):
    world = ready(make_world, version, evses=(EvseConfig(), EvseConfig()))
    m = world.csms.messages
    assert report(world) == ("Accepted", [1, 2, 1001, 1002])
    _, upper = watch(world, "UpperThreshold", 5000)
    _, periodic = watch(world, "Periodic", 60, evse=2)
    assert report(world, monitoring_criteria=["ThresholdMonitoring"]) == ("Accepted", [1001, 1002, upper])
    assert report(world, monitoring_criteria=["DeltaMonitoring", "PeriodicMonitoring"]) == (
        "Accepted",
        [1, 2, periodic],
    )
    power = m.ComponentVariableType(component=m.ComponentType(name="EVSE"), variable=m.VariableType(name="power"))
    assert report(world, component_variable=[power]) == ("Accepted", [upper, periodic])
    second = m.ComponentVariableType(component=m.ComponentType(name="EVSE", evse=m.EVSEType(id=2)))
    assert report(world, component_variable=[second]) == ("Accepted", [2, 1002, periodic])
    assert report(world, component_variable=[power], monitoring_criteria=["DeltaMonitoring"]) == ("EmptyResultSet", [])
    if version == "2.1":
        kinds = {
            v.id: v.event_notification_type
            for p in world.csms.heard("NotifyMonitoringReport")
            for r in p.monitor
            for v in r.variable_monitoring
        }
        assert kinds[1] == "HardWiredMonitor" and kinds[1001] == "PreconfiguredMonitor"
        assert kinds[upper] == "CustomMonitor"
    cleared = ask(world, "ClearVariableMonitoring", id=[1, 1001, upper, 99]).clear_monitoring_result
    assert [(c.id, c.status) for c in cleared] == [
        (1, "Rejected"), (1001, "Accepted"), (upper, "Accepted"), (99, "NotFound"),
    ]  # fmt: skip
    assert report(world) == ("Accepted", [1, 2, 1002, periodic])
    restart(world)
    assert report(world) == ("Accepted", [1, 2, 1002, periodic])
    # N04.FR.15: a changed preconfigured monitor is a custom one, until the factory's come back
    assert watch(world, "UpperThreshold", 40, "Temperature", evse=2, id=1002) == ("Accepted", 1002)
    assert world.station.monitors.find(1002).kind == "CustomMonitor"
    assert ask(world, "SetMonitoringBase", monitoring_base="All").status == "Accepted"
    assert report(world) == ("Accepted", [1, 2, 1001, 1002, periodic])
    assert world.station.monitors.find(1002).value == 40
    assert ask(world, "SetMonitoringBase", monitoring_base="HardWiredOnly").status == "Accepted"
    assert report(world) == ("Accepted", [1, 2])
    assert ask(world, "SetMonitoringBase", monitoring_base="FactoryDefault").status == "Accepted"
    assert report(world) == ("Accepted", [1, 2, 1001, 1002])
    assert world.station.monitors.find(1002).value == 85


@pytest.mark.parametrize("version", VERSIONS)
def test_many_monitors_are_reported_in_parts(make_world, version):
    world = ready(make_world, version, evses=(EvseConfig(),) * 60)
    before = len(world.csms.heard("NotifyMonitoringReport"))
    status, ids = report(world)
    assert status == "Accepted" and len(ids) == 120
    assert len(world.csms.heard("NotifyMonitoringReport")) - before == 3
    for start in (1, 31):
        rows = [row(world, "Delta", 1, "AvailabilityState", evse=evse) for evse in range(start, start + 30)]
        ask(world, "SetVariableMonitoring", set_monitoring_data=rows)
    assert ask(world, "ChangeAvailability", operational_status="Inoperative").status == "Accepted"
    world.run(10)
    parts = world.csms.heard("NotifyEvent")
    assert [(p.seq_no, bool(p.tbc), len(p.event_data)) for p in parts] == [(0, True, 20), (1, True, 20), (2, False, 20)]
    assert {e.actual_value for p in parts for e in p.event_data} == {"Unavailable"}


def test_a_healthy_rapid_charger_at_full_power_is_not_too_hot(make_world):
    world = ready(make_world, "2.1", evses=(EvseConfig(dc=True, max_ma=500_000, max_w=300_000),))
    evse = world.station.evses[0]
    assert evse.celsius == 25
    evse.meter.power_mw = 300_000_000
    assert evse.celsius == 55
