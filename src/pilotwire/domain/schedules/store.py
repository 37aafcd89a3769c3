"""The profiles that are installed on a station: what replaces what, what is cleared, reported and kept.

A fold: every change is a method that the station calls when it accepts a command and the CSMS when it learns that one
was accepted, so that both hold the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec import structs

from .engine import Engine
from .model import (
    EV_SCHEDULE,
    EXTERNAL,
    LOCAL_GENERATION,
    RATE_FIELDS,
    TX,
    TX_DEFAULT,
    Profile,
    Rates,
    Transaction,
)
from .rules import Abilities, Refusal, check

PERSISTENT = frozenset(("ChargingStationMaxProfile", TX_DEFAULT, "PriorityCharging"))
"""What must outlive a power cut (K01.FR.27)."""

_decoder = msgspec.json.Decoder(list[Profile])


class Criteria(NamedTuple):
    """Which profiles are meant: those that fit all that is not None."""

    ids: frozenset[int] | None = None
    evse: int | None = None
    purpose: str | None = None
    stack: int | None = None
    sources: frozenset[str] | None = None
    """chargingLimitSource."""

    def fits(self, profile: Profile) -> bool:
        """Whether `profile` is meant."""
        return (
            (self.ids is None or profile.id in self.ids)
            and (self.evse is None or profile.evse == self.evse)
            and (self.purpose is None or profile.purpose == self.purpose)
            and (self.stack is None or profile.stack == self.stack)
            and (self.sources is None or profile.source in self.sources)
        )


class ProfileStore:
    """The installed profiles of one station."""

    __slots__ = ("_engine", "_last_set", "_profiles")

    def __init__(self, profiles: Iterable[Profile] = ()) -> None:
        self._profiles: tuple[Profile, ...] = tuple(profiles)
        self._engine: Engine | None = None
        self._last_set: dict[tuple[str, int], int] = {}

    def __len__(self) -> int:
        return len(self._profiles)

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._profiles)

    @property
    def profiles(self) -> Sequence[Profile]:
        """All of them, in the order they were set."""
        return self._profiles

    @property
    def engine(self) -> Engine:
        """The engine over them, made anew after a change."""
        if self._engine is None:
            self._engine = Engine(self._profiles)
        return self._engine

    def get(self, profile_id: int) -> Profile | None:
        """The profile with that id."""
        return next((profile for profile in self._profiles if profile.id == profile_id), None)

    def _become(self, profiles: Iterable[Profile]) -> None:
        self._profiles = tuple(profiles)
        self._engine = None

    # ── SetChargingProfile ───────────────────────────────────────────────────────────────────────────────────────

    def check(
        self,
        profile: Profile,
        can: Abilities,
        transactions: Mapping[int, Transaction],
        *,
        now: int,
        iso15118: bool = False,
    ) -> Refusal | None:
        """Why `profile` is not installed; None: it may be."""
        if profile.purpose == TX and profile.evse:
            running = transactions.get(profile.evse)
            if running is None or profile.transaction != running.key:
                return Refusal("TxNotFound", "no such transaction on that EVSE")  # K01.FR.09, .33; 1.6 3.13.1
        found = check(profile, can, iso15118=iso15118)
        if found is not None:
            return found
        same = self.get(profile.id)
        if same is not None and same.purpose in (EXTERNAL, EV_SCHEDULE):
            return Refusal("InvalidProfileId", "that id is an external constraint's")  # K01.FR.05
        replaced = {each.id for each in self.replaced(profile, can.version)}
        if can.version != "1.6":
            for other in self._profiles:
                if other.id in replaced:
                    continue
                if _collide(profile, other):
                    return Refusal("DuplicateProfile", f"profile {other.id} has that stack level")  # K01.FR.06, .39
        if _phase_conflict(profile, (other for other in self._profiles if other.id not in replaced)):
            return Refusal("PhaseConflict", "another profile uses another phase")  # K01.FR.141
        if can.max_profiles is not None and len(self) + 1 - len(replaced) > can.max_profiles:
            return Refusal("TooManyElements", f"no more than {can.max_profiles} profiles")
        if can.rate_limit_ms and profile.purpose in PERSISTENT:
            last = self._last_set.get((profile.purpose, profile.evse))
            if last is not None and now - last < can.rate_limit_ms:
                wait = -(-(last + can.rate_limit_ms - now) // 1000)
                return Refusal("RateLimitExceeded", f"{wait} seconds before retry")  # K01.FR.56, .57
        return None

    def replaced(self, profile: Profile, version: str) -> list[Profile]:
        """What `profile` takes the place of: the same id (K01.FR.05), in 1.6 also the same stack level and purpose.

        1.6 5.16.3 and 3.13.2; "on the same connector" is added to it, or else one connector's profile would undo
        another's.
        """
        return [
            other
            for other in self._profiles
            if (other.id == profile.id and other.purpose not in (EXTERNAL, EV_SCHEDULE))
            or (
                version == "1.6"
                and (other.stack, other.purpose, other.evse, other.transaction)
                == (profile.stack, profile.purpose, profile.evse, profile.transaction)
            )
        ]

    def install(self, profile: Profile, version: str) -> None:
        """Install; a dynamic profile counts from now on if it names no time (K28.FR.05)."""
        if profile.kind == "Dynamic" and profile.updated is None:
            profile = structs.replace(profile, updated=profile.installed)
        gone = {id(each) for each in self.replaced(profile, version)}
        self._become([*(each for each in self._profiles if id(each) not in gone), profile])
        self._last_set[profile.purpose, profile.evse] = profile.installed

    def put(self, profile: Profile) -> None:
        """The station's own: external constraints, local generation, a vehicle's schedule. Replaces the same id."""
        self._become([*(each for each in self._profiles if each.id != profile.id), profile])

    # ── ClearChargingProfile, GetChargingProfiles ────────────────────────────────────────────────────────────────

    def clear(self, criteria: Criteria) -> list[Profile]:
        """Remove what a CSMS may clear: not external constraints, not local generation (K10.FR.04, .08, .09)."""
        return self.remove(
            lambda each: each.purpose not in (EXTERNAL, LOCAL_GENERATION, EV_SCHEDULE) and criteria.fits(each)
        )

    def remove(self, test: Callable[[Profile], bool]) -> list[Profile]:
        """Remove what `test` names; what that was."""
        gone = [each for each in self._profiles if test(each)]
        if gone:
            self._become(each for each in self._profiles if not test(each))
        return gone

    def select(self, criteria: Criteria) -> list[Profile]:
        """What GetChargingProfiles asks for (K09.FR.04 to .06)."""
        return [each for each in self._profiles if each.purpose != EV_SCHEDULE and criteria.fits(each)]

    # ── what happens to them ─────────────────────────────────────────────────────────────────────────────────────

    def end(self, transaction: str) -> list[Profile]:
        """A transaction has ended: its profiles go with it (K02.FR.05)."""
        return self.remove(lambda each: each.transaction == transaction and each.purpose in (TX, EV_SCHEDULE))

    def update(self, profile_id: int, rates: Rates, now: int) -> Refusal | None:
        """UpdateDynamicSchedule, or the answer to a pull: new rates for a dynamic profile (K28.FR.06, .08, .09, .11).

        What `rates` leaves out stays as it is.
        """
        profile = self.get(profile_id)
        if profile is None or profile.kind != "Dynamic":
            return Refusal("InvalidProfile", f"there is no dynamic profile {profile_id}")
        schedule = profile.schedules[0]
        said = {name: value for name in RATE_FIELDS if (value := getattr(rates, name)) is not None}
        period = structs.replace(schedule.periods[0], **said)
        if period.limit is not None and period.limit < 0:
            return Refusal("InvalidSchedule", "a limit is not negative")
        if period.setpoint is not None and (
            (period.limit is not None and period.setpoint > period.limit)
            or (period.discharge is not None and period.setpoint < period.discharge)
        ):
            return Refusal("InvalidSchedule", "the setpoint is outside the limits")
        changed = structs.replace(profile, updated=now, schedules=(structs.replace(schedule, periods=(period,)),))
        self._become(changed if each is profile else each for each in self._profiles)
        return None

    def due(self) -> list[tuple[int, int]]:
        """The dynamic profiles whose update is to be asked for (K28.FR.10): (when, profile id), the first first."""
        return sorted(
            ((each.updated or each.installed) + each.update_interval_ms, each.id)
            for each in self._profiles
            if each.kind == "Dynamic" and each.update_interval_ms > 0
        )

    def back_online(self, offline_since: int, now: int) -> list[Profile]:
        """The connection is back: what must not outlive so long a break goes (K01.FR.102)."""
        return self.remove(
            lambda each: (
                each.invalid_after_offline
                and each.max_offline_ms is not None
                and now - offline_since > each.max_offline_ms
            )
        )

    # ── as bytes ─────────────────────────────────────────────────────────────────────────────────────────────────

    def encode(self, *, everything: bool = True) -> bytes:
        """As JSON; without `everything` only what must outlive a power cut."""
        return msgspec.json.encode([each for each in self._profiles if everything or each.purpose in PERSISTENT])

    @classmethod
    def decode(cls, data: bytes) -> ProfileStore:
        """What `encode` made. Raises msgspec.ValidationError."""
        return cls(_decoder.decode(data))


def _collide(profile: Profile, other: Profile) -> bool:
    """Whether two profiles of different id would lead at the same time (K01.FR.06, .39, .52, .53)."""
    if profile.id == other.id or (profile.purpose, profile.stack) != (other.purpose, other.stack):
        return False
    if profile.purpose == TX:
        return profile.transaction == other.transaction
    if profile.evse != other.evse and not (profile.purpose == TX_DEFAULT and 0 in (profile.evse, other.evse)):
        return False
    if profile.evse != other.evse:
        return True  # K01.FR.52 and .53 do not ask for the validity
    return (profile.valid_to is None or other.valid_from is None or other.valid_from < profile.valid_to) and (
        other.valid_to is None or profile.valid_from is None or profile.valid_from < other.valid_to
    )


def _phase_conflict(profile: Profile, others: Iterable[Profile]) -> bool:
    """Whether a phase is asked for that another purpose's profile for the same EVSE forbids (2.1 K 3.8).

    When the two would really meet is not looked at: it must be certain that they never do.
    """
    wanted = _used_phases(profile)
    if not wanted:
        return False
    return any(
        other.purpose != profile.purpose
        and {other.purpose, profile.purpose} != {TX, TX_DEFAULT}
        and (other.evse == profile.evse or 0 in (other.evse, profile.evse))
        and len(wanted | used) > 1
        for other in others
        if (used := _used_phases(other))
    )


def _used_phases(profile: Profile) -> set[int]:
    return {
        period.phase_to_use
        for schedule in profile.schedules
        for period in schedule.periods
        if period.phase_to_use is not None
    }
