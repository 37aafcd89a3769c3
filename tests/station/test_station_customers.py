"""What a station keeps of people and costs, and how locks open."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from pilotwire.core.time import to_datetime

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


def session(world, token="AA11", seconds=120):
    world.station.plug(1, world.car())
    world.station.tap(1, token)
    world.run(seconds)
    world.station.unplug(1)
    world.run(5)


def info(world, token="AA11", *, report=True, clear=False, **more):
    m = world.csms.messages
    before = len(world.csms.heard("NotifyCustomerInformation"))
    who = more or {"id_token": m.IdTokenType(id_token=token, type="ISO14443")}
    status = ask(world, "CustomerInformation", request_id=3, report=report, clear=clear, **who).status
    parts = world.csms.heard("NotifyCustomerInformation")[before:]
    assert [p.seq_no for p in parts] == list(range(len(parts)))
    assert [bool(p.tbc) for p in parts] == [True] * (len(parts) - 1) + [False] * bool(parts)
    assert all(p.request_id == 3 for p in parts)
    return status, "".join(p.data for p in parts)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_known_of_somebody(make_world, version):
    world = ready(make_world, version)
    assert info(world) == ("Accepted", "No data was found.")
    session(world)
    status, text = info(world)
    assert status == "Accepted"
    assert "cache: AA11 Accepted" in text and world.station.truth[0].transaction in text and "Wh" in text
    assert info(world, customer_identifier="AA11") == (status, text)
    for _ in range(8):
        session(world, seconds=10)
    status, text = info(world)
    assert len(text) > 512 and text.count("session ") == 9
    assert info(world, "BB22") == ("Accepted", "No data was found.")


@pytest.mark.parametrize("version", VERSIONS)
def test_forgetting_somebody(make_world, version):
    world = ready(make_world, version)
    m = world.csms.messages
    session(world)
    row = m.AuthorizationData(
        id_token=m.IdTokenType(id_token="AA11", type="ISO14443"), id_token_info=m.IdTokenInfoType(status="Accepted")
    )
    ask(world, "SendLocalList", version_number=1, update_type="Full", local_authorization_list=[row])
    ask(
        world,
        "ReserveNow",
        id=1,
        expiry_date_time=to_datetime(world.scheduler.now()) + timedelta(hours=1),
        id_token=m.IdTokenType(id_token="AA11", type="ISO14443"),
        evse_id=1,
    )
    status, text = info(world, clear=True)
    assert status == "Accepted" and "session" in text and "reservation 1" in text and "local list" in text
    status, text = info(world)
    assert text.startswith("local list") and "session" not in text and "cache" not in text  # N10.FR.03
    assert world.csms.heard("ReservationStatusUpdate")[-1].reservation_update_status == "Removed"
    assert world.csms.heard("StatusNotification")[-1].connector_status == "Available"
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(20)
    assert "session" not in info(world)[1]
    session(world, "CC33")
    assert info(world, "CC33", report=False, clear=True) == ("Accepted", "The data was cleared.")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_not_answered(make_world, version):
    world = ready(make_world, version)
    m = world.csms.messages
    token = m.IdTokenType(id_token="AA11", type="ISO14443")
    assert info(world, id_token=token, customer_identifier="x") == ("Invalid", "")
    assert ask(world, "CustomerInformation", request_id=1, report=True, clear=False).status == "Invalid"
    assert info(world, report=False) == ("Rejected", "")
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(30)
    assert info(world, clear=True) == ("Rejected", "")
    assert "running" in info(world)[1]
    certificate = m.CertificateHashDataType(
        hash_algorithm="SHA256", issuer_name_hash="aa", issuer_key_hash="bb", serial_number="1"
    )
    assert info(world, customer_certificate=certificate) == ("Accepted", "No data was found.")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_cost_that_is_shown(make_world, version):
    world = ready(make_world, version)
    m = world.csms.messages
    evse = world.station.evses[0]
    transactions = world.station.transactions
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(30)
    key = world.station.truth[0].session
    assert transactions.cost_at(evse) is None
    ask(world, "CostUpdated", total_cost=Decimal("1.25"), transaction_id=key)
    assert transactions.cost_at(evse) == Decimal("1.25")
    ask(world, "CostUpdated", total_cost=Decimal("99"), transaction_id="another")
    assert transactions.cost_at(evse) == Decimal("1.25")
    world.csms.scripts["TransactionEvent"] = lambda request: m.TransactionEventResponse(
        total_cost=Decimal("2.5") if request.event_type == "Updated" else Decimal("3.75")
    )
    world.run(60)
    assert transactions.cost_at(evse) == Decimal("2.5")
    world.station.tap(1, "AA11")
    world.run(5)
    assert transactions.cost_at(evse) == world.station.truth[0].cost == Decimal("3.75")
    world.station.unplug(1)
    assert transactions.cost_at(evse) is None
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    assert world.station.truth[0].cost == Decimal("3.75")


@pytest.mark.parametrize("version", ("1.6", *VERSIONS))
def test_a_lock_that_does_not_open(make_world, version):
    world = ready(make_world, version)
    where = {"connector_id": 1} if version == "1.6" else {"evse_id": 1, "connector_id": 1}
    assert ask(world, "UnlockConnector", **where).status == "Unlocked"  # F05.FR.06: also without a cable
    world.station.evse(1).jammed = True
    assert ask(world, "UnlockConnector", **where).status == "UnlockFailed"
