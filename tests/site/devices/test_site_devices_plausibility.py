"""What plausibility says of right devices (nothing), of figures that cannot be, and of files with seeded errors."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.site.devices.seeded import UNSEEN, Day, caught, seeded

from pilotwire.site.devices.layout import resolve
from pilotwire.site.devices.load import library_paths, load_device
from pilotwire.site.devices.plausibility import follows, follows_power, plausibility

DEVICES = [device for path in library_paths() if not (device := load_device(path)).sunspec]
METER: dict[str, Any] = {
    "voltage_l1_mv": 231_000, "voltage_l2_mv": 229_000, "voltage_l3_mv": 232_000,
    "current_l1_ma": 10_000, "current_l2_ma": 5_000, "current_l3_ma": 0,
    "power_l1_mw": 2_280_000, "power_l2_mw": 1_130_000, "power_l3_mw": 0, "power_mw": 3_410_000,
    "frequency_mhz": 49_980, "energy_import_wh": 1_000_000, "energy_export_wh": 5_000,
    "power_factor_permille": 990,
}  # fmt: skip
CHARGER: dict[str, Any] = {
    "state": "C", "cable": 1, "current_l1_ma": 16_000, "current_l2_ma": 16_000, "current_l3_ma": 16_000,
    "power_mw": 11_000_000, "offered_ma": 16_000, "failsafe_ma": 6_000, "watchdog_ms": 30_000, "session_wh": 5_000,
    "energy_import_wh": 900_000,
}  # fmt: skip


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.id)
def test_a_right_device_with_its_right_file_has_no_finding(device: Any) -> None:
    day = Day(device)
    assert not day.simulator.unsayable
    assert [finding for findings in day.scenes(resolve(device)) for finding in findings] == []
    assert day.commands(resolve(device)) == []


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"voltage_l1_mv": 23_100}, "range"),
        ({"voltage_l1_mv": 0}, "range"),
        ({"voltage_l1_mv": 270_000, "power_l1_mw": 2_600_000, "power_mw": 3_730_000}, "phases"),
        ({"voltage_l1_mv": None}, "absent"),
        ({"frequency_mhz": 5_000}, "range"),
        ({"current_l1_ma": 1_000}, "power"),
        ({"current_l1_ma": 100_000}, "power"),
        ({"current_l1_ma": -10_000}, "sign"),
        ({"power_l2_mw": -1_130_000}, "total"),
        ({"power_mw": 34_100_000}, "total"),
        ({"power_factor_permille": 99}, "power"),
        ({"apparent_mva": 1_000_000}, "apparent"),
        ({"reactive_mvar": 9_000_000, "apparent_mva": 3_450_000}, "apparent"),
    ],
)
def test_a_figure_of_a_meter_that_cannot_be(changed: dict[str, Any], rule: str) -> None:
    assert plausibility(METER) == []
    assert rule in {finding.rule for finding in plausibility({**METER, **changed})}


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"state": "B"}, "state"),
        ({"state": "A"}, "state"),
        ({"state": None}, "absent"),
        ({"cable": 0}, "state"),
        ({"offered_ma": 6_000}, "charger"),
        ({"offered_ma": 160_000}, "range"),
        ({"failsafe_ma": 600}, "charger"),
        ({"power_mw": -11_000_000}, "sign"),
        ({"current_l2_ma": -16_000}, "sign"),
        ({"session_wh": 950_000}, "charger"),
    ],
)
def test_a_figure_of_a_charger_that_cannot_be(changed: dict[str, Any], rule: str) -> None:
    assert plausibility(CHARGER, kind="charger") == []
    assert rule in {finding.rule for finding in plausibility({**CHARGER, **changed}, kind="charger")}


@pytest.mark.parametrize(
    ("imported", "exported", "rule"),
    [
        (3_410, 0, None),
        (34_100, 0, "energy"),
        (341, 0, "energy"),
        (0, 0, "frozen"),
        (-500, 0, "energy"),
        (3_410, 3_410, "energy"),
    ],
)
def test_energies_grow_as_the_power_says(imported: int, exported: int, rule: str | None) -> None:
    later = {**METER, "energy_import_wh": 1_000_000 + imported, "energy_export_wh": 5_000 + exported}
    found = plausibility(later, earlier=METER, elapsed_ms=3_600_000)
    assert {finding.rule for finding in found} == ({rule} if rule else set())


def test_rules_that_no_other_rule_stands_in_for() -> None:
    """Devices that say little have one rule alone against an error."""
    giving = {"power_mw": -3_000_000, "energy_export_wh": 5_000}
    assert plausibility(giving, kind="inverter") == []
    assert [each.rule for each in plausibility({**giving, "power_mw": 3_000_000}, kind="inverter")] == ["sign"]
    apparent = {"power_mw": 2_900_000, "apparent_mva": 3_000_000}
    assert plausibility(apparent) == []
    assert [each.rule for each in plausibility({**apparent, "power_mw": 290_000})] == ["apparent"]
    (found,) = plausibility({"energy_import_wh": 400}, earlier={"energy_import_wh": 500}, elapsed_ms=10_000)
    assert (found.rule, found.text) == ("energy", "energy_import_wh ran back by 100 Wh")


def test_a_charger_gives_what_it_was_told() -> None:
    assert follows(CHARGER, 16_000) == []
    assert [finding.rule for finding in follows(CHARGER, 10_000)] == ["follows"]
    assert follows({"power_mw": 6_900_000}, 10_000) == []
    assert [finding.rule for finding in follows({"power_mw": 690_000}, 10_000)] == ["follows"]


def test_a_battery_does_what_it_was_told() -> None:
    assert follows_power({"power_mw": -1_480_000}, -1_500_000) == []
    assert follows_power({"battery_mw": 2_000_000, "power_mw": -900_000}, 2_000_000) == []
    for wrong in (1_500_000, -150_000, -15_000_000, 0):
        assert [finding.rule for finding in follows_power({"power_mw": wrong}, -1_500_000)] == ["follows"]
    assert follows_power({}, 1_000_000) == []


def test_seeded_errors_are_noticed() -> None:
    """Every eleventh of all errors there are; those of points that nothing can be held against are counted apart."""
    total, noticed, unseen = Counter[str](), Counter[str](), Counter[bool]()
    number = 0
    for device in DEVICES:
        day = Day(device)
        for each in seeded(device):
            number += 1
            if number % 11:
                continue
            found = caught(each, device, day)
            if each.name in UNSEEN:
                unseen[bool(found)] += 1
            else:
                total[each.error] += 1
                noticed[each.error] += bool(found)
    rates = {error: noticed[error] / total[error] for error in total}
    print({error: f"{noticed[error]} of {total[error]}" for error in total}, unseen)
    assert total.total() > 300
    assert noticed.total() / total.total() >= 0.95, rates
    assert min(rates.values()) >= 0.9, rates
