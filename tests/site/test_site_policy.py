"""What a file says of cars, tenants and turns reaches what the cars get."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.site.site_kit import Small

from pilotwire.site.ports import EvseStatus
from pilotwire.site.simulated import SimCharger

TEXT = """
site: {id: small}
nodes:
  - {id: grid, kind: connection, limits: [{source: fuse, current_a: 24}]}
failsafe: {current_a: 6, watchdog_s: 30}
policy: {order: equal}
tenants: [{id: lodger, limits: [{source: lease, current_a: 9}]}]
evses:
  - {id: a, node: grid, rotation: RST, maximum_a: 16, charger: {ocpp: A}}
  - {id: b, node: grid, rotation: RST, maximum_a: 16, charger: {ocpp: B}}
"""


class Saying(SimCharger):
    """A car that says what it has, what it wants, and when it leaves."""

    says: dict[str, Any] | None = None

    def status(self) -> EvseStatus:
        return msgspec.structs.replace(super().status(), **(self.says or {}))


def shares(text: str, a: dict[str, Any] | None = None, b: dict[str, Any] | None = None) -> tuple[int, int]:
    small = Small(text)
    for id, says in (("b", b), ("a", a)):
        charger = small.chargers[id]
        charger.__class__ = Saying
        assert isinstance(charger, Saying)
        charger.says = says
        charger.plug(16_000)
        small.run(1)
    small.run(120)
    found = small.drawn()
    return found["a"], found["b"]


def ordered(order: str) -> str:
    return TEXT.replace("order: equal", f"order: {order}")


def test_without_an_order_all_share() -> None:
    assert shares(TEXT) == (12_000, 12_000)


def test_a_priority_comes_first() -> None:
    text = ordered("priority").replace("id: b,", "id: b, priority: 1,")
    assert shares(text) == (8_000, 16_000)


def test_what_is_guaranteed_comes_before_a_priority() -> None:
    text = ordered("priority").replace("id: b,", "id: b, priority: 1,").replace("id: a,", "id: a, guaranteed_a: 11,")
    assert shares(text) == (11_000, 13_000)


def test_a_tenant_has_his_quota_wherever_there_is_room() -> None:
    assert shares(TEXT.replace("id: a,", "id: a, tenant: lodger,")) == (9_000, 15_000)


HOUR = 3_600_000
SOON, LATE = 1_800_000_000_000 + 2 * HOUR, 1_800_000_000_000 + 12 * HOUR

# Who leaves later has less time to spare, for he wants more.
SHORT = {"departure_ms": SOON, "target_energy_wh": 1_000}
LONG = {"departure_ms": LATE, "target_energy_wh": 130_000}


@pytest.mark.parametrize(
    ("order", "a", "b"),
    [
        ("first_come", {}, {}),
        ("lowest_soc", {"soc": 800}, {"soc": 200}),
        ("lowest_soc", {}, {"soc": 900}),
        ("earliest_departure", {"departure_ms": LATE}, {"departure_ms": SOON}),
        ("earliest_departure", {}, {"departure_ms": LATE}),
        ("least_laxity", SHORT, LONG),
    ],
)  # fmt: skip
def test_who_comes_first_by_what_cars_say(order: str, a: dict[str, Any], b: dict[str, Any]) -> None:
    assert shares(ordered(order), a, b) == (8_000, 16_000)


def test_who_waits_gets_his_turn() -> None:
    text = TEXT.replace("current_a: 24", "current_a: 12").replace(
        "order: equal", "order: equal, rotate_s: 120, hold_s: 30"
    )
    text = text.replace("maximum_a: 16,", "maximum_a: 16, minimum_a: 8, failsafe_a: 0,")
    small = Small(text)
    for charger in small.chargers.values():
        charger.plug(16_000)
    had: list[str] = []
    for _ in range(60):
        small.run(10)
        now = [id for id, drawn in small.drawn().items() if drawn]
        assert len(now) <= 1
        if now and (not had or had[-1] != now[0]):
            had.append(now[0])
    assert had in (["a", "b"] * 2, ["a", "b"] * 2 + ["a"])
