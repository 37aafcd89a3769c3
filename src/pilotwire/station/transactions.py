"""The charging sessions of a station: their begin and end, and the truth about them (1.6 3.4; 2.x E01 to E10)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from .energy import CLOCK
from .evse import Evse, PendingStart
from .points import BAY, FLOWING
from .sessions import RFID, Session, Truth
from .states import Phase

if TYPE_CHECKING:
    from .program import Station

_json = msgspec.json.encode
_session_decoder = msgspec.json.Decoder(Session)
ALIVE = "alive"
"""Under this the time (true time, ms) stands at which the station was certainly running."""
RESUMING = "resuming"
"""Under this something stands while a restart is under way after which the sessions go on, however long it takes."""
_PHASE: Mapping[str, Phase] = {
    "Charging": "Charging",
    "SuspendedEV": "SuspendedEV",
    "SuspendedEVSE": "SuspendedEVSE",
    "EVConnected": "Ready",
}
_truth_decoder = msgspec.json.Decoder(Truth)


class Transactions:
    """Every session of one station, that runs or ran."""

    __slots__ = ("_station", "_truth_count", "truth", "truth_limit")

    def __init__(self, station: Station, truth_limit: int) -> None:
        self._station = station
        self.truth: list[Truth] = []
        """Every session, oldest first; open ones have no end."""
        self.truth_limit = truth_limit
        self._truth_count = 0

    def restore(self, stored: Mapping[str, bytes]) -> None:
        """What earlier runs have stored of the truth."""
        self.truth = [_truth_decoder.decode(stored[key]) for key in sorted(stored) if key.startswith("truth.")]
        self._truth_count = int(stored.get("truth-count", b"0"))

    def recover(self, stored: Mapping[str, bytes]) -> None:
        """End the sessions that a loss of power interrupted (1.6 PowerLoss; 2.x PowerLoss, AbnormalCondition), or go on
        with them, where the interruption was short enough (2.1 E17) or was asked for so (B13.FR.23)."""
        station = self._station
        timeout = station.settings.number("resumption_timeout") if "resume" in station.features else 0
        away = int(station.scheduler.now()) - int(stored.get(ALIVE, b"0"))
        resuming = RESUMING in stored
        if resuming:
            station.store({RESUMING: None})
        for evse in station.evses:
            left = stored.get(f"session.{evse.id}")
            if left is None:
                continue
            evse.session = _session_decoder.decode(left)
            if station.real:
                self._keep(evse, evse.session)
                continue
            if (resuming or (away <= timeout * 1000 and timeout)) and evse.session.begun:
                self._resume(evse, evse.session)
                continue
            evse.phase = "Charging"
            self.end(evse, "PowerLoss" if station.boot_reason == "PowerUp" else "Reboot", "AbnormalCondition")
            evse.phase = "Finishing" if evse.car is not None else "Idle"

    def _keep(self, evse: Evse, session: Session) -> None:
        """A real charger did not stop when the program did: whether the session goes on is for `bridge` to say."""
        for part in self._station.parts:
            part.session_began(session)
        evse.phase = _PHASE.get(session.last_state, "Ready") if session.authorized else "Plugged"
        self.plan_samples(session, int(self._station.scheduler.now()))

    def _resume(self, evse: Evse, session: Session) -> None:
        """E17.FR.10 to .18: the session goes on, in the state it had, as far as that is allowed."""
        station = self._station
        now = int(station.scheduler.now())
        was = session.last_state
        for part in station.parts:
            part.session_began(session)
        if BAY in station.points.stop and not evse.bay:
            # The car has left meanwhile.
            self.end(evse, "EVDisconnected", "EVDeparted")
            return
        if evse.car is None and session.cable_by is not None:
            evse.phase = "Authorized"
        elif evse.car is None and was != "Idle":
            # The cable was pulled meanwhile.
            evse.phase = "Ready"
            self.parted(evse, session)
            if evse.session is None:
                return
        elif evse.car is None:
            evse.phase = "Parted" if session.authorized else "Idle"
        elif not session.authorized:
            evse.phase = "Plugged"
        else:
            evse.phase = _PHASE.get(was, "Ready")
            if not station.settings.flag("resume_energy"):
                session.held = was in ("Charging", "SuspendedEV", "SuspendedEVSE")
            elif was == "Charging":
                most = station.settings.number("resume_random") * 1000
                session.wait_until = now + station.random.randint(0, most) if most else None
            if session.held or session.wait_until is not None:
                evse.phase = "SuspendedEVSE"
        self.plan_samples(session, now)
        station.dialect.progressed(evse, session, "TxResumed")
        station.costs.setting_changed("cost_interval")
        station.energy.refresh(evse)

    def go_on(self, evse: Evse, session: Session) -> None:
        """B13.FR.12 to .14: its EVSE has been reset under the session."""
        station = self._station
        if evse.session is not session or not station.powered:
            return  # it has ended meanwhile, or the power was cut
        if session.last_state == "Charging" and not station.settings.flag("resume_energy"):
            session.held = True
            evse.phase = "SuspendedEVSE"
        self.plan_samples(session, int(station.scheduler.now()))
        station.dialect.progressed(evse, session, "TxResumed")
        station.energy.refresh(evse)
        station.finish()

    def start(self, evse: Evse, pending: PendingStart | None, trigger: str) -> None:
        """A session begins on `evse`, authorized as `pending` says, or by nobody yet; `trigger` is a 2.x
        TriggerReasonEnumType. Its transaction begins with it, or at its TxStartPoint."""
        station = self._station
        now = int(station.scheduler.now())
        evse.settle(now)
        if pending is not None:
            station.availability.advance(evse, "authorize", quiet=True)
        session = Session(
            key=station.ids.new(),
            evse=evse.id,
            token="" if pending is None else pending.token,
            token_type=RFID if pending is None else pending.token_type,
            group="" if pending is None else pending.group,
            started_at=station.clock.now(),
            true_start=now,
            register_start=evse.meter.register_wh,
            last_interval_wh=evse.meter.register_wh,
            offline_start=not station.online,
            remote_start_id=None if pending is None else pending.remote_start_id,
            languages=() if pending is None else pending.languages,
            token_sent=pending is None,
            authorized=pending is not None,
            begun=station.points.reached(evse, authorized=pending is not None),
            cable_by=pending.deadline if pending is not None and evse.car is None else None,
        )
        evse.session = session
        if pending is not None:
            station.reservations.began(session, pending)
            station.payment.beginning(session)
        if session.begun:
            self._begin(evse, session, station.points.trigger(evse, trigger))
        if pending is not None:
            station.entrance.began(session)
        for part in station.parts:
            if pending is not None or part is not station.v2x:  # cars are asked what they need once somebody is let in
                part.session_began(session)
        if session.reservation is not None:
            station.availability.report_all()
        station.energy.refresh(evse)
        station.energy.rebalance(evse)

    def flows(self, evse: Evse) -> None:
        """Energy flows in a session whose transaction waits for that (TxStartPoint EnergyTransfer)."""
        session = evse.session
        if session is None or session.begun or FLOWING not in self._station.points.start:
            return
        session.begun = True
        session.started_at = self._station.clock.now()
        session.true_start = int(self._station.scheduler.now())
        session.register_start = session.last_interval_wh = evse.meter.register_wh
        self._begin(evse, session, "ChargingStateChanged")

    def authorize(self, evse: Evse, session: Session, pending: PendingStart, trigger: str) -> None:
        """Somebody is let in where a session runs that nobody was authorized for (E02.FR.20)."""
        station = self._station
        evse.settle(int(station.scheduler.now()))
        session.token, session.token_type, session.group = pending.token, pending.token_type, pending.group
        session.remote_start_id = pending.remote_start_id
        session.languages = pending.languages
        session.token_sent = False
        session.authorized = True
        session.released = ""
        session.held = False
        session.cable_by = pending.deadline if evse.car is None else None
        station.availability.advance(evse, "authorize", quiet=True)
        station.reservations.began(session, pending)
        station.payment.beginning(session)
        truth = self.truth_of(session.key)
        if truth is not None:
            truth.token = session.token
            self._store_truth(truth)
        station.dialect.progressed(evse, session, trigger)
        station.entrance.began(session)
        station.v2x.session_began(session)
        station.availability.report_all()
        station.energy.refresh(evse)
        station.energy.rebalance(evse)

    def _begin(self, evse: Evse, session: Session, trigger: str) -> None:
        """The transaction begins: the CSMS is told."""
        station = self._station
        now = session.true_start
        self.plan_samples(session, now)
        if session.next_sample is not None and station.config.first_sample_ms is not None:
            session.next_sample = now + station.config.first_sample_ms
        self._truth_count += 1
        truth = Truth(
            n=self._truth_count,
            session=session.key,
            evse=evse.id,
            token=session.token,
            started_at=now,
            register_start=session.register_start,
            transaction="" if station.config.version == "1.6" else session.key,
        )
        self.truth.append(truth)
        reading = station.energy.read(evse, "started", "Transaction.Begin")
        if station.settings.members("ended"):
            session.kept.append(station.energy.read(evse, "ended", "Transaction.Begin"))
        station.dialect.started(evse, session, trigger, reading)
        self._store_truth(truth)

    def plan_samples(self, session: Session, now: int) -> None:
        """From `now` (true time, ms) on by the intervals as they are set."""
        station = self._station
        interval = station.settings.number("sample_interval") * 1000
        session.next_sample = now + interval if interval else None
        interval = station.energy.ended_interval * 1000 if station.settings.members("ended") else 0
        session.next_ended_sample = now + interval if interval else None

    def stop(self, session_key: str, reason: str, trigger: str) -> bool:
        """End the session of that key; False when it does not run."""
        for evse in self._station.evses:
            if evse.session is not None and evse.session.key == session_key:
                self.end(evse, reason, trigger)
                return True
        return False

    def release(self, evse: Evse, reason: str, trigger: str, *, token: str = "", token_type: str = "") -> None:
        """The session on `evse` is no longer authorized: it ends, or goes on without energy until its TxStopPoint.

        `token`: the one that was shown for this. 2.x E06, E07, E09; 1.6 sessions always end.
        """
        station = self._station
        session = evse.session
        if session is None:
            return
        if station.points.over_without_authorization(evse):
            self.end(evse, reason, trigger, token=token, token_type=token_type)
            return
        evse.settle(int(station.scheduler.now()))
        evse.open()
        session.authorized = False
        if reason != "Timeout":
            session.released = session.released or reason
        session.cable_by = session.allowed_wh = None
        station.availability.advance(evse, "deauthorize", quiet=True)
        if evse.car is None:
            evse.phase = "Idle"
        station.dialect.progressed(evse, session, trigger, token, token_type)
        station.availability.report(evse)
        station.energy.refresh(evse)
        station.energy.rebalance(evse)

    def connected(self, evse: Evse, session: Session) -> None:
        """2.x: the cable goes in while a session runs."""
        session.cable_by = None
        self._station.availability.advance(evse, "plug", quiet=True)
        if not session.begun and self._station.points.reached(evse, authorized=session.authorized):
            session.begun = True
            self._begin(evse, session, "CablePluggedIn")
        else:
            self._station.dialect.progressed(evse, session, "CablePluggedIn")
        if session.authorized:
            self._station.v2x.session_began(session)
        self._station.availability.report(evse)
        self._station.energy.refresh(evse)

    def parted(self, evse: Evse, session: Session) -> None:
        """2.x: the cable is pulled at the car while a session runs (E06.FR.02, E09, E10)."""
        station = self._station
        reason, trigger = "EVDisconnected", "EVCommunicationLost"
        if station.points.over_without_cable(authorized=session.authorized):
            self.end(evse, reason, trigger)
        elif not session.authorized or station.settings.flag("stop_on_disconnect"):
            self.release(evse, reason, trigger)
        else:
            if evse.config.fixed_cable:  # E10.FR.02
                wait = station.settings.number("connection_timeout") * 1000
                session.cable_by = int(station.scheduler.now()) + wait
            station.availability.advance(evse, "part", quiet=True)
            station.dialect.progressed(evse, session, trigger)
            station.availability.report(evse)
            station.energy.refresh(evse)
            station.energy.rebalance(evse)

    def cable_missed(self, evse: Evse) -> None:
        """2.x: nobody has plugged in in time (E03.FR.05, .15, E10.FR.02)."""
        if evse.phase == "Parted":
            self.release(evse, "EVDisconnected", "EVCommunicationLost")
        else:
            self.release(evse, "Timeout", "EVConnectTimeout")

    def stop_all(self, reason: str, trigger: str, evse_id: int | None = None) -> None:
        """End every session, or the one on `evse_id`."""
        for evse in self._station.evses:
            if evse.session is not None and evse_id in (None, evse.id):
                self.end(evse, reason, trigger)

    def end(self, evse: Evse, reason: str, trigger: str, *, token: str = "", token_type: str = "") -> None:
        """The session on `evse` is over. `reason`: 1.6 Reason; `trigger`: 2.x TriggerReasonEnumType; `token`: by which
        it was ended at the station."""
        station = self._station
        session = evse.session
        if session is None:
            return
        if reason == "EVDisconnected" and session.released:
            reason = session.released
        now = int(station.scheduler.now())
        evse.settle(now)
        evse.open()
        session.ending = True
        ended = station.energy.read(evse, "ended", "Transaction.End")
        # 1.6 3.16.5: of what is no longer asked for, nothing goes along.
        sampled, aligned = bool(ended.values), bool(station.settings.members("aligned_ended"))
        kept = [one for one in session.kept if (aligned if one.context == CLOCK else sampled)]
        readings = [*kept, ended] if sampled else kept
        if session.begun:
            station.dialect.stopped(evse, session, reason, trigger, token, token_type, readings)
        truth = next((t for t in reversed(self.truth) if t.session == session.key), None)
        if truth is not None:
            truth.ended_at = now
            truth.register_end = evse.meter.register_wh
            truth.reason = reason
            truth.cost = session.cost
            self._store_truth(truth)
        evse.session = None
        station.signing.forget(session)
        station.store({f"session.{evse.id}": None})
        station.store_meter(evse)
        station.availability.advance(evse, "end", quiet=True)
        if reason == "EVDisconnected":
            station.dialect.disconnected(evse)
        if evse.car is None and not station.availability.left_behind(evse, session, reason):
            evse.phase = "Idle"
        station.availability.session_over(evse)
        station.availability.report(evse)
        station.energy.rearm(evse)
        station.energy.rebalance(evse)
        for part in station.parts:
            part.session_ended(session)

    def not_accepted(self, session: Session) -> None:
        """The CSMS does not accept the token of a running session: end it (1.6 StopTransactionOnInvalidId, 2.x
        StopTxOnInvalidId), or stop the energy when it may not be ended (E05.FR.02)."""
        station = self._station
        evse = station.evses[session.evse - 1]
        if station.settings.flag("stop_on_invalid"):
            if evse.session is session and session.authorized:
                self.release(evse, "DeAuthorized", "Deauthorized")
            return
        if evse.session is not session or session.held or not session.authorized:
            return
        more = station.settings.number("max_energy_invalid")
        if more and session.allowed_wh is None:
            evse.settle(int(station.scheduler.now()))
            session.allowed_wh = evse.meter.register_wh + more  # E05.FR.03
        session.held = not more
        station.energy.refresh(evse)
        station.store_session(session)

    def cost(self, key: str, total: Decimal, *, final: bool = False) -> None:
        """What the session with that key has cost so far by the CSMS's reckoning, or in all (I02, I03)."""
        session = self.of_key(key)
        if session is not None:
            session.cost = total
            self._station.store_session(session)
        elif final:
            truth = self.truth_of(key)
            if truth is not None:
                truth.cost = total
                self._store_truth(truth)

    def cost_at(self, evse: Evse) -> Decimal | None:
        """The cost that is shown at `evse`: of the running session, or of the last one while its car is still there."""
        if evse.session is not None:
            return evse.session.cost
        if evse.car is None:
            return None
        last = next((truth for truth in reversed(self.truth) if truth.evse == evse.id), None)
        return None if last is None else last.cost

    def forget_token(self, token: str) -> None:
        """Sessions that are over no longer say whose they were."""
        for truth in self.truth:
            if truth.token == token and truth.ended_at is not None:
                truth.token = ""
                self._store_truth(truth)

    def of_key(self, key: str) -> Session | None:
        """The running session with that key."""
        return next((e.session for e in self._station.evses if e.session is not None and e.session.key == key), None)

    def key_of(self, transaction: str) -> str | None:
        """The key of the newest session that the CSMS knows by this id."""
        return next((truth.session for truth in reversed(self.truth) if truth.transaction == transaction), None)

    def truth_of(self, key: str) -> Truth | None:
        """What is remembered of the session with that key."""
        return next((truth for truth in reversed(self.truth) if truth.session == key), None)

    def name(self, key: str, transaction: str) -> None:
        """1.6: the CSMS's id for the session is known now."""
        truth = self.truth_of(key)
        if truth is not None:
            truth.transaction = transaction
            self._store_truth(truth)

    @property
    def busy(self) -> bool:
        """A session runs."""
        return any(evse.session is not None for evse in self._station.evses)

    def _store_truth(self, truth: Truth) -> None:
        station = self._station
        changes: dict[str, bytes | None] = {
            f"truth.{truth.n:010d}": _json(truth),
            "truth-count": str(self._truth_count).encode(),
        }
        while len(self.truth) > self.truth_limit:
            changes[f"truth.{self.truth.pop(0).n:010d}"] = None
        station.store(changes)
