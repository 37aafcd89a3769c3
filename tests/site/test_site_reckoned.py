"""What flows at places without a meter is reckoned from below, on the phases to which EVSEs are wired."""

from __future__ import annotations

from pilotwire.domain.energy import Moment
from pilotwire.site.compiled import compile_site
from pilotwire.site.config import read
from pilotwire.site.inputs import DeviceInput, EvseInput, Link, TickInputs
from pilotwire.site.ports import EvseStatus, Value
from pilotwire.site.reckoned import reckoned

TEXT = """\
site: {id: s, time_zone: UTC}
nodes:
  - {id: grid, kind: connection, limits: [{source: fuse, current_a: 200}]}
  - {id: hall, kind: feeder, parent: grid, meter: m, side_lost_a: 5, limits: [{source: fuse, current_a: 100}]}
  - {id: yard, kind: feeder, parent: grid, limits: [{source: fuse, current_a: 200}]}
  - {id: row, kind: group, parent: yard, limits: [{source: fuse, current_a: 200}]}
devices: [{id: m, kind: meter, file: simulated, endpoint: simulated}]
failsafe: {current_a: 6, watchdog_s: 30}
evses:
  - {id: a, node: row, rotation: STR, maximum_a: 32, charger: {ocpp: a}}
  - {id: b, node: row, maximum_a: 32, charger: {ocpp: b}}
  - {id: c, node: row, current: DC, maximum_kw: 50, minimum_kw: 5, efficiency_percent: 100, charger: {ocpp: c}}
  - {id: d, node: hall, rotation: RST, maximum_a: 32, charger: {ocpp: d}}
"""


def _evse(id: str, online: bool = True, **points: int) -> EvseInput:
    status = EvseStatus(online=online, pilot="C", points={name: Value(value, 0) for name, value in points.items()})
    return EvseInput(id=id, link=Link(), status=status)


def _phases(l1: int, l2: int, l3: int) -> dict[str, int]:
    return {"current_l1_ma": l1, "current_l2_ma": l2, "current_l3_ma": l3}


def _flows(*evses: EvseInput, meter: dict[str, int] | None = None, online: bool = True):
    config, wrong = read(TEXT)
    assert config is not None and wrong == []
    points = {name: Value(value, 0) for name, value in (meter or {}).items()}
    inputs = TickInputs(
        seq=1, now=Moment(0, 0), evses=evses, devices=(DeviceInput(id="m", online=online, points=points),)
    )  # fmt: skip
    return reckoned(compile_site(config), inputs)


def test_a_charger_loads_the_phases_to_which_it_is_wired() -> None:
    """STR: its L1 is on S, its L2 on T, its L3 on R."""
    found = _flows(_evse("a", **_phases(16_000, 10_000, 0)), online=False)
    assert found["row"] == found["yard"] == found["grid"] == ((0, 16_000, 10_000), 26_000 * 230)


def test_one_that_is_wired_nobody_knows_how_counts_on_each_phase() -> None:
    assert _flows(_evse("b", **_phases(16_000, 0, 0)), online=False)["row"] == ((16_000,) * 3, 16_000 * 230)
    assert _flows(_evse("b", **_phases(16_000, 15_000, 16_000)), online=False)["row"][0] == (16_000, 15_000, 16_000)


def test_dc_loads_all_three() -> None:
    assert _flows(_evse("c", power_mw=6_900_000), online=False)["row"] == ((10_000,) * 3, 6_900_000)


def test_a_meter_below_says_more_than_the_evses_below_it() -> None:
    found = _flows(_evse("d", **_phases(6_000, 6_000, 6_000)), meter=_phases(9_000, 8_000, -1_000))
    assert found["grid"] == ((9_000, 8_000, -1_000), 16_000 * 230)
    assert "hall" not in found, "it has a meter of its own"
    lost = _flows(_evse("d", **_phases(6_000, 6_000, 6_000)), meter=_phases(9_000, 8_000, 0), online=False)
    assert lost["grid"][0] == (6_000,) * 3


def test_nothing_is_made_up_where_nothing_is_heard() -> None:
    assert _flows(_evse("a", online=False, **_phases(16_000, 0, 0)), _evse("b"), online=False) == {}
