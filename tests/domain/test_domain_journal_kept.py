"""A journal that was written once is read for ever: the facts of what stations keep, and the record that they fold to.

`journals/kept.jsonl` is never made anew: a line is an entry's facts as they lie in stores, the last one the record.
A fact that has to change gets a new version of its tag, and the old one stays readable.
"""

from __future__ import annotations

import json
import typing
from pathlib import Path
from types import SimpleNamespace

import msgspec

from pilotwire.core.ids import DEFAULT_TENANT
from pilotwire.domain import facts, kept_fold
from pilotwire.domain.fold import fold
from pilotwire.domain.kept import Kept
from pilotwire.domain.records import Station
from pilotwire.storage.codec import decode_as, decode_facts, encode, encode_facts

*ROWS, LAST = [
    json.loads(line) for line in (Path(__file__).parent / "journals" / "kept.jsonl").read_text("utf-8").splitlines()
]
OTHERS = (
    facts.CustomerInformationTold,
    facts.FirmwarePublished,
    facts.VatNumberAsked,
    facts.WebPaymentStarted,
    facts.TransactionStatusTold,
)
"""Facts of these blocks that change nothing of the record."""


def tag(kind: type) -> str:
    return str(kind.__struct_config__.tag)  # type: ignore[attr-defined]


def test_every_fact_of_what_stations_keep_is_in_the_journal() -> None:
    there = {fact["type"] for row in ROWS for fact in row["facts"]}
    assert {tag(kind) for kind in (*kept_fold.FOLDS, *OTHERS)} <= there


def test_facts_are_read_and_written_as_they_were() -> None:
    for row in ROWS:
        raw = msgspec.json.encode(row["facts"])
        assert json.loads(encode_facts(decode_facts(raw))) == row["facts"]


def test_the_journal_folds_to_the_record() -> None:
    rows = [
        SimpleNamespace(
            tenant=DEFAULT_TENANT,
            station="CP1",
            recv_time=row["recv_time"],
            epoch=row["epoch"],
            facts=decode_facts(msgspec.json.encode(row["facts"])),
        )
        for row in ROWS
    ]
    (station,) = (record for record in fold(typing.cast("typing.Any", rows)) if isinstance(record, Station))
    assert json.loads(encode(station.kept)) == LAST["kept"]
    assert decode_as(Station, encode(station)) == station


def test_what_was_written_before_is_read() -> None:
    event = {
        "type": "event-notified.1", "event_time": 5, "event_id": 1, "component": "EVSE", "variable": "Problem",
        "trigger": "Alerting", "actual_value": "true",
    }  # fmt: skip
    (fact,) = decode_facts(msgspec.json.encode([event]))
    assert isinstance(fact, facts.EventNotified) and (fact.kind, fact.cause, fact.monitor) == ("", None, None)
    old = decode_as(Station, b'{"tenant":"default","id":"CP1","ocpp_version":"1.6"}')
    assert old.kept is None and kept_fold.of(old) == Kept()
