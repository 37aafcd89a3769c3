"""A dry run in virtual time: nobody hears a word, and what went over which limit is told to the second."""

from __future__ import annotations

from tests.site.commissioning.commissioning_kit import Six, six

from pilotwire.site.commissioning.bench import loop_of, plain_site
from pilotwire.site.commissioning.dry import Tally, verdict
from pilotwire.site.commissioning.silent import Silent


def dry(site: Six) -> Tally:
    """A loop that tells nobody anything, beside the plant; the kit's own is stopped first."""
    site.loop.stop(0, lambda: None)
    site.run(10)
    drivers = Silent(site)
    watched = plain_site(site.config)
    tally = Tally(watched, drivers, lambda: int(site.time.now()))
    loop = loop_of(
        watched, drivers, site.time, utc=lambda: int(site.time.now()), report=site.said.append, shown=tally.see
    )
    loop.start()
    return tally


def test_nobody_hears_a_word_and_what_would_have_been_said_is_counted() -> None:
    site = Six(six())
    tally = dry(site)
    for charger in site.chargers.values():
        charger.plug(32_000, 3)
    before = {id: (each._offers, each.failsafe_value, each.watchdog_ms) for id, each in site.chargers.items()}
    site.run(60)
    assert {id: (each._offers, each.failsafe_value, each.watchdog_ms) for id, each in site.chargers.items()} == before
    report = tally.report()
    assert 55 <= report.seconds <= 60 and report.commands
    assert {each.evse for each in report.evses if each.car_s > 50} == set(site.chargers)


def test_what_was_exceeded_without_us_is_told_with_its_limit_its_height_and_its_length() -> None:
    site = Six(six())
    tally = dry(site)
    for id in "abcd":
        site.chargers[id].setpoint = 16_000
        site.chargers[id].plug(16_000, 3)
    site.run(20)
    for id in "abcd":
        site.chargers[id].unplug()
    site.run(20)
    report = tally.report()
    rows = {(each.node, each.what): each for each in report.violations}
    assert set(rows) == {("garage", "L1"), ("garage", "L2"), ("garage", "L3"), *(
        ("grid", f"L{phase}") for phase in (1, 2, 3))}, rows  # fmt: skip
    over = rows["garage", "L1"]
    assert (over.limit, over.highest, over.source) == (40_000, 64_000, "fuse")
    assert 12 <= over.seconds <= 17
    assert report.flows["garage"] == (64_000, 64_000, 64_000)
    assert all(each.drew_more_s > 5 for each in report.evses if each.evse in "abcd")
    assert "above fuse" in verdict(report, 40)[0]


def test_a_meter_that_is_not_there_is_the_first_thing_to_mend() -> None:
    site = Six(six())
    site.meters["sub"].link = False
    tally = dry(site)
    site.run(40)
    words, todo = verdict(tally.report(), 40)
    assert "meter" in words and "Mend that first" in todo
