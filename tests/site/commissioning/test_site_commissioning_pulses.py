"""Pulses over a plant in virtual time: every rotation is found, no limit is exceeded, and what breaks is told."""

from __future__ import annotations

import random

from tests.site.commissioning.commissioning_kit import REAL, Six, six


def plugged(site: Six, phases: int = 1) -> Six:
    for charger in site.chargers.values():
        charger.plug(16_000, 1 if phases == 1 else 2 if phases == 2 else 3)
    return site


def test_all_rotations_are_found_one_after_the_other() -> None:
    site = plugged(Six(six()))
    site.plant.side["grid"] = (3_000, 7_000, 1_000)
    site.detect()
    found = {each.evse: each for each in site.until_done()}
    assert {id: (each.outcome, each.rotation) for id, each in found.items()} == {
        id: ("found", rotation) for id, rotation in REAL.items()
    }
    assert all(each.confidence == 1_000 and each.agrees is None and not each.elsewhere for each in found.values())
    assert {id: each.node for id, each in found.items()} == {id: "garage" if id in "abcd" else "grid" for id in REAL}
    assert not site.over
    assert site.quiet


def test_a_swapped_rotation_is_told_and_another_is_confirmed() -> None:
    site = plugged(Six(six({"a": "STR", "b": "SRT"})))
    site.detect([each for each in site.steps() if each.evse in "ab"])
    a, b = site.until_done()
    assert (a.outcome, a.rotation, a.agrees) == ("found", "RST", False)
    assert "written down is L2 (STR)" in a.words and "Accept RST" in a.todo
    assert (b.outcome, b.rotation, b.agrees) == ("found", "SRT", True)


def test_a_car_on_two_phases_shows_where_it_is_not() -> None:
    site = plugged(Six(six()), phases=2)
    site.detect([each for each in site.steps() if each.evse == "b"])
    (b,) = site.until_done()
    assert (b.outcome, b.phases, b.rotation) == ("found", (2, 3), "STR")


def test_a_car_on_three_phases_says_nothing_of_the_rotation() -> None:
    site = plugged(Six(six()), phases=3)
    site.detect([each for each in site.steps() if each.evse == "e"])
    (e,) = site.until_done()
    assert (e.outcome, e.rotation) == ("three_phases", "")
    assert "one phase" in e.todo


def test_an_evse_that_hangs_elsewhere_is_found_there() -> None:
    """In the draft f is below the connection, really it is in the garage."""
    site = plugged(Six(six(), {"f": "garage"}))
    site.detect([each for each in site.steps() if each.evse == "f"])
    (f,) = site.until_done()
    assert (f.outcome, f.node, f.elsewhere, f.rotation) == ("found", "garage", True, "TRS")
    assert "below garage" in f.todo


def test_an_evse_that_is_not_below_its_meter_is_found_above() -> None:
    site = plugged(Six(six(), {"a": "grid"}))
    site.detect([each for each in site.steps() if each.evse == "a"])
    (a,) = site.until_done()
    assert (a.outcome, a.node, a.elsewhere) == ("found", "grid", True)


def test_a_car_that_leaves_in_mid_pulse_ends_that_evse_alone() -> None:
    site = plugged(Six(six()))
    site.detect([each for each in site.steps() if each.evse in "ab"])
    site.run(25)
    site.chargers["a"].unplug()
    a, b = site.until_done()
    assert a.outcome == "car_left" and "Plug a car in that stays" in a.todo
    assert (b.outcome, b.rotation) == ("found", "STR")


def test_a_meter_that_is_lost_ends_it_and_nothing_is_exceeded() -> None:
    site = plugged(Six(six()))
    site.detect([each for each in site.steps() if each.evse == "a"])
    site.run(25)
    site.meters["sub"].link = False
    (a,) = site.until_done()
    assert a.outcome == "meter_lost" and "garage" in a.words
    assert not site.over and site.quiet


def test_a_charger_that_does_not_follow_is_told() -> None:
    site = plugged(Six(six()))
    site.run(10)
    site.chargers["a"].deaf = True
    site.detect([each for each in site.steps() if each.evse == "a"])
    (a,) = site.until_done()
    assert a.outcome in ("not_following", "offline") and a.todo
    assert not site.over and site.quiet


def test_without_a_car_and_without_a_charger() -> None:
    site = Six(six())
    site.chargers["b"].link = False
    site.detect([each for each in site.steps() if each.evse in "ab"])
    a, b = site.until_done()
    assert (a.outcome, b.outcome) == ("no_car", "offline")


def test_a_building_that_leaves_no_room_is_said_and_not_exceeded() -> None:
    site = plugged(Six(six()))
    site.plant.side["grid"] = (55_000, 55_000, 55_000)
    site.detect([each for each in site.steps() if each.evse == "e"])
    (e,) = site.until_done()
    assert e.outcome == "no_room" and "too little" in e.words
    assert not site.over


def test_who_is_cancelled_takes_every_order_back() -> None:
    site = plugged(Six(six()))
    site.detect()
    site.run(40)
    assert not site.quiet
    site.driven.cancel()
    assert site.quiet
    done: list[bool] = []
    site.loop.stop(5_000, lambda: done.append(True))
    site.run(20)
    assert done and all(each.setpoint <= 6_000 for each in site.chargers.values())


def test_a_restless_building_gives_no_wrong_answer() -> None:
    """Side loads that jump: found rightly, or not at all."""
    draw = random.Random(5)
    site = plugged(Six(six()))

    def jump() -> None:
        site.time.call_later(draw.randint(2_000, 9_000), jump)
        site.plant.side["grid"] = (draw.randint(0, 14_000), draw.randint(0, 14_000), draw.randint(0, 14_000))

    jump()
    site.detect()
    found = site.until_done()
    assert all(each.rotation in ("", REAL[each.evse]) for each in found), found
    assert not site.over
