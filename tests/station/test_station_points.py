"""Where a transaction begins and ends: every TxStartPoint with every TxStopPoint, in the orders people do things in.

What is expected is worked out here from the definition alone: a transaction begins with the first step after which one
of its start points is true, and ends with the first after which one of its stop points is true no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from pilotwire.station.config import EvseConfig
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import BIDIRECTIONAL

VERSIONS = ("2.0.1", "2.1")
BAY, CONNECTED, AUTHORIZED = "ParkingBayOccupancy", "EVConnected", "Authorized"
SIGNED, CLOSED, FLOWING = "DataSigned", "PowerPathClosed", "EnergyTransfer"
POINTS = (BAY, CONNECTED, AUTHORIZED, SIGNED, CLOSED, FLOWING)
ALL = frozenset(POINTS)


class Step(NamedTuple):
    """What is done, what is true afterwards, and how an event about it is called."""

    name: str
    true: frozenset[str]
    trigger: str
    state: str
    reason: str = ""


ARRIVE = Step("arrive", frozenset({BAY}), "EVDetected", "Idle")
PLUG = Step("plug", frozenset({BAY, CONNECTED}), "CablePluggedIn", "EVConnected")
TAP = Step("tap", frozenset({BAY, AUTHORIZED}), "Authorized", "Idle")
TAP_LAST = Step("tap", ALL - {FLOWING}, "Authorized", "EVConnected")
PLUG_LAST = Step("plug", ALL - {FLOWING}, "CablePluggedIn", "EVConnected")
FLOW = Step("flow", ALL, "ChargingStateChanged", "Charging")
FULL = Step("full", ALL - {FLOWING}, "ChargingStateChanged", "SuspendedEV", "StoppedByEV")
STOP = Step("tap", frozenset({BAY, CONNECTED, SIGNED}), "StopAuthorized", "EVConnected", "Local")
REMOTE = Step("remote", frozenset({BAY, CONNECTED, SIGNED}), "RemoteStop", "EVConnected", "Remote")
BY_CAR = Step("by car", frozenset({BAY, CONNECTED, SIGNED}), "StopAuthorized", "EVConnected", "StoppedByEV")
UNPLUG = Step("unplug", frozenset({BAY}), "EVCommunicationLost", "Idle", "EVDisconnected")
LEAVE = Step("leave", frozenset(), "EVDeparted", "Idle", "EVDisconnected")

BEGINNINGS = {"cable first": (ARRIVE, PLUG, TAP_LAST, FLOW), "card first": (ARRIVE, TAP, PLUG_LAST, FLOW)}
ENDINGS = {
    "card": (STOP, UNPLUG, LEAVE),
    "cable": (UNPLUG, LEAVE),
    "full": (FULL, UNPLUG, LEAVE),
    "remote": (REMOTE, UNPLUG, LEAVE),
    "car": (BY_CAR, UNPLUG, LEAVE),
}

Told = tuple[str, str, str, str | None]
"""(eventType, triggerReason, chargingState, stoppedReason)."""


def expected(start: tuple[str, ...], stop: tuple[str, ...], steps: tuple[Step, ...]) -> list[Told]:
    rows: list[Told] = []
    before: frozenset[str] = frozenset()
    why = ""  # what took the authorization away is also the reason of the end (E07.FR.05, F04.FR.03)
    for step in steps:
        if AUTHORIZED in before - step.true:
            why = step.reason
        if not rows:
            if step.true & set(start):
                alone = SIGNED in start and not {AUTHORIZED, CLOSED, CONNECTED, BAY} & set(start)
                rows.append(("Started", "SignedDataReceived" if alone else step.trigger, step.state, None))
        elif (before - step.true) & set(stop):
            state = "EVConnected" if CONNECTED in step.true else "Idle"
            rows.append(("Ended", step.trigger, state, why or step.reason))
            return rows
        else:
            rows.append(("Updated", step.trigger, step.state, None))
        before = step.true
    return rows


def heard(world: Any) -> list[Told]:
    """Every event of the one transaction, numbered without gaps."""
    events = world.csms.heard("TransactionEvent")
    assert [e.seq_no for e in events] == list(range(len(events)))
    assert len({e.transaction_info.transaction_id for e in events}) <= 1
    return [
        (e.event_type, e.trigger_reason, e.transaction_info.charging_state, e.transaction_info.stopped_reason)
        for e in events
    ]


def play(world: Any, steps: tuple[Step, ...], car: Any) -> None:
    station = world.station
    for step in steps:
        if step.name == "arrive":
            station.arrive(1)
        elif step.name == "plug":
            station.plug(1, car)
        elif step.name == "tap":
            station.tap(1, "AA11")
        elif step.name == "full":
            world.run(60)
        elif step.name == "unplug":
            station.unplug(1)
        elif step.name == "leave":
            station.leave(1)
        elif step.name == "by car":
            station.end_by_car(1)
        elif step.name == "remote":
            session = station.evses[0].session
            if session is not None:
                m = world.csms.messages
                request = m.RequestStopTransactionRequest(transaction_id=session.key)
                world.csms.command("RequestStopTransaction", request)
        world.run(2)


def make(make_world: Callable[..., Any], version: str, start: str, stop: str, **more: Any) -> Any:
    signing = SIGNED in start + stop
    settings = {"start_point": start, "stop_point": stop, "sample_interval": "0", **more.pop("settings", {})}
    if signing:
        settings["sign_readings"] = "true"
    world = make_world(version, settings=settings, signing_meter=signing, **more)
    world.station.power_on()
    world.run(1)
    return world


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("start", POINTS)
def test_every_start_point_with_every_stop_point(make_world, version, start):
    for stop in POINTS:
        for beginning, first in BEGINNINGS.items():
            for ending, last in ENDINGS.items():
                world = make(make_world, version, start, stop)
                car = world.car(max_taken_wh=50) if ending == "full" else world.car()
                play(world, (*first, *last), car)
                case = (start, stop, beginning, ending)
                assert heard(world) == expected((start,), (stop,), (*first, *last)), case
                events = world.csms.heard("TransactionEvent")
                # Who is let in is said once, with the event that lets him in or the first one after it.
                let_in = [e for e in events if e.id_token is not None]
                first_known = "Authorized" if start in (BAY, CONNECTED) else events[0].trigger_reason
                if start == CONNECTED and beginning == "card first":
                    first_known = "CablePluggedIn"
                assert let_in[0].trigger_reason == first_known, case
                assert let_in[0].id_token.id_token == "AA11", case
                assert all(e.trigger_reason == "StopAuthorized" for e in let_in[1:]), case
                # Once a cable is in, event and place belong together.
                assert all(
                    (e.evse.id, e.evse.connector_id) == (1, 1)
                    for e in events
                    if e.transaction_info.charging_state not in (None, "Idle")
                ), case
                told = [s.connector_status for s in world.csms.heard("StatusNotification")]
                assert told == ["Available", "Occupied", "Available"], case
                assert not world.station.evses[0].session and not len(world.station.outbox), case
                assert world.station.evses[0].phase == "Idle", case


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("start", "stop"),
    [
        ((CONNECTED, AUTHORIZED), (CONNECTED,)),
        ((CLOSED,), (CONNECTED, AUTHORIZED)),
        ((BAY, AUTHORIZED), (BAY,)),
        ((CONNECTED,), (CLOSED, FLOWING)),
        (POINTS, POINTS),
        (POINTS, (BAY,)),
    ],
)
def test_with_several_points_the_first_one_counts(make_world, version, start, stop):
    for first in BEGINNINGS.values():
        for ending, last in ENDINGS.items():
            world = make(make_world, version, ",".join(start), ",".join(stop))
            play(world, (*first, *last), world.car(max_taken_wh=50) if ending == "full" else world.car())
            assert heard(world) == expected(start, stop, (*first, *last)), ending


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("when", ["before", "charging"])
@pytest.mark.parametrize("stop", [AUTHORIZED, CONNECTED])
def test_offline_the_same_is_told_later(make_world, version, when, stop):
    """E04, E08, E11, E12: what happens offline is queued, marked and sent in order after the connection is back."""
    steps = (*BEGINNINGS["cable first"], *ENDINGS["card"])
    world = make(make_world, version, CONNECTED, stop, settings={"offline_unknown": "true"})
    cut = 0 if when == "before" else 4
    play(world, steps[:cut], world.car())
    told = len(world.csms.heard("TransactionEvent"))
    world.offline()
    world.run(1)
    play(world, steps[cut:], world.car())
    assert len(world.csms.heard("TransactionEvent")) == told
    assert len(world.station.outbox) == len(expected((CONNECTED,), (stop,), steps)) - told
    world.online()
    world.run(100)
    events = world.csms.heard("TransactionEvent")
    assert heard(world) == expected((CONNECTED,), (stop,), steps)
    assert [bool(e.offline) for e in events] == [n >= told for n in range(len(events))]
    assert [e.seq_no for e in events] == list(range(len(events)))
    assert [e.timestamp for e in events] == sorted(e.timestamp for e in events)
    assert events[-1].timestamp.timestamp() * 1000 < world.scheduler.now() - 50_000


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_flows_before_anybody_is_let_in_nor_after(make_world, version):
    world = make(make_world, version, CONNECTED, CONNECTED)
    meter = world.station.evses[0].meter
    world.station.plug(1, world.car())
    world.run(600)
    assert meter.energy_uj == 0
    world.station.tap(1, "AA11")
    world.run(600)
    world.station.tap(1, "AA11")
    taken = meter.energy_uj
    assert taken > 0 and meter.power_mw == 0
    world.run(600)
    # Whoever is let in next goes on with the same transaction.
    assert meter.energy_uj == taken
    world.station.tap(1, "BB22")
    world.run(600)
    assert meter.energy_uj > taken
    world.station.unplug(1)
    world.run(2)
    events = world.csms.heard("TransactionEvent")
    assert [e.trigger_reason for e in events if e.id_token] == ["Authorized", "StopAuthorized", "Authorized"]
    assert [e.event_type for e in events].count("Ended") == 1 and events[-1].event_type == "Ended"
    [truth] = world.station.truth
    assert truth.token == "BB22" and truth.energy_wh == truth.register_end


@pytest.mark.parametrize("version", VERSIONS)
def test_a_card_that_is_not_accepted_changes_nothing(make_world, version):
    world = make(make_world, version, CONNECTED, CONNECTED)
    world.csms.token_status = "Blocked"
    play(world, (PLUG, TAP_LAST), world.car())
    assert heard(world) == [("Started", "CablePluggedIn", "EVConnected", None)]
    assert world.station.evses[0].meter.power_mw == 0


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("stop", "ends"), [(AUTHORIZED, True), (CLOSED, True), (FLOWING, True), (CONNECTED, False), (BAY, False)]
)
def test_the_csms_does_not_accept_the_token_after_all(make_world, version, stop, ends):
    """E05.FR.09, .10."""
    world = make(
        make_world, version, CONNECTED, stop, settings={"local_preauthorize": "true", "offline_unknown": "true"}
    )
    world.station.arrive(1)
    world.station.plug(1, world.car())
    world.run(2)
    m = world.csms.messages
    blocked = m.IdTokenInfoType(status="Blocked")
    world.csms.scripts["TransactionEvent"] = lambda request: m.TransactionEventResponse(
        id_token_info=blocked if request.id_token else None
    )
    world.station.tap(1, "AA11")
    world.run(10)
    rows = heard(world)
    if ends:
        assert rows[-1] == ("Ended", "Deauthorized", "EVConnected", "DeAuthorized")
    else:
        assert rows[-1] == ("Updated", "Deauthorized", "EVConnected", None)
    assert world.station.evses[0].meter.power_mw == 0
    assert (world.station.evses[0].session is None) is ends


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("more", [0, 500])
@pytest.mark.parametrize("stop", [CONNECTED, FLOWING])
def test_a_token_that_is_not_accepted_may_suspend_instead(make_world, version, more, stop):
    """E05.FR.02, .03: without StopTxOnInvalidId the energy stops, at once or when the allowed amount is used up."""
    settings = {"stop_on_invalid": "false", "max_energy_invalid": str(more)}
    world = make(make_world, version, CONNECTED, stop, settings=settings)
    m = world.csms.messages
    world.csms.scripts["TransactionEvent"] = lambda request: m.TransactionEventResponse(
        id_token_info=m.IdTokenInfoType(status="Blocked") if request.id_token else None
    )
    play(world, (PLUG, TAP_LAST), world.car())
    if more:
        assert world.station.evses[0].meter.power_mw > 0
    world.run(600)
    [truth] = world.station.truth
    assert more <= world.station.evses[0].meter.register_wh <= more + 1
    if stop == FLOWING:
        assert heard(world)[-1] == ("Ended", "ChargingStateChanged", "EVConnected", "DeAuthorized")
    else:
        assert heard(world)[-1] == ("Updated", "ChargingStateChanged", "SuspendedEVSE", None)
        assert truth.ended_at is None
    assert not [row for row in heard(world) if row[1] == "Deauthorized"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("stop", "fate"),
    [
        (AUTHORIZED, ("Ended", "EVConnectTimeout", "Idle", "Timeout")),
        (CONNECTED, ("Ended", "EVConnectTimeout", "Idle", "Timeout")),
        (BAY, ("Updated", "EVConnectTimeout", "Idle", None)),
    ],
)
def test_nobody_plugs_in(make_world, version, stop, fate):
    """E03.FR.05, .15."""
    world = make(make_world, version, AUTHORIZED, stop, settings={"connection_timeout": "30"})
    play(world, (ARRIVE, TAP), None)
    world.run(25)
    assert heard(world) == [("Started", "Authorized", "Idle", None)]
    world.run(10)
    assert heard(world)[1:] == [fate]
    if stop == BAY:
        world.station.plug(1, world.car())
        world.run(10)
        assert world.station.evses[0].meter.power_mw == 0
        world.station.unplug(1)
        world.station.leave(1)
        world.run(2)
        assert heard(world)[-1] == ("Ended", "EVDeparted", "Idle", "EVDisconnected")
    else:
        assert world.station.evses[0].session is None and world.station.evses[0].phase == "Idle"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cable_that_is_pulled_at_the_car_deauthorizes(make_world, version):
    """E09.FR.01: back again, nothing flows before somebody is let in."""
    world = make(make_world, version, AUTHORIZED, BAY)
    car = world.car()
    play(world, (ARRIVE, TAP, PLUG_LAST, UNPLUG, PLUG), car)
    taken = world.station.evses[0].meter.energy_uj
    world.run(60)
    assert heard(world)[-2:] == [
        ("Updated", "EVCommunicationLost", "Idle", None),
        ("Updated", "CablePluggedIn", "EVConnected", None),
    ]
    assert world.station.evses[0].meter.energy_uj == taken > 0
    play(world, (TAP_LAST,), car)
    assert heard(world)[-2:] == [
        ("Updated", "Authorized", "EVConnected", None),
        ("Updated", "ChargingStateChanged", "Charging", None),
    ]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("fixed", [False, True])
def test_a_cable_that_is_pulled_at_the_car_may_only_suspend(make_world, version, fixed):
    """E10: with StopTxOnEVSideDisconnect off the cable may come back; a fixed one only for a while."""
    settings = {"stop_on_disconnect": "false", "connection_timeout": "60"}
    evses = (EvseConfig(fixed_cable=fixed),)
    world = make(make_world, version, AUTHORIZED, AUTHORIZED, settings=settings, evses=evses)
    car = world.car()
    play(world, (TAP, PLUG_LAST, UNPLUG), car)
    assert heard(world)[-1] == ("Updated", "EVCommunicationLost", "Idle", None)
    assert world.csms.heard("StatusNotification")[-1].connector_status == "Occupied"
    assert world.station.evses[0].meter.power_mw == 0
    world.run(30)
    play(world, (PLUG,), car)
    assert heard(world)[-2:] == [
        ("Updated", "CablePluggedIn", "EVConnected", None),
        ("Updated", "ChargingStateChanged", "Charging", None),
    ]
    play(world, (UNPLUG,), car)
    world.run(70)
    if fixed:
        assert heard(world)[-1] == ("Ended", "EVCommunicationLost", "Idle", "EVDisconnected")
    else:
        assert heard(world)[-1] == ("Updated", "EVCommunicationLost", "Idle", None)
        play(world, (STOP,), car)
        assert heard(world)[-1] == ("Ended", "StopAuthorized", "Idle", "Local")
    assert world.csms.heard("StatusNotification")[-1].connector_status == "Available"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_meter_that_signs_no_more_ends_it(make_world, version):
    """E06.FR.05."""
    world = make(make_world, version, SIGNED, SIGNED)
    play(world, (PLUG, TAP_LAST), world.car())
    world.station.mute_meter(1)
    world.run(2)
    assert heard(world)[-1] == ("Ended", "AbnormalCondition", "EVConnected", "Other")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_fault_ends_it_whatever_the_stop_point(make_world, version):
    """E06.FR.16."""
    for stop in POINTS:
        world = make(make_world, version, CONNECTED, stop)
        play(world, (PLUG, TAP_LAST), world.car())
        world.station.break_down(1, "GroundFailure")
        world.run(2)
        assert heard(world)[-1] == ("Ended", "AbnormalCondition", "EVConnected", "Other")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_remote_start_authorizes_a_transaction_that_runs(make_world, version):
    world = make(make_world, version, CONNECTED, CONNECTED)
    world.station.plug(1, world.car())
    world.run(2)
    m = world.csms.messages
    request = m.RequestStartTransactionRequest(
        evse_id=1, remote_start_id=9, id_token=m.IdTokenType(id_token="REMOTE", type="Central")
    )
    world.csms.command("RequestStartTransaction", request)
    world.run(10)
    events = world.csms.heard("TransactionEvent")
    [(_, answer)] = world.csms.answers
    assert (answer.status, answer.transaction_id) == ("Accepted", events[0].transaction_info.transaction_id)
    assert heard(world) == [
        ("Started", "CablePluggedIn", "EVConnected", None),
        ("Updated", "RemoteStart", "EVConnected", None),
        ("Updated", "ChargingStateChanged", "Charging", None),
    ]
    assert [e.transaction_info.remote_start_id for e in events] == [None, 9, None]
    assert [e.id_token.id_token if e.id_token else None for e in events] == [None, "REMOTE", None]


@pytest.mark.parametrize("version", VERSIONS)
def test_points_are_set_by_the_csms(make_world, version):
    world = make(make_world, version, CLOSED, CLOSED)
    m = world.csms.messages

    def put(variable: str, value: str) -> str:
        row = m.SetVariableDataType(
            attribute_value=value,
            component=m.ComponentType(name="TxCtrlr"),
            variable=m.VariableType(name=variable),
        )
        world.csms.command("SetVariables", m.SetVariablesRequest(set_variable_data=[row]))
        world.run(1)
        return world.csms.answers[-1][1].set_variable_result[0].attribute_status

    assert put("TxStartPoint", "EVConnected,Authorized") == "Accepted"
    assert put("TxStopPoint", "EVConnected") == "Accepted"
    # A station without any point would never tell of anything again.
    assert put("TxStopPoint", "") == put("TxStartPoint", "Someday") == "Rejected"
    play(world, (PLUG, TAP_LAST, STOP, UNPLUG), world.car())
    assert [row[:2] for row in heard(world)] == [
        ("Started", "CablePluggedIn"),
        ("Updated", "Authorized"),
        ("Updated", "ChargingStateChanged"),
        ("Updated", "StopAuthorized"),
        ("Ended", "EVCommunicationLost"),
    ]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("start", "there", "trigger"),
    [
        (CONNECTED, "car", "CablePluggedIn"),
        (BAY, "car", "EVDetected"),
        (BAY, "bay", "EVDetected"),
        (AUTHORIZED, "car", ""),
        (CLOSED, "car", ""),
    ],
)
def test_what_is_there_when_the_power_comes_counts(make_world, version, start, there, trigger):
    """E01.FR.01, .02: no transaction has started yet. What has ended is not begun again by a restart."""
    world = make(make_world, version, start, AUTHORIZED)
    world.station.power_off()
    if there == "car":
        world.station.plug(1, world.car())
    else:
        world.station.arrive(1)
    world.station.power_on()
    world.run(5)
    assert [row[:2] for row in heard(world)] == ([("Started", trigger)] if trigger else [])
    if there == "car" and trigger:
        world.station.tap(1, "AA11")
        world.run(5)
        world.station.power_off()
        world.run(5)
        world.station.power_on()
        world.run(5)
        assert heard(world)[-1][:2] == ("Ended", "AbnormalCondition")
        assert world.station.evses[0].session is None


@pytest.mark.parametrize("start", [CONNECTED, AUTHORIZED, CLOSED])
@pytest.mark.parametrize("cable_first", [True, False])
def test_cars_are_asked_what_they_need_once_somebody_is_let_in(make_world, start, cable_first):
    """Q01 and K15 do not depend on where the transaction begins."""
    evses = (EvseConfig(dc=True, connector_type="cCCS2", fixed_cable=True, max_discharge_w=20_000),)
    world = make(make_world, "2.1", start, CONNECTED, evses=evses)
    m = world.csms.messages
    accepted = m.NotifyEVChargingNeedsResponse(status="Accepted")
    world.csms.scripts["NotifyEVChargingNeeds"] = lambda _: accepted
    car = Vehicle(BIDIRECTIONAL, 600, evccid="0001020304AB")
    play(world, (PLUG, TAP_LAST) if cable_first else (TAP, PLUG_LAST), car)
    world.run(10)
    [needs] = world.csms.heard("NotifyEVChargingNeeds")
    assert needs.evse_id == 1
    assert heard(world)[-1] == ("Updated", "ChargingStateChanged", "Charging", None)
