"""What people enter for the car that is there: from the MQTT message to who gets how much, and to the plan."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.site.mqtt.mqtt_kit import Spoken
from tests.site.planning.site_planning_kit import EVENING, HOUR, Planned
from tests.site.planning.site_planning_kit import TEXT as PLANNED
from tests.site.site_kit import Small
from tests.site.test_site_policy import TEXT

from pilotwire.core.time import to_rfc3339
from pilotwire.domain.energy import Demand
from pilotwire.domain.steering import Entered
from pilotwire.site.audit import AuditFile, entries
from pilotwire.site.entered import MARGIN_MS, Want, as_entered, let_go, want
from pilotwire.site.explain import explain
from pilotwire.site.facades.orders import ExternalLimits, Order, each
from pilotwire.site.inputs import EvseInput, Link
from pilotwire.site.mqtt.publisher import SiteMqtt
from pilotwire.site.mqtt.topics import evse_state
from pilotwire.site.outside import Outside
from pilotwire.site.picture import picture
from pilotwire.site.ports import EvseStatus, Value
from pilotwire.transport.mqtt import Message

NOW = 1_800_000_000_000
MQTT = "mqtt: {url: 'mqtt://127.0.0.1:1'}\n"


class Told:
    """A site and its broker's messages, without the broker."""

    def __init__(self, small: Small, folder: Path) -> None:
        self.small, self.said = small, list[str]()
        self.audit = AuditFile(folder, self.utc, self.said.append)
        self.outside = Outside(small.config, folder, self.said.append, self.audit, folder)
        self.heard = Spoken()
        self.mqtt = SiteMqtt(
            "small", self.heard, self.order, utc=self.utc, evses=frozenset(small.site.outlets),
            nodes=frozenset({"grid"}), audit=self.audit.note,
        )  # fmt: skip

    def utc(self) -> int:
        return int(self.small.time.now())

    def order(self, ask: Any) -> str:
        assert self.outside.broker is not None
        return self.outside.broker.order(ask, "broker", self.small.loop)

    def tell(self, evse: str, **what: Any) -> str:
        """Why it was refused; "" where it was not."""
        topic = f"pilotwire/small/evse/{evse}/set"
        self.mqtt.heard(Message(topic, json.dumps(what).encode()))
        self.look()
        return self.heard.of("pilotwire/small/result")[-1]["error"]

    def look(self) -> None:
        self.outside.orders.take_over(self.small.loop)

    def shares(self) -> tuple[int, int]:
        self.small.run(120)
        self.look()
        found = self.small.drawn()
        return found["a"], found["b"]

    def state(self, evse: str) -> dict[str, Any]:
        """What its topic says."""
        loop = self.small.loop
        assert loop.inputs is not None and loop.decision is not None and self.outside.broker is not None
        made = picture(self.small.site, {}, loop.inputs, loop.decision)
        standing = self.outside.broker._standing(loop)  # pyright: ignore[reportPrivateUsage]
        return evse_state(next(one for one in made.evses if one.id == evse), standing[evse])

    def why(self, evse: str) -> list[str]:
        loop = self.small.loop
        assert loop.inputs is not None and loop.decision is not None
        return explain(self.small.site, loop.inputs, loop.decision, evse)


@asynccontextmanager
async def told(small: Small, folder: Path) -> AsyncIterator[Told]:
    made = Told(small, folder)
    await made.outside.orders.start(small.loop)
    try:
        yield made
    finally:
        await made.outside.orders.stop()
        made.audit.close()


def site(order: str) -> Small:
    small = Small(TEXT.replace("order: equal", f"order: {order}") + MQTT)
    for charger in small.chargers.values():
        charger.plug(16_000)
    small.run(10)
    return small


def hours(number: float) -> str:
    return to_rfc3339(NOW + int(number * HOUR))


async def test_who_leaves_first_comes_first_until_he_has_left(tmp_path: Path) -> None:
    small = site("earliest_departure")
    async with told(small, tmp_path) as one:
        assert one.shares() == (12_000, 12_000)
        assert one.state("b")["departure"] is None and not any("leaves" in each for each in one.why("b"))
        assert one.tell("b", id="1", departure=hours(9)) == ""
        assert one.shares() == (8_000, 16_000)
        assert (one.state("b")["departure"], one.state("b")["departure_by"]) == (hours(9), "entered")
        assert "it leaves in 8.9 h, as entered" in one.why("b")
        limits, now = one.outside.orders.limits, one.outside.orders.now
        order = limits.order("departure", "evse b")
        assert order is not None and order.until_ms == pytest.approx(now + 10 * HOUR, abs=300_000), "and an hour"
        for expires, lasts in ((30, 30_000), (86_400, 2 * HOUR)):
            assert one.tell("a", departure=hours(1), expires_s=expires) == ""
            order = limits.order("departure", "evse a")
            assert order is not None and order.until_ms == pytest.approx(now + lasts, abs=300_000), "whichever is first"
        assert one.tell("a", departure=3 * 3_600) == "" and one.shares() == (16_000, 8_000), "seconds from now"
        assert one.tell("a", departure=None) == "" and one.shares() == (8_000, 16_000), "it is taken back"
        small.chargers["b"].unplug()
        small.run(5)
        one.look()
        assert small.loop.external.evses == {}
        small.chargers["b"].plug(16_000)
        assert one.shares() == (12_000, 12_000), "it was not this car's"
    written = [each for each in entries(tmp_path) if not isinstance(each, str)]
    assert [each.by for each in written] == ["mqtt broker"] * 5 and "departure" in written[0].what


async def test_what_it_still_wants_becomes_less_as_it_charges(tmp_path: Path) -> None:
    small = site("least_laxity")
    async with told(small, tmp_path) as one:
        for evse, kwh in (("a", 1), ("b", 60)):
            assert one.tell(evse, departure=hours(12), energy_kwh=kwh) == ""
        assert one.shares() == (8_000, 16_000)
        before = one.state("b")
        assert before["needs_by"] == "entered" and 59 < before["needs_kwh"] < 60
        small.run(600)
        after = one.state("b")["needs_kwh"]
        assert float(before["needs_kwh"] - after) == pytest.approx(16 * 3 * 0.23 / 6, abs=0.05)
        assert any(each.startswith("it still wants 57.") and each.endswith("as entered") for each in one.why("b"))
        small.run(3_600)
        assert one.state("a")["needs_kwh"] == 0, "never less than nothing"
        assert one.tell("b", energy_kwh=None) == "" and one.state("b")["departure_by"] == "entered"
        small.run(2)
        assert one.state("b")["needs_kwh"] is None


async def test_it_is_refused_in_plain_words(tmp_path: Path) -> None:
    small = site("least_laxity")
    async with told(small, tmp_path) as one:
        for what, why in (
            ({"departure": hours(-1)}, "in the past"), ({"departure": -5}, "in the past"),
            ({"departure": hours(169)}, "more than 7 days"), ({"departure": 10**30}, "more than 7 days"),
            ({"departure": "07:30"}, "no time with an offset"), ({"departure": "2027-01-15T07:30:00"}, "no time"),
            ({"energy_kwh": -1}, "negative"), ({"energy_kwh": 1_001}, "than a car can take"),
            ({"energy_kwh": "NaN"}, "no number"), ({"energy_kwh": 1e300}, "than a car can take"),
            ({"energy_kwh": 5, "limit_a": 9}, "expires_s"),
        ):  # fmt: skip
            assert why in one.tell("a", **what), what
        small.chargers["a"].unplug()
        small.run(5)
        assert one.tell("a", departure=hours(5)) == "no car is plugged in at a"
        small.chargers["b"].link = False
        small.run(60)
        assert "b is not heard" in one.tell("b", departure=hours(5))
        assert small.loop.external.evses == {}


async def test_it_outlives_a_restart_and_not_the_car_that_left_meanwhile(tmp_path: Path) -> None:
    small = site("earliest_departure")
    async with told(small, tmp_path) as one:
        assert one.tell("b", departure=hours(9), energy_kwh=20) == one.tell("a", energy_kwh=5) == ""
    small.chargers["a"].unplug()
    small.chargers["a"].plug(16_000)
    small.begin()
    async with told(small, tmp_path) as one:
        small.run(20)
        one.look()
        assert one.shares() == (8_000, 16_000)
        assert one.state("b")["departure"] == hours(9) and one.state("b")["needs_by"] == "entered"
        assert one.state("a")["needs_kwh"] is None, "another session: another car"
    assert any("orders" in path.name for path in tmp_path.iterdir())


async def test_the_plan_goes_by_what_was_entered(tmp_path: Path) -> None:
    small = Planned(PLANNED + MQTT)
    small.chargers["a"].plug(32_000)
    small.chargers["b"].plug(32_000)
    small.run(30)
    async with told(small, tmp_path) as one:
        plans = small.runner.counts.plans
        leaves = EVENING + 6 * HOUR
        assert one.tell("a", departure=to_rfc3339(leaves), energy_kwh=12) == ""
        small.run(60)
        assert small.runner.counts.plans > plans, "what is entered brings one forward"
        made = small.runner.in_force
        assert made is not None
        needs = {need.evse: need for need in made.record.needs}
        assert needs["a"].departure_ms == leaves and 11_500 <= needs["a"].energy_wh <= 12_000
        basis = made.record.basis
        assert (basis["a"].energy, basis["a"].departure) == ("as entered", "as entered")
        assert basis["b"].departure == "as soon as it can, for nobody said"
        assert small.drawn()["a"] == 0 < small.drawn()["b"], "until 20:00 it is dear, and there is time"
        small.run(4 * 3_600 - 120)
        assert 12_000 <= small.chargers["a"].energy_wh <= 13_200, "and then it has what it wanted, and hardly more"


# ── what counts ──────────────────────────────────────────────────────────────────────────────────────────────────────
def car(**more: Any) -> EvseStatus:
    points = {name: Value(more.pop(name), 0) for name in ("session_wh", "energy_import_wh") if name in more}
    return EvseStatus(online=True, pilot="C", points=points, **more)


LATER = NOW + 5 * HOUR


@pytest.mark.parametrize(
    ("status", "entered", "wanted"),
    [
        (car(departure_ms=LATER, target_energy_wh=9_000, session_wh=1_000), None,
         Want(LATER, "told by the car", 8_000, "told by the car")),
        (car(), Entered(LATER, 7_000), Want(LATER, "entered", 7_000, "entered")),
        # Of two departures the earlier, unless it is over.
        (car(departure_ms=LATER), Entered(LATER - HOUR), Want(LATER - HOUR, "entered")),
        (car(departure_ms=LATER - HOUR), Entered(LATER), Want(LATER - HOUR, "told by the car")),
        (car(departure_ms=NOW - HOUR), Entered(LATER), Want(LATER, "entered")),
        (car(departure_ms=LATER), Entered(NOW - 1), Want(LATER, "told by the car")),
        (car(), Entered(NOW - 1), Want(NOW - 1, "entered")),
        # Of two energies what was said last.
        (car(target_energy_wh=9_000, session_wh=1_000), Entered(None, 5_000, None, 0, 9_000),
         Want(None, "", 4_000, "entered")),
        (car(target_energy_wh=30_000, session_wh=1_000), Entered(None, 5_000, None, 0, 9_000),
         Want(None, "", 29_000, "told by the car")),
        (car(target_energy_wh=30_000), Entered(None, 5_000), Want(None, "", 30_000, "told by the car")),
        # Counted by the register, or by the session where it has none.
        (car(energy_import_wh=52_000, session_wh=9), Entered(None, 5_000, 50_000), Want(None, "", 3_000, "entered")),
        (car(session_wh=2_500), Entered(None, 5_000, 50_000, 2_000), Want(None, "", 4_500, "entered")),
    ],
)  # fmt: skip
def test_of_what_a_car_says_and_what_was_entered(status: EvseStatus, entered: Entered | None, wanted: Want) -> None:
    assert want(status, entered, NOW) == wanted


def test_without_an_order_every_demand_is_the_same() -> None:
    demands = [Demand(evse="a", departure_ms=LATER, energy_wh=5), Demand(evse="b")]
    assert all(one is other for one, other in zip(as_entered(demands, {}, {}, NOW), demands, strict=True))


def test_what_is_entered_contradicts_nobody_and_ends_by_itself() -> None:
    fights: list[Any] = []
    limits = ExternalLimits(fights.append)
    limits.put(Order(channel="own", client="ems", evse="a", phases_ma=each(9_000)), 0)
    for client, energy in (("x", 5_000), ("y", 6_000), ("x", 7_000)):
        order = Order(channel="energy", client=client, evse="a", entered=Entered(energy_wh=energy), until_ms=99)
        limits.put(order, 0)
    limits.put(Order(channel="departure", client="x", evse="a", entered=Entered(LATER), until_ms=50), 0)
    assert limits.at(0).evses["a"].entered == Entered(LATER, 7_000) and not fights
    assert limits.at(60).evses["a"].entered == Entered(None, 7_000)
    assert limits.at(99).evses["a"].entered is None and limits.at(99).evses["a"].maximum_ma == 9_000
    assert MARGIN_MS == HOUR


@pytest.mark.parametrize(
    ("session", "status", "stays"),
    [
        ("5", car(session="5"), True),
        ("5", car(session="6"), False),
        ("5", car(), True),
        ("5", msgspec.structs.replace(car(), pilot="A"), False),
        ("5", msgspec.structs.replace(car(), pilot="A", online=False), True),
        ("5", msgspec.structs.replace(car(), pilot=None), False),
        ("", msgspec.structs.replace(car(), pilot=None), True),
        ("5", msgspec.structs.replace(car(), pilot="F"), True),
    ],
)
def test_when_a_car_has_left(session: str, status: EvseStatus, stays: bool) -> None:
    limits = ExternalLimits()
    limits.put(Order(channel="energy", client="x", evse="a", session=session, entered=Entered(None, 1)), 0)
    let_go(limits, [EvseInput("a", status, Link())], 0)
    assert bool(limits.entered()) is stays


def test_a_session_that_begins_later_is_this_car_s() -> None:
    limits = ExternalLimits()
    limits.put(Order(channel="energy", client="x", evse="a", entered=Entered(None, 1)), 0)
    for session in ("7", "7", ""):
        let_go(limits, [EvseInput("a", car(session=session), Link())], 0)
    (order,) = limits.entered()
    assert order.session == "7"
    let_go(limits, [EvseInput("a", car(session="8"), Link())], 0)
    assert limits.entered() == []
