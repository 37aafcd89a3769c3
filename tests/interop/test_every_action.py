"""Every action of 1.6, 2.0.1 and 2.1, end to end and in both directions where it goes, over TLS with profile 3.

Our station program and our central system behind its real listener, each frame held against the standard's schemas.
What counts is what was seen on the wire: a CALL that its CALLRESULT followed, or a SEND that arrived. The tables of
what there is are made from the standard's schemas; whatever of them was not seen fails here by its name.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.crypto.firmware_kit import Manufacturer
from tests.interop.secured_pair import NAME, ORGANIZATION, Pair, pair

from pilotwire.cli.secret import make_certificates
from pilotwire.core.time import to_datetime
from pilotwire.crypto import chains, pem, requests
from pilotwire.crypto.authority import Authority
from pilotwire.crypto.hash_data import hash_data
from pilotwire.csms.certificates.ports import Signed
from pilotwire.domain.certificates import Asked, EvCertificateTold, OneStatus, StatusTold
from pilotwire.domain.der.model import KINDS
from pilotwire.domain.schedules.model import Rates
from pilotwire.protocols.ocpp import version as ocpp
from pilotwire.station.config import EvseConfig
from pilotwire.station.inquiries import transfer
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.cartridge import Cartridge
from pilotwire.vehicle.catalogue import BIDIRECTIONAL, CATALOGUE

COUNTS = {"1.6": 39, "2.0.1": 64, "2.1": 91}
MISSING: dict[str, set[tuple[str, str]]] = {"1.6": set(), "2.0.1": set(), "2.1": set()}
"""(direction, action) that nobody exercises yet. It is exact: what is seen must not stand here."""
TOKEN = {"idToken": "AA11", "type": "ISO14443"}
SLOT = EvseConfig(dc=True, connector_type="bBatterySlot", fixed_cable=True, max_w=1_500, max_ma=40_000)
CAR = "compact three-phase 11 kW"


def wanted(version: str) -> set[tuple[str, str]]:
    """(direction, action) of everything that the version has."""
    actions = ocpp.load(version).actions
    assert len(actions) == COUNTS[version]
    up = {("up", name) for name, action in actions.items() if action.by_station}
    return up | {("down", name) for name, action in actions.items() if action.by_csms}


def judge(*pairs: Pair) -> None:
    """Everything was seen but what is missing, and all of it by profile 3."""
    version = pairs[0].version
    seen = {of for one in pairs for of in one.wire.answered}
    assert [fault for one in pairs for fault in one.wire.faults] == []
    assert all(one.profile_3() for one in pairs)
    unseen = wanted(version) - seen
    assert sorted(unseen - MISSING[version]) == [], "not exercised"
    assert sorted(MISSING[version] - unseen) == [], "exercised, and said to be missing"
    # A CALLERROR is no answer: there is none but to what is missing.
    assert [error for one in pairs for error in one.wire.errors if error[:2] not in MISSING[version]] == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("listener")
    make_certificates(made / "tls", "127.0.0.1")
    return made


def root(one: Pair) -> tuple[str, dict[str, str]]:
    """A new root certificate (PEM), and its hash data as the wire has it."""
    authority = Authority.new("Another root", now=to_datetime(one.clock.now()))
    der = chains.der(authority.root)
    data = hash_data(der, None, "SHA256")
    return pem.text([der]), {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": data.issuer_name_hash,
        "issuerKeyHash": data.issuer_key_hash,
        "serialNumber": data.serial_number,
    }


async def certificates(one: Pair, trigger: str, message: str, use: str) -> None:
    """A, M: a root comes and goes, the station's own certificate is exchanged."""
    connections = len(one.wire.handshakes)
    await one.ask(trigger, {"requestedMessage": message}, status="Accepted")
    await one.run(30)
    assert len(one.wire.handshakes) == connections + 1  # with the new one
    assert one.wire.handshakes[-1].certificate != one.wire.handshakes[0].certificate
    text, hashes = root(one)
    listing: dict[str, Any] = {"certificateType": use if one.version == "1.6" else [use]}
    await one.ask("InstallCertificate", {"certificateType": use, "certificate": text}, status="Accepted")
    found = await one.ask("GetInstalledCertificateIds", listing, status="Accepted")
    assert hashes["serialNumber"].upper() in str(found).upper()
    await one.ask("DeleteCertificate", {"certificateHashData": hashes}, status="Accepted")


async def test_all_39_of_16(folder: Path) -> None:
    async with pair("1.6", folder) as one:
        await _reservations_and_sessions_16(one)
        await _the_rest_of_16(one)
        judge(one)


async def _reservations_and_sessions_16(one: Pair) -> None:
    station = one.station
    reserve = {"connectorId": 1, "expiryDate": one.later(600), "idTag": "AA11", "reservationId": 5}
    await one.ask("ReserveNow", reserve, status="Accepted")
    await one.ask("CancelReservation", {"reservationId": 5}, status="Accepted")
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "startSchedule": one.later(0),
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.5}],
        },
    }
    await one.ask("SetChargingProfile", {"connectorId": 0, "csChargingProfiles": profile}, status="Accepted")
    schedule = {"connectorId": 1, "duration": 600, "chargingRateUnit": "A"}
    composite = await one.ask("GetCompositeSchedule", schedule, status="Accepted")
    assert composite["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] == 10.5
    await one.ask("ClearChargingProfile", {"id": 1}, status="Accepted")
    station.plug(1, Vehicle(CATALOGUE[CAR], 300))
    station.tap(1, "BB22")
    await one.run(90)
    assert one.heard("Authorize") and one.heard("MeterValues")
    key = int(station.truth[0].transaction)
    await one.ask("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"}, status="Scheduled")
    await one.ask("ChangeAvailability", {"connectorId": 1, "type": "Operative"}, status="Accepted")
    await one.ask("RemoteStopTransaction", {"transactionId": key}, status="Accepted")
    await one.ask("UnlockConnector", {"connectorId": 1}, status="Unlocked")
    station.unplug(1)
    await one.ask("RemoteStartTransaction", {"idTag": "AA11", "connectorId": 2}, status="Accepted")
    station.plug(2, Vehicle(CATALOGUE[CAR], 300))
    await one.run(30)
    station.unplug(2)
    await one.run(10)
    page = await one.store.sessions("default")
    assert [session.status for session in page.items] == ["ended", "ended"]


async def _the_rest_of_16(one: Pair) -> None:
    await one.ask("GetLocalListVersion", listVersion=0)
    rows = [{"idTag": "AA11", "idTagInfo": {"status": "Accepted"}}]
    full = {"listVersion": 3, "updateType": "Full", "localAuthorizationList": rows}
    await one.ask("SendLocalList", full, status="Accepted")
    await one.ask("ClearCache", status="Accepted")
    await one.ask("DataTransfer", {"vendorId": "com.example"}, status="UnknownVendorId")
    transfer(one.station, "com.example", "Hello", "1")
    await one.ask("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}, status="Accepted")
    assert len((await one.ask("GetConfiguration"))["configurationKey"]) > 40
    await one.ask("TriggerMessage", {"requestedMessage": "Heartbeat"}, status="Accepted")
    await certificates(one, "ExtendedTriggerMessage", "SignChargePointCertificate", "ManufacturerRootCertificate")
    log = {"remoteLocation": "https://files.example/", "oldestTimestamp": one.later(-600)}
    await one.ask("GetLog", {"logType": "SecurityLog", "requestId": 8, "log": log}, status="Accepted")
    await one.run(30)
    assert "fileName" in await one.ask("GetDiagnostics", {"location": "https://files.example/"})
    await one.run(30)
    firmware = {"location": "https://files.example/fw", "retrieveDate": one.later(1)}
    await one.ask("UpdateFirmware", firmware)
    await one.run(90)
    await _signed_firmware(one)
    await one.ask("Reset", {"type": "Soft"}, status="Accepted")
    await one.run(60)
    assert one.station.online


async def _signed_firmware(one: Pair) -> None:
    """The whitepaper's way: a manufacturer that the station is told to trust signs what it fetches."""
    maker = Manufacturer(to_datetime(one.clock.now()))
    root = {"certificateType": "ManufacturerRootCertificate", "certificate": maker.root}
    await one.ask("InstallCertificate", root, status="Accepted")
    firmware = {
        "location": "https://files.example/fw",
        "retrieveDateTime": one.later(1),
        "signingCertificate": maker.certificate,
        "signature": maker.sign(b"firmware"),
    }
    await one.ask("SignedUpdateFirmware", {"requestId": 9, "firmware": firmware}, status="Accepted")
    await one.run(90)


async def test_all_64_of_201(folder: Path) -> None:
    async with pair("2.0.1", folder, plug_and_charge=True) as one:
        await _all_of_2(one)
        judge(one)


async def test_all_91_of_21(folder: Path) -> None:
    evses = (EvseConfig(), EvseConfig(max_discharge_w=11_000))
    more: dict[str, Any] = {"plug_and_charge": True, "payment_terminal": True, "web_payments": True}
    async with (
        pair("2.1", folder, evses=evses, der_controls=KINDS, **more) as one,
        pair("2.1", folder, evses=(SLOT,) * 4, swap_set=1) as swaps,
    ):
        await _all_of_2(one)
        await _only_in_21(one)
        await _a_battery_is_swapped(swaps)
        judge(one, swaps)


async def _all_of_2(one: Pair) -> None:
    await _variables_and_monitors(one)
    await _a_session(one)
    await _smart_charging(one)
    await _messages_and_people(one)
    await certificates(one, "TriggerMessage", "SignChargingStationCertificate", "V2GRootCertificate")
    await _vehicles_certificates(one)
    await _firmware_and_restart(one)


async def _variables_and_monitors(one: Pair) -> None:
    """B, H, N."""
    reserve = {"id": 1, "expiryDateTime": one.later(300), "idToken": TOKEN, "evseId": 1}
    await one.ask("ReserveNow", reserve, status="Accepted")
    await one.ask("CancelReservation", {"reservationId": 1}, status="Accepted")
    await one.ask("ReserveNow", {**reserve, "id": 2, "expiryDateTime": one.later(30)}, status="Accepted")
    await one.run(60)
    await one.ask("GetBaseReport", {"requestId": 1, "reportBase": "SummaryInventory"}, status="Accepted")
    criteria = {"requestId": 2, "componentVariable": [{"component": {"name": "EVSE"}}]}
    await one.ask("GetReport", criteria, status="Accepted")
    interval = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
    change = {"setVariableData": [{"attributeValue": "600", **interval}]}
    result = await one.ask("SetVariables", change)
    assert result["setVariableResult"][0]["attributeStatus"] == "Accepted"
    result = await one.ask("GetVariables", {"getVariableData": [interval]})
    assert result["getVariableResult"][0]["attributeValue"] == "600"
    watched = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "AvailabilityState"}}
    row = {"value": 1, "type": "Delta", "severity": 5, **watched}
    result = await one.ask("SetVariableMonitoring", {"setMonitoringData": [row]})
    [row] = result["setMonitoringResult"]
    assert row["status"] == "Accepted"
    await one.ask("SetMonitoringLevel", {"severity": 7}, status="Accepted")
    await one.ask("SetMonitoringBase", {"monitoringBase": "All"}, status="Accepted")
    await one.ask("GetMonitoringReport", {"requestId": 4}, status="Accepted")
    out = {"operationalStatus": "Inoperative", "evse": {"id": 1}}
    await one.ask("ChangeAvailability", out, status="Accepted")
    await one.ask("ChangeAvailability", {**out, "operationalStatus": "Operative"}, status="Accepted")
    await one.run(30)
    assert one.heard("NotifyEvent")
    result = await one.ask("ClearVariableMonitoring", {"id": [row["id"]]})
    assert result["clearMonitoringResult"][0]["status"] == "Accepted"


async def _a_session(one: Pair) -> None:
    """C to G, I, J: begun by a card."""
    station = one.station
    station.plug(1, Vehicle(CATALOGUE[CAR], 300))
    station.tap(1, "BB22")
    await one.run(70)
    assert one.heard("Authorize")
    key = station.truth[0].transaction
    await one.ask("GetTransactionStatus", {"transactionId": key}, ongoingIndicator=True)
    await one.ask("CostUpdated", {"totalCost": 1.5, "transactionId": key})
    for message in ("MeterValues", "LogStatusNotification", "Heartbeat"):
        await one.ask("TriggerMessage", {"requestedMessage": message}, status="Accepted")
    await one.ask("RequestStopTransaction", {"transactionId": key}, status="Accepted")
    await one.ask("UnlockConnector", {"evseId": 1, "connectorId": 1}, status="Unlocked")
    station.unplug(1)
    await one.run(10)
    await one.ask("ClearCache", status="Accepted")
    listed = [{"idToken": TOKEN, "idTokenInfo": {"status": "Accepted"}}]
    full = {"versionNumber": 2, "updateType": "Full", "localAuthorizationList": listed}
    await one.ask("SendLocalList", full, status="Accepted")
    await one.ask("GetLocalListVersion", versionNumber=2)


def _profile(one: Pair, **more: Any) -> dict[str, Any]:
    schedule = {
        "id": 1,
        "chargingRateUnit": "A",
        "startSchedule": one.later(0),
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 12}],
    }
    return {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
        **more,
    }


async def _smart_charging(one: Pair) -> None:
    """K: begun from afar; limits of the grid, and a car that plans."""
    station, smart = one.station, one.station.smart_charging
    await one.ask("RequestStartTransaction", {"idToken": TOKEN, "remoteStartId": 9, "evseId": 1}, status="Accepted")
    station.plug(1, Vehicle(CATALOGUE[CAR], 300))
    await one.run(60)
    key = station.truth[-1].transaction
    await one.ask("SetChargingProfile", {"evseId": 0, "chargingProfile": _profile(one)}, status="Accepted")
    schedule = await one.ask("GetCompositeSchedule", {"evseId": 1, "duration": 600}, status="Accepted")
    assert schedule["schedule"]["chargingSchedulePeriod"][0]["limit"] == 12
    await one.ask("GetChargingProfiles", {"requestId": 3, "chargingProfile": {}}, status="Accepted")
    assert smart.external.impose(Rates(limit=9_000), source="EMS", critical=True)
    await one.run(5)
    assert smart.external.release()
    await one.run(5)
    smart.planning.needs(1, energy_wh=20_000, departure=int(station.clock.now()) + 3_600_000, tuples=10)
    await one.run(5)
    tx = _profile(one, id=2, stackLevel=1, chargingProfilePurpose="TxProfile", transactionId=key)
    await one.ask("SetChargingProfile", {"evseId": 1, "chargingProfile": tx}, status="Accepted")
    await one.run(5)
    await one.ask("ClearChargingProfile", {"chargingProfileId": 1}, status="Accepted")
    station.unplug(1)
    await one.run(10)


async def _messages_and_people(one: Pair) -> None:
    """N, O, P."""
    text = {"format": "UTF8", "content": "Guten Tag", "language": "de"}
    message = {"id": 1, "priority": "InFront", "message": text}
    await one.ask("SetDisplayMessage", {"message": message}, status="Accepted")
    await one.ask("GetDisplayMessages", {"requestId": 6}, status="Accepted")
    await one.ask("ClearDisplayMessage", {"id": 1}, status="Accepted")
    who = {"requestId": 7, "report": True, "clear": True, "idToken": TOKEN}
    await one.ask("CustomerInformation", who, status="Accepted")
    await one.ask("DataTransfer", {"vendorId": "com.example"}, status="UnknownVendorId")
    transfer(one.station, "com.example", "Hello", "1")
    log = {"requestId": 8, "logType": "DiagnosticsLog", "log": {"remoteLocation": "https://files.example/"}}
    await one.ask("GetLog", log, status="Accepted")
    await one.run(30)


class Provider:
    """Who signs for vehicles, knows what was revoked, and has contracts: all that the central system asks outside."""

    name = "provider"

    def __init__(self, one: Pair) -> None:
        self._one = one
        self.authority = Authority.new("V2G", now=to_datetime(one.clock.now()))
        self.anchors = [self.authority.root]
        desk = one.csms.certificates
        desk._signers["V2GCertificate"] = self
        desk.statuses, desk.contracts = self, self

    def sign(self, request: Any, common_name: str, organization: str, *, again: bool, done: Any) -> None:
        now = to_datetime(self._one.clock.now())
        done(Signed(self.authority.sign(request, NAME, ORGANIZATION, now=now, ocsp_url="http://ocsp.example")))

    def status(self, tenant: str, about: Asked, done: Any) -> None:
        done(StatusTold(status="Accepted", ocsp_result="MAoKAQA="))

    def chain(self, tenant: str, about: tuple[Asked, ...], done: Any) -> None:
        until = self._one.clock.now() + 86_400_000
        done(tuple(OneStatus(one, "Good", until) for one in about))

    def certificate(self, key: Any, asked: Any, done: Any) -> None:
        done(EvCertificateTold(status="Accepted", exi_response="gJgC"))


async def _vehicles_certificates(one: Pair) -> None:
    """M, A: a certificate towards vehicles and whether it holds; a vehicle gets its contract."""
    provider, station = Provider(one), one.station
    await one.ask("TriggerMessage", {"requestedMessage": "SignV2GCertificate"}, status="Accepted")
    await one.run(30)
    own = station.certificates.v2g
    assert own is not None and station.contracts.answer(own.ders[0]) == "MAoKAQA="
    told: list[Any] = []
    station.contracts.install("gJgCRUZHSA==", "urn:iso:15118:2:2013:MsgDef", lambda *answer: told.append(answer))
    await one.run(10)
    assert told == [("Accepted", "gJgC", 0)]
    if one.version == "2.1":
        chain = provider.authority.sign(
            requests.read(requests.make(requests.new_key(), "DEABCC12345678", "Mobility")), "DEABCC12345678",
            "Mobility", now=to_datetime(one.clock.now()), ocsp_url="http://ocsp.example",
        )  # fmt: skip
        station.contracts.check_chain(pem.text(chain), told.append)
        await one.run(10)
        assert set(told[1].values()) == {"Good"}


async def _firmware_and_restart(one: Pair) -> None:
    """L, B: firmware for others and for itself, another way to us, a restart."""
    checksum = "fd12a36b2dfd9cbcf1b97ad8f4d4f0a6"
    file = {"location": "https://files.example/fw", "checksum": checksum, "requestId": 3}
    await one.ask("PublishFirmware", file, status="Accepted")
    await one.run(30)
    await one.ask("UnpublishFirmware", {"checksum": checksum})
    file = {"location": "https://files.example/fw", "retrieveDateTime": one.later(1)}
    await one.ask("UpdateFirmware", {"requestId": 5, "firmware": file}, status="Accepted")
    await one.run(90)
    data = {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": one.url.rpartition("/")[0],
        "messageTimeout": 30,
        "securityProfile": 3,
        "ocppInterface": "Wired0",
    }
    await one.ask("SetNetworkProfile", {"configurationSlot": 2, "connectionData": data}, status="Accepted")
    await one.ask("Reset", {"type": "Immediate"}, status="Accepted")
    await one.run(60)
    assert one.station.online


async def _only_in_21(one: Pair) -> None:
    await _tariffs(one)
    await _dynamic_and_priority(one)
    await _energy_back(one)
    await _streams(one)
    await _payments(one)


async def _tariffs(one: Pair) -> None:
    """I."""
    energy = {"prices": [{"priceKwh": 0.4}], "taxRates": [{"type": "VAT", "tax": 19}]}
    tariff = {"tariffId": "T1", "currency": "EUR", "energy": energy}
    await one.ask("SetDefaultTariff", {"evseId": 0, "tariff": tariff}, status="Accepted")
    station = one.station
    station.plug(1, Vehicle(CATALOGUE[CAR], 300))
    station.tap(1, "BB22")
    await one.run(60)
    found = await one.ask("GetTariffs", {"evseId": 0}, status="Accepted")
    assert found["tariffAssignments"][0]["tariffId"] == "T1"
    key = station.truth[-1].transaction
    other = {**tariff, "tariffId": "T2"}
    await one.ask("ChangeTransactionTariff", {"transactionId": key, "tariff": other}, status="Accepted")
    station.unplug(1)
    await one.run(10)
    cleared = await one.ask("ClearTariffs", {"tariffIds": ["T1"]})
    assert cleared["clearTariffsResult"][0]["status"] == "Accepted"
    assert station.truth[-1].cost is not None and station.truth[-1].cost > Decimal(0)


async def _dynamic_and_priority(one: Pair) -> None:
    """K21, K22, K28."""
    station = one.station
    station.plug(1, Vehicle(CATALOGUE[CAR], 300))
    station.tap(1, "BB22")
    await one.run(60)
    key = station.truth[-1].transaction
    dynamic = _profile(one, id=5, chargingProfileKind="Dynamic", dynUpdateInterval=60)
    del dynamic["chargingSchedule"][0]["startSchedule"]
    await one.ask("SetChargingProfile", {"evseId": 0, "chargingProfile": dynamic}, status="Accepted")
    update = {"chargingProfileId": 5, "scheduleUpdate": {"limit": 8.5}}
    await one.ask("UpdateDynamicSchedule", update, status="Accepted")
    assert station.evses[0].meter.currents[0] == 8_500
    await one.run(130)
    priority = _profile(one, id=6, chargingProfilePurpose="PriorityCharging")
    await one.ask("SetChargingProfile", {"evseId": 0, "chargingProfile": priority}, status="Accepted")
    await one.ask("UsePriorityCharging", {"transactionId": key, "activate": True}, status="Accepted")
    assert station.smart_charging.prioritize(1, on=False)
    await one.run(5)
    station.unplug(1)
    await one.run(10)


async def _streams(one: Pair) -> None:
    """N11 to N15: what a monitor sees, told in batches that nobody answers."""
    watched = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}}
    row = {"value": 1, "type": "Periodic", "severity": 5, "periodicEventStream": {"values": 5}, **watched}
    [result] = (await one.ask("SetVariableMonitoring", {"setMonitoringData": [row]}))["setMonitoringResult"]
    await one.run(20)
    [stream] = (await one.ask("GetPeriodicEventStream"))["constantStreamData"]
    assert stream["variableMonitoringId"] == result["id"]
    change = {"id": stream["id"], "params": {"values": 2}}
    await one.ask("AdjustPeriodicEventStream", change, status="Accepted")
    assert one.heard("NotifyPeriodicEventStream") >= 4
    await one.ask("ClearVariableMonitoring", {"id": [result["id"]]})
    await one.run(5)


async def _payments(one: Pair) -> None:
    """C18 to C25: a card at the terminal, a VAT number, what is owed; somebody pays on the web."""
    station = one.station
    tariff = {"tariffId": "T5", "currency": "EUR", "energy": {"prices": [{"priceKwh": 0.5}]}}
    await one.ask("SetDefaultTariff", {"evseId": 0, "tariff": tariff}, status="Accepted")
    station.plug(1, Vehicle(CATALOGUE[CAR], 300))
    station.payment.present(1, "400012345678")
    await one.run(300)
    station.payment.vat(1, "NL123456789B01")
    await one.run(5)
    station.unplug(1)
    await one.run(30)
    assert one.heard("NotifySettlement") == 1
    await one.ask("NotifyWebPaymentStarted", {"evseId": 1, "timeout": 60})
    assert station.payment.locked(station.evse(1))


async def _a_battery_is_swapped(one: Pair) -> None:
    """S: an empty one for a full one."""
    swap = one.station.swap
    one.station.plug(1, Cartridge("B-1", 950))
    await one.run(5)
    await one.ask("RequestBatterySwap", {"requestId": 7, "idToken": TOKEN}, status="Accepted")
    swap.insert({2: Cartridge("OLD", 120)})
    await one.run(5)
    assert [battery.serial for battery in swap.take().values()] == ["B-1"]
    await one.run(5)
    assert one.heard("BatterySwap") == 2


async def _energy_back(one: Pair) -> None:
    """Q, R: a car gives energy, follows the operator's signal, and the grid's controls come before that."""
    station = one.station
    station.plug(2, Vehicle(BIDIRECTIONAL, 600, evccid="0001020304AB"))
    station.tap(2, "BB22")
    await one.run(10)
    leave = {"transactionId": station.truth[-1].transaction, "allowedEnergyTransfer": ["AC_BPT"]}
    await one.ask("NotifyAllowedEnergyTransfer", leave, status="Accepted")
    follows = _profile(one, id=7, stackLevel=3)
    [schedule] = follows["chargingSchedule"]
    schedule["chargingRateUnit"] = "W"
    [period] = schedule["chargingSchedulePeriod"]
    del period["limit"]
    period |= {
        "operationMode": "LocalFrequency",
        "v2xBaseline": -2000,
        "v2xFreqWattCurve": [{"frequency": f, "power": w} for f, w in ((49.9, -500), (50, 0), (50.1, 500))],
        "v2xSignalWattCurve": [{"signal": s, "power": w} for s, w in ((-1, -3000), (0, 0), (1, 2000))],
    }
    await one.ask("SetChargingProfile", {"evseId": 2, "chargingProfile": follows}, status="Accepted")
    await one.ask("AFRRSignal", {"timestamp": one.later(0), "signal": -1}, status="Accepted")
    await one.run(5)
    assert -5100 < station.evses[1].meter.power_mw / 1000 < -4900
    limit = {"priority": 1, "pctMaxDischargePower": 20}
    control = {"isDefault": True, "controlId": "half", "controlType": "LimitMaxDischarge", "limitMaxDischarge": limit}
    await one.ask("SetDERControl", control, status="Accepted")
    await one.run(5)
    assert -2300 < station.evses[1].meter.power_mw / 1000 < -2100
    scheduled = {**limit, "pctMaxDischargePower": 10, "startTime": one.later(30), "duration": 60}
    control |= {"isDefault": False, "controlId": "soon", "limitMaxDischarge": scheduled}
    await one.ask("SetDERControl", control, status="Accepted")
    await one.run(60)
    await one.ask("GetDERControl", {"requestId": 4}, status="Accepted")
    await one.run(60)
    await one.ask("ClearDERControl", {"isDefault": True, "controlType": "LimitMaxDischarge"}, status="Accepted")
    assert one.heard("NotifyDERAlarm") >= 2 and one.heard("NotifyDERStartStop") == 2
    station.unplug(2)
    await one.run(10)
