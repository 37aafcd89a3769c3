"""Logs that are left, monitors and what they tell, streams of values, what is kept of customers (2.x N)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from pilotwire.core.time import to_datetime
from pilotwire.crypto.certificates import make_authority
from pilotwire.protocols.ocpp.rpc.machine import SendReceived
from pilotwire.station.config import EvseConfig
from pilotwire.station.program import Station

VERSIONS = ("2.0.1", "2.1")


class Shelf:
    """Files that were left; `refuses` says that they are not taken."""

    def __init__(self):
        self.left = {}
        self.refuses = False
        self.trusted = []

    def trust(self, roots):
        self.trusted.append(roots)
        return self

    def fetch(self, url, done):
        done(None)

    def leave(self, url, name, data, done):
        self.left[url] = (name, data)
        done(not self.refuses)

    def publish(self, name, data):
        return ()

    def withdraw(self, name):
        return False


def ready(make_world, version, *, files=None, **more):
    world = make_world(version, **more)
    if files is not None:
        world.station = Station(
            world.config, world.scheduler, world.network.dialer("CS-1", user="CS-1", password=b"secret"), world.ids,
            world.random, world.storage, files=files,
        )  # fmt: skip
    world.station.power_on()
    world.run(5)
    return world


def ask(world, action, **fields):
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(2)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


# ── N01 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
def log(world, kind="SecurityLog", place="https://logs.example/a", number=3, **more):
    where = world.csms.messages.LogParametersType(remote_location=place, **more)
    return ask(world, "GetLog", log=where, log_type=kind, request_id=number)


def told(world):
    return [(row.status, row.request_id) for row in world.csms.heard("LogStatusNotification")]


@pytest.mark.parametrize("version", VERSIONS)
def test_one_log_file_of_the_kind_that_is_asked_for(make_world, version):
    shelf = Shelf()
    world = ready(make_world, version, files=shelf, security_events=True)
    answer = log(world)
    assert (answer.status, answer.filename) == ("Accepted", "CS-1-SecurityLog.log")
    world.run(30)
    assert told(world) == [("Uploading", 3), ("Uploaded", 3)] and list(shelf.left) == ["https://logs.example/a"]
    name, security = shelf.left["https://logs.example/a"]
    assert name == "CS-1-SecurityLog.log" and b"Startup" in security and b"EVSE 1" not in security
    log(world, "DiagnosticsLog", "https://logs.example/b", 4)
    world.run(30)
    name, diagnostics = shelf.left["https://logs.example/b"]
    assert name == "CS-1-DiagnosticsLog.log" and b"EVSE 1" in diagnostics and len(shelf.left) == 2
    shelf.refuses = True
    log(world, "DiagnosticsLog", "https://logs.example/c", 5)
    world.run(30)
    assert told(world)[-2:] == [("Uploading", 5), ("UploadFailure", 5)]
    ask(world, "TriggerMessage", requested_message="LogStatusNotification")
    assert told(world)[-1] == ("Idle", None)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_log_that_is_not_there(make_world, version):
    world = ready(make_world, version, files=Shelf())
    since = to_datetime(world.scheduler.now()) + timedelta(days=1)
    assert log(world, oldest_timestamp=since).status == "Rejected"
    assert log(world, oldest_timestamp=since - timedelta(days=2)).status == "Accepted"
    world.run(30)
    if version == "2.1":
        assert log(world, "DataCollectorLog").status == "Rejected"
    world.run(30)
    assert told(world) == [("Uploading", 3), ("Uploaded", 3)]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_roots_of_the_csms_are_trusted_with_files(make_world, version):
    shelf = Shelf()
    world = ready(make_world, version, files=shelf)
    log(world)
    world.run(30)
    assert shelf.trusted == []
    root = make_authority("Ours", now=to_datetime(world.scheduler.now())).certificate_pem
    installed = ask(world, "InstallCertificate", certificate_type="CSMSRootCertificate", certificate=root)
    assert installed.status == "Accepted"
    log(world, place="https://logs.example/b")
    world.run(30)
    [trusted] = shelf.trusted
    assert trusted.strip() == root.strip() and "https://logs.example/b" in shelf.left


@pytest.mark.parametrize("version", VERSIONS)
def test_a_newer_log_calls_the_older_off(make_world, version):
    shelf = Shelf()
    world = ready(make_world, version, files=shelf)
    assert log(world, number=3).status == "Accepted"
    ask(world, "TriggerMessage", requested_message="LogStatusNotification")
    assert log(world, place="https://logs.example/b", number=4).status == "AcceptedCanceled"
    world.run(30)
    assert told(world) == [
        ("Uploading", 3), ("Uploading", 3), ("AcceptedCanceled", 3), ("Uploading", 4), ("Uploaded", 4),
    ]  # fmt: skip
    assert list(shelf.left) == ["https://logs.example/b"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "place", ["https://logs.example/x/", "https://logs.example/x", "https://u:p@logs.example/x?y=1"]
)
def test_the_place_is_completed_by_the_name_where_it_ends_with_a_slash(make_world, version, place):
    shelf = Shelf()
    world = ready(make_world, version, files=shelf)
    name = log(world, place=place).filename
    world.run(30)
    completed = place + name if version == "2.1" and place.endswith("/") else place
    assert list(shelf.left) == [completed]


# ── N02 to N08 ───────────────────────────────────────────────────────────────────────────────────────────────────────
def row(world, kind, value, variable="Power", *, evse=1, severity=3, component="EVSE", instance=None, **more):
    m = world.csms.messages
    return m.SetMonitoringDataType(
        value=Decimal(value),
        type=kind,
        severity=severity,
        component=m.ComponentType(name=component, evse=None if evse is None else m.EVSEType(id=evse)),
        variable=m.VariableType(name=variable, instance=instance),
        **more,
    )


def watch(world, *args, **more):
    rows = [row(world, *args, **more)]
    [result] = ask(world, "SetVariableMonitoring", set_monitoring_data=rows).set_monitoring_result
    assert result.status == "Accepted"
    return result.id


def report(world, *places, **fields):
    m = world.csms.messages
    before = len(world.csms.heard("NotifyMonitoringReport"))
    asked = [
        m.ComponentVariableType(
            component=m.ComponentType(
                name=component,
                instance=component_instance,
                evse=None if evse is None else m.EVSEType(id=evse, connector_id=connector),
            ),
            variable=None if variable is None else m.VariableType(name=variable, instance=instance),
        )
        for component, component_instance, evse, connector, variable, instance in places
    ]
    status = ask(world, "GetMonitoringReport", request_id=5, component_variable=asked or None, **fields).status
    world.run(5)
    parts = world.csms.heard("NotifyMonitoringReport")[before:]
    return status, sorted(one.id for part in parts for found in part.monitor for one in found.variable_monitoring)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_report_leaves_open_what_is_not_named(make_world, version):
    world = ready(make_world, version, evses=(EvseConfig(), EvseConfig()))
    m = world.csms.messages
    assert ask(world, "SetMonitoringBase", monitoring_base="HardWiredOnly").status == "Accepted"
    items = [
        watch(world, "Delta", 1, "ItemsPerMessage", component="DeviceDataCtrlr", evse=None, instance=instance)
        for instance in ("GetReport", "GetVariables")
    ]
    data = row(world, "Delta", 1, "AvailabilityState", component="Connector")
    data.component = m.ComponentType(name="Connector", evse=m.EVSEType(id=2, connector_id=1))
    [connector] = ask(world, "SetVariableMonitoring", set_monitoring_data=[data]).set_monitoring_result
    assert len({*items, connector.id}) == 3 and all(items), "each has an id that the station has chosen"
    device = ("DeviceDataCtrlr", None, None, None)
    assert report(world, (*device, "ItemsPerMessage", None)) == ("Accepted", items)
    assert report(world, (*device, "ItemsPerMessage", "GetVariables")) == ("Accepted", items[1:])
    assert report(world, ("Connector", None, 2, None, "AvailabilityState", None)) == ("Accepted", [connector.id])
    assert report(world, ("Connector", None, 1, None, "AvailabilityState", None)) == ("EmptyResultSet", [])
    assert report(world, ("EVSE", None, None, None, "Problem", None)) == ("Accepted", [1, 2])
    assert report(world, ("EVSE", "left", None, None, "Problem", None)) == ("EmptyResultSet", [])
    assert report(world, monitoring_criteria=["DeltaMonitoring"]) == ("Accepted", [1, 2, *items, connector.id])


def events(world, monitor):
    told = [event for request in world.csms.heard("NotifyEvent") for event in request.event_data]
    return [event for event in told if event.variable_monitoring_id == monitor]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["UpperThreshold", "LowerThreshold"])
def test_a_monitor_that_is_removed_tells_no_end(make_world, version, kind):
    world = ready(make_world, version)
    monitor = watch(world, kind, 5000)
    if kind == "UpperThreshold":
        world.station.plug(1, world.car())
        world.station.tap(1, "AA11")
        world.run(30)
    assert [bool(event.cleared) for event in events(world, monitor)] == [False]
    ask(world, "ClearVariableMonitoring", id=[monitor])
    world.station.unplug(1)
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(30)
    world.station.unplug(1)
    world.run(30)
    assert len(events(world, monitor)) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_grave_periodic_values_wait_for_the_connection(make_world, version):
    world = ready(make_world, version)
    grave, slight = watch(world, "Periodic", 60, severity=4), watch(world, "PeriodicClockAligned", 60, severity=5)
    world.offline()
    world.run(3600)
    world.online()
    world.run(600)
    times = [event.timestamp for event in events(world, grave)]
    assert len(times) > 60 and {(after - before).seconds for before, after in pairwise(times)} == {60}
    assert 8 <= len(events(world, slight)) < 20


# ── N15 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_stream_is_never_told_in_larger_pieces(make_world):
    """2.1 N15.FR.07: not by time, not after an absence, and not at its end."""
    world = make_world("2.1")
    sizes = []
    whole = world.csms.frame

    def frame(data):
        if data.startswith(b"[6,"):
            event = world.csms.rpc.receive(data, int(world.scheduler.now()))
            assert isinstance(event, SendReceived)
            told: Any = event.request
            sizes.append((len(told.data), told.pending))
        else:
            whole(data)

    world.csms.frame = frame
    accepted = world.csms.messages.OpenPeriodicEventStreamResponse(status="Accepted")
    world.csms.scripts["OpenPeriodicEventStream"] = lambda request: accepted
    world.station.power_on()
    world.run(5)
    pace = world.csms.messages.PeriodicEventStreamParamsType(interval=7, values=4)
    monitor = watch(world, "Periodic", 1, periodic_event_stream=pace)
    world.run(21)
    world.offline()
    world.run(30)
    world.online()
    world.run(60)
    world.run(1.5)
    ask(world, "ClearVariableMonitoring", id=[monitor])
    assert {size for size, _ in sizes} <= {1, 2, 3, 4} and max(pending for _, pending in sizes) > 20


# ── N09, N10 ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("report", [True, False])
def test_nobody_who_charges_is_forgotten(make_world, version, report):
    world = ready(make_world, version)
    token = world.csms.messages.IdTokenType(id_token="AA11", type="ISO14443")
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(30)
    asked = {"request_id": 3, "report": report, "clear": True, "id_token": token}
    assert ask(world, "CustomerInformation", **asked).status == "Rejected"
    assert not world.csms.heard("NotifyCustomerInformation")
    world.station.tap(1, "AA11")
    world.run(30)
    assert ask(world, "CustomerInformation", **asked).status == "Accepted"
    [part] = world.csms.heard("NotifyCustomerInformation")
    assert ("AA11" in part.data) is report
