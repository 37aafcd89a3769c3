"""Every timer of a protocol, just inside and just outside of its limit.

    @every_timer(TIMERS)
    def test_timers(rule: TimerRule, edge: str) -> None:
        world = ...                                   # a machine in the state in which `rule` runs, under SimScheduler
        world.run_for(just(rule, edge))               # 1 ms before the limit, or 1 ms behind it
        shown(rule, edge, world.what_happened)        # asserts nothing: it writes the row of the table

By construction no timer is left out: whoever adds one to TIMERS has two more tests that fail until they know how to
exercise it. `PILOTWIRE_TIMERS=build/timers` keeps what was seen, and `tools/make_timers.py` makes the table of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pilotwire.core.timers import TimerRule

INSIDE, OUTSIDE = "inside", "outside"


def every_timer(rules: Sequence[TimerRule]) -> Callable[[Any], Any]:
    """Parametrizes a test with `rule` and `edge` (`inside`, `outside`), and marks it as one of timers."""
    edges = [(rule, edge) for rule in rules for edge in (INSIDE, OUTSIDE)]
    cases = [pytest.param(rule, edge, id=f"{rule.name}-{rule.side}-{edge}") for rule, edge in edges]
    parametrized = pytest.mark.parametrize(("rule", "edge"), cases)
    return lambda test: pytest.mark.timer(parametrized(test))


def just(rule: TimerRule, edge: str) -> int:
    """Milliseconds to let go by: one before the limit, or one behind it."""
    return rule.ms + (1 if edge == OUTSIDE else -1)


def shown(rule: TimerRule, edge: str, seen: str) -> None:
    """Keeps what was seen at an edge, for the table."""
    assert seen, "what was seen at the edge of a timer is said in words"
    folder = os.environ.get("PILOTWIRE_TIMERS")
    if folder:
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        name = "".join(c if c.isalnum() else "-" for c in f"{rule.protocol}-{rule.name}-{rule.side}-{edge}")
        (path / f"{name}.json").write_text(
            json.dumps({"protocol": rule.protocol, "name": rule.name, "side": rule.side, "edge": edge, "seen": seen})
        )
