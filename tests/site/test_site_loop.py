"""The loop over simulated chargers, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from tests.site.site_kit import TEXT, Small

from pilotwire.domain.energy import Limit
from pilotwire.site.ports import EvseStatus, Told
from pilotwire.site.simulated import Lie


def filled(**options: object) -> Small:
    small = Small(**options)  # type: ignore[arg-type]
    for id in "abd":
        small.chargers[id].plug(32_000)
    small.chargers["c"].plug(16_000, 1)
    small.loop.hear("cloud", None)
    small.run(40)
    return small


def test_cars_get_what_the_fuses_carry() -> None:
    small = filled()
    flows = small.plant.flows("garage")
    assert all(38_000 <= ma <= 40_000 for ma in flows[2:])
    assert max(small.plant.flows("grid")) <= 63_000
    assert small.marks() == set()
    assert not small.said


def test_a_step_of_the_building_is_answered_at_the_next_reading() -> None:
    small = filled()
    told: list[int] = []
    offer = small.chargers["d"].offer

    def spy(value: int, phases: Literal[1, 3] | None, valid_ms: int, done: Callable[[Told], None]) -> None:
        told.append(int(small.time.now()))
        offer(value, phases, valid_ms, done)

    small.chargers["d"].offer = spy  # type: ignore[method-assign]
    at = int(small.time.now())
    small.side("grid", (30_000, 30_000, 30_000))
    small.run(2)
    # A reading each second, 0.1 s on the way, and a look each 0.1 s.
    assert told and told[0] - at <= 1_250
    small.run(6)
    assert max(small.plant.flows("grid")) <= 63_000


def test_a_charger_that_is_told_nothing_new_is_told_only_to_keep_its_watchdog_content() -> None:
    small = filled()
    sent = {id: teller.sent for id, teller in small.loop.tellers.items()}
    small.run(60)
    assert {id: teller.sent - sent[id] for id, teller in small.loop.tellers.items()} == dict.fromkeys("abcd", 6)


def test_our_end_is_the_watchdogs_beginning() -> None:
    small = filled()
    small.loop._running = False  # as a killed process: nobody is told anything
    small.loop._timer.cancel()  # type: ignore[union-attr]
    for charger in small.chargers.values():
        charger.link = False  # nobody reads them either
    small.run(36)
    assert set(small.drawn().values()) == {6_000}


def test_a_lost_charger_is_kept_free_with_what_it_may_draw() -> None:
    small = filled()
    before = small.drawn()["a"]
    small.chargers["a"].link = False
    small.run(6)
    assert ("a", "offline") in small.marks()
    assert small.loop.state.chargers["a"].may == before
    small.side("grid", (40_000, 40_000, 40_000))
    small.run(9)
    assert max(small.plant.flows("grid")) <= 63_000, "the others have made room"
    assert small.drawn()["a"] == before, "which it does not"
    small.run(30)
    assert small.loop.state.chargers["a"].may == 6_000
    small.chargers["a"].link = True
    small.side("grid", (0, 0, 0))
    small.run(60)
    assert small.marks() == {("cloud", "source_lost")}
    assert small.drawn()["a"] > 6_000


def test_one_that_takes_no_commands_is_counted_with_what_it_had() -> None:
    small = filled()
    before = small.drawn()["d"]
    small.chargers["d"].deaf = True
    small.side("grid", (30_000, 30_000, 30_000))
    small.run(5)
    assert ("d", "unanswered") in small.marks()
    assert small.loop.state.chargers["d"].may >= before
    small.run(8)
    assert max(small.plant.flows("grid")) <= 63_000
    small.chargers["d"].deaf = False
    small.run(20)
    assert ("d", "unanswered") not in small.marks()


def test_who_hears_again_when_it_was_left_alone_is_given_time_to_answer() -> None:
    small = filled()
    charger, teller = small.chargers["d"], small.loop.tellers["d"]
    rested: list[int] = []
    rest = charger.rest
    charger.rest = lambda ms: (rested.append(ms), rest(ms))[1]  # type: ignore[method-assign]
    charger.latency_ms = 1_800
    charger.deaf = True
    small.side("grid", (55_000, 55_000, 55_000))
    small.run(10)
    assert len(rested) == 1, "it takes no command"
    charger.deaf = False
    small.run(45)
    assert len(rested) == 1, "its answer was on the way"
    assert teller.rests == 0 and teller.link.open is None
    assert ("d", "unanswered") not in small.marks()


def test_who_comes_late_or_back_is_not_left_alone_for_what_it_could_not_hear() -> None:
    """Stations reconnect some seconds after a start of the box: what was told before is no disobedience."""
    small = Small()
    rested: list[str] = []
    for id, charger in small.chargers.items():
        charger.rest = lambda ms, id=id: rested.append(id)  # type: ignore[method-assign]
        charger.link = False
        charger.plug(32_000)
    small.run(10)
    for charger in small.chargers.values():
        charger.link = True
    small.run(40)
    assert rested == [] and all(small.drawn().values())
    small.chargers["d"].link = False
    small.run(40)
    small.side("grid", (55_000, 55_000, 55_000))
    small.run(10)
    small.chargers["d"].link = True
    small.run(10)
    assert rested == []
    small.side("grid", (0, 0, 0))
    small.run(60)
    assert small.drawn()["d"] > 6_000
    small.chargers["d"].deaf = True
    small.side("grid", (60_000, 60_000, 60_000))
    small.chargers["d"].notice_ms = 600
    for _ in range(6):
        small.run(2)
        small.chargers["d"].link = False
        small.run(6)
        small.chargers["d"].link = True
    assert "d" in rested, "coming and going is no excuse"


def test_a_lost_meter_leads_to_what_the_building_takes_at_most() -> None:
    small = filled()
    small.meters["main"].link = False
    small.run(10)
    assert max(small.plant.flows("grid")) > 50_000, "a reading counts for as long as its deadline says"
    small.run(10)
    assert ("grid", "meter_lost") in small.marks()
    assert max(small.plant.flows("grid")) <= 63_000 - 20_000
    small.meters["main"].link = True
    small.run(60)
    assert small.marks() == {("cloud", "source_lost")}


@pytest.mark.parametrize("lie", ["nan", "zero", "frozen", "jump", "sign"])
def test_a_meter_that_lies_gives_no_room(lie: Lie) -> None:
    small = filled(text=TEXT.replace("watchdog_s: 30", "watchdog_s: 30, frozen_s: 15"))
    small.side("grid", (10_000, 10_000, 10_000))
    small.run(10)
    small.meters["main"].lie = lie
    if lie == "frozen":
        small.side("grid", (20_000, 20_000, 20_000))
    small.run(40)
    assert max(small.plant.flows("grid")) <= 63_000
    assert lie == "sign" or ("grid", "meter_lost") in small.marks()
    small.meters["main"].lie = ""
    small.side("grid", (5_000, 5_000, 5_000))
    small.run(60)
    assert small.marks() == {("cloud", "source_lost")}


def test_what_pv_feeds_in_is_believed_where_it_is_declared() -> None:
    for feeds, believed in (("", False), ("feeds_a: 40\n    ", True)):
        small = filled(text=TEXT.replace("side_lost_a: 20", f"{feeds}side_lost_a: 20"))
        small.side("grid", (-35_000, -35_000, -35_000))
        small.run(20)
        assert (("grid", "meter_suspect") not in small.marks()) == believed


def test_a_silent_cloud_is_not_believed_for_ever() -> None:
    small = filled()
    small.loop.hear("cloud", Limit(source="cloud", power_mw=20_000_000))
    small.run(8)
    assert sum(small.plant.flows("grid")) * 230 <= 20_000_000
    small.run(60)
    assert ("cloud", "source_lost") in small.marks()
    assert 40_000 <= max(small.plant.flows("grid")) <= 45_000
    small.loop.hear("cloud", None)
    small.run(40)
    assert max(small.plant.flows("grid")) > 45_000


def test_a_source_that_nobody_named_is_refused() -> None:
    with pytest.raises(LookupError, match="nobody"):
        filled().loop.hear("nobody", None)


def test_clock_steps_change_nothing() -> None:
    small, other = filled(), filled()
    for step in (86_400_000, -86_400_000 * 3, 5):
        small.utc_offset += step
        small.run(20)
        other.run(20)
        assert small.set_points() == other.set_points()
        assert small.drawn() == other.drawn()


def test_a_tick_that_fails_commands_the_safe_state_and_the_next_goes_on() -> None:
    small = filled()

    def fails(*arguments: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    real = small.loop._decide
    small.loop._decide = fails  # type: ignore[assignment]
    small.run(10)
    assert small.loop.counts.failures >= 9
    assert set(small.drawn().values()) == {6_000}
    assert ("site", "safe_state") in small.marks()
    assert "a fault of ours" in small.said[0]
    small.loop._decide = real
    small.run(60)
    assert small.marks() == {("cloud", "source_lost")}
    assert max(small.drawn().values()) > 6_000


def test_a_driver_that_raises_is_that_chargers_fault_alone() -> None:
    small = filled()

    def broken() -> EvseStatus:
        raise OSError("no such bus")

    small.chargers["a"].status = broken  # type: ignore[method-assign]
    small.run(20)
    assert small.loop.counts.failures == 0
    assert ("a", "offline") in small.marks()
    assert small.drawn()["d"] > 6_000


def test_who_stops_tells_the_safe_value() -> None:
    small = filled()
    over: list[int] = []
    small.loop.stop(5_000, lambda: over.append(int(small.time.now())))
    begun = int(small.time.now())
    small.run(1)
    assert over and over[0] - begun < 500
    small.run(9)
    assert set(small.drawn().values()) == {6_000}
    ticks = small.loop.counts.ticks
    small.run(10)
    assert small.loop.counts.ticks == ticks


def test_stopping_waits_no_longer_than_it_was_told() -> None:
    small = filled()
    small.chargers["a"].mute = True
    over: list[int] = []
    begun = int(small.time.now())
    small.loop.stop(2_000, lambda: over.append(int(small.time.now())))
    small.run(10)
    assert over == [begun + 2_000]


def test_the_failsafe_registers_are_set_at_the_start_and_whenever_a_charger_returns() -> None:
    small = filled()
    charger = small.chargers["b"]
    assert (charger.failsafe_value, charger.watchdog_ms) == (6_000, 30_000)
    charger.power(False)
    small.run(5)
    charger.failsafe_value, charger.watchdog_ms = 32_000, 600_000  # somebody has changed it meanwhile
    charger.power(True)
    small.run(3)
    assert (charger.failsafe_value, charger.watchdog_ms) == (6_000, 30_000)


def test_a_charger_that_did_not_take_its_failsafe_is_asked_again() -> None:
    small = Small()
    charger = small.chargers["b"]
    charger.has_failsafe = False  # its firmware refuses, for now
    small.run(20)
    assert charger.failsafe_value != 6_000
    assert ("b", "unverified") in small.marks()
    charger.has_failsafe = True
    small.run(31)
    assert (charger.failsafe_value, charger.watchdog_ms) == (6_000, 30_000)
    assert ("b", "unverified") not in small.marks()


def test_a_charger_that_never_confirmed_its_failsafe_and_goes_counts_with_its_maximum() -> None:
    small = Small()
    small.chargers["b"].has_failsafe = False
    small.run(20)
    small.chargers["b"].link = False
    small.run(60)
    assert small.loop.state.chargers["b"].may == 32_000, "nobody knows what it falls back to"
    assert small.loop.state.chargers["a"].verified


def test_an_evse_out_of_service_is_told_nothing_but_0_and_nothing_is_kept_free_for_it() -> None:
    text = TEXT.replace("{id: d, node: grid,", "{id: d, node: grid, in_service: false,")
    small = filled(text=text)
    assert small.set_points()["d"] == 0
    assert small.marks() == {("d", "out_of_service")}
    small.chargers["d"].link = False
    small.run(10)
    assert small.loop.state.chargers["d"].may == 0
