"""Charging profiles at a managed station: upstream's are kept here, the site's limits beside them, the lower holds.

The station itself holds none but ours: a fail-safe default, and what each EVSE may have for the next while. So
upstream's profiles can neither collide with ours nor clear them nor be shown them: SetChargingProfile,
ClearChargingProfile, GetChargingProfiles and GetCompositeSchedule are answered here, by the rules by which a station
would (`domain.schedules`), and a composite schedule is the merge by minimum of every upstream's profiles and our own
limits, as what the station will really do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from pilotwire.core.time import to_datetime
from pilotwire.domain.schedules.engine import Engine
from pilotwire.domain.schedules.model import (
    EXTERNAL,
    TX,
    Circumstances,
    Composite,
    Interval,
    Period,
    Place,
    Profile,
    Schedule,
)
from pilotwire.domain.schedules.rules import Abilities, Refusal
from pilotwire.domain.schedules.store import ProfileStore
from pilotwire.protocols.ocpp.rpc.errors import NOT_SUPPORTED, RpcError
from pilotwire.protocols.ocpp.v16 import messages as m16
from pilotwire.protocols.ocpp.v21 import messages as m21
from pilotwire.protocols.ocpp.v201 import messages as m201
from pilotwire.protocols.ocpp.version import VersionName, load
from pilotwire.storage.forwarding import Change
from pilotwire.translate import schedules as wire

from . import frames
from .observing import Observer
from .seat import Seat

__all__ = ["Local", "Profiles", "lowest"]

_HANDLED = frozenset({"SetChargingProfile", "ClearChargingProfile", "GetChargingProfiles", "GetCompositeSchedule"})
_STARTS = {"RemoteStartTransaction", "RequestStartTransaction"}
_HORIZON_MS = 7 * 86_400_000
Reply = Callable[[bytes | RpcError], None]


class Local(msgspec.Struct, frozen=True):
    """What the site lets one EVSE have. In mA per phase or mW."""

    unit: Literal["A", "W"]
    value: int
    until: int
    """Then the fail-safe holds; ms UTC."""
    failsafe: int | None = None


def lowest(schedules: list[Composite]) -> Composite:
    """Several composite schedules of the same time and unit as one: at each instant the lowest of their limits."""
    first = schedules[0]
    marks = sorted({row.start_ms for each in schedules for row in each.intervals if row.start_ms < first.duration_ms})
    rows: list[Interval] = []
    for mark in marks:
        at = [
            next(row for row in reversed(each.intervals) if row.start_ms <= mark)
            for each in schedules
            if each.intervals and each.intervals[0].start_ms <= mark
        ]
        limits = [row.limit for row in at if row.limit is not None]
        phases = [row.phases for row in at if row.phases is not None]
        row = at[0]._replace(
            start_ms=mark, limit=min(limits) if limits else None, phases=min(phases) if phases else None
        )
        if not rows or rows[-1][1:] != row[1:]:
            rows.append(row)
    return first._replace(intervals=tuple(rows))


class Profiles:
    """`seams.Limits` of one managed station."""

    def __init__(self, seat: Seat, observer: Observer, changed: Callable[[], None]) -> None:
        self._seat = seat
        self._observer = observer
        self._changed = changed
        self._stores: dict[str, ProfileStore] = {}
        self.local: dict[int, Local] = {}
        """By EVSE: what the site allows, written by the drivers."""
        self._pending: list[tuple[str, int | None, Any]] = []
        for key, value in seat.kept_notes.items():
            kind, _, name = key.partition(".")
            if kind == "profiles":
                self._stores[name] = ProfileStore.decode(value)

    # ── what is electrically known ───────────────────────────────────────────────────────────────────────────────

    def place(self, evse: int) -> Place:
        return self._seat.known.places.get(evse, Place())

    def around(self) -> Circumstances:
        places = {evse: self.place(evse) for evse in {*self._seat.known.places, *self._observer.outlets, 1} if evse}
        return Circumstances(places={0: self.place(0), **places}, transactions=self._observer.transactions())

    def upstream_limit(self, evse: int, now: int) -> tuple[int | None, int | None, int | None]:
        """(mA, mW, when to look again) of what upstreams let `evse` have now; None: no limit.

        What they let the whole station have is shared equally by those that charge, so their sum keeps to it.
        """
        around = self.around()
        ma = mw = until = None
        sharing = max(1, len(around.transactions))
        for store in self._stores.values():
            own = store.engine.limits_at(now, evse=evse, around=around)
            whole = store.engine.limits_at(now, evse=0, around=around)
            for limit, share in ((own, 1), (whole, sharing)):
                ma = _least(ma, None if limit.ma is None else limit.ma // share)
                mw = _least(mw, None if limit.mw is None else limit.mw // share)
                until = _least(until, limit.until)
        return ma, mw, until

    # ── seams.Limits ──────────────────────────────────────────────────────────────────────────────────────────────

    def handles(self, action: str) -> bool:
        return action in _HANDLED or action in ("UpdateDynamicSchedule", "UsePriorityCharging")

    def asked(self, upstream: str, action: str, payload: bytes, reply: Reply) -> None:
        """Answer once what it changes is written down."""
        version = load(self._seat.version)
        known = version.actions.get(action)
        if known is None or action not in _HANDLED:
            reply(RpcError(NOT_SUPPORTED, "not at this station"))
            return
        try:
            request: Any = known.decode_request(payload).message
            response, changed = self._serve(upstream, action, request)
        except RpcError as error:
            reply(error)
            return
        data = known.encode(response)
        if not changed:
            reply(data)
            return
        self._save(upstream, lambda: reply(data))

    def without_profile(self, upstream: str, action: str, payload: bytes) -> bytes:
        """A remote start brings a profile: it is kept here for the transaction that begins, the station starts."""
        if action not in _STARTS:
            return payload
        members = frames.fields(payload)
        if members.pop("chargingProfile", None) is None:
            return payload
        known = load(self._seat.version).actions[action]
        request: Any = known.decode_request(payload).message
        evse = request.connector_id if self._seat.version == "1.6" else request.evse_id
        self._pending = [*self._pending[-3:], (upstream, evse, request.charging_profile)]
        return b"{" + b",".join(msgspec.json.encode(key) + b":" + bytes(raw) for key, raw in members.items()) + b"}"

    def begun(self, evse: int, transaction: str) -> None:
        """A transaction has begun there: the profile that came with its remote start is for it."""
        for index, (upstream, wanted, asked) in enumerate(self._pending):
            if wanted in (None, evse):
                del self._pending[index]
                make = wire.profile_16 if self._seat.version == "1.6" else wire.profile_2
                profile = make(asked, evse, transaction, self._now())
                self._store(upstream).install(profile, self._seat.version)
                self._save(upstream, self._changed)
                return

    def over(self, transaction: str) -> None:
        """A transaction has ended: its profiles go with it."""
        for name, store in self._stores.items():
            if store.end(transaction):
                self._save(name, self._changed)

    # ── serving ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _now(self) -> int:
        return self._seat.around.now()

    def _store(self, upstream: str) -> ProfileStore:
        return self._stores.setdefault(upstream, ProfileStore())

    def _save(self, upstream: str, then: Callable[[], None]) -> None:
        self._changed()

        def written(error: Exception | None) -> None:
            then()  # it holds in any case; only a restart would forget it

        data = self._store(upstream).encode()
        self._seat.around.store.write([Change(self._seat.box, {f"profiles.{upstream}": data})], written)

    def _serve(self, upstream: str, action: str, request: Any) -> tuple[Any, bool]:
        old = self._seat.version == "1.6"
        if action == "SetChargingProfile":
            return self._set_16(upstream, request) if old else self._set_2(upstream, request)
        if action == "ClearChargingProfile":
            criteria = wire.cleared_16(request) if old else wire.cleared_2(request)
            gone = bool(self._store(upstream).clear(criteria))
            status: Any = "Accepted" if gone else "Unknown"
            kind = m16.ClearChargingProfileResponse if old else self._m.ClearChargingProfileResponse
            return kind(status=status), gone
        if action == "GetChargingProfiles":
            return self._show(upstream, request), False
        return (self._composite_16(request) if old else self._composite_2(request)), False

    @property
    def _m(self) -> Any:
        return m21 if self._seat.version == "2.1" else m201

    def _abilities(self) -> Abilities:
        version: VersionName = self._seat.version
        places = {evse: place for evse, place in self.around().places.items() if evse}
        return Abilities(version=version, places=places)

    def _set_16(self, upstream: str, request: m16.SetChargingProfileRequest) -> tuple[Any, bool]:
        asked = request.cs_charging_profiles
        running = self._observer.transactions().get(request.connector_id)
        key: str | None = None
        if asked.charging_profile_purpose == TX:
            named = asked.transaction_id
            key = running.key if running is not None and named in (None, _number(running.key)) else ""
        profile = wire.profile_16(asked, request.connector_id, key, self._now())
        if self._refused(upstream, profile) is not None:
            return m16.SetChargingProfileResponse(status="Rejected"), False
        self._store(upstream).install(profile, "1.6")
        return m16.SetChargingProfileResponse(status="Accepted"), True

    def _set_2(self, upstream: str, request: Any) -> tuple[Any, bool]:
        asked, m = request.charging_profile, self._m
        key = asked.transaction_id if asked.charging_profile_purpose == TX else None
        profile = wire.profile_2(asked, request.evse_id, key, self._now())
        refusal = self._refused(upstream, profile)
        if refusal is not None:
            info = m.StatusInfoType(reason_code=refusal.reason[:20], additional_info=refusal.text[:512])
            return m.SetChargingProfileResponse(status="Rejected", status_info=info), False
        self._store(upstream).install(profile, self._seat.version)
        return m.SetChargingProfileResponse(status="Accepted"), True

    def _refused(self, upstream: str, profile: Profile) -> Refusal | None:
        return self._store(upstream).check(profile, self._abilities(), self._observer.transactions(), now=self._now())

    def _show(self, upstream: str, request: Any) -> Any:
        """The answer; what is asked for follows as messages of their own, as a station sends them."""
        m = self._m
        found = self._store(upstream).select(wire.asked(request))
        if not found:
            return m.GetChargingProfilesResponse(status="NoProfiles")
        groups: dict[tuple[str, int], list[Profile]] = {}
        for each in found:
            groups.setdefault((each.source, each.evse), []).append(each)
        report = load(self._seat.version).actions["ReportChargingProfiles"]
        last = len(groups)
        for number, ((source, evse), rows) in enumerate(groups.items(), 1):
            said = m.ReportChargingProfilesRequest(
                request_id=request.request_id,
                charging_limit_source=source,
                evse_id=evse,
                charging_profile=[wire.profile_wire(m, each) for each in rows],
                tbc=True if number < last else None,
            )
            self._seat.say(upstream, "ReportChargingProfiles", report.encode(said))
        return m.GetChargingProfilesResponse(status="Accepted")

    # ── the merge ────────────────────────────────────────────────────────────────────────────────────────────────

    def composite(self, evse: int, unit: Literal["A", "W"], duration_s: int) -> Composite:
        """What will be allowed: upstreams' profiles and our limits, the lowest of them."""
        now, around = self._now(), self.around()
        ours = [_profile(evse, local, now) for evse, local in self.local.items()]
        found: list[Composite] = []
        for profiles in [*(store.profiles for store in self._stores.values()), ()]:
            engine = Engine([*profiles, *ours])
            found.append(engine.composite(now=now, duration_ms=duration_s * 1000, evse=evse, unit=unit, around=around))
        merged = lowest(found)
        # Where nothing limits and no maximum is known the wire still wants a figure: what the place can carry.
        most = _most(self.place(evse), unit)
        rows = tuple(row if row.limit is not None else row._replace(limit=most) for row in merged.intervals)
        return merged._replace(intervals=rows)

    def _composite_16(self, request: m16.GetCompositeScheduleRequest) -> Any:
        if request.duration <= 0 or (request.connector_id and request.connector_id not in self.around().places):
            return m16.GetCompositeScheduleResponse(status="Rejected")
        unit = request.charging_rate_unit or ("W" if self.place(request.connector_id).dc else "A")
        schedule = self.composite(request.connector_id, unit, min(request.duration, _HORIZON_MS // 1000))
        return m16.GetCompositeScheduleResponse(
            status="Accepted",
            connector_id=request.connector_id,
            schedule_start=to_datetime(schedule.start),
            charging_schedule=wire.composite_16(schedule),
        )

    def _composite_2(self, request: Any) -> Any:
        m = self._m
        if request.duration <= 0 or (request.evse_id and request.evse_id not in self.around().places):
            return m.GetCompositeScheduleResponse(status="Rejected")
        unit = request.charging_rate_unit or ("W" if self.place(request.evse_id).dc else "A")
        schedule = self.composite(request.evse_id, unit, min(request.duration, _HORIZON_MS // 1000))
        return m.GetCompositeScheduleResponse(status="Accepted", schedule=wire.composite_2(m, schedule))

    def status(self) -> Mapping[str, int]:
        """How many profiles each upstream has here."""
        return {name: len(store) for name, store in self._stores.items()}


def _profile(evse: int, local: Local, now: int) -> Profile:
    """Our limit as an external constraint, which is never shown and never cleared."""
    rows = [Period(start_ms=0, limit=local.value)]
    left = max(0, local.until - now) // 1000 * 1000
    if local.failsafe is not None:
        rows = (
            [*rows, Period(start_ms=left, limit=local.failsafe)] if left else [Period(start_ms=0, limit=local.failsafe)]
        )
    schedule = Schedule(
        unit=local.unit,
        periods=tuple(rows),
        start=now,
        duration_ms=None if local.failsafe is not None else max(1000, left),
    )
    return Profile(
        id=-evse, evse=evse, stack=0, purpose=EXTERNAL, kind="Absolute", schedules=(schedule,), installed=now
    )


def _most(place: Place, unit: str) -> int:
    """What a place can carry, in thousandths of the unit; 63 A where it does not say."""
    ma = place.max_ma if place.max_ma is not None else 63_000
    if unit == "A":
        return ma
    return place.max_mw if place.max_mw is not None else ma * place.mv * place.phases // 1000


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
