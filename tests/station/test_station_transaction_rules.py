"""What holds for transactions wherever they begin and end: names, tokens, reservations, locks, limits (E01 to E16)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from pilotwire.core.time import to_datetime
from pilotwire.station.config import EvseConfig, Quirks
from pilotwire.station.costs import Limit
from pilotwire.transport.runtime import SystemIds

VERSIONS = ("2.0.1", "2.1")


def up(make_world: Any, version: str, **settings: str) -> Any:
    world = make_world(version, settings={"sample_interval": "0", **settings})
    world.station.power_on()
    world.run(5)
    return world


def charge(world: Any, seconds: float = 60, token: str = "AA11") -> Any:
    car = world.car()
    world.station.plug(1, car)
    world.run(1)
    world.station.tap(1, token)
    world.run(seconds)
    return car


def ask(world: Any, action: str, **fields: Any) -> Any:
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(1)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def events(world: Any) -> list[Any]:
    return world.csms.heard("TransactionEvent")


def told(world: Any) -> list[tuple[str, str]]:
    return [(e.event_type, e.trigger_reason) for e in events(world)]


@pytest.mark.parametrize("version", VERSIONS)
def test_no_transaction_has_the_id_of_another(make_world, version):
    """E01.FR.08: over restarts, and in a process that remembers nothing of the ones before."""
    world = up(make_world, version)
    for round_ in range(8):
        charge(world, 5)
        if round_ % 3 == 0:
            world.station.power_off()
            world.station.power_on()
        if round_ % 3 == 1:
            car = world.station.evses[0].car
            world.station.power_off()
            world.ids = SystemIds()
            world.station = world.build()
            world.station.evses[0].car = car
            world.station.power_on()
        world.run(10)
        world.station.unplug(1)
        world.run(5)
    started = [e.transaction_info.transaction_id for e in events(world) if e.event_type == "Started"]
    assert len(started) == len(set(started)) == 8


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("start", ["PowerPathClosed", "EVConnected", "Authorized"])
@pytest.mark.parametrize("cable_first", [True, False])
def test_a_reservation_is_named_once_with_whom_it_was_for(make_world, version, start, cable_first):
    """E01.FR.13: with the event that follows."""
    world = up(make_world, version, start_point=start)
    m = world.csms.messages
    expiry = to_datetime(world.scheduler.now()) + timedelta(minutes=10)
    token = m.IdTokenType(id_token="AA11", type="ISO14443")
    assert ask(world, "ReserveNow", id=7, expiry_date_time=expiry, id_token=token, evse_id=1).status == "Accepted"
    if cable_first:
        world.station.plug(1, world.car())
        world.run(1)
    world.station.tap(1, "AA11")
    world.run(1)
    if not cable_first:
        world.station.plug(1, world.car())
    world.run(10)
    named = [(e.reservation_id, e.id_token.id_token) for e in events(world) if e.reservation_id is not None]
    assert named == [(7, "AA11")]
    first = next(e for e in events(world) if e.id_token is not None)
    assert first.reservation_id == 7
    assert first.trigger_reason == ("Authorized" if cable_first or start == "Authorized" else "CablePluggedIn")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("start", ["PowerPathClosed", "EVConnected"])
@pytest.mark.parametrize("evse_id", [None, 1])
def test_a_cable_does_not_take_what_is_reserved(make_world, version, start, evse_id):
    """H01, H03: whoever only plugs in is not let in, wherever transactions begin."""
    world = up(make_world, version, start_point=start)
    m = world.csms.messages
    expiry = to_datetime(world.scheduler.now()) + timedelta(minutes=10)
    token = m.IdTokenType(id_token="AA11", type="ISO14443")
    reserved = ask(world, "ReserveNow", id=7, expiry_date_time=expiry, id_token=token, evse_id=evse_id)
    assert reserved.status == "Accepted"
    charge(world, 60, "BB22")
    assert world.station.evses[0].meter.power_mw == 0
    world.station.tap(1, "AA11")
    world.run(60)
    assert world.station.evses[0].meter.power_mw > 0
    assert [e.reservation_id for e in events(world) if e.reservation_id is not None] == [7]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_token_that_began_it_ends_it_without_a_question(make_world, version):
    """E07.FR.01, .02, .05."""
    world = up(make_world, version)
    charge(world)
    asked = len(world.csms.heard("Authorize"))
    world.station.tap(1, "AA11")
    world.run(5)
    assert len(world.csms.heard("Authorize")) == asked == 1
    last = events(world)[-1]
    assert (last.event_type, last.trigger_reason, last.id_token.id_token) == ("Ended", "StopAuthorized", "AA11")
    assert last.transaction_info.stopped_reason == "Local"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize("stop", ["PowerPathClosed", "EVConnected"])
def test_a_token_of_the_same_group_ends_it_without_a_question(make_world, version, offline, stop):
    """E07.FR.01, .02, E08.FR.02, .03: the group is in the cache."""
    world = up(make_world, version, stop_point=stop)
    world.csms.group = "FLEET"
    charge(world, 5, "BB22")
    world.station.tap(1, "BB22")
    world.station.unplug(1)
    world.run(5)
    charge(world, 60, "AA11")
    asked = len(world.csms.heard("Authorize"))
    if offline:
        world.offline()
        world.run(1)
    world.station.tap(1, "BB22")
    assert world.station.evses[0].meter.power_mw == 0
    world.run(1)
    world.online()
    world.run(100)
    assert len(world.csms.heard("Authorize")) == asked
    last = events(world)[-1]
    assert (last.trigger_reason, last.id_token.id_token) == ("StopAuthorized", "BB22")
    assert last.event_type == ("Ended" if stop == "PowerPathClosed" else "Updated")
    assert bool(last.offline) is offline
    world.station.unplug(1)
    world.run(5)
    assert world.csms.heard("StatusNotification")[-1].connector_status == "Available"
    # Nobody of another group does.
    charge(world, 20, "AA11")
    world.csms.group = "OTHERS"
    world.station.tap(1, "CC33")
    world.run(5)
    assert world.station.evses[0].meter.power_mw > 0


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("unlocks", [True, False])
@pytest.mark.parametrize("fixed", [True, False])
def test_a_cable_that_was_pulled_at_the_car_is_free_at_once_or_for_its_owner(make_world, version, unlocks, fixed):
    """E09.FR.02, .03: UnlockOnEVSideDisconnect."""
    settings = {"sample_interval": "0", "unlock_on_disconnect": "true" if unlocks else "false"}
    world = make_world(version, settings=settings, evses=(EvseConfig(fixed_cable=fixed),))
    world.station.power_on()
    world.run(5)
    charge(world)
    world.station.unplug(1)
    world.run(5)
    assert told(world)[-1] == ("Ended", "EVCommunicationLost")
    assert events(world)[-1].transaction_info.stopped_reason == "EVDisconnected"
    statuses = world.csms.heard("StatusNotification")
    if unlocks or fixed:
        assert statuses[-1].connector_status == "Available"
        return
    assert statuses[-1].connector_status == "Occupied"
    world.station.tap(1, "ZZ99")
    world.run(5)
    assert world.csms.heard("StatusNotification")[-1].connector_status == "Occupied"
    world.station.tap(1, "AA11")
    world.run(5)
    assert world.csms.heard("StatusNotification")[-1].connector_status == "Available"
    assert told(world)[-1] == ("Ended", "EVCommunicationLost")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_waits_to_be_told_is_known(make_world, version):
    """E14.FR.04, .07."""
    world = make_world(version, settings={"sample_interval": "0"}, quirks=Quirks(new_id_on_retry=True))
    world.station.power_on()
    world.run(5)
    charge(world)
    key = world.station.evses[0].session.key
    assert ask(world, "GetTransactionStatus", transaction_id=key).messages_in_queue is False
    world.csms.silent.add("TransactionEvent")
    world.station.tap(1, "AA11")
    world.run(1)
    of_it = ask(world, "GetTransactionStatus", transaction_id=key)
    assert (of_it.ongoing_indicator, of_it.messages_in_queue) == (False, True)
    of_all = ask(world, "GetTransactionStatus")
    assert (of_all.ongoing_indicator, of_all.messages_in_queue) == (None, True)
    world.csms.silent.clear()
    world.run(200)
    assert ask(world, "GetTransactionStatus").messages_in_queue is False


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("card", "Local"),
        ("cable", "EVDisconnected"),
        ("remote", "Remote"),
        ("reset", "ImmediateReset"),
        ("fault", "Other"),
        ("power", "PowerLoss"),
        ("car", "StoppedByEV"),
        ("csms", "DeAuthorized"),
    ],
)
def test_the_reason_of_the_end_is_said(make_world, version, what, reason):
    """E06.FR.08, E07.FR.05, .06."""
    world = up(make_world, version, local_preauthorize="true")
    charge(world)
    if what == "csms":
        world.station.tap(1, "AA11")
        world.run(5)
        world.csms.token_status = "Blocked"
        world.station.tap(1, "AA11")
    elif what == "card":
        world.station.tap(1, "AA11")
    elif what == "cable":
        world.station.unplug(1)
    elif what == "remote":
        ask(world, "RequestStopTransaction", transaction_id=world.station.evses[0].session.key)
    elif what == "reset":
        ask(world, "Reset", type="Immediate")
    elif what == "fault":
        world.station.break_down(1)
    elif what == "power":
        world.station.power_off()
        world.station.power_on()
    else:
        world.station.end_by_car(1)
    world.run(60)
    ended = [e for e in events(world) if e.event_type == "Ended"][-1]
    assert ended.transaction_info.stopped_reason == reason


# ── limits (2.1 E16) ─────────────────────────────────────────────────────────────────────────────────────────────────

LIMITS = [
    ({"max_energy": Decimal(700)}, "EnergyLimitReached", "EnergyLimitReached"),
    ({"max_time": 400}, "TimeLimitReached", "TimeLimitReached"),
    ({"max_cost": Decimal(3)}, "CostLimitReached", "LocalOutOfCredit"),
    ({"max_soc": 32}, "SoCLimitReached", "SOCLimitReached"),
]


def limiting(world: Any, **limit: Any) -> None:
    """The CSMS limits every transaction in its first answer, and says what it costs."""
    m = world.csms.messages
    world.csms.scripts["TransactionEvent"] = lambda request: m.TransactionEventResponse(
        transaction_limit=m.TransactionLimitType(**limit) if request.event_type == "Started" else None
    )


@pytest.mark.parametrize(("limit", "trigger", "reason"), LIMITS)
@pytest.mark.parametrize("stop", ["PowerPathClosed", "EnergyTransfer"])
def test_a_limit_that_is_reached_suspends_or_ends(make_world, limit, trigger, reason, stop):
    """E16.FR.03, .05, .06."""
    world = up(make_world, "2.1", stop_point=stop)
    limiting(world, **limit)
    charge(world, 30)
    set_ = [e for e in events(world) if e.transaction_info.transaction_limit is not None]
    assert [e.trigger_reason for e in set_] == ["LimitSet"]
    world.run(300)
    if "max_cost" in limit:
        ask(world, "CostUpdated", transaction_id=world.station.evses[0].session.key, total_cost=Decimal(3))
    world.run(600)
    last = events(world)[-1]
    assert last.trigger_reason == trigger
    if stop == "EnergyTransfer":
        assert last.event_type == "Ended" and last.transaction_info.stopped_reason == reason
        assert world.station.evses[0].session is None
    else:
        assert last.event_type == "Updated" and last.transaction_info.charging_state == "SuspendedEVSE"
    assert world.station.evses[0].meter.power_mw == 0
    if "max_energy" in limit:
        assert world.station.evses[0].meter.register_wh == 700  # E16.FR.19


@pytest.mark.parametrize("most", [Decimal(-1), Decimal(100)])
@pytest.mark.parametrize("stop", ["PowerPathClosed", "EnergyTransfer"])
def test_a_limit_that_is_exceeded_already_acts_at_once(make_world, most, stop):
    """E16.FR.10."""
    world = up(make_world, "2.1", stop_point=stop)
    charge(world, 300)
    assert world.station.evses[0].meter.register_wh > 200
    m = world.csms.messages
    world.csms.scripts["TransactionEvent"] = lambda request: m.TransactionEventResponse(
        transaction_limit=m.TransactionLimitType(max_energy=most) if request.trigger_reason == "Trigger" else None
    )
    ask(world, "TriggerMessage", requested_message="TransactionEvent", evse=m.EVSEType(id=1))
    world.run(5)
    assert world.station.evses[0].meter.power_mw == 0
    assert told(world)[-1] == ("Ended" if stop == "EnergyTransfer" else "Updated", "EnergyLimitReached")


def test_the_time_counts_from_the_beginning_of_the_transaction(make_world):
    """E16.FR.09: not from that of the energy."""
    world = up(make_world, "2.1", start_point="EVConnected")
    limiting(world, max_time=600)
    world.station.plug(1, world.car())
    world.run(300)
    world.station.tap(1, "AA11")
    world.run(290)
    assert world.station.evses[0].meter.power_mw > 0
    world.run(20)
    assert world.station.evses[0].meter.power_mw == 0
    begun, reached = events(world)[0].timestamp, events(world)[-1].timestamp
    assert events(world)[-1].trigger_reason == "TimeLimitReached"
    assert timedelta(seconds=599) < reached - begun < timedelta(seconds=602)


def test_a_driver_sets_a_limit_and_lifts_it_by_a_high_one(make_world):
    """E16.FR.01, .04, .14, .17."""
    world = up(make_world, "2.1")
    charge(world, 60)
    assert world.station.costs.limit(1, Limit(max_energy=Decimal(300)))
    world.run(600)
    assert told(world)[-2:] == [("Updated", "LimitSet"), ("Updated", "EnergyLimitReached")]
    assert world.station.evses[0].meter.power_mw == 0
    assert world.station.costs.limit(1, Limit(max_energy=Decimal(1_000_000)))
    world.run(10)
    limits = [e.transaction_info.transaction_limit.max_energy for e in events(world) if e.trigger_reason == "LimitSet"]
    assert limits == [300, 1_000_000]
    assert world.station.evses[0].meter.power_mw > 0
    said = [e for e in events(world) if e.transaction_info.transaction_limit is not None]
    assert len(said) == 2


def test_a_limit_by_cost_goes_by_the_tariff_where_there_is_one(make_world):
    """E16.FR.16: not by what the CSMS says that it costs."""
    world = up(make_world, "2.1")
    text = b'{"tariffId":"T1","currency":"EUR","energy":{"prices":[{"priceKwh":0.25}]}}'
    tariff = msgspec.json.decode(text, type=world.csms.messages.TariffType)
    assert ask(world, "SetDefaultTariff", evse_id=0, tariff=tariff).status == "Accepted"
    limiting(world, max_cost=Decimal("0.40"))
    charge(world, 120)
    ask(world, "CostUpdated", transaction_id=world.station.evses[0].session.key, total_cost=Decimal(99))
    world.run(60)
    assert world.station.evses[0].meter.power_mw > 0
    world.run(900)
    assert told(world)[-1] == ("Updated", "CostLimitReached")
    assert 1560 <= world.station.evses[0].meter.register_wh <= 1600
