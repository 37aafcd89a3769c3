"""2.0.1 and 2.1 through the box: byte for byte, and the queue with seqNo and `offline` as they have to be."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.parametrize("version", ["2.0.1", "2.1"])


def test_a_session_goes_through(make_site, version) -> None:
    site = make_site(version)
    station = site.power_on()
    site.run(5)
    station.plug(1, site.car())
    station.tap(1, "CARD1", "ISO14443")
    site.run(300)
    station.tap(1, "CARD1", "ISO14443")
    site.run(20)
    events = site.central.of("TransactionEvent")
    assert events[0]["eventType"] == "Started"
    assert "Ended" in [row["eventType"] for row in events]
    assert [row["seqNo"] for row in events] == list(range(len(events)))
    assert not any(row.get("offline") for row in events)
    assert site.box.counters.stored == 0


def test_custom_messages_pass_byte_for_byte(make_site, version) -> None:
    site = make_site(version)
    raw = site.raw()
    site.run(1)
    up = [
        b'[2,"a-1","DataTransfer",{"vendorId":"X","data":{"n":1.50e1,"s":"\\u00e9"},"customData":{"vendorId":"v","q":1.0}}]',
        b'[2,"a-2","Invented",  {"a":[]} ]',
        b'[2,"a-3","TransactionEvent",{"eventType":"Updated","seqNo":1,"customData":{"vendorId":"v","x":2.50}}]',
    ]
    if version == "2.1":
        up.append(b'[6,"a-4","NotifyPeriodicEventStream",{"id":1,"data":[1.0]}]')
        up.append(b'[5,"a-5","InternalError","",{}]')
    for frame in up:
        raw.link.send(frame)
        site.run(1)
    assert site.central.raw == up
    down = b'[2,"b-1","Invented",{"a":1.0,"b":null}]'
    site.central.link.send(down)
    site.run(1)
    assert raw.frames[-1] == down
    raw.link.send(b'[3,"b-1", {"status":"Fine","n":1.0}]')
    site.run(1)
    assert site.central.raw[-1] == b'[3,"b-1", {"status":"Fine","n":1.0}]'


def test_an_offline_session_comes_later_with_seq_no_and_offline(make_site, version) -> None:
    site = make_site(version, tokens=("CARD1",))
    station = site.power_on()
    site.run(5)
    site.wan_down()
    site.run(60)
    station.plug(1, site.car())
    station.tap(1, "CARD1", "ISO14443")
    site.run(600)
    station.tap(1, "CARD1", "ISO14443")
    site.run(30)
    assert site.central.of("TransactionEvent") == []
    site.wan_up()
    site.run(400)
    events = site.central.of("TransactionEvent")
    assert [row["seqNo"] for row in events] == list(range(len(events)))
    assert all(row["offline"] is True for row in events)
    assert events[0]["eventType"] == "Started"
    stamps = [row["timestamp"] for row in events]
    assert stamps == sorted(stamps)
    assert stamps[0] < "2026-01-05T00:02"
    assert site.seat.authority.idle
    ids = [message_id for _, message_id, action, _ in site.central.calls if action == "TransactionEvent"]
    assert len(set(ids)) == len(ids)
    assert not any(message_id.startswith("pw-") for message_id in ids)


def test_a_repetition_is_known_by_transaction_and_seq_no(make_site, version) -> None:
    site = make_site(version)
    site.wan_down()
    raw = site.raw()
    site.run(60)

    def event(message_id: str, offline: bool) -> bytes:
        payload = {
            "eventType": "Started", "seqNo": 0, "timestamp": "2026-01-05T00:00:01Z", "triggerReason": "Authorized",
            "transactionInfo": {"transactionId": "t1"}, "idToken": {"idToken": "X", "type": "ISO14443"},
        }  # fmt: skip
        return json.dumps(
            [2, message_id, "TransactionEvent", payload | ({"offline": True} if offline else {})]
        ).encode()

    raw.link.send(event("one", False))
    site.run(1)
    raw.link.send(event("two", True))
    site.run(1)
    assert [json.loads(frame)[:2] for frame in raw.frames] == [[3, "one"], [3, "two"]]
    assert json.loads(raw.frames[0])[2] == json.loads(raw.frames[1])[2] == {"idTokenInfo": {"status": "Invalid"}}
    assert site.seat.authority.depth == 1


def test_an_upstream_that_refuses_a_card_later_ends_the_session(make_site, version) -> None:
    site = make_site(version, unknown_tokens="accept")
    station = site.power_on()
    site.run(5)
    site.wan_down()
    site.run(10)
    station.plug(1, site.car())
    station.tap(1, "STRANGER", "ISO14443")
    site.run(120)
    site.central.status = "Blocked"
    site.wan_up()
    site.run(400)
    assert site.box.counters.conflicts >= 1
    assert site.central.of("TransactionEvent")[-1]["transactionInfo"]["stoppedReason"] in ("Remote", "DeAuthorized")
