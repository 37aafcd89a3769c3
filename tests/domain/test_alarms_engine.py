"""The alarm engine: when it raises, when it clears, that it neither doubles nor forgets, however time is cut up."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.domain import facts
from pilotwire.domain.alarms import Cell, Change, Engine, Place
from pilotwire.domain.alarms_builtin import BUILT_IN
from pilotwire.domain.alarms_rules import (
    FACTS,
    FactCondition,
    GaugeCondition,
    HandshakeRefused,
    Match,
    Rule,
    StalledCondition,
    Test,
    at_least,
    check_rule,
)

SECOND, MINUTE = 1_000, 60_000
T = 1_767_268_800_000


def engine(*rules: Rule, **sites: str) -> Engine:
    made = Engine("default", rules or BUILT_IN, lambda station: sites.get(station, ""))
    made.advance(T)
    return made


def told(changes: Iterable[Change]) -> list[tuple[str, int, str, str, str]]:
    """(what, seconds after T, rule, station, part)"""
    return [(one.what, (one.at - T) // SECOND, one.rule.id, one.cell.station, one.cell.part) for one in changes]


def lost(at: int) -> facts.StationDisconnected:
    return facts.StationDisconnected(event_time=at, code=1006)


def back(at: int) -> facts.StationConnected:
    return facts.StationConnected(event_time=at, ocpp_version="1.6")


def status(at: int, text: str, evse: int = 1, error: str = "") -> facts.ConnectorStatusChanged:
    return facts.ConnectorStatusChanged(event_time=at, evse=evse, connector=1, status=text, error_code=error)


def test_every_built_in_rule_can_be_worked_with() -> None:
    assert [(rule.id, check_rule(rule)) for rule in BUILT_IN if check_rule(rule)] == []
    assert len({rule.id for rule in BUILT_IN}) == len(BUILT_IN)


def test_a_station_that_stays_away_is_an_alarm_after_five_minutes_and_no_longer_when_it_is_back() -> None:
    made = engine()
    assert told(made.fact(T, "A", lost(T))) == []
    assert told(made.advance(T + 299 * SECOND)) == []
    assert told(made.advance(T + 400 * SECOND)) == [("raised", 300, "station-offline", "A", "")]
    assert told(made.fact(T + 500 * SECOND, "A", back(T))) == []
    assert told(made.advance(T + 600 * SECOND)) == [("cleared", 560, "station-offline", "A", "")]
    assert made.cells == {}


def test_a_short_interruption_is_no_alarm() -> None:
    made = engine()
    made.fact(T, "A", lost(T))
    made.fact(T + 200 * SECOND, "A", back(T))
    assert told(made.advance(T + 3600 * SECOND)) == []


def test_each_connector_has_an_alarm_of_its_own_and_a_repeated_status_makes_no_second() -> None:
    made = engine()
    assert told(made.fact(T, "A", status(T, "Faulted", 1, "GroundFailure"))) == [
        ("raised", 0, "connector-faulted", "A", "1/1")
    ]
    assert told(made.fact(T + SECOND, "A", status(T, "Faulted", 2))) == [("raised", 1, "connector-faulted", "A", "2/1")]
    assert told(made.fact(T + 2 * SECOND, "A", status(T, "Faulted", 1))) == []
    assert {cell.count for cell in made.cells.values()} == {1, 2}
    assert told(made.fact(T + 90 * SECOND, "A", status(T, "Faulted", 1))) == [
        ("again", 90, "connector-faulted", "A", "1/1")
    ]


def test_what_flaps_is_one_alarm_that_is_kept_open_ever_longer() -> None:
    made = engine()
    changes: list[Change] = []
    now = T
    for _ in range(10):
        changes += made.fact(now, "A", status(now, "Faulted"))
        changes += made.fact(now + 5 * SECOND, "A", status(now, "Available"))
        now += 10 * SECOND
    assert [one.what for one in changes if one.what != "again"] == ["raised"]
    quiet = made.advance(now + 3 * 3_600 * SECOND)
    assert [one.what for one in quiet] == ["cleared"]
    hold = quiet[0].at - (now - 5 * SECOND)
    assert 30 * SECOND < hold <= 30 * MINUTE
    assert quiet[0].cell.returns == 9


def test_a_rule_that_counts_needs_as_many_within_its_window() -> None:
    made = engine()
    refused = HandshakeRefused(event_time=T, status=401, reason="wrong-credential")
    changes: list[Change] = []
    for minute in (0, 5, 9, 11, 14, 14, 14):
        changes += made.fact(T + minute * MINUTE, "A", refused)
    assert told(changes) == [("raised", 14 * 60, "handshakes-refused", "A", "")]
    assert told(made.advance(T + 10 * 3_600 * SECOND)) == [("cleared", 14 * 60 + 3600, "handshakes-refused", "A", "")]


def test_a_window_that_does_not_fill_leaves_nothing_behind() -> None:
    made = engine()
    made.fact(T, "A", HandshakeRefused(event_time=T, status=401, reason="wrong-credential"))
    assert made.cells
    made.advance(T + 3_600 * SECOND)
    assert made.cells == {}


def test_a_command_that_is_answered_forgives_those_that_failed() -> None:
    made = engine()

    def settled(outcome: str) -> facts.CommandSettled:
        return facts.CommandSettled(event_time=T, command_id="c", outcome=outcome)

    for outcome in ("timed-out", "refused", "answered", "timed-out", "refused"):
        assert told(made.fact(T, "A", settled(outcome))) == []
    assert told(made.fact(T, "A", settled("timed-out"))) == [("raised", 0, "command-failing", "A", "")]


def test_a_session_whose_meter_stands_still_while_it_charges() -> None:
    made = engine()
    start = facts.SessionStarted(
        event_time=T, session_id="s", transaction="1", start_key="k", ocpp_version="1.6", evse=2, connector=1
    )
    made.fact(T, "A", start)
    made.fact(T, "A", status(T, "Charging", 2))

    def update(wh: int, **more: object) -> facts.SessionUpdated:
        return facts.SessionUpdated(event_time=T, session_id="s", register_wh=wh, **more)  # type: ignore[arg-type]

    for minute in range(40):
        assert told(made.fact(T + minute * MINUTE, "A", update(minute * 10))) == []
    for minute in range(40, 69):
        assert told(made.fact(T + minute * MINUTE, "A", update(390))) == []
    assert told(made.fact(T + 70 * MINUTE, "A", update(390))) == [("raised", 69 * 60, "session-stuck", "A", "2")]
    made.fact(T + 80 * MINUTE, "A", update(500))
    assert told(made.advance(T + 81 * MINUTE)) == [("cleared", 80 * 60 + 30, "session-stuck", "A", "2")]


@pytest.mark.parametrize("state", ["SuspendedEV", "SuspendedEVSE", "EVConnected"])
def test_a_session_that_is_suspended_may_stand_still(state: str) -> None:
    made = engine()
    start = facts.SessionStarted(
        event_time=T,
        session_id="s",
        transaction="1",
        start_key="k",
        ocpp_version="2.0.1",
        evse=1,
        connector=1,
        charging_state="Charging",
    )
    made.fact(T, "A", start)
    made.fact(T + MINUTE, "A", facts.SessionUpdated(event_time=T, session_id="s", charging_state=state))
    assert told(made.advance(T + 600 * MINUTE)) == []
    made.fact(T + 600 * MINUTE, "A", facts.SessionUpdated(event_time=T, session_id="s", charging_state="Charging"))
    assert told(made.advance(T + 630 * MINUTE)) == [("raised", 630 * 60, "session-stuck", "A", "1")]
    made.fact(T + 631 * MINUTE, "A", facts.SessionEnded(event_time=T, session_id="s"))
    assert [one.what for one in made.advance(T + 640 * MINUTE)] == ["cleared"]


@pytest.mark.parametrize("after", ["a status", "another session"])
def test_a_session_that_turned_out_to_be_elsewhere_has_left_its_first_evse(after: str) -> None:
    made = engine()

    def start(session: str) -> facts.SessionStarted:
        return facts.SessionStarted(
            event_time=T,
            session_id=session,
            transaction=session,
            start_key=session,
            ocpp_version="2.0.1",
            evse=1,
            connector=1,
            charging_state="Charging" if session == "moved" else "",
        )

    made.fact(T, "A", start("moved"))
    made.fact(T, "A", facts.SessionUpdated(event_time=T, session_id="moved", evse=2, connector=1))
    made.fact(T + MINUTE, "A", status(T, "Available", 1) if after == "a status" else start("other"))
    assert told(made.advance(T + 60 * MINUTE)) == [("raised", 30 * 60, "session-stuck", "A", "2")]


def test_a_gauge_is_over_its_limit_until_it_has_come_down_to_where_it_is_back() -> None:
    made = engine()
    site = Place("", "north")
    assert told(made.gauge(T, site, "site-power-percent", 120)) == []
    made.gauge(T + 5 * SECOND, site, "site-power-percent", 99)  # neither over nor back: it did not last
    assert told(made.advance(T + MINUTE)) == []
    made.gauge(T + MINUTE, site, "site-power-percent", 120)
    assert told(made.advance(T + 75 * SECOND)) == [("raised", 70, "site-over-limit", "", "north")]
    assert told(made.gauge(T + 80 * SECOND, site, "site-power-percent", 99)) == []
    assert told(made.advance(T + 600 * SECOND)) == []
    made.gauge(T + 600 * SECOND, site, "site-power-percent", 90)
    assert told(made.advance(T + 700 * SECOND)) == [("cleared", 630, "site-over-limit", "", "north")]


def test_a_rule_looks_only_where_it_is_told_to() -> None:
    rule = Rule(
        id="r",
        name="r",
        severity="minor",
        sites=("north",),
        stations=("CP-1*",),
        condition=FactCondition(when=(Match("station-disconnected"),), clear=(Match("station-connected"),)),
    )
    made = engine(rule, **{"CP-1": "north", "CP-2": "north", "CP-11": "south"})
    for name in ("CP-1", "CP-2", "CP-11"):
        made.fact(T, name, lost(T))
    assert [key[1] for key in made.cells] == ["CP-1"]


def test_a_rule_that_is_switched_off_or_changed_clears_what_it_had_raised() -> None:
    made = engine()
    made.fact(T, "A", status(T, "Faulted"))
    unchanged = made.set_rules(BUILT_IN, T + SECOND)
    assert told(unchanged) == []
    changes = made.set_rules([rule for rule in BUILT_IN if rule.id != "connector-faulted"], T + 2 * SECOND)
    assert [(one.what, one.why) for one in changes] == [("cleared", "rule-gone")]
    made.set_rules(BUILT_IN, T + 3 * SECOND)
    made.fact(T + 4 * SECOND, "A", status(T, "Faulted"))
    assert [(one.what, one.why) for one in made.forget_station("A", T + 5 * SECOND)] == [("cleared", "station-gone")]


def test_rules_are_set_again_and_again_without_growing() -> None:
    made = engine()
    made.restore_session("s", "A", 1, 0, T, True)
    for second in range(500):
        made.set_rules(BUILT_IN, T + second)
    assert len(made._heap) < 5


def test_many_that_are_due_at_once_can_be_taken_in_parts() -> None:
    made = engine()
    for number in range(50):
        made.fact(T, f"S{number:02}", lost(T))
    parts = []
    while made.next_due is not None and made.next_due <= T + 600 * SECOND:
        parts.append(told(made.advance(T + 600 * SECOND, 20)))
    assert [len(part) for part in parts] == [20, 20, 10]
    assert sorted(one[3] for part in parts for one in part) == [f"S{number:02}" for number in range(50)]


def test_severities_are_ordered() -> None:
    assert at_least("critical", "minor") and at_least("minor", "minor") and not at_least("warning", "minor")


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        (FactCondition(when=()), "condition.when"),
        (FactCondition(when=(Match("nothing"),), clear_after_s=1), "condition.when[0].fact"),
        (FactCondition(when=(Match("station-connected"),)), "condition.clear_after_s"),
        (FactCondition(when=(Match("station-connected"),), count=3, clear_after_s=1), "condition.within_s"),
        (
            FactCondition(when=(Match("station-connected", (Test("colour"),)),), clear_after_s=1),
            "condition.when[0].where[0].field",
        ),
        (
            FactCondition(when=(Match("event-notified", (Test("severity", "lt", "x"),)),), clear_after_s=1),
            "condition.when[0].where[0].value",
        ),
        (FactCondition(when=(Match("station-connected"),), per=("evse",), clear_after_s=1), "condition.when[0].fact"),
        (GaugeCondition("heat", 5), "condition.gauge"),
        (GaugeCondition("clock-skew-s", 5, 9), "condition.back"),
    ],
)
def test_a_rule_that_cannot_work_says_where(condition, field: str) -> None:
    assert field in [name for name, _ in check_rule(Rule(id="r", name="r", severity="minor", condition=condition))]


def test_comparisons() -> None:
    def raises(*where: Test, **fields: object) -> bool:
        rule = Rule(
            id="r",
            name="r",
            severity="minor",
            condition=FactCondition(when=(Match("event-notified", where),), clear_after_s=60),
        )
        fact = facts.EventNotified(
            **{"event_time": T, "event_id": 1, "component": "Powermeter", "variable": "Active", "trigger": "Delta"}
            | fields  # type: ignore[arg-type]
        )
        return bool(engine(rule).fact(T, "A", fact))

    assert raises(Test("severity", "le", 4), severity=4) and not raises(Test("severity", "le", 4), severity=5)
    assert not raises(Test("severity", "le", 4))
    assert raises(Test("severity", "gt", 4), severity=5) and raises(Test("severity", "ge", 5), severity=5)
    assert raises(Test("severity", "lt", 4), severity=3)
    assert raises(Test("component", "prefix", "Power")) and raises(Test("component", "contains", "METER"))
    assert raises(Test("component", "in", values=("Powermeter", "x"))) and raises(Test("cleared", value=False))
    assert not raises(Test("component", "not-in", values=("Powermeter",))) and raises(Test("variable", "ne", "Voltage"))
    assert raises(Test("component", value="Powermeter"), Test("variable", value="Active"))


# -- in all generality ------------------------------------------------------------------------------------------------
RULES = (
    *BUILT_IN,
    Rule(id="quick", name="quick", severity="minor", hold_s=0, condition=StalledCondition(for_s=60)),
)
Step = tuple[int, str, facts.Fact]


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """A few stations and sessions over some hours."""
    at, steps = T, list[Step]()
    for _ in range(draw(st.integers(1, 30))):
        at += draw(st.sampled_from([0, SECOND, 20 * SECOND, 2 * MINUTE, 20 * MINUTE]))
        station = draw(st.sampled_from("AB"))
        evse = draw(st.integers(1, 2))
        session = f"{station}{evse}"
        kind = draw(st.integers(0, 8))
        fact: facts.Fact
        match kind:
            case 0:
                fact = lost(at)
            case 1:
                fact = back(at)
            case 2 | 3:
                fact = status(at, draw(st.sampled_from(["Faulted", "Available", "Charging"])), evse)
            case 4:
                fact = facts.SessionStarted(
                    event_time=at,
                    session_id=session,
                    transaction=session,
                    start_key=session,
                    ocpp_version="2.0.1",
                    evse=evse,
                    connector=1,
                    charging_state=draw(st.sampled_from(["", "Charging"])),
                )
            case 5:
                fact = facts.SessionUpdated(
                    event_time=at,
                    session_id=session,
                    register_wh=draw(st.sampled_from([None, 0, 100, 200])),
                    charging_state=draw(st.sampled_from(["", "Charging", "SuspendedEV"])),
                )
            case 6:
                fact = facts.SessionEnded(event_time=at, session_id=session)
            case 7:
                fact = HandshakeRefused(event_time=at, status=401, reason="wrong-credential")
            case _:
                fact = facts.SecurityEventNotified(event_time=at, kind="TamperDetectionActivated")
        steps.append((at, station, fact))
    return steps


def key(one: Change) -> tuple[str, int, str, str, str, str]:
    return (one.what, one.at, one.rule.id, one.cell.station, one.cell.part, one.cell.alarm)


END = 4 * 3_600 * SECOND


@settings(max_examples=150, deadline=None)
@given(histories(), st.lists(st.integers(0, 60), max_size=40))
def test_how_often_time_is_told_changes_nothing(history: list[Step], ticks: list[int]) -> None:
    plain, ticked = Engine("t", RULES), Engine("t", RULES)
    one, other = [], []
    at = T
    waiting = list(ticks)
    for time, station, fact in history:
        one += [key(each) for each in plain.fact(time, station, fact)]
        while waiting and at < time:
            at = min(time, at + waiting.pop() * 10 * SECOND)
            other += [key(each) for each in ticked.advance(at)]
        other += [key(each) for each in ticked.fact(time, station, fact)]
        at = time
    one += [key(each) for each in plain.advance(history[-1][0] + END)]
    other += [key(each) for each in ticked.advance(history[-1][0] + END)]
    assert one == other


@settings(max_examples=150, deadline=None)
@given(histories())
def test_no_alarm_is_doubled_and_each_that_is_raised_is_cleared_at_most_once(history: list[Step]) -> None:
    made = Engine("t", RULES)
    changes = [each for step in history for each in made.fact(*step)] + made.advance(history[-1][0] + END)
    open_at: dict[tuple[str, str, str], str] = {}
    seen: set[str] = set()
    for one in changes:
        place = (one.rule.id, one.cell.station, one.cell.part)
        if one.what == "raised":
            assert place not in open_at and one.cell.alarm not in seen
            open_at[place] = one.cell.alarm
            seen.add(one.cell.alarm)
        elif one.what == "cleared":
            assert open_at.pop(place) == one.cell.alarm
        else:
            assert open_at[place] == one.cell.alarm
    assert sorted(open_at.values()) == sorted(cell.alarm for cell in made.cells.values() if cell.alarm)
    times = [one.at for one in changes]
    assert times == sorted(times)


FACT_RULES = tuple(rule for rule in BUILT_IN if isinstance(rule.condition, FactCondition))


@settings(max_examples=150, deadline=None)
@given(histories(), st.integers(0, 29))
def test_an_engine_that_goes_on_from_kept_cells_does_what_the_first_would_have_done(
    history: list[Step], cut: int
) -> None:
    whole, first = Engine("t", FACT_RULES), Engine("t", FACT_RULES)
    expected = [key(each) for step in history for each in whole.fact(*step)]
    expected += [key(each) for each in whole.advance(history[-1][0] + END)]
    found = [key(each) for step in history[:cut] for each in first.fact(*step)]
    kept = [msgspec.json.decode(msgspec.json.encode(cell), type=Cell) for cell in first.cells.values()]
    second = Engine("t", FACT_RULES)
    second.restore(kept)
    found += [key(each) for step in history[cut:] for each in second.fact(*step)]
    found += [key(each) for each in second.advance(history[-1][0] + END)]
    assert sorted(found) == sorted(expected)


def test_every_fact_has_a_name_that_rules_can_use() -> None:
    assert {"station-connected", "session-updated", "handshake-refused"} <= set(FACTS)
    assert all("." not in name for name in FACTS)
