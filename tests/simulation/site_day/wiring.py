"""Finds out on which phases a charger is wired whose installer did not write it down.

When a car there draws more or less than a second ago, the meter above shows on which phase: what is left of its change
when all chargers that are known have been taken off. The same as a commissioning pulse, without the pulse.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from tests.simulation.site_day.scenario import Scenario

from pilotwire.domain.energy import SiteTree

_ENOUGH = 40.0
"""A² of changes seen."""
_CLEAR = 0.5
"""So much of its change has to be on a phase, or has not to be."""
_LETTERS = "RST"


class Wiring:
    """`learn` each second; `tree` is the site as it is known by now."""

    def __init__(self, day: Scenario, inside: Any) -> None:
        self.tree: SiteTree = day.tree
        evses = day.tree.evses
        self.phases = np.zeros((len(evses), 3, 3))
        """Of each EVSE by the number of conductors: what it loads, as far as is known."""
        for at, evse in enumerate(evses):
            self._know(at, evse.rotation or ("RST" if evse.current == "DC" else None))
        self.open = {at for at, evse in enumerate(evses) if evse.current == "AC" and evse.rotation is None}
        self._seen = dict.fromkeys(self.open, 0.0)
        self._score = {at: np.zeros(3) for at in self.open}
        self._used: dict[int, int] = {}
        self._above = ["t0" if inside[1, at] else "t1" for at in range(len(evses))]
        self._inside = inside
        self._last: tuple[Any, dict[str, Any]] | None = None

    def _know(self, at: int, rotation: str | None) -> None:
        for used in (1, 2, 3):
            letters = "RST" if used == 3 else "" if rotation is None else rotation[:used]
            self.phases[at, used - 1] = [float(letter in letters) for letter in _LETTERS]

    def learn(self, meters: dict[str, Any], draws: Any, used: Any) -> bool:
        """`used`: conductors of the car at each EVSE. Whether something new is known."""
        last, self._last = self._last, (draws.copy(), {name: np.array(amps) for name, amps in meters.items()})
        if last is None or not self.open:
            return False
        change = draws - last[0]
        moving = [at for at in self.open if abs(change[at]) > 1.0 and used[at] in (1, 2)]
        if not moving:
            return False
        count = np.clip(used, 1, 3).astype(int) - 1
        known = change[:, None] * self.phases[np.arange(len(change)), count]
        found = False
        for at in moving:
            name = self._above[at]
            rest = (
                np.array(meters[name])
                - last[1][name]
                - (known * self._inside[1 if name == "t0" else 2][:, None]).sum(0)
            )
            if self._used.get(at) != used[at]:
                self._used[at], self._seen[at], self._score[at] = int(used[at]), 0.0, np.zeros(3)
            self._seen[at] += float(change[at] ** 2)
            self._score[at] += rest * change[at]
            if self._seen[at] > _ENOUGH:
                found = self._decide(at) or found
        return found

    def _decide(self, at: int) -> bool:
        on = self._score[at] / self._seen[at] > _CLEAR
        if int(on.sum()) != self._used[at]:
            self._seen[at], self._score[at] = 0.0, np.zeros(3)  # others moved too: once more
            return False
        letters = "".join(letter for letter, loaded in zip(_LETTERS, on, strict=True) if loaded)
        rotation = next(each for each in ("RST", "STR", "TRS") if set(each[: len(letters)]) == set(letters))
        self._know(at, rotation)
        evses = list(self.tree.evses)
        evses[at] = msgspec.structs.replace(evses[at], rotation=rotation)
        self.tree = msgspec.structs.replace(self.tree, evses=tuple(evses))
        self.open.discard(at)
        return True
