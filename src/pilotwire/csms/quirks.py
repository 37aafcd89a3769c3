"""The quirks of one station: what its messages show, told once a day, and what is done differently because of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire.domain.facts import AnyFact, OrphanReceived, QuirkSeen
from pilotwire.domain.quirks import active, quirk
from pilotwire.domain.stations import StationState
from pilotwire.protocols.ocpp.rpc.events import Malformed
from pilotwire.translate.quirks import Look, Watch, answered, framed

if TYPE_CHECKING:
    from .actor import StationActor
    from .connection import Connection

AGAIN_MS = 86_400_000
"""A quirk that goes on is told again after this long."""
FIRST, OFTEN = 8, 64
"""Of what comes all the time so many are looked at on a new connection, then one in so many."""
KEPT_FRAME = 4_096
"""A frame that is no message is kept when it is no longer than this."""

_ORPHANS = {"unknown-transaction": "stop-without-start", "second-stop": "stop-repeated"}


class Quirks:
    """See the module. Whatever goes wrong in here costs a look, never a message."""

    __slots__ = ("_active", "_actor", "_early", "_heard", "_known", "_routine", "_watch")

    def __init__(self, actor: StationActor) -> None:
        self._actor = actor
        self._watch: Watch | None = None
        self._early: list[str] = []
        """Seen before the message that shows it was read."""
        self._heard = 0
        """When a message came that was not looked at."""
        self._routine = 0
        """How many came of those that come all the time, on this connection."""
        self._active: frozenset[str] = frozenset()
        self._known: tuple[object, ...] = ()

    # -- what the station sends ---------------------------------------------------------------------------------------
    def due(self, now: int) -> bool:
        """Whether a message of those that come all the time is to be looked at: the first ones of a connection, then
        one of many. A habit shows soon enough."""
        self._routine = number = self._routine + 1
        if number <= FIRST or not number % OFTEN or self._early:
            return True
        self._heard = now
        return False

    def sent(
        self, look: Look | None, request: Any, state: StationState, now: int, deviations: tuple[str, ...] = ()
    ) -> tuple[AnyFact, ...]:
        """A message of the station's own accord, before it is decided: facts to go with it."""
        watch = self._watch or self._watching(state)
        watch.begin(state, now)
        try:
            watch.message(self._heard)
            if look is not None:
                look(watch, request)
        except Exception as error:
            self._faulty(error)
        if deviations or self._early or watch.out:
            return self._facts((*deviations, *self._take_early(), *watch.out))
        return ()

    def early(self, data: bytes) -> None:
        """A frame came while the answer to the one before it was not out. The same one again is a repetition."""
        work = self._actor.work
        if work is not None and work.frame != data and framed.overlaps(data):
            self._early.append("calls-overlap")

    def reused(self) -> None:
        """The frame at hand has the messageId of an earlier one, with other content."""
        self._early.append("message-id-reused")

    def decided(self, facts: Iterable[AnyFact]) -> tuple[AnyFact, ...]:
        """What the decision about a message says of the station."""
        found = [_ORPHANS[fact.why] for fact in facts if isinstance(fact, OrphanReceived) and fact.why in _ORPHANS]
        return self._facts(found) if found else ()

    # -- frames that are no message -----------------------------------------------------------------------------------
    def malformed(self, connection: Connection, event: Malformed, data: bytes) -> None:
        """A frame was not accepted."""
        self._early.clear()
        self.note(framed.malformed(event, data, connection.speech.version), frame=data)

    def ignored(self, reason: str, data: bytes) -> None:
        """A frame was ignored."""
        self.note(framed.ignored(reason), frame=data)

    # -- what it answers ----------------------------------------------------------------------------------------------
    def answered(
        self, action: str, request: Any, response: msgspec.Struct, facts: Iterable[AnyFact], deviations: tuple[str, ...]
    ) -> tuple[AnyFact, ...]:
        """A CALLRESULT to a command: facts to go with its settling."""
        return self._look(lambda watch: answered.answered(watch, action, request, response, facts), deviations)

    def refused(self, action: str, request: Any, code: str, data: bytes) -> tuple[AnyFact, ...]:
        """A CALLERROR to a command."""
        version = self._actor.version

        def look(watch: Watch) -> None:
            watch.out.extend(framed.refused(data, version))
            answered.refused(watch, action, request, code, version)

        return self._look(look)

    def silent(self, action: str, request: Any, sent_at: int) -> tuple[AnyFact, ...]:
        """A command was not answered in time."""
        return self._look(lambda watch: answered.silent(watch, action, request, sent_at))

    # -- the connection -----------------------------------------------------------------------------------------------
    def connected(self) -> None:
        """A connection was adopted."""
        self._early.clear()
        self._heard = self._routine = 0
        for fact in self._look(Watch.connected):
            self._actor.record((fact,), None)

    def disconnected(self) -> None:
        """It has ended."""
        if self._watch is not None and self._actor.state is not None:
            self._look(Watch.disconnected)

    def note(self, name: str, *, frame: bytes = b"") -> None:
        """Record a quirk that no message is decided for."""
        if name and self._actor.state is not None:
            facts = self._facts((name,))
            if facts:
                self._actor.record(facts, None, frame=frame if len(frame) <= KEPT_FRAME else b"")

    # -- what is done about them --------------------------------------------------------------------------------------
    @property
    def active(self) -> frozenset[str]:
        """The remedies that count for this station now."""
        actor = self._actor
        if actor.state is None:
            return self._active
        station, settings = actor.state.station, actor.around.remedies.get(actor.key.tenant, ())
        known = (len(station.quirks), station.vendor, station.model, station.firmware, settings)
        if known != self._known:
            self._known = known
            self._active = active(station, settings)
        return self._active

    # -- inner --------------------------------------------------------------------------------------------------------
    def _watching(self, state: StationState) -> Watch:
        config = self._actor.around.config
        watch = self._watch = Watch(state, config.heartbeat_interval_s, config.boot_retry_s)
        return watch

    def _look(self, look: Callable[[Watch], None], found: Iterable[str] = ()) -> tuple[AnyFact, ...]:
        state = self._actor.state
        if state is None:
            return ()
        watch = self._watch or self._watching(state)
        watch.begin(state, self._actor.around.now())
        try:
            look(watch)
        except Exception as error:
            self._faulty(error)
        return self._facts((*found, *watch.out))

    def _take_early(self) -> list[str]:
        early, self._early = self._early, []
        return early

    def _facts(self, names: Iterable[str]) -> tuple[AnyFact, ...]:
        """Those that are news."""
        state = self._actor.state
        if state is None:
            return ()
        now, known, firmware = self._actor.around.now(), state.station.quirks, state.station.firmware
        counters = self._actor.around.counters
        found: list[AnyFact] = []
        for name in dict.fromkeys(names):
            if quirk(name) is None:
                continue
            before = known.get(name)
            if before is not None and now - before.last < AGAIN_MS and before.firmware == firmware:
                continue
            counters.count(counters.quirks, name)
            found.append(QuirkSeen(event_time=now, quirk=name))
        return tuple(found)

    def _faulty(self, error: Exception) -> None:
        """A fault of ours: the message is served all the same."""
        around = self._actor.around
        around.counters.faults += 1
        around.log("a look for quirks failed", self._actor.key, error=repr(error))
