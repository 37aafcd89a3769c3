"""Reports of the device model."""

from __future__ import annotations

import pytest

from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.station.config import EvseConfig

VERSIONS = ("2.0.1", "2.1")


def ready(make_world, version, **more):
    world = make_world(version, evses=(EvseConfig(), EvseConfig()), **more)
    world.station.power_on()
    world.run(5)
    return world


def ask(world, action, **fields):
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(2)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def report(world, action, **fields):
    before = len(world.csms.heard("NotifyReport"))
    answer = ask(world, action, request_id=9, **fields)
    world.run(10)
    parts = world.csms.heard("NotifyReport")[before:]
    assert [part.seq_no for part in parts] == list(range(len(parts)))
    assert [bool(part.tbc) for part in parts] == [True] * (len(parts) - 1) + [False] * bool(parts)
    assert all(part.request_id == 9 for part in parts)
    rows = [row for part in parts for row in part.report_data]
    places = [
        (
            row.component.name,
            row.component.evse and (row.component.evse.id, row.component.evse.connector_id),
            row.variable.name,
            row.variable.instance,
        )
        for row in rows
    ]
    instances = [row.component.instance for row in rows]
    assert len(set(zip(places, instances, strict=True))) == len(places)
    assert all(row.variable_characteristics is not None for row in rows)
    return answer, places


def named(world, component, variable=None, *, evse=None, connector=None, instance=None):
    m = world.csms.messages
    place = None if evse is None else m.EVSEType(id=evse, connector_id=connector)
    return m.ComponentVariableType(
        component=m.ComponentType(name=component, evse=place),
        variable=None if variable is None else m.VariableType(name=variable, instance=instance),
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_base_reports(make_world, version):
    world = ready(make_world, version)
    answer, full = report(world, "GetBaseReport", report_base="FullInventory")
    assert answer.status == "Accepted" and len(world.csms.heard("NotifyReport")) > 1
    _, configuration = report(world, "GetBaseReport", report_base="ConfigurationInventory")
    assert set(configuration) < set(full)
    _, summary = report(world, "GetBaseReport", report_base="SummaryInventory")
    assert {place[2] for place in summary} == {"AvailabilityState"} and len(summary) == 5
    world.station.break_down(2)
    _, summary = report(world, "GetBaseReport", report_base="SummaryInventory")
    assert ("EVSE", (2, None), "Problem", None) in summary and ("EVSE", (1, None), "Problem", None) not in summary


@pytest.mark.parametrize("version", VERSIONS)
def test_reports_of_what_is_named(make_world, version):
    world = ready(make_world, version)
    one = [named(world, "evse", "POWER", evse=2)]
    assert report(world, "GetReport", component_variable=one)[1] == [("EVSE", (2, None), "Power", None)]
    every = [named(world, "EVSE", "Power")]
    assert [p[1] for p in report(world, "GetReport", component_variable=every)[1]] == [(1, None), (2, None)]
    whole = report(world, "GetReport", component_variable=[named(world, "Connector", evse=1)])[1]
    assert {p[1] for p in whole} == {(1, 1)} and len(whole) == 4
    instances = [named(world, "DeviceDataCtrlr", "ItemsPerMessage")]
    assert {p[3] for p in report(world, "GetReport", component_variable=instances)[1]} == {
        "GetReport", "GetVariables", "SetVariables",
    }  # fmt: skip
    single = [named(world, "DeviceDataCtrlr", "ItemsPerMessage", instance="GetReport")]
    assert len(report(world, "GetReport", component_variable=single)[1]) == 1
    none = [named(world, "Fridge"), named(world, "EVSE", "Power", evse=9)]
    answer, places = report(world, "GetReport", component_variable=none)
    assert answer.status == "EmptyResultSet" and places == []
    error = ask(world, "GetReport", request_id=1, component_variable=one * 51)
    assert isinstance(error, RpcError) and error.code == "OccurrenceConstraintViolation"


@pytest.mark.parametrize("version", VERSIONS)
def test_reports_by_criteria(make_world, version):
    world = ready(make_world, version)
    everything = report(world, "GetReport")[1]
    answer, places = report(world, "GetReport", component_criteria=["Problem"])
    assert answer.status == "EmptyResultSet" and not places
    world.station.break_down(1)
    places = report(world, "GetReport", component_criteria=["Problem"])[1]
    assert {(p[0], p[1]) for p in places} == {("EVSE", (1, None)), ("ChargingStation", None)}
    ask(
        world,
        "SetVariables",
        set_variable_data=[
            world.csms.messages.SetVariableDataType(
                attribute_value="false",
                component=world.csms.messages.ComponentType(name="ReservationCtrlr"),
                variable=world.csms.messages.VariableType(name="Enabled"),
            )
        ],
    )
    places = report(world, "GetReport", component_criteria=["Enabled"])[1]
    assert "ReservationCtrlr" not in {p[0] for p in places} and "OCPPCommCtrlr" in {p[0] for p in places}
    both = report(world, "GetReport", component_criteria=["Enabled", "Available"])[1]
    assert set(both) == set(everything)
    mixed = report(
        world, "GetReport", component_criteria=["Problem"], component_variable=[named(world, "EVSE", "Power")]
    )[1]
    assert mixed == [("EVSE", (1, None), "Power", None)]
    unknown = world.csms.messages.ComponentType(name="EVSE", instance="left", evse=world.csms.messages.EVSEType(id=1))
    found = ask(
        world,
        "GetVariables",
        get_variable_data=[
            world.csms.messages.GetVariableDataType(
                component=unknown, variable=world.csms.messages.VariableType(name="Power")
            )
        ],
    )
    assert found.get_variable_result[0].attribute_status == "UnknownComponent"
