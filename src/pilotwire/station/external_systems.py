"""Systems beside the CSMS that limit a station, or tell what is generated on site (K11 to K13, K27, K29, Q05, Q06)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import structs

from pilotwire.core.errors import LocalError
from pilotwire.domain.schedules.model import (
    EXTERNAL,
    EXTERNAL_LIMITS,
    EXTERNAL_SETPOINT,
    LOCAL_GENERATION,
    RATE_FIELDS,
    TX,
    TX_DEFAULT,
    Period,
    Profile,
    Rates,
    Schedule,
    Unit,
)
from pilotwire.translate import schedules as wire

if TYPE_CHECKING:
    from .program import Station
    from .smart_charging import SmartCharging

_HIGHEST_ID = -1_000_000
"""External constraints and local generation have ids from here down, or from MaxExternalConstraintsId where that is
lower (K01.FR.82, K11.FR.06)."""
_SETPOINTS = tuple(name for name in RATE_FIELDS if name.startswith(("setpoint", "reactive")))
_LIMITS = tuple(name for name in RATE_FIELDS if name.startswith(("limit", "discharge")))
"""What an external system may say where the CSMS leaves it to that: ExternalSetpoint, ExternalLimits."""


class ExternalSystems:
    """What other systems say to one station."""

    __slots__ = ("_as_set", "_smart", "_station", "said")

    def __init__(self, station: Station, smart: SmartCharging) -> None:
        self._station = station
        self._smart = smart
        self.said: dict[int, Rates] = {}
        """EVSE (0: all) → what stands in profiles of the CSMS that leave their values to others."""
        self._as_set: dict[int, Period] = {}
        """Dynamic profile → its period as the CSMS has set it, while an external system has its say in it."""

    def clear(self) -> None:
        """Nothing of an earlier run is left."""
        self.said.clear()
        self._as_set.clear()

    def replaced(self, profile_id: int) -> None:
        """The CSMS has set that profile anew."""
        self._as_set.pop(profile_id, None)

    def impose(
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
        anything else (ExternalConstraintsProfileDisallowed). Raises LocalError for the source CSO, which is the CSMS.
        """
        station = self._station
        version = station.config.version
        if source.upper() == "CSO":
            raise LocalError("limits of the charging station operator come from the CSMS")  # K11.FR.05, K12.FR.04
        asking = self._asking(evse_id) if isinstance(rates, Rates) and not local_generation else []
        if isinstance(rates, Rates) and asking:
            # K29.FR.03, Q05: the CSMS's own profile has room for it.
            self.said[evse_id] = rates
            self._put(asking, rates)
            station.finish()
            return True
        if station.settings.flag("external_disallowed"):
            return False
        now = station.clock.now()
        purpose = LOCAL_GENERATION if local_generation else EXTERNAL
        before = next((each for each in self._smart.store if (each.purpose, each.evse) == (purpose, evse_id)), None)
        dynamic = version == "2.1" and not isinstance(rates, Schedule)
        schedule = rates if isinstance(rates, Schedule) else _single(rates, unit)
        if not dynamic and schedule.start is None:
            schedule = structs.replace(schedule, start=now)
        if version == "2.1":
            schedule = structs.replace(schedule, periods=tuple(_external(period) for period in schedule.periods))
        profile = Profile(
            id=self._id(evse_id, local_generation=local_generation) if before is None else before.id,
            evse=evse_id,
            stack=0,
            purpose=purpose,
            kind="Dynamic" if dynamic else "Absolute",
            schedules=(schedule,),
            installed=now,
            updated=now if dynamic else None,
            source=source,
        )
        flows = self._offers()
        self._smart.store.put(profile)
        self._smart.changed()
        if version != "1.6" and self._significant(before, profile):
            self._tell(profile, local_generation=local_generation, critical=critical)
        self._tell_rates(flows)
        station.finish()
        return True

    def release(self, *, evse_id: int = 0, local_generation: bool = False) -> bool:
        """The external system lets go (K13): whether there was anything to let go of."""
        station = self._station
        wanted = LOCAL_GENERATION if local_generation else EXTERNAL
        flows = self._offers()
        gone = self._smart.store.remove(lambda each: each.purpose == wanted and each.evse == evse_id)
        taken = self.said.pop(evse_id, None) if not local_generation else None
        if taken is not None:
            self._put(self._asking(evse_id), None)
        if not gone and taken is None:
            return False
        self._smart.changed()
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

    def _id(self, evse_id: int, *, local_generation: bool) -> int:
        highest = min(_HIGHEST_ID, self._station.settings.number("max_external_id"))
        return highest - 2 * evse_id - (1 if local_generation else 0)

    def _asking(self, evse_id: int) -> list[Profile]:
        """Dynamic profiles of the CSMS that leave their values to an external system."""
        return [
            profile
            for profile in self._smart.store
            if profile.purpose in (TX, TX_DEFAULT)
            and profile.kind == "Dynamic"
            and (evse_id == 0 or profile.evse in (0, evse_id))
            and profile.schedules[0].periods[0].mode in (EXTERNAL_LIMITS, EXTERNAL_SETPOINT)
        ]

    def _put(self, profiles: list[Profile], rates: Rates | None) -> None:
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
            self._smart.store.put(
                structs.replace(profile, updated=now, schedules=(structs.replace(schedule, periods=(period,)),))
            )
        self._smart.changed()

    # ── what the CSMS hears ──────────────────────────────────────────────────────────────────────────────────────

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

    def _tell(self, profile: Profile, *, local_generation: bool, critical: bool | None) -> None:
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


def _single(rates: Rates, unit: Unit) -> Schedule:
    """A schedule of one value."""
    said: dict[str, Any] = {name: value for name in RATE_FIELDS if (value := getattr(rates, name)) is not None}
    return Schedule(unit=unit, periods=(Period(start_ms=0, **said),), id=1)


def _external(period: Period) -> Period:
    """2.1: with the operation mode that says from whom it comes (Q06.FR.01 to .04)."""
    setpoint = period.setpoint is not None or period.reactive is not None
    return structs.replace(period, mode=EXTERNAL_SETPOINT if setpoint else EXTERNAL_LIMITS)
