"""The messages on a station's display (O01 to O06): kept across restarts, shown in their state and their time.

`showing` is what a person in front of the station sees: the one message that is AlwaysFront, else those InFront in
turn, else those of the normal cycle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from pilotwire.core.time import Timer

from .parts import Part

if TYPE_CHECKING:
    from .evse import Evse
    from .program import Station
    from .sessions import Session

_PREFIX = "display."
MOST = 50
"""How many messages there is room for (DisplayMessageCtrlr.DisplayMessages, its maxLimit)."""
PRIORITIES = ("AlwaysFront", "InFront", "NormalCycle")


class Text(msgspec.Struct, frozen=True, array_like=True):
    """MessageContentType."""

    format: str
    content: str
    language: str = ""


class Message(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One MessageInfoType as the station keeps it; instants are station clock, ms."""

    id: int
    priority: str
    texts: list[Text]
    """The message and its other languages."""
    state: str = ""
    """MessageStateEnumType; empty: in every state."""
    start: int | None = None
    end: int | None = None
    transaction: str = ""
    display: bytes = b""
    """The ComponentType that it was set for, as JSON; empty: the station's own display."""

    def text(self, *languages: str) -> Text:
        """In the first of these languages (RFC 5646) that there is, else in English, else as it was set (O01.FR.08,
        .09)."""
        for wanted in (*(language.lower() for language in languages), "en"):
            for text in self.texts:
                if wanted and text.language.lower().split("-")[0] == wanted.split("-")[0]:
                    return text
        return self.texts[0]


_decoder = msgspec.json.Decoder(Message)


class Displays(Part):
    """The display of one station."""

    __slots__ = ("_by_id", "_timer")

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self._by_id: dict[int, Message] = {}
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Message]:
        return iter(self._by_id.values())

    def restore(self, stored: Mapping[str, bytes]) -> None:
        rows = [_decoder.decode(value) for key, value in stored.items() if key.startswith(_PREFIX)]
        self._by_id = {row.id: row for row in rows}
        self._rearm()

    def stop(self) -> None:
        self._cancel()

    def clock_moved(self) -> None:
        self._rearm()

    def session_ended(self, session: Session) -> None:
        """O02.FR.02: the messages of a transaction go with it."""
        self.remove(lambda row: row.transaction == session.key)

    def put(self, message: Message) -> bool:
        """Install it, in place of one with its id; False when there is no room for it (O01.FR.11)."""
        station = self._station
        others = [row for row in self._by_id.values() if row.id != message.id]
        if message.priority == "AlwaysFront":
            others = [row for row in others if row.priority != "AlwaysFront"]  # O01.FR.16
        if len(others) >= MOST:
            return False
        kept = {row.id for row in others}
        self.remove(lambda row: row.id not in kept)
        self._by_id[message.id] = message
        station.store({f"{_PREFIX}{message.id}": msgspec.json.encode(message)})
        self._rearm()
        return True

    def remove(self, which: Callable[[Message], bool]) -> bool:
        """Take away all that are so; whether there were any."""
        gone = [row.id for row in self._by_id.values() if which(row)]
        for id_ in gone:
            del self._by_id[id_]
        if gone:
            self._station.store({f"{_PREFIX}{id_}": None for id_ in gone})
            self._rearm()
        return bool(gone)

    def showing(self, evse: Evse | None = None) -> list[Message]:
        """What is shown now, at `evse` or on a display for the whole station; more than one: in turn."""
        now = self._station.clock.now()
        states = _states(self._station.evses if evse is None else (evse,))
        shown = [
            row
            for row in self._by_id.values()
            if (row.start is None or row.start <= now)
            and (row.end is None or now < row.end)
            and (not row.state or row.state in states)
            and (
                evse is None
                or not row.transaction
                or (evse.session is not None and evse.session.key == row.transaction)
            )
        ]
        for priority in PRIORITIES:
            front = [row for row in shown if row.priority == priority]
            if front:
                return front
        return []

    def words(self, evse: Evse) -> list[str]:
        """What is shown at `evse`, in the languages of whoever charges there (C01.FR.08, .09, .13)."""
        driver = evse.session if evse.session is not None else evse.pending
        languages = () if driver is None else driver.languages
        own = () if languages else (self._station.settings.text("display_language"),)
        return [row.text(*(languages or own)).content for row in self.showing(evse)]

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rearm(self) -> None:
        self._cancel()
        ends = [row.end for row in self._by_id.values() if row.end is not None]
        if ends:
            wait = max(0, min(ends) - self._station.clock.now())
            self._timer = self._station.scheduler.call_later(wait, self._over)

    def _over(self) -> None:
        """O01.FR.07: what is over is removed."""
        self._timer = None
        now = self._station.clock.now()
        self.remove(lambda row: row.end is not None and row.end <= now)
        self._rearm()
        self._station.finish()


def _states(evses: tuple[Evse, ...]) -> set[str]:
    """The MessageStateEnumType values that hold; several for a display that serves several EVSEs."""
    states: set[str] = set()
    for evse in evses:
        if evse.fault:
            states.add("Faulted")
        elif evse.phase == "Charging":
            states.add("Charging")
        elif evse.phase in ("SuspendedEV", "SuspendedEVSE"):
            states.add("Suspended")
        elif not evse.available:
            states.add("Unavailable")
        else:
            states.add("Idle")
    return states
