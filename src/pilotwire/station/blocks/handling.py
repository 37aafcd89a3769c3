"""What every block's handlers share: their shape, the versions that they serve, and how they find an EVSE.

A handler answers one action: it is given the station and the typed request, and returns the answer together with what
is to be done once that has been sent. It refuses with `RpcError`. `station.messages` builds the answer's types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.version import VersionName
from pilotwire.station.evse import Evse
from pilotwire.station.host import Later, Reply

if TYPE_CHECKING:
    from pilotwire.station.program import Station

Handler = Callable[["Station", Any], Reply | Later]
Handlers = Mapping[tuple[VersionName, str], Handler]

V16: tuple[VersionName, ...] = ("1.6",)
V2: tuple[VersionName, ...] = ("2.0.1", "2.1")
V21: tuple[VersionName, ...] = ("2.1",)


def on(versions: tuple[VersionName, ...], actions: Mapping[str, Handler]) -> dict[tuple[VersionName, str], Handler]:
    """`actions` as rows of the table, for each of `versions`."""
    return {(version, action): handler for version in versions for action, handler in actions.items()}


def reason(m: Any, code: str, words: str) -> Any:
    """A StatusInfoType: `code` (at most 20 characters, part 2 appendix 5 where it fits) and what an operator reads."""
    return m.StatusInfoType(reason_code=code, additional_info=words)


def in_parts(rows: Iterable[Any], size: int) -> Iterator[tuple[list[Any], int, bool | None]]:
    """A report in messages of at most `size` rows: (rows, seqNo, tbc).

    seqNo counts from 0; tbc is True in all but the last, which has none.
    """
    rest = iter(rows)
    part = list(islice(rest, size))
    number = 0
    while part:
        following = list(islice(rest, size))
        yield part, number, True if following else None
        part = following
        number += 1


def evse_of(station: Station, number: int | None) -> Evse | None:
    """EVSE `number`, or None where there is no such one."""
    return station.evses[number - 1] if number is not None and 1 <= number <= len(station.evses) else None


def evses_of(station: Station, number: int | None, connector: int | None = None) -> tuple[Evse, ...] | None:
    """The EVSEs that a command names: all of them for 0 or None; None where there is no such EVSE or connector."""
    if not number:
        return station.evses
    evse = evse_of(station, number)
    return None if evse is None or connector not in (None, 1) else (evse,)
