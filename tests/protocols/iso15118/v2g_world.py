"""DIN 70121 and ISO 15118-2 on simulated wires: both ends together, or one end and a script in place of the other."""

from __future__ import annotations

from random import Random
from typing import Any

from pilotwire.core import ev_link, evse_link
from pilotwire.core.ev_link import Contacts, ContactsAsked, Drive, Parted
from pilotwire.core.evse_link import (
    AuthorizationAsked,
    Authorize,
    CertificateAsked,
    Contactor,
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
from pilotwire.core.machines import Close, Send
from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler
from pilotwire.protocols import exi
from pilotwire.protocols.iso15118.config import EvccConfig, SeccConfig
from pilotwire.protocols.iso15118.din70121.evcc import DinEvcc
from pilotwire.protocols.iso15118.din70121.secc import DinSecc
from pilotwire.protocols.iso15118.iso2.evcc import Iso2Evcc
from pilotwire.protocols.iso15118.iso2.secc import Iso2Secc
from pilotwire.protocols.iso15118.v2gtp import SAP, Frame
from pilotwire.station.outlet import Flow, Hardware, Outlet

SECC: dict[str, Any] = {"din": DinSecc, "iso2": Iso2Secc}
EVCC: dict[str, Any] = {"din": DinEvcc, "iso2": Iso2Evcc}
OFFER = Offer(max_mv=500_000, min_mv=150_000, max_ma=100_000, max_mw=30_000_000)
AC_OFFER = Offer(max_ma=16_000, max_mw=11_040_000)
DRIVE = Drive(soc=300, target_soc=800, target_ma=60_000, max_ma=120_000, max_mw=50_000_000)
AC_DRIVE = Drive(soc=300, target_soc=800, target_ma=16_000, max_ma=32_000, max_mw=22_000_000, min_ma=6_000)


def bytes_of(seed: int) -> Any:
    """Random bytes that are the same in every run."""
    return Random(seed).randbytes


def said(effects: Any, kind: Any) -> list[Any]:
    """The effects of a kind."""
    return [one for one in effects if isinstance(one, kind)]


class World:
    """Both ends and what is behind them. `station` and `car` are what each has said, `wire` the messages in order."""

    def __init__(
        self,
        dialect: Any = "iso2",
        service: Any = "DC",
        *,
        secc: dict[str, Any] | None = None,
        evcc: dict[str, Any] | None = None,
        offer: Offer | None = None,
        drive: Drive | None = None,
        hardware: dict[str, Any] | None = None,
        authorize: bool = True,
        paused: dict[bytes, Any] | None = None,
        resume: Any = None,
        tls: bool = False,
        secc_pnc: Any = None,
        evcc_pnc: Any = None,
        install: Any = None,
        scheduler: SimScheduler | None = None,
        seed: int = 1,
    ) -> None:
        self.scheduler = scheduler or SimScheduler()
        self.dialect, dc = dialect, service == "DC"
        self.paused = {} if paused is None else paused
        self.evse = SECC[dialect](
            SeccConfig(**({"services": (service,)} | (secc or {}))), dialect, random=bytes_of(seed), tls=tls,
            pnc=secc_pnc, paused=self.paused,
        )  # fmt: skip
        self.ev = EVCC[dialect](
            EvccConfig(**({"services": (service,)} | (evcc or {}))), dialect, random=bytes_of(seed + 1), tls=tls,
            pnc=evcc_pnc, resume=resume,
        )  # fmt: skip
        self.station: list[Any] = []
        self.car: list[Any] = []
        self.wire: list[tuple[str, dict[str, Any]]] = []
        self.closes: list[Close] = []
        self.link = True
        """False: what is sent is lost."""
        self.authorize = authorize
        self.install = install
        self.contacts_fail = False
        self.begun = int(self.scheduler.now())
        self._contacts = False
        self._dc = dc
        self.secc = Runner(
            self.evse, self.scheduler, send=self._to_car, event=self._of_station, close=self.closes.append
        )
        self.evcc = Runner(self.ev, self.scheduler, send=self._to_station, event=self._of_car, close=self._car_closes)
        self.outlet = Outlet(
            self.scheduler, self.secc.command, Hardware(dc=dc, isolation_ms=300, **(hardware or {})), flow=self._flow,
            meter_id="M1",
        )  # fmt: skip
        self.outlet.offering(offer or (OFFER if dc else AC_OFFER))
        self.drive = drive or (DRIVE if dc else AC_DRIVE)
        self.evcc.command(self.drive)

    def begin(self, ms: int = 3_000) -> World:
        self.evcc.start()
        return self.run(ms)

    def run(self, ms: int = 3_000) -> World:
        self.scheduler.run_for(ms)
        return self

    def until(self, name: str, most: int = 60_000) -> World:
        """Until a message of that name is on the wire."""
        end = int(self.scheduler.now()) + most
        while not any(one == name for one, _ in self.wire):
            assert self.scheduler.step(), f"{name} never came"
            assert self.scheduler.now() <= end, f"{name} did not come within {most} ms"
        return self

    def names(self) -> list[str]:
        """The requests, repeats left out."""
        found: list[str] = []
        for name, _ in self.wire:
            if name.endswith("Req") and (not found or found[-1] != name[:-3]):
                found.append(name[:-3])
        return found

    def bodies(self, name: str) -> list[dict[str, Any]]:
        return [body for one, body in self.wire if one == name]

    def codes(self) -> set[str]:
        return {body["ResponseCode"] for name, body in self.wire if name.endswith("Res")}

    @property
    def ended(self) -> Ended:
        (one,) = said(self.station, Ended)
        return one

    @property
    def parted(self) -> Parted:
        (one,) = said(self.car, Parted)
        return one

    # ── the wire ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _to_car(self, frame: Frame) -> None:
        self._seen(frame)
        if self.link:
            self.scheduler.call_later(2, lambda: self.evcc.received(frame))

    def _to_station(self, frame: Frame) -> None:
        self._seen(frame)
        if self.link:
            self.scheduler.call_later(2, lambda: self.secc.received(frame))

    def _seen(self, frame: Frame) -> None:
        ((name, body),) = exi.decode(self.dialect, frame.payload)["V2G_Message"]["Body"].items()
        self.wire.append((name, body))

    def _car_closes(self, close: Close) -> None:
        self.scheduler.call_later(2 + close.after_ms, self.secc.lost)

    # ── the station ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _of_station(self, event: Any) -> None:
        self.station.append(event)
        if type(event) is Requested and event.ma and event.phase == "charge":
            assert self.outlet.closed, f"{event} with an open contactor"
        if type(event) is AuthorizationAsked and self.authorize:
            self.scheduler.call_later(50, lambda: self.secc.command(Authorize(accepted=True)))
        if type(event) is CertificateAsked and self.install is not None:
            self.scheduler.call_later(50, lambda: self.secc.command(self.install(event)))
        self.outlet.event(event)

    def _flow(self, mv: int, ma: int) -> Flow:
        if self._dc:
            flows = self.outlet.closed and self._contacts
            return Flow(mv, ma if flows else 0, mv * ma // 1000 if flows else 0)
        return Flow(mv, ma if self.outlet.closed else 0, 3 * mv * ma // 1000 if self.outlet.closed else 0)

    # ── the car ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _of_car(self, event: Any) -> None:
        self.car.append(event)
        if type(event) is ContactsAsked:
            self.scheduler.call_later(30, lambda: self._switch(event.closed))

    def _switch(self, closed: bool) -> None:
        self._contacts = closed and not self.contacts_fail
        self.evcc.command(Contacts(self._contacts))


class ScriptedStation:
    """One `EvseLink`, and a script in place of the vehicle: `ask` sends a request and returns the answer.

    What the machine asks of the station is answered at once, except the kinds in `mute`. `effects` are those of the
    last step, `all` of all.
    """

    def __init__(
        self,
        dialect: Any = "iso2",
        *,
        services: Any = ("DC",),
        offer: Offer | None = OFFER,
        mute: tuple[type, ...] = (),
        authorize: Authorize | None = None,
        isolation: Any = "valid",
        config: dict[str, Any] | None = None,
        tls: bool = False,
        pnc: Any = None,
        paused: dict[bytes, Any] | None = None,
        seed: int = 1,
    ) -> None:
        self.dialect = dialect
        self.now = int(SimScheduler().now())
        self.paused = {} if paused is None else paused
        self.evse = SECC[dialect](
            SeccConfig(**({"services": services} | (config or {}))), dialect, random=bytes_of(seed), tls=tls, pnc=pnc,
            paused=self.paused,
        )  # fmt: skip
        self.mute = mute
        self.authorize = authorize or Authorize(accepted=True)
        self.isolation = isolation
        self.effects: list[Any] = []
        self.all: list[Any] = []
        self.session = bytes(8)
        self.install: Any = None
        self.header: dict[str, Any] = {}
        if offer is not None:
            self.command(offer)

    def command(self, command: Any) -> list[Any]:
        return self._took(self.evse.command(command, self.now))

    def ask(self, name: str, body: dict[str, Any], *, session: bytes | None = None, **header: Any) -> Any:
        """The body of the answer with its name under "name", or None where there was none (yet)."""
        head = {"SessionID": self.session if session is None else session, **header}
        message = {"V2G_Message": {"Header": head, "Body": {name: body}}}
        return self.send(exi.encode(self.dialect, message))

    def send(self, payload: bytes, type_: int = SAP) -> Any:
        self.effects = []
        self._took(self.evse.receive(Frame(type_, payload), self.now))
        return self.answer

    def wait(self, ms: int) -> Any:
        """Time goes by, timer by timer."""
        self.effects = []
        end = self.now + ms
        while (due := self.evse.deadline) is not None and due <= end:
            self.now = max(self.now, due)
            self._took(self.evse.elapse(self.now))
        self.now = end
        self._took(self.evse.elapse(self.now))
        return self.answer

    @property
    def answer(self) -> Any:
        found: Any = None
        for one in said(self.effects, Send):
            message = exi.decode(self.dialect, one.data.payload)["V2G_Message"]
            self.header = message["Header"]
            self.session = self.header["SessionID"]
            ((name, body),) = message["Body"].items()
            found = {"name": name, **body}
        return found

    def _took(self, effects: Any) -> list[Any]:
        new = list(effects)
        self.effects += new
        self.all += new
        for one in new:
            answer = None if type(one) in self.mute else self._done(one)
            if answer is not None:
                self._took(self.evse.command(answer, self.now))
        return self.effects

    def _done(self, event: Any) -> Any:
        kind = type(event)
        if kind is AuthorizationAsked:
            return self.authorize
        if kind is IsolationAsked:
            return Isolation(self.isolation)
        if kind is ContactorAsked:
            return Contactor(event.closed)
        if kind is LockAsked:
            return Locked(event.locked)
        if kind is Requested and event.mv:
            return Measured(mv=event.mv, ma=event.ma, energy_wh=1234, meter_id="M1")
        if kind is CertificateAsked and self.install is not None:
            return self.install(event)
        return None

    def is_off(self) -> bool:
        """Nothing flows, the contactor is open, by what the machine has asked for last."""
        requested = said(self.all, Requested)
        contactor = said(self.all, ContactorAsked)
        return not (requested and (requested[-1].mv or requested[-1].ma)) and not (contactor and contactor[-1].closed)


class ScriptedCar:
    """One `EvLink`, and a script in place of the station: `answer` hands it one and returns what it asks next."""

    def __init__(
        self,
        dialect: Any = "iso2",
        *,
        services: Any = ("DC",),
        drive: Drive | None = DRIVE,
        config: dict[str, Any] | None = None,
        mute: tuple[type, ...] = (),
        tls: bool = False,
        pnc: Any = None,
        resume: Any = None,
    ) -> None:
        self.dialect = dialect
        self.now = int(SimScheduler().now())
        self.ev = EVCC[dialect](
            EvccConfig(**({"services": services} | (config or {}))), dialect, random=bytes_of(5), tls=tls, pnc=pnc,
            resume=resume,
        )  # fmt: skip
        self.mute = mute
        self.effects: list[Any] = []
        self.all: list[Any] = []
        self.session = b"\x11" * 8
        if drive is not None:
            self.command(drive)

    def start(self) -> str | None:
        self.effects = []
        self._took(self.ev.start(self.now))
        return self.asked

    def command(self, command: Any) -> str | None:
        self.effects = []
        self._took(self.ev.command(command, self.now))
        return self.asked

    @property
    def request(self) -> tuple[str, dict[str, Any]] | None:
        """The request of the last step."""
        sent = said(self.effects, Send)
        if not sent:
            return None
        ((name, body),) = exi.decode(self.dialect, sent[-1].data.payload)["V2G_Message"]["Body"].items()
        return name, body

    @property
    def asked(self) -> str | None:
        return None if self.request is None else self.request[0]

    def answer(self, name: str, body: dict[str, Any], *, session: bytes | None = None, **header: Any) -> str | None:
        """Hand it an answer; the name of the request that follows at once."""
        head = {"SessionID": self.session if session is None else session, **header}
        message = {"V2G_Message": {"Header": head, "Body": {name: body}}}
        return self.send(exi.encode(self.dialect, message))

    def send(self, payload: bytes, type_: int = SAP) -> str | None:
        self.effects = []
        self._took(self.ev.receive(Frame(type_, payload), self.now))
        return self.asked

    def wait(self, ms: int) -> str | None:
        self.effects = []
        end = self.now + ms
        while (due := self.ev.deadline) is not None and due <= end:
            self.now = max(self.now, due)
            self._took(self.ev.elapse(self.now))
        self.now = end
        self._took(self.ev.elapse(self.now))
        return self.asked

    def _took(self, effects: Any) -> None:
        new = list(effects)
        self.effects += new
        self.all += new
        for one in new:
            if type(one) is ContactsAsked and ContactsAsked not in self.mute:
                self._took(self.ev.command(Contacts(one.closed), self.now))


__all__ = [
    "AC_DRIVE", "AC_OFFER", "DRIVE", "OFFER", "ScriptedCar", "ScriptedStation", "World", "bytes_of", "ev_link",
    "evse_link", "said",
]  # fmt: skip
