"""What happens at the edges: silence, half-open connections, pending boots, late answers, changed passwords."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pilotwire.site.ocpp.evse import ManagedStation
from pilotwire.site.ports import Abilities
from pilotwire.station.config import EvseConfig


def _reading(number: int) -> bytes:
    payload = {
        "connectorId": 1,
        "meterValue": [{"timestamp": f"2026-01-05T00:00:{number:02}Z", "sampledValue": [{"value": str(number)}]}],
    }
    return json.dumps([2, f"reading-number-{number}", "MeterValues", payload]).encode()


def _values(site: Any) -> list[str]:
    return [row["meterValue"][0]["sampledValue"][0]["value"] for row in site.central.of("MeterValues")]


def test_a_silent_upstream_does_not_mix_up_the_order(make_site) -> None:
    site = make_site(attempt_s=5)
    raw = site.raw()
    site.run(1)
    site.central.silent.add("MeterValues")
    for number in (1, 2, 3):  # a station that does not wait for answers
        raw.link.send(_reading(number))
    site.run(26)
    raw.link.send(_reading(4))
    site.run(10)
    site.central.silent.clear()
    site.run(300)
    said = _values(site)
    assert list(dict.fromkeys(said)) == ["1", "2", "3", "4"]
    assert said[-3:] == ["2", "3", "4"]
    assert sorted(json.loads(frame)[1] for frame in raw.frames) == [f"reading-number-{n}" for n in (1, 2, 3, 4)]


def test_a_lost_connection_does_not_mix_up_the_order(make_site) -> None:
    site = make_site()
    raw = site.raw()
    site.run(1)
    site.central.silent.add("MeterValues")
    for number in (1, 2, 3):
        raw.link.send(_reading(number))
    site.run(2)
    site.wan_down()
    site.run(5)
    assert len(raw.frames) == 3
    site.central.silent.clear()
    site.wan_up()
    site.run(60)
    assert _values(site) == ["1", "1", "2", "3"]
    ids = [message_id for _, message_id, action, _ in site.central.calls if action == "MeterValues"]
    assert ids[0] == ids[1]  # said again as what it is: a repetition


def test_what_was_delivered_is_gone_after_a_restart(make_site) -> None:
    site = make_site()
    site.wan_down()
    raw = site.raw()
    site.run(30)
    raw.link.send(_reading(1))
    site.run(1)
    site.wan_up()
    site.run(60)
    assert _values(site) == ["1"]
    site.kill_box()
    site.start_box()
    site.run(60)
    assert site.box.status().queued == 0
    assert _values(site) == ["1"]


def test_a_late_answer_is_an_answer(make_site) -> None:
    site = make_site()
    site.wan_down()
    raw = site.raw()
    site.run(30)
    raw.link.send(_reading(1))
    site.run(1)
    site.central.silent.add("MeterValues")
    site.wan_up()
    site.run(30)
    (asked,) = [(at, message_id) for at, message_id, action, _ in site.central.calls if action == "MeterValues"]
    site.run(20)
    site.central.link.send(json.dumps([3, asked[1], {}]).encode())
    site.run(200)
    assert len(_values(site)) == 1
    assert site.box.status().queued == 0


def test_the_end_of_a_session_needs_no_second_one(make_site) -> None:
    site = make_site(unknown_tokens="accept")
    station = site.power_on()
    site.run(5)
    site.wan_down()
    site.run(10)
    station.plug(1, site.car())
    station.tap(1, "STRANGER")
    site.run(120)
    station.tap(1, "STRANGER")
    site.run(10)
    site.central.status = "Blocked"
    site.wan_up()
    site.run(200)
    assert site.box.counters.conflicts == 1
    assert site.box.counters.own_down == 0


def test_an_upstream_that_has_not_accepted_the_boot_hears_nothing_else(make_site) -> None:
    site = make_site(tokens=("CARD1",))
    site.wan_down()
    station = site.power_on()
    site.run(30)
    station.plug(1, site.car())
    station.tap(1, "CARD1")
    site.run(60)
    site.central.boot_status = "Pending"
    site.wan_up()
    site.run(400)
    assert {action for _, _, action, _ in site.central.calls} == {"BootNotification"}
    assert len(site.central.calls) >= 2
    assert station.evses[0].session is not None  # the driver does not feel it
    site.central.boot_status = "Accepted"
    site.run(700)
    assert site.central.of("StartTransaction")
    assert site.seat.authority.depth == 0


def test_a_half_open_connection_is_found_out(make_site) -> None:
    site = make_site()
    site.raw()
    site.run(5)
    (connection,) = site.wan.connections.values()
    connection.cut(notice_up_ms=10**9, notice_down_ms=10**9)
    site.run(100)
    assert site.central.opened_times == 2
    assert site.seat.authority.uplink.is_open


def test_attempts_to_connect_get_rarer(make_site) -> None:
    site = make_site()
    site.wan_down()
    site.raw()
    site.run(120)
    first = site.box.counters.dials
    assert 4 <= first <= 8
    site.run(3600)
    assert 15 <= site.box.counters.dials - first <= 30


def test_a_fail_safe_that_the_station_does_not_keep_is_told(make_site) -> None:
    site = make_site(known={"managed": True})
    unit = ManagedStation(site.seat, {1: Abilities()})
    raw = site.raw()
    said = {"limit": 32.0}

    def reply(parts: list[Any]) -> Any:
        if parts[2] == "GetCompositeSchedule":
            rows = [{"startPeriod": 0, "limit": said["limit"]}]
            schedule = {"chargingRateUnit": "A", "duration": 3600, "chargingSchedulePeriod": rows}
            start = "2026-01-05T00:00:00Z"
            return {"status": "Accepted", "connectorId": 1, "scheduleStart": start, "chargingSchedule": schedule}
        return {"status": "Accepted"}

    raw.reply = reply
    told: list[Any] = []
    unit.drivers[1].failsafe(6_000, 90_000, told.append)
    site.run(2)
    assert not told[0].ok
    assert unit.drivers[1].abilities.failsafe is None
    said["limit"] = 6.0
    unit.drivers[1].failsafe(6_000, 90_000, told.append)
    site.run(2)
    assert told[1].ok
    assert unit.drivers[1].abilities.failsafe == 6_000
    unit.drivers[1].failsafe(6_000, 1_000, told.append)
    assert not told[2].ok  # what is offered would last longer than that watchdog


def test_each_evse_keeps_its_fail_safe(make_site) -> None:
    site = make_site(known={"managed": True})
    unit = ManagedStation(site.seat, {1: Abilities(), 2: Abilities()})
    station = site.power_on(evses=(EvseConfig(), EvseConfig()))
    site.run(10)
    told: list[Any] = []
    unit.drivers[1].failsafe(6_000, 90_000, told.append)
    site.run(5)
    unit.drivers[2].failsafe(7_000, 90_000, told.append)
    site.run(5)
    assert [each.ok for each in told] == [True, True]
    assert {each.evse for each in station.smart_charging.store} == {1, 2}


def test_cards_expire(make_site) -> None:
    site = make_site()
    book = site.box.book
    now = int(site.scheduler.now())
    book.learn("A", "Accepted", "2026-01-05T01:00:00Z")
    assert book.decide("", "a", "", now) == "Accepted"
    assert book.decide("", "a", "", now + 3_600_001) == "Invalid"
    book.learn("A", "Accepted", "")
    assert book.decide("", "a", "", now + 10**12) == "Accepted"


def test_the_memory_for_cards_is_bounded_and_outlives_the_box(make_site) -> None:
    site = make_site(token_cache=3)
    raw = site.raw()
    site.run(1)
    for card in "ABCDE":
        raw.link.send(json.dumps([2, card, "Authorize", {"idTag": card}]).encode())
        site.run(1)
    assert len(site.box.book) == 3
    site.kill_box()
    site.start_box()
    assert [site.box.book.known("", card, 0) for card in "ABCDE"] == [None, None, "Accepted", "Accepted", "Accepted"]


def test_a_late_answer_of_the_station_still_reaches_who_asked(make_site) -> None:
    site = make_site(station_ms=1_000)
    raw = site.raw()
    site.run(1)
    site.central.ask("Reset", {"type": "Soft"}, "slow")
    site.run(3)
    raw.link.send(b'[3,"slow",{"status":"Accepted"}]')
    site.run(1)
    assert site.central.answered("slow")[2] == {"status": "Accepted"}
    assert site.box.counters.strays == 0


def test_a_station_is_asked_one_thing_at_a_time(make_site) -> None:
    site = make_site()
    raw = site.raw()
    site.run(1)
    for number in range(3):
        site.central.ask("Reset", {}, f"q{number}")
    site.run(1)
    assert [json.loads(frame)[1] for frame in raw.frames] == ["q0"]
    raw.link.send(b'[3,"q0",{}]')
    site.run(1)
    assert [json.loads(frame)[1] for frame in raw.frames] == ["q0", "q1"]


def test_what_is_nested_without_end_is_refused(make_site) -> None:
    site = make_site()
    raw = site.raw()
    raw.link.send(b'[2,"deep","DataTransfer",{"x":' + b"[" * 100 + b"]" * 100 + b"}]")
    site.run(1)
    assert site.box.counters.malformed == 1
    assert site.central.raw == []


def test_ids_of_a_station_that_counts_from_one_are_not_used_twice(make_site) -> None:
    site = make_site()
    site.wan_down()
    for number in (1, 2):
        raw = site.raw()
        site.run(30)
        raw.link.send(_reading(number).replace(f"reading-number-{number}".encode(), b"1"))
        site.run(1)
        assert json.loads(raw.frames[0])[:2] == [3, "1"]
    site.wan_up()
    site.run(60)
    ids = [message_id for _, message_id, action, _ in site.central.calls if action == "MeterValues"]
    assert len(ids) == len(set(ids)) == 2


@pytest.mark.parametrize(
    ("version", "action", "payload", "answer", "password"),
    [
        ("1.6", "ChangeConfiguration", {"key": "AuthorizationKey", "value": "DEADBEEF00FF"}, {"status": "Accepted"},
         bytes.fromhex("DEADBEEF00FF")),
        ("2.0.1", "SetVariables", {"setVariableData": [{
            "component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"},
            "attributeValue": "another-secret-0"}]},
         {"setVariableResult": [{"attributeStatus": "Accepted"}]}, b"another-secret-0"),
    ],
)  # fmt: skip
def test_a_password_that_the_upstream_sets_opens_the_box_too(
    make_site, version, action, payload, answer, password
) -> None:
    site = make_site(version)
    raw = site.raw()
    raw.reply = lambda parts: answer
    site.run(1)
    site.central.ask(action, payload, "key")
    site.run(1)
    raw.link.close(1000, "")
    site.run(1)
    site.kill_box()
    site.start_box()  # the box knows it after a restart too, as a hash
    assert b"another-secret" not in repr(site.store._notes).encode()

    def comes(with_password: bytes) -> int:
        again = type(raw)()
        site.local.dialer("CS1", user="CS1", password=with_password).dial(again, (f"ocpp{version}",), again.dialed)
        site.run(1)
        return again.status

    assert comes(b"secret-of-station") == 101  # it may not have taken it yet
    assert comes(password) == 101
    assert comes(b"secret-of-station") == 401
    assert comes(password) == 101


def test_a_store_that_fails_lets_the_station_keep_its_messages(make_site) -> None:
    site = make_site()
    site.wan_down()
    raw = site.raw()
    site.run(30)
    site.store.fails = OSError("disk full")
    raw.link.send(_reading(1))
    site.run(1)
    assert json.loads(raw.frames[0])[:3] == [4, "reading-number-1", "InternalError"]
    site.store.fails = None
    raw.link.send(_reading(1))
    site.run(1)
    assert json.loads(raw.frames[1])[:2] == [3, "reading-number-1"]
    assert site.seat.authority.depth == 1


def test_a_full_queue_refuses_readings_and_takes_transactions(make_site) -> None:
    site = make_site(queue_limit=3)
    site.wan_down()
    raw = site.raw()
    site.run(30)
    for number in range(5):
        raw.link.send(_reading(number))
        site.run(1)
    stop = {"transactionId": 1, "meterStop": 5, "timestamp": "2026-01-05T00:01:00Z"}
    raw.link.send(json.dumps([2, "the-end-of-it-all", "StopTransaction", stop]).encode())
    site.run(1)
    assert [json.loads(frame)[0] for frame in raw.frames] == [3, 3, 3, 4, 4, 3]
    assert site.box.counters.overflow == 2
    assert site.seat.authority.depth == 4


def test_the_upstreams_connection_leaves_with_the_station_unless_something_waits(make_site) -> None:
    site = make_site()
    raw = site.raw()
    site.run(2)
    assert site.central.link is not None
    raw.link.close(1000, "")
    site.run(2)
    assert site.central.link is None
    assert site.seat.authority.uplink.state == "closed"
    # With something to tell it stays until it is told, and comes by itself after a restart of the box.
    site.wan_down()
    raw = site.raw()
    site.run(30)
    raw.link.send(_reading(1))
    site.run(1)
    raw.link.close(1000, "")
    site.run(1)
    site.kill_box()
    site.start_box()
    site.run(1)
    site.wan_up()
    site.run(60)
    assert _values(site) == ["1"]
    assert site.central.link is None
    # Meanwhile nobody can ask the station anything.
    assert not site.seat.online


def test_an_upstream_that_asks_for_a_station_that_is_away_is_told_so(make_site) -> None:
    site = make_site()
    site.wan_down()
    raw = site.raw()
    site.run(30)
    raw.link.send(_reading(1))
    site.run(1)
    raw.link.close(1000, "")
    site.run(1)
    site.central.silent.add("MeterValues")
    site.wan_up()
    site.run(40)
    assert site.central.link is not None
    asked = site.central.ask("Reset", {"type": "Soft"})
    site.run(1)
    assert site.central.answered(asked)[:3] == [4, asked, "InternalError"]


def test_a_station_that_comes_is_worth_an_attempt_at_once(make_site) -> None:
    site = make_site()
    site.wan_down()
    raw = site.raw()
    site.run(600)  # attempts are minutes apart by now
    raw.link.close(1000, "")
    site.run(1)
    raw = site.raw()
    site.run(20)
    raw.link.send(_reading(1))
    site.run(1)
    raw.link.close(1000, "")
    site.run(600)
    site.wan_up()
    site.raw()
    site.run(2)
    assert _values(site) == ["1"]


def test_every_state_of_an_upstreams_connection() -> None:
    """The table, explored: every state is reached, and the way out is always open."""
    from pilotwire.site.ocpp.uplink import TABLE

    states = {"closed", "opening", "away", "open"}
    events = {"wanted", "opened", "failed", "lost", "unwanted"}
    assert {state for state, _ in TABLE} | set(TABLE.values()) == states
    assert {event for _, event in TABLE} == events
    reached, ahead = {"closed"}, ["closed"]
    while ahead:
        state = ahead.pop()
        for event in events:
            new = TABLE.get((state, event))  # type: ignore[arg-type]
            if new is not None and new not in reached:
                reached.add(new)
                ahead.append(new)
    assert reached == states
    for state in states - {"closed"}:
        assert TABLE[state, "unwanted"] == "closed"  # type: ignore[index]
        assert (state, "wanted") not in TABLE
