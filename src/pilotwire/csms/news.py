"""What the rest of the house hears of one station, by the bus: its facts, its powers and, while somebody taps, its
frames."""

from __future__ import annotations

from pilotwire.core.ids import StationKey
from pilotwire.domain.facts import AnyFact, SessionEnded, SessionUpdated
from pilotwire.domain.stations import StationState
from pilotwire.storage.port import Store
from pilotwire.transport.bus import Bus, Event, Frame, PowerNow


class News:
    """Each method does nothing where nobody listens. `topics` of the bus tells that sooner, for the hot path."""

    __slots__ = ("_bus", "_facts_subject", "_key", "_live_subject", "_power_subject", "_store")

    def __init__(self, key: StationKey, bus: Bus, store: Store) -> None:
        self._key = key
        self._bus = bus
        self._store = store
        tail = f"{key.tenant}.{key.station}"
        self._live_subject = f"live.{tail}"
        self._facts_subject = f"facts.{tail}"
        self._power_subject = f"power.{tail}"

    def frame(self, frame: bytes, direction: str, now: int) -> None:
        """A frame as it passes, "in" or "out"."""
        if self._bus.wanted(self._live_subject):
            tenant, station = self._key
            self._bus.publish(
                self._live_subject, Frame(tenant=tenant, station=station, time=now, direction=direction, data=frame)
            )

    def facts(self, facts: tuple[AnyFact, ...], recv_time: int) -> None:
        """What has been committed, in the store's `done` of it."""
        if facts and self._bus.wanted(self._facts_subject):
            tenant, station = self._key
            event = Event(
                stream=self._store.stream,
                seq=self._store.position,
                tenant=tenant,
                station=station,
                recv_time=recv_time,
                facts=facts,
            )
            self._bus.publish(self._facts_subject, event)

    def power(self, state: StationState, facts: tuple[AnyFact, ...], now: int) -> None:
        """The present power of the sessions that `facts` tell of."""
        if not self._bus.wanted(self._power_subject):
            return
        tenant, station = self._key
        for fact in facts:
            if not isinstance(fact, SessionUpdated | SessionEnded):
                continue
            session = state.sessions.get(fact.session_id)
            if session is not None:
                self._bus.publish(
                    self._power_subject,
                    PowerNow(
                        tenant=tenant,
                        station=station,
                        time=now,
                        evse=session.evse,
                        connector=session.connector,
                        power_w=session.power_w,
                        session_id=session.id,
                        energy_wh=session.energy_wh,
                        soc=session.soc,
                    ),
                )
