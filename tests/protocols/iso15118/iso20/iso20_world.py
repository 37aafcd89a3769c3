"""Both ends of ISO 15118-20 on one simulated wire, an outlet behind the station and a battery behind the vehicle."""

from __future__ import annotations

from typing import Any

from pilotwire.core import ev_link, evse_link
from pilotwire.core.ev_link import Contacts, ContactsAsked, Drive, Parted
from pilotwire.core.evse_link import (
    AuthorizationAsked,
    Authorize,
    CertificateAsked,
    ContactorAsked,
    Ended,
    Isolation,
    IsolationAsked,
    LockAsked,
    Locked,
    Measured,
    Offer,
    Requested,
)
from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler
from pilotwire.protocols import exi
from pilotwire.protocols.iso15118.config import EvccConfig, SeccConfig
from pilotwire.protocols.iso15118.iso20.evcc import Iso20Evcc
from pilotwire.protocols.iso15118.iso20.secc import Iso20Secc
from pilotwire.protocols.iso15118.iso20.wire import SCHEMAS
from pilotwire.station.outlet import Flow, Hardware, Outlet

OFFER = Offer(max_mv=500_000, min_mv=150_000, max_ma=100_000, max_mw=40_000_000, max_discharge_ma=50_000,
              max_discharge_mw=20_000_000)  # fmt: skip
AC_OFFER = Offer(max_mv=None, max_ma=16_000, max_mw=11_040_000, max_discharge_ma=16_000, max_discharge_mw=11_040_000)
DRIVE = Drive(soc=300, target_soc=800, target_ma=80_000, max_ma=120_000, max_mw=50_000_000, max_discharge_ma=40_000,
              max_discharge_mw=15_000_000)  # fmt: skip
AC_DRIVE = Drive(soc=300, target_soc=800, target_ma=16_000, max_ma=16_000, max_mw=11_000_000, max_discharge_ma=16_000,
                 max_discharge_mw=11_000_000)  # fmt: skip
DIALECTS = {"WPT": "iso20-wpt", "DC_ACDP": "iso20-acdp", "DC_ACDP_BPT": "iso20-acdp"}


def random(seed: int = 1) -> Any:
    """Bytes that are the same in every run."""
    state = [seed]

    def some(count: int) -> bytes:
        state[0] += 1
        return (state[0] * 0x9E3779B97F4A7C15 % (1 << 64)).to_bytes(8, "big").ljust(count, b"\x5a")[:count]

    return some


class World:
    """`station` and `car` are what each side has said, in order; `frames` what went over the wire."""

    def __init__(
        self,
        service: Any = "DC",
        *,
        dynamic: bool = False,
        secc: dict[str, Any] | None = None,
        evcc: dict[str, Any] | None = None,
        offer: Offer | None = None,
        drive: Drive | None = None,
        authorize: bool = True,
        hardware: dict[str, Any] | None = None,
        paused: dict[bytes, Any] | None = None,
        resume: Any = None,
        tls: bool = True,
        secc_pnc: Any = None,
        evcc_pnc: Any = None,
        scheduler: SimScheduler | None = None,
        install: Any = None,
    ) -> None:
        self.scheduler = scheduler or SimScheduler()
        dc = service.startswith("DC")
        dialect: Any = DIALECTS.get(service, "iso20-dc" if dc else "iso20-ac")
        services = {"services": (service,)}
        self.paused = {} if paused is None else paused
        self.evse = Iso20Secc(
            SeccConfig(**(services | (secc or {}))), dialect, random=random(), tls=tls, pnc=secc_pnc, paused=self.paused
        )
        self.ev = Iso20Evcc(
            EvccConfig(**(services | {"dynamic": dynamic} | (evcc or {}))),
            dialect, random=random(2), tls=tls, pnc=evcc_pnc, resume=resume,
        )  # fmt: skip
        self.station: list[Any] = []
        self.car: list[Any] = []
        self.frames: list[tuple[str, int, str, dict[str, Any]]] = []
        self.authorize = authorize
        self.install = install
        self.drive = drive or (DRIVE if dc else AC_DRIVE)
        self.link = True
        self.contacts_fail = False
        self.most_ma = 0
        self._dc = dc
        self._closed = False
        self.secc = Runner(self.evse, self.scheduler, send=self._to_car, event=self._station)
        self.evcc = Runner(self.ev, self.scheduler, send=self._to_station, event=self._car)
        self.outlet = Outlet(
            self.scheduler, self.secc.command, Hardware(dc=dc, isolation_ms=300, **(hardware or {})), flow=self._flow,
            meter_id="M1",
        )  # fmt: skip
        self.outlet.offering(offer or (OFFER if dc else AC_OFFER))
        self.evcc.command(self.drive)

    def run(self, ms: int = 3_000) -> World:
        self.scheduler.run_for(ms)
        return self

    def begin(self, ms: int = 3_000) -> World:
        self.secc._do(lambda: self.evse.start(self.secc.now))
        self.evcc.start()
        return self.run(ms)

    def drives(self, **changes: Any) -> None:
        values = {name: getattr(self.drive, name) for name in Drive.__struct_fields__} | changes
        self.drive = Drive(**values)
        self.evcc.command(self.drive)

    def offers(self, **changes: Any) -> None:
        values = {name: getattr(self.outlet.offer, name) for name in Offer.__struct_fields__} | changes
        self.outlet.offering(Offer(**values))

    # ── what was seen ────────────────────────────────────────────────────────────────────────────────────────────────
    def said(self, kind: type, where: str = "station") -> list[Any]:
        return [one for one in getattr(self, where) if type(one) is kind]

    def names(self, side: str = "ev", *, streams: bool = False) -> list[Any]:
        """The messages of a side, repeats left out."""
        found: list[Any] = []
        for who, type_, name, _ in self.frames:
            one = (type_, name) if streams else name
            if who == side and (not found or found[-1] != one):
                found.append(one)
        return found

    def codes(self) -> set[str]:
        return {body["ResponseCode"] for who, _, _, body in self.frames if who == "evse"}

    def bodies(self, name: str) -> list[dict[str, Any]]:
        return [body for _, _, one, body in self.frames if one == name]

    @property
    def parted(self) -> Parted:
        (one,) = self.said(Parted, "car")
        return one

    @property
    def ended(self) -> Ended:
        (one,) = self.said(Ended)
        return one

    # ── the wire ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _to_car(self, frame: Any) -> None:
        self._seen("evse", frame)
        if self.link:
            self.scheduler.call_later(2, lambda: self.evcc.received(frame))

    def _to_station(self, frame: Any) -> None:
        self._seen("ev", frame)
        if self.link:
            self.scheduler.call_later(2, lambda: self.secc.received(frame))

    def _seen(self, side: str, frame: Any) -> None:
        ((name, body),) = exi.decode(SCHEMAS[frame.type], frame.payload).items()
        self.frames.append((side, frame.type, name, body))

    # ── the station ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _station(self, event: Any) -> None:
        self.station.append(event)
        if type(event) is Requested and (event.ma or event.mw):
            assert self.evse.output.may_flow and self.outlet.closed, event
        if type(event) is AuthorizationAsked and self.authorize:
            self.scheduler.call_later(50, lambda: self.secc.command(Authorize(accepted=True)))
        if type(event) is CertificateAsked and self.install is not None:
            self.scheduler.call_later(50, lambda: self.secc.command(self.install(event)))
        self.outlet.event(event)

    def _flow(self, mv: int, ma: int) -> Flow:
        """What really flows: nothing through an open contactor, at either end."""
        phases = 1 if self._dc else 3
        if not self.outlet.closed:
            return Flow(mv if self._dc else 0, 0, 0)
        if not self._closed:
            return Flow(mv, 0, 0)
        self.most_ma = max(self.most_ma, ma)
        return Flow(mv, ma, mv * ma * phases // 1000)

    # ── the car ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _car(self, event: Any) -> None:
        self.car.append(event)
        if type(event) is ContactsAsked:
            self.scheduler.call_later(30, lambda: self._switch(event.closed))

    def _switch(self, closed: bool) -> None:
        self._closed = closed and not self.contacts_fail
        self.evcc.command(Contacts(self._closed))


class Station:
    """The station's machine alone, spoken to by hand: requests go in, the outlet answers at once."""

    def __init__(
        self, service: Any = "DC", *, answers: bool = True, offer: Offer | None = None, **options: Any
    ) -> None:
        self.now = 1_767_225_600_000
        self.dc = service.startswith("DC")
        config = SeccConfig(**({"services": (service,)} | options.pop("config", {})))
        dialect: Any = DIALECTS.get(service, "iso20-dc" if self.dc else "iso20-ac")
        self.machine = Iso20Secc(
            config, dialect, random=random(), tls=True, paused=options.pop("paused", {}), **options
        )
        self.answers = answers
        self.out: list[Any] = []
        self.command(offer or (OFFER if self.dc else AC_OFFER))

    def command(self, command: Any) -> None:
        self._take(self.machine.command(command, self.now))

    def frame(self, frame: Any) -> None:
        self._take(self.machine.receive(frame, self.now))

    def elapse(self, ms: int) -> None:
        self.now += ms
        self._take(self.machine.elapse(self.now))

    def _take(self, effects: Any) -> None:
        for effect in effects:
            self.out.append(effect)
            if not self.answers:
                continue
            kind = type(effect)
            if kind is AuthorizationAsked:
                self.command(Authorize(accepted=True))
            elif kind is IsolationAsked:
                self.command(Isolation("valid"))
            elif kind is LockAsked:
                self.command(Locked(effect.locked))
            elif kind is ContactorAsked:
                self.command(evse_link.Contactor(effect.closed))
                if effect.closed:
                    self.command(Measured(mv=400_000))

    def said(self, kind: type) -> list[Any]:
        return [one for one in self.out if type(one) is kind]


__all__ = ["AC_DRIVE", "AC_OFFER", "DRIVE", "OFFER", "Station", "World", "ev_link", "evse_link", "random"]
