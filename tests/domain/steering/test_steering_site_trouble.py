"""A site in seconds when things go wrong or somebody else gives orders: dimming, lost meters, everything at once."""

import random

from msgspec import structs
from tests.domain.steering.steering_plant import DAY, KW, Plant, evse, tree

from pilotwire.domain.energy import Demand
from pilotwire.domain.steering import (
    Battery,
    Config,
    Control,
    DemandWindow,
    External,
    FeedIn,
    Inverter,
    Steuve,
    Surplus,
    Wish,
)
from pilotwire.domain.steering.grid14a import minimum_mw

WINDOW = DemandWindow(
    id="w", node="grid", worst_mw=172 * KW, side_lost_mw=40 * KW, contracted_mw=50 * KW, reserve_mw=20 * KW
)
BATTERY = Battery(
    id="B", node="grid", capacity_wh=40_000, charge_mw=15 * KW, discharge_mw=15 * KW, backup_permille=100,
    peak_permille=300, ramp_mw_s=20 * KW, grid_charge=True,
)  # fmt: skip


def _now(count: int) -> list[Wish]:
    return [Wish(Demand(evse=f"E{at}")) for at in range(count)]


def test_an_order_to_dim_is_carried_out_within_seconds_and_recorded() -> None:
    config = Config(
        tree=tree(*(evse(f"E{at}") for at in range(3))),
        batteries=(BATTERY,),
        inverters=(Inverter("I", "grid", 30 * KW),),
        steuve=(Steuve("grid", ("E0", "E1", "E2", "B")),),
    )  # fmt: skip
    order = Control("w4", "relay W4", "steuve_limit", "grid")
    ended = []
    plant = Plant(
        config, side_mw=lambda s: 6 * KW, sun_mw=lambda s: 12 * KW if s > 900 else 0, wishes=lambda s: _now(3),
        external=lambda s: External((order,) if 300 <= s < 1_500 else ()), soc_wh={"B": 8_000},
    )  # fmt: skip

    def watch(plant: Plant) -> None:
        taken = sum(plant.drawn.values()) + max(0, plant.battery["B"])
        # What the battery gives is own power, as the sun's is: the grid does not feel it.
        surplus = max(0, plant.pv_mw - min(0, plant.battery["B"]) - plant.building_mw)
        if 310 < plant.second <= 1_500:
            assert taken <= minimum_mw(4) + surplus + KW // 100, (plant.second, taken)
        assert plant.last is not None
        ended.extend(plant.last.ended)

    plant.run(290, watch)
    assert sum(plant.drawn.values()) > 60 * KW
    plant.run(1_300, watch)
    assert sum(plant.drawn.values()) > 60 * KW
    (record,) = ended
    assert record.from_ms == DAY + 300_000 and record.until_ms == DAY + 1_500_000
    assert record.before_mw is not None and record.before_mw > 60 * KW
    assert record.highest_mw is not None and record.highest_mw <= minimum_mw(4) + (12 + 15 - 6) * KW


def test_windows_are_kept_while_the_meter_is_away() -> None:
    plant = Plant(
        Config(tree=tree(*(evse(f"E{at}") for at in range(4)), grid_ma=120_000), windows=(WINDOW,)),
        side_mw=lambda s: 20 * KW + (10 * KW if s % 700 > 400 else 0),
        wishes=lambda s: _now(4),
        meter_lost=lambda s: 300 <= s % 2_000 < 900,
    )
    plant.run(2 * 900 + 1)
    closed = plant.closed
    assert len(closed) == 2 and {each.quality for each in closed} <= {"assumed", "register"}
    # In truth, by the register that came back or would have.
    for each in closed:
        assert each.known_wh * 4_000 <= 50 * KW * 101 // 100


def test_everything_at_once_keeps_the_fuse_the_window_and_its_calm() -> None:
    """Cars of all modes, a nervous building, clouds, a battery and a limit of the feed-in, for an hour."""
    rng = random.Random(11)
    building = [0] * 3_700
    sun = [0] * 3_700
    side, light = 12 * KW, 20 * KW
    for second in range(3_700):
        if rng.random() < 1 / 90:
            side = min(max(3 * KW, side + rng.randrange(-12 * KW, 12 * KW)), 35 * KW)
        if rng.random() < 1 / 120:
            light = rng.randrange(3 * KW, 38 * KW)
        building[second], sun[second] = side + rng.randrange(KW // 5), light
    cars = tuple(evse(f"E{at}") for at in range(5))
    config = Config(
        tree=tree(*cars, grid_ma=110_000), windows=(WINDOW,), surplus=Surplus("grid", priority_permille=150),
        batteries=(BATTERY,), inverters=(Inverter("I", "grid", 40 * KW),), feed_in=(FeedIn("grid", limit_mw=5 * KW),),
    )  # fmt: skip
    modes = ("now", "pv", "min_pv", "pv", "now")
    wishes = [Wish(Demand(evse=f"E{at}"), mode=mode, switchable=at == 3) for at, mode in enumerate(modes)]  # type: ignore[arg-type]
    plant = Plant(config, lambda s: building[s], lambda s: sun[s], lambda s: wishes, soc_wh={"B": 20_000})
    over = export = 0

    def watch(plant: Plant) -> None:
        nonlocal over, export
        over = over + 1 if plant.grid_mw > 110 * 230 * 3 * 1_000 else 0
        assert over <= 7  # five seconds of the cars, two of the meter
        export = export + 1 if plant.grid_mw < -5 * KW - KW // 2 else 0
        assert export <= 12  # a car that drops, an inverter that is told

    plant.run(3_601, watch)
    closed = plant.closed
    assert len(closed) == 4
    assert all(each.peak_mw <= each.target_mw * 101 // 100 for each in closed)
    assert max(plant.changes[each.id] for each in cars) <= 120  # a building and clouds that move 70 times


def test_a_months_peak_may_be_used_again() -> None:
    window = structs.replace(WINDOW, contracted_mw=20 * KW)
    plant = Plant(
        Config(tree=tree(*(evse(f"E{at}") for at in range(3))), windows=(window,)),
        side_mw=lambda s: 30 * KW if 900 <= s < 1_800 else 5 * KW, wishes=lambda s: _now(3),
    )  # fmt: skip
    plant.run(3 * 900 + 1)
    targets = [each.target_mw for each in plant.closed]
    assert targets[:2] == [20 * KW, 20 * KW] and targets[2] >= 29 * KW  # the building alone was above it
