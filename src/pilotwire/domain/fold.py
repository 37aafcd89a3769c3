"""The journal folded anew: what `journal verify` compares with and `journal replay` rebuilds from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from pilotwire.core.ids import StationKey

from .facts import AnyFact, SessionEnded, SessionStarted, SessionUpdated
from .records import Command, Session, Station, Variable
from .state import Record, StationState, variable_key


class Row(Protocol):
    """What is needed of a `storage.port.JournalRow`."""

    @property
    def tenant(self) -> str: ...
    @property
    def station(self) -> str: ...
    @property
    def recv_time(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def facts(self) -> tuple[AnyFact, ...]: ...


class Fold:
    """Folds rows of any number of stations, given in journal order; `records` is what projections must hold."""

    def __init__(self) -> None:
        self._states: dict[StationKey, StationState] = {}
        self._sessions: dict[str, Session] = {}
        self._others: dict[tuple[object, ...], Record] = {}

    def add(self, row: Row) -> None:
        """Fold one row in."""
        if not row.facts:
            return
        key = StationKey(row.tenant, row.station)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = StationState.fresh(key)
        for fact in row.facts:
            if isinstance(fact, SessionUpdated | SessionEnded | SessionStarted) and (
                fact.session_id not in state.sessions
            ):
                older = self._sessions.get(fact.session_id)
                if older is not None:
                    state.add(older)
            state.apply(fact, row.recv_time, row.epoch)
        for record in state.touched():
            if isinstance(record, Session):
                self._sessions[record.id] = record
            elif isinstance(record, Command):
                self._others["command", key, record.id] = record
            elif isinstance(record, Variable):
                self._others["variable", key, *variable_key(record)] = record
            else:
                self._others["station", key] = record

    @property
    def records(self) -> list[Record]:
        """Every record, each once: stations, sessions, commands, variables in the order of their first touch."""
        return [*self._others.values(), *self._sessions.values()]

    @property
    def sessions(self) -> dict[str, Session]:
        """The sessions by id."""
        return self._sessions

    @property
    def stations(self) -> dict[StationKey, Station]:
        """The station records by key."""
        return {key: state.station for key, state in self._states.items()}


def fold(rows: Iterable[Row]) -> list[Record]:
    """All records that follow from `rows`."""
    folded = Fold()
    for row in rows:
        folded.add(row)
    return folded.records


async def fold_stream(rows: AsyncIterator[Row]) -> list[Record]:
    """The same over `Store.journal()`."""
    folded = Fold()
    async for row in rows:
        folded.add(row)
    return folded.records
