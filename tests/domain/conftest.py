"""A desk at which a station's inputs are decided, folded, journalled and stored, as an actor does it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import pytest

from pilotwire.core.ids import SeededIds, StationKey
from pilotwire.domain import inputs
from pilotwire.domain.facts import AnyFact, SessionEnded, SessionStarted, SessionUpdated
from pilotwire.domain.records import Sample, Session, Station
from pilotwire.domain.stations import Context, Fold, Need, StationState, decide

NOON = 1_767_225_600_000
"""2026-01-01T00:00:00Z."""
KEY = StationKey("default", "S1")
SESSION_FACTS = (SessionStarted, SessionUpdated, SessionEnded)


class Row(NamedTuple):
    tenant: str
    station: str
    recv_time: int
    epoch: int
    facts: tuple[AnyFact, ...]


class Desk:
    """One station's state with a store behind it that holds only encoded bytes."""

    def __init__(self, version: str = "1.6", *, seed: int = 1, lab: bool = False) -> None:
        self.books: dict[str, inputs.TokenVerdict] = {}
        self.state = StationState.fresh(KEY)
        self.ctx = Context(now=NOON, ids=SeededIds(seed), version=version, epoch=1, authorize=self._authorize, lab=lab)
        self.rows: list[Row] = []
        self.samples: dict[tuple, Sample] = {}
        self.stored: dict[str, bytes] = {}
        self.station_bytes: bytes | None = None
        self.lookups = 0
        self.recheck = False

    def _authorize(self, token: str, kind: str, now: int) -> inputs.TokenVerdict:
        return self.books.get(token, inputs.TokenVerdict(status="Accepted"))

    # -- as the store does it
    def _find(self, need: Need) -> Session | None:
        self.lookups += 1
        found = [msgspec.msgpack.decode(raw, type=Session) for raw in self.stored.values()]
        found = [
            s
            for s in found
            if (s.transaction == need.transaction if need.transaction else s.start_key == need.start_key)
        ]
        return max(found, key=lambda s: s.received_at, default=None)

    def restart(self, keep: int = 1) -> None:
        """The process dies; the next one starts from what was stored: active sessions and the `keep` newest others."""
        sessions = [msgspec.msgpack.decode(raw, type=Session) for raw in self.stored.values()]
        ended = sorted((s for s in sessions if s.status != "active"), key=lambda s: s.received_at, reverse=True)
        image = [s for s in sessions if s.status == "active"] + ended[:keep]
        station = msgspec.msgpack.decode(self.station_bytes, type=Station) if self.station_bytes else None
        self.state = StationState.from_image(KEY, station, image, len(image) == len(sessions))

    # -- as the actor does it
    def decide(self, given: inputs.Input):
        while True:
            decision = decide(self.state, given, self.ctx)
            if not isinstance(decision, Need):
                return decision
            self.state.add(self._find(decision))

    def send(self, given: inputs.Input, at: int | None = None) -> inputs.Outcome:
        if at is not None:
            self.ctx.now = at
        decision = self.decide(given)
        self.fold(decision.facts)
        for sample in decision.samples:
            self.samples[sample.evse, sample.connector, sample.time, sample.measurand, sample.phase] = sample
        if self.recheck:
            again = self.decide(given)
            assert not [f for f in again.facts if isinstance(f, SESSION_FACTS)]
            if not isinstance(again.outcome, inputs.Started):
                assert again.outcome == decision.outcome
            else:
                assert again.outcome.transaction_id == decision.outcome.transaction_id
        self.last = decision
        return decision.outcome

    def fold(self, facts: tuple[AnyFact, ...]) -> None:
        if facts:
            self.rows.append(Row(KEY.tenant, KEY.station, self.ctx.now, self.ctx.epoch, facts))
        for fact in facts:
            self.state.apply(fact, self.ctx.now, self.ctx.epoch)
        for record in self.state.touched():
            if isinstance(record, Session):
                self.stored[record.id] = msgspec.msgpack.encode(record)
            elif isinstance(record, Station):
                self.station_bytes = msgspec.msgpack.encode(record)

    # -- looking
    @property
    def sessions(self) -> list[Session]:
        """What the store holds, oldest first."""
        found = [msgspec.msgpack.decode(raw, type=Session) for raw in self.stored.values()]
        return sorted(found, key=lambda s: (s.reported_start, s.id))

    @property
    def session(self) -> Session:
        (only,) = self.sessions
        return only

    def refolded(self) -> Fold:
        fold = Fold()
        for row in self.rows:
            fold.add(row)
        return fold

    def assert_refold_is_equal(self) -> None:
        """Every record byte for byte what the journal gives."""
        fold = self.refolded()
        assert {id_: msgspec.msgpack.encode(s) for id_, s in fold.sessions.items()} == self.stored
        if self.rows:
            assert msgspec.msgpack.encode(fold.stations[KEY]) == self.station_bytes


@pytest.fixture(scope="session")
def make_desk():
    """The Desk class, to make as many as a property needs."""
    return Desk


@pytest.fixture
def desk() -> Desk:
    """A desk for a 1.6 station."""
    return Desk("1.6")


@pytest.fixture
def desk2() -> Desk:
    """A desk for a 2.0.1 station."""
    return Desk("2.0.1")
