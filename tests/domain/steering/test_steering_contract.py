"""What holds of every tick: it replays, says why, is of integers, and minds its configuration."""

import random
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest
from msgspec import structs
from tests.domain.steering.steering_plant import DAY, KW, Plant, evse, tree

from pilotwire.core.errors import ConfigError, LocalError
from pilotwire.domain.energy import Demand, Limit, Moment, Node, SiteTree
from pilotwire.domain.steering import (
    Battery,
    Car,
    Cell,
    Config,
    Contracted,
    Control,
    DemandWindow,
    External,
    FeedIn,
    Inverter,
    Load,
    Measured,
    Meter,
    Plan,
    Power,
    Price,
    Rate,
    Reason,
    ScheduledLimit,
    Slot,
    Span,
    Steering,
    SteeringState,
    Steuve,
    Surplus,
    Wish,
    prepare,
    resumed,
    steer,
)
from pilotwire.domain.steering.reasons import WORDS, Rule

CARS = tuple(evse(f"E{at}") for at in range(5))
CONFIG = Config(
    tree=tree(*CARS),
    windows=(DemandWindow("w", "grid", 200 * KW, 30 * KW, contracted_mw=40 * KW),),
    schedules=(ScheduledLimit("grid", Limit(source="night", power_mw=60 * KW), Span(0, 300)),),
    contracts=(Contracted("grid", 70 * KW),),
    rates=(Rate(90, export_micro=-5),),
    surplus=Surplus("grid", enable_ms=5_000, disable_ms=9_000, grace_ms=3_000, buffer_permille=800),
    batteries=(
        Battery("B", "grid", 30_000, 10 * KW, 10 * KW, 100, 300, grid_charge=True),
        Battery("C", "grid", 10_000, 5 * KW, 5 * KW),
    ),
    inverters=(Inverter("I", "grid", 40 * KW),),
    feed_in=(FeedIn("grid", share_permille=500, curtail_below=0),),
    loads=(Load("H", "grid", 6 * KW, surplus=True),),
    steuve=(Steuve("grid", ("E0", "E1", "E2", "E3", "E4", "B", "H")),),
)

Inputs = tuple[list[Wish], Measured, External, Plan | None, Moment]


def ticks(seed: int, count: int) -> Iterator[Inputs]:
    """Anything at all, with values missing, orders coming and going."""
    rng = random.Random(seed)
    for second in range(count):
        now = Moment(100_000 + second * 1_000, DAY + 800_000 + second * 1_000)
        at = now.tick_ms - rng.choice([0, 0, 500, 20_000])
        kw = rng.randrange(-30, 90)
        ma = kw * KW * 1_000 // 690_000
        wishes = [
            Wish(
                Demand(evse=each.id, energy_wh=10_000, departure_ms=now.utc_ms + 3_600_000),
                mode=rng.choice(["now", "pv", "min_pv", "off"]), cheap_below=rng.choice([None, 80, 100]),
                cheapest=rng.random() < 0.3, boost=rng.random() < 0.2, switchable=rng.random() < 0.3,
            )
            for each in CARS if rng.random() < 0.8
        ]  # fmt: skip
        controls = [Control("a", "relay", "steuve_limit", "grid"), Control("b", "LPC", "import_limit", "grid", 9 * KW),
                    Control("c", "S1", "export_limit", "grid", permille=300)]  # fmt: skip
        plan = Plan(0, DAY * 2, cars={"E1": (Slot(0, DAY * 2, rng.choice([0, 7 * KW])),)},
                    batteries={"C": (Slot(0, DAY * 2, rng.choice([-3, 3]) * KW),)})  # fmt: skip
        measured = Measured(
            {"grid": Meter(kw * KW, at, (ma, ma, ma), 5_000 + second, at)} if rng.random() < 0.9 else {},
            {each.id: Car(rng.randrange(22) * KW, at, 8 * KW) for each in CARS if rng.random() < 0.9},
            {id: Cell(rng.randrange(-10, 10) * KW, rng.randrange(1_001), at) for id in "BC" if rng.random() < 0.9},
            {"I": Power(-rng.randrange(40) * KW, at)},
            {"H": Power(rng.randrange(6) * KW, at)},
        )
        prices = (Price(now.utc_ms, now.utc_ms + 900_000, rng.randrange(200), rng.randrange(-20, 80)),)
        external = External(
            tuple(each for each in controls if rng.random() < 0.3), prices if rng.random() < 0.5 else ()
        )
        yield wishes, measured, external, plan if rng.random() < 0.4 else None, now


def tour(seed: int, count: int) -> Iterator[tuple[Inputs, SteeringState, Steering]]:
    site, state = prepare(CONFIG), SteeringState()
    for each in ticks(seed, count):
        found = steer(site, *each[:4], state, each[4])
        yield each, state, found
        state = found.state


def test_a_stored_tick_gives_the_same_again() -> None:
    site = prepare(msgspec.json.decode(msgspec.json.encode(CONFIG), type=Config))
    for (wishes, measured, external, plan, now), state, found in tour(1, 150):
        line = msgspec.json.encode((wishes, measured, external, plan, state, now))
        again = msgspec.json.decode(
            line, type=tuple[list[Wish], Measured, External, Plan | None, SteeringState, Moment]
        )
        result = steer(site, *again)
        assert msgspec.json.encode(result) == msgspec.json.encode(found)
        assert msgspec.json.decode(msgspec.json.encode(found), type=Steering) == found


def test_the_order_of_the_wishes_changes_nothing() -> None:
    site = prepare(CONFIG)
    for (wishes, measured, external, plan, now), state, found in tour(2, 100):
        assert steer(site, reversed(wishes), measured, external, plan, state, now) == found


def test_everything_is_an_integer_and_has_a_reason() -> None:
    rules: set[str] = set()
    for (wishes, *_), _, found in tour(3, 400):
        assert not any(isinstance(value, float) for value in _values(msgspec.to_builtins(found)))
        for reason in found.reasons:
            assert "?" not in reason.words, reason
            rules.add(reason.rule)
        named = {reason.subject for reason in found.reasons}
        assert {"B", "C", "I", "H", "grid"} <= named
        told = {demand.evse for demand in found.demands}
        assert {wish.demand.evse for wish in wishes} - told <= named  # who gets nothing is told why
    assert len(rules) >= 30, sorted(set(get_args(Rule)) - rules)


def _values(built: Any) -> Iterator[Any]:
    if isinstance(built, dict):
        for value in built.values():  # pyright: ignore[reportUnknownVariableType]
            yield from _values(value)
    elif isinstance(built, list):
        for value in built:  # pyright: ignore[reportUnknownVariableType]
            yield from _values(value)
    else:
        yield built


def test_every_rule_has_words() -> None:
    assert set(WORDS) == set(get_args(Rule))
    said = Reason("E1", "surplus_wait", "grid", {"surplus_mw": -4_140_000, "minimum_mw": 1, "wait_ms": 59_999}).words
    assert said == "E1: the surplus of -4.14 kW has to carry its minimum of 0.00 kW for 59 s more"


def test_a_surplus_below_nothing_is_said_to_be_none() -> None:
    figures = {"surplus_mw": -44_500_000, "minimum_mw": 4_140_000}
    said = Reason("E1", "surplus_off", "grid", figures).words
    assert said == "E1: there is no surplus (44.50 kW are drawn from grid and batteries)"
    said = Reason("E1", "surplus_off", "grid", {**figures, "surplus_mw": -4_999}).words
    assert said == "E1: there is no surplus (0.00 kW are drawn from grid and batteries)"
    said = Reason("E1", "surplus_off", "grid", {**figures, "surplus_mw": 0}).words
    assert said == "E1: the surplus of 0.00 kW does not carry its minimum of 4.14 kW"


def test_batteries_stay_within_what_they_can_whatever_comes() -> None:
    for _, _, found in tour(4, 400):
        for point in found.batteries:
            battery = next(each for each in CONFIG.batteries if each.id == point.id)
            assert -battery.discharge_mw <= point.power_mw <= battery.charge_mw
        for view in found.windows:
            assert 0 <= view.limit_mw <= view.target_mw * 3 // 2


def test_a_restart_keeps_what_counts() -> None:
    plant = Plant(Config(tree=tree(evse("E0")), windows=CONFIG.windows), wishes=lambda s: [Wish(Demand(evse="E0"))])
    plant.run(400)
    before = plant.steering_state
    stored = msgspec.json.decode(msgspec.json.encode(before), type=SteeringState)
    now = Moment(7, DAY + 410_000)
    again = resumed(plant.site, stored, now)
    window, old = again.demands["w"].window, before.demands["w"].window
    assert window is not None and old is not None
    assert (window.from_ms, window.start_uj) == (old.from_ms, old.start_uj)
    tracker = again.demands["w"].tracker
    assert tracker.tick_ms == 7 and tracker.total_uj - before.demands["w"].tracker.total_uj == 200 * KW * 11_000
    assert again.batteries == {} and again.at is None


def test_strange_wishes_are_refused() -> None:
    site, now = prepare(CONFIG), Moment(0, DAY)
    for wishes, text in (
        ([Wish(Demand(evse="moon"))], "moon"),
        ([Wish(Demand(evse="E0")), Wish(Demand(evse="E0"))], "two wishes"),
    ):
        with pytest.raises(LocalError, match=text):
            steer(site, wishes, Measured(), External(), None, SteeringState(), now)


def test_a_plan_that_is_over_is_not_followed() -> None:
    site, now = prepare(CONFIG), Moment(0, DAY)
    wishes = [Wish(Demand(evse="E1"))]
    for made, until, told in ((0, DAY, True), (DAY + 1, DAY * 2, True), (0, DAY + 1, False)):
        plan = Plan(made, until, cars={"E1": (Slot(0, DAY * 2, 0),)})
        found = steer(site, wishes, Measured(), External(), plan, SteeringState(), now)
        assert bool(found.demands) is told


W, B = CONFIG.windows[0], CONFIG.batteries[0]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"windows": (structs.replace(W, node="moon"),)}, "node moon does not exist"),
        ({"windows": (W, W)}, "is there twice"),
        ({"windows": (structs.replace(W, zone="Mars/Olympus"),)}, "no time zone"),
        ({"windows": (structs.replace(W, hard=True, contracted_mw=0),)}, "nothing is contracted"),
        ({"windows": (structs.replace(W, react_ms=400_000),)}, "no time to control"),
        ({"windows": (structs.replace(W, burst_permille=900),)}, "burst_permille"),
        ({"windows": (structs.replace(W, worst_mw=0),)}, "worst_mw"),
        ({"batteries": (structs.replace(B, backup_permille=500),)}, "have to rise"),
        ({"batteries": (structs.replace(B, efficiency=0),)}, "efficiency"),
        ({"batteries": (structs.replace(B, capacity_wh=0),)}, "capacity"),
        ({"batteries": (structs.replace(B, id="E0"),)}, "two devices"),
        ({"feed_in": (FeedIn("grid"),)}, "limits nothing"),
        ({"steuve": (Steuve("grid", ("E0", "E9")),)}, "device E9 does not exist"),
        ({"steuve": (Steuve("grid", ("E0",)),)}, "EVSE E1 is below it"),
        ({"surplus": Surplus("moon")}, "node moon does not exist"),
        ({"zone": "nowhere"}, "no time zone"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        prepare(structs.replace(CONFIG, **changes))


def test_a_window_needs_a_meter() -> None:
    node = Node(id="grid", kind="connection", limits=(Limit(source="fuse", power_mw=KW),))
    with pytest.raises(ConfigError, match="not metered"):
        prepare(Config(tree=SiteTree(nodes=(node,)), windows=(W,)))
