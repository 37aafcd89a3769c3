"""Tariffs that a station holds, the cost that it works out, limits that stop its energy (I07 to I12, E16)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.station.tariff_kit import ENERGY, FULL, ask, charge, events, install, ready, stop, tariff

from pilotwire.core.time import from_datetime, to_datetime
from pilotwire.domain.tariffs import course, details, model
from pilotwire.domain.tariffs.costing import Mark, begin
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.station.costs import Limit


def reckoned(world, given, *, zone="", kind="AC"):
    """The cost as somebody works it out who has nothing but the events."""
    costing = None
    for event in events(world):
        registers, power = [], None
        for value in event.meter_value or ():
            for row in value.sampled_value:
                if row.measurand == "Energy.Active.Import.Register":
                    registers.append((from_datetime(value.timestamp), int(row.value)))
                elif row.measurand == "Power.Active.Import" and row.phase is None:
                    power = int(row.value * 1000 + 500) // 1000
        time = from_datetime(event.timestamp)
        if costing is None:
            costing = begin(given, Mark(time, registers[0][1]), zone=zone, evse_kind=kind)
        course.step(costing, time, event.transaction_info.charging_state or "", registers, power)
        if event.event_type == "Ended":
            costing.finish(time)
    return details.of(costing, ended=True)


@pytest.mark.parametrize(("evse", "kind", "vehicle"), [(1, "AC", None), (2, "DC", "any")])
def test_the_station_and_who_hears_its_events_agree_to_the_cent(make_world, evse, kind, vehicle):
    world = ready(make_world, settings={"time_zone": "Europe/Berlin", "sample_interval": "47"})
    assert install(world, **FULL) == "Accepted"
    name = "compact three-phase 11 kW" if vehicle is None else "sedan three-phase 11 kW 400 V"
    charge(world, 43, evse=evse, kind=name)
    ended = stop(world, evse)
    wanted = reckoned(world, _domain(world, FULL), zone="Europe/Berlin", kind=kind)
    cost = ended.cost_details.total_cost
    assert cost.total.incl_tax == wanted.total_cost.total.incl_tax > 1
    assert cost.total.excl_tax == wanted.total_cost.total.excl_tax
    assert cost.fixed.excl_tax == (1 if kind == "DC" else Decimal("0.5"))
    assert cost.type_of_cost == "NormalCost"
    assert [p.tariff_id for p in ended.cost_details.charging_periods] == ["T1"] * len(wanted.charging_periods)
    assert ended.cost_details.total_usage.energy == wanted.total_usage.energy
    assert world.station.truth[-1].cost == cost.total.incl_tax


def _domain(world, parts, id_="T1"):
    return model.decode(model.encode(tariff(world, id_, **parts)))


def test_the_tariff_is_named_once_and_periods_come_at_the_end_alone(make_world):
    world = ready(make_world, settings={"running_cost": "true", "cost_interval": "60"})
    install(world)
    charge(world, 10)
    stop(world)
    assert [e.transaction_info.tariff_id for e in events(world) if e.transaction_info.tariff_id] == ["T1"]
    assert events(world, "Started")[0].transaction_info.tariff_id == "T1"
    running = [e for e in events(world) if e.trigger_reason == "RunningCost"]
    assert len(running) >= 9
    totals = [e.cost_details.total_cost.total.incl_tax for e in running]
    assert totals == sorted(totals)
    assert totals[-1] > totals[0]
    assert all(e.cost_details.charging_periods is None for e in running)
    assert events(world, "Ended")[0].cost_details.charging_periods


def test_without_a_tariff_nothing_is_said_of_cost(make_world):
    world = ready(make_world)
    charge(world, 3)
    stop(world)
    assert all(e.cost_details is None and e.transaction_info.tariff_id is None for e in events(world))


def test_what_cannot_be_installed_is_answered_by_its_reason(make_world):
    world = ready(make_world, settings={"tariff_elements": "2", "tariff_conditions": "false"})
    many = {"energy": {"prices": [{"priceKwh": 1}, {"priceKwh": 2}, {"priceKwh": 3}]}}
    when = {"energy": {"prices": [{"priceKwh": 1, "conditions": {"minPower": 1}}]}}
    assert install(world, "A", **many) == "TooManyElements"
    assert install(world, "B", **when) == "ConditionNotSupported"
    assert install(world, "C", evse=3) == "Rejected"
    assert install(world, "D", energy={"prices": [{"priceKwh": -1}]}) == "Rejected"
    assert install(world, "E") == "Accepted"
    assert install(world, "E", 1) == "DuplicateTariffId"
    off = ready(make_world, settings={"tariff_enabled": "false"})
    answer = ask(off, "SetDefaultTariff", evse_id=0, tariff=tariff(off))
    assert isinstance(answer, RpcError)
    assert answer.code == "NotSupported"


def test_assignments_by_evse_survive_a_restart_and_give_way_in_their_time(make_world):
    world = ready(make_world)
    install(world, "A")
    install(world, "B", 2)
    later = (to_datetime(world.scheduler.now()) + timedelta(hours=1)).isoformat()
    install(world, "C", 1, energy=ENERGY, validFrom=later)
    world.station.power_off()
    world.run(1)
    world.station = world.build()
    world.station.power_on()
    world.run(10)

    def rows(evse=0):
        answer = ask(world, "GetTariffs", evse_id=evse)
        return [(r.tariff_id, r.tariff_kind, r.evse_ids) for r in answer.tariff_assignments or ()]

    default = "DefaultTariff"
    assert rows() == [("A", default, [1]), ("C", default, [1]), ("B", default, [2])]
    assert rows(2) == [("B", default, [2])]
    world.run(3700)
    assert rows() == [("C", default, [1]), ("B", default, [2])]
    cleared = ask(world, "ClearTariffs", tariff_ids=["C", "X"]).clear_tariffs_result
    assert [(r.tariff_id, r.status) for r in cleared] == [("C", "Accepted")]
    assert [r.status for r in ask(world, "ClearTariffs", tariff_ids=["X"]).clear_tariffs_result] == ["NoTariff"]
    assert [r.tariff_id for r in ask(world, "ClearTariffs").clear_tariffs_result] == ["B"]
    assert ask(world, "GetTariffs", evse_id=0).status == "NoTariff"
    assert ask(world, "GetTariffs", evse_id=7).status == "Rejected"


def test_a_session_keeps_a_tariff_that_is_cleared_or_replaced(make_world):
    world = ready(make_world)
    install(world, "A")
    charge(world, 5)
    ask(world, "ClearTariffs")
    install(world, "B", energy={"prices": [{"priceKwh": 9}]})
    world.run(300)
    ended = stop(world)
    assert {p.tariff_id for p in ended.cost_details.charging_periods} == {"A"}


def with_driver_tariff(world, **parts):
    m = world.csms.messages

    def authorize(request):
        given = tariff(world, "DRIVER", **parts) if request.id_token.id_token == "AA11" else None
        return m.AuthorizeResponse(id_token_info=m.IdTokenInfoType(status="Accepted"), tariff=given)

    world.csms.scripts["Authorize"] = authorize


def test_a_drivers_tariff_comes_before_the_default_one_and_goes_with_the_session(make_world):
    world = ready(make_world)
    install(world, "A")
    with_driver_tariff(world, fixedFee={"prices": [{"priceFixed": 3}]})
    charge(world, 2)
    rows = ask(world, "GetTariffs", evse_id=1).tariff_assignments
    assert [(r.tariff_id, r.tariff_kind, r.evse_ids, r.id_tokens) for r in rows] == [
        ("A", "DefaultTariff", [1], None),
        ("DRIVER", "DriverTariff", [1], ["AA11"]),
    ]
    ended = stop(world)
    assert ended.cost_details.total_cost.total.incl_tax == 3
    assert [r.tariff_id for r in ask(world, "GetTariffs", evse_id=0).tariff_assignments] == ["A"]


@pytest.mark.parametrize(
    ("rule", "charges", "calculates"),
    [("Deauthorize", False, False), ("UseDefaultTariff", True, True), ("CentralCost", True, False)],
)
def test_a_drivers_tariff_that_cannot_be_followed(make_world, rule, charges, calculates):
    world = ready(make_world, settings={"tariff_failed": rule})
    install(world, "A")
    with_driver_tariff(world, energy={"prices": [{"priceKwh": -1}]})
    charge(world, 2)
    assert bool(events(world, "Started")) is charges
    assert world.station.settings.flag("tariff_problem")
    if charges:
        assert (stop(world).cost_details is not None) is calculates


def test_a_tariff_is_changed_while_the_session_runs(make_world):
    world = ready(make_world)
    install(world, "A")
    charge(world, 10)
    key = world.station.evses[0].session.key
    other = tariff(world, "B", energy={"prices": [{"priceKwh": 2}]})
    assert ask(world, "ChangeTransactionTariff", transaction_id="nope", tariff=other).status == "TxNotFound"
    dollars = tariff(world, "C", currency="USD")
    assert ask(world, "ChangeTransactionTariff", transaction_id=key, tariff=dollars).status == "NoCurrencyChange"
    assert ask(world, "ChangeTransactionTariff", transaction_id=key, tariff=other).status == "Accepted"
    changed = events(world)[-1]
    assert (changed.trigger_reason, changed.transaction_info.tariff_id) == ("TariffChanged", "B")
    world.run(600)
    periods = stop(world).cost_details.charging_periods
    assert [p.tariff_id for p in periods] == ["A", "B"]
    assert periods[1].start_period == changed.timestamp


def test_a_power_cut_ends_the_session_with_its_cost(make_world):
    world = ready(make_world)
    install(world, "A")
    charge(world, 10)
    world.station.power_off()
    world.run(60)
    world.station = world.build()
    world.station.power_on()
    world.run(20)
    ended = events(world, "Ended")[-1]
    assert (
        ended.cost_details.total_cost.total.incl_tax
        == reckoned(world, _domain(world, {"energy": ENERGY}, "A")).total_cost.total.incl_tax
    )
    assert ended.cost_details.total_cost.total.incl_tax > 0


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────


def limited(world, **limit):
    """The CSMS answers the start of a transaction with a limit."""
    m = world.csms.messages

    def event(request):
        first = request.event_type == "Started"
        return m.TransactionEventResponse(
            id_token_info=m.IdTokenInfoType(status="Accepted") if request.id_token else None,
            transaction_limit=m.TransactionLimitType(**limit) if first else None,
        )

    world.csms.scripts["TransactionEvent"] = event


@pytest.mark.parametrize(
    ("limit", "trigger"),
    [
        ({"max_energy": Decimal(1000)}, "EnergyLimitReached"),
        ({"max_time": 400}, "TimeLimitReached"),
        ({"max_cost": Decimal("0.40")}, "CostLimitReached"),
        ({"max_soc": 32}, "SoCLimitReached"),
    ],
)
def test_a_limit_is_confirmed_and_stops_the_energy_not_the_transaction(make_world, limit, trigger):
    world = ready(make_world, settings={"sample_interval": "900"})
    install(world)
    limited(world, **limit)
    charge(world, 20)
    confirmed = [e for e in events(world) if e.transaction_info.transaction_limit]
    assert [e.trigger_reason for e in confirmed] == ["LimitSet"]
    got = confirmed[0].transaction_info.transaction_limit
    assert {name: getattr(got, name) for name in limit} == limit
    reached = [e for e in events(world) if e.trigger_reason == trigger]
    assert [e.transaction_info.charging_state for e in reached] == ["SuspendedEVSE"]
    assert world.station.evses[0].session is not None
    assert world.station.evses[0].meter.power_mw == 0
    ended = stop(world)
    if "max_energy" in limit:
        assert ended.cost_details.total_usage.energy == 1000
    if "max_cost" in limit:
        assert Decimal("0.39") <= ended.cost_details.total_cost.total.incl_tax <= Decimal("0.40")
    if "max_time" in limit:
        begun = events(world, "Started")[0].timestamp
        assert timedelta(seconds=399) < reached[0].timestamp - begun < timedelta(seconds=402)


def test_a_higher_limit_lets_the_energy_flow_again(make_world):
    world = ready(make_world)
    limited(world, max_energy=Decimal(500))
    charge(world, 10)
    assert world.station.evses[0].meter.power_mw == 0
    limit = world.csms.messages.TransactionLimitType(max_energy=Decimal(900))
    world.csms.scripts["TransactionEvent"] = lambda request: world.csms.messages.TransactionEventResponse(
        transaction_limit=limit if request.trigger_reason == "MeterValuePeriodic" else None
    )
    world.run(70)
    assert world.station.evses[0].meter.power_mw > 0
    world.run(900)
    assert [e.trigger_reason for e in events(world)].count("EnergyLimitReached") == 2


def test_the_driver_may_limit_himself_but_not_beyond_the_csms(make_world):
    world = ready(make_world)
    limited(world, max_energy=Decimal(2000))
    charge(world, 1)
    assert world.station.costs.limit(1, Limit(max_energy=Decimal(9000), max_time=3600))
    world.run(2)
    told = [e for e in events(world) if e.trigger_reason == "LimitSet"][-1].transaction_info.transaction_limit
    assert (told.max_energy, told.max_time) == (2000, 3600)
    assert not world.station.costs.limit(2, Limit(max_time=1))


def test_limits_that_the_station_does_not_have_are_not_confirmed(make_world):
    world = ready(make_world, settings={"limits_supported": "maxTime"})
    limited(world, max_energy=Decimal(100))
    charge(world, 5)
    assert not [e for e in events(world) if e.transaction_info.transaction_limit]
    assert world.station.evses[0].meter.power_mw > 0


def test_a_limit_by_cost_goes_by_the_csms_where_the_station_has_no_tariff(make_world):
    world = ready(make_world)
    limited(world, max_cost=Decimal(5))
    charge(world, 2)
    key = world.station.evses[0].session.key
    ask(world, "CostUpdated", transaction_id=key, total_cost=Decimal("4.99"))
    assert world.station.evses[0].meter.power_mw > 0
    ask(world, "CostUpdated", transaction_id=key, total_cost=Decimal("5.01"))
    assert world.station.evses[0].meter.power_mw == 0
    assert events(world)[-1].trigger_reason == "CostLimitReached"


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_older_versions_have_none_of_it(make_world, version):
    world = ready(make_world, version)
    charge(world, 2)
    world.station.tap(1, "AA11")
    world.run(5)
    assert not world.station.costs.limit(1, Limit(max_time=1))
    assert not any(key.startswith(("bill", "tariffs")) for key in world.storage.load())
