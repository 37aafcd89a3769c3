"""A station as a distributed energy resource (2.1 R): its controls, its trips, and what it tells of both.

The rules are `pilotwire.domain.der`; here are the clock, the timers, the memory and the messages. Power that grows is
slowed by Gradients and EnterService, in steps of a second; power that shrinks is never slowed, so that no cap waits for
a ramp. A ramp is not an alarm: it is on its way to what was asked. Response times and hystereses of controls are
`pilotwire.domain.der.response`; whatever they say, caps hold at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from pilotwire.core.time import Timer, to_datetime
from pilotwire.domain.der import effects
from pilotwire.domain.der.model import Control, Curve, Enter, Grid, Hysteresis, Ramp, Rating
from pilotwire.domain.der.precedence import Began, Controls, Ended
from pilotwire.domain.der.response import MEAN_EVERY_MS, Response, mean, recent

from .parts import Part

if TYPE_CHECKING:
    from .evse import Evse
    from .program import Station
    from .sessions import Session

_CONTROLS, _ALARM = "der-controls", "der-alarm"
_STEP_MS = 1_000
_BY_POWER = ("PowerMonitoringMustTrip", "LimitMaxDischarge")
"""Trips by what the station gives itself."""
_decoder = msgspec.json.Decoder(list[Control])


class Alarm(msgspec.Struct, frozen=True, array_like=True):
    """The control that makes the station deviate, and the fault of the grid that makes the control act."""

    kind: str
    fault: str | None = None


_alarm_decoder = msgspec.json.Decoder(Alarm | None)


class _Last(NamedTuple):
    """What an EVSE was set to last, and since when it may grow (true time, ms)."""

    at: int
    mw: int


class Der(Part):
    """The DER controls of one station."""

    __slots__ = (
        "_alarm",
        "_causes",
        "_ceased",
        "_entering",
        "_inside",
        "_last",
        "_means",
        "_over",
        "_reactive",
        "_responses",
        "_returning_ms",
        "_since",
        "_soft",
        "_talks",
        "_timer",
        "_tripped",
        "_volts",
        "controls",
    )

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self.controls = Controls()
        self._alarm: Alarm | None = None
        self._talks = False
        """Since power-on the CSMS has been reached once: what is told from now on is kept."""
        self._timer: Timer | None = None
        self._forget()

    def _forget(self) -> None:
        self._causes: dict[int, Alarm] = {}
        self._ceased: dict[str, bool] = {}
        """Momentary cessation, by kind."""
        self._entering: set[int] = set()
        """EVSEs that come back slowly after a trip."""
        self._soft: set[int] = set()
        """EVSEs whose session is only about to begin."""
        self._last: dict[int, _Last] = {}
        self._since: dict[str, int] = {}
        """Kind of trip → since when its deviation lasts, true time, ms."""
        self._reactive: dict[int, int] = {}
        self._over: dict[int, int] = {}
        """EVSE → since when it gives more than is monitored."""
        self._tripped: Alarm | None = None
        self._inside: tuple[int, int] | None = None
        """(since when the grid is fit again, when it may begin again)."""
        self._responses: dict[int, Response] = {}
        """By EVSE."""
        self._returning_ms = 0
        """From nothing to all after the newest trip, by the hysteresis of the control that tripped."""
        self._volts: list[tuple[int, int]] = []
        """The voltage of the last ten minutes: (since when, true time, ms; thousandths of a percent)."""
        self._means: dict[str, int] = {}
        """Kind → since when the mean of ten minutes is above its bound, true time, ms."""

    # ── what the program tells ───────────────────────────────────────────────────────────────────────────────────

    def restore(self, stored: Mapping[str, bytes]) -> None:
        self.controls = Controls(_decoder.decode(stored.get(_CONTROLS, b"[]")))
        self._alarm = _alarm_decoder.decode(stored.get(_ALARM, b"null"))
        self._talks = False
        self._forget()
        self._rearm()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def accepted(self, *, booted: bool) -> None:
        if self.active:
            self._talks = True
            self._sweep()
            self.measured()
            self._judge()

    def clock_moved(self) -> None:
        if self.active:
            self._rearm()

    def session_began(self, session: Session) -> None:
        self._soft.add(session.evse)
        self._last.pop(session.evse, None)

    def session_ended(self, session: Session) -> None:
        for known in (self._causes, self._last, self._over, self._reactive, self._responses):
            known.pop(session.evse, None)
        self._soft.discard(session.evse)
        if self._tripped is not None and self._tripped.kind in _BY_POWER and not self._station.transactions.busy:
            self._tripped = None
        self._judge()

    @property
    def active(self) -> bool:
        """This station can be controlled so."""
        return "der" in self._station.features

    def supports(self, kind: str) -> bool:
        """It can follow controls of that kind."""
        return self.active and kind in self._station.config.der_controls

    @property
    def tripped(self) -> Alarm | None:
        """Why nothing is exchanged with the grid until that is fit again."""
        return self._tripped

    @property
    def alarm(self) -> Alarm | None:
        """What was told last, as long as it lasts."""
        return self._alarm

    # ── controls ─────────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, control: Control) -> tuple[str, ...] | None:
        """Install; the ids that are superseded by that. None: there is no room for another of its kind."""
        gone = self.controls.add(control, self._station.clock.now())
        if gone is not None:
            self._store()
        return gone

    def clear(self, *, default: bool, kind: str | None = None, id_: str | None = None) -> bool:
        """Forget those that fit; whether there were any."""
        gone = self.controls.clear(default=default, kind=kind, id_=id_)
        if gone:
            self._store()
        return bool(gone)

    def follow(self) -> None:
        """The controls are others than before: begin what is due, and act."""
        self._sweep()
        self.measured()
        self._refresh()

    def _store(self) -> None:
        self._station.store({_CONTROLS: msgspec.json.encode(list(self.controls))})

    def _sweep(self) -> None:
        station = self._station
        m = station.messages
        before = len(self.controls)
        news = self.controls.sweep(station.clock.now())
        if news or len(self.controls) != before:
            self._store()
        for each in news:
            gone = list(each.superseded) if isinstance(each, Began) else []
            station.conversation.call(
                "NotifyDERStartStop",
                m.NotifyDERStartStopRequest(
                    control_id=each.control.id,
                    started=not isinstance(each, Ended),
                    timestamp=station.clock.wall(),
                    superseded_ids=gone or None,
                ),
                keep=True,
            )

    # ── the grid ─────────────────────────────────────────────────────────────────────────────────────────────────

    def measured(self) -> None:
        """The grid may have changed, or time has passed: trip, cease, or begin again."""
        if not self.active:
            return
        station = self._station
        now = int(station.scheduler.now())
        grid = station.grid.now
        controls = self.controls.in_force(station.clock.now())
        for kind in effects.TRIPS:
            control = controls.get(kind)
            allowed = None if control is None else effects.trips_after(control, grid)
            if allowed is None:
                self._since.pop(kind, None)
                self._ceased.pop(kind, None)
                continue
            due = self._since.setdefault(kind, now) + allowed <= now
            if kind in effects.MOMENTARY:
                self._ceased[kind] = due
            elif due and self._tripped is None:
                self._trip(Alarm(kind, effects.fault_of(kind, grid)))
        for evse in station.evses:
            found = self._monitored(evse, controls)
            if found is not None and found[1] <= now and self._tripped is None:
                self._trip(Alarm(found[0]))
        self._watch_mean(now, grid, controls)
        if self._tripped is not None:
            self._recover(now, grid, controls)
        self._rearm()

    def _watch_mean(self, now: int, grid: Grid, controls: Mapping[str, Control]) -> None:
        """EN 50549-1 4.9.3.4: the mean voltage of ten minutes is too high for too long."""
        if not self._volts or self._volts[-1][1] != grid.volts:
            self._volts = [*recent(self._volts, now), (now, grid.volts)]
        average = mean(self._volts, now)
        for kind, (most, delay) in _means(controls):
            if average <= most:
                self._means.pop(kind, None)
            elif self._means.setdefault(kind, now) + delay <= now and self._tripped is None:
                self._trip(Alarm(kind, "OverVoltage"))
        for kind in self._means.keys() - {kind for kind, _ in _means(controls)}:
            del self._means[kind]

    def _monitored(self, evse: Evse, controls: Mapping[str, Control]) -> tuple[str, int] | None:
        found = effects.monitored(controls, max(0, -evse.meter.power_mw), self._rating(evse))
        if found is None:
            self._over.pop(evse.id, None)
            return None
        return found[0], self._over.setdefault(evse.id, int(self._station.scheduler.now())) + found[1]

    def _trip(self, why: Alarm) -> None:
        self._tripped = why
        self._inside = None
        self._over.clear()

    def _recover(self, now: int, grid: Grid, controls: Mapping[str, Control]) -> None:
        """EnterService says when it may begin again; without it, when no deviation lasts any more."""
        control = controls.get("EnterService")
        enter = control.setting if control is not None and isinstance(control.setting, Enter) else None
        fit = not self._means and not any(kind not in effects.MOMENTARY for kind in self._since)
        back = self._hysteresis(controls)
        if back is not None and self._tripped is not None:
            watched = effects.TRIPS.get(self._tripped.kind, ("v", True))[0]
            fit = fit and back.inside(grid.mhz if watched == "f" else grid.volts, otherwise=True)
        if enter is not None:
            fit = (
                fit
                and enter.low_mhz <= grid.mhz <= enter.high_mhz
                and enter.low_volts <= grid.volts <= enter.high_volts
            )
        elif self._tripped is not None and self._tripped.kind in _BY_POWER:
            # Nothing of the grid says when it is over: the session ends, or nothing is monitored any more.
            fit = fit and self._tripped.kind not in controls
        if not fit:
            self._inside = None
            return
        if self._inside is None:
            wait = 0
            if enter is not None:
                wait = enter.delay_ms + (self._station.random.randint(0, enter.random_ms) if enter.random_ms else 0)
            if back is not None:
                wait = max(wait, back.delay_ms)
            self._inside = (now, now + wait)
        if self._inside[1] <= now:
            self._tripped = self._inside = None
            self._last.clear()
            self._returning_ms = 0
            if enter is not None and enter.ramp_ms:
                self._entering = {evse.id for evse in self._station.evses}
            elif back is not None and back.gradient:
                self._returning_ms = 100_000 * 1000 // back.gradient
                self._entering = {evse.id for evse in self._station.evses}

    def _hysteresis(self, controls: Mapping[str, Control]) -> Hysteresis | None:
        """Of the control that has tripped."""
        control = None if self._tripped is None else controls.get(self._tripped.kind)
        return control.setting.hysteresis if control is not None and isinstance(control.setting, Curve) else None

    # ── power ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _rating(self, evse: Evse) -> Rating:
        return Rating(evse.max_mw, evse.config.max_discharge_w * 1000)

    def apply(
        self, evse: Evse, wanted: int, low: int, high: int, reactive: int | None = None
    ) -> tuple[int, int | None]:
        """(what becomes of `wanted`, when to look again in true time); mW towards the vehicle, within [low, high].

        `reactive`: setpointReactive, mvar.
        """
        station = self._station
        now = int(station.scheduler.now())
        controls = self.controls.in_force(station.clock.now())
        grid = station.grid.now
        ceased = next((kind for kind, yes in self._ceased.items() if yes), None)
        cause: Alarm | None = None
        until: int | None = None
        response = self._responses.setdefault(evse.id, Response())
        if self._tripped is not None or ceased is not None:
            power = 0
            cause = self._tripped or Alarm(ceased or "", effects.fault_of(ceased or "", grid))
            self._last[evse.id] = _Last(now, 0)
            response = self._responses[evse.id] = Response()
            response.at(now)
        else:
            response.at(now)
            shaped = effects.shape(wanted, controls, grid, self._rating(evse), low, high, response)
            if shaped.kind:
                cause = Alarm(shaped.kind, shaped.fault)
            power, until = self._ramped(evse, shaped.mw, controls, now)
        var, by = effects.reactive(power, controls, grid, self._rating(evse), response)
        if response.again is not None:
            until = response.again if until is None else min(until, response.again)
        self._reactive[evse.id] = var if by else reactive or 0
        if cause is None and by and reactive is not None and var != reactive:
            # R04, scenario 4: reactive power alone is no deviation, unless a profile asks for another.
            cause = Alarm(by, effects.fault_of(by, grid))
        if cause is not None and (wanted != 0 or cause.kind == by):
            self._causes[evse.id] = cause
        else:
            self._causes.pop(evse.id, None)
        self._judge()
        return power, until

    def flowing(self, evse: Evse) -> None:
        """The EVSE has been set anew: what it gives is monitored from now on."""
        if self.active and self._tripped is None:
            before = self._over.get(evse.id)
            found = self._monitored(evse, self.controls.in_force(self._station.clock.now()))
            if found is not None and before is None:
                self._rearm()

    def reactive(self, evse: Evse) -> int:
        """Reactive power of `evse` in mvar; positive is absorbed."""
        return self._reactive.get(evse.id, 0)

    def _ramped(self, evse: Evse, target: int, controls: Mapping[str, Control], now: int) -> tuple[int, int | None]:
        ramp = self._ramp(evse, controls)
        last = self._last.get(evse.id) or _Last(now - _STEP_MS, 0)
        if not ramp:
            self._last[evse.id] = _Last(now, target)
            return target, None
        rating = self._rating(evse)
        rated = rating.charge_mw if target >= 0 else rating.discharge_mw
        before = abs(last.mw) if last.mw == 0 or (last.mw > 0) == (target > 0) else 0
        steps = (now - last.at) // _STEP_MS
        most = before + rated * steps * _STEP_MS // ramp
        if abs(target) <= most:
            self._soft.discard(evse.id)
            self._entering.discard(evse.id)
            self._last[evse.id] = _Last(now, target)
            return target, None
        power = most if target > 0 else -most
        at = last.at + steps * _STEP_MS
        self._last[evse.id] = _Last(at, power)
        return power, at + _STEP_MS

    def _ramp(self, evse: Evse, controls: Mapping[str, Control]) -> int:
        """How long (ms) from nothing to all, at present; 0: at once."""
        if evse.id in self._entering:
            control = controls.get("EnterService")
            if control is not None and isinstance(control.setting, Enter) and control.setting.ramp_ms:
                return control.setting.ramp_ms
            if self._returning_ms:
                return self._returning_ms
        control = controls.get("Gradients")
        if control is None or not isinstance(control.setting, Ramp):
            return 0
        return control.setting.soft_ms if evse.id in self._soft and control.setting.soft_ms else control.setting.ms

    # ── alarms ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _judge(self) -> None:
        """R05: there is one alarm at a time; another cause takes over without an end of the first."""
        cause = self._causes[min(self._causes)] if self._causes else None
        before = self._alarm
        if cause is not None and before is not None and cause.kind == before.kind and cause.fault is None:
            cause = before  # the fault is over, what it has done is still on its way back
        if cause == before or not self._talks:
            return
        self._alarm = cause
        self._station.store({_ALARM: msgspec.json.encode(cause) if cause is not None else None})
        told = cause or before
        if told is not None:
            self._tell(told, ended=cause is None)

    def _tell(self, alarm: Alarm, *, ended: bool) -> None:
        station = self._station
        more: dict[str, Any] = {"alarm_ended": True} if ended else {}
        station.conversation.call(
            "NotifyDERAlarm",
            station.messages.NotifyDERAlarmRequest(
                control_type=alarm.kind,
                timestamp=to_datetime(station.clock.now()),
                grid_event_fault=alarm.fault,
                **more,
            ),
            keep=True,
        )

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _rearm(self) -> None:
        self.stop()
        station = self._station
        if not self.active or not station.powered:
            return
        now = int(station.scheduler.now())
        due: list[int] = []
        change = self.controls.next_change(station.clock.now())
        if change is not None:
            due.append(station.clock.true(change))
        controls = self.controls.in_force(station.clock.now())
        for kind, since in self._since.items():
            allowed = effects.trips_after(controls[kind], station.grid.now) if kind in controls else None
            done = self._ceased.get(kind, False) if kind in effects.MOMENTARY else self._tripped is not None
            if allowed is not None and not done:
                due.append(since + allowed)
        if self._tripped is None:
            for evse in station.evses:
                found = self._monitored(evse, controls)
                if found is not None:
                    due.append(found[1])
        if self._inside is not None:
            due.append(self._inside[1])
        bounds = [most for _, (most, _) in _means(controls)]
        if bounds and any(volts > min(bounds) for _, volts in recent(self._volts, now)):
            due.append(now + MEAN_EVERY_MS)
        if due:
            self._timer = station.scheduler.call_later(max(0, min(due) - now), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.follow()
        self._station.finish()

    def _refresh(self) -> None:
        for evse in self._station.evses:
            if evse.session is not None and not evse.session.ending:
                self._station.energy.refresh(evse)


def _means(controls: Mapping[str, Control]) -> list[tuple[str, tuple[int, int]]]:
    """(kind, (bound, ms)) of the controls that watch the mean of ten minutes."""
    return [
        (kind, control.setting.mean)
        for kind, control in controls.items()
        if isinstance(control.setting, Curve) and control.setting.mean is not None
    ]
