"""What a station has been told of its power, and by whom: charging profiles, external limits, priority (K; 1.6 3.13).

The rules are `pilotwire.domain.schedules`; here is what a station adds: what runs on its EVSEs, what its hardware can
give, the random delays it draws, the timers, and what it tells the CSMS of all that.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import structs

from pilotwire.core.errors import LocalError
from pilotwire.core.time import Timer, to_datetime
from pilotwire.domain.schedules.curve import draw_delays
from pilotwire.domain.schedules.model import (
    EV_SCHEDULE,
    EXTERNAL,
    EXTERNAL_LIMITS,
    EXTERNAL_SETPOINT,
    LOCAL_GENERATION,
    PRIORITY,
    RATE_FIELDS,
    STATION_MAX,
    TX,
    TX_DEFAULT,
    Circumstances,
    Composite,
    Limits,
    Period,
    Place,
    Profile,
    Rates,
    Schedule,
    Transaction,
    Unit,
)
from pilotwire.domain.schedules.rules import Abilities, Refusal, check
from pilotwire.domain.schedules.store import Criteria, ProfileStore
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.translate import schedules as wire

from .config import EvseConfig
from .parts import Part

if TYPE_CHECKING:
    from .evse import Evse
    from .program import Station
    from .sessions import Session

_KEY = "charging-profiles"
_NOMINAL_MV = 230_000
_DC_MV = 400_000
"""What A and W are converted with on DC, where the voltage is the car's."""
_PER_MESSAGE = 4
"""Profiles of one ReportChargingProfiles."""
_MODES = frozenset(("CentralSetpoint", EXTERNAL_SETPOINT, EXTERNAL_LIMITS, "Idle"))
_V2X_MODES = _MODES | {"CentralFrequency", "LocalFrequency", "LocalLoadBalancing"}
_ADDITIONAL = frozenset((PRIORITY, LOCAL_GENERATION))
_PURPOSES = frozenset((STATION_MAX, TX_DEFAULT, TX))
_EXTERNAL_ID = -1_000_000
"""External constraints and local generation have ids from here down (K11.FR.06)."""
_NO_LIMITS = Limits()
_SETPOINTS = tuple(name for name in RATE_FIELDS if name.startswith(("setpoint", "reactive")))
_LIMITS = tuple(name for name in RATE_FIELDS if name.startswith(("limit", "discharge")))
"""What an external system may say where the CSMS leaves it to that: ExternalSetpoint, ExternalLimits."""


@cache
def _places(evses: tuple[EvseConfig, ...]) -> Mapping[int, Place]:
    """Stations of one build share one."""
    places = {0: Place(_NOMINAL_MV, 3)}
    for number, evse in enumerate(evses, 1):
        if evse.dc:
            places[number] = Place(_DC_MV, 1, dc=True, max_ma=evse.max_ma, max_mw=evse.max_w * 1000)
        else:
            most = min(evse.max_w * 1000, evse.max_ma * 230 * evse.phases)
            places[number] = Place(_NOMINAL_MV, evse.phases, max_ma=evse.max_ma, max_mw=most)
    return places


@cache
def _abilities(
    version: str,
    evses: tuple[EvseConfig, ...],
    max_stack: int,
    max_periods: int,
    most: int,
    both_ways: bool,
    balancing: bool,
) -> Abilities:
    newest = version == "2.1"
    return Abilities(
        version=version,
        places={number: place for number, place in _places(evses).items() if number},
        purposes=_PURPOSES | _ADDITIONAL if newest else _PURPOSES,
        max_stack=max_stack,
        max_periods=max_periods,
        max_profiles=most,
        dynamic=newest,
        max_offline=newest,
        local_time=newest,
        random_delay=newest,
        limit_at_soc=newest,
        sleep=newest,
        modes=_V2X_MODES if both_ways else _MODES if newest else frozenset(),
        balancing=balancing,
    )


class SmartCharging(Part):
    """The charging profiles of one station and everything that follows from them."""

    __slots__ = ("_as_set", "_asked", "_external", "_needs", "_places", "_since", "_timer", "_transactions", "store")

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self.store = ProfileStore()
        self._places = _places(station.config.evses)
        self._transactions: dict[int, Transaction] = {}
        self._external: dict[int, Rates] = {}
        self._as_set: dict[int, Period] = {}
        """Dynamic profile → its period as the CSMS has set it, while an external system has its say in it."""
        self._needs: set[str] = set()
        """Transactions whose vehicle has told what it needs."""
        self._asked: dict[int, int] = {}
        """Dynamic profile → when its update was asked for last."""
        self._timer: Timer | None = None
        self._since: int | None = None
        """Since when there is no connection; true time, ms."""

    # ── what the program tells ───────────────────────────────────────────────────────────────────────────────────

    def restore(self, stored: Mapping[str, bytes]) -> None:
        self.store = ProfileStore.decode(stored.get(_KEY, b"[]"))
        self._transactions.clear()
        self._external.clear()
        self._as_set.clear()
        self._needs.clear()
        self._asked.clear()
        self._since = None
        self._rearm()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def clock_moved(self) -> None:
        self._rearm()

    def setting_changed(self, name: str) -> None:
        if name == "time_zone":
            self._refresh()

    def accepted(self, *, booted: bool) -> None:
        since = self._offline_since
        self._since = None
        if since is not None:
            if self.store.back_online(since, self._station.clock.now()):
                self._save()
            self._refresh_if_offline_matters()
        self._rearm()

    def offline(self) -> None:
        self._since = int(self._station.scheduler.now())
        self._refresh_if_offline_matters()

    def _refresh_if_offline_matters(self) -> None:
        if any(profile.max_offline_ms is not None for profile in self.store):
            self._refresh()

    def session_began(self, session: Session) -> None:
        delays = {
            profile.id: drawn
            for profile in self.store
            if (profile.purpose == TX_DEFAULT and profile.evse in (0, session.evse))
            or (profile.purpose == TX and profile.transaction == session.key)
            if (drawn := self._draw(profile))
        }
        self._transactions[session.evse] = Transaction(key=session.key, start=session.started_at, delays=delays)

    def session_ended(self, session: Session) -> None:
        tx = self._transactions.pop(session.evse, None)
        if tx is not None and tx.priority:
            self._tell_priority(session.key, on=False)
        self._needs.discard(session.key)
        if self.store.end(session.key):
            self._changed()

    # ── what holds ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _offline_since(self) -> int | None:
        """Station clock, ms."""
        return None if self._since is None else self._since + self._station.clock.offset_ms

    def around(self) -> Circumstances:
        """What the profiles need to know of the station now."""
        station = self._station
        transactions = self._transactions
        if any(schedule.limit_at_soc is not None for profile in self.store for schedule in profile.schedules):
            transactions = {number: self._with_soc(number, tx) for number, tx in transactions.items()}
        zone: ZoneInfo | None = None
        name = station.settings.text("time_zone")
        if name:
            try:
                zone = ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError):
                zone = None  # a name that nobody knows is UTC, as no name is
        return Circumstances(
            places=self._places,
            transactions=transactions,
            zone=zone,
            offline_since=self._offline_since,
            external=self._external,
            setpoint_by_csms=station.settings.text("setpoint_priority") == "CSMS",
        )

    def _with_soc(self, number: int, tx: Transaction) -> Transaction:
        evse = self._station.evses[number - 1]
        if evse.car is None or not (evse.config.dc or self._station.config.soc_over_ac):
            return tx
        return structs.replace(tx, soc=evse.car.soc)

    def limits(self, evse: Evse, at: int) -> Limits:
        """What `evse` may draw at station clock `at` by all profiles, as if it were the only one."""
        if not len(self.store):
            return _NO_LIMITS
        return self.store.engine.limits_at(at, evse=evse.id, around=self.around())

    def station_limits(self, at: int) -> Limits:
        """What all EVSEs together may draw."""
        return self.store.engine.limits_at(at, evse=0, around=self.around())

    @property
    def bound_together(self) -> bool:
        """Something limits the sum of the EVSEs."""
        return any(profile.evse == 0 and profile.purpose in (STATION_MAX, EXTERNAL) for profile in self.store)

    def composite(self, evse_id: int, unit: Unit, now: int, duration_s: int) -> Composite:
        """The composite schedule of an EVSE or of the station (0)."""
        return self.store.engine.composite(
            now=now, duration_ms=duration_s * 1000, evse=evse_id, unit=unit, around=self.around()
        )

    # ── what the CSMS sets ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def abilities(self) -> Abilities:
        """What this station can follow."""
        station = self._station
        number = station.settings.number
        return _abilities(
            station.config.version,
            station.config.evses,
            number("max_stack"),
            number("max_periods"),
            number("max_profiles"),
            station.v2x.enabled,
            station.v2x.thresholds() is not None,
        )

    def check(self, profile: Profile) -> Refusal | None:
        """Why `profile` is not taken; None: it is."""
        return self.store.check(
            profile,
            self.abilities,
            self._transactions,
            now=self._station.clock.now(),
            iso15118=profile.transaction in self._needs,
        )

    def fits(self, profile: Profile) -> Refusal | None:
        """The same for the profile of a transaction that is only about to start."""
        return check(profile, self.abilities)

    def install(self, profile: Profile) -> None:
        """Take it, and obey at once."""
        self.store.install(profile, self._station.config.version)
        for number, tx in self._transactions.items():
            if profile.purpose in (TX, TX_DEFAULT) and profile.evse in (0, number):
                drawn = self._draw(profile)
                delays = {each: value for each, value in tx.delays.items() if each != profile.id}
                if drawn:
                    delays[profile.id] = drawn
                self._transactions[number] = structs.replace(tx, delays=delays)
        self._asked.pop(profile.id, None)
        self._as_set.pop(profile.id, None)
        self._changed()
        if profile.purpose == TX and profile.transaction in self._needs:
            self._tell_schedule(profile)

    def clear(self, criteria: Criteria) -> bool:
        """Forget what fits; whether there was any."""
        gone = self.store.clear(criteria)
        if gone:
            self._changed()
        return bool(gone)

    def update(self, profile_id: int, rates: Rates) -> Refusal | None:
        """New rates of a dynamic profile."""
        refused = self.store.update(profile_id, rates, self._station.clock.now())
        if refused is None:
            self._changed()
        return refused

    def report(self, request_id: int, criteria: Criteria) -> bool:
        """ReportChargingProfiles of what fits; False when nothing does (K09)."""
        m = self._station.messages
        found = self.store.select(criteria)
        groups: dict[tuple[int, str], list[Profile]] = {}
        for profile in found:
            groups.setdefault((profile.evse, profile.source), []).append(profile)
        parts = [
            (evse, source, rows[at : at + _PER_MESSAGE])
            for (evse, source), rows in groups.items()
            for at in range(0, len(rows), _PER_MESSAGE)
        ]
        for at, (evse, source, rows) in enumerate(parts, 1):
            self._station.conversation.call(
                "ReportChargingProfiles",
                m.ReportChargingProfilesRequest(
                    request_id=request_id,
                    charging_limit_source=source,
                    charging_profile=[wire.profile_wire(m, row) for row in rows],
                    evse_id=evse,
                    tbc=True if at < len(parts) else None,
                ),
            )
        return bool(found)

    def _draw(self, profile: Profile) -> tuple[int, ...]:
        random = self._station.random
        return draw_delays(profile, lambda most: random.randint(0, most))

    def _changed(self) -> None:
        self._save()
        self._refresh()
        self._rearm()

    def _save(self) -> None:
        # 1.6 keeps all of them across a restart (errata 3.37), 2.x those that it says (K01.FR.27).
        self._station.store({_KEY: self.store.encode(everything=self._station.config.version == "1.6")})

    def _refresh(self) -> None:
        station = self._station
        for evse in station.evses:
            if evse.session is not None and not evse.session.ending:
                station.energy.refresh(evse)

    # ── dynamic profiles ─────────────────────────────────────────────────────────────────────────────────────────

    def _rearm(self) -> None:
        """Wait for the first dynamic profile that is to be updated."""
        self.stop()
        station = self._station
        due = [max(at, self._asked.get(each, at - interval) + interval) for at, each, interval in self._due()]
        if due and station.powered:
            wait = station.clock.true(min(due)) - int(station.scheduler.now())
            self._timer = station.scheduler.call_later(max(0, wait), self._pull)

    def _due(self) -> list[tuple[int, int, int]]:
        rows: list[tuple[int, int, int]] = []
        for at, each in self.store.due():
            profile = self.store.get(each)
            if profile is not None and profile.purpose not in (EXTERNAL, EV_SCHEDULE):
                rows.append((at, each, profile.update_interval_ms))
        return rows

    def _pull(self) -> None:
        """Ask the CSMS for the rates of those whose time has come (K28.FR.10)."""
        self._timer = None
        station = self._station
        m = station.messages
        now = station.clock.now()
        for at, each, interval in self._due():
            if max(at, self._asked.get(each, at - interval) + interval) <= now:
                self._asked[each] = now
                station.conversation.call(
                    "PullDynamicScheduleUpdate",
                    m.PullDynamicScheduleUpdateRequest(charging_profile_id=each),
                    lambda response, error, id_=each: self._pulled(id_, response),
                )
        self._rearm()
        station.finish()

    def _pulled(self, profile_id: int, response: Any) -> None:
        if response is not None and response.status == "Accepted" and response.schedule_update is not None:
            self.update(profile_id, wire.rates(response.schedule_update))

    # ── priority charging ────────────────────────────────────────────────────────────────────────────────────────

    def evse_of(self, transaction: str) -> int | None:
        """The EVSE on which the transaction of that id runs."""
        return next((number for number, tx in self._transactions.items() if tx.key == transaction), None)

    def can_prioritize(self, evse_id: int) -> bool:
        """A PriorityCharging profile is installed for that EVSE (K21.FR.01)."""
        return any(profile.purpose == PRIORITY and profile.evse in (0, evse_id) for profile in self.store)

    def prioritize(self, evse_id: int, *, on: bool) -> bool:
        """Priority charging on or off, by the CSMS or by the driver (K21, K22); False when there is no profile for it.

        The CSMS hears of it, after the connection is back if there is none now. Raises LocalError without a
        transaction.
        """
        tx = self._transactions.get(evse_id)
        if tx is None:
            raise LocalError(f"no transaction on EVSE {evse_id}")
        if on and not self.can_prioritize(evse_id):
            return False
        if tx.priority != on:
            self._transactions[evse_id] = structs.replace(tx, priority=on)
            self._refresh()
            self._tell_priority(tx.key, on=on)
            self._station.finish()
        return True

    def _tell_priority(self, transaction: str, *, on: bool) -> None:
        station = self._station
        station.conversation.call(
            "NotifyPriorityCharging",
            station.messages.NotifyPriorityChargingRequest(transaction_id=transaction, activated=on),
            keep=True,
        )

    # ── external systems ─────────────────────────────────────────────────────────────────────────────────────────

    def external(
        self,
        rates: Rates | Schedule,
        unit: Unit = "A",
        *,
        evse_id: int = 0,
        source: str = "EMS",
        local_generation: bool = False,
        critical: bool | None = None,
    ) -> bool:
        """A system that is not the CSMS limits the station or one EVSE (K11, K12, K27, K29): obey, and tell the CSMS.

        `rates` is one value, in thousandths of `unit`, or a whole schedule. Where a profile of the CSMS asks for
        external values (ExternalLimits, ExternalSetpoint) they go there; False when external systems may not set
        anything else (ExternalConstraintsProfileDisallowed).
        """
        station = self._station
        version = station.config.version
        asking = self._asking(evse_id) if isinstance(rates, Rates) and not local_generation else []
        if isinstance(rates, Rates) and asking:
            # K29.FR.03, Q05: the CSMS's own profile has room for it.
            self._external[evse_id] = rates
            self._put_outside(asking, rates)
            station.finish()
            return True
        if station.settings.flag("external_disallowed"):
            return False
        now = station.clock.now()
        purpose = LOCAL_GENERATION if local_generation else EXTERNAL
        id_ = _EXTERNAL_ID - 2 * evse_id - (1 if local_generation else 0)
        before = self.store.get(id_)
        if isinstance(rates, Schedule):
            schedule = rates if rates.start is not None else structs.replace(rates, start=now)
            kind = "Absolute"
        else:
            mode = "ChargingOnly"
            if version == "2.1":
                mode = EXTERNAL_SETPOINT if rates.setpoint is not None else EXTERNAL_LIMITS
            said: dict[str, Any] = {name: value for name in RATE_FIELDS if (value := getattr(rates, name)) is not None}
            schedule = Schedule(unit=unit, periods=(Period(start_ms=0, mode=mode, **said),), id=1)
            kind = "Dynamic" if version == "2.1" else "Absolute"
            if kind == "Absolute":
                schedule = structs.replace(schedule, start=now)
        profile = Profile(
            id=id_,
            evse=evse_id,
            stack=0,
            purpose=purpose,
            kind=kind,
            schedules=(schedule,),
            installed=now,
            updated=now if kind == "Dynamic" else None,
            source=source,
        )
        flows = self._offers()
        self.store.put(profile)
        self._changed()
        if version != "1.6" and self._significant(before, profile):
            self._tell_limit(profile, local_generation=local_generation, critical=critical)
        self._tell_rates(flows)
        station.finish()
        return True

    def release(self, *, evse_id: int = 0, local_generation: bool = False) -> bool:
        """The external system lets go (K13): whether there was anything to let go of."""
        station = self._station
        wanted = _EXTERNAL_ID - 2 * evse_id - (1 if local_generation else 0)
        flows = self._offers()
        gone = self.store.remove(lambda each: each.id == wanted)
        taken = self._external.pop(evse_id, None) if not local_generation else None
        if taken is not None:
            self._put_outside(self._asking(evse_id), None)
        if not gone and taken is None:
            return False
        self._changed()
        for profile in gone:
            if station.config.version != "1.6":
                station.conversation.call(
                    "ClearedChargingLimit",
                    station.messages.ClearedChargingLimitRequest(
                        charging_limit_source=profile.source, evse_id=profile.evse
                    ),
                    keep=True,
                )
        self._tell_rates(flows)
        station.finish()
        return True

    def _asking(self, evse_id: int) -> list[Profile]:
        """Dynamic profiles of the CSMS that leave their values to an external system."""
        return [
            profile
            for profile in self.store
            if profile.purpose in (TX, TX_DEFAULT)
            and profile.kind == "Dynamic"
            and (evse_id == 0 or profile.evse in (0, evse_id))
            and profile.schedules[0].periods[0].mode in (EXTERNAL_LIMITS, EXTERNAL_SETPOINT)
        ]

    def _put_outside(self, profiles: list[Profile], rates: Rates | None) -> None:
        """What the external system says stands in the profile, and when it was said counts (Q05.FR.05 to .08).

        None: it lets go, and what the CSMS had set stands there again.
        """
        now = self._station.clock.now()
        for profile in profiles:
            schedule = profile.schedules[0]
            period = schedule.periods[0]
            if rates is None:
                period = self._as_set.pop(profile.id, period)
            else:
                self._as_set.setdefault(profile.id, period)
                names = _SETPOINTS if period.mode == EXTERNAL_SETPOINT else _LIMITS
                said: dict[str, Any] = {name: getattr(rates, name) for name in names}
                period = structs.replace(period, **said)
            self.store.put(
                structs.replace(profile, updated=now, schedules=(structs.replace(schedule, periods=(period,)),))
            )
        self._changed()

    def _offers(self) -> dict[int, int]:
        return {evse.id: evse.offered_mw for evse in self._station.evses if evse.session is not None}

    def _percent(self) -> float:
        return float(self._station.settings.text("limit_significance") or 0)

    def _significant(self, before: Profile | None, after: Profile) -> bool:
        """Whether the limit has changed by more than LimitChangeSignificance (SC.03)."""
        if before is None or before.schedules[0].unit != after.schedules[0].unit:
            return True
        old, new = before.schedules[0].periods, after.schedules[0].periods
        if len(old) != len(new):
            return True
        for a, b in zip(old, new, strict=True):
            for name in RATE_FIELDS:
                x: int | None = getattr(a, name)
                y: int | None = getattr(b, name)
                if (x is None) != (y is None):
                    return True
                if x is not None and y is not None and abs(y - x) * 100 > abs(x) * self._percent():
                    return True
        return False

    def _tell_limit(self, profile: Profile, *, local_generation: bool, critical: bool | None) -> None:
        station = self._station
        m = station.messages
        more: dict[str, Any] = {}
        if station.config.version == "2.1" and local_generation:
            more["is_local_generation"] = True
        station.conversation.call(
            "NotifyChargingLimit",
            m.NotifyChargingLimitRequest(
                charging_limit=m.ChargingLimitType(
                    charging_limit_source=profile.source, is_grid_critical=critical, **more
                ),
                charging_schedule=[wire.schedule_wire(m, each) for each in profile.schedules]
                if station.settings.flag("limit_schedules")
                else None,
                evse_id=profile.evse,
            ),
            keep=True,
        )

    def _tell_rates(self, before: Mapping[int, int]) -> None:
        """K11.FR.04, K13.FR.03: the charging rate of a transaction has changed for an external reason."""
        station = self._station
        if station.config.version == "1.6":
            return
        for evse in station.evses:
            old = before.get(evse.id)
            session = evse.session
            if old is None or session is None or session.ending:
                continue
            if abs(evse.offered_mw - old) * 100 > old * self._percent():
                station.dialect.sampled(
                    evse, session, station.energy.read(evse, "sampled", "Other"), "ChargingRateChanged"
                )

    # ── vehicles that plan (ISO 15118) ───────────────────────────────────────────────────────────────────────────

    def needs(self, evse_id: int, *, energy_wh: int, departure: int | None = None, tuples: int | None = None) -> None:
        """The vehicle says what it needs (K15, K17, K18): told to the CSMS, now or once the connection is back.

        `departure`: station clock, ms. Raises LocalError without a transaction, or in 1.6.
        """
        station = self._station
        m = station.messages
        tx = self._transactions.get(evse_id)
        if station.config.version == "1.6" or tx is None:
            raise LocalError("there is nobody to tell the needs of")
        evse = station.evses[evse_id - 1]
        place = self._places[evse_id]
        most = evse.config.max_ma // 1000
        fields: dict[str, Any] = {}
        if place.dc:
            transfer = "DC"
            fields["dc_charging_parameters"] = m.DCChargingParametersType(
                ev_max_current=most, ev_max_voltage=evse.config.max_mv // 1000, energy_amount=energy_wh
            )
        else:
            transfer = ("AC_single_phase", "AC_two_phase", "AC_three_phase")[place.phases - 1]
            fields["ac_charging_parameters"] = m.ACChargingParametersType(
                energy_amount=energy_wh, ev_min_current=6, ev_max_current=most, ev_max_voltage=400
            )
        if departure is not None:
            fields["departure_time"] = to_datetime(departure)
        more: dict[str, Any] = {}
        if station.config.version == "2.1" and not station.online:
            more["timestamp"] = station.clock.wall()
        self._needs.add(tx.key)
        station.conversation.call(
            "NotifyEVChargingNeeds",
            m.NotifyEVChargingNeedsRequest(
                evse_id=evse_id,
                charging_needs=m.ChargingNeedsType(requested_energy_transfer=transfer, **fields),
                max_schedule_tuples=tuples,
                **more,
            ),
            lambda response, error: self._needs_answered(tx.key, response, error),
            keep=True,
        )
        station.finish()

    def told_needs(self, transaction: str) -> None:
        """The CSMS knows the needs of the vehicle in that transaction by other ways than `needs`."""
        self._needs.add(transaction)

    def _needs_answered(self, transaction: str, response: Any, error: RpcError | None) -> None:
        if error is not None or response is None:
            self._needs.discard(transaction)  # K15.FR.15: the default profile it is
        elif response.status == "Rejected" and self._station.config.version == "2.1":
            # K18.FR.22, .23: the energy transfer is not allowed.
            self._station.transactions.stop(transaction, "ReqEnergyTransferRejected", "AbnormalCondition")

    def _tell_schedule(self, profile: Profile) -> None:
        """The vehicle plans within what it was given; the CSMS hears what it chose (K15.FR.10, .14, .19)."""
        station = self._station
        m = station.messages
        tx = self._transactions[profile.evse]
        now = station.clock.now()
        duration = profile.schedules[0].duration_ms or 86_400_000
        self.store.remove(lambda each: each.purpose == EV_SCHEDULE and each.evse == profile.evse)
        shown = self.store.engine.composite(
            now=now, duration_ms=duration, evse=profile.evse, unit="W", around=self.around()
        )
        chosen = wire.composite_2(m, shown)
        more: dict[str, Any] = {}
        if station.config.version == "2.1":
            more["selected_charging_schedule_id"] = profile.schedules[tx.schedule].id
        station.conversation.call(
            "NotifyEVChargingSchedule",
            m.NotifyEVChargingScheduleRequest(
                time_base=to_datetime(now),
                evse_id=profile.evse,
                charging_schedule=m.ChargingScheduleType(
                    id=profile.schedules[tx.schedule].id,
                    charging_rate_unit="W",
                    charging_schedule_period=cast("list[Any]", chosen.charging_schedule_period)[:1024],
                    duration=chosen.duration,
                ),
                **more,
            ),
        )
