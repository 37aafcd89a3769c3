"""How things are shown, without a browser."""

from __future__ import annotations

import pytest

from pilotwire.api.types import CommandAnswer, Connector, Session, Station
from pilotwire.console.view import State, kw, kwh, state_of, ticks
from pilotwire.console.words import of_answer


def connector(status: str) -> Connector:
    return Connector(
        evse=1, connector=1, status=status, status_since=None, error_code="", info="", power_w=0, session_id=None
    )


def station(*, connected: bool = True) -> Station:
    return Station(
        id="CP", connected=connected, ocpp_version="2.1", vendor="", model="", serial="", firmware="",
        firmware_status="", boot_status=None, booted_at=None, connected_at=None, disconnected_at=None, last_seen=None,
        peer="", security_profile=1, clock_skew_ms=0, power_w=0, registered=True, enabled=True, note="",
        site="", connectors=[],
    )  # fmt: skip


def session(charging_state: str) -> Session:
    return Session(
        id="s", station_id="CP", evse=1, connector=1, transaction="t", token="", token_type="", status="active",
        started_at="2026-01-01T00:00:00.000Z", ended_at=None, updated_at=None, energy_wh=0, power_w=0,
        soc_percent=None, meter_start_wh=None, meter_stop_wh=None, charging_state=charging_state, stop_reason=None,
        ocpp_version="2.1", flags=[], cost=None, vehicle=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "charging_state", "kind", "text"),
    [
        ("Available", None, "free", "Available"),
        ("Occupied", None, "busy", "Occupied"),
        ("Occupied", "Charging", "charging", "Charging"),
        ("Occupied", "SuspendedEV", "busy", "Paused by the car"),
        ("SuspendedEVSE", "Charging", "busy", "Paused by the station"),
        ("Faulted", "Charging", "fault", "Faulted"),
        ("SomethingNew", None, "busy", "Something New"),
    ],
)
def test_state(status: str, charging_state: str | None, kind: str, text: str) -> None:
    shown = state_of(station(), connector(status), session(charging_state) if charging_state else None)
    assert (shown.kind, shown.text) == (kind, text)


def test_a_station_that_is_away_knows_nothing_of_its_connectors() -> None:
    assert state_of(station(connected=False), connector("Charging"), None) == State("off", "Offline", "off")


def test_numbers() -> None:
    assert (kw(0), kw(250), kw(7_360), kw(149_950)) == ("0.0", "0.3", "7.4", "150.0")
    assert (kwh(0), kwh(12_345), kwh(99_994), kwh(1_234_567)) == ("0.00", "12.35", "99.99", "1,234.6")


def test_ticks_are_code_and_all_else_is_escaped() -> None:
    assert ticks("a `b<c>` <d>") == "a <code>b&lt;c&gt;</code> &lt;d&gt;"
    assert ticks("one ` alone <x>") == "one ` alone &lt;x&gt;"


@pytest.mark.parametrize(
    ("verb", "outcome", "answer", "level", "text"),
    [
        ("start", "answered", {"status": "Accepted"}, "good", "CP will start charging."),
        ("reset", "answered", {"status": "Scheduled"}, "good", "CP will restart as soon as it can."),
        ("unlock", "answered", {"status": "Unlocked"}, "good", "CP has unlocked the connector."),
        ("start", "answered", {"status": "Rejected"}, "warn", "CP answered: rejected."),
        (
            "start",
            "answered",
            {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidIdToken"}},
            "warn",
            "CP answered: rejected (InvalidIdToken).",
        ),
        (
            "stop",
            "refused",
            {"code": "InternalError", "description": "stuck", "details": {}},
            "bad",
            "CP refused: internal error (stuck).",
        ),
    ],
)
def test_answers_in_plain_words(verb: str, outcome: str, answer: dict, level: str, text: str) -> None:
    made = CommandAnswer(command_id="c", station_id="CP", action="X", outcome=outcome, answer=answer)
    assert of_answer(verb, made) == (level, text)
