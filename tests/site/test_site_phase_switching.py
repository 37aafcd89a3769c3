"""`phase_switching` of a site's file, from the file to the relay: one phase before a car stops, three when they fit."""

from __future__ import annotations

from pathlib import Path

from tests.site.site_kit import Small, config_of
from tests.site.test_site_parts import SITE

from pilotwire.site.config import read
from pilotwire.site.parts import abilities, findings

TEXT = """
site: {id: small}
nodes:
  - id: grid
    kind: connection
    meter: main
    side_lost_a: 2
    limits: [{source: fuse, current_a: 16}]
devices:
  - {id: main, kind: meter, file: none, endpoint: none}
failsafe: {current_a: 6, watchdog_s: 30}
evses:
  - {id: a, node: grid, rotation: STR, maximum_a: 16, phase_switching: true, charger: {ocpp: A}}
"""


def test_it_falls_to_one_phase_before_it_stops_and_goes_back() -> None:
    small = Small(TEXT)
    charger = small.chargers["a"]
    charger.plug(16_000)
    small.run(60)
    assert (charger.drawn, charger.phases) == (16_000, 3)
    small.side("grid", (14_000, 2_000, 13_000))  # the EVSE's L1 is wired to the grid's L2
    small.run(60)
    assert (charger.drawn, charger.phases) == (14_000, 1)
    assert ("a", "unanswered") not in small.marks()
    small.side("grid", (1_000, 1_000, 1_000))
    small.run(300)
    assert charger.phases == 1, "not before there has been room for ten minutes"
    small.run(1_000)
    assert (charger.drawn, charger.phases) == (15_000, 3)
    assert charger.switched_under_current == 0


def test_the_driver_is_told_that_it_can() -> None:
    config = config_of(TEXT)
    assert abilities(config, config.evses[0]).phase_switching
    other = config_of(TEXT.replace("phase_switching: true, ", ""))
    assert not abilities(other, other.evses[0]).phase_switching


def test_a_charger_that_cannot_be_told_is_named(tmp_path: Path) -> None:
    for file, wrong in (("keba-p30", ["evses[d].phase_switching"]), ("keba-p40", [])):
        line = f"rotation: RST, maximum_a: 32, charger: {{file: {file}, endpoint: 'tcp://127.0.0.1:9'}}"
        text = SITE.replace("rotation: RST, maximum_a: 32, charger: {ocpp: D}", f"phase_switching: true, {line}")
        assert text != SITE
        config, _ = read(text)
        assert config is not None
        where = [each.where for each in findings(config, tmp_path)]
        assert [each for each in where if "phase" in each] == wrong
