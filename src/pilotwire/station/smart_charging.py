"""What a station has been told of its power, and by whom: charging profiles, external limits, priority (K; 1.6 3.13).

The rules are `pilotwire.domain.schedules`; here is what a station adds: what runs on its EVSEs, the random delays it
draws, and what it tells the CSMS of its profiles. Beside it stand, each in a file of its own, what it can follow
(`charging_abilities`), rates that it asks for (`dynamic_rates`), vehicles that plan (`ev_planning`), other systems
(`external_systems`) and who gets how much of what all may draw (`sharing`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import structs

from pilotwire.core.errors import LocalError
from pilotwire.domain.schedules.curve import draw_delays
from pilotwire.domain.schedules.model import (
    EXTERNAL,
    PRIORITY,
    STATION_MAX,
    TX,
    TX_DEFAULT,
    Circumstances,
    Composite,
    Limits,
    Profile,
    Rates,
    Transaction,
    Unit,
)
from pilotwire.domain.schedules.rules import Abilities, Refusal, check
from pilotwire.domain.schedules.store import Criteria, ProfileStore
from pilotwire.translate import schedules as wire

from . import charging_abilities
from .dynamic_rates import DynamicRates
from .ev_planning import EvPlanning
from .external_systems import ExternalSystems
from .parts import Part
from .sharing import Sharing

if TYPE_CHECKING:
    from .evse import Evse
    from .program import Station
    from .sessions import Session

_KEY = "charging-profiles"
_PER_MESSAGE = 4
"""Profiles of one ReportChargingProfiles."""
_NO_LIMITS = Limits()


class SmartCharging(Part):
    """The charging profiles of one station and everything that follows from them."""

    __slots__ = (
        "_flowing",
        "_places",
        "_since",
        "_transactions",
        "dynamic",
        "external",
        "planning",
        "sharing",
        "store",
    )

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self.store = ProfileStore()
        self._places = charging_abilities.places(station.config.evses)
        self._transactions: dict[int, Transaction] = {}
        self._flowing: set[str] = set()
        """Those in which energy could flow already."""
        self.external = ExternalSystems(station, self)
        self.planning = EvPlanning(station, self)
        self.sharing = Sharing(station)
        self.dynamic = DynamicRates(station, self)
        self._since: int | None = None
        """Since when there is no connection; true time, ms."""

    # ── what the program tells ───────────────────────────────────────────────────────────────────────────────────

    def restore(self, stored: Mapping[str, bytes]) -> None:
        self.store = ProfileStore.decode(stored.get(_KEY, b"[]"))
        self._transactions.clear()
        self._flowing.clear()
        self.external.clear()
        self.planning.clear()
        self.sharing.clear()
        self.dynamic.clear()
        self._since = None
        self.dynamic.rearm()

    def stop(self) -> None:
        self.dynamic.stop()

    def clock_moved(self) -> None:
        self.dynamic.rearm()

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
        self.dynamic.rearm()

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
        self.sharing.began(session)
        if session.authorized and self._station.evses[session.evse - 1].car is not None:
            self._flowing.add(session.key)  # also where it goes on after an interruption
            self.planning.began(session)

    def can_flow(self, evse: Evse, session: Session) -> None:
        """Somebody is let in and the car is there: from the first such moment on relative schedules run (K01.FR.42)."""
        tx = self._transactions.get(evse.id)
        if tx is not None and session.key not in self._flowing:
            self._flowing.add(session.key)
            self._transactions[evse.id] = structs.replace(tx, start=self._station.clock.now())
        self.planning.began(session)

    def session_ended(self, session: Session) -> None:
        tx = self._transactions.pop(session.evse, None)
        if tx is not None and tx.priority:
            self._tell_priority(session.key, on=False)
        self._flowing.discard(session.key)
        self.sharing.ended(session)
        self.planning.ended(session)
        if self.store.end(session.key):
            self.changed()

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
            external=self.external.said,
            setpoint_by_csms=station.settings.text("setpoint_priority") == "CSMS",
        )

    def _with_soc(self, number: int, tx: Transaction) -> Transaction:
        evse = self._station.evses[number - 1]
        if evse.car is None or not self._station.links.soc_known(evse):
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

    def composite(self, evse_id: int, unit: Unit, now: int, duration_s: int, *, choice: int | None = None) -> Composite:
        """The composite schedule of an EVSE or of the station (0); `choice`: as if its vehicle had chosen that one of
        up to three schedules."""
        around = self.around()
        if choice is not None and evse_id in around.transactions:
            tx = structs.replace(around.transactions[evse_id], schedule=choice)
            around = structs.replace(around, transactions={**around.transactions, evse_id: tx})
        return self.store.engine.composite(
            now=now, duration_ms=duration_s * 1000, evse=evse_id, unit=unit, around=around
        )

    # ── what the CSMS sets ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def abilities(self) -> Abilities:
        """What this station can follow."""
        station = self._station
        number = station.settings.number
        return charging_abilities.abilities(
            station.config.version,
            station.config.evses,
            number("max_stack"),
            number("max_periods"),
            number("max_profiles"),
            station.v2x.enabled,
            station.v2x.thresholds() is not None,
            self.units,
            station.settings.number("max_external_id"),
            station.settings.flag("sleep_supported"),
        )

    @property
    def units(self) -> frozenset[str]:
        """ChargingScheduleChargingRateUnit; 1.6 ChargingScheduleAllowedChargingRateUnit."""
        settings = self._station.settings
        if self._station.config.version == "1.6":
            return frozenset({"Current": "A", "Power": "W"}[each] for each in settings.members("rate_units"))
        return frozenset(settings.members("rate_units_2"))

    def check(self, profile: Profile) -> Refusal | None:
        """Why `profile` is not taken; None: it is."""
        if profile.purpose == TX and profile.evse and self.planning.early(profile.evse, profile.transaction):
            return Refusal("InvalidMessageSeq", "the vehicle's needs come first")  # K15.FR.17, K18.FR.17, K19.FR.13
        return self.store.check(
            profile,
            self.abilities,
            self._transactions,
            now=self._station.clock.now(),
            iso15118=self.planning.told(profile.transaction),
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
        self.dynamic.replaced(profile.id)
        self.external.replaced(profile.id)
        self.changed()
        if profile.purpose == TX and self.planning.told(profile.transaction):
            self.planning.offered(profile)

    def clear(self, criteria: Criteria) -> bool:
        """Forget what fits; whether there was any."""
        gone = self.store.clear(criteria)
        if gone:
            self.changed()
        return bool(gone)

    def update(self, profile_id: int, rates: Rates) -> Refusal | None:
        """New rates of a dynamic profile."""
        refused = self.store.update(profile_id, rates, self._station.clock.now())
        if refused is None:
            self.changed()
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

    def changed(self) -> None:
        """The profiles are other ones: keep them, and obey."""
        self._save()
        self._refresh()
        self.dynamic.rearm()

    def _save(self) -> None:
        # 1.6 keeps all of them across a restart (errata 3.37), 2.x those that it says (K01.FR.27).
        self._station.store({_KEY: self.store.encode(everything=self._station.config.version == "1.6")})

    def _refresh(self) -> None:
        station = self._station
        for evse in station.evses:
            if evse.session is not None and not evse.session.ending:
                station.energy.refresh(evse)

    # ── priority charging ────────────────────────────────────────────────────────────────────────────────────────

    def transaction(self, evse_id: int) -> Transaction | None:
        """What runs on that EVSE."""
        return self._transactions.get(evse_id)

    def follow(self, evse_id: int, schedule: int) -> None:
        """The vehicle there has chosen that one of up to three schedules (0: the first)."""
        tx = self._transactions[evse_id]
        if tx.schedule != schedule:
            self._transactions[evse_id] = structs.replace(tx, schedule=schedule)
            self._refresh()

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
