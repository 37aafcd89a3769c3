"""What the standard asks of a station that works out the cost, rule by rule (2.1 I07 to I12), and what drivers see of
price and cost (I01 to I06)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.station.tariff_kit import ENERGY, ask, charge, events, install, ready, stop, tariff

from pilotwire.core.time import to_datetime
from pilotwire.protocols.ocpp.rpc.errors import RpcError

D = Decimal
DEFAULT, DRIVER = "DefaultTariff", "DriverTariff"


def flat(price, **more):
    return {"energy": {"prices": [{"priceKwh": price}]}, **more}


def at(world, seconds):
    return to_datetime(world.scheduler.now() + seconds * 1000).isoformat()


def rows(world, evse=0):
    """(id, kind, EVSEs, tokens, validFrom) of GetTariffs."""
    answer = ask(world, "GetTariffs", evse_id=evse)
    if answer.status == "NoTariff":
        assert answer.tariff_assignments is None
        return []
    assert answer.status == "Accepted"
    return [(r.tariff_id, r.tariff_kind, r.evse_ids, r.id_tokens, r.valid_from) for r in answer.tariff_assignments]


def ids(world, evse=0):
    return [row[0] for row in rows(world, evse)]


def clear(world, **fields):
    found = ask(world, "ClearTariffs", **fields).clear_tariffs_result
    return [(row.tariff_id, row.status) for row in found]


def with_driver(world, id_="DRIVER", token="AA11", **parts):
    """The CSMS names a tariff for one token."""
    m = world.csms.messages

    def authorize(request):
        given = tariff(world, id_, **(parts or flat(1))) if request.id_token.id_token == token else None
        return m.AuthorizeResponse(id_token_info=m.IdTokenInfoType(status="Accepted"), tariff=given)

    world.csms.scripts["Authorize"] = authorize


def used(world):
    """The tariff that each transaction was told to have."""
    found = {}
    for event in events(world):
        info = event.transaction_info
        if info.tariff_id is not None:
            found.setdefault(info.transaction_id, []).append(info.tariff_id)
    return list(found.values())


# ── which tariff there is, and when ──────────────────────────────────────────────────────────────────────────────────


def test_a_tariff_holds_from_its_instant_on_and_replaces_what_it_is_to_replace(make_world):
    world = ready(make_world, settings={"time_zone": "Europe/Berlin"})
    install(world, "A", 1)
    install(world, "B", 1, validFrom=at(world, 600), **flat(2))
    install(world, "C", 1, validFrom=at(world, 1200), **flat(3))
    assert ids(world, 1) == ["A", "B", "C"]
    assert world.station.tariffs.default(1).tariff_id == "A"  # validFrom is no local time
    charge(world, 9)
    world.run(120)
    assert ids(world, 1) == ["B", "C"]
    assert world.station.tariffs.default(1).tariff_id == "B"
    assert {p.tariff_id for p in stop(world).cost_details.charging_periods} == {"A"}, "until the session has ended"
    world.station.tap(1, "AA11")
    world.run(5)
    assert used(world)[-1] == ["B"]
    world.run(600)
    assert ids(world, 1) == ["C"]
    stop(world)
    # One that is to begin later stays when another is installed that holds before it.
    install(world, "E", 1, validFrom=at(world, 900), **flat(5))
    install(world, "D", 1, validFrom=at(world, 300), **flat(4))
    assert ids(world, 1) == ["C", "E", "D"]
    world.run(310)
    assert sorted(ids(world, 1)) == ["D", "E"]
    install(world, "F", 1, **flat(6))
    assert sorted(ids(world, 1)) == ["E", "F"], "without validFrom it replaces at once"
    install(world, "G", 1, **flat(7))
    assert sorted(ids(world, 1)) == ["E", "G"]


def test_a_default_tariff_is_shown_and_used(make_world):
    text = [{"format": "UTF8", "content": "40 ct", "language": "en"}, {"format": "UTF8", "content": "40 Cent",
             "language": "de"}]  # fmt: skip
    world = ready(make_world)
    install(world, "A", 2, **flat(0.4), description=text)
    assert (world.station.tariffs.shown(2), world.station.tariffs.shown(2, "de")) == ("40 ct", "40 Cent")
    assert world.station.tariffs.shown(1) == ""
    charge(world, 5, evse=2, kind="sedan three-phase 11 kW 400 V")
    assert used(world) == [["A"]]
    ended = stop(world, 2)
    energy = ended.cost_details.total_usage.energy
    assert ended.cost_details.total_cost.total.excl_tax == (energy * D("0.4") / 1000).quantize(D("0.01")) > 0
    charge(world, 5)
    assert stop(world).cost_details is None, "EVSE 1 has none"


@pytest.mark.parametrize("action", ["SetDefaultTariff", "ChangeTransactionTariff"])
def test_what_a_tariff_may_not_be(make_world, action):
    world = ready(make_world, settings={"tariff_elements": "2", "tariff_conditions": "false"})
    charge(world, 1)
    key = world.station.evses[0].session.key

    def given(**parts):
        more = {"evse_id": 1} if action == "SetDefaultTariff" else {"transaction_id": key}
        answer = ask(world, action, tariff=tariff(world, "X", **parts), **more)
        return answer.status, answer.status_info and answer.status_info.reason_code

    price = {"priceMinute": 1}
    assert given(idleTime={"prices": [price, price, price]}) == ("TooManyElements", "TooManyElements")
    fixed = {"prices": [{"priceFixed": 1, "conditions": {"evseKind": "AC"}}]}
    assert given(**flat(1), fixedFee=fixed) == ("ConditionNotSupported", "UnsupportedParam")
    assert given(energy={"prices": [{"priceKwh": -1}]}) == ("Rejected", "InvalidValue")
    assert given(**flat(1)) == ("Accepted", None)
    for setting in ("tariff_enabled", "cost_enabled"):
        off = ready(make_world, settings={setting: "false"})
        more = {"evse_id": 1} if action == "SetDefaultTariff" else {"transaction_id": "x"}
        refused = ask(off, action, tariff=tariff(off), **more)
        assert isinstance(refused, RpcError)
        assert refused.code == "NotSupported"


def test_an_evse_that_there_is_not_and_an_id_that_there_is(make_world):
    world = ready(make_world)
    answer = ask(world, "SetDefaultTariff", evse_id=3, tariff=tariff(world))
    assert (answer.status, answer.status_info.reason_code) == ("Rejected", "UnknownEvse")
    assert install(world, "A", 1) == "Accepted"
    assert install(world, "A", 2, **flat(9)) == "DuplicateTariffId"
    with_driver(world)
    charge(world, 1)
    assert install(world, "DRIVER", 2) == "DuplicateTariffId"
    assert rows(world, 2) == []


def test_what_is_cleared_and_what_not(make_world):
    world = ready(make_world)
    assert clear(world) == [(None, "NoTariff")]
    install(world, "A", 1)
    install(world, "B", 2, **flat(2))
    install(world, "C", 2, validFrom=at(world, 9000), **flat(3))
    assert clear(world, tariff_ids=["X"]) == [(None, "NoTariff")]
    assert clear(world, tariff_ids=["A"], evse_id=2) == [(None, "NoTariff")]
    assert clear(world, tariff_ids=["A", "C", "X"], evse_id=2) == [("C", "Accepted")]
    assert ids(world) == ["A", "B"]
    assert clear(world, evse_id=2) == [("B", "Accepted")]
    assert ids(world) == ["A"]
    install(world, "D", 2, **flat(2))
    charge(world, 3)
    assert clear(world, tariff_ids=["A"]) == [("A", "Accepted")]
    install(world, "E", 1, **flat(9))
    assert sorted(clear(world)) == [("D", "Accepted"), ("E", "Accepted")]
    assert rows(world) == []
    world.run(120)
    ended = stop(world)
    assert {p.tariff_id for p in ended.cost_details.charging_periods} == {"A"}, "a session goes on with it"


def test_assignments_say_where_and_whose(make_world):
    world = ready(make_world)
    assert ask(world, "GetTariffs", evse_id=0).status == "NoTariff"
    later = at(world, 7200)
    install(world, "A", 0)
    install(world, "B", 2, validFrom=later, **flat(2))
    with_driver(world, fixedFee={"prices": [{"priceFixed": 1}]})
    world.station.tap(2, "AA11")
    world.run(5)
    a = ("A", DEFAULT, [1, 2], None, None)
    b = ("B", DEFAULT, [2], None)
    assert [r[:4] for r in rows(world)] == [a[:4], b, ("DRIVER", DRIVER, None, ["AA11"])]
    assert next(r[4] for r in rows(world) if r[0] == "B").isoformat() == later
    world.station.plug(1, world.car())
    world.station.tap(1, "CC33")
    world.station.plug(2, world.car("sedan three-phase 11 kW 400 V"))
    world.run(60)
    assert ("DRIVER", DRIVER, [2], ["AA11"], None) in rows(world)
    assert ids(world, 1) == ["A"] and sorted(ids(world, 2)) == ["A", "B", "DRIVER"]
    # One that was changed for a transaction is its driver's.
    key = world.station.evses[0].session.key
    changed = tariff(world, "CHANGED", **flat(3))
    assert ask(world, "ChangeTransactionTariff", transaction_id=key, tariff=changed).status == "Accepted"
    assert ("CHANGED", DRIVER, [1], ["CC33"], None) in rows(world, 1)
    stop(world, 1, "CC33")
    assert ids(world, 1) == ["A"]
    assert clear(world, tariff_ids=["DRIVER"]) == [(None, "NoTariff")], "it goes with its session, and not before"


# ── drivers' tariffs ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_drivers_tariff_is_for_one_session_and_without_a_beginning(make_world):
    world = ready(make_world, settings={"connection_timeout": "60"})
    install(world, "A")
    with_driver(world, validFrom="2030-01-01T00:00:00Z", fixedFee={"prices": [{"priceFixed": 3}]})
    charge(world, 2)
    assert used(world) == [["DRIVER"]], "told once"
    assert stop(world).cost_details.total_cost.total.incl_tax == 3
    m = world.csms.messages
    card = m.IdTokenType(id_token="AA11", type="ISO14443")
    assert ask(world, "RequestStartTransaction", remote_start_id=1, id_token=card, evse_id=1).status == "Accepted"
    world.run(30)
    assert used(world)[-1] == ["A"], "nobody has named a tariff for this one"
    stop(world)
    assert ids(world) == ["A"]
    # In use from the answer on until nobody has plugged in.
    world.station.tap(2, "AA11")
    world.run(30)
    assert ids(world) == ["A", "DRIVER"]
    world.run(40)
    assert ids(world) == ["A"]
    # Two sessions of one driver: it goes with the second.
    charge(world, 1, evse=2, kind="sedan three-phase 11 kW 400 V")
    world.station.unplug(1)
    charge(world, 1)
    stop(world, 1)
    assert "DRIVER" in ids(world)
    stop(world, 2)
    assert ids(world) == ["A"]


def test_the_cache_keeps_a_drivers_tariff_beside_its_token(make_world):
    world = ready(make_world, settings={"local_preauthorize": "true"})
    install(world, "A")
    with_driver(world)
    charge(world, 1)
    stop(world)
    world.station.power_off()
    world.run(1)
    world.station = world.build()
    world.station.power_on()
    world.run(10)
    world.station.plug(1, world.car())
    world.station.tap(1, "aa11")
    world.run(5)
    assert len(world.csms.heard("Authorize")) == 1, "nobody was asked again"
    assert len(events(world, "Started")) == 2
    assert used(world)[-1] == ["DRIVER"]
    stop(world, 1, "aa11")
    assert ids(world) == ["A"]
    ask(world, "ClearCache")
    world.csms.scripts.clear()
    world.station.tap(1, "AA11")
    world.run(5)
    assert used(world)[-1] == ["A"], "with the cache it is gone"


def problems(world):
    """What the station tells of TariffCostCtrlr.Problem by itself."""
    return [
        (row.trigger, row.event_notification_type, row.actual_value, row.tech_code)
        for request in world.csms.heard("NotifyEvent")
        for row in request.event_data
        if (row.component.name, row.variable.name) == ("TariffCostCtrlr", "Problem")
    ]


@pytest.mark.parametrize(("rule", "tariffs"), [("Deauthorize", []), ("UseDefaultTariff", [["A"]]), ("CentralCost", [])])
def test_what_becomes_of_a_tariff_that_cannot_be_followed(make_world, rule, tariffs):
    world = ready(make_world, settings={"tariff_failed": rule, "local_preauthorize": "true", "tariff_elements": "2"})
    install(world, "A")
    price = {"priceKwh": 1}
    with_driver(world, energy={"prices": [price, price, price]})
    hard_wired = ("Alerting", "HardWiredNotification")
    charge(world, 2)
    assert world.station.settings.flag("tariff_problem")
    assert problems(world) == [(*hard_wired, "true", "TooManyElements")]
    assert used(world) == tariffs
    assert bool(events(world)) is (rule != "Deauthorize")
    assert (world.station.evses[0].meter.power_mw > 0) is (rule != "Deauthorize")
    if events(world):
        assert (stop(world).cost_details is None) is (rule == "CentralCost")
    # The next time it is asked again; another one that can be followed ends the problem.
    if rule != "UseDefaultTariff":
        with_driver(world, **flat(2))
        world.station.tap(1, "AA11")
        world.run(5)
        assert used(world)[-1] == ["DRIVER"]
        assert not world.station.settings.flag("tariff_problem")
        assert problems(world)[1:] == [(*hard_wired, "false", None)]


def test_where_a_monitor_tells_of_the_problem_the_station_does_not(make_world):
    world = ready(make_world)
    m = world.csms.messages
    answer = ask(
        world,
        "SetVariableMonitoring",
        set_monitoring_data=[
            m.SetMonitoringDataType(
                value=D(1),
                type="Delta",
                severity=5,
                component=m.ComponentType(name="TariffCostCtrlr"),
                variable=m.VariableType(name="Problem"),
            )
        ],
    )
    assert answer.set_monitoring_result[0].status == "Accepted"
    with_driver(world, energy={"prices": [{"priceKwh": -1}]})
    charge(world, 1)
    world.run(5)
    assert [(trigger, kind, value) for trigger, kind, value, _ in problems(world)] == [
        ("Delta", "CustomMonitor", "true")
    ]


@pytest.mark.parametrize("drivers", [False, True])
def test_a_driver_who_does_not_want_the_tariff_is_not_charged(make_world, drivers):
    world = ready(make_world)
    install(world, "A", fixedFee={"prices": [{"priceFixed": 3}]})
    if drivers:
        with_driver(world)
    world.station.tap(1, "AA11")
    world.run(5)
    assert world.station.costs.declined(1)
    world.station.plug(1, world.car())
    world.run(60)
    assert not events(world), "nobody is let in any more"
    world.station.tap(1, "AA11")
    world.run(60)
    assert used(world) == [["DRIVER" if drivers else "A"]]
    assert world.station.costs.declined(1)
    world.run(5)
    ended = events(world)[-1]
    assert (ended.trigger_reason, ended.transaction_info.stopped_reason) == ("TariffNotAccepted", "DeAuthorized")
    assert ended.cost_details is None and ended.transaction_info.tariff_id is None
    assert world.station.evses[0].meter.power_mw == 0 and world.station.truth[-1].cost is None
    assert not world.station.costs.declined(1)


@pytest.mark.parametrize("drivers", [False, True])
def test_a_transaction_that_begins_before_its_driver_is_known(make_world, drivers):
    points = {"start_point": "EVConnected", "stop_point": "EVConnected", "sample_interval": "0"}
    world = ready(make_world, settings=points | {"running_cost": "true", "cost_interval": "60"})
    fee = {"fixedFee": {"prices": [{"priceFixed": 3}]}, "idleTime": {"prices": [{"priceMinute": 1}]}}
    install(world, "A", **fee)
    if drivers:
        with_driver(world, idleTime={"prices": [{"priceMinute": 2}]}, fixedFee={"prices": [{"priceFixed": 5}]})
    world.station.plug(1, world.car())
    world.run(600)
    assert [e.event_type for e in events(world)] == ["Started"] and used(world) == []
    world.station.tap(1, "AA11")
    world.run(300)
    assert used(world) == [["DRIVER" if drivers else "A"]]
    assert len([e for e in events(world) if e.trigger_reason == "RunningCost"]) in (4, 5)
    world.station.unplug(1)
    world.run(5)
    details = events(world, "Ended")[-1].cost_details
    assert details.total_cost.fixed.excl_tax == (5 if drivers else 3)
    assert details.total_usage.idle_time < 10, "nobody pays for the time before"
    assert details.total_usage.energy == world.station.truth[-1].energy_wh


def test_a_declined_tariff_stops_the_energy_where_the_transaction_goes_on(make_world):
    world = ready(make_world, settings={"stop_point": "EVConnected", "sample_interval": "0"})
    install(world, "A")
    charge(world, 5)
    assert world.station.costs.declined(1)
    world.run(60)
    last = events(world)[-1]
    assert (last.event_type, last.trigger_reason) == ("Updated", "TariffNotAccepted")
    assert world.station.evses[0].meter.power_mw == 0
    world.station.unplug(1)
    world.run(5)
    ended = events(world, "Ended")[-1]
    assert ended.cost_details is None and world.station.truth[-1].cost is None


# ── another tariff on the way ────────────────────────────────────────────────────────────────────────────────────────


def test_a_changed_tariff_counts_from_then_on(make_world):
    world = ready(make_world)
    install(world, "A", **flat(1))
    charge(world, 10)
    key = world.station.evses[0].session.key

    def change(**fields):
        return ask(world, "ChangeTransactionTariff", **fields).status

    assert change(transaction_id="nope", tariff=tariff(world, "B", **flat(3))) == "TxNotFound"
    assert change(transaction_id=key, tariff=tariff(world, "B", currency="USD", **flat(3))) == "NoCurrencyChange"
    assert change(transaction_id=key, tariff=tariff(world, "B", **flat(3))) == "Accepted"
    told = events(world)[-1]
    assert (told.trigger_reason, told.transaction_info.tariff_id) == ("TariffChanged", "B")
    [value] = [
        row.value for row in told.meter_value[0].sampled_value if row.measurand == "Energy.Active.Import.Register"
    ]
    world.run(600)
    details = stop(world).cost_details
    first, second = details.charging_periods
    begin = events(world, "Started")[0].meter_value[0].sampled_value[0].value
    assert (first.tariff_id, first.dimensions[0].volume) == ("A", value - begin)
    cost = first.dimensions[0].volume / 1000 + second.dimensions[0].volume * 3 / 1000
    assert details.total_cost.total.excl_tax == cost.quantize(D("0.01"))
    assert change(transaction_id=key, tariff=tariff(world, "C", **flat(1))) == "TxNotFound", "it is over"
    # A session without a tariff gets one from here on.
    clear(world)
    world.station.tap(1, "AA11")
    world.run(300)
    assert change(transaction_id=world.station.evses[0].session.key, tariff=tariff(world, "D", **flat(5))) == "Accepted"
    world.run(300)
    late = stop(world).cost_details
    assert [p.tariff_id for p in late.charging_periods] == ["D"]
    assert late.total_usage.energy < world.station.truth[-1].energy_wh


# ── what it costs ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_part_of_the_cost_is_in_its_place(make_world):
    world = ready(make_world)
    taxes = [{"type": "energy", "tax": 5}, {"type": "VAT", "tax": 20, "stack": 1}]
    install(
        world,
        "A",
        energy={"prices": [{"priceKwh": 0.5}], "taxRates": taxes},
        chargingTime={"prices": [{"priceMinute": 0.06}]},
        idleTime={"prices": [{"priceMinute": 0.12}]},
        fixedFee={
            "prices": [{"priceFixed": 2, "conditions": {"evseKind": "DC"}}, {"priceFixed": 1}, {"priceFixed": 4}]
        },
    )
    charge(world, 20)
    world.station.evses[0].session.held = True
    world.station.touch(1)
    world.run(600)
    ended = stop(world)
    details = ended.cost_details
    cost, usage = details.total_cost, details.total_usage
    minutes = (ended.timestamp - events(world, "Started")[0].timestamp).total_seconds() / 60
    assert 1195 <= usage.charging_time <= 1200 and 600 <= usage.idle_time <= 612
    assert abs(usage.charging_time + usage.idle_time - 60 * minutes) < 1.5
    assert usage.energy == world.station.truth[-1].energy_wh
    cents = D("0.01")
    assert cost.energy.excl_tax == (usage.energy * D("0.0005")).quantize(cents)
    assert cost.energy.incl_tax == (usage.energy * D("0.0005") * D("1.05") * D("1.2")).quantize(cents)
    assert [(rate.tax, rate.stack or 0) for rate in cost.energy.tax_rates] == [(5, 0), (20, 1)]
    assert abs(cost.charging_time.excl_tax - usage.charging_time * D("0.001")) <= cents
    assert abs(cost.idle_time.excl_tax - usage.idle_time * D("0.002")) <= cents
    assert cost.fixed.excl_tax == 1, "the first one that holds, once"
    parts = (cost.fixed, cost.energy, cost.charging_time, cost.idle_time)
    assert cost.total.excl_tax == sum(part.excl_tax for part in parts)
    assert cost.total.incl_tax == sum(part.incl_tax for part in parts)
    assert (cost.currency, cost.type_of_cost, details.failure_to_calculate) == ("EUR", "NormalCost", None)
    assert {p.tariff_id for p in details.charging_periods} == {"A"}


def test_an_end_has_the_cost_of_all_of_it_and_a_running_cost_has_no_periods(make_world):
    world = ready(make_world, settings={"running_cost": "true", "cost_interval": "120", "sample_interval": "300"})
    install(world, "A", **flat(1))
    charge(world, 10.1)
    ended = stop(world)
    with_cost = [e for e in events(world) if e.cost_details]
    running = [e for e in with_cost if e.trigger_reason == "RunningCost"]
    started = events(world, "Started")[0]
    assert with_cost == [started, *running, ended]
    assert [round((e.timestamp - started.timestamp).total_seconds()) for e in running] == [120, 240, 360, 480, 600]
    assert all(e.cost_details.charging_periods is None for e in with_cost[:-1])
    assert ended.cost_details.total_usage.energy == world.station.truth[-1].energy_wh, "to the last Wh"
    assert ended.cost_details.charging_periods
    quiet = ready(make_world)
    install(quiet, "A", **flat(1))
    charge(quiet, 10)
    last = stop(quiet)
    assert [e for e in events(quiet) if e.cost_details] == [last]


def test_periods_are_cut_where_another_price_is_used(make_world):
    world = ready(make_world, settings={"time_zone": "America/New_York"})
    # 00:00 in UTC is 19:00 there.
    late = {"priceKwh": 2, "conditions": {"startTimeOfDay": "19:10", "endTimeOfDay": "19:20"}}
    large = {"priceKwh": 3, "conditions": {"minEnergy": 4000}}
    install(world, "A", energy={"prices": [late, large, {"priceKwh": 1}]})
    begun = world.scheduler.now()
    charge(world, 40)
    details = stop(world).cost_details
    _, second, third, fourth = details.charging_periods
    assert [round((p.start_period - to_datetime(begun)).total_seconds() / 60) for p in (second, third)] == [10, 20]
    volumes = [p.dimensions[0].volume for p in details.charging_periods]
    assert {p.dimensions[0].type for p in details.charging_periods} == {"Energy"}
    assert abs(sum(volumes[:3]) - 4000) < 2 and sum(volumes) == details.total_usage.energy
    exact = sum(volume * price for volume, price in zip(volumes, (1, 2, 1, 3), strict=True)) / 1000
    assert details.total_cost.energy.excl_tax == exact.quantize(D("0.01"))
    assert third.start_period < fourth.start_period


@pytest.mark.parametrize("interval", [0, 120])
def test_power_that_has_another_price_is_told_at_once_or_in_its_interval(make_world, interval):
    world = ready(make_world, settings={"tariff_interval": str(interval), "sample_interval": "3600"})
    install(world, "A", energy={"prices": [{"priceKwh": 2, "conditions": {"minPower": 8000}}, {"priceKwh": 1}]})
    charge(world, 10)
    m = world.csms.messages
    limit = m.ChargingScheduleType(
        id=1,
        charging_rate_unit="A",
        charging_schedule_period=[m.ChargingSchedulePeriodType(start_period=0, limit=D(8))],
    )
    profile = m.ChargingProfileType(
        id=1,
        stack_level=1,
        charging_profile_purpose="TxDefaultProfile",
        charging_profile_kind="Relative",
        charging_schedule=[limit],
    )
    at_limit = world.scheduler.now()
    assert ask(world, "SetChargingProfile", evse_id=1, charging_profile=profile).status == "Accepted"
    world.run(600)
    told = [e for e in events(world) if e.trigger_reason == "ChargingRateChanged"]
    assert len(told) == 2, "as it came above, and as it fell below"
    waited = (told[-1].timestamp - to_datetime(at_limit)).total_seconds()
    assert waited < 2 if interval == 0 else 118 < waited < 123
    details = stop(world).cost_details
    volumes = {}
    for period in details.charging_periods:
        dimensions = {one.type: one.volume for one in period.dimensions}
        price = 2 if dimensions["MinPower"] >= 8000 else 1
        volumes[price] = volumes.get(price, 0) + dimensions["Energy"]
    assert abs(volumes[2] - 1830) < 60 + interval * 2 and abs(volumes[1] - 920) < 60 + interval * 2
    exact = (volumes[2] * 2 + volumes[1]) / 1000
    assert details.total_cost.energy.excl_tax == exact.quantize(D("0.01"))


def test_a_minimum_and_a_maximum(make_world):
    world = ready(make_world)
    install(world, "A", 1, **flat(1), minCost={"exclTax": 50, "taxRates": [{"type": "VAT", "tax": 10}]})
    charge(world, 5)
    details = stop(world).cost_details
    cost = details.total_cost
    assert (cost.type_of_cost, cost.currency, cost.energy) == ("MinCost", "EUR", None)
    assert (cost.fixed.excl_tax, cost.fixed.incl_tax, cost.total.incl_tax) == (50, 55, 55)
    assert details.total_usage.energy > 800 and details.charging_periods
    clear(world)
    install(world, "B", 1, **flat(1), maxCost={"exclTax": 0.5})
    world.station.tap(1, "AA11")
    world.run(600)
    capped = stop(world).cost_details
    assert (capped.total_cost.type_of_cost, capped.total_cost.total.excl_tax) == ("MaxCost", D("0.5"))
    assert capped.total_usage.energy > 1700
    assert sum(p.dimensions[0].volume for p in capped.charging_periods) == capped.total_usage.energy


@pytest.mark.parametrize("group", [None, "FLEET"])
def test_a_reservation_is_paid_at_the_start(make_world, group):
    world = ready(make_world)
    m = world.csms.messages
    world.csms.group = group
    install(
        world,
        "A",
        reservationTime={"prices": [{"priceMinute": 0.1}]},
        reservationFixed={"prices": [{"priceFixed": 2}]},
        **flat(0),
    )
    answer = ask(
        world,
        "ReserveNow",
        id=7,
        expiry_date_time=to_datetime(world.scheduler.now()) + timedelta(hours=1),
        id_token=m.IdTokenType(id_token="AA11" if group is None else "OTHER", type="ISO14443"),
        evse_id=1,
        group_id_token=None if group is None else m.IdTokenType(id_token=group, type="Central"),
    )
    assert answer.status == "Accepted"
    world.run(600)
    charge(world, 5)
    assert events(world, "Started")[0].reservation_id == 7
    details = stop(world).cost_details
    assert 600 <= details.total_usage.reservation_time <= 605
    assert details.total_cost.reservation_time.excl_tax == D("1.00")
    assert details.total_cost.reservation_fixed.excl_tax == 2
    assert details.total_cost.total.excl_tax == D("3.00")
    world.station.tap(1, "AA11")
    world.run(60)
    free = stop(world).cost_details
    assert (free.total_cost.total.excl_tax, free.total_usage.reservation_time) == (0, None)
    assert free.total_cost.reservation_fixed is None


def test_cost_that_cannot_be_worked_out_is_said_so(make_world):
    world = ready(make_world, settings={name: "Voltage" for name in ("started", "sampled", "ended")})
    install(world, "A", **flat(1), fixedFee={"prices": [{"priceFixed": 3}]})
    charge(world, 5)
    ended = stop(world)
    assert ended.cost_details.failure_to_calculate is True
    assert "meter" in ended.cost_details.failure_reason
    assert ended.cost_details.total_cost.fixed.excl_tax == 3, "what it knows it says"
    assert world.station.settings.flag("tariff_problem")
    told = ("Alerting", "HardWiredNotification")
    assert problems(world) == [(*told, "true", "InternalError")]
    register = {"variable": "sampled", "value": "Energy.Active.Import.Register"}
    m = world.csms.messages
    for name in ("TxStartedMeasurands", "TxUpdatedMeasurands", "TxEndedMeasurands"):
        wanted = m.SetVariableDataType(
            component=m.ComponentType(name="SampledDataCtrlr"),
            variable=m.VariableType(name=name),
            attribute_value=register["value"],
        )
        assert (
            ask(world, "SetVariables", set_variable_data=[wanted]).set_variable_result[0].attribute_status == "Accepted"
        )
    world.station.tap(1, "AA11")
    world.run(300)
    assert stop(world).cost_details.failure_to_calculate is None
    assert not world.station.settings.flag("tariff_problem")
    assert problems(world)[1:] == [(*told, "false", None)]


# ── what drivers see ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_what_the_csms_says_of_the_price_is_shown(make_world, version):
    fallback = {"tariff_fallback": "ask the desk", "offline_tariff_fallback": "see the sign"}
    world = ready(make_world, version, settings=fallback)
    m = world.csms.messages
    shown = world.station.tariffs.shown
    assert shown(1) == "ask the desk", "nobody is there"

    def text(content):
        return m.MessageContentType(format="UTF8", content=content, language="en")

    world.csms.scripts["Authorize"] = lambda request: m.AuthorizeResponse(
        id_token_info=m.IdTokenInfoType(
            status="Accepted", personal_message=text("40 ct") if request.id_token.id_token == "AA11" else None
        )
    )
    world.station.tap(1, "AA11")
    world.run(2)
    assert shown(1) == "40 ct", "before the cable is in"
    world.station.plug(1, world.car())
    more = {"updated_personal_message_extra": [m.MessageContentType(format="UTF8", content="50 Cent", language="de")]}
    world.csms.scripts["TransactionEvent"] = lambda request: m.TransactionEventResponse(
        updated_personal_message=text("50 ct") if request.event_type == "Updated" else None,
        **(more if version == "2.1" and request.event_type == "Updated" else {}),
    )
    world.run(120)
    assert shown(1) == "50 ct"
    if version == "2.1":
        assert shown(1, "de") == "50 Cent"
    assert shown(2) == "ask the desk"
    world.csms.scripts.clear()
    world.station.plug(2, world.car("sedan three-phase 11 kW 400 V"))
    world.station.tap(2, "BB22")
    world.run(5)
    assert world.station.evses[1].session is not None
    world.offline()
    world.run(5)
    assert shown(2) == ("ask the desk" if version == "2.0.1" else "see the sign")


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_the_cost_that_the_csms_says_is_shown(make_world, version):
    world = ready(make_world, version, settings={"total_cost_fallback": "the bill comes by mail"})
    m = world.csms.messages
    shown = world.station.costs.shown
    assert shown(1) == ""
    charge(world, 1)
    key = world.station.evses[0].session.key
    answer = ask(world, "CostUpdated", transaction_id=key, total_cost=D("1.25"))
    assert type(answer).__name__ == "CostUpdatedResponse"
    assert shown(1) == "1.25 EUR"
    costs = {"Updated": D("1.5"), "Ended": D("2.75")}
    world.csms.scripts["TransactionEvent"] = lambda request: m.TransactionEventResponse(
        total_cost=costs.get(request.event_type)
    )
    world.run(120)
    assert shown(1) == "1.50 EUR"
    stop(world)
    assert events(world, "Ended")
    assert shown(1) == "2.75 EUR"
    world.station.unplug(1)
    world.run(2)
    assert shown(1) == "", "the driver has left"
    charge(world, 1)
    world.offline()
    world.run(1)
    world.station.tap(1, "AA11")
    world.run(5)
    assert shown(1) == "the bill comes by mail"
    world.online()
    world.run(300)
    assert shown(1) == "the bill comes by mail", "what comes after that is seen by nobody"


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_a_total_that_comes_when_the_bay_is_empty_is_not_shown(make_world, version):
    world = ready(make_world, version, settings={"stop_point": "ParkingBayOccupancy"})
    m = world.csms.messages
    world.csms.scripts["TransactionEvent"] = lambda request: m.TransactionEventResponse(
        total_cost=D("2.75") if request.event_type == "Ended" else D("1.5")
    )
    world.station.arrive(1)
    charge(world, 5)
    assert world.station.costs.shown(1) == "1.50 EUR"
    world.station.unplug(1)
    world.station.leave(1)
    world.run(5)
    assert events(world, "Ended")
    assert world.station.truth[-1].cost == D("2.75")
    assert world.station.costs.shown(1) == ""


def test_the_cost_that_the_station_works_out_is_shown(make_world):
    world = ready(make_world, settings={"total_cost_fallback": "the bill comes by mail"})
    install(world, "A", **{"energy": ENERGY})
    charge(world, 10)
    world.offline()
    world.run(60)
    assert world.station.costs.shown(1).endswith(" EUR")
    world.station.tap(1, "AA11")
    world.run(5)
    assert world.station.costs.shown(1) == f"{world.station.truth[-1].cost} EUR"
