"""Plays a choice of cases one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .case import Script
from .drive import Driver
from .player import Outcome, Place, Player
from .settings import Settings


async def run(
    scripts: Iterable[Script],
    settings: Settings,
    driver: Driver,
    place: Place,
    *,
    timeout_s: float = 10.0,
    each: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """`each` is called as soon as a case is over."""
    outcomes: list[Outcome] = []
    for script in scripts:
        outcome = await Player(script, settings, driver, place, timeout_s=timeout_s).play()
        outcomes.append(outcome)
        if each is not None:
            each(outcome)
    return outcomes
