"""Sixty modules of four families, four outputs; and a slice of the soak: a thousand faults, judged by physics."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.soak.cabinet import Episode, Part
from tests.station.power.cabinet_world import World

from pilotwire.station.power import switching
from pilotwire.station.power.circuit import Battery
from pilotwire.station.power.messages import Halt, UnitChanged
from pilotwire.station.power.output import Output
from pilotwire.station.power.stage import CabinetConfig


def test_sixty_modules_are_shared_by_four_outputs():
    world = World(count=15, outputs=4, config=CabinetConfig(rise_ma_s=400_000, hold_ms=1_000, most_moves=4))
    world.run(4_000)
    assert all(unit.present for unit in world.cabinet.stage.units.values())
    volts = {1: 400_000, 2: 800_000, 3: 350_000, 4: 920_000}
    for output, mv in volts.items():
        world.charge(output, mv, 500_000, want_ma=500_000)
    world.run(20_000)
    for output, mv in volts.items():
        assert abs(world.ma(output) - 500_000) <= 5_000, (output, mv)
    spread = Counter(outputs[0] for outputs in world.plant.joined.values() if outputs)
    assert set(spread) == {1, 2, 3, 4} and all(len(outputs) <= 1 for outputs in world.plant.joined.values())
    # Twenty modules die at once: what is left is shared again, and no one gets more than asked for.
    for index, module in enumerate(world.plant.modules.values()):
        if index % 3 == 0:
            module.rectifier.cut()
    peaks = dict.fromkeys(volts, 0)
    for _ in range(2_500):
        world.step()
        peaks = {output: max(peak, world.ma(output)) for output, peak in peaks.items()}
    assert max(peaks.values()) <= 525_000
    assert (
        sum(world.ma(output) * volts[output] for output in volts)
        > 0.85
        * sum(unit.most_ma(800_000, 1000) * 800_000 for unit in world.cabinet.stage.units.values() if unit.present)
        or min(world.ma(output) for output in volts) >= 490_000
    )
    assert not world.faults and not world.plant.under_load
    for output in volts:
        world.tell(Halt(output))
    world.run(2_000)
    assert all(world.ma(output) == 0 for output in volts) and set(world.off) == set(volts)


def test_a_module_is_with_its_new_output_within_300_ms():
    """From the order to turn off, over the bus at 125 kbit/s, to the closed switch of the other output."""
    for family in ("infy", "winline", "huawei"):
        world = World((family,), 15, 2, config=CabinetConfig(rise_ma_s=400_000, hold_ms=0, most_moves=1))
        world.run(4_000)
        world.charge(1, 400_000, 500_000, want_ma=500_000)
        world.run(6_000)
        for id, unit in world.cabinet.stage.units.items():
            if unit.state == "free":
                world.plant.modules[id].rectifier.faults.add("fan fault")  # no one else is free
        world.run(1_500)
        world.charge(2, 400_000, 50_000, want_ma=50_000)
        left: dict[object, int] = {}
        took: list[int] = []
        for _ in range(600):
            heard = len(world.said)
            world.step()
            for event in world.said[heard:]:
                if isinstance(event, UnitChanged) and event.state == "leaving":
                    left[event.unit] = world.now
            for id, outputs in world.plant.joined.items():
                if id in left and outputs == [2]:
                    took.append(world.now - left.pop(id))
        assert took, family
        # Two contactors take 60 ms each; the rest is orders, answers and ticks.
        assert min(took) - 120 < 300, (family, took)


def test_a_thousand_faults_are_survived():
    part = Part()
    seed = 42
    while part.hard < 250 or sum(part.counts.values()) < 1_000:
        part.add(seed, Episode(seed).run(30_000))
        seed += 1
    assert not part.faults, part.faults[:5]
    assert part.delivering * 6 > part.outputs_ms, "with two faults a second it still delivers a sixth of the time"
    assert len(part.counts) >= 20


def test_what_was_broken_serves_again_when_it_is_mended():
    for seed in (7, 8):
        episode = Episode(seed, each=2, outputs=2).run(20_000)
        world = episode.world
        episode.heal()
        for output in world.plant.outlets:
            world.tell(Halt(output))
            episode.oracle.halted(output, 3_000)
            world.plant.outlets[output].battery = None
        world.run(70_000)
        episode.heal()
        for output in world.plant.outlets:
            episode._ask(output, 400_000, 20_000)
        world.run(10_000)
        for output in world.plant.outlets:
            assert world.ma(output) > 15_000, (seed, output, world.faults, world.offers[output])


@pytest.mark.parametrize("rule", ["excess", "switches", "lower"])
def test_without_a_rule_the_same_faults_break_it(rule: str, monkeypatch: pytest.MonkeyPatch):
    """The slice above is not green because nothing could happen."""
    if rule == "excess":
        monkeypatch.setattr(Output, "trouble", lambda self, now, module_mv: None)
    elif rule == "switches":
        monkeypatch.setattr(switching, "_leaving", lambda stage, u, now: stage.connect(u, u.output, False, now))
    else:
        monkeypatch.setattr(Output, "raise_to", _never_lower)
    for seed in range(42, 62):
        if Episode(seed).run(30_000).oracle.faults:
            return
    raise AssertionError(f"nothing has come of it that {rule} was left out")


def _never_lower(output: Output, goal: int, rise: int, passed: int, now: int) -> None:
    output.ramp_ma = output.ceiling_ma = max(output.ramp_ma, min(goal, output.ramp_ma + rise * passed // 1000))


def test_the_oracle_sees_what_breaks_the_rules():
    """A module that no one holds back: the oracle must say so, or it would not be worth asking."""
    episode = Episode(1, each=1, outputs=2)
    episode._quiet(3_000)
    episode._ask(1, 400_000, 20_000)
    world = episode.world
    world.plant.outlets[1].battery = Battery(380_000)
    episode._quiet(6_000)
    assert not episode.oracle.faults and world.ma(1) > 15_000
    world.cabinet.command = lambda command, now: ()  # type: ignore[method-assign] - deaf to all that is measured
    world.cabinet.elapse = lambda now: ()  # type: ignore[method-assign]
    id = next(id for id, outputs in world.plant.joined.items() if outputs == [1])
    world.plant.modules[id].rectifier.stuck = True
    world.plant.modules[id].rectifier.limit_ma = 80_000
    episode._quiet(3_000)
    assert any("mA for" in fault for fault in episode.oracle.faults)
    episode.oracle.faults.clear()
    episode.oracle.halted(1, 1_000)
    episode._quiet(2_500)
    assert any("must be off" in fault for fault in episode.oracle.faults)
