"""How a station comes to hold the default tariffs that it is to hold (2.1 I07, I10): as few messages as will do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from . import choice
from .model import Tariff

Held = dict[int, list[Tariff]]
"""Default tariffs by EVSE, in the order in which they were set; 0 is every EVSE that has none of its own."""


class Set(NamedTuple):
    """SetDefaultTariff."""

    evse: int
    tariff: Tariff


class Clear(NamedTuple):
    """ClearTariffs."""

    ids: tuple[str, ...]


def install(held: Held, evse: int, tariff: Tariff, now: int) -> Held:
    """What is held after a tariff was set. For all EVSEs it takes the place of what is in force at each of them."""
    if evse == 0:
        later = {
            place: [one for one in tariffs if (choice.begins(one) or 0) > now]
            for place, tariffs in held.items()
            if place != 0 and (choice.begins(tariff) or 0) <= now
        }
        held = {**held, **later}
    new = {**held, evse: choice.with_one_more(held.get(evse, ()), tariff, now)}
    return {place: tariffs for place, tariffs in new.items() if tariffs}


def plan(wanted: Mapping[int, Sequence[Tariff]], held: Mapping[int, Sequence[Tariff]], now: int) -> list[Set | Clear]:
    """From what is held to what is wanted."""
    have: Held = {evse: left for evse, tariffs in held.items() if (left := choice.kept(tariffs, now))}
    want: Held = {evse: left for evse, tariffs in wanted.items() if (left := choice.kept(tariffs, now))}
    steps: list[Set | Clear] = []
    if not all(evse in want and _grows(have[evse], want[evse], now) for evse in have):
        steps.append(Clear(tuple(dict.fromkeys(one.tariff_id for tariffs in have.values() for one in tariffs))))
        have = {}
    for evse in sorted(want):
        for tariff in want[evse]:
            if all(tariff.tariff_id != one.tariff_id for one in have.get(evse, ())):
                steps.append(Set(evse, tariff))
                have = install(have, evse, tariff, now)
    return steps


def _grows(have: Sequence[Tariff], want: Sequence[Tariff], now: int) -> bool:
    """Whether setting what is missing is enough: nothing that waits is unwanted, and what is in force is wanted or is
    replaced."""
    ids = {one.tariff_id for one in want}
    current = choice.current(have, now)
    waiting = [one for one in have if one is not current]
    if any(one.tariff_id not in ids for one in waiting):
        return False
    new = choice.current(want, now)
    return (
        current is None
        or current.tariff_id in ids
        or (new is not None and all(new.tariff_id != one.tariff_id for one in have))
    )
