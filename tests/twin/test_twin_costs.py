"""Tariffs of the central system and real stations in simulated time: what a session costs, by both, to the cent."""

from __future__ import annotations

import copy
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from tests.twin.shop_kit import CARDS, DC, ENERGY, Shop, charge, done, leave

from pilotwire.core.ids import DEFAULT_TENANT, SeededIds, StationKey
from pilotwire.domain.context import Context, Decision
from pilotwire.domain.facts import DataTransferred, SessionCostDiffered
from pilotwire.domain.stations import StationState, decide
from pilotwire.domain.tariffs.book import ASSIGNMENT, assignment_id
from pilotwire.domain.tokens import ACCEPTED
from pilotwire.protocols.ocpp.rpc.machine import CallReceived, Rpc
from pilotwire.station.config import EvseConfig
from pilotwire.station.settings import BY_NAME
from pilotwire.storage import documents
from pilotwire.twin.bays import Bay, Traffic

MINUTE, HOUR = 60_000, 3_600_000
TRAFFIC = Traffic(
    gap_s=(60, 900), linger_s=(60, 1500), stay_s=(300, 3600), ac_ask_wh=(300, 6000), dc_ask_wh=(1000, 20000)
)


def drawn(random: Random) -> dict[str, Any]:
    """A tariff of whatever there is."""

    def price(name: str, least: int = 0) -> dict[str, Any]:
        return {name: random.randint(least, 900) / 1000}

    def when() -> dict[str, Any]:
        return random.choice(
            (
                {"startTimeOfDay": "17:00", "endTimeOfDay": "18:30"},
                {"startTimeOfDay": "23:00", "endTimeOfDay": "05:00"},
                {"dayOfWeek": ["Saturday", "Sunday"]},
                {"minEnergy": random.randint(100, 3000)},
                {"maxTime": random.randint(60, 2000)},
                {"minPower": random.randint(1000, 20000)},
                {"evseKind": random.choice(("AC", "DC"))},
                {"minChargingTime": random.randint(60, 1200)},
            )
        )

    taxes = [{"type": "VAT", "tax": random.choice((19, 7.7, 0))}, {"type": "city", "tax": 1.5, "stack": 1}]
    found: dict[str, Any] = {
        "energy": {
            "prices": [{**price("priceKwh"), "conditions": when()} for _ in range(random.randint(0, 3))]
            + [price("priceKwh", 50)],
            "taxRates": taxes[: random.randint(1, 2)],
        }
    }
    if random.random() < 0.6:
        found["chargingTime"] = {"prices": [{**price("priceMinute"), "conditions": when()}, price("priceMinute")]}
    if random.random() < 0.6:
        idle = {**price("priceMinute"), "conditions": {"minIdleTime": random.randint(30, 900)}}
        found["idleTime"] = {"prices": [idle], "taxRates": taxes[:1]}
    if random.random() < 0.5:
        found["fixedFee"] = {"prices": [{**price("priceFixed"), "conditions": {"evseKind": "DC"}}, price("priceFixed")]}
    if random.random() < 0.3:
        found["maxCost"] = {"inclTax": random.choice((0.8, 3))}
    if random.random() < 0.3:
        found["minCost"] = {"exclTax": random.choice((0.5, 2)), "taxRates": taxes[:1]}
    return found


@pytest.mark.parametrize(("seed", "rate"), [(1, 0.0), (2, 0.02), (3, 0.02)])
def test_station_and_central_system_agree_to_the_cent(seed: int, rate: float) -> None:
    """Whatever the tariffs say, connections do and the central system goes through."""
    shop, random = Shop(seed), Random(seed)
    for number in range(4):
        shop.tariff(f"t{number}", drawn(random))
    shop.assign("t0")
    shop.assign("t1", "evse", "CS-1", 2)
    shop.assign("t2", "station", "CS-2")
    shop.assign("t3", "token", "bb22")
    bays: list[Bay] = []
    for number in (1, 2):
        station = shop.station(
            "2.1",
            name=f"CS-{number}",
            sample_interval=str(random.choice((30, 47, 300))),
            running_cost=random.choice(("true", "false")),
            cost_interval="90",
        )
        bays += [Bay(station, evse, shop.clock, random, CARDS, TRAFFIC) for evse in (1, 2)]
    shop.trouble.rate = rate
    for bay in bays:
        bay.open()
    for _ in range(4):
        shop.run(3600)
        shop.again()
    for bay in bays:
        bay.close()
    shop.trouble.rate = 0.0
    shop.run(1800)
    for station in shop.stations.values():
        for evse in station.evses:
            if evse.car is not None:
                station.unplug(evse.id)
    shop.run(1800)
    ended = 0
    for name, station in shop.stations.items():
        truths = {truth.transaction: truth for truth in station.truth}
        for session in shop.sessions(name):
            bill = session.bill
            if session.status != "ended" or bill is None:
                continue
            assert bill.told is not None and bill.told.final, session
            assert bill.amount == bill.told.amount == truths[session.transaction].cost
            assert bill.complete and "cost-differs" not in session.flags
            ended += 1
        assert all(s.bill is not None for s in shop.sessions(name) if s.energy_wh)
    assert ended > 25
    assert shop.facts(SessionCostDiffered) == []
    costs = {session.bill.amount for name in shop.stations for session in shop.sessions(name) if session.bill}
    assert len(costs) > 10
    used = {session.bill.tariff_id for name in shop.stations for session in shop.sessions(name) if session.bill}
    assert {"t0.1.0", "t1.1.2", "t2.1.0", "t3.1"} <= used
    shop.same_after_replay()


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_another_tariff_in_mid_session_is_priced_step_by_step(version: str) -> None:
    shop = Shop()
    shop.tariff("day", {"energy": {"prices": [{"priceKwh": 0.4}]}})
    shop.tariff(
        "night", {"energy": {"prices": [{"priceKwh": 0.1}]}, "chargingTime": {"prices": [{"priceMinute": 0.5}]}}
    )
    shop.assign("day", "station", "CS-1")
    station = shop.station(version, EvseConfig(), sample_interval="60")
    charge(shop, station, 31)
    running = shop.sessions()[-1]
    reply = shop.ask("change-tariff", {"session": running.id, "tariff": "night"})
    assert (reply.outcome, reply.answer["status"]) == ("answered", "Accepted"), reply
    shop.again()
    shop.run(600)
    session = leave(shop, station)
    bill = session.bill
    assert bill is not None and bill.costing is not None and bill.ended
    assert bill.tariff_id == "night.1"
    first, second = bill.costing.shares
    assert first.energy[0] + second.energy[0] == session.energy_wh * 1000
    assert 0 < second.energy[0] < first.energy[0]
    minutes = Decimal(second.charging[0]) / MINUTE
    assert 9 < minutes < 12
    exact = (Decimal(first.energy[0]) * 4 + Decimal(second.energy[0])) / 10_000_000 + minutes / 2
    assert bill.amount is not None and abs(bill.amount - exact) <= Decimal("0.01")
    if version == "2.1":
        assert bill.told is not None and bill.told.amount == bill.amount == station.truth[-1].cost
    else:
        assert bill.told is None and not bill.local
    if version == "2.0.1":  # what the answers said is what the station shows
        assert station.truth[-1].cost == bill.amount
    assert "cost-differs" not in session.flags
    over = shop.ask("change-tariff", {"session": session.id, "tariff": "day"})
    assert over.outcome == "invalid" and "ended" in over.answer["description"]
    unknown = shop.ask("change-tariff", {"session": session.id, "tariff": "none"})
    assert unknown.outcome == "invalid"
    shop.same_after_replay()


def test_a_station_holds_what_it_is_to_hold() -> None:
    shop = Shop()
    shop.tariff("base", ENERGY)
    shop.assign("base")
    station = shop.station("2.1")
    assert shop.held() == {0: ["base.1.0"]}

    def there() -> dict[str, list[int]]:
        """As the station says itself."""
        rows = shop.ask("GetTariffs", {"evseId": 0}).answer.get("tariffAssignments", [])
        return {row["tariffId"]: row["evseIds"] for row in rows}

    assert there() == {"base.1.0": [1, 2]}
    shop.tariff("fast", ENERGY)
    shop.assign("fast", "evse", "CS-1", 2)
    assert there() == {"base.1.0": [1], "fast.1.2": [2]} and shop.held() == {0: ["base.1.0"], 2: ["fast.1.2"]}
    dearer = {"energy": {"prices": [{"priceKwh": 0.5}]}}
    shop.tariff("base", ENERGY, dearer)
    assert there() == {"base.2.0": [1], "fast.1.2": [2]}
    later = dearer | {"validFrom": "2026-03-27T18:00:00Z"}
    shop.tariff("fast", ENERGY, later)
    assert there() == {"base.2.0": [1], "fast.1.2": [2], "fast.2.2": [2]}
    shop.run(2 * 3600)
    assert there() == {"base.2.0": [1], "fast.2.2": [2]}
    # It was away while the places changed.
    station.power_off()
    shop.run(60)
    shop.write(documents.Delete(ASSIGNMENT, assignment_id("evse", "CS-1", 2)))
    station.power_on()
    shop.run(60)
    assert there() == {"base.2.0": [1, 2]} and shop.held() == {0: ["base.2.0"]}
    shop.write(documents.Delete(ASSIGNMENT, assignment_id("all", "", 0)))
    assert there() == {} == shop.held()
    # What somebody sets by hand is left alone, and priced by.
    hand = {"tariffId": "hand made", "currency": "EUR", "energy": {"prices": [{"priceKwh": 2}]}}
    assert shop.ask("SetDefaultTariff", {"evseId": 0, "tariff": hand}).answer["status"] == "Accepted"
    shop.again()
    shop.run(60)
    assert there() == {"hand made": [1, 2]}
    charge(shop, station, 20)
    session = leave(shop, station)
    assert session.bill is not None and session.bill.tariff_id == "hand made"
    assert session.bill.amount == station.truth[-1].cost == session.bill.told.amount  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("scope", "target"), [("token", "aa11"), ("group", "FLEET"), ("driver", "kim"), ("station", "CS-1"), ("all", "")]
)
def test_a_drivers_tariff_goes_before_that_of_the_place(scope: str, target: str) -> None:
    shop = Shop()
    shop.tariff("place", ENERGY)
    shop.tariff("other", {"energy": {"prices": [{"priceKwh": 0.2}]}})
    shop.write(documents.put("token-driver", "aa11", "kim"))
    shop.assign("place")
    shop.assign("other", scope, target)
    station = shop.station("2.1")
    charge(shop, station, 10)
    session = leave(shop, station)
    assert session.bill is not None
    assert session.bill.tariff_id == ("other.1" if scope in ("token", "group", "driver") else "other.1.0")
    assert session.bill.amount == station.truth[-1].cost


def test_a_station_that_calculates_wrongly_is_flagged() -> None:
    """Its clock's zone is another than it says: prices by time of day differ, and so does what it comes to."""
    shop = Shop()
    prices = [{"priceKwh": 1, "conditions": {"startTimeOfDay": "17:00", "endTimeOfDay": "18:00"}}, {"priceKwh": 0.1}]
    shop.tariff("day", {"energy": {"prices": prices}})
    shop.assign("day")
    station = shop.station("2.1", EvseConfig())
    station.settings.put(BY_NAME["time_zone"], "Asia/Kolkata")
    charge(shop, station, 30)
    session = leave(shop, station)
    [differed] = shop.facts(SessionCostDiffered)
    bill = session.bill
    assert bill is not None and bill.told is not None
    assert (differed.expected, differed.told) == (str(bill.amount), str(bill.told.amount))
    assert differed.expected != differed.told and "cost-differs" in session.flags
    shop.same_after_replay()


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_arrival_does_not_matter(seed: int) -> None:
    """Events of one session in any order: the same bill."""
    shop = Shop()
    shop.tariff("t", drawn(Random(seed + 40)))
    shop.assign("t")
    station = shop.station("2.1", DC, sample_interval="120")
    charge(shop, station, 25)
    session = leave(shop, station)
    key, random = StationKey(DEFAULT_TENANT, "CS-1"), Random(seed)
    record = done(shop.store.station(key))
    heard = [e for e in shop.store._entries if e.direction == "in" and session.transaction.encode() in e.frame]
    speech = shop.csms._around.speech("2.1")
    inputs = []
    for entry in heard:
        event = Rpc(speech.version).receive(entry.frame, entry.recv_time)
        assert isinstance(event, CallReceived)
        inputs.append((speech.ways["TransactionEvent"].read(event.request), entry.recv_time))
    assert len(inputs) > 8
    for _ in range(12):
        random.shuffle(inputs)
        state = StationState.fresh(key)
        state.station = copy.deepcopy(record)
        context = Context(now=0, ids=SeededIds(1, lambda: 0), version="2.1", authorize=lambda *_: ACCEPTED)
        for given, now in inputs:
            context.now = now
            context.price = shop.csms._around.prices.pricer(key)
            decision = decide(state, given, context)
            assert isinstance(decision, Decision)
            for fact in decision.facts:
                state.apply(fact, now, 1)
        [again] = state.sessions.values()
        assert again.bill is not None and session.bill is not None
        assert (again.bill.amount, again.bill.complete) == (session.bill.amount, True)
        assert "cost-differs" not in again.flags


def test_a_station_in_california_shows_price_running_and_final_cost() -> None:
    """1.6: by DataTransfer, from the first look to the last."""
    shop = Shop()
    text = {"format": "UTF8", "language": "en", "content": "0.40 EUR/kWh"}
    shop.tariff(
        "ca", {"description": [text], "energy": {"prices": [{"priceKwh": 0.4}]}, "idleTime": ENERGY["idleTime"]}
    )
    shop.assign("ca")
    station = shop.station("1.6", EvseConfig(), cost_display="true", sample_interval="60")
    charge(shop, station, 20)
    assert station.tariffs.shown(1) == "0.40 EUR/kWh"
    running = shop.sessions()[-1]
    assert running.bill is not None and running.bill.amount is not None
    shown = station.transactions.cost_at(station.evses[0])
    assert shown is not None and 0 < shown <= running.bill.amount
    assert running.bill.amount - shown < Decimal("0.10")  # it is told every half minute at most
    session = leave(shop, station)
    assert session.bill is not None and session.bill.amount == station.truth[-1].cost
    transfers = shop.facts(DataTransferred)
    assert [(fact.message_id, fact.verdict) for fact in transfers] == [("ConnectorUnplugged", "Accepted")]
    other = shop.station("1.6", EvseConfig(), name="CS-2")
    charge(shop, other, 5)
    leave(shop, other)
    assert other.truth[-1].cost is None  # it shows none, so it is told none
    assert (
        shop.ask("DataTransfer", {"vendorId": "org.openchargealliance.costmsg"}, "CS-2").answer["status"] == "Rejected"
    )
