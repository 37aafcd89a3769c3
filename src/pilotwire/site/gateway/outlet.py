"""One outlet of the charger: each look at its driver becomes what happens at an EVSE of the station.

    the charger says                     the station hears
    A, then B, C or D                    plug; with free vend, the begin of a session
    a card's id, where there was another tap: the CSMS is asked
    or none before
    C, D and a current                   its car draws: Charging; without: SuspendedEV, or SuspendedEVSE if held back
    the session has ended                end of the session; Finishing
    A                                    unplug: the end of the session
    E, or a fault in its words           Faulted; the session stays until its car leaves
    F                                    Unavailable
    nothing any more                     Faulted, no readings; the session waits for what the register says then

What the station offers (session, profiles, costs; 0 A without a session) goes out as set-points, again and again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from pilotwire.core.errors import PilotwireError
from pilotwire.site.ports import EvseDriver, EvseStatus

from .absence import Begun, Ended, Last, Rules, Seen, Step, reconstruct
from .attendant import Attendant
from .config import GatewayConfig
from .counter import CounterRules, CounterState, Noticed
from .faults import FROZEN, LOST, fault_name
from .meter import MeasuredCar, RegisterMeter
from .ports import SetPoint, StationSide

__all__ = ["Outlet", "OutletCounts"]

_PLUGGED = frozenset({"B", "C", "D"})
_REFRESH_MS = 20_000
_TOUCH_MS = 10_000
_AWAY_MS = 15_000
"""An absence that is shorter hides no session."""
_FIRST_MS = 10_000
"""So long a charger may take for its first answer after a start."""
_STARTS_MS = 30_000
"""So long a car may take until it draws what it is offered, without being told as one that does not want to."""
_FOLLOWS_MS = 5_000
"""And a charger until it confirms a set-point."""


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart needs."""

    last: Last
    counter: CounterState


_decoder = msgspec.json.Decoder(_Stored)
_encode = msgspec.json.Encoder().encode


class OutletCounts(msgspec.Struct):
    """What has been noticed at an outlet."""

    reconstructed: int = 0
    """Begins and ends that were told afterwards."""
    ownerless_wh: int = 0
    """Energy of sessions that nobody can be named for, and the CSMS heard nothing of."""
    frozen: int = 0
    resets: int = 0
    rollovers: int = 0
    jumps: int = 0
    refused: int = 0
    """Cards that the version cannot carry."""


class Outlet:
    """EVSE `number` of the station."""

    def __init__(
        self,
        number: int,
        config: GatewayConfig,
        driver: EvseDriver,
        tell: SetPoint,
        later: Callable[[Callable[[], None]], None],
        told: Callable[[str], None],
    ) -> None:
        self.number = number
        self.driver = driver
        self.counts = OutletCounts()
        abilities = driver.abilities
        self.dc = abilities.unit == "mW"
        power = abilities.maximum if self.dc else abilities.maximum * 230 * abilities.phases
        counter = CounterRules(max_power_mw=power, rollover_wh=config.rollover_wh)
        self.meter = RegisterMeter(counter, config.register, lambda: later(self.steer))
        self.car = MeasuredCar(self.meter, abilities.phases)
        self.attendant = Attendant(driver, config.fixed_cable, lambda text: told(f"EVSE {number}: {text}"))
        self._rules = Rules(free=config.free_vend, least_wh=config.least_wh, max_power_mw=power)
        self._config = config
        self._tell = tell
        self._told = told
        self._station: StationSide | None = None
        self._now = 0
        self._last: Last | None = None
        self._known = False
        """Since the start, or since the charger was lost, what happened has been found out."""
        self._lost_ms: int | None = None
        self._answered = False
        """Since the start."""
        self._tapped = ""
        self._asked_online = True
        self._vended = False
        """With this cable a session has begun that needed nobody's leave: one is enough."""
        self._out = False
        self._ended = False
        self._frozen = False
        self._looks: tuple[object, ...] = ()
        self._touched_ms = 0
        self._stored_ms = 0
        self._said: tuple[int, int] | None = None
        """The set-point that was told last, and when."""
        self._gives_ms: int | None = None
        """Since when it is more than 0."""
        self._flowed = False
        watchdog = abilities.watchdog_ms
        every = config.refresh_ms or (min(_REFRESH_MS, watchdog // 3) if watchdog else _REFRESH_MS)
        self._refresh_ms = max(config.poll_ms, every)

    @property
    def _key(self) -> str:
        return f"gateway.{self.number}"

    def restore(self, stored: bytes | None, station: StationSide, *, running: bool) -> None:
        """Before power-on. `running`: the station remembers a session here, whose car is taken to be there still."""
        self._station = station
        if stored is not None:
            try:
                kept = _decoder.decode(stored)
            except msgspec.MsgspecError as error:
                self._told(f"EVSE {self.number}: what was stored cannot be read: {error}")
            else:
                self._last = msgspec.structs.replace(kept.last, running=running)
                self.meter.counter = kept.counter
                self._tapped = kept.last.token
        if running:
            station.plug(self.number, self.car)

    # ── each look ────────────────────────────────────────────────────────────────────────────────────────────────────

    def look(self, now: int) -> None:
        """The driver may know something new. `now` is UTC, ms."""
        station = self._station
        if station is None:
            return
        self._now = now
        status = self.driver.status()
        noticed = self.meter.sample(status, now)
        self._notice(noticed)
        self.attendant.look(status, self.meter.flows, now)
        if not station.powered:
            return
        self._follows(status, now)
        if not status.online or status.pilot is None:
            self._is_lost(station, now)
            self.steer()
            return
        if self.meter.counter.seen_wh is not None and not self.meter.counter.settled:
            self.steer()
            return  # the register is in doubt: nothing begins or ends by it
        plugged = status.pilot in _PLUGGED or (status.pilot in ("E", "F") and station.plugged(self.number))
        if not self._known:
            self._find_out(station, status, plugged, now)
        self._lost_ms, self._answered = None, True
        self._condition(station, status)
        self._car(station, status, plugged)
        self._card_shown(station, status, plugged)
        self._changed(station, status, now)
        self._note(station, status, now)
        self.steer()

    def _is_lost(self, station: StationSide, now: int) -> None:
        if self._lost_ms is None:
            self._lost_ms = now
        # Just started, its driver has asked and has no answer yet: that is no fault.
        asked = self._answered or now - self._lost_ms >= _FIRST_MS
        away = asked and (self._last is None or now - self._last.at_ms >= _AWAY_MS)
        if away:
            self._known = False
            station.fault(self.number, LOST.error, LOST.code, "the charger does not answer")

    def _condition(self, station: StationSide, status: EvseStatus) -> None:
        if status.pilot == "E" or status.fault:
            name = fault_name(status.fault)
            station.fault(self.number, name.error, name.code, status.fault or "no power at the control pilot")
        elif self._frozen:
            station.fault(self.number, FROZEN.error, FROZEN.code, "energy flows, and the energy register stands still")
        else:
            station.repair(self.number)
        out = status.pilot == "F" and not status.fault
        if out != self._out:
            self._out = out
            station.out_of_service(self.number, out)

    def _car(self, station: StationSide, status: EvseStatus, plugged: bool) -> None:
        number = self.number
        if plugged and not station.plugged(number):
            self._ended = self._vended = False
            self._phases(status)
            station.plug(number, self.car)
        elif not plugged and station.plugged(number):
            station.unplug(number)
        if status.ended and not self._ended and station.session(number) is not None:
            station.end(number, "Local", "StopAuthorized")
        if status.ended != self._ended:
            self._ended = status.ended
        if station.expected(number):
            self._vended = True
        elif plugged and self._config.free_vend and not status.ended and not self._vended:
            self._vended = self._begin(station, status.id_token)

    def _begin(self, station: StationSide, token: str) -> bool:
        """A session that nobody has to be asked for."""
        name = token or self._config.token
        if not name and self._config.version == "1.6":
            return False
        return station.begin(self.number, name, "" if token else "Central" if name else "NoAuthorization")

    def _card_shown(self, station: StationSide, status: EvseStatus, plugged: bool) -> None:
        token = status.id_token
        if not token:
            self._tapped = ""
            return
        # What was asked while the CSMS was away, and came to nothing, is asked once more when it is there.
        asked = token == self._tapped and (self._asked_online or not station.online)
        if self._config.free_vend or asked or station.expected(self.number):
            return
        if not plugged and station.session(self.number) is not None:
            return
        self._tapped, self._asked_online = token, station.online
        try:
            station.tap(self.number, token)
        except PilotwireError as error:
            self.counts.refused += 1
            self._told(f"EVSE {self.number}: {error}")

    def _changed(self, station: StationSide, status: EvseStatus, now: int) -> None:
        """The station looks again when something is another, and now and then."""
        self._phases(status)
        meter = self.meter
        looks = (meter.flows, meter.withheld, meter.preparing, meter.phases, meter.reachable)
        if looks != self._looks or now - self._touched_ms >= _TOUCH_MS:
            self._looks, self._touched_ms = looks, now
            station.touch(self.number)

    def _phases(self, status: EvseStatus) -> None:
        if status.soc is not None:
            self.car.soc, self.car.soc_known = status.soc, True

    def _follows(self, status: EvseStatus, now: int) -> None:
        """Whether nothing flows because it has only just been offered, or because somebody else holds it back."""
        meter, since = self.meter, self._gives_ms
        self._flowed = since is not None and (self._flowed or meter.flows)
        meter.preparing = since is None or (not self._flowed and now - since < _STARTS_MS)
        meter.withheld = status.offered == 0 and since is not None and now - since >= _FOLLOWS_MS

    def _notice(self, noticed: Noticed) -> None:
        if noticed in ("", "odd"):
            return
        where = f"EVSE {self.number}: the energy register"
        if noticed == "frozen":
            self._frozen = True
            self.counts.frozen += 1
            self._told(f"{where} stands still while energy flows; it is estimated by the power")
            return
        self._frozen = False
        self.counts.resets += noticed == "reset"
        self.counts.rollovers += noticed == "rollover"
        self.counts.jumps += noticed == "jump"
        words = {"rollover": "has gone round", "reset": "has begun anew", "jump": "has jumped; the jump is not counted"}
        self._told(f"{where} {words.get(noticed, 'moves again')}")

    # ── what is remembered ───────────────────────────────────────────────────────────────────────────────────────────

    def _note(self, station: StationSide, status: EvseStatus, now: int) -> None:
        before = self._last
        last = Last(
            at_ms=now,
            register_wh=self.meter.register_wh,
            plugged=station.plugged(self.number),
            running=station.session(self.number) is not None,
            session=status.session,
            session_wh=_value(status, "session_wh"),
            token=status.id_token,
            power_mw=self.meter.power_mw,
        )
        self._last = last
        new = before is None or (before.plugged, before.running, before.session) != (
            last.plugged, last.running, last.session,
        )  # fmt: skip
        if new or now - self._stored_ms >= self._config.store_ms:
            self._stored_ms = now
            station.store(self._key, _encode(_Stored(last=last, counter=self.meter.counter)))

    # ── after an absence ─────────────────────────────────────────────────────────────────────────────────────────────

    def _find_out(self, station: StationSide, status: EvseStatus, plugged: bool, now: int) -> None:
        """The first look after a start, or after the charger was lost: what has happened is told now."""
        self._known = True
        last = self._last
        if last is None:
            return  # nothing is known of before: what is there begins now
        seen = Seen(
            at_ms=now,
            register_wh=self.meter.register_wh,
            plugged=plugged,
            session=status.session,
            session_wh=_value(status, "session_wh"),
            session_s=_value(status, "session_s"),
            token=status.id_token,
        )
        for step in reconstruct(last, seen, self._rules):
            self._tell_of(station, step)
        if status.ended and plugged and station.session(self.number) is not None:
            self._ended = False  # it came to its end meanwhile: `_car` tells of it

    def _tell_of(self, station: StationSide, step: Step) -> None:
        number, meter = self.number, self.meter
        if isinstance(step, Ended):
            self.counts.reconstructed += 1
            with station.looking_back(step.at_ms), meter.looking_back(step.register_wh):
                station.unplug(number)
        elif isinstance(step, Begun):
            if not self._begun(station, step.at_ms, step.register_wh, step.token):
                self._told(f"EVSE {number}: a car charges that nobody can be named for")
        elif self._begun(station, step.begin_ms, step.begin_wh, step.token):
            with station.looking_back(step.end_ms), meter.looking_back(step.end_wh):
                station.unplug(number)
        else:
            energy = step.end_wh - step.begin_wh
            self.counts.ownerless_wh += energy
            self._told(f"EVSE {number}: {energy} Wh flowed while nobody looked, that nobody can be named for")

    def _begun(self, station: StationSide, at_ms: int, register_wh: int, token: str) -> bool:
        if not (token or self._config.token or self._config.free_vend):
            return False
        self.counts.reconstructed += 1
        with station.looking_back(at_ms), self.meter.looking_back(register_wh):
            station.repair(self.number)
            if not station.plugged(self.number):
                station.plug(self.number, self.car)
            begun = station.begin(
                self.number, token or self._config.token, "" if token else "Central" if self._config.token else _NOBODY
            )
        self._tapped = token
        return begun

    # ── set-points ───────────────────────────────────────────────────────────────────────────────────────────────────

    def steer(self) -> None:
        """What the station offers goes to the charger: at once when it is another, and again before it forgets."""
        station = self._station
        if station is None or not station.powered:
            return
        offered = station.offered(self.number)
        if self._said is not None and self._said[0] == offered and self._now - self._said[1] < self._refresh_ms:
            return
        self._said = (offered, self._now)
        if not offered:
            self._gives_ms = None
        elif self._gives_ms is None:
            self._gives_ms = self._now
        self._tell(self.driver.id, offered, 3 * self._refresh_ms)


_NOBODY: Literal["NoAuthorization"] = "NoAuthorization"


def _value(status: EvseStatus, name: str) -> int | None:
    value = status.points.get(name)
    return value.value if value is not None and value.quality != "bad" else None
