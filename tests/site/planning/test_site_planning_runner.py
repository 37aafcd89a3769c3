"""When plans are made, what becomes of them, and that nothing that a plan says or does not say harms the site."""

from __future__ import annotations

import random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from tests.site.planning.site_planning_kit import EVENING, HOUR, TEXT, Planned

from pilotwire.domain.steering import Plan, Slot
from pilotwire.site.planning.child import answer
from pilotwire.site.planning.failures import Code, words_of
from pilotwire.site.planning.outlook import data_of, outlook_of, table_of
from pilotwire.site.planning.record import Answer, digest, encoded, problem_of, record_of
from pilotwire.site.planning.runner import ASTRAY_MS, BACK_OFF_MS, CALM_MS, GAP_MS


def test_a_plan_is_made_and_followed() -> None:
    small = Planned()
    small.run(5)
    small.chargers["a"].ask(20_000, EVENING + 8 * HOUR)
    small.run(60)
    assert small.loop.counts.failures == 0, small.said
    assert small.runner.counts.failures == 0, small.runner.failure
    assert small.loop.plan is not None
    assert small.drawn()["a"] == 0, "it waits for the cheap hours"
    assert small.marks() == set()
    force = small.runner.in_force
    assert force is not None
    outlook = outlook_of(force.record, force.plan, force.followed.until_ms, small.runner.words)
    car = outlook.cars[0]
    assert car.evse == "a"
    assert 19_800 <= car.energy_wh <= 20_000, "what it had before the first plan is not asked for again"
    assert car.unmet_wh == 0, "a step's rounding is nothing that lacks"
    assert min(begin for begin, _, _ in car.course) >= EVENING + 3 * HOUR, "after 20:00"
    assert "energy as it said; leaves as it said" in car.words
    assert "not known for a whole day" in outlook.words


def test_who_comes_brings_a_plan_forward_and_never_two_at_once() -> None:
    small = Planned()
    small.run(40)
    assert len(small.spawned.asked) == 1
    small.chargers["a"].ask(20_000, EVENING + 8 * HOUR)
    small.run(CALM_MS / 1_000 + 4)
    assert len(small.spawned.asked) == 2
    small.spawned.takes_ms = 20_000
    for id in "bcd":
        small.chargers[id].ask(5_000, EVENING + 4 * HOUR)
        small.run(7)
    assert len(small.spawned.asked) == 2, "not within so short a time of the last"
    small.run(GAP_MS / 1_000)
    assert len(small.spawned.asked) == 3
    small.run(200)
    assert len(small.spawned.asked) == 3, "nothing has happened since"
    small.run(300)
    assert len(small.spawned.asked) == 4, "each five minutes"


def test_much_else_than_was_planned_brings_one_too() -> None:
    small = Planned()
    small.run(60)
    asked = len(small.spawned.asked)
    small.side("grid", (30_000, 30_000, 30_000))
    small.run(ASTRAY_MS / 1_000 - 10)
    assert len(small.spawned.asked) == asked
    small.run(30)
    assert len(small.spawned.asked) == asked + 1


def test_the_time_of_one_that_waits_for_its_turn_has_not_begun() -> None:
    small = Planned()
    small.spawned.takes_ms = None
    small.run(30)
    small.spawned.at_work[0].waits = True
    small.run(100)
    assert small.runner.state == "planning" and not small.runner.counts.killed
    small.spawned.at_work[0].waits = False
    small.run(50)
    assert not small.runner.counts.killed
    small.run(20)
    assert small.runner.counts.killed == 1


def test_one_that_hangs_is_killed_and_the_next_waits_longer_each_time() -> None:
    small = Planned()
    small.spawned.takes_ms = None
    small.run(30)
    assert small.runner.state == "planning"
    small.run(40)
    assert small.runner.state == "resting"
    assert small.runner.counts.killed == 1
    assert ("plan", "no_plan") in small.marks()
    assert "longer than 60 s" in small.runner.words
    begun = [len(small.spawned.asked)]
    for wait in BACK_OFF_MS[:3]:
        small.run(wait / 1_000 - 20)
        assert len(small.spawned.asked) == begun[-1]
        small.run(20 + 65)
        begun.append(len(small.spawned.asked))
    assert begun == [1, 2, 3, 4]
    small.spawned.takes_ms = 500
    small.run(700)
    assert small.loop.plan is not None
    assert small.marks() == set()
    assert small.loop.counts.failures == 0


def _other_evse(data: bytes) -> bytes:
    made = answer(data)
    assert made.plan is not None
    cars = tuple(msgspec.structs.replace(car, evse="nobody") for car in made.plan.cars)
    return encoded(msgspec.structs.replace(made, plan=msgspec.structs.replace(made.plan, cars=cars)))


def _too_much(data: bytes) -> bytes:
    made = answer(data)
    assert made.plan is not None
    cars = tuple(msgspec.structs.replace(car, targets=(900_000,) * made.plan.steps) for car in made.plan.cars)
    return encoded(msgspec.structs.replace(made, plan=msgspec.structs.replace(made.plan, cars=cars)))


def _another_time(data: bytes) -> bytes:
    made = answer(data)
    assert made.plan is not None
    return encoded(msgspec.structs.replace(made, plan=msgspec.structs.replace(made.plan, now_ms=made.plan.now_ms + 1)))


def _another_question(data: bytes) -> bytes:
    return encoded(msgspec.structs.replace(answer(data), of=b"somebody"))


@pytest.mark.parametrize(
    ("says", "code", "detail"),
    [
        (lambda data: b"\xc1 no answer", "answer", "no new plan"),
        (lambda data: b"", "answer", "no new plan"),
        (lambda data: encoded(answer(data))[:-5], "answer", "no new plan"),
        (lambda data: encoded(Answer(digest(data), error="the tree is upside down")), "refused", "upside down"),
        (lambda data: encoded(Answer(digest(data))), "refused", "holds no plan"),
        (_another_question, "refused", "another question"),
        (_another_time, "refused", "another time"),
        (_other_evse, "refused", "of nobody"),
        (_too_much, "refused", "cannot give"),
        (lambda data: "the planning process ended with 1: MemoryError", "process", "MemoryError"),
    ],
)
def test_what_is_no_answer_is_not_followed(says: Any, code: Code, detail: str) -> None:
    """People are told a sentence that can be translated, the log what the process said of itself."""
    small = Planned()
    small.spawned.says = says
    small.chargers["a"].ask(20_000, EVENING + 8 * HOUR)
    small.run(35)
    assert small.loop.plan is None
    assert small.runner.failure == words_of(code)
    assert detail in small.said[0] and detail not in small.runner.words
    assert ("plan", "no_plan") in small.marks()
    assert small.drawn()["a"] == 32_000, "it is charged as without a plan"
    assert small.loop.counts.failures == 0


def test_an_old_plan_is_let_go_and_a_mark_says_so() -> None:
    small = Planned()
    small.run(30)
    assert small.loop.plan is not None
    small.chargers["a"].ask(20_000, EVENING + 8 * HOUR)
    small.run(40)
    assert small.drawn()["a"] == 0
    small.spawned.says = lambda data: "the planning process ended by signal 9"
    small.run(3_600)
    assert small.loop.plan is None
    assert ("plan", "no_plan") in small.marks()
    assert "ended before it was done" in small.runner.words
    small.run(60)
    assert small.drawn()["a"] == 32_000


def test_a_clock_that_is_set_back_makes_a_new_plan() -> None:
    small = Planned()
    small.run(30)
    asked = len(small.spawned.asked)
    small.utc_offset = -7_200_000
    small.run(1.5)
    assert small.loop.plan is None, "it is of the future"
    small.run(5)
    assert len(small.spawned.asked) == asked + 1
    assert small.loop.plan is not None
    assert small.loop.plan.made_ms < EVENING


def test_a_plan_can_be_made_again_from_what_is_kept() -> None:
    small = Planned()
    small.run(5)
    small.chargers["a"].ask(20_000, EVENING + 8 * HOUR)
    small.chargers["c"].ask(100_000, EVENING + 2 * HOUR, phases=1)
    small.run(60)
    question, said = small.kept.plans[-1]
    record = record_of(question)
    assert encoded(record) == question
    made = answer(question)
    assert made.plan is not None
    assert made.plan == answer(question).plan
    assert encoded(msgspec.structs.replace(made, cpu_ms=0, peak_kb=0)) == encoded(
        msgspec.structs.replace(msgspec.msgpack.decode(said, type=Answer), cpu_ms=0, peak_kb=0)
    )
    assert problem_of(record).needs == record.needs
    text = "\n".join(table_of(record, made.plan, ZoneInfo("UTC")))
    assert "not all: it cannot take so much in the time that it has" in text
    assert "19.9" in text
    data = data_of(record, made.plan)
    cars: list[Any] = data["cars"]
    assert [car["evse"] for car in cars] == ["a", "c"]
    assert msgspec.json.decode(msgspec.json.encode(data)) == data


def test_what_a_plan_says_of_a_car_can_be_left_to_its_mode() -> None:
    small = Planned(TEXT.replace("expected_cars: false", "expected_cars: false, charged_at_once: [a]"))
    small.run(5)
    for id in "ab":
        small.chargers[id].ask(20_000, EVENING + 8 * HOUR)
    small.run(60)
    assert small.drawn()["a"] > 6_000
    assert small.drawn()["b"] == 0


@pytest.mark.parametrize("seed", range(6))
def test_no_plan_however_wild_makes_the_site_exceed_a_limit(seed: int) -> None:
    """Whatever stands in `Loop.plan`: fuses hold on every phase once everybody has had time to follow."""
    draw = random.Random(seed)
    small = Planned(plans=False)
    for id, charger in small.chargers.items():
        charger.ask(80_000, draw.choice((None, EVENING + HOUR)), phases=3 if id != "c" else 1)
    limits = {node.id: limit.phases_ma for node in small.site.topology.tree.nodes for limit in node.limits}
    above: dict[str, int] = dict.fromkeys(limits, 0)
    for _ in range(25):
        small.side("grid", tuple(draw.randint(0, 20_000) for _ in range(3)))  # type: ignore[arg-type]
        now = int(small.time.now())
        slots = (Slot(now - HOUR, now + HOUR, draw.choice((0, 1, 1_000_000, 10**9, 10**12, -(10**9)))),)
        small.loop.plan = Plan(
            made_ms=now - draw.randint(0, 7_200_000),
            until_ms=now + draw.randint(-HOUR, HOUR),
            cars={id: slots for id in draw.sample(("a", "b", "c", "d", "nobody"), 3)},
            batteries={"nothing": slots},
            peaks={"none": slots},
            sides={"grid": slots, "nowhere": slots},
        )
        for _ in range(12):
            small.run(1)
            for node, phases in limits.items():
                assert phases is not None
                over = any(flow > most for flow, most in zip(small.plant.flows(node), phases, strict=True))
                above[node] = above[node] + 1 if over else 0
                assert above[node] <= 8, f"{node} above its limit for {above[node]} s"
    assert small.loop.counts.failures == 0, small.said
    assert sum(charger.energy_wh for charger in small.chargers.values()) > 0
