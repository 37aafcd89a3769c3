"""1.6 through the box: as if it were not there, and through outages and restarts."""

from __future__ import annotations

import json
from datetime import datetime

import pytest


def test_a_session_goes_through_with_the_upstreams_own_ids(make_site) -> None:
    site = make_site()
    station = site.power_on()
    site.run(5)
    station.plug(1, site.car())
    station.tap(1, "CARD1")
    site.run(300)
    station.tap(1, "CARD1")
    site.run(20)
    central = site.central
    assert [action for _, _, action, _ in central.calls][:1] == ["BootNotification"]
    (start,) = central.of("StartTransaction")
    (stop,) = central.of("StopTransaction")
    assert start["idTag"] == "CARD1"
    assert stop["transactionId"] == 5002
    assert {row["transactionId"] for row in central.of("MeterValues")} == {5002}
    assert site.box.counters.answered_here == 0
    assert site.box.counters.stored == 0
    assert site.seat.authority.idle


BYTES = [
    b'[2,"a-1","DataTransfer",{"vendorId":"X",  "messageId":"\\u00e9\\t", "data":"{\\"n\\":1.50e1}"}]',
    b'[2,"a-2","VendorAction",{"z":1,"a":[1.0,2.50,1E400],"nul":null}]',
    b' [ 2 , "a-3" , "DataTransfer" , { "vendorId" : "Y" } ] ',
    b'[2,"a-4","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-01-05T00:00:01+01:00",'
    b'"sampledValue":[{"value":"1.0","odd":true}]}],"extra":{"deep":[[]]}}]',
]


def test_frames_of_stations_arrive_byte_for_byte(make_site) -> None:
    site = make_site()
    raw = site.raw()
    site.run(1)
    for frame in BYTES:
        raw.link.send(frame)
        site.run(1)
    assert site.central.raw == BYTES
    assert [json.loads(frame)[1] for frame in raw.frames] == ["a-1", "a-2", "a-3", "a-4"]


def test_frames_of_the_central_system_arrive_byte_for_byte(make_site) -> None:
    site = make_site()
    raw = site.raw()
    site.run(1)
    asked = b'[2,"up-1","TotallyNew",{"x" : [1, 2.0 ] , "y":"\\u0041"}]'
    site.central.link.send(asked)
    site.run(1)
    assert raw.frames == [asked]
    for answer in (b'[3, "up-1" ,{"custom" :1.50}]',):
        raw.link.send(answer)
        site.run(1)
        assert site.central.raw == [answer]
    site.central.link.send(b'[2,"up-2","Other",{}]')
    site.run(1)
    refused = b'[4,"up-2","NotImplemented","no such thing",{"why": 1.0}]'
    raw.link.send(refused)
    site.run(1)
    assert site.central.raw[-1] == refused


def test_an_offline_session_comes_later_once_in_order_with_its_own_times_and_the_upstreams_id(make_site) -> None:
    site = make_site(tokens=("CARD1",))
    station = site.power_on()
    site.run(5)
    site.wan_down()
    site.run(60)
    before = len(site.central.calls)
    station.plug(1, site.car())
    station.tap(1, "CARD1")
    site.run(600)
    assert station.truth[0].started_at
    assert len(site.central.calls) == before
    assert site.seat.authority.depth > 8
    site.wan_up()
    site.run(400)
    central = site.central
    assert len(central.of("StartTransaction")) == 1
    assert site.seat.authority.idle
    # The session goes on under the id that the box gave, which the upstream never sees.
    station.tap(1, "CARD1")
    site.run(30)
    (stop,) = central.of("StopTransaction")
    assert stop["transactionId"] == 5002
    assert {row["transactionId"] for row in central.of("MeterValues")} == {5002}
    local = site.seat.names.links[0].station
    assert local != 5002
    times = [datetime.fromisoformat(row["meterValue"][0]["timestamp"]).timestamp() for row in central.of("MeterValues")]
    assert times == sorted(times)
    assert len(set(times)) == len(times)
    started = datetime.fromisoformat(central.of("StartTransaction")[0]["timestamp"]).timestamp()
    assert abs(started * 1000 - station.truth[0].started_at) < 1000


def test_a_remote_stop_names_the_upstreams_id_and_reaches_the_station_under_its_own(make_site) -> None:
    site = make_site(tokens=("CARD1",))
    station = site.power_on()
    site.run(5)
    site.wan_down()
    site.run(10)
    station.plug(1, site.car())
    station.tap(1, "CARD1")
    site.run(120)
    site.wan_up()
    site.run(400)
    asked = site.central.ask("RemoteStopTransaction", {"transactionId": 5002})
    site.run(20)
    assert site.central.answered(asked)[2] == {"status": "Accepted"}
    assert [row["transactionId"] for row in site.central.of("StopTransaction")] == [5002]


def test_the_box_lets_a_known_station_in_while_the_upstream_is_away_and_tells_it_later(make_site) -> None:
    site = make_site()
    site.wan_down()
    station = site.power_on()
    site.run(20)
    assert station.online
    assert site.central.calls == []
    site.wan_up()
    site.run(200)
    assert site.central.calls[0][2] == "BootNotification"
    assert len(site.central.of("BootNotification")) == 1


def test_a_card_is_answered_within_the_commit_while_the_upstream_is_away(make_site) -> None:
    site = make_site(tokens=("CARD1",))
    raw = site.raw()
    site.wan_down()
    site.run(60)
    asked = int(site.scheduler.now())
    raw.link.send(b'[2,"1","Authorize",{"idTag":"CARD1"}]')
    while not raw.frames:
        assert site.scheduler.step()
    assert int(site.scheduler.now()) - asked <= 10
    assert json.loads(raw.frames[0])[2]["idTagInfo"]["status"] == "Accepted"
    raw.link.send(b'[2,"2","Authorize",{"idTag":"stranger"}]')
    site.run(0.05)
    assert json.loads(raw.frames[1])[2]["idTagInfo"]["status"] == "Invalid"


def test_what_is_answered_has_been_written_down(make_site) -> None:
    """Killed at any instant: what the station was told is in the store, what is not it sends again."""
    for after_ms in range(0, 12):
        site = make_site(tokens=("C",))
        site.wan_down()
        raw = site.raw()
        site.run(30)
        frame = (
            b'[2,"start-000000001","StartTransaction",{"connectorId":1,"idTag":"C","meterStart":7,'
            b'"timestamp":"2026-01-05T00:00:01Z"}]'
        )
        raw.link.send(frame)
        site.run(after_ms / 1000)
        site.kill_box()
        answered = bool(raw.frames)
        site.run(1)
        site.start_box()
        assert site.box.status().queued == 1 or not answered
        # The station has lost its connection and, where it knows nothing, says it again.
        again = site.raw()
        again.link.send(frame)
        site.run(1)
        assert site.seat.authority.depth == 1
        if answered:
            assert json.loads(again.frames[0])[2] == json.loads(raw.frames[0])[2]
        site.wan_up()
        site.run(60)
        assert len(site.central.of("StartTransaction")) == 1


@pytest.mark.parametrize("code_times", [2, 3])
def test_a_refused_message_is_tried_as_often_as_the_standard_says(make_site, code_times) -> None:
    site = make_site(tokens=("C",), attempts=3, attempt_s=10)
    site.wan_down()
    raw = site.raw()
    site.run(30)
    for number, action in enumerate(("MeterValues", "MeterValues")):
        payload = {
            "connectorId": 1,
            "meterValue": [{"timestamp": f"2026-01-05T00:0{number}:00Z", "sampledValue": [{"value": str(number)}]}],
        }
        raw.link.send(json.dumps([2, f"message-number-{number}", action, payload]).encode())
        site.run(1)
    site.central.refuse["MeterValues"] = code_times
    site.wan_up()
    site.run(300)
    values = [row["meterValue"][0]["sampledValue"][0]["value"] for row in site.central.of("MeterValues")]
    assert values == ["0", "0", "0", "1"]
    assert site.box.counters.discarded == (1 if code_times == 3 else 0)
    when = [at for at, _, action, _ in site.central.calls if action == "MeterValues"]
    assert 10_000 <= when[1] - when[0] < 11_000
    assert 20_000 <= when[2] - when[1] < 21_000


def test_a_refused_card_of_an_offline_session_ends_it(make_site) -> None:
    site = make_site(unknown_tokens="accept")
    station = site.power_on()
    site.run(5)
    site.wan_down()
    site.run(10)
    station.plug(1, site.car())
    station.tap(1, "STRANGER")
    site.run(120)
    site.central.status = "Blocked"
    site.wan_up()
    site.run(400)
    assert site.box.counters.conflicts == 1
    (stop,) = site.central.of("StopTransaction")
    assert stop["transactionId"] == 5002
    assert site.box.book.known("x", "stranger", 0) == "Blocked"


def test_strangers_stay_outside(make_site) -> None:
    site = make_site()
    raw = type(site.raw())()
    site.local.dialer("CS1", user="CS1", password=b"wrong").dial(raw, ("ocpp1.6",), raw.dialed)
    site.run(1)
    assert raw.status == 401
    site.local.dialer("CS2", user="CS2", password=b"secret-of-station").dial(raw, ("ocpp1.6",), raw.dialed)
    site.run(1)
    assert raw.status == 404


def test_garbage_is_answered_and_hurts_nobody(make_site) -> None:
    site = make_site()
    raw = site.raw()
    for data in (
        b"",
        b"nonsense",
        b"{}",
        b"[]",
        b"[2]",
        b'[2,5,"X",{}]',
        b"[" * 5000,
        b'[2,"x"]',
        b"\xff\xfe",
        b"[null]",
    ):
        raw.link.send(data)
        site.run(0.2)
    assert site.box.counters.malformed == 10
    assert [json.loads(frame)[:3] for frame in raw.frames] == [[4, "-1", "FormationViolation"]] * 10
    raw.link.send(b'[2,"ok","Heartbeat",{}]')
    site.run(1)
    assert json.loads(raw.frames[-1])[:2] == [3, "ok"]
