"""A demand window contract through a long time: a side load that jumps within its reserve, cars that follow late."""

import random
from collections import deque
from dataclasses import dataclass, field

from pilotwire.domain.energy import Moment
from pilotwire.domain.steering import DemandWindow, Meter, WindowSummary
from pilotwire.domain.steering.demand_window import run
from pilotwire.domain.steering.state import DemandState

KW = 1_000_000
WINDOW = DemandWindow(
    id="w", node="grid", worst_mw=200 * KW, side_lost_mw=60 * KW, contracted_mw=60 * KW, reserve_mw=25 * KW,
    ratchet=False,
)  # fmt: skip


@dataclass
class Year:
    """The building does anything between 2 and 40 kW, up to 25 kW at a step; the cars could always take 120 kW.

    `step_s` apart the meter is read; the cars follow `lag_s` later (in whole steps, at least one).
    """

    seed: int
    step_s: int
    start_ms: int
    lag_s: int = 6
    register_wh: int = 1
    contract: DemandWindow = WINDOW
    state: DemandState = field(default_factory=DemandState)
    closed: list[WindowSummary] = field(default_factory=list)
    true: dict[int, int] = field(default_factory=dict)
    changes: int = 0
    possible_uj: int = 0
    used_uj: int = 0

    def run(self, days: int, *, lost: bool = False) -> None:
        """So many days. Each window's true energy is counted aside, by when it began."""
        rng = random.Random(self.seed)
        cars: deque[int] = deque([0] * max(1, self.lag_s // self.step_s), maxlen=max(1, self.lag_s // self.step_s))
        side, total, before, last = 10 * KW, 0, None, None
        for at in range(0, days * 86_400, self.step_s):
            if rng.random() < self.step_s / 240:
                side = min(max(2 * KW, side + rng.randrange(-25 * KW, 25 * KW)), 40 * KW)
            now = Moment(tick_ms=at * 1_000, utc_ms=self.start_ms + at * 1_000)
            power = side + cars[0]
            meter = Meter(power, now.tick_ms, None, total // 3_600_000_000 // self.register_wh * self.register_wh)
            found = run(self.contract, self.state, meter, {"cars": cars[0]}, side, None, before, now, 11_000)
            begin = found.view.from_ms
            self.state, before = found.state, now
            self.closed += found.closed
            given = min(max(0, found.limit_mw - side), 120 * KW) // 690_000 * 690_000
            if given != last:
                self.changes += 1
                last = given
            cars.append(given)
            flowed = (side + cars[0]) * self.step_s * 1_000
            total += flowed
            self.true[begin] = self.true.get(begin, 0) + flowed

    def overshoots(self) -> tuple[int, int, int]:
        """(windows, those above their target by more than 1 %, the worst by per mille); the first one left out."""
        goals = {each.from_ms: (each.target_mw, each.until_ms - each.from_ms) for each in self.closed}
        over, worst = 0, -1_000
        begun = sorted(goals)[1:]
        for begin in begun:
            target, lasts = goals[begin]
            permille = (self.true[begin] * 1_000 // lasts - target * 1_000) // target
            over += permille > 10
            worst = max(worst, permille)
        return len(begun), over, worst

    def mean_permille(self) -> int:
        """How much of what the targets allowed has been used."""
        goals = [(each.from_ms, each.target_mw * (each.until_ms - each.from_ms)) for each in self.closed][1:]
        return sum(self.true[begin] for begin, _ in goals) * 1_000 // sum(goal for _, goal in goals)


def main() -> None:
    """`python steering_year.py days step_s`: what the tests show in days, for as long as one likes."""
    import sys

    days, step_s = int(sys.argv[1]), int(sys.argv[2])
    year = Year(seed=1, step_s=step_s, start_ms=1_767_225_600_000)
    year.run(days)
    windows, over, worst = year.overshoots()
    print(f"{windows} windows, {over} above target by more than 1 %, worst {worst} per mille")
    print(f"{year.mean_permille()} per mille of the energy used, {year.changes / windows:.1f} changes a window")


if __name__ == "__main__":
    main()
