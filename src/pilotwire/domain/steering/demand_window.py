"""One demand window contract through a tick: count, close what is over, say what may flow for the rest."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from pilotwire.domain.energy import Moment

from .budget import budget
from .calendar import bounds, month_of
from .config import DemandWindow
from .inputs import Meter, Plan, planned
from .outputs import WindowView
from .peaks import record, target, weight
from .reasons import Reason
from .registers import UJ_PER_WH, advance, between
from .state import DemandState, Month, Tracker, WindowState, WindowSummary

STEP_MS = 2_000
"""A clock of UTC that moves by more than this against the steady one has been set."""
BACK_MS = 60_000
"""A clock that was set back by less than this stays in its window."""


class Ran(NamedTuple):
    """What a tick of a contract gives; `meter_fresh` says whether it rests on its meter."""

    state: DemandState
    limit_mw: int
    view: WindowView
    closed: tuple[WindowSummary, ...]
    reason: Reason
    fresh: bool


def run(
    contract: DemandWindow,
    old: DemandState,
    meter: Meter | None,
    causes_mw: Mapping[str, int],
    side_mw: int | None,
    plan: Plan | None,
    before: Moment | None,
    now: Moment,
    stale_ms: int,
) -> Ran:
    """`causes_mw` is what EVSEs and batteries below the node draw, or may draw where that is not known.

    `side_mw` is what flows there beside them, None if the meter is lost.
    """
    taken = sum(mw for mw in causes_mw.values() if mw > 0)
    lost = min(contract.worst_mw, contract.side_lost_mw + taken)
    tracker = advance(old.tracker, meter, now, stale_ms=stale_ms, lost_mw=lost, worst_mw=contract.worst_mw)
    window, closed = _window(contract, old, tracker, plan, before, now)
    months = old.months
    for each in closed:
        months = record(contract, months, each)
    if closed:
        # The window that begins now was given its target before the last one was counted.
        window = msgspec.structs.replace(window, target_mw=target(contract, months, window.from_ms, plan))
    at = max(now.utc_ms, window.from_ms)
    left, lasts = window.until_ms - at, window.until_ms - window.from_ms
    used = tracker.total_uj - window.start_uj
    fresh = tracker.power_mw is not None
    forecast = None if plan is None else planned(plan.sides, contract.node, now.utc_ms)
    found = budget(
        target_mw=window.target_mw,
        lasts_ms=lasts,
        left_ms=left,
        used_uj=used,
        reserve_uj=contract.reserve_mw * contract.react_ms,
        react_ms=contract.react_ms,
        burst_permille=contract.burst_permille,
        rising_mw=0 if forecast is None or side_mw is None else forecast - side_mw,
        last_mw=window.limit_mw,
    )
    assumed = used > tracker.known_uj - window.start_known_uj
    quality = "assumed" if assumed else "register" if tracker.register_wh is not None else "integrated"
    passed = 0 if before is None else max(0, now.tick_ms - before.tick_ms)
    shares = {**causes_mw, "side": side_mw or 0}
    causes = {who: window.causes.get(who, 0) + mw * passed for who, mw in shares.items()}
    causes |= {who: uj for who, uj in window.causes.items() if who not in causes}
    window = msgspec.structs.replace(window, limit_mw=found.limit_mw, quality=quality, causes=causes)
    flows = lost if tracker.power_mw is None else tracker.power_mw
    view = WindowView(
        id=contract.id, node=contract.node, from_ms=window.from_ms, until_ms=window.until_ms,
        energy_wh=used // UJ_PER_WH, target_mw=window.target_mw, limit_mw=found.limit_mw,
        forecast_mw=(used + flows * left) // max(1, lasts), peak_mw=_peak(months, contract, window), quality=quality,
    )  # fmt: skip
    reason = Reason(
        contract.node,
        "window_hold" if found.held else "window" if fresh else "window_lost",
        contract.id,
        {
            "limit_mw": found.limit_mw,
            "target_mw": window.target_mw,
            "energy_wh": used // UJ_PER_WH,
            "left_ms": left,
        },
    )
    return Ran(DemandState(tracker, window, months), found.limit_mw, view, closed, reason, fresh)


def untouched(contract: DemandWindow, now: Moment) -> DemandState:
    """A window that runs already, of a node through which nothing has flowed in it."""
    begin, end = bounds(now.utc_ms, contract.minutes, contract.zone)
    tracker = Tracker(utc_ms=now.utc_ms, tick_ms=now.tick_ms)
    return DemandState(tracker, WindowState(begin, end, 0, 0, target(contract, (), begin, None)))


def _peak(months: tuple[Month, ...], contract: DemandWindow, window: WindowState) -> int:
    key = month_of(window.from_ms, contract.zone)
    return next((each.peak_mw for each in months if each.key == key), 0)


def _window(
    contract: DemandWindow, old: DemandState, tracker: Tracker, plan: Plan | None, before: Moment | None, now: Moment
) -> tuple[WindowState, tuple[WindowSummary, ...]]:
    """The window of now, and those that are over."""
    window = old.window
    if window is not None and window.from_ms - BACK_MS <= now.utc_ms < window.until_ms:
        jumped = 0 if before is None else (now.utc_ms - before.utc_ms) - (now.tick_ms - before.tick_ms)
        if jumped > STEP_MS:
            # The clock was set forward: what flowed in the time that it left out is not known to us, but it flowed.
            flows = max(window.target_mw, tracker.power_mw or 0)
            window = msgspec.structs.replace(window, start_uj=window.start_uj - flows * jumped)
        return window, ()
    begin, end = bounds(now.utc_ms, contract.minutes, contract.zone)
    goal = target(contract, old.months, begin, plan)
    elapsed = now.utc_ms - begin
    if window is None or now.utc_ms < window.from_ms or old.tracker.utc_ms is None:
        worst = tracker.total_uj - contract.worst_mw * elapsed
        return WindowState(begin, end, worst, tracker.known_uj, goal), ()
    total, known = between(old.tracker, tracker, begin)
    if begin == window.until_ms:
        ended = (_summary(contract, window, total, known),)
    else:
        ended = (_summary(contract, window, *between(old.tracker, tracker, window.until_ms)),)
    return WindowState(begin, end, total, known, goal), ended


def _summary(contract: DemandWindow, window: WindowState, total: int, known: int) -> WindowSummary:
    lasted = max(1, window.until_ms - window.from_ms)
    used = max(0, total - window.start_uj)
    sure = min(used, max(0, known - window.start_known_uj))
    peak = used // lasted
    return WindowSummary(
        id=contract.id,
        node=contract.node,
        from_ms=window.from_ms,
        until_ms=window.until_ms,
        energy_wh=used // UJ_PER_WH,
        known_wh=sure // UJ_PER_WH,
        peak_mw=peak,
        billed_mw=peak * weight(contract, window.from_ms) // 1_000,
        target_mw=window.target_mw,
        overshoot_mw=max(0, peak - window.target_mw),
        quality=window.quality,
        causes={who: uj // lasted for who, uj in sorted(window.causes.items()) if uj // lasted},
    )
