"""Reservations, from ReserveNow to use, expiry, loss and cancellation."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pilotwire.core.time import to_datetime
from pilotwire.station.config import EvseConfig
from pilotwire.station.reservations import Reservation

VERSIONS = ("1.6", "2.0.1", "2.1")
TWO = (EvseConfig(), EvseConfig(dc=True, connector_type="cCCS2", fixed_cable=True, max_w=50_000, max_ma=125_000))


def ready(make_world, version, **more):
    world = make_world(version, evses=more.pop("evses", TWO), **more)
    world.station.power_on()
    world.run(5)
    return world


def ask(world, action, **fields):
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(2)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def reserve(world, id_=1, token="AA11", evse=1, *, minutes=30.0, group=None, connector_type=None):
    expiry = to_datetime(world.scheduler.now()) + timedelta(minutes=minutes)
    m = world.csms.messages
    if world.config.version == "1.6":
        return ask(
            world,
            "ReserveNow",
            reservation_id=id_,
            id_tag=token,
            connector_id=evse or 0,
            expiry_date=expiry,
            parent_id_tag=group,
        ).status
    return ask(
        world,
        "ReserveNow",
        id=id_,
        expiry_date_time=expiry,
        id_token=m.IdTokenType(id_token=token, type="ISO14443"),
        evse_id=evse,
        group_id_token=None if group is None else m.IdTokenType(id_token=group, type="Central"),
        connector_type=connector_type,
    ).status


def statuses(world, evse=1):
    if world.config.version == "1.6":
        return [n.status for n in world.csms.heard("StatusNotification") if n.connector_id == evse]
    return [n.connector_status for n in world.csms.heard("StatusNotification") if n.evse_id == evse]


def updates(world):
    if world.config.version == "1.6":
        return []
    return [(u.reservation_id, u.reservation_update_status) for u in world.csms.heard("ReservationStatusUpdate")]


def started(world):
    """reservationId of every transaction that started."""
    if world.config.version == "1.6":
        return [s.reservation_id for s in world.csms.heard("StartTransaction")]
    return [e.reservation_id for e in world.csms.heard("TransactionEvent") if e.event_type == "Started"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_reserved_evse_is_for_its_token_alone(make_world, version):
    world = ready(make_world, version)
    assert reserve(world) == "Accepted"
    assert statuses(world)[-1] == "Reserved" and statuses(world, 2)[-1] == "Available"
    world.station.plug(1, world.car())
    world.run(5)
    assert statuses(world)[-1] == "Reserved"  # a cable alone does not use it up
    world.station.tap(1, "BB22")
    world.run(5)
    assert not world.station.truth
    world.station.tap(1, "AA11")
    world.run(60)
    assert started(world) == [1] and len(world.station.reservations) == 0
    assert statuses(world)[-1] == ("Charging" if version == "1.6" else "Occupied")
    assert updates(world) == []
    assert ask(world, "CancelReservation", reservation_id=1).status == "Rejected"


@pytest.mark.parametrize("version", VERSIONS)
def test_anybody_of_the_group_may_use_it(make_world, version):
    world = ready(make_world, version)
    assert reserve(world, group="FAMILY") == "Accepted"
    world.station.plug(1, world.car())
    world.csms.group = "OTHERS"
    world.station.tap(1, "CC33")
    world.run(5)
    assert not world.station.truth
    world.csms.group = "FAMILY"
    world.station.tap(1, "DD44")
    world.run(5)
    assert started(world) == [1]


@pytest.mark.parametrize("version", VERSIONS)
def test_it_expires(make_world, version):
    world = ready(make_world, version)
    assert reserve(world, minutes=10) == "Accepted"
    world.run(590)
    assert statuses(world)[-1] == "Reserved"
    world.run(20)
    assert statuses(world)[-1] == "Available"
    assert updates(world) == ([] if version == "1.6" else [(1, "Expired")])
    world.station.plug(1, world.car())
    world.station.tap(1, "BB22")
    world.run(5)
    assert started(world) == [None]


@pytest.mark.parametrize("version", VERSIONS)
def test_it_survives_a_restart_and_expires_while_the_station_is_off(make_world, version):
    world = ready(make_world, version)
    assert reserve(world, 1, evse=1, minutes=5) == "Accepted"
    assert reserve(world, 2, "EE55", evse=2, minutes=60) == "Accepted"
    world.station.power_off()
    world.run(600)
    world.station = world.build()
    world.station.power_on()
    world.run(30)
    assert updates(world) == ([] if version == "1.6" else [(1, "Expired")])
    assert statuses(world)[-1] == "Available" and statuses(world, 2)[-1] == "Reserved"
    world.run(3600)
    assert len(world.station.reservations) == 0 and statuses(world, 2)[-1] == "Available"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_id_replaces_unless_the_new_place_is_taken(make_world, version):
    world = ready(make_world, version)
    assert reserve(world, 1, evse=1) == "Accepted"
    assert reserve(world, 1, evse=2) == "Accepted"
    assert [row.evse for row in world.station.reservations] == [2]
    assert statuses(world)[-1] == "Available" and statuses(world, 2)[-1] == "Reserved"
    world.station.plug(1, world.car())
    world.run(2)
    assert reserve(world, 1, evse=1) == "Occupied"
    assert [row.evse for row in world.station.reservations] == [2]
    assert reserve(world, 1, "FF66", evse=2) == "Accepted"
    assert [row.token for row in world.station.reservations] == ["FF66"]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_cannot_be_reserved(make_world, version):
    world = ready(make_world, version)
    assert reserve(world, 1, evse=9) == "Rejected"
    assert reserve(world, 1, minutes=-1) == "Rejected"
    assert reserve(world, 1, evse=1) == "Accepted"
    assert reserve(world, 2, "BB22", evse=1) == "Occupied"
    world.station.break_down(2)
    world.run(1)
    assert reserve(world, 3, evse=2) == "Faulted"
    world.station.repair(2)
    if version == "1.6":
        ask(world, "ChangeAvailability", connector_id=2, type="Inoperative")
    else:
        ask(world, "ChangeAvailability", operational_status="Inoperative", evse=world.csms.messages.EVSEType(id=2))
    assert reserve(world, 3, evse=2) == "Unavailable"
    assert len(world.station.reservations) == 1
    world.station.settings.put(_setting("reservation_enabled"), "false")
    assert reserve(world, 1, evse=1) == "Rejected"


@pytest.mark.parametrize("version", VERSIONS)
def test_any_evse_keeps_one_free(make_world, version):
    world = ready(make_world, version)
    assert reserve(world, 1, evse=None if version != "1.6" else 0) == "Accepted"
    assert "Reserved" not in statuses(world) + statuses(world, 2)
    world.station.plug(1, world.car())
    world.station.tap(1, "BB22")  # a stranger takes one: the other one is now what is left
    world.run(30)
    assert started(world) == [None] and statuses(world, 2)[-1] == "Reserved"
    world.station.tap(2, "CC33")
    world.run(5)
    assert world.station.evses[1].pending is None
    assert reserve(world, 2, "DD44", evse=2) == "Occupied"
    assert reserve(world, 2, "DD44", evse=None if version != "1.6" else 0) == "Occupied"
    world.station.unplug(1)
    world.run(5)
    assert statuses(world, 2)[-1] == "Available"
    world.station.plug(2, world.car())
    world.station.tap(2, "AA11")
    world.run(30)
    assert started(world)[-1] == 1 and len(world.station.reservations) == 0


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_a_connector_type(make_world, version):
    evses = (*TWO, EvseConfig(dc=True, connector_type="cCCS2", fixed_cable=True, max_w=50_000, max_ma=125_000))
    world = ready(make_world, version, evses=evses)
    assert reserve(world, 1, evse=None, connector_type="cG105") == "Rejected"
    assert reserve(world, 1, evse=None, connector_type="cCCS2") == "Accepted"
    assert reserve(world, 2, "BB22", evse=None, connector_type="cCCS2") == "Accepted"
    assert (statuses(world)[-1], statuses(world, 2)[-1], statuses(world, 3)[-1]) == (
        "Available", "Reserved", "Reserved",
    )  # fmt: skip
    assert reserve(world, 3, "CC33", evse=None, connector_type="cCCS2") == "Occupied"
    assert reserve(world, 3, "CC33", evse=None) == "Accepted"
    assert statuses(world)[-1] == "Reserved"
    world.station.plug(3, world.car())
    world.station.tap(3, "CC33")
    world.run(5)
    assert not world.station.truth  # their own is for the EVSE that the other two leave
    world.station.tap(3, "BB22")
    world.run(5)
    assert started(world) == [2]
    assert statuses(world, 2)[-1] == "Reserved"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_fault_or_unavailability_takes_it_back(make_world, version):
    world = ready(make_world, version)
    assert reserve(world, 1, evse=1) == "Accepted"
    assert reserve(world, 2, "BB22", evse=2) == "Accepted"
    world.station.break_down(1)
    world.run(2)
    if version == "1.6":
        ask(world, "ChangeAvailability", connector_id=2, type="Inoperative")
    else:
        ask(world, "ChangeAvailability", operational_status="Inoperative", evse=world.csms.messages.EVSEType(id=2))
    assert updates(world) == ([] if version == "1.6" else [(1, "Removed"), (2, "Removed")])
    assert len(world.station.reservations) == 0
    assert (statuses(world)[-1], statuses(world, 2)[-1]) == ("Faulted", "Unavailable")
    world.station.repair(1)
    world.run(2)
    assert statuses(world)[-1] == "Available"


@pytest.mark.parametrize("version", VERSIONS)
def test_cancelling(make_world, version):
    world = ready(make_world, version)
    assert reserve(world) == "Accepted"
    assert ask(world, "CancelReservation", reservation_id=7).status == "Rejected"
    assert ask(world, "CancelReservation", reservation_id=1).status == "Accepted"
    assert statuses(world)[-1] == "Available" and updates(world) == []
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(5)
    assert len(world.station.reservations) == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_presented_and_never_plugged_in(make_world, version):
    world = ready(make_world, version)
    assert reserve(world) == "Accepted"
    world.station.tap(1, "AA11")
    world.run(5)
    assert statuses(world)[-1] == ("Preparing" if version == "1.6" else "Available")
    world.run(70)
    if version == "1.6":
        # 5.13: only a transaction, expiry or loss ends it.
        assert statuses(world)[-1] == "Reserved" and len(world.station.reservations) == 1
    else:
        assert statuses(world)[-1] == "Available" and len(world.station.reservations) == 0
        assert updates(world) == ([(1, "NoTransaction")] if version == "2.1" else [])


@pytest.mark.parametrize("version", VERSIONS)
def test_remote_starts_keep_to_it(make_world, version):
    world = ready(make_world, version)
    m = world.csms.messages
    assert reserve(world, 1, evse=2, group="FAMILY") == "Accepted"
    world.station.plug(2, world.car())

    def start(token, evse=None, group=None):
        if version == "1.6":
            return ask(world, "RemoteStartTransaction", id_tag=token, connector_id=evse).status
        return ask(
            world,
            "RequestStartTransaction",
            id_token=m.IdTokenType(id_token=token, type="Central"),
            remote_start_id=4,
            evse_id=evse,
            group_id_token=None if group is None else m.IdTokenType(id_token=group, type="Central"),
        ).status

    assert start("BB22", 2) == "Rejected"
    assert start("BB22", 2, "OTHERS") == "Rejected"
    if version == "1.6":
        assert start("AA11") == "Accepted"  # no connector: the one that is theirs
    else:
        assert start("BB22", 2, "FAMILY") == "Accepted"
    world.run(30)
    assert started(world) == [1] and world.station.truth[0].evse == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_where_only_a_certain_one_can_be_reserved(make_world, version):
    world = ready(make_world, version, settings={"reserve_any": "false"})
    assert reserve(world, 1, evse=None) == "Rejected"
    if version != "1.6":
        assert reserve(world, 1, evse=None, connector_type="cCCS2") == "Rejected"
    assert not len(world.station.reservations)
    assert reserve(world, 1, evse=2) == "Accepted"


@pytest.mark.parametrize("version", VERSIONS[1:])
@pytest.mark.parametrize("connector_type", [None, "cCCS2"])
def test_a_group_may_use_whichever_is_left_for_it(make_world, version, connector_type):
    """The group of a token is what the CSMS says of it, unless it is known already."""
    world = ready(make_world, version, settings={"local_preauthorize": "true"})
    evse = 2 if connector_type else 1
    world.csms.group = "FAMILY"
    world.station.tap(evse, "KNOWN")  # from now on in the cache; nobody plugs in
    world.run(70)
    if not connector_type:
        world.station.break_down(2)  # the other one is what is left
    assert reserve(world, 1, evse=None, group="FAMILY", connector_type=connector_type) == "Accepted"
    world.station.plug(evse, world.car())
    world.run(5)
    assert statuses(world, evse)[-1] == "Reserved"
    asked = len(world.csms.heard("Authorize"))
    world.csms.group = "OTHERS"
    world.station.tap(evse, "STRANGER")
    world.run(5)
    assert len(world.csms.heard("Authorize")) == asked + 1 and not world.station.truth
    world.station.tap(evse, "KNOWN")
    world.run(5)
    assert started(world) == [1] and len(world.csms.heard("Authorize")) == asked + 1
    world.station.unplug(evse)
    world.run(5)
    assert reserve(world, 2, evse=None, group="FAMILY", connector_type=connector_type) == "Accepted"
    world.station.plug(evse, world.car())
    world.csms.group = "FAMILY"
    world.station.tap(evse, "NEW")
    world.run(5)
    assert started(world) == [1, 2] and len(world.csms.heard("Authorize")) == asked + 2


def test_expiry_waits_for_the_clock(make_world):
    """After a restart the clock shows 1970: nothing expires and nothing lives for ever."""
    from pilotwire.station.config import Quirks

    world = ready(make_world, "2.1", quirks=Quirks(clock_at_epoch=True))
    assert reserve(world, minutes=10) == "Accepted"
    world.station.power_off()
    world.csms.silent.add("BootNotification")
    world.station.power_on()
    world.run(10)
    assert len(world.station.reservations) == 1
    world.csms.silent.clear()
    world.run(300)
    assert len(world.station.reservations) == 1
    world.run(400)
    assert updates(world) == [(1, "Expired")]


def test_offline_its_end_is_told_later(make_world):
    world = ready(make_world, "2.0.1")
    assert reserve(world, minutes=5) == "Accepted"
    world.offline()
    world.run(600)
    assert len(world.station.reservations) == 0
    world.online()
    world.run(300)
    assert updates(world) == [(1, "Expired")]
    assert statuses(world)[-1] == "Available"


def test_a_reservation_can_be_for_a_group_or_a_token():
    row = Reservation(id=1, expires_at=0, token="A", group="G")
    assert row.is_of("A", "") and row.is_of("B", "G") and not row.is_of("B", "H") and not row.is_of("", "")
    assert not Reservation(id=1, expires_at=0, token="A").is_of("B", "")


def _setting(name):
    from pilotwire.station.settings import BY_NAME

    return BY_NAME[name]
