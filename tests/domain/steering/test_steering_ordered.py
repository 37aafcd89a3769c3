"""What energy managers and brokers order: never more than the site's limits leave."""

from typing import Any

import pytest
from msgspec import structs
from tests.domain.steering.steering_plant import DAY, KW, evse, tree

from pilotwire.domain.energy import Demand, Limit, Moment
from pilotwire.domain.energy.model import Switching
from pilotwire.domain.steering import (
    Config,
    External,
    Measured,
    Mode,
    Ordered,
    Plan,
    Rate,
    Slot,
    Steering,
    SteeringState,
    Surplus,
    Wish,
    prepare,
    steer,
)

AC, DC = evse("AC"), structs.replace(evse("DC"), current="DC", maximum=50 * KW, minimum=5 * KW, step=100_000)
SWITCHED = structs.replace(evse("SW"), switching=Switching())
SITE = prepare(Config(tree=tree(AC, DC, SWITCHED)))


def steered(external: External, **demand: object) -> Steering:
    wishes = [Wish(structs.replace(Demand(evse=each.id), **demand)) for each in (AC, DC, SWITCHED)]
    return steer(SITE, wishes, Measured(), external, None, SteeringState(), Moment(DAY, DAY))


def told(order: Ordered, id: str = "AC", **demand: object) -> tuple[Demand | None, list[str]]:
    found = steered(External(evses={id: order}), **demand)
    return (
        next((each for each in found.demands if each.evse == id), None),
        [each.words for each in found.reasons if each.subject == id],
    )


@pytest.mark.parametrize(
    ("order", "id", "maximum"),
    [
        (Ordered("ems", maximum_ma=10_000), "AC", 10_000),
        (Ordered("ems", maximum_mw=6_900_000), "AC", 10_000),
        (Ordered("ems", maximum_mw=6_900_000, maximum_ma=8_000), "AC", 8_000),
        (Ordered("ems", maximum_mw=20 * KW), "DC", 20 * KW),
        (Ordered("ems", maximum_ma=100_000), "DC", 3 * 230 * 100_000 * DC.efficiency // 1_000),
    ],
)
def test_the_lower_of_both_figures_in_the_evses_unit(order: Ordered, id: str, maximum: int):
    demand, words = told(order, id, guaranteed=90 * KW)
    assert demand is not None and demand.maximum == demand.guaranteed == maximum
    assert words == [f"{id}: may take less by order of ems"]


def test_what_the_car_takes_is_never_raised():
    demand, _ = told(Ordered("ems", maximum_ma=30_000), maximum=8_000)
    assert demand is not None and demand.maximum == 8_000


@pytest.mark.parametrize("order", [Ordered("ems", pause=True), Ordered("ems", maximum_ma=5_999)])
def test_below_its_minimum_it_waits(order: Ordered):
    assert told(order) == (None, ["AC: paused by order of ems"])


def test_who_comes_first_and_on_how_many_phases():
    found = steered(External(evses={id: Ordered("ems", priority=7, phases=1) for id in ("AC", "SW", "elsewhere")}))
    assert {each.evse: each.priority for each in found.demands} == {"AC": 7, "DC": 0, "SW": 7}
    assert found.phases == {"SW": 1}, "the others cannot change them"


def test_an_ordered_mode_comes_before_its_own_and_before_plan_and_prices():
    surplus = Surplus("grid")
    config = Config(tree=tree(AC), surplus=surplus, rates=(Rate(500_000),))
    site, waits = prepare(config), Plan(0, DAY * 2, cars={"AC": (Slot(0, DAY * 2, 0),)})

    def demands(ordered: Mode | None, plan: Plan | None = None, **wish: Any) -> list[tuple[str, str | None]]:
        external = External(evses={} if ordered is None else {"AC": Ordered(source="broker", mode=ordered)})
        wishes = [Wish(Demand(evse="AC"), **wish)]
        found = steer(site, wishes, Measured(), external, plan, SteeringState(), Moment(DAY, DAY))
        return [(each.evse, each.pool) for each in found.demands]

    assert demands(None) == [("AC", None)] and demands(None, waits) == []
    assert demands("now", waits) == [("AC", None)]
    assert demands(None, cheap_below=100_000) == [] and demands("now", cheap_below=100_000) == [("AC", None)]
    assert demands("off") == [] and demands("off", cheap_below=900_000) == []
    assert demands(None, mode="off") == [] and demands("now", mode="off") == [("AC", None)]
    assert demands("pv") == demands(None, mode="pv") == []
    assert demands("min_pv") == demands(None, mode="min_pv") != demands("pv")


def test_limits_of_nodes_hold_while_they_are_in_force():
    now, later = Limit("ems", phases_ma=(9_000, 9_000, 9_000)), Limit("later", power_mw=1, from_ms=DAY + 1)
    found = steered(External(limits={"grid": (now, later), "elsewhere": (now,)}))
    assert found.limits["grid"] == (now,) and set(found.limits) == {"grid"}
    assert [each.words for each in found.reasons] == ["grid: limited by order of ems"]
