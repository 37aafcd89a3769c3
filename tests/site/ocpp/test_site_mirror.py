"""A second upstream: what it hears, what it may ask, and that losing it hurts nobody."""

from __future__ import annotations

import json

import pytest

from pilotwire.site.ocpp.config import Rights, Upstream

MAIN = Upstream(name="main")


def _two(**rights):
    return (MAIN, Upstream(name="second", rights=Rights(**rights)))


def test_both_hear_a_session_under_ids_of_their_own_and_one_answers(make_site) -> None:
    site = make_site(upstreams=_two())
    site.centrals["second"].next_transaction = 9000
    site.centrals["second"].status = "Blocked"  # nobody hears what the second says
    station = site.power_on()
    site.run(5)
    station.plug(1, site.car())
    station.tap(1, "CARD1")
    site.run(300)
    station.tap(1, "CARD1")
    site.run(60)
    first, second = site.centrals["main"], site.centrals["second"]
    assert [row["transactionId"] for row in first.of("StopTransaction")] == [5002]
    assert [row["transactionId"] for row in second.of("StopTransaction")] == [9001]
    assert len(second.of("MeterValues")) == len(first.of("MeterValues")) > 3
    assert {row["transactionId"] for row in second.of("MeterValues")} == {9001}
    assert len(second.of("BootNotification")) == 1
    asked = second.ask("RemoteStopTransaction", {"transactionId": 9001})
    site.run(5)
    assert second.answered(asked)[2] == {"status": "Rejected"}  # it is over; but the question was understood


def test_a_remote_stop_of_the_second_stops_the_right_session(make_site) -> None:
    site = make_site(upstreams=_two())
    site.centrals["second"].next_transaction = 9000
    station = site.power_on()
    site.run(5)
    station.plug(1, site.car())
    station.tap(1, "CARD1")
    site.run(100)
    asked = site.centrals["second"].ask("RemoteStopTransaction", {"transactionId": 9001})
    site.run(60)
    assert site.centrals["second"].answered(asked)[2] == {"status": "Accepted"}
    assert [row["transactionId"] for row in site.central.of("StopTransaction")] == [5002]


@pytest.mark.parametrize(
    ("rights", "action", "allowed"),
    [
        ({"read_only": True}, "Reset", False),
        ({"read_only": True}, "GetConfiguration", True),
        ({"deny": frozenset({"Reset"})}, "Reset", False),
        ({"deny": frozenset({"Reset"})}, "UnlockConnector", True),
        ({"allow": frozenset({"Reset"})}, "Reset", True),
        ({"allow": frozenset({"Reset"})}, "Invented", False),
    ],
)
@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_rights(make_site, version, rights, action, allowed) -> None:
    site = make_site(version, upstreams=_two(**rights))
    raw = site.raw()
    raw.reply = lambda parts: {"status": "Accepted"}
    site.run(1)
    asked = site.centrals["second"].ask(action, {})
    site.run(1)
    answer = site.centrals["second"].answered(asked)
    if allowed:
        assert answer[0] == 3
    else:
        assert answer[:3] == [4, asked, "SecurityError"]
    assert [json.loads(frame)[2] for frame in raw.frames] == ([action] if allowed else [])
    assert all(json.loads(frame)[1].startswith("pw-") for frame in raw.frames)  # two peers may use the same id
    assert site.box.counters.denied == (0 if allowed else 1)
    # The authority's question comes and goes as ever.
    asked = site.central.ask(action, {})
    site.run(1)
    assert site.central.answered(asked)[0] == 3
    assert len(site.centrals["second"].answers) == 1  # though both have used the same messageId


def test_losing_the_second_never_hurts_the_first_and_it_hears_all_of_it_later(make_site) -> None:
    site = make_site(upstreams=_two())
    site.centrals["second"].next_transaction = 9000
    station = site.power_on()
    site.run(5)
    site.wan_down("second")
    station.plug(1, site.car())
    station.tap(1, "CARD1")
    site.run(300)
    station.tap(1, "CARD1")
    site.run(20)
    assert site.central.of("StopTransaction")
    assert site.box.counters.answered_here == 0
    assert site.centrals["second"].of("StartTransaction") == []
    site.wan_up("second")
    site.run(400)
    second = site.centrals["second"]
    assert [row["transactionId"] for row in second.of("StopTransaction")] == [9001]
    assert len(second.of("MeterValues")) == len(site.central.of("MeterValues"))
    assert site.box.status().queued == 0


def test_a_silent_second_does_not_slow_the_first(make_site) -> None:
    site = make_site(upstreams=_two())
    raw = site.raw()
    site.run(1)
    site.centrals["second"].silent |= {"Heartbeat", "Authorize"}
    for number in range(5):
        raw.link.send(json.dumps([2, f"h{number}", "Heartbeat", {}]).encode())
        site.run(0.1)
    assert [json.loads(frame)[1] for frame in raw.frames] == [f"h{number}" for number in range(5)]


def test_what_the_second_may_hear(make_site) -> None:
    site = make_site(upstreams=_two(hear=frozenset({"StatusNotification"})))
    station = site.power_on()
    site.run(5)
    station.plug(1, site.car())
    station.tap(1, "CARD1")
    site.run(100)
    assert {action for _, _, action, _ in site.centrals["second"].calls} == {
        "BootNotification",
        "StatusNotification",
    }
