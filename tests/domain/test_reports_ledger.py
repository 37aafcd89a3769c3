"""The ledger of reports: every amount is booked once, on the right day, and adds up."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.core.time import from_rfc3339
from pilotwire.domain import facts, records
from pilotwire.domain.ledger import (
    CHARGING,
    DURATION,
    ENERGY,
    EXCLUDED,
    OCCUPIED,
    OFFLINE,
    OUTAGE,
    SESSIONS,
    WATCHED,
    Ledger,
    Row,
    percent,
    shares,
    zeros,
)
from pilotwire.domain.outages import Window, overlap
from pilotwire.domain.periods import Days, period_end, period_of, tiles

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3_600_000
T = from_rfc3339("2026-01-01T12:00:00Z")


def ledger(zone: object = UTC, **sites: str) -> Ledger:
    days = Days(zone)  # type: ignore[arg-type]
    return Ledger(lambda station: days, lambda station: sites.get(station, ""))


def column(made: Ledger, which: int) -> dict[str, int]:
    """Day → amount."""
    found: dict[str, int] = {}
    for row, sums in made.pending.items():
        found[row.day] = found.get(row.day, 0) + sums[which]
    return {day: amount for day, amount in sorted(found.items()) if amount}


def session(**fields: object) -> records.Session:
    given = {
        "tenant": "t",
        "id": "s",
        "station_id": "A",
        "transaction": "1",
        "ocpp_version": "1.6",
        "evse": 1,
        "connector": 1,
        "started_at": T,
    }
    return records.Session(**{**given, **fields})  # type: ignore[arg-type]


def test_days_are_those_of_the_zone_also_when_the_clocks_change() -> None:
    berlin = Days(BERLIN)
    spring = from_rfc3339("2026-03-28T23:00:00Z")  # midnight of the 29th, which has 23 hours
    assert berlin.split(spring, spring + 24 * HOUR) == [("2026-03-29", 23 * HOUR), ("2026-03-30", HOUR)]
    autumn = from_rfc3339("2026-10-24T22:00:00Z")
    assert berlin.split(autumn, autumn + 25 * HOUR) == [("2026-10-25", 25 * HOUR)]
    assert berlin.day(from_rfc3339("2026-01-01T22:59:59.999Z")) == "2026-01-01"
    assert berlin.day(from_rfc3339("2026-01-01T23:00:00Z")) == "2026-01-02"
    assert berlin.split(T, T) == []


@given(st.integers(-(10**9), 10**9), st.lists(st.integers(0, 10**8), min_size=1, max_size=20))
def test_shares_add_up(total: int, weights: list[int]) -> None:
    parts = shares(total, weights)
    assert sum(parts) == total and len(parts) == len(weights)


def test_a_session_over_midnight_is_parted_by_time() -> None:
    made = ledger()
    made.book(session(status="ended", started_at=T + 6 * HOUR, ended_at=T + 18 * HOUR, energy_wh=12_001), T + 20 * HOUR)
    assert column(made, OCCUPIED) == {"2026-01-01": 6 * HOUR, "2026-01-02": 6 * HOUR}
    assert column(made, ENERGY) == {"2026-01-01": 6_000, "2026-01-02": 6_001}
    assert column(made, SESSIONS) == {"2026-01-02": 1}
    assert column(made, DURATION) == {"2026-01-02": 12 * HOUR}


def test_a_running_session_is_booked_as_it_goes_and_corrected_at_its_end() -> None:
    made = ledger()
    running = session(energy_wh=1_000, updated_at=T + HOUR)
    made.book(running, T + HOUR)
    assert (column(made, ENERGY), column(made, SESSIONS)) == ({"2026-01-01": 1_000}, {})
    running.energy_wh, running.updated_at = 14_000, T + 14 * HOUR
    made.book(running, T + 14 * HOUR)
    assert column(made, ENERGY) == {"2026-01-01": 12_000, "2026-01-02": 2_000}
    # It turns out that it ended earlier, with less.
    running.status, running.ended_at, running.energy_wh = "ended", T + 13 * HOUR, 13_500
    made.book(running, T + 15 * HOUR)
    assert column(made, OCCUPIED) == {"2026-01-01": 12 * HOUR, "2026-01-02": HOUR}
    assert sum(column(made, ENERGY).values()) == 13_500
    made.book(running, T + 16 * HOUR)
    assert sum(column(made, ENERGY).values()) == 13_500 and column(made, SESSIONS) == {"2026-01-02": 1}
    # A late stop says that it ended before midnight.
    running.ended_at = T + 11 * HOUR
    made.book(running, T + 17 * HOUR)
    assert column(made, SESSIONS) == {"2026-01-01": 1} and column(made, DURATION) == {"2026-01-01": 11 * HOUR}
    assert column(made, OCCUPIED) == {"2026-01-01": 11 * HOUR}


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 50_000)), max_size=12),
    st.integers(0, 40),
    st.integers(0, 50_000),
)
def test_whatever_is_told_on_the_way_the_end_is_what_the_record_says(
    updates: list[tuple[int, int]], end: int, wh: int
) -> None:
    made = ledger(BERLIN)
    one, now = session(), T
    for hours, energy in updates:
        now = max(now, T + hours * HOUR)
        one.updated_at, one.energy_wh = T + hours * HOUR, energy
        made.book(one, now)
    one.status, one.ended_at, one.energy_wh = "ended", T + end * HOUR, wh
    made.book(one, max(now, T + end * HOUR))
    at_once = ledger(BERLIN)
    at_once.book(one, T + 100 * HOUR)
    assert sum(column(made, ENERGY).values()) == wh
    assert column(made, OCCUPIED) == column(at_once, OCCUPIED)
    assert column(made, SESSIONS) == column(at_once, SESSIONS) and column(made, DURATION) == column(at_once, DURATION)


def status(text: str, evse: int = 1, connector: int = 1, error: str = "") -> facts.ConnectorStatusChanged:
    return facts.ConnectorStatusChanged(event_time=0, evse=evse, connector=connector, status=text, error_code=error)


def test_outages_and_what_they_are_made_of() -> None:
    made = ledger(A="north")
    made.fact(T, "A", facts.StationConnected(event_time=0, ocpp_version="1.6"))
    made.fact(T, "A", status("Available"))
    made.fact(T + HOUR, "A", status("Faulted", error="GroundFailure"))
    made.fact(T + 2 * HOUR, "A", facts.StationDisconnected(event_time=0, code=1006))
    made.fact(T + 4 * HOUR, "A", facts.StationConnected(event_time=0, ocpp_version="1.6"))
    made.fact(T + 5 * HOUR, "A", status("Available"))
    made.accrue_all(T + 10 * HOUR)
    assert column(made, WATCHED) == {"2026-01-01": 10 * HOUR}
    assert column(made, OUTAGE) == {"2026-01-01": 4 * HOUR}
    assert column(made, OFFLINE) == {"2026-01-01": 2 * HOUR}
    (outage,) = made.outages
    assert (outage.cause, outage.detail, outage.site) == ("faulted", "GroundFailure", "north")
    assert (outage.began, outage.ended, outage.evse) == (T + HOUR, T + 5 * HOUR, 1)


def test_a_whole_station_that_is_unavailable() -> None:
    made = ledger()
    made.fact(T, "A", status("Available", 1))
    made.fact(T, "A", status("Available", 2))
    made.fact(T, "A", status("Unavailable", 0))
    made.accrue_all(T + HOUR)
    assert column(made, OUTAGE) == {"2026-01-01": 2 * HOUR}
    assert {one.evse for one in made.lasting()} == {1, 2}


def test_an_evse_is_down_when_none_of_its_connectors_can_be_used() -> None:
    made = ledger()
    made.fact(T, "A", status("Faulted", 1, 1))
    made.fact(T + HOUR, "A", status("Available", 1, 2))
    made.accrue_all(T + 3 * HOUR)
    assert column(made, OUTAGE) == {"2026-01-01": HOUR}


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_time_in_which_energy_flows(version: str) -> None:
    made = ledger()
    made.fact(T, "A", status("Available"))
    start = facts.SessionStarted(
        event_time=0, session_id="s", transaction="1", start_key="k", ocpp_version=version, evse=1, connector=1
    )
    assert made.fact(T + HOUR, "A", start) == "s"
    if version == "1.6":
        made.fact(T + HOUR, "A", status("Charging"))
        made.fact(T + 3 * HOUR, "A", status("SuspendedEV"))
    else:
        made.fact(T + HOUR, "A", status("Occupied"))
        update = facts.SessionUpdated(event_time=0, session_id="s", charging_state="Charging")
        assert made.fact(T + HOUR, "A", update) == "s"
        made.fact(T + 2 * HOUR, "A", facts.SessionUpdated(event_time=0, session_id="s"))
        made.fact(T + 3 * HOUR, "A", facts.SessionUpdated(event_time=0, session_id="s", charging_state="SuspendedEV"))
    assert made.fact(T + 5 * HOUR, "A", facts.SessionEnded(event_time=0, session_id="s")) == "s"
    made.accrue_all(T + 6 * HOUR)
    assert column(made, CHARGING) == {"2026-01-01": 2 * HOUR}


def test_exclusions_count_once_however_they_overlap() -> None:
    made = ledger(A="north")
    made.windows = [
        Window(T, T + 2 * HOUR, station="A"),
        Window(T + HOUR, T + 3 * HOUR, site="north"),
        Window(T, T + 9 * HOUR, station="B"),
    ]
    made.fact(T, "A", facts.StationConnected(event_time=0, ocpp_version="1.6"))
    made.fact(T, "A", status("Faulted"))
    made.fact(T + 5 * HOUR, "A", status("Available"))
    made.accrue_all(T + 10 * HOUR)
    assert column(made, OUTAGE) == {"2026-01-01": 5 * HOUR} and column(made, EXCLUDED) == {"2026-01-01": 3 * HOUR}
    assert made.outages[0].excluded == 3 * HOUR
    assert percent(column(made, WATCHED)["2026-01-01"] - 2 * HOUR, 10 * HOUR) == 80.0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=8), st.integers(0, 50), st.integers(0, 50))
def test_overlaps_are_a_union(windows: list[tuple[int, int]], begin: int, end: int) -> None:
    parts = overlap(begin, end, [Window(low, high) for low, high in windows])
    covered = {moment for low, high in parts for moment in range(low, high)}
    wanted = {moment for low, high in windows for moment in range(max(low, begin), min(high, end))}
    assert covered == wanted and sum(high - low for low, high in parts) == len(covered)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 5 * HOUR),
            st.sampled_from(["Available", "Faulted", "Charging", "Unavailable", "lost", "back", "look"]),
        ),
        max_size=25,
    )
)
def test_watched_time_is_all_time_and_no_part_of_it_is_more(steps: list[tuple[int, str]]) -> None:
    made, now = ledger(BERLIN), T
    made.fact(T, "A", status("Available"))
    for wait, what in steps:
        now += wait
        match what:
            case "lost":
                made.fact(now, "A", facts.StationDisconnected(event_time=0, code=1006))
            case "back":
                made.fact(now, "A", facts.StationConnected(event_time=0, ocpp_version="1.6"))
            case "look":
                made.accrue_all(now)
            case text:
                made.fact(now, "A", status(text))
    made.accrue_all(now)
    assert sum(column(made, WATCHED).values()) == now - T
    for sums in made.pending.values():
        assert 0 <= sums[OFFLINE] <= sums[OUTAGE] and sums[OUTAGE] + sums[CHARGING] <= sums[WATCHED]
    listed = sum(one.ended - one.began for one in made.outages) + sum(now - one.began for one in made.lasting())
    assert listed <= sum(column(made, OUTAGE).values()) or listed == sum(column(made, OUTAGE).values())


def test_what_a_station_shows_when_watching_begins() -> None:
    made = ledger()
    record = records.Station(
        tenant="t",
        id="A",
        connected=True,
        connectors=[
            records.Connector(0, 0, "Available"),
            records.Connector(1, 1, "Faulted"),
            records.Connector(2, 1, "Charging"),
        ],
    )
    made.meet(record, T)
    made.accrue_all(T + HOUR)
    assert column(made, OUTAGE) == {"2026-01-01": HOUR} and column(made, CHARGING) == {"2026-01-01": HOUR}
    assert made.pending[Row("A", 1, "2026-01-01")][OUTAGE] == HOUR


def test_sessions_that_ended_long_ago_are_forgotten() -> None:
    made = ledger()
    made.book(session(status="ended", ended_at=T + HOUR), T + HOUR)
    made.book(session(id="r", updated_at=T), T)
    made.forget(T + 5 * 24 * HOUR)
    assert set(made.booked) == {"r"}


def test_periods() -> None:
    assert period_of(date(2026, 3, 14), "week") == date(2026, 3, 9)
    assert period_end(date(2026, 12, 1), "month") == date(2027, 1, 1)
    assert period_end(date(2026, 2, 1), "month") == date(2026, 3, 1)
    assert period_end(date(2026, 3, 9), "week") == date(2026, 3, 16)
    assert percent(1, 0) is None and percent(3, 2) == 100.0 and percent(-1, 2) == 0.0
    assert zeros() == [0] * 9


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(0, 1_500))
def test_tiles_cover_every_day_once(begin: date, length: int) -> None:
    end = begin + timedelta(days=length)
    at = begin
    for period, first in tiles(begin, end):
        assert first == at and period_of(first, period) == first
        at = period_end(first, period)
    assert at == end


def test_a_year_is_read_in_few_tiles() -> None:
    assert tiles(date(2026, 1, 1), date(2027, 1, 1)) == [("year", date(2026, 1, 1))]
    assert [period for period, _ in tiles(date(2025, 7, 1), date(2026, 7, 1))] == ["quarter"] * 4
    assert len(tiles(date(2026, 5, 20), date(2026, 6, 19))) <= 12
