"""What happened during a session, and its curves."""

from __future__ import annotations

from typing import Any

from pilotwire.api.resources.curves import series_of
from pilotwire.core.time import to_rfc3339
from pilotwire.domain import facts, records

NOW = 1_767_268_800_000
MINUTE = 60_000
BEGAN = NOW - 30 * MINUTE


def _updated(at: int, trigger: str, state: str = "", **more: Any) -> facts.SessionUpdated:
    return facts.SessionUpdated(event_time=at, session_id="s-9", trigger=trigger, charging_state=state, **more)


def _tell(world: Any) -> None:
    """A session's life at a station of its own, with much around it that is none of its business."""

    def commit(at: int, *said: facts.AnyFact, **more: Any) -> None:
        world.commit("CP-Z", *said, time=at, **more)

    for minute in range(200, 90, -1):
        at = NOW - minute * MINUTE
        commit(at, facts.SessionUpdated(event_time=at, session_id="s-old", trigger="ChargingStateChanged"))
    shown = facts.TokenPresented(
        event_time=BEGAN - 5_000, token="04A1B2C3", token_type="ISO14443", verdict="Accepted", evse=1
    )
    commit(BEGAN - 5_000, shown)
    started = facts.SessionStarted(
        event_time=BEGAN, session_id="s-9", transaction="t", start_key="k", ocpp_version="2.0.1", evse=1,
        connector=1, token="04A1B2C3", trigger="CablePluggedIn", charging_state="EVConnected",
    )  # fmt: skip
    record = records.Session(
        tenant="default", id="s-9", station_id="CP-Z", transaction="t", ocpp_version="2.0.1", evse=1, connector=1,
        token="04A1B2C3", started_at=BEGAN, received_at=BEGAN,
    )  # fmt: skip
    commit(BEGAN, started, touched=(record,))
    for minute in range(1, 20):
        at = BEGAN + minute * MINUTE
        commit(at, _updated(at, "MeterValuePeriodic", "Charging" if minute > 1 else "EVConnected"))
    at = BEGAN + 20 * MINUTE
    commit(at, _updated(at, "ChargingStateChanged", "SuspendedEV"))
    commit(at, facts.ConnectorStatusChanged(event_time=at, evse=2, connector=1, status="Faulted"))
    commit(at + MINUTE, facts.StationDisconnected(event_time=at + MINUTE, code=1006))
    at += 2 * MINUTE
    action = "RequestStopTransaction"
    commit(
        at,
        facts.CommandRequested(event_time=at, command_id="c", action=action, payload="{}", expires_at=0, by="ada"),
    )


async def test_events_are_the_news_of_one_session(world, api) -> None:
    _tell(world)
    found = (await api.get("/api/v1/sessions/s-9/events")).json()
    assert found["next"] is None
    assert [(one["type"], one["code"], one["charging_state"]) for one in found["items"]] == [
        ("token-presented.1", "Accepted", None),
        ("session-started.1", "CablePluggedIn", "EVConnected"),
        ("session-updated.1", "MeterValuePeriodic", "Charging"),
        ("session-updated.1", "ChargingStateChanged", "SuspendedEV"),
        ("station-disconnected.1", None, None),
        ("command-requested.1", "RequestStopTransaction", None),
    ]
    assert [one["time"] for one in found["items"]] == sorted(one["time"] for one in found["items"])
    assert found["items"][-1]["summary"] == "command RequestStopTransaction by ada"


async def test_events_of_an_ended_session_end_with_it(world, api) -> None:
    late = facts.StationDisconnected(event_time=NOW - MINUTE, code=1006)
    world.commit("CP-B", late, time=NOW - MINUTE)
    ended = await world.store.session("default", "s-0")
    ended.updated_at, ended.received_at = NOW - 100 * MINUTE, NOW - 200 * MINUTE
    world.commit("CP-B", touched=(ended,))
    items = (await api.get("/api/v1/sessions/s-0/events")).json()["items"]
    assert [(one["type"], one["code"]) for one in items] == [("session-ended.1", "EVDisconnected")]
    assert items[0]["time"] == to_rfc3339(NOW - 100 * MINUTE)


async def test_a_station_that_thinks_it_is_1970_is_shown_at_the_time_of_arrival(world, api) -> None:
    said = facts.EventNotified(
        event_time=5_000, event_id=1, component="Connector", variable="Problem", trigger="Alerting", evse=1
    )
    world.commit("CP-A", said, time=NOW - MINUTE)
    items = (await api.get("/api/v1/sessions/s-1/events")).json()["items"]
    assert items[-1]["code"] == "Problem"
    assert items[-1]["time"] == items[-1]["received_at"] == to_rfc3339(NOW - MINUTE)


async def test_curves_hold_what_was_measured(api) -> None:
    found = (await api.get("/api/v1/sessions/s-1/curves")).json()
    assert found["session_id"] == "s-1"
    (power,) = found["series"]
    curve = (await api.get("/api/v1/sessions/s-1/curve?points=2000")).json()["points"]
    assert power["values"] == [point["power_w"] for point in curve]
    assert (power["kind"], power["unit"], power["phase"], power["derived"]) == ("power", "W", "", False)
    assert power["times"][0] == NOW - 30 * MINUTE
    for path in ("curves", "events"):
        assert (await api.get(f"/api/v1/sessions/nobody/{path}")).status_code == 404


def _sample(minute: int, measurand: str, value: float, unit: str, phase: str = "", location: str = "") -> Any:
    time = NOW + minute * MINUTE
    return records.Sample(1, 1, time, measurand, round(value * 1000), unit, phase=phase, location=location)


def test_series_are_by_kind_and_phase() -> None:
    session = records.Session(
        tenant="default", id="s", station_id="A", transaction="1", ocpp_version="1.6", evse=1, connector=1,
        started_at=NOW, meter_start_wh=1_000,
    )  # fmt: skip
    samples = [
        *(_sample(n, "Energy.Active.Import.Register", 1_000 + n * 100, "Wh") for n in range(3)),
        *(_sample(n, "Current.Import", 16, "A", phase) for n in range(3) for phase in ("L1", "L2", "L3", "N")),
        _sample(0, "Current.Import", 16, "A"),
        _sample(1, "Voltage", 230.4, "V", "L1-N"),
        _sample(1, "SoC", 45.5, "Percent", location="EV"),
        _sample(1, "Current.Offered", 32, "A"),
        _sample(1, "Voltage", 400, "V", location="Inlet"),
    ]
    found = {(one.kind, one.phase): one for one in series_of(session, samples, 100)}
    assert list(found) == [
        ("power", ""), ("energy", ""), ("soc", ""), ("current", "L1"), ("current", "L2"), ("current", "L3"),
        ("current-offered", ""), ("voltage", "L1"),
    ]  # fmt: skip
    assert found["power", ""].derived
    assert found["power", ""].values == [6_000, 6_000]
    assert found["energy", ""].values == [0, 100, 200]
    assert found["soc", ""].values == [45.5]
    assert found["voltage", "L1"].values == [230.4]


def test_a_meter_that_counts_each_session_from_zero_still_shows_what_was_delivered() -> None:
    session = records.Session(
        tenant="default", id="s", station_id="A", transaction="1", ocpp_version="1.6", evse=1, connector=1,
        started_at=NOW, meter_start_wh=500_000,
    )  # fmt: skip
    samples = [_sample(n, "Energy.Active.Import.Register", n * 50, "Wh") for n in range(4)]
    energy = next(one for one in series_of(session, samples, 100) if one.kind == "energy")
    assert energy.values == [0, 50, 100, 150]
