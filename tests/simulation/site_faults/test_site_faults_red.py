"""Two rules that keep a site safe are taken away: the failure simulation has to see it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.simulation.site_faults.world import World

from pilotwire.site import decide as decide_module
from pilotwire.site.lost import follow
from pilotwire.site.simulated import SimCharger


def test_where_nothing_is_kept_free_for_who_is_lost_the_simulation_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(*arguments: Any) -> Any:
        return msgspec.structs.replace(follow(*arguments), may=0)

    assert not World(1_064).run(60).faults
    monkeypatch.setattr(decide_module, "follow", careless)
    assert World(1_064).run(60).faults


def test_where_no_failsafe_registers_are_set_the_simulation_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not World(1_011).run(60).faults
    monkeypatch.setattr(SimCharger, "failsafe", lambda self, value, watchdog_ms, done: None)
    assert World(1_011).run(60).faults
