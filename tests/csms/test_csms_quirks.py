"""Every named quirk has a frame; played to the central system it is recognised, and a station without it is not."""

from __future__ import annotations

import pytest
from quirks_kit import Player

from pilotwire.domain.facts import QuirkSeen
from pilotwire.domain.quirks import Quirk, quirks
from pilotwire.protocols.ocpp.tolerance import RULES

ALL = list(quirks().values())


@pytest.mark.parametrize("quirk", ALL, ids=lambda one: one.id)
def test_its_frames_show_it(quirk: Quirk) -> None:
    played = Player(quirk.versions[0], bare=quirk.bare).play(quirk.frames)
    assert quirk.id in played.seen
    assert played.seen.count(quirk.id) == 1, "it is told once"
    kept = played.world.record().quirks[quirk.id]
    assert kept.first <= kept.last <= played.world.clock.now()
    assert played.world.system.counters.faults == 0


@pytest.mark.parametrize("quirk", ALL, ids=lambda one: one.id)
def test_a_clean_conversation_does_not(quirk: Quirk) -> None:
    played = Player(quirk.versions[0], bare=quirk.bare).play(quirk.clean)
    assert played.seen == []
    assert played.world.system.counters.faults == 0


def test_every_tolerance_is_a_quirk_and_the_other_way_round() -> None:
    assert {rule.name for rule in RULES} == {one.id for one in ALL if one.found_by == "decoder"}


def test_the_frame_is_kept_beside_the_fact() -> None:
    quirk = quirks()["null-for-absent"]
    played = Player().play(quirk.frames)
    (entry,) = [one for one in played.world.store._entries if any(isinstance(fact, QuirkSeen) for fact in one.facts)]
    assert b'"info":null' in entry.frame


def test_meter_values_that_are_not_looked_at_are_signs_of_life_all_the_same() -> None:
    played = Player()
    client, world = played.client, played.world
    started = client.call("StartTransaction", client.start_v16())
    for number in range(60):
        world.run(100_000)
        value = [{"timestamp": client.at(), "sampledValue": [{"value": str(1_000 + number)}]}]
        body = {"connectorId": 1, "transactionId": started["transactionId"], "meterValue": value}
        assert client.call("MeterValues", body) == {}
    assert played.seen == []
    world.run(900_000)
    client.call("Heartbeat", {})
    assert played.seen == ["heartbeat-interval-ignored"]


def test_a_habit_of_meter_values_shows_on_a_connection_that_has_lasted() -> None:
    played = Player()
    client, world = played.client, played.world
    for number in range(80):
        world.run(60_000)
        unit = {"unit": "A"} if number < 15 else {}
        sample = {"value": "16", "measurand": "Current.Import", "phase": "L1", **unit}
        client.call(
            "MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": client.at(), "sampledValue": [sample]}]}
        )
    assert played.seen == ["unit-omitted"]


def test_a_quirk_is_told_again_the_next_day_and_with_other_firmware() -> None:
    played = Player()
    client, world = played.client, played.world

    def odd() -> None:
        body = {"connectorId": 1, "errorCode": "NoError", "status": "Preparing", "info": None}
        assert client.call("StatusNotification", body) == {}

    odd()
    odd()
    assert played.seen == ["null-for-absent"]
    for _ in range(24 * 12):
        world.run(300_000)
        client.call("Heartbeat", {})
    odd()
    assert played.seen == ["null-for-absent"] * 2
    boot = {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": "2.0"}
    assert client.call("BootNotification", boot)["status"] == "Accepted"
    odd()
    assert played.seen == ["null-for-absent"] * 3
    assert world.record().quirks["null-for-absent"].firmware == "2.0"


def test_a_look_that_fails_costs_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Player()
    monkeypatch.setattr("pilotwire.translate.quirks.watch.Watch.beat", lambda watch: 1 / 0)
    assert "currentTime" in played.client.call("Heartbeat", {})
    assert played.world.system.counters.faults == 1 and played.seen == []


@pytest.mark.parametrize(("after", "seen"), [("900", ["change-not-kept"]), ("30", [])])
def test_a_change_that_needs_a_restart_is_looked_for_after_it(after: str, seen: list[str]) -> None:
    played = Player()
    key = '"configurationKey":[{"key":"MeterValueSampleInterval","readonly":false,"value":"%s"}]'
    ask = 'ask GetConfiguration {"key":["MeterValueSampleInterval"]}'
    played.play(
        (
            'ask ChangeConfiguration {"key":"MeterValueSampleInterval","value":"30"}',
            '[3,"$id",{"status":"RebootRequired"}]',
            ask,
            '[3,"$id",{%s}]' % (key % "900"),
        )
    )
    assert played.seen == []
    played.client.boot()
    played.client.status()
    played.play((ask, '[3,"$id",{%s}]' % (key % after)))
    assert played.seen == seen
