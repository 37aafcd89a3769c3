"""Everything about a station that is not a session."""

from __future__ import annotations

import msgspec
import pytest

from pilotwire.core.ids import StationKey
from pilotwire.domain import inputs
from pilotwire.domain.facts import (
    AnyFact,
    CommandRequested,
    CommandSettled,
    ConnectorStatusChanged,
    EventNotified,
    ReportedVariable,
    SessionUpdated,
    StationConnected,
    StationDisconnected,
    TokenPresented,
)
from pilotwire.domain.records import Command, Variable
from pilotwire.domain.stations import ROUTES, Fold, StationState, UnknownSession, fold, fold_stream

T = 1_767_225_600_000
KEY = StationKey("default", "S1")


def test_every_input_has_a_route():
    kinds = list(inputs.Input.__subclasses__())
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    assert set(ROUTES) == set(kinds)


@pytest.mark.parametrize(("boot", "interval"), [("Accepted", 300), ("Pending", 60), ("Rejected", 60)])
def test_boot_is_answered_as_the_account_says(desk, boot, interval):
    desk.ctx.boot = boot
    answer = desk.send(inputs.Boot(vendor="V", model="M", serial="1", firmware="f"), at=T + 5)
    assert (answer.verdict, answer.interval_s) == (boot, interval)
    station = desk.state.station
    assert (station.vendor, station.firmware, station.boot_status, station.booted_at) == ("V", "f", boot, T + 5)


@pytest.mark.parametrize(
    ("status", "action", "allowed"),
    [
        ("", "BootNotification", True),
        ("", "StatusNotification", False),
        ("Pending", "StatusNotification", True),
        ("Pending", "NotifyReport", True),
        ("Pending", "TransactionEvent", False),
        ("Pending", "StartTransaction", False),
        ("Rejected", "Heartbeat", False),
        ("Accepted", "StartTransaction", True),
    ],
)
def test_what_may_be_sent_before_acceptance(desk, status, action, allowed):
    desk.state.station.boot_status = status
    assert desk.state.may_send(action) is allowed


def test_heartbeat_is_no_fact(desk):
    desk.send(inputs.Heartbeat())
    assert desk.rows == []


def test_connections_and_their_epochs(desk):
    state = desk.state
    state.apply(StationConnected(event_time=T, ocpp_version="2.0.1", peer="p", security_profile=2), T, 1)
    state.apply(StationConnected(event_time=T + 1, ocpp_version="2.1"), T + 1, 2)
    state.apply(StationDisconnected(event_time=T + 2, code=1006), T + 2, 1)  # the older one goes away late
    assert state.station.connected and state.station.ocpp_version == "2.1" and state.station.epoch == 2
    state.apply(StationDisconnected(event_time=T + 3, code=1000), T + 3, 2)
    assert not state.station.connected and state.station.disconnected_at == T + 3


def test_status_is_a_fact_only_when_something_changed(desk):
    told = inputs.Status(evse=2, connector=1, status="Faulted", error_code="GroundFailure", time=T)
    desk.send(told, at=T + 50)
    assert isinstance(desk.last.facts[0], ConnectorStatusChanged)
    desk.send(told)
    assert desk.last.facts == ()
    desk.send(inputs.Status(evse=2, connector=1, status="Available", error_code="NoError"))
    desk.send(inputs.Status(evse=0, connector=0, status="Available"))
    connectors = desk.state.station.connectors
    assert [(c.evse, c.connector, c.status) for c in connectors] == [(0, 0, "Available"), (2, 1, "Available")]


def test_a_status_without_time_counts_from_its_arrival(desk):
    desk.send(inputs.Status(evse=1, connector=1, status="Available"), at=T + 9)
    assert desk.state.connector(1, 1).since == T + 9
    desk.send(inputs.Status(evse=1, connector=1, status="Preparing", time=0), at=T + 99)  # 1970
    assert desk.state.connector(1, 1).since == T + 99


def test_authorize_and_the_lab(make_desk):
    for lab, expected in ((False, "Invalid"), (True, "Accepted")):
        desk = make_desk("1.6", lab=lab)
        desk.books["X"] = inputs.TokenVerdict(status="Invalid")
        assert desk.send(inputs.Authorize(token="X")).status == expected
        (fact,) = desk.last.facts
        assert isinstance(fact, TokenPresented) and fact.verdict == expected
    desk.books["X"] = inputs.TokenVerdict(status="Blocked")
    assert desk.send(inputs.Authorize(token="X")).status == "Blocked"


def test_reports_become_variables(desk2):
    one = ReportedVariable(component="EVSE", variable="Power", evse=1, value="11", mutability="ReadOnly")
    desk2.fold(())
    decision = desk2.decide(inputs.Report(variables=(one,), time=T, request_id=3, seq_no=2, more=True))
    for fact in decision.facts:
        desk2.state.apply(fact, T + 1, 1)
    (record,) = [r for r in desk2.state.touched() if isinstance(r, Variable)]
    assert (record.component, record.variable, record.evse, record.value, record.reported_at) == (
        "EVSE",
        "Power",
        1,
        "11",
        T + 1,
    )


def test_an_availability_event_is_a_status(desk2):
    event = inputs.NotifiedEvent(
        event_id=1,
        time=T,
        component="Connector",
        variable="AvailabilityState",
        trigger="Delta",
        actual_value="Occupied",
        evse=1,
        connector=1,
    )
    other = inputs.NotifiedEvent(event_id=2, time=T, component="EVSE", variable="X", trigger="Alerting", evse=1)
    desk2.send(inputs.DeviceEvent(events=(event, other)))
    kinds = [type(fact) for fact in desk2.last.facts]
    assert kinds == [EventNotified, ConnectorStatusChanged, EventNotified]
    assert desk2.state.connector(1, 1).status == "Occupied"


def test_notices_are_kept_and_answered(desk):
    desk.send(inputs.SecurityEvent(kind="InvalidMessages", time=T, tech_info="x"))
    assert desk.last.facts[0].kind == "InvalidMessages"
    assert desk.send(inputs.DataTransfer(vendor_id="v", data="d")).status == "UnknownVendorId"
    assert desk.last.facts[0].data == "d"
    desk.send(inputs.FirmwareStatus(status="Installed", request_id=4))
    assert desk.state.station.firmware_status == "Installed"
    desk.send(inputs.LogStatus(status="Uploaded", kind="diagnostics"))
    assert desk.last.facts[0].kind == "diagnostics"


def test_commands_live_until_they_are_settled_once(desk):
    state = desk.state
    state.apply(
        CommandRequested(event_time=T, command_id="c", action="Reset", payload="{}", expires_at=T + 9, by="me"), T, 1
    )
    (command,) = state.touched()
    assert isinstance(command, Command) and command.outcome == "pending" and list(state.commands) == ["c"]
    state.apply(CommandSettled(event_time=T + 5, command_id="c", outcome="answered", answer='{"a":1}'), T + 5, 1)
    assert (command.outcome, command.answer, command.settled_at, state.commands) == ("answered", '{"a":1}', T + 5, {})
    assert state.touched() == (command,)
    state.apply(CommandSettled(event_time=T + 6, command_id="c", outcome="expired"), T + 6, 1)
    assert command.outcome == "answered" and state.touched() == ()


def test_touched_names_each_record_once_and_then_is_empty(desk):
    state = desk.state
    state.apply(StationConnected(event_time=T, ocpp_version="1.6"), T, 1)
    state.apply(StationDisconnected(event_time=T, code=1000), T, 1)
    assert state.touched() == (state.station,)
    assert state.touched() == ()


def test_a_fact_of_an_unknown_session_is_an_error_not_a_guess(desk):
    with pytest.raises(UnknownSession, match="no-such"):
        desk.state.apply(SessionUpdated(event_time=T, session_id="no-such"), T, 1)


async def test_the_fold_of_a_journal(desk):
    desk.send(inputs.Boot(vendor="V", model="M"))
    desk.send(inputs.StartTransaction(connector=1, token="A", meter_start_wh=0, time=T))
    desk.fold(
        (CommandRequested(event_time=T, command_id="c", action="Reset", payload="{}", expires_at=T + 9),),
    )
    records = fold(desk.rows)
    assert sorted(type(r).__name__ for r in records) == ["Command", "Session", "Station"]

    async def rows():
        for row in desk.rows:
            yield row

    again = await fold_stream(rows())
    assert [msgspec.json.encode(r) for r in again] == [msgspec.json.encode(r) for r in records]
    desk.assert_refold_is_equal()


def test_tenants_do_not_mix():
    folded = Fold()

    class Row:
        station, recv_time, epoch = "S", T, 1
        facts = (StationConnected(event_time=T, ocpp_version="1.6"),)

        def __init__(self, tenant):
            self.tenant = tenant

    for tenant in ("a", "b", "a"):
        folded.add(Row(tenant))
    assert sorted(folded.stations) == [("a", "S"), ("b", "S")]


def test_facts_survive_their_encoding(desk, desk2):
    desk.send(inputs.StartTransaction(connector=1, token="A", meter_start_wh=0, time=T))
    desk2.send(
        inputs.TransactionEvent(kind="Ended", transaction="t", seq_no=3, time=T, trigger="x", token="A", token_type="c")
    )
    for row in desk.rows + desk2.rows:
        raw = msgspec.json.encode(row.facts)
        assert msgspec.json.decode(raw, type=tuple[AnyFact, ...]) == row.facts


def test_a_state_from_an_image_is_the_state_that_was_lost(desk):
    desk.send(inputs.Boot(vendor="V", model="M"))
    desk.send(inputs.StartTransaction(connector=1, token="A", meter_start_wh=0, time=T))
    before = [msgspec.json.encode(s) for s in desk.state.sessions.values()], msgspec.json.encode(desk.state.station)
    desk.restart()
    after = [msgspec.json.encode(s) for s in desk.state.sessions.values()], msgspec.json.encode(desk.state.station)
    assert before == after
    assert StationState.from_image(KEY, None, [], True).station.id == "S1"
