"""Each rule that keeps a site safe is taken away once: the failure simulation has to see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.simulation.site_faults.directed import SCENES, Blind, Directed, meter_for_ever, source_for_ever
from tests.simulation.site_faults.world import World

from pilotwire.domain.energy import Limit, quality
from pilotwire.site import decide as decide_module
from pilotwire.site import metered as metered_module
from pilotwire.site.loop import Loop
from pilotwire.site.lost import follow
from pilotwire.site.simulated import SimCharger
from pilotwire.site.telling import Teller

SEEDS = range(3)
Removal = Callable[[pytest.MonkeyPatch], None]


def _nothing_kept_free(patch: pytest.MonkeyPatch) -> None:
    def careless(*arguments: Any) -> Any:
        return msgspec.structs.replace(follow(*arguments), may=0)

    patch.setattr(decide_module, "follow", careless)


def _no_registers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SimCharger, "failsafe", lambda self, value, watchdog_ms, done: None)


def _confirmed_only(patch: pytest.MonkeyPatch) -> None:
    """What was sent and never answered is taken for not done."""

    def careless(old: Any, seen: Any, *rest: Any) -> Any:
        link = msgspec.structs.replace(seen.link, open=None)
        return follow(old, msgspec.structs.replace(seen, link=link), *rest)

    patch.setattr(decide_module, "follow", careless)


def _never_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Teller, "_starved", lambda self, value, now, may: False)


def _alone_once(patch: pytest.MonkeyPatch) -> None:
    starved = Teller._starved

    def once(self: Teller, value: int, now: int, may: int) -> bool:
        resting = self._rests_until is not None
        return (resting or self.rests == 0) and starved(self, value, now, may)

    patch.setattr(Teller, "_starved", once)


def _only_what_was_confirmed(patch: pytest.MonkeyPatch) -> None:
    """What a charger has is known by what this process has told it, and by nothing else."""
    tell = Teller.tell
    patch.setattr(Teller, "tell", lambda self, value, phases=None, may=0: tell(self, value, phases))


def _read_all_the_same(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SimCharger, "_alone", property(lambda self: False, lambda self, value: None), raising=False)


def _kept_with_the_tick(patch: pytest.MonkeyPatch) -> None:
    """What is heard is written down with the next tick alone."""
    hear = Loop.hear

    def later(self: Loop, source: str, limit: Limit | None) -> None:
        memory, self._memory = self._memory, None
        hear(self, source, limit)
        self._memory = memory

    patch.setattr(Loop, "hear", later)


def _stands_still(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(quality, "RULES", tuple(rule for rule in quality.RULES if not rule.code.startswith("frozen")))


def _less_than_cars(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(metered_module, "_less_than_cars", lambda *arguments: "")


RULES: dict[str, tuple[Removal | None, Blind | None]] = {
    "for who is not heard that much is kept free which it may be drawing": (_nothing_kept_free, None),
    "fail-safe registers are set when a charger comes": (_no_registers, None),
    "an unanswered command counts with the most that it may have made of it": (_confirmed_only, None),
    "a deaf charger is left alone until its watchdog fires": (_never_alone, None),
    "it is left alone again for as long as it is deaf": (_alone_once, None),
    "who has been deaf since before our start is left alone too": (_only_what_was_confirmed, None),
    "who does not take its fall-back while we hang is not even read": (_read_all_the_same, None),
    "a word is kept when it is heard": (_kept_with_the_tick, None),
    "a meter that stands still is not believed": (_stands_still, None),
    "a meter that shows less than our cars draw is not believed": (_less_than_cars, None),
    "a meter is lost after its deadline": (None, meter_for_ever),
    "a source is lost after its deadline": (None, source_for_ever),
}


def test_each_scene_has_its_rule() -> None:
    assert set(RULES) == set(SCENES)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rule", SCENES)
def test_with_the_rule_the_scene_is_green(rule: str, seed: int) -> None:
    world = Directed(SCENES[rule], seed)
    assert world.accepted, "the checker lets this site run"
    assert not world.played().faults, world.faults[:3]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rule", RULES)
def test_without_the_rule_the_scene_is_red(rule: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    removal, blind = RULES[rule]
    if removal is not None:
        removal(monkeypatch)
    assert Directed(SCENES[rule], seed, blind).played().faults


def test_where_nothing_is_kept_free_for_who_is_lost_luck_alone_is_red_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not World(1_064).run(60).faults
    _nothing_kept_free(monkeypatch)
    assert World(1_064).run(60).faults


def test_where_no_failsafe_registers_are_set_luck_alone_is_red_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not World(1_011).run(60).faults
    _no_registers(monkeypatch)
    assert World(1_011).run(60).faults
