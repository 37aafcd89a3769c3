"""Who is let in with what serial number, who is sent nothing, what is never sent, and that whoever speaks is there."""

from __future__ import annotations

from typing import Any

import pytest
from csms_kit import Client, World
from test_csms_admission import certificate

from pilotwire.api.resources.handshakes import explain
from pilotwire.core.time import from_rfc3339

V2 = ("2.0.1", "2.1")


def boot(serial: str | None) -> dict[str, Any]:
    made = {"vendorName": "V", "model": "M"} | ({} if serial is None else {"serialNumber": serial})
    return {"reason": "PowerUp", "chargingStation": made}


def by_certificate(version: str, **account: Any) -> tuple[World, Client]:
    world = World()
    world.account(security_profile=3, organization="Operator", **account)
    shown = certificate(account.get("serial", "CP1"), "Operator")
    return world, world.station(version=version, tls=True, certificate=shown, user=None, password=None)


@pytest.mark.parametrize("version", V2)
def test_the_serial_number_of_the_boot_is_that_of_the_certificate(version: str) -> None:
    world, station = by_certificate(version, serial="SN-1")
    assert station.call("BootNotification", boot("SN-1"))["status"] == "Accepted"
    assert station.link is not None
    station.send("BootNotification", boot("SN-2"))
    world.run()
    assert station.end is not None and station.end[0] == 1008 and station.link is None
    assert world.record().serial == "SN-1" and world.system.counters.faults == 0
    newest, let_in = world.system._around.door.recent(world.actor().key)
    assert (newest.reason, newest.detail, let_in.reason) == ("wrong-serial-number", "SN-2", "")
    assert explain(newest.reason).title == "It boots under another serial number than that of its certificate"


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize(("account", "told"), [({"serial": "SN-1"}, None), ({}, "SN-7")])
def test_without_a_serial_number_there_is_nothing_to_compare(version: str, account: Any, told: str | None) -> None:
    _, station = by_certificate(version, **account)
    assert station.call("BootNotification", boot(told))["status"] == "Accepted"


@pytest.mark.parametrize("version", V2)
def test_a_rejected_station_is_sent_nothing(version: str) -> None:
    world = World()
    world.account(boot="Rejected")
    station = world.station(version=version)
    assert station.boot()["status"] == "Rejected"
    world.actor().outbox.ask("ClearCache", b"{}")
    world.command("reset", {}, timeout_ms=3_000)
    world.run(20_000)
    assert station.calls == []


@pytest.mark.parametrize("version", V2)
def test_no_variable_is_set_twice_in_one_message(version: str) -> None:
    world = World()
    station = world.station(version=version)
    station.boot()

    def ask(*rows: dict[str, Any]) -> str:
        station.on["SetVariables"] = lambda payload: {
            "setVariableResult": [
                {"attributeStatus": "Accepted", "component": row["component"], "variable": row["variable"]}
                for row in payload["setVariableData"]
            ]
        }
        replies = world.command("SetVariables", {"setVariableData": list(rows)})
        world.run()
        return replies[0].outcome

    row = {"attributeValue": "60", "component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
    other = row | {"variable": {"name": "HeartbeatInterval", "instance": "x"}}
    assert ask(row, row | {"attributeValue": "70"}) == "invalid"
    assert ask(row, row | {"attributeType": "Actual"}) == "invalid", "an attribute that is not named is the Actual one"
    assert ask(row, row | {"component": {"name": "ocppcommctrlr"}}) == "invalid", "names have no case"
    assert len(station.calls) == 0
    assert ask(row, row | {"attributeType": "Target"}, other) == "answered"


@pytest.mark.parametrize(
    ("place", "outcome"),
    [
        ("https://logs.example/a#b", "invalid"),
        ("https://logs.example/a?b=c/", "invalid"),
        ("https://logs.example/a?b=c", "answered"),
        ("https://logs.example/a/", "answered"),
    ],
)
def test_places_for_logs_are_plain(place: str, outcome: str) -> None:
    world = World()
    station = world.station(version="2.1")
    station.boot()
    asked = {"log": {"remoteLocation": place}, "logType": "SecurityLog", "requestId": 1}
    replies = world.command("GetLog", asked)
    world.run()
    assert [one.outcome for one in replies] == [outcome]


@pytest.mark.parametrize(
    ("slot", "values", "outcome"),
    [
        ("1", {"MessageTimeout": "30"}, "invalid"),
        ("3", {"MessageTimeout": "30"}, "invalid"),
        ("2", {"MessageTimeout": "30"}, "answered"),
        ("2", {"OcppCsmsUrl": "wss://x.example"}, "invalid"),
        ("2", {"OcppCsmsUrl": "wss://x.example", "ApnEnabled": "false"}, "invalid"),
        ("2", {"OcppCsmsUrl": "wss://x.example", "ApnEnabled": "false", "VpnEnabled": "false"}, "answered"),
        ("2", {"OcppCsmsUrl": "wss://x.example", "ApnEnabled": "true", "VpnEnabled": "false"}, "invalid"),
        ("2", {"Apn": "internet.example"}, "invalid"),
        ("2", {"Apn": "internet.example", "ApnEnabled": "true"}, "answered"),
        ("2", {"VpnServer": "v.example", "VpnEnabled": "false"}, "invalid"),
        ("2", {"VpnServer": "v.example", "VpnEnabled": "true"}, "answered"),
    ],
)
def test_a_network_in_use_is_left_alone_and_another_is_set_whole(
    slot: str, values: dict[str, str], outcome: str
) -> None:
    world = World()
    station = world.station(version="2.1")
    station.boot()
    used = {
        "component": {"name": "OCPPCommCtrlr"},
        "variable": {"name": "NetworkConfigurationPriority"},
        "variableAttribute": [{"type": "Actual", "value": "3,1", "mutability": "ReadWrite"}],
    }
    station.call("NotifyReport", {"requestId": 1, "seqNo": 0, "generatedAt": station.at(), "reportData": [used]})
    component = {"name": "NetworkConfiguration", "instance": slot}
    rows = [
        {"component": component, "variable": {"name": name}, "attributeValue": value} for name, value in values.items()
    ]
    station.on["SetVariables"] = lambda payload: {
        "setVariableResult": [
            {"attributeStatus": "Accepted", "component": row["component"], "variable": row["variable"]}
            for row in payload["setVariableData"]
        ]
    }
    replies = world.command("SetVariables", {"setVariableData": rows})
    world.run()
    assert [one.outcome for one in replies] == [outcome], replies


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize("clear", [True, False])
def test_a_customers_certificate_is_named_as_the_station_knows_it(version: str, clear: bool) -> None:
    world = World()
    station = world.station(version=version)
    station.boot()
    known = {"hashAlgorithm": "SHA384", "issuerNameHash": "aa", "issuerKeyHash": "bb", "serialNumber": "0aF"}
    chain = [{"certificateType": "V2GCertificateChain", "certificateHashData": known}]

    def ask(**fields: str) -> str:
        named = {"requestId": 4, "report": True, "clear": clear, "customerCertificate": known | fields}
        replies = world.command("CustomerInformation", named)
        world.run()
        return replies[0].outcome

    assert ask(hashAlgorithm="SHA256") == "answered", "nobody has looked so far"
    station.on["GetInstalledCertificateIds"] = lambda payload: {
        "status": "Accepted",
        "certificateHashDataChain": chain,
    }
    world.command("GetInstalledCertificateIds", {})
    world.run()
    assert ask(hashAlgorithm="SHA256", serialNumber="0Af") == "invalid"
    assert ask() == ask(hashAlgorithm="SHA256", serialNumber="77") == "answered"


@pytest.mark.parametrize("version", V2)
def test_long_lists_go_out_in_parts_that_the_station_takes(version: str) -> None:
    world = World()
    station = world.station(version=version)
    station.boot()
    limits = [
        {
            "component": {"name": component},
            "variable": {"name": "ItemsPerMessage", "instance": action},
            "variableAttribute": [{"type": "Actual", "value": "2", "mutability": "ReadOnly"}],
        }
        for component, action in (("DeviceDataCtrlr", "SetVariables"), ("MonitoringCtrlr", "SetVariableMonitoring"))
    ]
    report = {"requestId": 1, "seqNo": 0, "generatedAt": station.at(), "reportData": limits}
    assert station.call("NotifyReport", report) == {}
    places = [{"component": {"name": "EVSE", "evse": {"id": n}}, "variable": {"name": "Power"}} for n in range(1, 6)]
    station.on["SetVariables"] = lambda payload: {
        "setVariableResult": [
            {"attributeStatus": "Accepted", "component": row["component"], "variable": row["variable"]}
            for row in payload["setVariableData"]
        ]
    }
    station.on["SetVariableMonitoring"] = lambda payload: {
        "setMonitoringResult": [row | {"status": "Accepted", "id": 1} for row in payload["setMonitoringData"]]
    }
    asked = [
        ("SetVariables", "setVariableData", [place | {"attributeValue": "1"} for place in places]),
        ("SetVariableMonitoring", "setMonitoringData",
         [place | {"value": 1, "type": "Delta", "severity": 3} for place in places]),
    ]  # fmt: skip
    for action, field, rows in asked:
        replies = world.command(action, {field: rows})
        world.run(5_000)
        assert [one.outcome for one in replies] == ["answered"]
        assert [len(call[3][field]) for call in station.calls if call[2] == action] == [2, 2, 1]


@pytest.mark.parametrize("version", V2)
def test_a_factory_monitor_that_we_change_is_one_of_ours(version: str) -> None:
    world = World()
    station = world.station(version=version)
    station.boot()
    place = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Temperature"}}
    row = {"type": "UpperThreshold", "severity": 4}
    told: dict[str, Any] = {"id": 1001, "transaction": False, "value": 85.0, **row}
    if version == "2.1":
        told["eventNotificationType"] = "PreconfiguredMonitor"
    report = {"requestId": 5, "seqNo": 0, "generatedAt": station.at()}
    station.call("NotifyMonitoringReport", report | {"monitor": [{**place, "variableMonitoring": [told]}]})
    station.on["SetVariableMonitoring"] = lambda payload: {
        "setMonitoringResult": [{"status": "Accepted", "id": 1001, **row, **place}]
    }
    world.command("SetVariableMonitoring", {"setMonitoringData": [{"id": 1001, "value": 40, **row, **place}]})
    world.run()

    def monitors() -> list[tuple[int, str, str]]:
        kept = world.record().kept
        assert kept is not None
        return [(one.id, one.value, one.origin) for one in kept.monitors]

    assert monitors() == [(1001, "40", "CustomMonitor")]
    world.command("SetMonitoringBase", {"monitoringBase": "FactoryDefault"})
    world.run()
    assert monitors() == []


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize("report", [True, False])
def test_what_is_forgotten_of_a_customer_is_told_and_taken_in(version: str, report: bool) -> None:
    world = World()
    station = world.station(version=version)
    station.boot()
    asked = {"requestId": 4, "report": report, "clear": True, "idToken": {"idToken": "T", "type": "ISO14443"}}
    replies = world.command("CustomerInformation", asked)
    world.run()
    assert [one.outcome for one in replies] == ["answered"]
    parts = ["a" * 512, "b"] if report else ["cleared"]
    for number, data in enumerate(parts):
        more = {"tbc": True} if number + 1 < len(parts) else {}
        body = {"requestId": 4, "seqNo": number, "generatedAt": station.at(), "data": data, **more}
        assert station.call("NotifyCustomerInformation", body) == {}
    kept = world.record().kept
    assert kept is not None and [(one.kind, one.complete) for one in kept.reports] == [("customer", True)]


@pytest.mark.parametrize("version", V2)
def test_whoever_speaks_is_there_and_a_heartbeat_is_told_the_time(version: str) -> None:
    world = World()
    station = world.station(version=version)
    station.boot()
    before = world.clock.now()
    told = from_rfc3339(station.call("Heartbeat", {})["currentTime"])
    assert before <= told <= world.clock.now()
    for spoken in range(3):
        world.run(120_000)
        station.status("Occupied" if spoken % 2 else "Available")
        record = world.record()
        assert record.connected and world.clock.now() - record.last_seen < 1_000
