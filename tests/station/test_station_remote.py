"""Remote control of a 2.x station: starts, stops and messages that the CSMS asks for (F01 to F06)."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from pilotwire.core.time import to_datetime
from pilotwire.station.config import EvseConfig

VERSIONS = ("2.0.1", "2.1")
TWO = (EvseConfig(), EvseConfig())
TOKEN = "REMOTE"


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


def start(world, evse=1, *, token=TOKEN, kind="Central", profile=None, **more):
    id_token = world.csms.messages.IdTokenType(id_token=token, type=kind)
    return ask(
        world,
        "RequestStartTransaction",
        evse_id=evse,
        remote_start_id=9,
        id_token=id_token,
        charging_profile=profile,
        **more,
    )


def events(world, kind=None):
    return [event for event in world.csms.heard("TransactionEvent") if kind in (None, event.event_type)]


def course(world):
    """What the events say of the transaction, but for who began it."""
    return [(e.event_type, e.seq_no, e.transaction_info.charging_state, bool(e.id_token)) for e in events(world)]


def measured(event):
    return {row.measurand for value in event.meter_value or () for row in value.sampled_value}


def limit(world, amperes, **more):
    """A TxProfile for a transaction that is only about to begin."""
    m = world.csms.messages
    period = m.ChargingSchedulePeriodType(start_period=0, limit=amperes)
    schedule = m.ChargingScheduleType(id=1, charging_rate_unit="A", charging_schedule_period=[period])
    fields = {"charging_profile_purpose": "TxProfile", "charging_profile_kind": "Relative", **more}
    return m.ChargingProfileType(id=5, stack_level=0, charging_schedule=[schedule], **fields)


@pytest.mark.parametrize("version", VERSIONS)
def test_from_a_remote_start_to_a_remote_stop(make_world, version):
    settings = {
        "sample_interval": "60",
        "started": "Energy.Active.Import.Register,Voltage",
        "sampled": "Energy.Active.Import.Register,Power.Active.Import",
        "ended": "Energy.Active.Import.Register,Current.Import",
    }
    world = ready(make_world, version, settings=settings)
    world.station.plug(1, world.car())
    world.run(2)
    assert start(world).status == "Accepted"
    world.run(200)
    first, *others = events(world)
    info = first.transaction_info
    assert (first.event_type, first.trigger_reason, info.remote_start_id) == ("Started", "RemoteStart", 9)
    assert (first.id_token.id_token, first.id_token.type) == (TOKEN, "Central")
    assert measured(first) == set(settings["started"].split(","))
    assert {e.event_type for e in others} == {"Updated"} and not any(e.id_token for e in others)
    reasons = [e.trigger_reason for e in others]
    assert reasons == ["ChargingStateChanged", *["MeterValuePeriodic"] * 3]
    for event in others[1:]:
        assert measured(event) == set(settings["sampled"].split(","))
    key = info.transaction_id
    assert ask(world, "RequestStopTransaction", transaction_id=key).status == "Accepted"
    [last] = events(world, "Ended")
    assert (last.trigger_reason, last.transaction_info.stopped_reason) == ("RemoteStop", "Remote")
    assert last.transaction_info.transaction_id == key and world.station.evses[0].meter.power_mw == 0
    assert measured(last) == set(settings["ended"].split(","))
    assert ask(world, "RequestStopTransaction", transaction_id=key).status == "Rejected"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_remote_stop_where_the_cable_ends_the_transaction(make_world, version):
    """The energy stops at once, the cable is free, and the end is told when it is pulled."""
    settings = {"stop_point": "EVConnected", "unlock_on_disconnect": "false", "ended": "Energy.Active.Import.Register"}
    world = ready(make_world, version, settings=settings)
    world.station.plug(1, world.car())
    start(world)
    world.run(60)
    key, evse = events(world)[0].transaction_info.transaction_id, world.station.evses[0]
    assert evse.meter.power_mw > 0
    assert ask(world, "RequestStopTransaction", transaction_id=key).status == "Accepted"
    told = events(world)[-1]
    assert (told.event_type, told.trigger_reason, told.transaction_info.charging_state) == (
        "Updated", "RemoteStop", "EVConnected",
    )  # fmt: skip
    assert evse.meter.power_mw == 0
    world.run(60)
    assert not events(world, "Ended") and evse.meter.power_mw == 0
    world.station.unplug(1)
    world.run(5)
    [last] = events(world, "Ended")
    assert (last.trigger_reason, last.transaction_info.stopped_reason) == ("EVCommunicationLost", "Remote")
    assert measured(last) == {"Energy.Active.Import.Register"}
    assert not evse.cable_left and world.csms.heard("StatusNotification")[-1].connector_status == "Available"


@pytest.mark.parametrize("version", VERSIONS)
def test_long_before_a_remote_stop_readings_are_thinned_out(make_world, version):
    world = ready(make_world, version, settings={"ended_interval": "2", "sample_interval": "0"})
    world.station.plug(1, world.car())
    start(world)
    world.run(450)
    ask(world, "RequestStopTransaction", transaction_id=events(world)[0].transaction_info.transaction_id)
    [last] = events(world, "Ended")
    times = [value.timestamp for value in last.meter_value]
    gaps = [(after - before).total_seconds() for before, after in pairwise(times)]
    assert len(times) < 225 and (times[0], times[-1]) == (events(world)[0].timestamp, last.timestamp)
    assert sorted(set(gaps[:-1])) == [2, 4] and gaps.count(4) > 90
    contexts = [value.sampled_value[0].context for value in last.meter_value]
    assert (contexts[0], contexts[-1]) == ("Transaction.Begin", "Transaction.End")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_remote_start_goes_as_a_local_one_does(make_world, version):
    far, near = ready(make_world, version), ready(make_world, version)
    for world in (far, near):
        world.station.plug(1, world.car())
        world.run(2)
    start(far)
    near.station.tap(1, TOKEN, "Central")
    near.run(2)
    for world in (far, near):
        world.run(300)
    assert course(far) == course(near) and len(course(far)) > 4


@pytest.mark.parametrize("version", VERSIONS)
def test_a_remote_start_without_a_cable_goes_as_a_local_one_does(make_world, version):
    far, near = ready(make_world, version), ready(make_world, version)
    start(far)
    near.station.tap(1, TOKEN, "Central")
    near.run(2)
    for world in (far, near):
        world.run(20)
        world.station.plug(1, world.car())
        world.run(300)
    assert course(far) == course(near) and len(course(far)) > 4
    [first] = events(far, "Started")
    assert (first.trigger_reason, first.transaction_info.remote_start_id) == ("RemoteStart", 9)
    assert (first.id_token.id_token, first.id_token.type) == (TOKEN, "Central")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_station_finds_a_place_where_none_is_named(make_world, version):
    """Where a cable is in before the others, never where somebody charges, nor at what cannot be used."""
    world = ready(make_world, version, evses=(*TWO, *TWO))
    world.station.plug(2, world.car())
    assert start(world, None).status == "Accepted"
    assert start(world, None, token="SECOND").status == "Accepted"
    world.station.break_down(3)
    evse = world.csms.messages.EVSEType(id=4)
    ask(world, "ChangeAvailability", operational_status="Inoperative", evse=evse)
    for number, why in ((2, "somebody charges"), (1, "somebody is awaited"), (3, "Faulted"), (4, "Unavailable")):
        assert start(world, number, token="THIRD").status == "Rejected", why
    assert start(world, None, token="THIRD").status == "Rejected"
    world.station.plug(1, world.car())
    world.run(5)
    assert [(e.evse.id, e.id_token.id_token) for e in events(world, "Started")] == [(2, TOKEN), (1, "SECOND")]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cable_is_awaited_for_so_long(make_world, version):
    world = ready(make_world, version, settings={"connection_timeout": "30"})
    assert start(world).status == "Accepted"
    world.run(20)
    world.station.plug(1, world.car())
    world.run(10)
    [first] = events(world, "Started")
    assert first.transaction_info.remote_start_id == 9 and first.id_token.id_token == TOKEN
    world.station.unplug(1)
    world.run(5)
    start(world, token="LATE")
    world.run(40)
    world.station.plug(1, world.car())
    world.run(10)
    assert len(events(world, "Started")) == 1


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("stop", "fate"),
    [
        ("EVConnected", ("Ended", "EVConnectTimeout", "Timeout")),
        ("Authorized", ("Ended", "EVConnectTimeout", "Timeout")),
        ("ParkingBayOccupancy", ("Updated", "EVConnectTimeout", None)),
    ],
)
def test_a_transaction_without_a_cable_ends_or_loses_its_authorization(make_world, version, stop, fate):
    settings = {"start_point": "Authorized", "stop_point": stop, "connection_timeout": "30"}
    world = ready(make_world, version, settings=settings)
    world.station.arrive(1)
    start(world)
    world.run(25)
    [first] = events(world)
    assert (first.event_type, first.trigger_reason, first.transaction_info.remote_start_id) == (
        "Started", "RemoteStart", 9,
    )  # fmt: skip
    world.run(10)
    last = events(world)[-1]
    assert (last.event_type, last.trigger_reason, last.transaction_info.stopped_reason) == fate
    world.station.plug(1, world.car())
    world.run(10)
    assert world.station.evses[0].meter.power_mw == 0


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("looked_up", [True, False])
def test_a_token_is_looked_up_where_it_is_set_so(make_world, version, looked_up):
    world = ready(make_world, version, settings={"authorize_remote": "true" if looked_up else "false"})
    world.station.plug(1, world.car())
    assert start(world, kind="ISO14443").status == "Accepted"
    world.run(10)
    order = [said.action for said in world.csms.said if said.action in ("Authorize", "TransactionEvent")]
    assert order[0] == ("Authorize" if looked_up else "TransactionEvent")
    assert order.count("Authorize") == looked_up and len(events(world, "Started")) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_profiles_that_come_with_a_start(make_world, version):
    world = ready(make_world, version, evses=TWO)
    world.station.plug(1, world.car())
    wrong = {
        "another purpose": {"charging_profile_purpose": "TxDefaultProfile"},
        "a transaction": {"transaction_id": "some"},
    }
    for why, fields in wrong.items():
        answer = start(world, profile=limit(world, 10, **fields))
        assert (answer.status, answer.status_info.reason_code) == ("Rejected", "InvalidProfile"), why
    assert start(world, profile=limit(world, -1)).status == "Rejected"
    world.run(30)
    assert not events(world)
    assert start(world, profile=limit(world, 10)).status == "Accepted"
    world.run(30)
    assert world.station.evses[0].meter.currents == (10_000,) * 3


@pytest.mark.parametrize("version", VERSIONS)
def test_without_smart_charging_a_profile_means_nothing(make_world, version):
    world = ready(make_world, version, settings={"smart_enabled": "false"})
    world.station.plug(1, world.car())
    assert start(world, profile=limit(world, 10, charging_profile_purpose="TxDefaultProfile")).status == "Accepted"
    world.run(30)
    assert world.station.evses[0].meter.currents == (16_000,) * 3


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_asked_for_says_how_things_are_now(make_world, version):
    world = ready(make_world, version, evses=TWO, settings={"sample_interval": "900"})
    m = world.csms.messages
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(600)

    def asked(message, evse=None, connector=None):
        place = None if evse is None else m.EVSEType(id=evse, connector_id=connector)
        before = len(world.csms.said)
        answer = ask(world, "TriggerMessage", requested_message=message, evse=place)
        return answer.status, [said.request for said in world.csms.said[before:] if said.action == message]

    now = to_datetime(world.scheduler.now())
    status, [event] = asked("TransactionEvent", 1)
    register = next(row.value for value in event.meter_value for row in value.sampled_value
                    if row.measurand == "Energy.Active.Import.Register")  # fmt: skip
    assert (status, event.trigger_reason) == ("Accepted", "Trigger")
    assert abs(int(register) - world.station.evses[0].meter.register_wh) < 10 < register
    assert event.timestamp - now < timedelta(seconds=3)
    status, [told] = asked("StatusNotification", 1, 1)
    assert (status, told.connector_status) == ("Accepted", "Occupied") and told.timestamp >= now
    assert asked("StatusNotification", 2, 1)[1][0].connector_status == "Available"
    # An EVSE that means nothing to the message is not looked at, whether there is one or not.
    for number in (1, 2, 9):
        status, found = asked("Heartbeat", number)
        assert (status, len(found)) == ("Accepted", 1)
    # What it cannot send it refuses, and sends nothing.
    assert asked("TransactionEvent", 2) == ("Rejected", [])
    assert asked("BootNotification") == ("Rejected", [])


@pytest.mark.parametrize("version", VERSIONS)
def test_how_far_a_log_is(make_world, version):
    world = ready(make_world, version, firmware_step_ms=60_000)
    m = world.csms.messages
    log = m.LogParametersType(remote_location="https://logs.example/")
    ask(world, "GetLog", log=log, log_type="SecurityLog", request_id=3)

    def asked():
        assert ask(world, "TriggerMessage", requested_message="LogStatusNotification").status == "Accepted"
        last = world.csms.heard("LogStatusNotification")[-1]
        return last.status, last.request_id

    before = len(world.csms.heard("LogStatusNotification"))
    assert asked() == ("Uploading", 3) and len(world.csms.heard("LogStatusNotification")) == before + 1
    world.run(90)
    assert asked() == ("Idle", None)


def test_custom_triggers(make_world):
    world = ready(make_world, "2.1")
    m = world.csms.messages
    place = m.GetVariableDataType(
        component=m.ComponentType(name="CustomizationCtrlr"), variable=m.VariableType(name="CustomTriggers")
    )
    [found] = ask(world, "GetVariables", get_variable_data=[place]).get_variable_result
    names = found.attribute_value.split(",")
    for name in names:
        before = len(world.csms.said)
        answer = ask(world, "TriggerMessage", requested_message="CustomTrigger", custom_trigger=name)
        assert answer.status == "Accepted" and len(world.csms.said) > before, name
    for name in ("Sing", "StatusNotification", None):
        before = len(world.csms.said)
        answer = ask(world, "TriggerMessage", requested_message="CustomTrigger", custom_trigger=name)
        assert answer.status == "NotImplemented" and len(world.csms.said) == before, name


@pytest.mark.parametrize("version", VERSIONS)
def test_data_of_vendors(make_world, version):
    """It knows no vendor's messages, however long, and says all that it has to say in the standard's own."""
    world = ready(make_world, version)
    for data in (None, "x" * 50_000, {"a": [1, 2]}):
        answer = ask(world, "DataTransfer", vendor_id="com.example", message_id="Sing", data=data)
        assert answer.status == "UnknownVendorId"
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(120)
    world.station.break_down(1)
    world.station.power_off()
    world.station.power_on()
    world.run(60)
    assert len({said.action for said in world.csms.said}) > 3 and not world.csms.heard("DataTransfer")
