"""Connections that break at any frame, on both sides: every message of a transaction is heard, in order, none twice."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from pilotwire.transport.memory import FINE, Fate, Flight


class Breaks:
    """A network that loses connections, with what is under way on them."""

    def __init__(self, random: Random, share: float) -> None:
        self._random = random
        self.share = share
        self.cuts = 0

    def dial(self, tenant: str, identity: str, now: Any) -> str | int:
        return "no way" if self.share and self._random.random() < 0.2 else ""

    def frame(self, flight: Flight) -> Fate:
        if self._random.random() >= self.share:
            return FINE
        self.cuts += 1
        cut = self._random.choice(("before", "after"))
        return Fate(
            cut=cut,  # type: ignore[arg-type]
            notice_up_ms=self._random.choice((0, 500, 20_000)),
            notice_down_ms=self._random.choice((0, 500, 20_000)),
        )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("version", ["1.6", "2.0.1", "north"])
def test_broken_connections(make_site, version, seed) -> None:
    known = {"present_as": "2.0.1"} if version == "north" else {}
    site = make_site("1.6" if version == "north" else version, tokens=("CARD",), known=known)
    random = Random(seed)
    wan, local = Breaks(random, 0.04), Breaks(random, 0.02)
    site.wan.faults, site.local.faults = wan, local
    station = site.power_on(sample_s=60)
    site.run(120)
    for _ in range(6):
        station.plug(1, site.car())
        station.tap(1, "CARD", "ISO14443")
        site.scheduler.run_for(random.randint(60_000, 1_500_000))
        if random.random() < 0.4:
            site.kill_box()
            site.scheduler.run_for(random.randint(10, 30_000))
            site.start_box()
        if station.evses[0].session is not None:
            station.tap(1, "CARD", "ISO14443")
        site.run(5)
        station.unplug(1)
        site.scheduler.run_for(random.randint(10_000, 400_000))
    wan.share = local.share = 0
    site.run(2_000)
    assert wan.cuts + local.cuts > 5
    assert not len(station.outbox)
    assert site.box.status().queued == 0
    truth = [each for each in station.truth if each.ended_at is not None]
    assert len(truth) >= 5
    if version == "1.6":
        _check_16(site, truth)
    else:
        _check_2(site, len(truth))


def _check_16(site: Any, truth: list[Any]) -> None:
    once: dict[str, tuple[str, dict[str, Any]]] = {}
    for _, _, action, payload in site.central.calls:
        if action in ("StartTransaction", "StopTransaction", "MeterValues") and "connectorId" in payload | {
            "connectorId": 1
        }:
            plain = {key: value for key, value in payload.items() if key != "transactionId"}
            once.setdefault(f"{action}{plain}", (action, payload))
    heard = list(once.values())
    starts = [payload for action, payload in heard if action == "StartTransaction"]
    stops = [payload for action, payload in heard if action == "StopTransaction"]
    assert len(starts) == len(stops) == len(truth)
    assert [row["meterStop"] for row in stops] == [each.register_end for each in truth]
    ids = {key: number for key, number in site.central.started.items()}
    assert sorted(row["transactionId"] for row in stops) == sorted(ids.values())
    running: int | None = None
    order = iter(sorted(ids.values()))
    for action, payload in heard:
        if action == "StartTransaction":
            assert running is None
            running = next(order)
        elif action == "StopTransaction":
            assert payload["transactionId"] == running
            running = None
        elif payload.get("transactionId") is not None:
            assert payload["transactionId"] == running


def _check_2(site: Any, sessions: int) -> None:
    once: dict[tuple[str, int], dict[str, Any]] = {}
    ids: dict[tuple[str, int], set[str]] = {}
    for _, message_id, action, payload in site.central.calls:
        if action == "TransactionEvent":
            key = payload["transactionInfo"]["transactionId"], payload["seqNo"]
            known = once.setdefault(key, payload)
            # The same number is never given to another event.
            assert known["timestamp"] == payload["timestamp"]
            assert known["eventType"] == payload["eventType"]
            ids.setdefault(key, set()).add(message_id)
    by_transaction: dict[str, list[int]] = {}
    for transaction, number in once:
        by_transaction.setdefault(transaction, []).append(number)
    assert len(by_transaction) >= sessions
    for transaction, numbers in by_transaction.items():
        assert numbers == list(range(len(numbers))), transaction
        kinds = [once[transaction, number]["eventType"] for number in numbers]
        assert kinds[0] == "Started"
        assert kinds.count("Ended") == 1
