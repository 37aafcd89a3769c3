"""Our station behind our central system: every command that it serves, with every frame held against the schemas.

The schemas are those of PyPI `ocpp`, which are the standard's own. What the CSMS asks goes its whole way (recorded,
sent, answered, settled); what the station has to tell is answered by the CSMS, and refused by neither.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import jsonschema_rs
import pytest

from pilotwire.core.ids import DEFAULT_TENANT, SeededIds, StationKey
from pilotwire.core.time import SimScheduler, to_rfc3339
from pilotwire.csms.service import CentralSystem, CsmsConfig
from pilotwire.domain.records import StationAccount, Token
from pilotwire.protocols.ocpp import version as ocpp
from pilotwire.station.blocks.table import HANDLERS
from pilotwire.station.config import EvseConfig, StationConfig
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage
from pilotwire.storage.memory import MemoryStore
from pilotwire.translate import tables
from pilotwire.transport.bus import CommandReply, CommandRequest, LocalBus
from pilotwire.transport.memory import FINE, Fate, Flight, MemoryNetwork
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE

VERSIONS = ("1.6", "2.0.1", "2.1")
START = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp() * 1000)


def done(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the memory store waited")


@cache
def validator(version: str, message: str) -> Any:
    spec = find_spec("ocpp")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}[version] / "schemas"
    name = message.removesuffix("Request") if version == "1.6" else message
    schema = json.loads((folder / f"{name}.json").read_text("utf-8-sig"))
    return jsonschema_rs.validator_for(schema, validate_formats=True)


class Oracle:
    """Sees every frame of the network and holds it against its schema."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.open: dict[tuple[str, str], str] = {}
        self.seen: Counter[tuple[str, str]] = Counter()
        """(direction, action)"""
        self.errors: list[Any] = []

    def dial(self, tenant: str, identity: str, now: int) -> str | int:
        return ""

    def frame(self, flight: Flight) -> Fate:
        message = json.loads(flight.data)
        kind, id_ = message[0], message[1]
        back = "down" if flight.direction == "up" else "up"
        if kind == 2:
            action = message[2]
            self.open[flight.direction, id_] = action
            self.seen[flight.direction, action] += 1
            validator(self.version, f"{action}Request").validate(message[3])
        elif kind == 3:
            validator(self.version, f"{self.open[back, id_]}Response").validate(message[2])
        else:
            self.errors.append((self.open.get((back, id_)), message))
        return FINE


class Pair:
    """One station and its central system."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.clock = SimScheduler(START)
        self.oracle = Oracle(version)
        self.network = MemoryNetwork(self.clock, latency_ms=10, faults=self.oracle)
        self.store = MemoryStore(scheduler=self.clock, delay_ms=5)
        self.ids = SeededIds(3, self.clock.now)
        account = StationAccount(tenant=DEFAULT_TENANT, id="CS-1", security_profile=1, password="pw", created_at=START)  # type: ignore[arg-type]
        done(self.store.put_account(account))
        for token in ("AA11", "BB22"):
            done(self.store.put_token(Token(tenant=DEFAULT_TENANT, token=token, created_at=START)))  # type: ignore[arg-type]
        self.csms = CentralSystem(
            store=self.store,
            bus=LocalBus(),
            scheduler=self.clock,
            ids=self.ids,
            config=CsmsConfig(),
            verify=lambda verifier, password: True,
            spawn=done,
            log=lambda event, key, **details: None,
        )
        done(self.csms.refresh())
        self.network.serve(self.csms.endpoint)
        self.storage = MemoryStorage()
        self.fetched: list[str] = []
        self.station = Station(
            StationConfig(identity="CS-1", version=version, evses=(EvseConfig(), EvseConfig())),  # type: ignore[arg-type]
            self.clock,
            self.network.dialer("CS-1", user="CS-1", password=b"pw"),
            SeededIds(4, self.clock.now),
            Random(4),
            self.storage,
            networks=lambda profile: self.network.dialer("CS-1", user="CS-1", password=b"pw"),
            files=self,
        )
        self.station.power_on()
        self.run(5)

    # Files
    def fetch(self, url: str, then: Any) -> None:
        self.fetched.append(url)
        self.clock.call_later(100, lambda: then(b"firmware"))

    def leave(self, url: str, name: str, data: bytes, then: Any) -> None:
        self.clock.call_later(100, lambda: then(True))

    def publish(self, name: str, data: bytes) -> list[str]:
        return [f"http://local.example/{name}"]

    def withdraw(self, name: str) -> bool:
        return True

    def run(self, seconds: float) -> None:
        self.clock.run_for(int(seconds * 1000))

    def later(self, seconds: int) -> str:
        return to_rfc3339(self.clock.now() + seconds * 1000)

    def ask(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        replies: list[CommandReply] = []
        asked = CommandRequest(tenant=DEFAULT_TENANT, station="CS-1", action=action, payload=payload)
        self.csms.actor(StationKey(DEFAULT_TENANT, "CS-1")).command(asked, replies.append)
        self.run(5)
        [reply] = replies
        assert reply.outcome == "answered", reply
        return reply.answer

    def heard(self, action: str) -> int:
        return self.oracle.seen["up", action]


def test_every_command_of_16_that_the_blocks_serve():
    pair = Pair("1.6")
    expiry = pair.later(600)
    assert pair.ask("ReserveNow", {"connectorId": 2, "expiryDate": expiry, "idTag": "BB22", "reservationId": 5}) == {
        "status": "Accepted"
    }
    assert pair.ask("CancelReservation", {"reservationId": 5}) == {"status": "Accepted"}
    assert pair.ask("ReserveNow", {"connectorId": 0, "expiryDate": expiry, "idTag": "AA11", "reservationId": 6}) == {
        "status": "Accepted"
    }
    for message in ("StatusNotification", "Heartbeat", "MeterValues", "BootNotification", "FirmwareStatusNotification"):
        before = pair.heard(message)
        assert pair.ask("TriggerMessage", {"requestedMessage": message}) == {"status": "Accepted"}
        assert pair.heard(message) > before
    assert pair.ask("ExtendedTriggerMessage", {"requestedMessage": "LogStatusNotification"}) == {"status": "Accepted"}
    assert pair.ask("RemoteStartTransaction", {"idTag": "AA11", "connectorId": 1}) == {"status": "Accepted"}
    pair.station.plug(1, Vehicle(CATALOGUE["compact three-phase 11 kW"], 300))
    pair.run(60)
    transaction = int(pair.station.truth[0].transaction)
    assert len(pair.station.reservations) == 0
    assert pair.ask("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"}) == {"status": "Scheduled"}
    assert pair.ask("ChangeAvailability", {"connectorId": 0, "type": "Operative"}) == {"status": "Accepted"}
    assert pair.ask("RemoteStopTransaction", {"transactionId": transaction}) == {"status": "Accepted"}
    assert pair.ask("UnlockConnector", {"connectorId": 1}) == {"status": "Unlocked"}
    assert pair.ask("GetLocalListVersion", {}) == {"listVersion": 0}
    rows = [{"idTag": "AA11", "idTagInfo": {"status": "Accepted"}}]
    full = {"listVersion": 3, "updateType": "Full", "localAuthorizationList": rows}
    assert pair.ask("SendLocalList", full) == {"status": "Accepted"}
    changed = {**full, "listVersion": 2, "updateType": "Differential"}
    assert pair.ask("SendLocalList", changed) == {"status": "Accepted"}, "the whole list follows changes out of turn"
    assert pair.ask("GetLocalListVersion", {}) == {"listVersion": 2}
    assert pair.station.authorizer.entries == 1
    assert pair.ask("ClearCache", {}) == {"status": "Accepted"}
    assert pair.ask("DataTransfer", {"vendorId": "com.example"})["status"] == "UnknownVendorId"
    assert pair.ask("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}) == {"status": "Accepted"}
    assert len(pair.ask("GetConfiguration", {})["configurationKey"]) > 40
    assert pair.ask("GetConfiguration", {"key": ["Nonsense"]}) == {"unknownKey": ["Nonsense"]}
    assert "fileName" in pair.ask("GetDiagnostics", {"location": "http://files.example/"})
    firmware = {"location": "http://files.example/fw", "retrieveDate": pair.later(1)}
    assert pair.ask("UpdateFirmware", firmware) == {}
    pair.run(60)
    assert pair.ask("Reset", {"type": "Soft"}) == {"status": "Accepted"}
    pair.run(60)
    assert pair.station.online and not pair.oracle.errors
    assert pair.station.conversation.counts.refused == 0


def _evse(component: str, variable: str) -> dict[str, Any]:
    return {"component": {"name": component, "evse": {"id": 1}}, "variable": {"name": variable}}


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_every_command_of_2_that_the_blocks_serve(version):
    pair = Pair(version)
    token = {"idToken": "AA11", "type": "ISO14443"}
    # H
    reserve = {"id": 1, "expiryDateTime": pair.later(300), "idToken": token, "evseId": 1}
    assert pair.ask("ReserveNow", reserve)["status"] == "Accepted"
    assert pair.ask("CancelReservation", {"reservationId": 1})["status"] == "Accepted"
    assert pair.ask("ReserveNow", {**reserve, "id": 2, "expiryDateTime": pair.later(30)})["status"] == "Accepted"
    pair.run(60)
    assert pair.heard("ReservationStatusUpdate") == 1
    # B
    for base in ("FullInventory", "SummaryInventory"):
        before = pair.heard("NotifyReport")
        assert pair.ask("GetBaseReport", {"requestId": 1, "reportBase": base})["status"] == "Accepted"
        pair.run(5)
        assert pair.heard("NotifyReport") > before
    criteria = {"requestId": 2, "componentVariable": [{"component": {"name": "EVSE"}}]}
    assert pair.ask("GetReport", criteria)["status"] == "Accepted"
    profile = {
        "configurationSlot": 2,
        "connectionData": {
            "ocppVersion": "OCPP20",
            "ocppTransport": "JSON",
            "ocppCsmsUrl": "ws://other.example/",
            "messageTimeout": 30,
            "securityProfile": 1,
            "ocppInterface": "Wired0",
        },
    }
    assert pair.ask("SetNetworkProfile", profile)["status"] == "Accepted"
    priority = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "NetworkConfigurationPriority"}}
    change = {"setVariableData": [{"attributeValue": "2,1", **priority}]}
    assert pair.ask("SetVariables", change)["setVariableResult"][0]["attributeStatus"] == "RebootRequired"
    assert pair.ask("GetVariables", {"getVariableData": [priority]})["getVariableResult"][0]["attributeValue"] == "2,1"
    # N
    rows = [
        {"value": 5000, "type": "UpperThreshold", "severity": 3, **_evse("EVSE", "Power")},
        {"value": 30, "type": "Periodic", "severity": 5, **_evse("EVSE", "Power")},
        {"value": 1, "type": "Delta", "severity": 5, **_evse("EVSE", "AvailabilityState")},
        {"value": 1, "type": "Delta", "severity": 5, **_evse("EVSE", "Colour")},
    ]
    results = pair.ask("SetVariableMonitoring", {"setMonitoringData": rows})["setMonitoringResult"]
    assert [row["status"] for row in results] == ["Accepted"] * 3 + ["UnknownVariable"]
    assert pair.ask("SetMonitoringLevel", {"severity": 7})["status"] == "Accepted"
    assert pair.ask("SetMonitoringBase", {"monitoringBase": "All"})["status"] == "Accepted"
    assert pair.ask("GetMonitoringReport", {"requestId": 4})["status"] == "Accepted"
    assert pair.heard("NotifyMonitoringReport") == 1
    # F, E, I, O
    started = pair.ask("RequestStartTransaction", {"idToken": token, "remoteStartId": 9, "evseId": 1})
    assert started["status"] == "Accepted"
    pair.station.plug(1, Vehicle(CATALOGUE["compact three-phase 11 kW"], 300))
    pair.run(70)
    key = pair.station.truth[0].transaction
    assert pair.heard("NotifyEvent") >= 3
    assert pair.ask("GetTransactionStatus", {"transactionId": key}) == {
        "ongoingIndicator": True,
        "messagesInQueue": False,
    }
    assert pair.ask("CostUpdated", {"totalCost": 1.5, "transactionId": key}) == {}
    message = {
        "id": 1,
        "priority": "InFront",
        "transactionId": key,
        "message": {"format": "UTF8", "content": "Guten Tag", "language": "de"},
    }
    assert pair.ask("SetDisplayMessage", {"message": message})["status"] == "Accepted"
    assert pair.ask("GetDisplayMessages", {"requestId": 6})["status"] == "Accepted"
    assert pair.heard("NotifyDisplayMessages") == 1
    assert pair.ask("ClearDisplayMessage", {"id": 1})["status"] == "Accepted"
    triggers = ["Heartbeat", "StatusNotification", "MeterValues", "TransactionEvent", "FirmwareStatusNotification"]
    for wanted in [*triggers, "LogStatusNotification", "PublishFirmwareStatusNotification"]:
        before = pair.heard(wanted)
        assert pair.ask("TriggerMessage", {"requestedMessage": wanted})["status"] == "Accepted"
        assert pair.heard(wanted) > before
    out = {"operationalStatus": "Inoperative", "evse": {"id": 1}}
    assert pair.ask("ChangeAvailability", out)["status"] == "Scheduled"
    assert pair.ask("ChangeAvailability", {**out, "operationalStatus": "Operative"})["status"] == "Accepted"
    assert pair.ask("UnlockConnector", {"evseId": 1, "connectorId": 1})["status"] == "OngoingAuthorizedTransaction"
    assert pair.ask("RequestStopTransaction", {"transactionId": key})["status"] == "Accepted"
    assert pair.ask("UnlockConnector", {"evseId": 1, "connectorId": 1})["status"] == "Unlocked"
    # N again: people
    who = {"requestId": 7, "report": True, "clear": True, "idToken": token}
    assert pair.ask("CustomerInformation", who)["status"] == "Accepted"
    assert pair.heard("NotifyCustomerInformation") == 1
    ids = [row["id"] for row in results[:3]]
    cleared = pair.ask("ClearVariableMonitoring", {"id": ids})["clearMonitoringResult"]
    assert [row["status"] for row in cleared] == ["Accepted"] * 3
    log = {"requestId": 8, "logType": "DiagnosticsLog", "log": {"remoteLocation": "http://files.example/"}}
    assert pair.ask("GetLog", log)["status"] == "Accepted"
    # C, D
    assert pair.ask("ClearCache", {})["status"] == "Accepted"
    listed = [{"idToken": token, "idTokenInfo": {"status": "Accepted"}}]
    full = {"versionNumber": 2, "updateType": "Full", "localAuthorizationList": listed}
    assert pair.ask("SendLocalList", full)["status"] == "Accepted"
    assert pair.ask("GetLocalListVersion", {}) == {"versionNumber": 2}
    # L, P
    file = {"location": "http://files.example/fw", "checksum": "fd12a36b2dfd9cbcf1b97ad8f4d4f0a6", "requestId": 3}
    assert pair.ask("PublishFirmware", file)["status"] == "Accepted"
    assert pair.fetched == ["http://files.example/fw"] and pair.heard("PublishFirmwareStatusNotification") > 2
    assert pair.ask("UnpublishFirmware", {"checksum": file["checksum"]})["status"] == "NoFirmware"
    assert pair.ask("DataTransfer", {"vendorId": "com.example"})["status"] == "UnknownVendorId"
    firmware = {"requestId": 5, "firmware": {"location": "http://files.example/fw", "retrieveDateTime": pair.later(1)}}
    assert pair.ask("UpdateFirmware", firmware)["status"] == "Accepted"
    pair.run(90)
    assert pair.ask("Reset", {"type": "Immediate"})["status"] == "Accepted"
    pair.run(60)
    assert pair.station.online and pair.station.settings.text("active_network") == "2"
    # Nothing is refused but what the CSMS does not understand yet, and that in the right words.
    refused = {(action, error[2]) for action, error in pair.oracle.errors}
    assert refused == {
        (action, "NotSupported")
        for direction, action in pair.oracle.seen
        if direction == "up" and action not in tables.load(version)
    }


_ELSEWHERE = {
    "CertificateSigned", "ChangeTransactionTariff", "ClearChargingProfile", "ClearTariffs", "DeleteCertificate",
    "GetChargingProfiles", "GetCompositeSchedule", "GetInstalledCertificateIds", "GetLog", "GetTariffs",
    "InstallCertificate", "SetChargingProfile", "SetDefaultTariff", "UpdateDynamicSchedule", "UsePriorityCharging",
    "AFRRSignal", "AdjustPeriodicEventStream", "ClearDERControl", "GetDERControl", "GetPeriodicEventStream",
    "NotifyAllowedEnergyTransfer", "NotifyWebPaymentStarted", "RequestBatterySwap", "SetDERControl",
    "SignedUpdateFirmware",
}  # fmt: skip
"""Certificates, profiles, tariffs, the newest blocks: tried where they are built."""


@pytest.mark.parametrize("version", VERSIONS)
def test_no_command_is_left_out_here(version):
    text = Path(__file__).read_text()
    served = {action for of, action in HANDLERS if of == version} - _ELSEWHERE
    assert not {action for action in served if f'"{action}"' not in text}
    assert served <= {name for name, action in ocpp.load(version).actions.items() if action.by_csms}


def test_the_hash_of_a_file_is_looked_at():
    pair = Pair("2.1")
    checksum = "2d32a5ec1cd8f9cbfd3d4df4a4c8aa95"
    file = {"location": "http://files.example/fw", "checksum": checksum, "requestId": 3}
    assert pair.ask("PublishFirmware", file)["status"] == "Accepted"
    assert pair.station.publishing.status[0] == "InvalidChecksum"
