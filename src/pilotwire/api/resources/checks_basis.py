"""What the checks of a station look at, and how one is told."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.domain import facts, records
from pilotwire.storage.port import JournalRow

from .. import types
from ..language import N_, _

F = TypeVar("F", bound=facts.Fact)

RECENT_MS = 24 * 3_600_000


class Found(msgspec.Struct, kw_only=True):
    """All that the checks look at, read once."""

    now: int
    id: str
    account: records.StationAccount | None
    record: records.Station | None
    variables: list[records.Variable]
    rows: list[JournalRow]
    commands: list[records.Command]
    handshakes: list[types.HandshakeShown]
    """Newest first."""
    sessions: list[types.Session]
    tokens: int | None
    """How many tokens there are; None: they may not be seen."""

    def told(self, kind: type[F]) -> list[tuple[int, F]]:
        """Facts of a kind with the time of their arrival, newest first."""
        return [(row.recv_time, fact) for row in self.rows for fact in row.facts if isinstance(fact, kind)]

    def told_today(self, kind: type[F]) -> list[tuple[int, F]]:
        """The same of the last 24 hours."""
        return [one for one in self.told(kind) if one[0] >= self.now - RECENT_MS]

    @property
    def station(self) -> records.Station:
        """The record; an empty one where there is none."""
        return self.record or records.Station(tenant="", id=self.id)


def check(
    id: str,
    title: str,
    verdict: types.Verdict,
    seen: str,
    advice: str = "",
    *,
    at: int | None = None,
    details: list[str] | None = None,
) -> types.Check:
    """A check as the API shows it."""
    return types.Check(
        id=id,
        title=title,
        verdict=verdict,
        seen=seen,
        advice=advice,
        at=to_rfc3339(at) if at else None,
        details=details or [],
    )


def span(ms: int) -> str:
    """A time span as people say it."""
    for size, name in ((86_400_000, N_("{n} days")), (3_600_000, N_("{n} hours")), (60_000, N_("{n} minutes"))):
        if ms >= 2 * size:
            return _(name, n=ms // size)
    return _("{n} seconds", n=ms // 1000)
