"""What a window may take without costing more than what has been taken already: ratchets, means, highest days."""

from collections.abc import Sequence

import msgspec

from .calendar import day_of, holds, month_of
from .config import DemandWindow
from .inputs import Plan, planned
from .state import Month, WindowSummary

MONTHS = 13


def weight(contract: DemandWindow, at_ms: int) -> int:
    """Per mille of the power that is billed at this time."""
    return next((each.permille for each in contract.weights if holds(each.span, at_ms, contract.zone)), 1_000)


def target(contract: DemandWindow, months: Sequence[Month], from_ms: int, plan: Plan | None) -> int:
    """The mean power (mW) that the window beginning at `from_ms` may have; real power, the weight taken out.

    Hard: what is contracted. Otherwise the highest of that, the floor, what has been paid for already this month, and
    what the plan says is worth its price.
    """
    if contract.hard:
        return contract.contracted_mw
    permille = max(1, weight(contract, from_ms))
    billed = max(contract.contracted_mw, contract.floor_mw)
    if contract.ratchet:
        key = month_of(from_ms, contract.zone)
        month = next((each for each in months if each.key == key), Month(key))
        billed = max(billed, _paid(contract, month, day_of(from_ms, contract.zone)))
    real = billed * 1_000 // permille
    wanted = None if plan is None else planned(plan.peaks, contract.id, from_ms)
    return real if wanted is None else max(real, wanted)


def _paid(contract: DemandWindow, month: Month, today: int) -> int:
    if contract.billing != "top_3_days":
        return month.peak_mw
    others = sorted((mw for day, mw in month.days if day != today), reverse=True)
    mine = next((mw for day, mw in month.days if day == today), 0)
    # As high as today already was, or as the third of the others, costs nothing: the mean of three stays.
    free = max(mine, others[2] if len(others) > 2 else 0)
    if contract.steps_mw:
        floor = max(top_mean(month.days), contract.contracted_mw, contract.floor_mw)
        step = next((each for each in sorted(contract.steps_mw) if each >= floor), None)
        if step is not None:
            # So high that the mean of the three just stays within the step of the price that is paid anyway.
            free = max(free, 3 * step - sum(others[:2]) if len(others) > 1 else step)
    return free


def top_mean(days: Sequence[tuple[int, int]]) -> int:
    """The mean of the three highest days; of as many as there are, if fewer."""
    highest = sorted((mw for _, mw in days), reverse=True)[:3]
    return sum(highest) // len(highest) if highest else 0


def record(contract: DemandWindow, months: tuple[Month, ...], window: WindowSummary) -> tuple[Month, ...]:
    """`months` with a window that is over. What was only assumed raises no peak: it must not allow a higher one."""
    key, day = month_of(window.from_ms, contract.zone), day_of(window.from_ms, contract.zone)
    lasted = max(1, window.until_ms - window.from_ms)
    known_mw = window.known_wh * 3_600_000_000 // lasted
    billed = min(window.billed_mw, known_mw * weight(contract, window.from_ms) // 1_000)
    old = next((each for each in months if each.key == key), Month(key))
    days = dict(old.days)
    days[day] = max(days.get(day, 0), billed)
    new = msgspec.structs.replace(old, peak_mw=max(old.peak_mw, billed), days=tuple(sorted(days.items())))
    kept = [each for each in months if each.key != key]
    return tuple(sorted([*kept, new], key=lambda month: month.key))[-MONTHS:]


def billed(contract: DemandWindow, months: Sequence[Month], key: int) -> int:
    """What the month `key` (202601) is billed with so far, in mW."""
    month = next((each for each in months if each.key == key), Month(key))
    if contract.billing == "top_3_days":
        return max(contract.floor_mw, contract.contracted_mw, top_mean(month.days))
    if contract.billing == "mean_12":
        last = _number(key)
        peaks = [max(contract.floor_mw, each.peak_mw) for each in months if last - 12 < _number(each.key) <= last]
        return sum(peaks) // len(peaks) if peaks else contract.floor_mw
    return max(contract.floor_mw, contract.contracted_mw, month.peak_mw)


def _number(key: int) -> int:
    """Months counted through, so that January follows December."""
    return key // 100 * 12 + key % 100
