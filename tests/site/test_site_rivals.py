"""Somebody who writes a charger's set-point beside us, and orders that contradict each other, are told, on record."""

from __future__ import annotations

from typing import Any

from tests.site.site_kit import Small

from pilotwire.site.facades.orders import ExternalLimits, Order
from pilotwire.site.rivals import Contested, Rivals
from pilotwire.site.simulated import SimCharger


class Fought(SimCharger):
    """A charger that somebody else writes to."""

    contested = 0


async def test_three_times_within_ten_minutes_is_told() -> None:
    small = Small()
    said, noted = list[str](), list[str]()
    fought = small.chargers["a"]
    fought.__class__ = Fought
    assert isinstance(fought, Fought)
    assert [isinstance(small.chargers[id], Contested) for id in ("a", "b")] == [True, False]
    fought.contested = 7  # of before: says nothing
    part = Rivals(said.append, lambda by, what, refused: noted.append(f"{by}: {what}"))
    await part.start(small.loop)
    for wait in (5, 700, 5, 5):
        small.run(wait)
        assert not said
        fought.contested += 1
    small.run(5)
    (text,) = said
    assert "set-point of a" in text and "3 times in 10 s" in text
    assert noted == [f"somebody at a: {text.partition(';')[0]}"]
    for _ in range(9):
        fought.contested += 1
        small.run(60)
    assert len(said) == 1, "not each minute"
    small.run(3_600)
    for _ in range(3):
        fought.contested += 1
        small.run(5)
    assert len(said) == 2, "but again while it goes on"
    await part.stop()


def test_a_mode_contradicts_another_mode_and_no_figure() -> None:
    limits = ExternalLimits()

    def order(client: str, channel: str, **what: Any) -> None:
        limits.put(Order(channel=channel, client=client, evse="a", until_ms=60_000, **what), 0)

    order("10.0.0.7", "own", phases_ma=(8_000,) * 3)
    order("broker", "broker mode", mode="pv")
    assert limits.fights == []
    order("sparkplug", "sparkplug mode", mode="pv")
    assert limits.fights == []
    order("sparkplug", "sparkplug mode", mode="now")
    assert [fight.clients for fight in limits.fights] == [("broker", "sparkplug")]
    assert limits.at(0).evses["a"].mode == "pv", "of several the one that gives least"
    assert limits.at(60_000).evses == {}
