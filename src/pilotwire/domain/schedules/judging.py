"""Does a station's own composite schedule follow from the profiles that it has accepted?

We do not know all that a station knows: what its hardware gives, how many of its phases are in use, when exactly energy
could first flow, what another system told it. So it is judged by what must hold whatever those are:

- never above what the profiles allow (`above`);
- never below the lower of that and the highest rate that it states itself, which stands for its hardware (`below`);
- a schedule at all (`empty`), of no other length than asked for (`longer`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec import structs

from .compare import Difference, differences
from .engine import Engine
from .model import EXTERNAL, Circumstances, Composite, Interval, Place, Profile, Transaction

_RELATIVE_SLACK_MS = 300_000
"""How long a relative schedule may differ: when energy could first flow is not always when the transaction began."""
_SLACK_MS = 2_000
_VOLTS = (230_000, 400_000)


class Judgement(NamedTuple):
    """What is wrong with an answer."""

    why: str
    """above, below, empty or longer."""
    expected: Composite
    differences: tuple[Difference, ...] = ()


def judge(
    profiles: Iterable[Profile],
    answered: Composite,
    asked_ms: int,
    transactions: Mapping[int, Transaction],
    *,
    unknown_caps: bool = False,
) -> Judgement | None:
    """What is wrong with `answered`; None: nothing that can be said for sure.

    `transactions` by EVSE, in the station's own time. `unknown_caps`: another system limits the station, how is not
    known: then only what is above is wrong.
    """
    known = tuple(profiles)
    engine = Engine(known)
    guesses = [
        (
            phases,
            engine.composite(
                now=answered.start,
                duration_ms=min(asked_ms, answered.duration_ms) or asked_ms,
                evse=answered.evse,
                unit=answered.unit,
                around=Circumstances(
                    places={answered.evse: Place(mv, phases)} if answered.evse else {},
                    transactions=transactions,
                ),
            ),
        )
        for mv in _VOLTS
        for phases in (3, 2, 1)
    ]
    first = guesses[0][1]
    if not answered.intervals:
        return Judgement("empty", first)
    if answered.duration_ms > asked_ms:
        return Judgement("longer", first)
    if any(schedule.random_delay_ms for profile in known for schedule in profile.schedules) and transactions:
        return None  # which delays the station has drawn is its own
    relative = any(profile.kind == "Relative" or profile.schedules[0].start is None for profile in known)
    slack = _RELATIVE_SLACK_MS if relative else _SLACK_MS
    partial = (
        unknown_caps
        or answered.evse == 0
        or any(profile.purpose == EXTERNAL or profile.max_offline_ms is not None for profile in known)
    )
    verdicts = [_compare(guess, answered, slack, phases, partial=partial) for phases, guess in guesses]
    # As the station is wired, one of the guesses is right: what all of them find wrong is wrong.
    return None if any(verdict is None for verdict in verdicts) else verdicts[0]


def _compare(expected: Composite, answered: Composite, slack: int, phases: int, *, partial: bool) -> Judgement | None:
    found = differences(expected, answered)
    above = tuple(
        each
        for each in found
        if each.length_ms > slack
        and each.expected is not None
        and (each.answered is None or each.answered > each.expected)
    )
    if above:
        return Judgement("above", expected, above)
    if partial:
        return None
    # What the hardware gives: the highest that it states, where we allow more than that. In W it gives so much on each
    # phase, and not every period uses them all.
    watts = answered.unit == "W"
    most = max(
        (
            value * 3 // (each.phases or phases) if watts else value
            for each in answered.intervals
            if (value := _limit(each, answered.unit)) is not None
        ),
        default=0,
    )
    capped = expected._replace(
        intervals=tuple(
            _capped(each, most * (each.phases or phases) // 3 if watts else most, answered.unit)
            for each in expected.intervals
        )
    )
    below = tuple(
        each
        for each in differences(capped, answered)
        if each.length_ms > slack
        and each.expected is not None
        and each.answered is not None
        and each.answered < each.expected
    )
    return Judgement("below", expected, below) if below else None


def _limit(interval: Interval, unit: str) -> int | None:
    if interval.limit is None:
        return None
    more = (interval.limit_l2 or 0) + (interval.limit_l3 or 0) if unit == "W" else 0
    return interval.limit + more


def _capped(interval: Interval, most: int, unit: str) -> Interval:
    limit = _limit(interval, unit)
    return interval._replace(limit=most if limit is None else min(limit, most), limit_l2=None, limit_l3=None)


def stripped(profile: Profile) -> Profile:
    """Without what came on the wire: the command that set it has that."""
    return structs.replace(profile, wire="")
