"""Sessions without progress: which of them should be charging, and since when their energy register stands still."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from . import facts
from .alarms_rules import Rule, StalledCondition
from .facts import Fact

if TYPE_CHECKING:
    from .alarms import Engine


class Charging(msgspec.Struct):
    """How a running session's energy register moves."""

    station: str
    evse: int
    wh: int
    since: int
    charging: bool
    due: int = 0
    """When a timer looks at it; 0: none does."""


class Progress:
    """The running sessions of one engine. It keeps none while no rule asks for them, but those that were restored."""

    __slots__ = ("_at_evse", "_engine", "_sessions", "rules")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.rules: list[tuple[Rule, StalledCondition]] = []
        self._sessions: dict[str, Charging] = {}
        self._at_evse: dict[tuple[str, int], str] = {}

    def set_rules(self, rules: list[tuple[Rule, StalledCondition]]) -> None:
        """Look at sessions by these from now on."""
        if rules != self.rules:
            self.rules = rules
            for session_id, session in self._sessions.items():
                session.due = 0
                self._watch(session_id)

    def restore(self, session_id: str, session: Charging) -> None:
        """A session that was running when the engine began."""
        self._sessions[session_id] = session
        self._at_evse[session.station, session.evse] = session_id
        self._watch(session_id)

    def forget_station(self, station: str) -> None:
        """Its sessions are watched no longer."""
        self._sessions = {name: one for name, one in self._sessions.items() if one.station != station}
        self._at_evse = {place: name for place, name in self._at_evse.items() if place[0] != station}

    def fact(self, station: str, fact: Fact) -> None:
        """Take in a fact."""
        follow = _FOLLOW.get(type(fact))
        if follow is not None:
            follow(self, station, fact)

    def look_at(self, session_id: str, due: int) -> None:
        """One timer per session, whatever it reports: here it is seen whether there was progress meanwhile."""
        session = self._sessions.get(session_id)
        if session is None or session.due != due:
            return
        session.due = 0
        if not session.charging:
            return
        engine = self._engine
        later: list[int] = []
        for rule, condition in self.rules:
            due = session.since + condition.for_s * 1000
            if due > engine.now:
                later.append(due)
            elif engine.wanted(rule, session.station):
                key = (rule.id, session.station, _part(session.evse))
                engine.hold(rule, key, 0, None, 0, (engine.now - session.since) // 60_000)
        if later:
            session.due = min(later)
            engine.push(session.due, session_id)

    def _watch(self, session_id: str) -> None:
        session = self._sessions[session_id]
        if session.charging and not session.due and self.rules:
            session.due = session.since + min(one.for_s for _, one in self.rules) * 1000
            self._engine.push(session.due, session_id)

    def _moves(self, session_id: str, session: Charging, charging: bool | None, wh: int) -> None:
        """`charging`: None where nothing was said of it."""
        moved = wh > session.wh
        if moved:
            session.wh = wh
        begins = charging is True and not session.charging
        if charging is not None:
            session.charging = charging
        if moved or begins:
            session.since = self._engine.now
        if (moved or not session.charging) and self._engine.cells:
            self._unstall(session)
        if not session.due:
            self._watch(session_id)

    def _unstall(self, session: Charging) -> None:
        for rule, _ in self.rules:
            self._engine.ended((rule.id, session.station, _part(session.evse)), rule)

    def _on_started(self, station: str, fact: facts.SessionStarted) -> None:
        known = self._at_evse.get((station, fact.evse))
        if known is not None and known != fact.session_id:
            self._finish(known)
        if fact.session_id not in self._sessions:
            charging = fact.charging_state == "Charging"
            session = Charging(station, fact.evse, fact.meter_start_wh or 0, self._engine.now, charging)
            self.restore(fact.session_id, session)

    def _on_updated(self, station: str, fact: facts.SessionUpdated) -> None:
        session = self._sessions.get(fact.session_id)
        if session is None:
            return  # of a session that began before anybody watched, or has ended
        charging = None
        if fact.charging_state:
            charging = fact.charging_state == "Charging"
        elif fact.power_w is not None and fact.power_w > 0:
            charging = True
        if fact.evse is not None and fact.evse != session.evse:
            self._unstall(session)
            self._leave(fact.session_id, session)
            session.evse = fact.evse
            self._at_evse[station, fact.evse] = fact.session_id
        self._moves(fact.session_id, session, charging, session.wh if fact.register_wh is None else fact.register_wh)

    def _on_ended(self, station: str, fact: facts.SessionEnded) -> None:
        self._finish(fact.session_id)

    def _on_status(self, station: str, fact: facts.ConnectorStatusChanged) -> None:
        """OCPP 1.6 tells by the connector's status whether a session charges."""
        session_id = self._at_evse.get((station, fact.evse))
        session = self._sessions.get(session_id) if session_id is not None else None
        if session is None or session_id is None or fact.status not in _STATUS_CHARGES:
            return
        self._moves(session_id, session, _STATUS_CHARGES[fact.status], session.wh)

    def _finish(self, session_id: str) -> None:
        session = self._sessions.pop(session_id, None)
        if session is not None:
            self._leave(session_id, session)
            self._unstall(session)

    def _leave(self, session_id: str, session: Charging) -> None:
        """It is at its EVSE no longer."""
        if self._at_evse.get((session.station, session.evse)) == session_id:
            del self._at_evse[session.station, session.evse]


_STATUS_CHARGES: Final = {
    "Charging": True,
    "SuspendedEV": False,
    "SuspendedEVSE": False,
    "Finishing": False,
    "Available": False,
}
_FOLLOW: Final[dict[type, Callable[[Progress, str, Any], None]]] = {
    facts.SessionStarted: Progress._on_started,  # pyright: ignore[reportPrivateUsage]
    facts.SessionUpdated: Progress._on_updated,  # pyright: ignore[reportPrivateUsage]
    facts.SessionEnded: Progress._on_ended,  # pyright: ignore[reportPrivateUsage]
    facts.ConnectorStatusChanged: Progress._on_status,  # pyright: ignore[reportPrivateUsage]
}


def _part(evse: int) -> str:
    return str(evse) if evse else ""
