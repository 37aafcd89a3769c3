"""The configuration file: what is right, and that everything wrong is said at once, each with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.site.site_kit import TEXT, config_of

from pilotwire.core.errors import ConfigError
from pilotwire.site.compiled import compile_site, findings
from pilotwire.site.config import load, read

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "site.yaml"


def said(text: str) -> dict[str, str]:
    config, found = read(text)
    if config is not None:
        found = [each for each in findings(config) if each.severity == "error"]
    return {each.where: each.text for each in found}


def test_the_example_is_a_site() -> None:
    site = compile_site(load(EXAMPLE))
    assert site.outlets["bay-2"].failsafe == 8_000
    assert site.outlets["bay-3"].watchdog_ms is None
    assert not site.outlets["yard-2"].in_service
    tree = site.topology.tree
    assert tree.nodes[0].side_lost_ma == (30_000, 25_000, 25_000)
    assert tree.nodes[0].limits[1].power_mw == 60_000_000
    assert tree.nodes[2].limits[1].from_ms == 1_772_427_600_000
    dc = site.topology.evses["yard-dc"]
    assert (dc.maximum, dc.minimum, dc.step, dc.efficiency) == (30_000_000, 5_000_000, 100_000, 940)


def test_every_mistake_is_said_at_once_with_its_place() -> None:
    text = (
        TEXT.replace("current_a: 40", "curent_a: 40")
        .replace("{id: small}", "{id: small, voltage_v: 0}")
        .replace("{id: c, node: garage,", "{id: c, nod: garage,")
        .replace("watchdog_s: 30", "watchdog_s: soon")
    )
    found = said(text)
    assert set(found) == {
        "site.voltage_v",
        "nodes[garage].limits[1].curent_a",
        "evses[c].nod",
        "evses[c].node",
        "failsafe.watchdog_s",
    }
    assert "did you mean current_a" in found["nodes[garage].limits[1].curent_a"]
    assert "missing" in found["evses[c].node"]


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("{id: small}", "{id: small, time_zone: Mars/Olympus}", "site.time_zone"),
        ("meter: main", "meter: mane", "nodes[grid].meter"),
        ("kind: meter", "kind: inverter", "nodes[grid].meter"),
        ("{id: cloud, node: grid", "{id: cloud, node: gird", "sources[cloud].node"),
        ("charger: {ocpp: A}", "charger: {}", "evses[a].charger"),
        ("charger: {ocpp: A}", "charger: {file: x}", "evses[a].charger.endpoint"),
        ("charger: {ocpp: A}", "failsafe_a: 4, charger: {ocpp: A}", "evses[a]"),
        ("charger: {ocpp: A}", "failsafe_a: 40, charger: {ocpp: A}", "evses[a]"),
        ("charger: {ocpp: A}", "maximum_kw: 11, charger: {ocpp: A}", "evses[a].maximum_kw"),
        ("charger: {ocpp: A}", "watchdog_s: 2, charger: {ocpp: A}", "evses[a].watchdog_s"),
        ("charger: {ocpp: A}", "current: DC, charger: {ocpp: A}", "evses[a].maximum_kw"),
        ("charger: {ocpp: A}", "has_failsafe: false, failsafe_a: 6, charger: {ocpp: A}", "evses[a]"),
        ("node: garage, rotation: RST", "node: garden, rotation: RST", "EVSE a"),
        ("current_a: 40}", "current_a: 40, from: tomorrow}", "nodes[garage].limits[fuse].from"),
        ("side_lost_a: 20", "side_lost_a: [20, 20]", "nodes[grid].side_lost_a"),
        ("side_lost_a: 20", "side_lost_a: .nan", "line 7, column 18"),
        ("  - {id: b,", "  - {id: a,", "EVSE a"),
        ("failsafe: {", "failsafe: {current_a: 6, ", "line 17, column 26"),
    ],
)
def test_a_mistake_is_named(old: str, new: str, where: str) -> None:
    assert old in TEXT
    assert where in said(TEXT.replace(old, new, 1))


def test_what_is_no_yaml_says_where() -> None:
    assert set(said("site: [")) == {"line 1, column 8"}
    assert set(said("")) == {"the file"}
    assert set(said("- 1")) == {"the file"}
    assert set(said("&a [*a]")) == {"the file"}


def test_decimals_stay_what_they_are() -> None:
    config = config_of(TEXT.replace("current_a: 40}", "current_a: 40.1}"))
    assert compile_site(config).topology.tree.nodes[1].limits[0].phases_ma == (40_100,) * 3


def test_a_file_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="site init"):
        load(tmp_path / "none.yaml")
    (tmp_path / "odd.yaml").write_bytes(b"site: \xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "odd.yaml")
    (tmp_path / "wrong.yaml").write_text("site: {id: x}\n")
    with pytest.raises(ConfigError, match="nodes: is missing"):
        load(tmp_path / "wrong.yaml")
