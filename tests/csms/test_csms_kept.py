"""What stations are told to keep, and tell that they keep: in the record, and the same after a replay."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from csms_kit import Client, World
from tests.check.contract_pki import ContractPki

from pilotwire.core.ids import DEFAULT_TENANT
from pilotwire.core.time import to_datetime, to_rfc3339
from pilotwire.crypto import chains, pem
from pilotwire.crypto.certificates import make_authority, make_station
from pilotwire.domain import facts
from pilotwire.domain.certificates import Asked, OneStatus
from pilotwire.domain.fold import fold
from pilotwire.domain.kept import Kept, standing
from pilotwire.domain.records import Station
from pilotwire.domain.trust import TrustAnchor
from pilotwire.storage.codec import decode_as, encode

VERSIONS = ("1.6", "2.0.1", "2.1")
V2 = ("2.0.1", "2.1")
TOKEN = {"idToken": "TAG", "type": "ISO14443"}
PLACE = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}}


def ready(version: str, **world: Any) -> tuple[World, Client]:
    made = World(**world)
    made.token()
    station = made.station(version=version)
    station.boot()
    return made, station


def ask(world: World, station: Client, action: str, payload: dict[str, Any], answer: dict[str, Any]) -> Kept:
    """Send a command that the station answers so; what it keeps then."""
    station.on[action] = lambda asked: answer
    replies = world.command(action, payload)
    world.run()
    assert [one.outcome for one in replies] == ["answered"], replies
    return kept(world)


def kept(world: World) -> Kept:
    found = world.record().kept or Kept()
    records = [record for record in fold(list(world.store._entries)) if isinstance(record, Station)]
    assert [record.kept or Kept() for record in records] == [found], "the journal folded anew gives the same"
    again = decode_as(Station, encode(world.record()))
    assert (again.kept or Kept()) == found, "it is stored and read back as it is"
    assert world.system.counters.faults == 0, world.logged
    return found


# ── H ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
def reserve(version: str, world: World, number: int = 7, minutes: int = 10) -> dict[str, Any]:
    until = to_rfc3339(world.clock.now() + minutes * 60_000)
    if version == "1.6":
        return {"connectorId": 1, "expiryDate": until, "idTag": "TAG", "reservationId": number}
    return {"id": number, "expiryDateTime": until, "idToken": TOKEN, "evseId": 1}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_reservation_is_kept_until_it_is_cancelled(version: str) -> None:
    world, station = ready(version)
    found = ask(world, station, "ReserveNow", reserve(version, world), {"status": "Faulted"})
    assert found.reservations == [], "what was refused is not there"
    found = ask(world, station, "ReserveNow", reserve(version, world), {"status": "Accepted"})
    (one,) = found.reservations
    assert (one.id, one.token, one.evse, standing(one, world.clock.now())) == (7, "TAG", 1, "waiting")
    found = ask(world, station, "CancelReservation", {"reservationId": 7}, {"status": "Accepted"})
    assert [standing(one, world.clock.now()) for one in found.reservations] == ["cancelled"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_reservation_is_used_by_the_session_that_names_it(version: str) -> None:
    world, station = ready(version)
    ask(world, station, "ReserveNow", reserve(version, world), {"status": "Accepted"})
    if version == "1.6":
        station.call("StartTransaction", station.start_v16(reservationId=7))
    else:
        station.call("TransactionEvent", station.event("Started", 0, reservationId=7, idToken=TOKEN))
    (one,) = kept(world).reservations
    (session,) = world.sessions()
    assert (one.status, one.session) == ("used", session.id)


def test_a_16_reservation_that_nobody_used_is_a_no_show_by_the_clock() -> None:
    world, station = ready("1.6")
    (one,) = ask(world, station, "ReserveNow", reserve("1.6", world), {"status": "Accepted"}).reservations
    assert standing(one, one.expires_at - 1) == "waiting" and standing(one, one.expires_at) == "no-show"


@pytest.mark.parametrize(
    ("said", "stands"), [("Expired", "no-show"), ("Removed", "removed"), ("NoTransaction", "no-transaction")]
)
def test_the_end_of_a_reservation(said: str, stands: str) -> None:
    version = "2.1" if said == "NoTransaction" else "2.0.1"
    world, station = ready(version)
    ask(world, station, "ReserveNow", reserve(version, world), {"status": "Accepted"})
    assert station.call("ReservationStatusUpdate", {"reservationId": 7, "reservationUpdateStatus": said}) == {}
    (one,) = kept(world).reservations
    assert (
        standing(one, world.clock.now()) == stands and one.ended_at == world.facts(facts.ReservationEnded)[0].event_time
    )


# ── N ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
def set_monitors(world: World, station: Client) -> Kept:
    """A delta and a threshold of the same variable; the third is refused; results in another order."""
    rows = [
        {"value": 5.50, "type": "Delta", "severity": 5, **PLACE},
        {"value": 22000, "type": "UpperThreshold", "severity": 3, "transaction": True, **PLACE},
        {"value": 1, "type": "Periodic", "severity": 9, **PLACE},
    ]
    results = [
        {"status": "Accepted", "type": "UpperThreshold", "severity": 3, "id": 2, **PLACE},
        {"status": "Rejected", "type": "Periodic", "severity": 9, **PLACE},
        {"status": "Accepted", "type": "Delta", "severity": 5, "id": 1, **PLACE},
    ]
    answer = {"setMonitoringResult": results}
    return ask(world, station, "SetVariableMonitoring", {"setMonitoringData": rows}, answer)


@pytest.mark.parametrize("version", V2)
def test_monitors(version: str) -> None:
    world, station = ready(version)
    found = {one.id: one for one in set_monitors(world, station).monitors}
    assert sorted(found) == [1, 2]
    assert (found[1].kind, found[1].value, found[1].place.evse) == ("Delta", "5.5", 1)
    assert (found[2].kind, found[2].transaction, found[2].severity) == ("UpperThreshold", True, 3)
    cleared = {"clearMonitoringResult": [{"id": 1, "status": "NotFound"}, {"id": 2, "status": "Rejected"}]}
    left = ask(world, station, "ClearVariableMonitoring", {"id": [1, 2]}, cleared)
    assert [one.id for one in left.monitors] == [2], "what is not found is not there, what cannot be cleared is"
    base = ask(world, station, "SetMonitoringBase", {"monitoringBase": "FactoryDefault"}, {"status": "Accepted"})
    assert (base.monitors, base.monitoring_base) == ([], "FactoryDefault")
    assert ask(world, station, "SetMonitoringLevel", {"severity": 4}, {"status": "Accepted"}).monitoring_level == 4


@pytest.mark.requirement("2.0.1", "N07.FR.03", side="csms")
@pytest.mark.requirement("2.1", "N07.FR.03", side="csms")
@pytest.mark.parametrize("version", V2)
def test_an_event_is_kept_with_all_that_it_says(version: str) -> None:
    world, station = ready(version)
    event: dict[str, Any] = {
        "eventId": 4,
        "timestamp": station.at(),
        "trigger": "Alerting",
        "cause": 3,
        "actualValue": "23000",
        "techCode": "E17",
        "cleared": True,
        "transactionId": "tx-1",
        "variableMonitoringId": 2,
        "eventNotificationType": "CustomMonitor",
        "component": {"name": "EVSE", "instance": "left", "evse": {"id": 1}},
        "variable": {"name": "Power", "instance": "L1"},
    }
    if version == "2.1":
        event["severity"] = 3
    assert station.call("NotifyEvent", {"generatedAt": station.at(), "seqNo": 0, "eventData": [event]}) == {}
    (fact,) = world.facts(facts.EventNotified)
    assert (fact.event_id, fact.cause, fact.kind, fact.monitor, fact.transaction) == (4, 3, "CustomMonitor", 2, "tx-1")
    assert (fact.component_instance, fact.variable_instance, fact.evse) == ("left", "L1", 1)
    assert (fact.cleared, fact.tech_code, fact.severity) == (True, "E17", 3 if version == "2.1" else None)


@pytest.mark.parametrize("version", V2)
def test_a_monitoring_report_in_parts_that_come_in_any_order(version: str) -> None:
    world, station = ready(version)

    def part(seq: int, name: int, more: bool) -> dict[str, Any]:
        row: dict[str, Any] = {"id": name, "transaction": False, "value": 1.0, "type": "Delta", "severity": 1}
        if version == "2.1":
            row["eventNotificationType"] = "HardWiredMonitor"
        monitor = [{**PLACE, "variableMonitoring": [row]}]
        return {"requestId": 5, "seqNo": seq, "generatedAt": station.at(), "monitor": monitor, "tbc": more}

    assert station.call("NotifyMonitoringReport", part(2, 12, False)) == {}
    assert station.call("NotifyMonitoringReport", part(0, 10, True)) == {}
    (report,) = kept(world).reports
    assert not report.complete and report.missing == [[1, 1]]
    station.call("NotifyMonitoringReport", part(1, 11, True))
    found = kept(world)
    assert found.reports[0].complete and found.reports[0].missing == []
    assert sorted(one.id for one in found.monitors) == [10, 11, 12]
    origin = "HardWiredMonitor" if version == "2.1" else "CustomMonitor"
    assert {one.origin for one in found.monitors} == {origin}


@pytest.mark.parametrize("version", V2)
def test_what_a_station_keeps_of_a_customer_is_no_fact_of_ours(version: str) -> None:
    world, station = ready(version)
    body = {"data": "Erika", "seqNo": 0, "generatedAt": station.at(), "requestId": 9}
    assert station.call("NotifyCustomerInformation", body) == {}
    (fact,) = world.facts(facts.CustomerInformationTold)
    assert (fact.length, fact.more) == (5, False) and b"Erika" not in encode(fact)
    assert [(one.kind, one.complete) for one in kept(world).reports] == [("customer", True)]


def stream(world: World, station: Client, number: int = 3) -> Any:
    data = {"id": number, "variableMonitoringId": 1, "params": {"interval": 10, "values": 4}}
    return station.call("OpenPeriodicEventStream", {"constantStreamData": data})


def values(world: World, station: Client, number: int, *pairs: tuple[float, str]) -> None:
    data = [{"t": at, "v": value} for at, value in pairs]
    body = {"id": number, "pending": 1, "basetime": station.at(), "data": data}
    station.raw(json.dumps([6, f"s-{world.clock.now()}", "NotifyPeriodicEventStream", body]).encode())
    world.run()


@pytest.mark.requirement("2.1", "N11.FR.04", "N11.FR.06", "N13.FR.02", "N14.FR.01", "N15.FR.03", side="csms")
def test_streams_of_values() -> None:
    world, station = ready("2.1")
    set_monitors(world, station)
    assert stream(world, station) == {"status": "Accepted"}
    values(world, station, 3, (0, "10.0"), (1.5, "11.5"))
    (one,) = kept(world).streams
    assert (one.id, one.monitor, one.interval_s, one.values, one.told, one.pending) == (3, 1, 10, 4, 2, 1)
    (told,) = world.facts(facts.StreamTold)
    assert told.values[1].time - told.values[0].time == 1500
    (newest,) = world.facts(facts.VariablesReported)
    assert [(row.component, row.variable, row.value) for row in newest.variables] == [("EVSE", "Power", "11.5")]
    pace = {"id": 3, "params": {"interval": 60}}
    (one,) = ask(world, station, "AdjustPeriodicEventStream", pace, {"status": "Accepted"}).streams
    assert (one.interval_s, one.values, one.told) == (60, 4, 2)
    assert station.call("ClosePeriodicEventStream", {"id": 3}) == {}
    assert kept(world).streams == []
    stream(world, station)
    station.boot()
    assert kept(world).streams == [], "a restart opens them anew"


@pytest.mark.requirement("2.1", "N15.FR.02", side="csms")
def test_values_of_a_stream_that_we_do_not_know_of_make_us_ask_once() -> None:
    world, station = ready("2.1")
    row = {"id": 8, "variableMonitoringId": 2, "params": {"interval": 5}}
    station.on["GetPeriodicEventStream"] = lambda asked: {"constantStreamData": [row]}
    before = len(station.frames)
    values(world, station, 8, (0, "1"))
    assert [(one.id, one.monitor) for one in kept(world).streams] == [(8, 2)]
    values(world, station, 9, (0, "1"))
    values(world, station, 9, (0, "2"))
    assert [call[2] for call in station.calls] == ["GetPeriodicEventStream"]
    assert station.frames[before:] == [], "a SEND is not answered"


@pytest.mark.requirement("2.1", "N15.FR.05", side="csms")
def test_a_stream_that_falls_behind_may_say_more_at_once() -> None:
    world, station = ready("2.1")
    set_monitors(world, station)
    stream(world, station)

    def waiting(*backlog: int) -> list[Any]:
        station.calls.clear()
        for pending in backlog:
            body = {"id": 3, "pending": pending, "basetime": station.at(), "data": [{"t": 0, "v": "1"}]}
            station.raw(json.dumps([6, f"s-{world.clock.now()}", "NotifyPeriodicEventStream", body]).encode())
            world.run()
        return [call[3] for call in station.calls]

    assert waiting(5, 9, 13, 12, 20, 30) == [], "it has caught up a little in between"
    assert waiting(40) == [{"id": 3, "params": {"interval": 10, "values": 8}}]
    assert [(one.interval_s, one.values) for one in kept(world).streams] == [(10, 8)]
    assert waiting(50, 60) == []
    assert waiting(70) == [{"id": 3, "params": {"interval": 10, "values": 16}}]
    assert waiting(60, 50, 40, 30) == []


@pytest.mark.requirement("2.1", "N11.FR.05", side="csms")
def test_streams_without_end_are_refused() -> None:
    world, station = ready("2.1")
    said = [stream(world, station, number)["status"] for number in range(52)]
    assert said == ["Accepted"] * 50 + ["Rejected"] * 2
    assert stream(world, station, 49) == {"status": "Accepted"}, "one that is open already may be opened again"
    assert len(kept(world).streams) == 50


# ── O ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
def message(number: int, **more: Any) -> dict[str, Any]:
    content = {"format": "UTF8", "content": f"Text {number}", "language": "en"}
    return {"id": number, "priority": "NormalCycle", "message": content, **more}


@pytest.mark.parametrize("version", V2)
def test_display_messages(version: str) -> None:
    world, station = ready(version)
    set_ = {"message": message(1, state="Charging", endDateTime=station.at(60_000))}
    (one,) = ask(world, station, "SetDisplayMessage", set_, {"status": "Accepted"}).messages
    assert (one.id, one.content, one.language, one.state) == (1, "Text 1", "en", "Charging")
    assert one.ends_at is not None
    again = {"message": message(1, priority="AlwaysFront")}
    (one,) = ask(world, station, "SetDisplayMessage", again, {"status": "Accepted"}).messages
    assert (one.priority, one.state) == ("AlwaysFront", "")
    part = {"requestId": 4, "tbc": True, "messageInfo": [message(2), message(3)]}
    assert station.call("NotifyDisplayMessages", part) == {}
    assert station.call("NotifyDisplayMessages", {"requestId": 4}) == {}
    found = kept(world)
    assert [one.id for one in found.messages] == [1, 2, 3] and found.reports[0].complete
    left = ask(world, station, "ClearDisplayMessage", {"id": 2}, {"status": "Unknown"})
    assert [one.id for one in left.messages] == [1, 3]


# ── D, E, K, L ───────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("version", VERSIONS)
def test_the_local_list(version: str) -> None:
    world, station = ready(version)
    old = version == "1.6"
    row = {"idTag": "T", "idTagInfo": {"status": "Accepted"}} if old else {
        "idToken": TOKEN, "idTokenInfo": {"status": "Accepted"},
    }  # fmt: skip
    name = "listVersion" if old else "versionNumber"
    send = {name: 4, "updateType": "Full", "localAuthorizationList": [row, row]}
    ask(world, station, "SendLocalList", send, {"status": "VersionMismatch"})
    assert kept(world).local_list is None
    told = ask(world, station, "SendLocalList", send, {"status": "Accepted"}).local_list
    assert told is not None and (told.version, told.kind, told.entries) == (4, "Full", 2)
    told = ask(world, station, "GetLocalListVersion", {}, {name: 4}).local_list
    assert told is not None and told.entries == 2, "the one that we sent is still there"
    told = ask(world, station, "GetLocalListVersion", {}, {name: 9}).local_list
    assert told is not None and (told.version, told.kind, told.entries) == (9, "", None), "somebody else sent another"


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize(("queued", "ended"), [(False, True), (True, False)])
def test_a_transaction_that_is_over_has_ended_without_our_hearing_of_it(
    version: str, queued: bool, ended: bool
) -> None:
    world, station = ready(version)
    station.call("TransactionEvent", station.event("Started", 0, 1000.0))
    answer = {"messagesInQueue": queued, "ongoingIndicator": False}
    ask(world, station, "GetTransactionStatus", {"transactionId": "tx-1"}, answer)
    (session,) = world.sessions()
    assert (session.status == "ended") is ended
    ask(world, station, "GetTransactionStatus", {}, {"messagesInQueue": queued})
    assert [one.ongoing for one in world.facts(facts.TransactionStatusTold)] == [False, None]


def test_priority_charging_that_we_asked_for() -> None:
    world, station = ready("2.1")
    ask(world, station, "UsePriorityCharging", {"transactionId": "tx-1", "activate": True}, {"status": "Accepted"})
    charging = world.record().charging
    assert charging is not None and charging.priority == ["tx-1"]


@pytest.mark.parametrize("version", V2)
def test_published_firmware(version: str) -> None:
    world, station = ready(version)
    body: dict[str, Any] = {"status": "Published", "location": ["https://lc.example/fw"], "requestId": 3}
    if version == "2.1":
        body["statusInfo"] = {"reasonCode": "Ok"}
    assert station.call("PublishFirmwareStatusNotification", body) == {}
    ask(world, station, "UnpublishFirmware", {"checksum": "a" * 32}, {"status": "Unpublished"})
    told = world.facts(facts.FirmwarePublished)
    assert [(one.status, one.locations) for one in told] == [
        ("Published", ("https://lc.example/fw",)),
        ("Unpublished", ()),
    ]


# ── C ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_settlement_said_twice_is_one_payment() -> None:
    world, station = ready("2.1")
    body = {"pspRef": "psp-1", "status": "Settled", "settlementAmount": 12.40, "settlementTime": station.at()}
    assert station.call("NotifySettlement", body | {"transactionId": "tx-1", "receiptId": "r"}) == {}
    assert station.call("NotifySettlement", body | {"transactionId": "tx-1", "receiptId": "r"}) == {}
    (one,) = kept(world).payments
    assert (one.reference, one.amount, one.status, one.transaction) == ("psp-1", "12.4", "Settled", "tx-1")


@pytest.mark.parametrize(
    ("number", "status"),
    [("DE136695976", "Accepted"), ("DE136695977", "Rejected"), ("NL123", "Rejected"), ("12345", "Rejected")],
)
def test_a_vat_number_that_cannot_be_one_is_refused(number: str, status: str) -> None:
    _, station = ready("2.1")
    told = station.call("VatNumberValidation", {"vatNumber": number, "evseId": 1})
    assert (told["status"], told["vatNumber"], told["evseId"]) == (status, number, 1)
    assert ("statusInfo" in told) is (status == "Rejected")


def test_web_payment_and_energy_transfer() -> None:
    world, station = ready("2.1")
    ask(world, station, "NotifyWebPaymentStarted", {"evseId": 1, "timeout": 60}, {})
    assert [(one.evse, one.timeout_s) for one in world.facts(facts.WebPaymentStarted)] == [(1, 60)]
    body = {"transactionId": "tx-1", "allowedEnergyTransfer": ["DC", "DC_BPT"]}
    assert ask(world, station, "NotifyAllowedEnergyTransfer", body, {"status": "Accepted"}).transfers == {
        "tx-1": ("DC", "DC_BPT")
    }


# ── Q, R, S ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_signal_of_the_grid() -> None:
    world, station = ready("2.1")
    body = {"timestamp": station.at(), "signal": 40}
    signal = ask(world, station, "AFRRSignal", body, {"status": "Accepted"}).signal
    assert signal is not None and signal[1] == 40


def droop(priority: int, **more: Any) -> dict[str, Any]:
    numbers = {"overFreq": 50.2, "underFreq": 49.8, "overDroop": 5.0, "underDroop": 5, "responseTime": 1}
    return {"priority": priority, **numbers, **more}


def test_grid_controls() -> None:
    world, station = ready("2.1")

    def control(name: str, **what: Any) -> dict[str, Any]:
        return {"isDefault": False, "controlId": name, "controlType": "FreqDroop", **what}

    first = control("a", freqDroop=droop(1, startTime=station.at(), duration=60.5))
    (one,) = ask(world, station, "SetDERControl", first, {"status": "Accepted"}).controls
    assert (one.id, one.kind, one.priority, one.duration_s, one.superseded) == ("a", "FreqDroop", 1, "60.5", False)
    assert json.loads(one.setting)["overFreq"] == 50.2
    second = control("b", freqDroop=droop(0, startTime=station.at(), duration=60))
    found = ask(world, station, "SetDERControl", second, {"status": "Accepted", "supersededIds": ["a"]})
    assert [(one.id, one.superseded) for one in found.controls] == [("a", True), ("b", False)]
    began = {"controlId": "b", "started": True, "timestamp": station.at()}
    assert station.call("NotifyDERStartStop", began) == {}
    assert [(one.id, one.running) for one in kept(world).controls] == [("a", False), ("b", True)]
    clear = {"isDefault": False, "controlId": "b"}
    found = ask(world, station, "ClearDERControl", clear, {"status": "Accepted"})
    assert [(one.id, one.superseded) for one in found.controls] == [("a", False)], "what it had displaced holds again"
    assert station.call("NotifyDERStartStop", began | {"controlId": "a", "started": False}) == {}
    assert kept(world).controls == [], "a scheduled one that is over is gone"


def test_a_report_of_grid_controls() -> None:
    world, station = ready("2.1")
    curve = {"curveData": [{"x": 1, "y": 2}], "priority": 2, "yUnit": "PctMaxW"}
    row = {"id": "c", "curveType": "VoltWatt", "isDefault": True, "isSuperseded": False, "curve": curve}
    fixed = {"id": "f", "isDefault": False, "isSuperseded": True, "fixedPF": {
        "priority": 1, "displacement": 0.95, "excitation": True,
    }}  # fmt: skip
    gradient = {"id": "g", "gradient": {"priority": 0, "gradient": 1, "softGradient": 1}}
    body = {"requestId": 6, "curve": [row], "fixedPFAbsorb": [fixed], "gradient": [gradient]}
    assert station.call("ReportDERControl", body) == {}
    found = kept(world)
    assert {(one.id, one.kind, one.default, one.superseded) for one in found.controls} == {
        ("c", "VoltWatt", True, False),
        ("f", "FixedPFAbsorb", False, True),
        ("g", "Gradients", True, False),
    }
    assert found.reports[0].complete


def test_alarms_of_the_grid_until_they_end() -> None:
    world, station = ready("2.1")
    body = {"controlType": "FreqDroop", "timestamp": station.at(), "gridEventFault": "UnderFrequency"}
    assert station.call("NotifyDERAlarm", body) == {}
    assert kept(world).alarms == ["FreqDroop UnderFrequency"]
    assert station.call("NotifyDERAlarm", body | {"alarmEnded": True}) == {}
    assert kept(world).alarms == []


def test_a_battery_swap() -> None:
    world, station = ready("2.1")
    ask(world, station, "RequestBatterySwap", {"requestId": 5, "idToken": TOKEN}, {"status": "Accepted"})
    batteries = [{"evseId": 1, "serialNumber": "B1", "soC": 12.5, "soH": 99}]
    body = {"eventType": "BatteryIn", "requestId": 5, "idToken": TOKEN, "batteryData": batteries}
    assert station.call("BatterySwap", body) == {}
    steps = kept(world).swaps
    assert [one.kind for one in steps] == ["requested", "BatteryIn"]
    assert [(one.serial, one.soc, one.soh) for one in steps[1].batteries] == [("B1", 125, 990)]


# ── C07 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
EMAID = {"idToken": "DE-ABC-C00000001-1", "type": "eMAID"}
HASHES = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "aa",
    "issuerKeyHash": "bb",
    "serialNumber": "1",
    "responderURL": "https://ocsp.example",
}
BY_HASHES = ("C07.FR.04", "C07.FR.05", "C07.FR.13", "C07.FR.14", "C07.FR.16", "C07.FR.17")


class Statuses:
    """Says of every certificate what it is told to say."""

    def __init__(self, *said: str) -> None:
        self.said = said
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.issuers: list[str] = []

    def chain(self, tenant: str, about: tuple[Asked, ...], done: Any, issuers: Any = ()) -> None:
        self.asked = [(one.serial_number, one.urls) for one in about]
        self.issuers = [one.subject.rfc4514_string() for one in issuers]
        done(tuple(OneStatus(one, status, 0) for one, status in zip(about, self.said, strict=True)))


def by_contract(world: World, station: Client, **what: Any) -> tuple[str, str]:
    told = station.call("Authorize", {"idToken": EMAID, **what}, ms=1_000)
    assert world.system.counters.faults == 0, world.logged
    return told["certificateStatus"], told["idTokenInfo"]["status"]


@pytest.mark.requirement("2.0.1", *BY_HASHES, side="csms")
@pytest.mark.requirement("2.1", *BY_HASHES, side="csms")
@pytest.mark.parametrize("version", V2)
def test_a_contract_by_the_hashes_of_its_chain(version: str) -> None:
    world, station = ready(version)
    world.token(EMAID["idToken"])
    desk = world.system.certificates
    both = [HASHES, HASHES | {"serialNumber": "2"}]
    assert by_contract(world, station, iso15118CertificateHashData=both) == ("CertChainError", "Invalid"), (
        "nobody knows"
    )
    desk.statuses = Statuses("Good", "Good")  # type: ignore[assignment]
    assert by_contract(world, station, iso15118CertificateHashData=both) == ("Accepted", "Accepted")
    desk.statuses = Statuses("Good", "Revoked")  # type: ignore[assignment]
    assert by_contract(world, station, iso15118CertificateHashData=both) == ("CertificateRevoked", "Invalid")
    desk.statuses = Statuses("Failed", "Good")  # type: ignore[assignment]
    assert by_contract(world, station, iso15118CertificateHashData=both) == ("CertChainError", "Invalid")
    desk.statuses = Statuses("Good", "Good")  # type: ignore[assignment]
    world.token(EMAID["idToken"], status="Blocked")
    assert by_contract(world, station, iso15118CertificateHashData=both) == ("ContractCancelled", "Blocked")
    told = station.call("Authorize", {"idToken": EMAID})
    assert "certificateStatus" not in told, "without a certificate nothing is said of one"


@pytest.mark.requirement("2.0.1", "C07.FR.15", "C07.FR.17", side="csms")
@pytest.mark.requirement("2.1", "C07.FR.15", "C07.FR.17", side="csms")
@pytest.mark.parametrize("version", V2)
def test_a_contract_by_its_chain(version: str) -> None:
    world, station = ready(version)
    world.token(EMAID["idToken"])
    now = to_datetime(world.clock.now())
    root = make_authority("Operator of contracts", now=now - timedelta(days=20))
    good = make_station(root, EMAID["idToken"], "Contracts", now=now - timedelta(days=10)).certificate_pem
    old = make_station(root, EMAID["idToken"], "Contracts", now=now - timedelta(days=10), days=5).certificate_pem
    assert by_contract(world, station, certificate=good) == ("CertChainError", "Invalid"), "nobody trusts its root"
    desk = world.system.certificates
    for use, said in (("csms", ("CertChainError", "Invalid")), ("mo", ("Accepted", "Accepted"))):
        anchor = TrustAnchor(name="root", use=use, certificate=root.certificate_pem)  # type: ignore[arg-type]
        desk._anchors[DEFAULT_TENANT] = [(anchor, chains.load(pem.one(root.certificate_pem)))]
        assert by_contract(world, station, certificate=good) == said
    assert by_contract(world, station, certificate=old) == ("CertificateExpired", "Expired")
    assert by_contract(world, station, certificate="no certificate") == ("CertChainError", "Invalid")


@pytest.mark.requirement("2.0.1", "C07.FR.05", "C07.FR.16", side="csms")
@pytest.mark.requirement("2.1", "C07.FR.05", "C07.FR.16", side="csms")
@pytest.mark.parametrize("version", V2)
def test_a_contract_by_its_chain_is_asked_about_where_it_says_so(version: str) -> None:
    world, station = ready(version)
    world.token(EMAID["idToken"])
    pki = ContractPki("http://ocsp.example/mo", to_datetime(world.clock.now()))
    contract = pki.contract(EMAID["idToken"])
    chain = contract.pem + pki.sub.pem
    desk = world.system.certificates
    desk._anchors[DEFAULT_TENANT] = [
        (TrustAnchor(name="root", use="mo", certificate=pki.root.pem), chains.load(pki.root.der))
    ]
    asked = [(row["serialNumber"], (pki.url,)) for row in pki.asks(contract, pki.sub)]
    for said, told in (
        (("Good", "Good"), ("Accepted", "Accepted")),
        (("Revoked", "Good"), ("CertificateRevoked", "Invalid")),
        (("Good", "Revoked"), ("CertificateRevoked", "Invalid")),
        (("Good", "Failed"), ("CertChainError", "Invalid")),
    ):
        desk.statuses = statuses = Statuses(*said)  # type: ignore[assignment]
        # Hashes of something else beside the certificate change nothing: what was shown is asked about.
        more = {"iso15118CertificateHashData": [HASHES]} if said[0] == "Revoked" else {}
        assert by_contract(world, station, certificate=chain, **more) == told
        assert statuses.asked == asked
        assert statuses.issuers == ["CN=MO Sub 2", "CN=MO Root"]
    desk.statuses = None
    assert by_contract(world, station, certificate=chain) == ("CertChainError", "Invalid"), "nobody can be asked"


# ── what the standard does not let us send ───────────────────────────────────────────────────────────────────────────
LIMITS = ("B08.FR.06", "N02.FR.07")


def limit(component: str, instance: str, value: int, name: str = "ItemsPerMessage") -> dict[str, Any]:
    variable = {"name": name, "instance": instance} if instance else {"name": name}
    attribute = {"type": "Actual", "value": str(value), "mutability": "ReadOnly"}
    return {"component": {"name": component}, "variable": variable, "variableAttribute": [attribute]}


@pytest.mark.requirement("2.0.1", *LIMITS, side="csms")
@pytest.mark.requirement("2.1", *LIMITS, side="csms")
@pytest.mark.parametrize("version", V2)
def test_no_more_is_sent_than_the_station_takes_at_once(version: str) -> None:
    world, station = ready(version)
    rows = [
        limit("DeviceDataCtrlr", "GetReport", 2),
        limit("LocalAuthListCtrlr", "", 2),
        limit("DeviceDataCtrlr", "SetVariables", 400, "BytesPerMessage"),
    ]
    report = {"requestId": 1, "seqNo": 0, "generatedAt": station.at(), "reportData": rows}
    assert station.call("NotifyReport", report) == {}
    assert len(kept(world).limits) == 3
    several: dict[str, tuple[dict[str, Any], str, Any]] = {
        "GetReport": ({"requestId": 1}, "componentVariable", PLACE),
        "GetMonitoringReport": ({"requestId": 1}, "componentVariable", PLACE),
    }
    for action, (payload, field, one) in several.items():
        (reply,) = world.command(action, payload | {field: [one] * 3})
        assert reply.outcome == "invalid" and "takes 2 at once" in reply.answer["description"], action
        assert station.calls == []
        world.command(action, payload | {field: [one] * 2})
        world.run()
        assert [call[2] for call in station.calls] == [action]
        station.calls.clear()
    (reply,) = world.command("SetVariables", {"setVariableData": [{"attributeValue": "1" * 400, **PLACE}]})
    assert "400 bytes at once" in reply.answer["description"] and station.calls == []


def test_no_more_is_sent_than_a_16_station_takes_at_once() -> None:
    world, station = ready("1.6")
    keys = [
        {"key": "GetConfigurationMaxKeys", "readonly": True, "value": "1"},
        {"key": "SendLocalListMaxLength", "readonly": True, "value": "1"},
    ]
    ask(world, station, "GetConfiguration", {}, {"configurationKey": keys})
    station.calls.clear()
    (reply,) = world.command("GetConfiguration", {"key": ["a", "b"]})
    assert reply.outcome == "invalid" and "takes 1 at once" in reply.answer["description"]
    # One that outlives a connection goes out whole or not at all.
    rows = [{"idTag": "T"}, {"idTag": "U"}]
    send = {"listVersion": 1, "updateType": "Full", "localAuthorizationList": rows}
    (reply,) = world.command("SendLocalList", send, expires_in=60_000)
    assert reply.outcome == "invalid" and "takes 1 at once" in reply.answer["description"]
    assert station.calls == []


@pytest.mark.requirement("2.1", "S02.FR.03", side="csms")
def test_no_battery_is_swapped_for_whom_we_do_not_let_charge() -> None:
    world, station = ready("2.1")
    payload = {"requestId": 5, "idToken": {"idToken": "NOBODY", "type": "ISO14443"}}
    (reply,) = world.command("RequestBatterySwap", payload)
    assert reply.outcome == "invalid" and "not authorized" in reply.answer["description"] and station.calls == []


@pytest.mark.requirement("2.1", "N11.FR.09", side="csms")
def test_a_stream_without_pace_is_not_asked_for() -> None:
    world, station = ready("2.1")
    row: dict[str, Any] = {"value": 5, "type": "Periodic", "severity": 5, "periodicEventStream": {}, **PLACE}
    (reply,) = world.command("SetVariableMonitoring", {"setMonitoringData": [row]})
    assert reply.outcome == "invalid" and "interval" in reply.answer["description"] and station.calls == []
    row["periodicEventStream"] = {"values": 5}
    result = {"status": "Accepted", "type": "Periodic", "severity": 5, "id": 1, **PLACE}
    ask(world, station, "SetVariableMonitoring", {"setMonitoringData": [row]}, {"setMonitoringResult": [result]})


def test_what_is_kept_outlives_the_process() -> None:
    world, station = ready("2.1")
    set_monitors(world, station)
    before = kept(world)
    world.boot()
    station.dial()
    station.boot()
    after = world.actor().known().station.kept
    assert after is not None and after.monitors == before.monitors and len(after.monitors) == 2
    assert after.renumbered, "their ids may be other ones"
