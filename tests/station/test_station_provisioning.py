"""What a station does between power-on and acceptance, with its variables, its connections and its resets (2.x B)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pilotwire.core.errors import LocalError
from pilotwire.core.time import to_datetime
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.station.config import EvseConfig
from pilotwire.station.program import Station

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


def place(world, component, variable, *, instance=None, component_instance=None, evse=None):
    m = world.csms.messages
    where = None if evse is None else m.EVSEType(id=evse)
    return {
        "component": m.ComponentType(name=component, instance=component_instance, evse=where),
        "variable": m.VariableType(name=variable, instance=instance),
    }


def get(world, *args, kind=None, **more):
    data = world.csms.messages.GetVariableDataType(attribute_type=kind, **place(world, *args, **more))
    [result] = ask(world, "GetVariables", get_variable_data=[data]).get_variable_result
    return result


def put(world, value, *args, **more):
    data = world.csms.messages.SetVariableDataType(attribute_value=value, **place(world, *args, **more))
    [result] = ask(world, "SetVariables", set_variable_data=[data]).set_variable_result
    return result


# ── B01 to B03 ───────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("version", VERSIONS)
def test_every_start_is_told_with_its_reason_and_before_anything_else(make_world, version):
    world = ready(make_world, version)
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(30)
    world.offline()
    world.run(30)
    world.station.power_off()
    world.csms.boot_status = "Rejected"
    world.csms.interval = 30
    world.online()
    world.station = world.build()
    world.station.power_on()
    told = len(world.csms.said)
    world.run(100)
    assert len(world.station.outbox), "what an earlier run has left waits"
    assert {said.action for said in world.csms.said[told:]} == {"BootNotification"}
    world.csms.boot_status = "Accepted"
    world.run(60)
    assert not len(world.station.outbox)
    ask(world, "Reset", type="Immediate")
    world.run(30)
    reasons = [boot.reason for boot in world.csms.heard("BootNotification")]
    assert set(reasons[:-1]) == {"PowerUp"} and reasons[-1] == "RemoteReset"
    assert world.station.online


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_without_an_interval_it_chooses_one_that_floods_nobody(make_world, version, status):
    world = make_world(version)
    world.csms.boot_status = status
    world.csms.interval = 0
    world.station.power_on()
    world.run(300)
    times = world.csms.times("BootNotification")
    assert len(times) > 3 and all(after - before >= 10 for before, after in pairwise(times))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("allowed", [True, False])
def test_charging_before_acceptance_is_as_it_is_set(make_world, version, allowed):
    world = make_world(version, settings={"offline_unknown": "true", "before_accepted": str(allowed).lower()})
    world.csms.boot_status = "Pending"
    world.csms.interval = 60
    world.station.power_on()
    world.run(5)
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(30)
    assert bool(world.station.truth) is allowed
    assert not world.csms.heard("TransactionEvent") and not world.csms.heard("Authorize")
    token = world.csms.messages.IdTokenType(id_token="R", type="Central")
    assert ask(world, "RequestStartTransaction", id_token=token, remote_start_id=1).status == "Rejected"
    if allowed:
        key = world.station.truth[0].transaction
        assert ask(world, "RequestStopTransaction", transaction_id=key).status == "Rejected"
        assert world.station.evses[0].session is not None
    world.csms.boot_status = "Accepted"
    world.run(90)
    assert [event.event_type for event in world.csms.heard("TransactionEvent")][:1] == ["Started"] * allowed
    assert ask(world, "RequestStartTransaction", id_token=token, remote_start_id=1, evse_id=1).status == (
        "Rejected" if allowed else "Accepted"
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_the_clock_follows_every_heartbeat_and_one_a_day_in_any_case(make_world, version):
    world = ready(make_world, version, settings={"aligned_interval": "900"})
    world.csms.interval = 60
    put(world, "3600", "OCPPCommCtrlr", "HeartbeatInterval")
    world.csms.clock_error_ms = 3_600_000
    world.run(3 * 86_400)
    times = world.csms.times("Heartbeat")
    assert len(world.csms.heard("MeterValues")) > 250, "it is never silent for an hour"
    assert len(times) == 3 and all(after - before <= 86_401 for before, after in pairwise(times))
    assert abs(world.station.clock.now() - world.scheduler.now() - 3_600_000) < 1000


@pytest.mark.parametrize("version", VERSIONS)
def test_a_lost_daily_heartbeat_is_no_flood(make_world, version):
    world = ready(make_world, version, settings={"aligned_interval": "900"})
    world.csms.refuse["Heartbeat"] = 1_000_000
    world.run(2 * 86_400)
    assert len(world.csms.heard("Heartbeat")) <= 400


# ── B05, B06 ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("version", VERSIONS)
def test_single_variables(make_world, version):
    world = ready(make_world, version, evses=(EvseConfig(), EvseConfig()))
    read = get(world, "OCPPCommCtrlr", "HeartbeatInterval")
    assert (read.attribute_status, read.attribute_type, read.attribute_value) == ("Accepted", "Actual", "300")
    unset = get(world, "ClockCtrlr", "TimeZone")
    assert (unset.attribute_status, unset.attribute_value) == ("Accepted", "")
    for instance, most in (("GetReport", "50"), ("SetVariables", "50")):
        found = get(world, "DeviceDataCtrlr", "ItemsPerMessage", instance=instance)
        assert (found.attribute_status, found.attribute_value) == ("Accepted", most)
        assert found.variable.instance == instance
    for instance in (None, ""):
        found = get(world, "DeviceDataCtrlr", "ItemsPerMessage", instance=instance)
        assert (found.attribute_status, found.attribute_value) == ("UnknownVariable", None)
    assert get(world, "SecurityCtrlr", "BasicAuthPassword").attribute_status == "Rejected"
    assert [get(world, "EVSE", "AllowReset", evse=number).attribute_value for number in (1, 2)] == ["true"] * 2
    for value in ("-1", "10"):
        assert put(world, value, "MonitoringCtrlr", "OfflineQueuingSeverity").attribute_status == "Rejected"
    taken = put(world, "9", "MonitoringCtrlr", "OfflineQueuingSeverity")
    assert (taken.attribute_status, taken.attribute_type) == ("Accepted", "Actual")
    assert get(world, "MonitoringCtrlr", "OfflineQueuingSeverity").attribute_value == "9"


@pytest.mark.parametrize("version", VERSIONS)
def test_messages_are_only_so_large(make_world, version):
    limits = {f"{kind}_{what}": "2" if what == "items" else "400" for kind in ("get", "set", "report", "monitor")
              for what in ("items", "bytes")}  # fmt: skip
    world = ready(make_world, version, settings=limits | {"monitor_clear_items": "2", "monitor_clear_bytes": "25"})
    m = world.csms.messages
    spot = place(world, "OCPPCommCtrlr", "HeartbeatInterval")
    monitor = m.SetMonitoringDataType(value=1, type="Delta", severity=8, **spot)
    read, write = m.GetVariableDataType(**spot), m.SetVariableDataType(attribute_value="60", **spot)
    long = m.SetVariableDataType(attribute_value="x" * 400, **place(world, "TariffCostCtrlr", "TariffFallbackMessage"))
    name = m.ComponentType(name="X" * 50, instance="Y" * 50)
    wide = {"component": name, "variable": m.VariableType(name="Z" * 50, instance="W" * 50)}
    cases = [
        ("GetVariables", {"get_variable_data": [read]}, [read] * 3, [m.GetVariableDataType(**wide)] * 2),
        ("SetVariables", {"set_variable_data": [write]}, [write] * 3, [long]),
        ("SetVariableMonitoring", {"set_monitoring_data": [monitor]}, [monitor] * 3,
         [m.SetMonitoringDataType(value=1, type="Delta", severity=8, **wide)] * 2),
        ("ClearVariableMonitoring", {"id": [1]}, [1, 2, 3], [2_000_000_000] * 2),
        ("GetReport", {"component_variable": [m.ComponentVariableType(**spot)], "request_id": 1},
         [m.ComponentVariableType(**spot)] * 3, [m.ComponentVariableType(**wide)] * 2),
        ("GetMonitoringReport", {"component_variable": [m.ComponentVariableType(**spot)], "request_id": 1},
         [m.ComponentVariableType(**spot)] * 3, [m.ComponentVariableType(**wide)] * 2),
    ]  # fmt: skip
    for action, fits, many, large in cases:
        field = next(iter(fits))
        assert not isinstance(ask(world, action, **fits), RpcError), action
        error = ask(world, action, **{**fits, field: many})
        assert isinstance(error, RpcError) and error.code == "OccurrenceConstraintViolation", action
        error = ask(world, action, **{**fits, field: large})
        assert isinstance(error, RpcError) and error.code == "FormatViolation", action


# ── B07, B08 ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("version", VERSIONS)
def test_a_station_that_has_much_to_say_reports_later(make_world, version):
    world = ready(make_world, version, settings={"report_items": "2"})
    world.csms.silent.add("NotifyReport")
    assert ask(world, "GetBaseReport", request_id=1, report_base="FullInventory").status == "Accepted"
    assert ask(world, "GetBaseReport", request_id=2, report_base="FullInventory").status == "Rejected"
    assert ask(world, "GetReport", request_id=3).status == "Rejected"
    world.csms.silent.clear()
    world.run(120)
    assert {part.request_id for part in world.csms.heard("NotifyReport")} == {1}
    assert ask(world, "GetReport", request_id=3).status == "Accepted"


def rows_of(world, action, **fields):
    before = len(world.csms.heard("NotifyReport"))
    assert ask(world, action, request_id=9, **fields).status == "Accepted"
    world.run(5)
    return [row for part in world.csms.heard("NotifyReport")[before:] for row in part.report_data]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_has_no_value_is_reported_with_its_attribute(make_world, version):
    world = ready(make_world, version)
    rows = rows_of(world, "GetBaseReport", report_base="FullInventory")
    assert all([attribute.type for attribute in row.variable_attribute] == ["Actual"] for row in rows)
    values = {(row.component.name, row.variable.name): row.variable_attribute[0] for row in rows}
    assert values["ClockCtrlr", "TimeZone"].value == ""
    password = values["SecurityCtrlr", "BasicAuthPassword"]
    assert (password.value, password.mutability) == (None, "WriteOnly")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_report_of_what_is_available(make_world, version):
    world = ready(make_world, version, settings={"reservation_available": "false", "monitoring_enabled": "false"})
    available = {row.component.name for row in rows_of(world, "GetReport", component_criteria=["Available"])}
    assert "ReservationCtrlr" not in available and {"OCPPCommCtrlr", "MonitoringCtrlr", "EVSE"} <= available
    enabled = {row.component.name for row in rows_of(world, "GetReport", component_criteria=["Enabled"])}
    assert "MonitoringCtrlr" not in enabled and {"OCPPCommCtrlr", "ReservationCtrlr"} <= enabled
    m = world.csms.messages
    nowhere = m.ComponentVariableType(component=m.ComponentType(name="EVSE", instance="left"))
    assert ask(world, "GetReport", request_id=1, component_variable=[nowhere]).status == "EmptyResultSet"


# ── B09, B10 ─────────────────────────────────────────────────────────────────────────────────────────────────────────
class Places:
    """Makes dialers to the one network there is; profiles with `impossible` in their address cannot be used here."""

    def __init__(self, world):
        self.world = world
        self.dialed = []

    def __call__(self, profile):
        if "impossible" in profile.url:
            raise LocalError("there is no such interface")
        inner = self.world.network.dialer("CS-1", user="CS-1", password=b"secret")
        places = self

        class Dialer:
            def dial(self, receiver, offered, done):
                places.dialed.append((profile.slot, profile.password, len(places.world.network.connections)))
                inner.dial(receiver, offered, done)

        return Dialer()


def networked(make_world, version, **more):
    world = make_world(version, **more)
    world.places = Places(world)

    def build():
        dialer = world.network.dialer("CS-1", user="CS-1", password=b"secret")
        return Station(
            world.config, world.scheduler, dialer, world.ids, world.random, world.storage,
            on_password=world.passwords.append, networks=world.places,
        )  # fmt: skip

    world.build = build
    world.station = build()
    world.station.power_on()
    world.run(5)
    return world


def profile(world, slot=2, url="ws://csms.example/ocpp", **more):
    m = world.csms.messages
    fields = {"ocpp_interface": "Wired0", "ocpp_transport": "JSON", "message_timeout": 30, "security_profile": 1}
    data = m.NetworkConnectionProfileType(ocpp_csms_url=url, ocpp_version="OCPP20", **{**fields, **more})
    answer = ask(world, "SetNetworkProfile", configuration_slot=slot, connection_data=data)
    return answer.status, answer.status_info and answer.status_info.reason_code


def order(world, slots):
    return put(world, slots, "OCPPCommCtrlr", "NetworkConfigurationPriority").attribute_status


@pytest.mark.parametrize("version", VERSIONS)
def test_profiles_of_networks(make_world, version):
    world = networked(make_world, version)
    for slot in (2, 3):
        assert profile(world, slot) == ("Accepted", None)
    assert profile(world, 4) == ("Rejected", "InvalidConfSlot")
    assert profile(world, url="ws://impossible.example") == ("Failed", "Unspecified")
    assert profile(world, url="ftp://csms.example") == ("Rejected", "InvalidNetworkConf")
    assert order(world, "2,1") == "RebootRequired"
    ask(world, "Reset", type="Immediate")
    world.run(30)
    assert world.places.dialed == [(2, "", 0)], "the old connection has ended before the new one is made"
    assert order(world, "2") == "RebootRequired"
    assert world.station.settings.text("network_priority") == "2"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("now", "allowed", "to", "status"),
    [
        (2, False, 1, "Rejected"), (3, False, 2, "Rejected"), (3, True, 2, "Accepted"), (3, True, 1, "Rejected"),
        (2, True, 1, "Rejected"), (2, False, 3, "Accepted"),
    ],
)  # fmt: skip
def test_security_is_not_lowered(make_world, version, now, allowed, to, status):
    world = networked(make_world, version, security_profile=now, settings={"allow_downgrade": str(allowed).lower()})
    url = "ws://csms.example" if to == 1 else "wss://csms.example"
    told = profile(world, url=url, security_profile=to)
    assert told == (status, None if status == "Accepted" else "NoSecurityDowngrade")
    if version == "2.1":
        shown = put(world, str(to), "NetworkConfiguration", "SecurityProfile", component_instance="3")
        assert shown.attribute_status == status


def test_another_network_may_lead_to_a_csms_that_knows_nothing_of_us(make_world):
    world = networked(make_world, "2.1")
    profile(world)
    order(world, "2,1")
    ask(world, "Reset", type="Immediate")
    world.run(30)
    boots = len(world.csms.heard("BootNotification"))
    world.station.networks._position, world.station.networks._made = 1, {}
    world.offline()
    world.online()
    world.run(120)
    assert world.station.settings.text("active_network") == "1"
    assert len(world.csms.heard("BootNotification")) == boots + 1 and world.station.online


def slot_of(world, slot=2):
    before = len(world.csms.heard("NotifyReport"))
    asked = world.csms.messages.ComponentVariableType(
        component=world.csms.messages.ComponentType(name="NetworkConfiguration", instance=str(slot))
    )
    assert ask(world, "GetReport", request_id=1, component_variable=[asked]).status == "Accepted"
    world.run(5)
    rows = [row for part in world.csms.heard("NotifyReport")[before:] for row in part.report_data]
    assert {row.component.instance for row in rows} == {str(slot)}
    return {row.variable.name: (row.variable_attribute[0].value, row.variable_attribute[0].mutability) for row in rows}


def test_the_network_configuration_is_in_the_device_model(make_world):
    """2.1 B09.FR.08 to .12."""
    world = networked(make_world, "2.1")
    ask(world, "GetBaseReport", request_id=7, report_base="FullInventory")
    world.run(5)
    rows = [row for part in world.csms.heard("NotifyReport") for row in part.report_data]
    slots = {row.component.instance for row in rows if row.component.name == "NetworkConfiguration"}
    assert slots == {"1", "2", "3"}
    m = world.csms.messages
    apn = m.APNType(apn="internet.example", apn_authentication="AUTO")
    secret = "a password of 16 characters"
    profile(world, basic_auth_password=secret, identity="CS-9", apn=apn, ocpp_interface="Wireless0")
    assert slot_of(world) == {
        "OcppCsmsUrl": ("ws://csms.example/ocpp", "ReadWrite"),
        "OcppInterface": ("Wireless0", "ReadWrite"),
        "OcppTransport": ("JSON", "ReadWrite"),
        "OcppVersion": ("OCPP20", "ReadWrite"),
        "MessageTimeout": ("30", "ReadWrite"),
        "SecurityProfile": ("1", "ReadWrite"),
        "Identity": ("CS-9", "ReadWrite"),
        "BasicAuthPassword": (None, "WriteOnly"),
        "ApnEnabled": ("true", "ReadOnly"),
        "VpnEnabled": ("false", "ReadOnly"),
    }
    vpn = m.VPNType(server="v.example", user="u", password="p", key="k", type="IPSec")
    profile(world, vpn=vpn)
    now = slot_of(world)
    assert (now["ApnEnabled"][0], now["VpnEnabled"][0], now["Identity"][0]) == ("false", "true", "")


def test_the_network_configuration_is_set_variable_by_variable(make_world):
    """2.1 B09.FR.20 to .25."""
    world = networked(make_world, "2.1")

    def change(variable, value, slot="2"):
        told = put(world, value, "NetworkConfiguration", variable, component_instance=slot)
        return told.attribute_status, told.attribute_status_info and told.attribute_status_info.reason_code

    wrong = [
        ("OcppCsmsUrl", "https://csms.example"), ("OcppCsmsUrl", "ws://"), ("OcppInterface", "Tin can"),
        ("OcppTransport", "SOAP"), ("MessageTimeout", "0"), ("MessageTimeout", "soon"), ("SecurityProfile", "4"),
        ("BasicAuthPassword", "short"), ("Identity", "X" * 49),
    ]  # fmt: skip
    for variable, value in wrong:
        assert change(variable, value) == ("Rejected", "InvalidNetworkConf"), variable
    assert order(world, "2,1") == "Rejected", "nothing is in there yet"
    assert change("OcppCsmsUrl", "ws://csms.example/b") == ("Accepted", None)
    assert change("MessageTimeout", "25") == change("BasicAuthPassword", "0123456789abcdef") == ("Accepted", None)
    assert change("ApnEnabled", "true") == ("Rejected", "ReadOnly")
    assert change("Colour", "red") == ("UnknownVariable", None)
    assert change("OcppCsmsUrl", "ws://x.example", "9") == ("UnknownComponent", None)
    assert order(world, "2,1") == "RebootRequired"
    assert change("OcppCsmsUrl", "ws://csms.example/c") == ("Rejected", "ActiveNetworkConf")
    assert change("OcppCsmsUrl", "ws://csms.example/c", "1") == ("Rejected", "ActiveNetworkConf")
    ask(world, "Reset", type="Immediate")
    world.run(30)
    assert world.places.dialed == [(2, "0123456789abcdef", 0)] and world.station.online
    assert slot_of(world)["OcppCsmsUrl"][0] == "ws://csms.example/b"
    # B09.FR.27: a password for the whole station counts more than that of the profile in use.
    assert put(world, "another password!!", "SecurityCtrlr", "BasicAuthPassword").attribute_status == "Accepted"
    world.run(60)
    assert world.places.dialed[-1][:2] == (2, "")
    assert order(world, "1") == "RebootRequired", "what is only left out needs no look"


def test_a_fixed_connection_shows_its_configuration_and_keeps_it(make_world):
    world = ready(make_world, "2.1")
    shown = slot_of(world, 1)
    assert {mutability for _, mutability in shown.values()} == {"ReadOnly"} and shown["Identity"][0] == "CS-1"
    for variable, status in (("OcppCsmsUrl", "Rejected"), ("BasicAuthPassword", "UnknownVariable")):
        told = put(world, "ws://x.example", "NetworkConfiguration", variable, component_instance="2")
        assert told.attribute_status == status


# ── B11 to B13 ───────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("version", VERSIONS)
def test_no_reset_while_firmware_is_being_written(make_world, version):
    world = ready(make_world, version, firmware_step_ms=60_000)
    firmware = world.csms.messages.FirmwareType(
        location="https://firmware.example/1.bin", retrieve_date_time=to_datetime(world.scheduler.now())
    )
    ask(world, "UpdateFirmware", request_id=8, firmware=firmware)
    world.run(80)
    assert world.csms.heard("FirmwareStatusNotification")[-1].status == "Installing"
    assert ask(world, "Reset", type="Immediate").status == "Rejected"
    assert ask(world, "Reset", type="OnIdle").status == "Scheduled"
    world.run(5)
    assert world.station.powered
    world.run(120)
    assert [boot.reason for boot in world.csms.heard("BootNotification")] == ["PowerUp", "FirmwareUpdate"]
    assert world.csms.heard("FirmwareStatusNotification")[-1].status == "Installed"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_reset_at_a_silent_csms_loses_nothing(make_world, version):
    world = ready(make_world, version)
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(60)
    world.csms.silent.add("TransactionEvent")
    assert ask(world, "Reset", type="Immediate").status == "Accepted"
    world.run(10)
    world.csms.silent.clear()
    world.run(120)
    assert [boot.reason for boot in world.csms.heard("BootNotification")] == ["PowerUp", "RemoteReset"]
    ends = [(at.time, at.request) for at in world.csms.said if at.action == "TransactionEvent"]
    ends = [(time, event) for time, event in ends if event.event_type == "Ended"]
    booted = [at.time for at in world.csms.said if at.action == "BootNotification"][-1]
    assert [time > booted for time, _ in ends] == [False, True] and not len(world.station.outbox)
    assert {event.trigger_reason for _, event in ends} == {"ResetCommand"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["Immediate", "OnIdle"])
def test_one_evse_with_a_session_is_reset(make_world, version, kind):
    world = ready(make_world, version, evses=(EvseConfig(), EvseConfig()))
    for number in (1, 2):
        world.station.plug(number, world.car())
        world.station.tap(number, f"AA1{number}")
    world.run(30)
    assert ask(world, "Reset", type=kind, evse_id=1).status == ("Accepted" if kind == "Immediate" else "Scheduled")
    world.run(5)
    ended = [event for event in world.csms.heard("TransactionEvent") if event.event_type == "Ended"]
    if kind == "OnIdle":
        assert not ended and world.station.evses[0].session is not None
        world.station.tap(1, "AA11")
        world.run(5)
        ended = [event for event in world.csms.heard("TransactionEvent") if event.event_type == "Ended"]
        assert [(event.trigger_reason, event.evse.id) for event in ended] == [("StopAuthorized", 1)]
    else:
        [event] = ended
        assert (event.trigger_reason, event.transaction_info.stopped_reason) == ("ResetCommand", "ImmediateReset")
        assert event.evse.id == 1
    assert world.station.evses[1].session is not None and len(world.csms.heard("BootNotification")) == 1


def test_no_reset_with_sessions_that_go_on(make_world):
    """2.1 B13.FR.01: where transactions are not resumed."""
    world = ready(make_world, "2.1")
    assert get(world, "TxCtrlr", "ResumptionTimeout").attribute_value == "0"
    assert ask(world, "Reset", type="ImmediateAndResume").status == "Rejected"
    world.run(60)
    assert len(world.csms.heard("BootNotification")) == 1


def resumable(make_world, energy):
    settings = {"resumption_timeout": "1", "resume_energy": energy, "sample_interval": "0"}
    world = ready(make_world, "2.1", evses=(EvseConfig(),) * 3, settings=settings)
    for number, token in ((1, "AA11"), (2, "BB22")):
        world.station.plug(number, world.car())
        world.station.tap(number, token)
    world.station.plug(3, world.car())
    world.run(120)
    world.seen = len(world.csms.heard("TransactionEvent"))
    return world


def told(world):
    """(EVSE, eventType, triggerReason, chargingState) since the last look."""
    events = world.csms.heard("TransactionEvent")
    rows = [(e.evse.id, e.event_type, e.trigger_reason, e.transaction_info.charging_state) for e in events]
    seen, world.seen = world.seen, len(rows)
    return rows[seen:]


@pytest.mark.parametrize(("energy", "state"), [("true", "Charging"), ("false", "SuspendedEVSE")])
def test_a_restart_under_sessions_that_go_on(make_world, energy, state):
    """2.1 B13.FR.03, .04, .21, .23 to .25, .30: it takes longer than ResumptionTimeout."""
    world = resumable(make_world, energy)
    assert ask(world, "Reset", type="ImmediateAndResume").status == "Accepted"
    assert told(world) == [(number, "Updated", "ResetCommand", "Charging") for number in (1, 2)]
    assert [evse.meter.power_mw for evse in world.station.evses] == [0, 0, 0]
    world.run(5)
    assert not world.station.powered
    world.run(60)
    assert [boot.reason for boot in world.csms.heard("BootNotification")] == ["PowerUp", "RemoteReset"]
    assert told(world) == [(number, "Updated", "TxResumed", state) for number in (1, 2)]
    assert [evse.meter.power_mw > 0 for evse in world.station.evses] == [energy == "true", energy == "true", False]
    world.station.tap(1, "AA11")
    world.run(5)
    assert told(world) == [(1, "Ended", "StopAuthorized", "EVConnected")] and len(world.station.truth) == 2
    # Only this once: a loss of power that is as long ends the other.
    world.station.power_off()
    world.run(60)
    world.station.power_on()
    world.run(30)
    assert told(world) == [(2, "Ended", "AbnormalCondition", "EVConnected")]


@pytest.mark.parametrize(("energy", "state"), [("true", "Charging"), ("false", "SuspendedEVSE")])
def test_one_evse_starts_anew_under_a_session_that_goes_on(make_world, energy, state):
    """2.1 B13.FR.10 to .14, .30."""
    world = resumable(make_world, energy)
    assert ask(world, "Reset", type="ImmediateAndResume", evse_id=1).status == "Accepted"
    assert [evse.meter.power_mw > 0 for evse in world.station.evses] == [False, True, False]
    world.run(5)
    assert told(world) == [(1, "Updated", "ResetCommand", "Charging"), (1, "Updated", "TxResumed", state)]
    assert [evse.meter.power_mw > 0 for evse in world.station.evses] == [energy == "true", True, False]
    world.run(600)
    assert len(world.csms.heard("BootNotification")) == 1 and told(world) == []
    world.station.tap(1, "AA11")
    world.run(5)
    assert told(world) == [(1, "Ended", "StopAuthorized", "EVConnected")]


def test_a_restart_that_nobody_charges_under(make_world):
    """2.1 B13.FR.02."""
    world = ready(make_world, "2.1", settings={"resumption_timeout": "60"})
    assert ask(world, "Reset", type="ImmediateAndResume").status == "Accepted"
    world.run(60)
    assert [boot.reason for boot in world.csms.heard("BootNotification")] == ["PowerUp", "RemoteReset"]
    assert not world.csms.heard("TransactionEvent")
