"""All limits of a site, who set them, since when and until when, and which of them bind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.site.watch_kit import START, TEXT, Seen

from pilotwire.domain.energy import Limit
from pilotwire.domain.seen import LimitRow
from pilotwire.domain.steering import Control, External, Ordered
from pilotwire.site.limits import limit_rows

HOUR = 3_600_000


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    return Seen(tmp_path)


def rows(seen: Seen) -> dict[tuple[str, str], LimitRow]:
    found = limit_rows(seen.site, *seen.shown[-1])
    assert len({(row.node, row.source, row.kind) for row in found}) == len(found)
    return {(row.node, row.source): row for row in found}


def told(seen: Seen, **external: Any) -> None:
    seen.loop.external = External(**external)
    seen.run(3)


def test_what_stands_in_the_file(seen: Seen) -> None:
    seen.run(70)
    found = rows(seen)
    fuse = found["grid", "fuse"]
    assert (fuse.kind, fuse.phases_ma, fuse.in_force, fuse.binding) == ("file", (63_000,) * 3, True, False)
    works = found["grid", "building works"]
    assert not works.in_force and works.from_ms == 1_801_440_000_000  # 2027-02-01
    assert (found["yard", "fuse"].imbalance_ma, found["yard", "contracted capacity"].power_mw) == (20_000, 25_000_000)
    assert found["grid", "feed-in"].power_mw == -9_000_000  # 60 % of 15 kW, out of the site
    assert [row.node for row in limit_rows(seen.site, *seen.shown[-1])][:2] == ["grid", "grid"]


def test_the_next_hours_of_a_schedule(seen: Seen) -> None:
    seen.run(5)
    quiet = rows(seen)["yard", "quiet hours"]
    # 9:00 in Berlin: it begins at 22:00 and ends at 6:00.
    assert (quiet.kind, quiet.in_force, quiet.from_ms, quiet.until_ms) == (
        "schedule",
        False,
        START + 13 * HOUR,
        START + 21 * HOUR,
    )
    seen.utc_offset = 14 * HOUR
    seen.run(5)
    quiet = rows(seen)["yard", "quiet hours"]
    assert (quiet.in_force, quiet.from_ms, quiet.until_ms) == (True, None, START + 21 * HOUR)


def test_sources_windows_and_the_surplus(seen: Seen) -> None:
    seen.loop.hear("cloud", Limit("the cloud", phases_ma=(20_000,) * 3, until_ms=START + HOUR))
    seen.chargers["d"].plug(16_000, 3)
    seen.run(20)
    found = rows(seen)
    cloud = found["garage", "the cloud"]
    assert (cloud.kind, cloud.in_force, cloud.until_ms) == ("source", True, START + HOUR)
    window = found["grid", "demand window quarters"]
    assert (window.kind, window.until_ms) == ("window", START + 900_000)
    assert window.power_mw == seen.shown[-1][1].windows[0].limit_mw
    assert found["grid", "surplus"].kind == "surplus"
    seen.run(60)
    found = rows(seen)
    assert ("garage", "the cloud") not in found and found["garage", "cloud lost"].kind == "lost"


def test_orders_and_telecontrol(seen: Seen) -> None:
    order = Limit("modbus 10.0.0.7", phases_ma=(25_000,) * 3, until_ms=START + HOUR)
    control = Control(
        id="1", source="grid operator", kind="import_limit", node="grid", value_mw=12_000_000, until_ms=START + HOUR
    )
    out = Control(id="2", source="ripple", kind="export_limit", node="grid", permille=300, from_ms=START + 2 * HOUR)
    told(
        seen, limits={"garage": (order,), "nowhere": (order,)}, controls=(control, out),
        evses={"a": Ordered("broker", maximum_ma=10_000), "b": Ordered("broker", pause=True)},
    )  # fmt: skip
    found = rows(seen)
    assert (found["garage", "modbus 10.0.0.7"].kind, found["garage", "modbus 10.0.0.7"].until_ms) == (
        "order",
        START + HOUR,
    )
    operator = found["grid", "grid operator"]
    assert (operator.kind, operator.power_mw, operator.in_force) == ("telecontrol", 12_000_000, True)
    assert (found["grid", "ripple"].power_mw, found["grid", "ripple"].in_force) == (-4_500_000, False)
    assert (found["a", "broker"].phases_ma, found["b", "broker"].phases_ma) == ((10_000,) * 3, (0,) * 3)
    assert not any(node == "nowhere" for node, _ in found)


def test_which_of_them_bind(seen: Seen) -> None:
    seen.loop.hear("cloud", Limit("the cloud", phases_ma=(20_000,) * 3))
    seen.loop.external = External(evses={"c": Ordered("broker", maximum_ma=10_000)})
    for id in "abc":
        seen.chargers[id].plug(32_000, 3)
    for _ in range(3):
        seen.loop.hear("cloud", Limit("the cloud", phases_ma=(20_000,) * 3))
        seen.run(20)
    found = rows(seen)
    reason = seen.shown[-1][1].reasons["a"]
    assert (reason.place, reason.source) == ("garage", "the cloud")
    assert {key for key, row in found.items() if row.binding} == {("garage", "the cloud"), ("c", "broker")}


def test_what_else_the_allocation_counts_with_is_told(seen: Seen) -> None:
    seen.run(5)
    inputs, decision = seen.shown[-1]
    source = "fuse of the yard, a battery about to take more"
    more = (Limit(source, power_mw=9), Limit(source, phases_ma=(1, 2, 3)))
    other = msgspec.structs.replace(decision, limits={**decision.limits, "yard": more})
    (row,) = [row for row in limit_rows(seen.site, inputs, other) if row.kind == "other"]
    assert (row.node, row.source, row.power_mw, row.phases_ma) == ("yard", source, 9, (1, 2, 3))
    assert [row for row in limit_rows(seen.site, inputs, decision) if row.kind == "other"] == []


@pytest.mark.parametrize(
    ("source", "kind"),
    [("demand window quarter-hour", "window"), ("fuse", "file"), ("somebody else", "other")],
)
def test_what_a_battery_takes_is_of_the_kind_of_its_limit(seen: Seen, source: str, kind: str) -> None:
    seen.run(5)
    inputs, decision = seen.shown[-1]
    less = (Limit(f"{source}, a battery about to take more", power_mw=-1),)
    found = limit_rows(seen.site, inputs, msgspec.structs.replace(decision, limits={**decision.limits, "garage": less}))
    (row,) = [row for row in found if row.source.endswith("take more")]
    assert row.kind == kind, found


def test_cars_that_wait_for_a_price_wait_by_a_tariff(tmp_path: Path) -> None:
    text = TEXT.replace(
        "maximum_a: 32, charger: {ocpp: A}", "maximum_a: 32, cheap_below_price: 0.20, charger: {ocpp: A}"
    )
    seen = Seen(tmp_path, text)
    seen.chargers["a"].plug(32_000, 3)
    seen.run(20)
    (row,) = [row for row in limit_rows(seen.site, *seen.shown[-1]) if row.kind == "tariff"]
    assert (row.node, row.power_mw, row.binding) == ("a", 0, True)
