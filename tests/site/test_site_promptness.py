"""From a meter's reading to the last charger: how many of the loop's steps are in between, in virtual time.

What a machine takes for them is measured by `python -m bench --only site-loop`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from tests.site.site_kit import Small

from pilotwire.site.loop import GAP_MS, LOOK_MS
from pilotwire.site.ports import Told

COUNT = 24
TEXT = """
site: {id: wide}
nodes:
  - id: grid
    kind: connection
    meter: main
    side_lost_a: 100
    limits: [{source: fuse, current_a: 298.9}]
devices:
  - {id: main, kind: meter, file: none, endpoint: none}
failsafe: {current_a: 6, watchdog_s: 60}
evses:
""" + "".join(
    f"  - {{id: bay-{at:02}, node: grid, rotation: RST, maximum_a: 16, charger: {{ocpp: S{at}}}}}\n"
    for at in range(COUNT)
)


def watched(site: Small) -> list[tuple[int, str, int]]:
    """(when, who, what) of each command, as it leaves the loop."""
    left: list[tuple[int, str, int]] = []

    def of(id: str, offer: Callable[..., None]) -> Callable[..., None]:
        def told(value: int, phases: Literal[1, 3] | None, valid_ms: int, done: Callable[[Told], None]) -> None:
            left.append((int(site.time.now()), id, value))
            offer(value, phases, valid_ms, done)

        return told

    for id, charger in site.chargers.items():
        charger.offer = of(id, charger.offer)  # type: ignore[method-assign]
    return left


def settled() -> Small:
    site = Small(TEXT)
    site.side("grid", (10_000, 10_000, 10_000))
    for charger in site.chargers.values():
        charger.plug(16_000)
    site.run(90)
    assert set(site.set_points().values()) == {12_000}
    return site


def reading_after(site: Small, level: int) -> int:
    """When the meter has first been read with that load; the time stands there."""
    (meter,) = site.meters.values()
    while site.loop.inputs is None or meter.points()["current_l1_ma"].value < level:
        site.time.run_for(1)
    return int(site.time.now())


def test_all_are_lowered_in_the_first_tick_that_may_be_after_the_reading() -> None:
    """Nobody waits for the ceiling of a second, for another's answer or for a turn of his own."""
    site = settled()
    left = watched(site)
    for _ in range(3):
        left.clear()
        site.side("grid", (82_000, 82_000, 82_000))
        read = reading_after(site, 360_000)
        site.run(1)
        first = {id: (at, value) for at, id, value in reversed(left)}
        assert {value for _, value in first.values()} == {9_000} and len(first) == COUNT
        assert len({at for at, _ in first.values()}) == 1, "one tick tells everybody"
        assert max(at for at, _ in first.values()) - read <= LOOK_MS + GAP_MS
        site.side("grid", (10_000, 10_000, 10_000))
        site.run(60)
        assert set(site.set_points().values()) == {12_000}


def test_all_are_raised_in_one_tick_once_their_last_change_is_over() -> None:
    site = settled()
    site.side("grid", (82_000, 82_000, 82_000))
    site.run(60)
    assert set(site.set_points().values()) == {9_000}
    left = watched(site)
    site.side("grid", (10_000, 10_000, 10_000))
    site.run(3)
    raised = [(at, id) for at, id, value in left if value == 12_000]
    assert {id for _, id in raised} == set(site.chargers)
    assert len({at for at, _ in raised}) == 1


def test_a_charger_that_never_answers_holds_nobody_up() -> None:
    site = settled()
    site.chargers["bay-03"].deaf = True
    site.run(5)
    left = watched(site)
    site.side("grid", (82_000, 82_000, 82_000))
    read = reading_after(site, 360_000)
    site.run(1)
    first = {id: at for at, id, _ in reversed(left)}
    assert set(first) >= set(site.chargers) - {"bay-03"}
    assert max(at for id, at in first.items() if id != "bay-03") - read <= LOOK_MS + GAP_MS
