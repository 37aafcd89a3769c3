"""Chargers behind OCPP as the control loop drives them.

    unit = ManagedStation(controller.seat("CS1"), {1: Abilities(...), 2: ...})     before `controller.start()`' traffic
    driver = unit.drivers[1]              an EvseDriver
    driver.failsafe(6_000, 90_000, done)  first of all
    driver.offer(16_000, None, 60_000, done)

What an EVSE may have is the lower of the site's offer and of upstream's profiles (`smart`). The station is told by a
profile that ends by itself: TxProfile while a transaction runs there, TxDefaultProfile else, both above the fail-safe
default on stack level 0. So a box that dies leaves chargers at their fail-safe after `ControllerConfig.failsafe_s`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Literal

import msgspec

from pilotwire.core.time import Timer, to_rfc3339
from pilotwire.domain.schedules.model import TX, TX_DEFAULT
from pilotwire.site.ports import Abilities, EvseStatus, Told
from pilotwire.storage.forwarding import Change

from . import frames
from .frames import Frame
from .observing import Observer
from .seat import Seat
from .smart import Local, Profiles

_PROFILE_BASE = 8_800_000
"""Ids of ours begin there: this and the EVSE's number times ten."""
_FAILSAFE, _DEFAULT, _TX = 0, 1, 2
_LIVE_STACK = 1
_EARLY_S = 60
"""Schedules begin so long ago: a station's clock may be behind ours a little."""
_SLACK = 100
"""What a station may round a limit to, in thousandths: 1.6 has tenths."""

Done = Callable[[Told], None]


class OcppEvse:
    """`site.ports.EvseDriver`."""

    def __init__(self, station: ManagedStation, evse: int, abilities: Abilities) -> None:
        self._station = station
        self.evse = evse
        self.id = f"{station.seat.known.identity}/{evse}"
        self._built = abilities
        self.standing: int | None = None
        """The fail-safe that was read back."""
        self.wanted: Local | None = None
        self.sent: tuple[str, int, Literal[1, 3] | None, int] | None = None
        """(transaction or "", thousandths, numberPhases, until) of the profile that the station has accepted."""
        self._phases: Literal[1, 3] | None = None
        """How many it is to use, where it can switch; None: nothing was said of it."""
        self._busy = False
        self._again = False
        self._waiting: list[Done] = []
        self._timer: Timer | None = None
        self._rest: Timer | None = None
        """It is left alone until then."""

    @property
    def abilities(self) -> Abilities:
        """As built; the fail-safe once it has been read back."""
        watchdog = self._station.seat.around.config.failsafe_s * 1000
        return msgspec.structs.replace(
            self._built, failsafe=self.standing, watchdog_ms=None if self.standing is None else watchdog
        )

    def status(self) -> EvseStatus:
        observer = self._station.observer
        outlet = observer.outlet(self.evse)
        phases: Any = outlet.conductors
        if self._built.phase_switching:
            # Told to use one, it is believed when that is seen; that it has three is what counts without being seen.
            phases = None if self._phases != 1 or phases is None else 1 if phases == 1 else 3
        return EvseStatus(
            online=observer.online and self._rest is None,
            pilot=outlet.pilot,
            ended=outlet.ended,
            points=outlet.points,
            phases=phases,
            id_token=outlet.id_token,
            session=outlet.transaction,
            soc=outlet.soc,
            target_energy_wh=outlet.wants_wh,
            departure_ms=outlet.departure_ms,
            arrived_ms=outlet.arrived_ms,
            offered=None if self.sent is None else self.sent[1],
            offered_at_ms=0 if self.sent is None else self._sent_at,
            fault=outlet.fault,
        )

    _sent_at = 0

    # ── EvseDriver ───────────────────────────────────────────────────────────────────────────────────────────────

    def offer(self, value: int, phases: Literal[1, 3] | None, valid_ms: int, done: Done) -> None:
        """See `EvseDriver.offer`; what is told to the station is the lower of this and upstream's."""
        around = self._station.seat.around
        if phases is not None and not self._built.phase_switching:
            done(Told(False, "it cannot switch phases"))
            return
        if phases != self._phases:
            self._phases = phases
            self._station.observer.switched(self.evse)
        until = around.now() + min(valid_ms, around.config.failsafe_s * 1000)
        self.wanted = Local(self._unit, value, until, self.standing)
        self._station.profiles.local[self.evse] = self.wanted
        self.look(done)

    def failsafe(self, value: int, watchdog_ms: int, done: Done) -> None:
        """A default profile without end; the watchdog is that ours end by themselves. Read back as a schedule."""
        if self._station.seat.around.config.failsafe_s * 1000 > watchdog_ms > 0:
            done(Told(False, "what is offered lasts longer than that"))
            return
        self._station.clear_once(lambda: self._install(value, done), done)

    def rest(self, ms: int) -> None:
        """See `site.ports.Restful`: no profile for so long, and it counts as not heard.

        What it was told last ends by itself, and leaves the default profile of `failsafe`. Then it begins anew with
        what the site has told us last, or with its fail-safe where that is over.
        """
        if self._rest is not None:
            self._rest.cancel()

        def over() -> None:
            self._rest = None
            self.forget()
            self.look()

        self._rest = self._station.seat.around.scheduler.call_later(ms, over)

    @property
    def _unit(self) -> Literal["A", "W"]:
        return "A" if self._built.unit == "mA" else "W"

    def _install(self, value: int, done: Done) -> None:
        def set_(answer: Frame | None) -> None:
            if _accepted(answer):
                self._station.ask_composite(self.evse, self._unit, read)
            else:
                self.standing = None
                done(Told(False, _why(answer)))

        def read(answer: Frame | None) -> None:
            limits = None if answer is None else _limits(self._station.seat.version, answer.payload)
            stands = bool(limits) and max(limits or (0,)) <= value + _SLACK
            self.standing = value if stands else None
            self.sent = None
            if self.wanted is not None:
                self.wanted = msgspec.structs.replace(self.wanted, failsafe=self.standing)
                self._station.profiles.local[self.evse] = self.wanted
            done(Told(True) if stands else Told(False, f"it says {limits} instead of {value}"))
            self.look()

        self.sent = None
        self._station.set_profile(self.evse, self._profile(_FAILSAFE, value, None, ""), set_, done)

    # ── what the station is told ─────────────────────────────────────────────────────────────────────────────────

    def due(self) -> int | None:
        """What it may have now: thousandths of its unit; None: nothing limits."""
        now = self._station.seat.around.now()
        ma, mw, until = self._station.profiles.upstream_limit(self.evse, now)
        place = self._station.profiles.place(self.evse)
        if self._unit == "A":
            limit = _least(ma, None if mw is None else mw * 1000 // (place.mv * place.phases))
        else:
            limit = _least(mw, None if ma is None else ma * place.mv * place.phases // 1000)
        wanted = self.wanted
        if wanted is not None:
            limit = _least(limit, wanted.value if wanted.until > now else self.standing)
        self._look_at(until)
        return limit

    def look(self, done: Done | None = None) -> None:
        """Something may have changed: tell the station what it does not know yet. One call at a time."""
        if done is not None:
            self._waiting.append(done)
        if self._rest is not None:
            self._tell(Told(False, "it is left alone until it has fallen back by itself"))
            return
        if self._busy:
            self._again = True
            return
        station = self._station
        limit = self.due()
        now = station.seat.around.now()
        transaction = station.observer.outlet(self.evse).transaction
        lasting = now + station.seat.around.config.failsafe_s * 1000
        until = lasting if self.wanted is None or self.wanted.until <= now else min(lasting, self.wanted.until)
        if limit is None:
            self._no_limit()
            return
        sent, phases = self.sent, self._phases
        half = station.seat.around.config.failsafe_s * 500
        if sent is not None and sent[:3] == (transaction, limit, phases) and sent[3] - now > min(half, until - now):
            self._tell(Told(True))
            self._look_at(sent[3] - half)
            return
        self._busy = True
        kind = _TX if transaction else _DEFAULT

        def answered(answer: Frame | None) -> None:
            self._busy = False
            if _accepted(answer):
                self.sent = (transaction, limit, phases, until)
                self._sent_at = station.seat.around.now()
                self._look_at(until - half)
            again, self._again = self._again, False
            if again:
                self.look()
            else:
                self._tell(Told(True) if _accepted(answer) else Told(False, _why(answer)))

        def away(told: Told) -> None:
            self._busy = self._again = False
            self._tell(told)

        station.set_profile(self.evse, self._profile(kind, limit, until, transaction), answered, away)

    def _no_limit(self) -> None:
        if self.sent is None:
            self._tell(Told(True))
            return
        self.sent = None
        for kind in (_DEFAULT, _TX):
            self._station.clear_profile(_PROFILE_BASE + self.evse * 10 + kind)
        self._tell(Told(True))

    def forget(self) -> None:
        """The station has restarted, or a transaction has ended: what it was told for that is gone."""
        self.sent = None

    def _tell(self, told: Told) -> None:
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(told)

    def _look_at(self, at: int | None) -> None:
        if at is None:
            return
        around = self._station.seat.around
        if self._timer is not None:
            self._timer.cancel()
        self._timer = around.scheduler.call_later(max(500, at - around.now()), self._due_again)

    def _due_again(self) -> None:
        self._timer = None
        self.look()

    def _profile(self, kind: int, value: int, until: int | None, transaction: str) -> dict[str, Any]:
        """In the words of the station's version, as JSON would have it; numbers as msgspec writes Decimals."""
        old = self._station.seat.version == "1.6"
        now = self._station.seat.around.now()
        step = Decimal("0.1") if old else Decimal("0.001")
        limit = Decimal(value).scaleb(-3).quantize(step, ROUND_FLOOR)
        period: dict[str, Any] = {"startPeriod": 0, "limit": limit}
        if self._phases is not None and kind != _FAILSAFE:
            period["numberPhases"] = self._phases
        schedule: dict[str, Any] = {"chargingRateUnit": self._unit, "chargingSchedulePeriod": [period]}
        if until is not None:
            begin = now + self._station.observer.skew_ms - _EARLY_S * 1000
            schedule["startSchedule"] = to_rfc3339(begin // 1000 * 1000)
            schedule["duration"] = _EARLY_S + max(1, (until - now) // 1000)
        profile: dict[str, Any] = {
            "chargingProfileId" if old else "id": _PROFILE_BASE + self.evse * 10 + kind,
            "stackLevel": 0 if kind == _FAILSAFE else _LIVE_STACK,
            "chargingProfilePurpose": TX if kind == _TX else TX_DEFAULT,
            "chargingProfileKind": "Relative" if until is None else "Absolute",
            "chargingSchedule": schedule if old else [{"id": 1, **schedule}],
        }
        if kind == _TX:
            profile["transactionId"] = int(transaction) if old else transaction
        return profile


class ManagedStation:
    """One station whose EVSEs the site drives. Made before it connects."""

    def __init__(
        self, seat: Seat, evses: Mapping[int, Abilities], *, sample_s: int | None = None, silent: bool = False
    ) -> None:
        """`sample_s`: how often it is asked to read its meters while charging; None: as it is set. `silent`: it is
        looked at alone; what upstreams say of its limits goes through as if nobody were here."""
        self.seat = seat
        self._sample_s = sample_s
        self.observer = Observer(lambda: seat.version, seat.around.now, self._changed)
        self.profiles = Profiles(seat, self.observer, self._upstream_changed)
        self.drivers: Mapping[int, OcppEvse] = {
            evse: OcppEvse(self, evse, abilities) for evse, abilities in evses.items()
        }
        self._cleared = False
        self._boots = 0
        self._asked_samples = False
        self._running: dict[int, str] = {}
        for evse, (transaction, start) in _RUNNING.decode(seat.kept_notes.get("running", b"{}")).items():
            self.observer.take_up(evse, transaction, start)
            self._running[evse] = transaction
        seat.watchers.append(self.observer)
        if not silent:
            seat.limits = self.profiles

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────

    def _changed(self, evse: int) -> None:
        observer = self.observer
        if observer.boots != self._boots:
            self._boots = observer.boots
            self._asked_samples = False
            for driver in self.drivers.values():
                driver.forget()
        driver = self.drivers.get(evse)
        if driver is None or not observer.online:
            return
        self._ask_samples()
        transaction = observer.outlet(evse).transaction
        before = self._running.get(evse, "")
        if transaction != before:
            self._running[evse] = transaction
            driver.forget()
            if before:
                self.profiles.over(before)
            if transaction:
                self.profiles.begun(evse, transaction)
            outlets = self.observer.outlets.items()
            running = {
                number: (each.transaction, each.transaction_start) for number, each in outlets if each.transaction
            }
            self.seat.around.store.write([Change(self.seat.box, {"running": _encode(running)})], _unheard)
            self.seat.around.scheduler.call_later(0, driver.look)

    def _upstream_changed(self) -> None:
        # Not from within a call of the upstream: its answer comes first.
        for driver in self.drivers.values():
            self.seat.around.scheduler.call_later(0, driver.look)

    def _ask_samples(self) -> None:
        """Readings as often as the loop wants them: asked after each restart of the station, once it takes it."""
        if self._asked_samples or self._sample_s is None:
            return

        def told(answer: Frame | None) -> None:
            if answer is None or answer.kind != frames.CALLRESULT:
                self._asked_samples = False  # not accepted yet, or gone: when it next says something

        self._asked_samples = True
        if self.seat.version == "1.6":
            wanted = {"key": "MeterValueSampleInterval", "value": str(self._sample_s)}
            asked = self.seat.tell("ChangeConfiguration", _encode(wanted), told)
        else:
            row = {
                "component": {"name": "SampledDataCtrlr"},
                "variable": {"name": "TxUpdatedInterval"},
                "attributeValue": str(self._sample_s),
            }
            asked = self.seat.tell("SetVariables", _encode({"setVariableData": [row]}), told)
        self._asked_samples = asked and self._asked_samples

    # ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────

    def set_profile(
        self, evse: int, profile: Mapping[str, Any], answered: Callable[[Frame | None], None], away: Done
    ) -> None:
        if self.seat.version == "1.6":
            request: dict[str, Any] = {"connectorId": evse, "csChargingProfiles": profile}
        else:
            request = {"evseId": evse, "chargingProfile": profile}
        if not self.seat.tell("SetChargingProfile", _encode(request), answered):
            away(Told(False, "the station is not connected"))

    def clear_profile(self, number: int) -> None:
        name = "id" if self.seat.version == "1.6" else "chargingProfileId"
        self.seat.tell("ClearChargingProfile", _encode({name: number}), _nothing)

    def clear_once(self, then: Callable[[], None], done: Done) -> None:
        """What others have left there goes once, before our fail-safe comes: it would lead beside ours."""
        if self._cleared:
            then()
            return

        def answered(answer: Frame | None) -> None:
            if answer is None or answer.kind != frames.CALLRESULT:
                done(Told(False, _why(answer)))
                return
            self._cleared = True
            then()

        if not self.seat.tell("ClearChargingProfile", b"{}", answered):
            done(Told(False, "the station is not connected"))

    def ask_composite(self, evse: int, unit: str, answered: Callable[[Frame | None], None]) -> None:
        name = "connectorId" if self.seat.version == "1.6" else "evseId"
        request = {name: evse, "duration": 3600, "chargingRateUnit": unit}
        if not self.seat.tell("GetCompositeSchedule", _encode(request), answered):
            answered(None)


_encode = msgspec.json.Encoder(decimal_format="number").encode
_RUNNING = msgspec.json.Decoder(dict[int, tuple[str, int]])


def _accepted(answer: Frame | None) -> bool:
    return answer is not None and frames.value(answer.payload, "status") == "Accepted"


def _why(answer: Frame | None) -> str:
    if answer is None:
        return "no answer"
    if answer.kind != frames.CALLRESULT:
        return "refused"
    return str(frames.value(answer.payload, "status"))


def _limits(version: str, payload: bytes) -> list[int]:
    """The limits of a composite schedule, in thousandths."""
    path = ("chargingSchedule",) if version == "1.6" else ("schedule",)
    rows = frames.value(payload, *path, "chargingSchedulePeriod")
    if not isinstance(rows, list):
        return []
    return [int(Decimal(str(row["limit"])).scaleb(3)) for row in rows if isinstance(row, dict) and "limit" in row]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


def _unheard(error: Exception | None) -> None:
    """What runs is told again with the next reading."""


def _nothing(answer: Frame | None) -> None:
    """What it says to that changes nothing: it is as the station wants it."""
