"""72 hours without the central system, with a box that is killed again and again: nothing lost, nothing twice."""

from __future__ import annotations

from datetime import datetime
from random import Random
from typing import Any

import pytest

HOURS = 72


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _drive(site: Any, station: Any, hours: int, random: Random, *, kill: bool) -> int:
    """Sessions one after the other, and a box that is killed about every four hours at an arbitrary instant."""
    kills = 0
    until = int(site.scheduler.now()) + hours * 3_600_000
    number = 0
    while int(site.scheduler.now()) < until:
        number += 1
        card = f"CARD{number % 3}"
        station.plug(1, site.car())
        station.tap(1, card, "ISO14443")
        for _ in range(3):
            site.scheduler.run_for(random.randint(100_000, 2_400_000))
            if kill and random.random() < 0.25:
                kills += 1
                site.kill_box()
                site.scheduler.run_for(random.randint(1, 60_000))
                site.start_box()
        if station.evses[0].session is not None:
            station.tap(1, card, "ISO14443")
        site.scheduler.run_for(random.randint(1_000, 20_000))
        station.unplug(1)
        site.scheduler.run_for(random.randint(10_000, 1_200_000))
    return kills


@pytest.mark.parametrize(("version", "seed"), [("1.6", 1), ("2.0.1", 3)])
def test_72_hours_with_restarts(make_site, version, seed) -> None:
    site = make_site(version, tokens=("CARD0", "CARD1", "CARD2"))
    random = Random(seed)
    station = site.power_on(sample_s=120)
    site.run(30)
    site.wan_down()
    kills = _drive(site, station, HOURS, random, kill=True)
    site.run(600)
    assert kills > 10
    status = site.box.status()
    assert status.queued > 700
    assert len(site.seat.authority._window) <= 64  # what is in memory does not grow with what waits
    site.wan_up()
    # While the queue is told it goes on, and is killed in the middle of it too.
    for _ in range(5):
        site.scheduler.run_for(random.randint(20_000, 40_000))
        site.kill_box()
        site.run(5)
        site.start_box()
    site.run(1_200)
    assert site.box.status().queued == 0
    truth = station.truth
    assert len(truth) > 40
    if version == "1.6":
        _check_16(site, truth)
    else:
        _check_2(site, truth)


def _heard(site: Any) -> list[tuple[str, dict[str, Any]]]:
    """What the central system was told, repetitions under the same messageId once: it can tell those."""
    seen: dict[str, tuple[str, dict[str, Any]]] = {}
    for _, message_id, action, payload in site.central.calls:
        known = seen.setdefault(message_id, (action, payload))
        if action != "StartTransaction":
            assert known[0] == action
    return list(seen.values())


def _check_16(site: Any, truth: list[Any]) -> None:
    heard = _heard(site)
    starts = [payload for action, payload in heard if action == "StartTransaction"]
    stops = [payload for action, payload in heard if action == "StopTransaction"]
    assert [round(_ms(row["timestamp"]) / 1000) for row in starts] == [round(each.started_at / 1000) for each in truth]
    assert len(stops) == len(starts)
    for start, stop, each in zip(starts, stops, truth, strict=True):
        assert abs(_ms(stop["timestamp"]) - each.ended_at) < 1_500
        assert stop["meterStop"] - start["meterStart"] == each.energy_wh
    # in order: the values of a transaction lie between its start and its stop, each once, times growing
    last = 0
    running: str | None = None
    values: list[str] = []
    for action, payload in heard:
        if action == "StartTransaction":
            assert running is None
            running = payload["timestamp"]
        elif action == "StopTransaction":
            assert running is not None
            running = None
        elif action == "MeterValues":
            assert running is not None
            values.append(payload["meterValue"][0]["timestamp"])
        else:
            continue
        at = _ms(payload.get("timestamp") or payload["meterValue"][0]["timestamp"])
        assert at >= last - 1_000
        last = at
    assert len(values) == len(set(values)) > 500
    # Not one upstream id is used for two transactions, and the box's own are not seen.
    assert len({row["transactionId"] for row in stops}) == len(stops)
    assert {row["transactionId"] for row in stops} <= set(range(5001, site.central.next_transaction + 1))


def _check_2(site: Any, truth: list[Any]) -> None:
    heard = [payload for action, payload in _heard(site) if action == "TransactionEvent"]
    by_transaction: dict[str, list[dict[str, Any]]] = {}
    for row in heard:
        by_transaction.setdefault(row["transactionInfo"]["transactionId"], []).append(row)
    assert len(by_transaction) == len(truth)
    for rows, each in zip(by_transaction.values(), truth, strict=True):
        assert [row["seqNo"] for row in rows] == list(range(len(rows)))
        assert rows[0]["eventType"] == "Started"
        assert sum(row["eventType"] == "Ended" for row in rows) == 1
        assert abs(_ms(rows[0]["timestamp"]) - each.started_at) < 1_500
        assert all(row["offline"] for row in rows)
    stamps = [_ms(row["timestamp"]) for row in heard]
    assert stamps == sorted(stamps)
