"""What the central system does about tariffs and cost, rule by rule, with stations that show or calculate them (I)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.twin.shop_kit import ENERGY, Shop, charge, leave

from pilotwire.core.ids import DEFAULT_TENANT, StationKey
from pilotwire.core.time import from_rfc3339
from pilotwire.csms.commands import Outbox
from pilotwire.domain.facts import SessionCostDiffered, SessionTariffDeclined, SessionUpdated
from pilotwire.domain.fold import fold
from pilotwire.domain.records import Session
from pilotwire.station.config import EvseConfig
from pilotwire.station.tariffs import Tariffs
from pilotwire.translate import california
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE

D = Decimal
FIVE = from_rfc3339("2026-03-27T17:00:00Z")
INSTANT = from_rfc3339("2026-03-27T17:30:00Z")
TEXTS = [
    {"format": "UTF8", "language": "en", "content": "39 ct/kWh"},
    {"format": "UTF8", "language": "de", "content": "39 Cent/kWh"},
]
DEARER = {"energy": {"prices": [{"priceKwh": 1}]}, "description": [{"format": "UTF8", "content": "1 EUR/kWh"}]}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """(token, texts) of every message for a driver that a station gets."""
    found: list[tuple[str, list[str]]] = []
    real = Tariffs.personal

    def personal(self: Tariffs, token: str, message: Any, more: Any = None) -> None:
        if message is not None:
            found.append((token, [one.content for one in (message, *(more or ()))]))
        real(self, token, message, more)

    monkeypatch.setattr(Tariffs, "personal", personal)
    return found


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The tariffs that stations get for drivers."""
    found: list[Any] = []
    real = Tariffs.named

    def name(self: Tariffs, token: str, given: Any) -> bool:
        found.append(given)
        return real(self, token, given)

    monkeypatch.setattr(Tariffs, "named", name)
    return found


def shop_with(tariff: dict[str, Any], scope: Any = "all", target: str = "") -> Shop:
    shop = Shop()
    shop.tariff("t", tariff)
    shop.assign("t", scope, target)
    return shop


NOTHING_TO_SHOW = {"tariff_available": "false", "display_available": "false"}


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
@pytest.mark.parametrize(
    ("settings", "shows"), [({}, True), ({"tariff_available": "false"}, True), (NOTHING_TO_SHOW, False)]
)
def test_drivers_read_their_price_where_there_is_something_to_read_it_on(
    version: str, settings: dict[str, str], shows: bool, read: list[tuple[str, list[str]]]
) -> None:
    shop = shop_with(ENERGY | {"description": TEXTS}, "token", "aa11")
    station = shop.station(version, **settings)
    charge(shop, station, 2)
    charge(shop, station, 2, evse=2, token="BB22")
    assert read == ([("AA11", ["39 ct/kWh"])] if shows else [])


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_another_tariff_is_told_in_words_with_the_next_event(version: str, read: list[tuple[str, list[str]]]) -> None:
    shop = shop_with(ENERGY | {"description": TEXTS})
    shop.tariff("other", {"energy": {"prices": [{"priceKwh": 1}]}, "description": TEXTS[::-1]})
    station = shop.station(version, EvseConfig(), sample_interval="60")
    charge(shop, station, 3)
    read.clear()
    reply = shop.ask("change-tariff", {"session": shop.sessions()[-1].id, "tariff": "other"})
    assert reply.answer["status"] == "Accepted"
    shop.run(300)
    assert read == [("AA11", ["39 Cent/kWh", "39 ct/kWh"] if version == "2.1" else ["39 Cent/kWh"])], "once"
    assert station.tariffs.shown(1) == "39 Cent/kWh"
    leave(shop, station)
    assert len(read) == 1


@pytest.mark.parametrize(("version", "settings"), [("2.0.1", {}), ("2.1", {"cost_enabled": "false"})])
def test_what_costs_nothing_is_said_to_cost_nothing(version: str, settings: dict[str, str]) -> None:
    shop = shop_with({"energy": {"prices": [{"priceKwh": 0}]}})
    station = shop.station(version, EvseConfig(), sample_interval="60", **settings)
    charge(shop, station, 5)
    assert station.evses[0].session is not None and station.evses[0].session.cost == 0
    session = leave(shop, station)
    assert session.bill is not None and not session.bill.local
    assert station.truth[-1].cost == 0
    other = Shop()
    plain = other.station(version)
    charge(other, plain, 1)
    leave(other, plain)
    assert plain.truth[-1].cost is None


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_what_is_shown_without_the_central_system_is_set_by_it(version: str) -> None:
    shop = Shop()
    station = shop.station(version)
    texts = {"TariffFallbackMessage": "39 ct", "TotalCostFallbackMessage": "by mail"}
    rows = [
        {"component": {"name": "TariffCostCtrlr"}, "variable": {"name": name}, "attributeValue": value}
        for name, value in texts.items()
    ]
    reply = shop.ask("SetVariables", {"setVariableData": rows})
    assert [row["attributeStatus"] for row in reply.answer["setVariableResult"]] == ["Accepted", "Accepted"]
    assert station.tariffs.shown(1) == "39 ct"
    assert station.settings.text("total_cost_fallback") == "by mail"


# ── 2.1: tariffs that the station works by ───────────────────────────────────────────────────────────────────────────


def test_a_drivers_tariff_has_no_beginning_and_another_content_another_name(named: list[Any]) -> None:
    shop = Shop()
    shop.tariff("place", ENERGY)
    shop.assign("place")
    driver = DEARER | {"validFrom": "2026-01-01T00:00:00Z"}
    shop.tariff("driver", driver)
    shop.assign("driver", "token", "aa11")
    station = shop.station("2.1", EvseConfig())
    charge(shop, station, 5)
    held = station.tariffs.assignments(1)
    assert [(one.kind, one.tariff.tariff_id) for one in held] == [
        ("DefaultTariff", "place.1.0"),
        ("DriverTariff", "driver.1"),
    ]
    assert shop.held() == {0: ["place.1.0"]}, "the driver's is gone with the session, and ours to know no longer"
    first = leave(shop, station)
    shop.tariff("driver", driver, {"energy": {"prices": [{"priceKwh": 2}]}, "validFrom": "2026-02-01T00:00:00Z"})
    charge(shop, station, 5)
    second = leave(shop, station)
    assert [given.tariff_id for given in named] == ["driver.1", "driver.2"]
    assert all(given.valid_from is None for given in named)
    assert [session.bill and session.bill.tariff_id for session in (first, second)] == ["driver.1", "driver.2"]
    charge(shop, station, 1, token="BB22")
    assert named[2:] == [None], "whoever has none gets none"


def test_a_station_is_given_what_it_says_that_it_can_follow(named: list[Any]) -> None:
    many = {"energy": {"prices": [{"priceKwh": 3}, {"priceKwh": 2}, {"priceKwh": 1}]}}
    when = {"energy": {"prices": [{"priceKwh": 3, "conditions": {"evseKind": "AC"}}, {"priceKwh": 1}]}}
    shop = Shop()
    for name, parts in (("many", many), ("when", when), ("plain", ENERGY)):
        shop.tariff(name, parts)
    shop.assign("plain", "evse", "CS-1", 1)
    shop.assign("many", "evse", "CS-1", 2)
    shop.assign("many", "token", "aa11")
    shop.assign("when", "token", "bb22")
    plain = {"energy": ENERGY["energy"]}
    shop.tariff("plain", plain)
    cases: list[tuple[dict[str, str], list[str], list[str | None]]] = [
        ({}, ["plain.1.1", "many.1.2"], ["many.1", "when.1"]),
        ({"tariff_elements": "2"}, ["plain.1.1"], [None, "when.1"]),
        ({"tariff_conditions": "false"}, ["plain.1.1", "many.1.2"], ["many.1", None]),
        ({"tariff_enabled": "false"}, [], [None, None]),
        ({"cost_enabled": "false"}, [], [None, None]),
    ]
    for settings, defaults, drivers in cases:
        named.clear()
        station = shop.station("2.1", **settings)
        assert [one.tariff_id for rows in station.tariffs._defaults.values() for one in rows] == defaults, settings
        assert [name for names in shop.held().values() for name in names] == defaults
        charge(shop, station, 1, token="AA11")
        charge(shop, station, 1, evse=2, token="BB22")
        assert [given and given.tariff_id for given in named] == drivers, settings
        station.power_off()
        shop.run(60)
        wipe(shop)


def wipe(shop: Shop) -> None:
    """The next station of that name is another one: nothing is known of it."""
    record = shop.csms.actor(next(iter(shop.csms._actors))).known().station
    record.pricing = None


def test_what_a_station_says_that_it_holds_counts() -> None:
    shop = shop_with(ENERGY)
    shop.tariff("two", DEARER)
    shop.assign("two", "evse", "CS-1", 2)
    station = shop.station("2.1")
    assert shop.held() == {0: ["t.1.0"], 2: ["two.1.2"]}
    station.tariffs.clear(["two.1.2"], None)  # somebody was at the station
    assert shop.ask("GetTariffs", {"evseId": 2}).answer["status"] == "NoTariff"
    assert shop.held() == {0: ["t.1.0"]}
    station.tariffs.clear(None, None)
    assert shop.ask("GetTariffs", {"evseId": 0}).answer["status"] == "NoTariff"
    assert shop.held() == {}
    station.power_off()
    shop.run(30)
    station.power_on()
    shop.run(60)
    assert shop.held() == {0: ["t.1.0"], 2: ["two.1.2"]}, "and it is given again what it lacks"


def test_where_the_station_cannot_follow_the_central_system_works_out_the_cost() -> None:
    """HandleFailedTariff is CentralCost, and the tariff has prices by current."""
    shop = Shop()
    by_current = {"priceKwh": 9, "conditions": {"minCurrent": 1000}}
    shop.tariff("driver", {"energy": {"prices": [by_current, {"priceKwh": 0.5}]}})
    shop.assign("driver", "token", "aa11")
    station = shop.station("2.1", EvseConfig(), tariff_failed="CentralCost", sample_interval="60")
    charge(shop, station, 10)
    assert station.settings.flag("tariff_problem")
    session = station.evses[0].session
    assert session is not None and session.cost is not None and session.cost > D("0.5"), "while it runs"
    ended = leave(shop, station)
    bill = ended.bill
    assert bill is not None and not bill.local and bill.told is None
    assert bill.amount == station.truth[-1].cost == (D(ended.energy_wh) / 2000).quantize(D("0.01"))


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_times_of_day_are_those_of_the_place_and_a_beginning_is_an_instant(version: str) -> None:
    """It is 17:40 in Berlin, 16:40 in UTC."""
    evening = {"priceKwh": 1, "conditions": {"startTimeOfDay": "17:00", "endTimeOfDay": "18:00"}}
    shop = Shop()
    shop.tariff("all", {"energy": {"prices": [evening, {"priceKwh": 0}]}}, {
        "energy": {"prices": [{"priceKwh": 3}]}, "validFrom": "2026-03-27T17:30:00Z"})  # fmt: skip
    shop.assign("all")
    station = shop.station(version, EvseConfig(), sample_interval="10")
    charge(shop, station, 15)
    session = leave(shop, station)
    assert session.bill is not None and session.bill.amount is not None
    if version == "1.6":
        assert session.bill.amount == 0, "a 1.6 station does not say where it is: UTC"
    else:
        assert session.bill.amount == (D(session.energy_wh) / 1000).quantize(D("0.01")) > 0
    shop.run(30 * 60)
    assert shop.clock.now() < INSTANT
    charge(shop, station, 1)
    early = leave(shop, station)
    assert early.bill is not None and early.bill.tariff_id.startswith("all.1")
    shop.run(5 * 60)
    charge(shop, station, 10)
    late = leave(shop, station)
    assert late.bill is not None and late.bill.amount == (D(late.energy_wh) * 3 / 1000).quantize(D("0.01"))


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_both_sides_bill_a_reservation(version: str) -> None:
    shop = shop_with(
        {
            "energy": {"prices": [{"priceKwh": 0.39}]},
            "reservationTime": {"prices": [{"priceMinute": 0.25}]},
            "reservationFixed": {"prices": [{"priceFixed": 1.5}]},
        }
    )
    station = shop.station(version, EvseConfig(), sample_interval="60")
    until = "2026-03-27T18:40:00Z"
    if version == "1.6":
        asked: dict[str, Any] = {"connectorId": 1, "expiryDate": until, "idTag": "AA11", "reservationId": 5}
    else:
        token = {"idToken": "AA11", "type": "ISO14443"}
        asked = {"id": 5, "expiryDateTime": until, "idToken": token, "evseId": 1}
    assert shop.ask("ReserveNow", asked).answer["status"] == "Accepted"
    shop.run(1200)
    charge(shop, station, 10)
    session = leave(shop, station)
    bill = session.bill
    assert bill is not None and bill.costing is not None and bill.costing.reserved_ms is not None
    assert 1_200_000 <= bill.costing.reserved_ms <= 1_215_000
    energy = D(session.energy_wh) * D("0.39") / 1000
    reserved = D(bill.costing.reserved_ms) / 60_000 / 4
    assert bill.amount is not None and abs(bill.amount - energy - reserved - D("1.5")) <= D("0.02")
    if version == "2.1":
        assert bill.told is not None and bill.told.amount == bill.amount == station.truth[-1].cost
    assert shop.facts(SessionCostDiffered) == []
    shop.same_after_replay()
    charge(shop, station, 1)
    again = leave(shop, station)
    assert again.bill is not None and again.bill.amount is not None and again.bill.amount < 1


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
@pytest.mark.parametrize("drivers", [False, True])
def test_a_session_is_priced_from_when_its_driver_is_known(version: str, drivers: bool) -> None:
    shop = shop_with(ENERGY | {"fixedFee": {"prices": [{"priceFixed": 3}]}})
    shop.tariff("mine", {"fixedFee": {"prices": [{"priceFixed": 5}]}, "idleTime": {"prices": [{"priceMinute": 2}]}})
    if drivers:
        shop.assign("mine", "token", "aa11")
    points = {"start_point": "EVConnected", "stop_point": "EVConnected", "sample_interval": "60"}
    station = shop.station(version, EvseConfig(), **points)
    station.plug(1, Vehicle(CATALOGUE["compact three-phase 11 kW"], 300))
    shop.run(900)
    [waiting] = shop.sessions()
    assert waiting.bill is None
    station.tap(1, "AA11")
    shop.run(600)
    station.unplug(1)
    shop.run(20)
    [session] = shop.sessions()
    bill = session.bill
    assert bill is not None and bill.costing is not None and bill.complete
    assert bill.tariff_id.split(".")[0] == ("mine" if drivers else "t")
    assert bill.costing.idle_ms < 30_000 and session.energy_wh > 1500
    energy = D(0) if drivers else D(session.energy_wh) * D("0.39") * D("1.19") / 1000
    assert bill.amount is not None and abs(bill.amount - energy - (5 if drivers else 3)) < D("0.6")
    assert bill.amount == station.truth[-1].cost
    if version == "2.1":
        assert bill.told is not None and bill.told.amount == bill.amount
    assert shop.facts(SessionCostDiffered) == []
    shop.same_after_replay()


@pytest.mark.parametrize("stop", ["PowerPathClosed", "EVConnected"])
def test_whoever_declines_the_tariff_is_billed_nothing(stop: str) -> None:
    shop = shop_with(ENERGY | {"fixedFee": {"prices": [{"priceFixed": 3}]}})
    station = shop.station("2.1", EvseConfig(), stop_point=stop, sample_interval="60")
    charge(shop, station, 5)
    [running] = shop.sessions()
    assert running.bill is not None and running.bill.amount is not None and running.bill.amount > 3
    assert station.costs.declined(1)
    shop.run(300)
    station.unplug(1)
    shop.run(20)
    [session] = shop.sessions()
    assert session.status == "ended" and session.bill is None
    assert len(shop.facts(SessionTariffDeclined)) == 1 and shop.facts(SessionCostDiffered) == []
    folded = [one for one in fold(list(shop.store._entries)) if isinstance(one, Session)]
    assert [one.bill for one in folded] == [None]


def test_the_next_price_is_told_before_it_comes_and_the_meter_is_read_when_it_does() -> None:
    """California's messages to a 1.6 station that samples nothing by itself. It is 16:40."""
    evening = {"priceKwh": 1, "conditions": {"startTimeOfDay": "17:00", "endTimeOfDay": "18:00"}}
    much = {"priceKwh": 3, "conditions": {"minEnergy": 2000}}
    fast = {"priceKwh": 9, "conditions": {"minPower": 50_000}}
    prices = [fast, evening, much, {"priceKwh": 0.5}]
    shop = shop_with({"energy": {"prices": prices}, "idleTime": {"prices": [{"priceMinute": 0.1}]}})
    station = shop.station("1.6", EvseConfig(), cost_display="true", sample_interval="0")
    charge(shop, station, 1)
    [running] = shop.sessions()
    told = california.running_cost(running, "2026-03-27T16:42:00Z").data
    idle = {"graceMinutes": 0, "hourPrice": D("6.00")}
    assert (told["chargingPrice"], told["idlePrice"]) == ({"kWhPrice": D("0.50")}, idle)
    following = told["nextPeriod"]
    assert from_rfc3339(following.pop("atTime")) == FIVE
    assert following == {"chargingPrice": {"kWhPrice": D("1.00")}, "idlePrice": idle}
    trigger = told["triggerMeterValue"]
    assert from_rfc3339(trigger.pop("atTime")) == FIVE
    assert trigger == {"atEnergykWh": 2, "atPowerkW": 50, "atCPStatus": ["Charging", "SuspendedEV", "SuspendedEVSE"]}
    shop.run(25 * 60)
    read = [(fact.register_wh, fact.register_time) for fact in shop.facts(SessionUpdated) if fact.register_wh]
    assert len([wh for wh, _ in read if 2000 <= wh <= 2010]) == 1
    [at_five] = [wh for wh, time in read if time is not None and abs(time - FIVE) <= 1000]
    [running] = shop.sessions()
    assert "nextPeriod" in california.running_cost(running, "2026-03-27T17:06:00Z").data, "18:00"
    session = leave(shop, station)
    assert session.bill is not None and session.bill.amount is not None
    exact = D(2000) / 2 + D(at_five - 2000) * 3 + D(session.energy_wh - at_five)
    assert abs(session.bill.amount - exact / 1000) < D("0.05")


@pytest.mark.parametrize(("most", "asked"), [(None, [6]), (4, [4, 2])])
def test_a_station_is_asked_for_no_more_at_once_than_it_takes(
    monkeypatch: pytest.MonkeyPatch, most: int | None, asked: list[int]
) -> None:
    shop = shop_with(ENERGY)
    station = shop.station("2.1", EvseConfig())
    actor = shop.csms.actor(StationKey(DEFAULT_TENANT, "CS-1"))
    if most is not None:
        actor.known().station.batches = {"GetVariables": most}
    shop.ask("ClearTariffs", {})
    sizes: list[int] = []
    real = Outbox.ask

    def ask(self: Outbox, action: str, payload: bytes, **more: Any) -> None:
        if action == "GetVariables" and b"TariffCostCtrlr" in payload:
            sizes.append(len(msgspec.json.decode(payload)["getVariableData"]))
        real(self, action, payload, **more)

    monkeypatch.setattr(Outbox, "ask", ask)
    station.power_off()
    shop.run(30)
    station.power_on()
    shop.run(60)
    assert sizes == asked
    assert shop.held() == {0: ["t.1.0"]}, "and then it is given its tariffs"
