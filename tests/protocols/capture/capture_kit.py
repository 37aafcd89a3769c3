"""Recorded sessions of our own machines, with faults on the way: the labelled cases of the tools that read captures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotwire.core.ev_link import Contacts, ContactsAsked, Drive, Halt
from pilotwire.core.evse_link import AuthorizationAsked, Authorize, IsolationAsked, Offer
from pilotwire.core.machines import Close
from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler
from pilotwire.protocols.capture.build import Recording
from pilotwire.protocols.iso15118 import v2gtp
from pilotwire.protocols.iso15118.config import EvccConfig, SeccConfig
from pilotwire.protocols.iso15118.evcc import Evcc
from pilotwire.protocols.iso15118.secc import Secc
from pilotwire.station.outlet import Flow, Hardware, Outlet

DC_OFFER = Offer(max_mv=500_000, min_mv=150_000, max_ma=100_000, max_mw=40_000_000)
AC_OFFER = Offer(max_mv=None, max_ma=16_000, max_mw=11_040_000)
DC_DRIVE = Drive(soc=300, target_soc=800, target_ma=80_000, max_ma=120_000, max_mw=50_000_000)
AC_DRIVE = Drive(soc=300, target_soc=800, target_ma=16_000, max_ma=16_000, max_mw=11_000_000)


def random(seed: int) -> Callable[[int], bytes]:
    """Bytes that are the same in every run."""
    state = [seed]

    def some(count: int) -> bytes:
        state[0] += 1
        return (state[0] * 0x9E3779B97F4A7C15 % (1 << 64)).to_bytes(8, "big").ljust(count, b"\x5a")[:count]

    return some


class V2gSession:
    """A vehicle and a station over one recorded connection. `spoil(frame, side)` says what comes of each frame."""

    def __init__(
        self,
        dialect: str = "iso2",
        service: str = "DC",
        *,
        offer: Offer | None = None,
        drive: Drive | None = None,
        authorize: bool | None = True,
        hardware: Hardware | None = None,
        secc: dict[str, Any] | None = None,
        evcc: dict[str, Any] | None = None,
    ) -> None:
        dc = service.startswith("DC")
        self.time = SimScheduler()
        self.recording = Recording()
        self.spoil: Callable[[v2gtp.Frame, str], list[v2gtp.Frame]] | None = None
        self.station: list[Any] = []
        self.car: list[Any] = []
        self.authorize = authorize
        self.tampered: dict[str, bytes] = {}
        self.closed = False
        self.contacts_work = True
        tls = dialect.startswith("iso20")
        values: dict[str, Any] = {"dialects": (dialect,), "services": (service,)}
        self.evse = Secc(SeccConfig(**(values | (secc or {}))), random=random(1), tls=tls)
        self.ev = Evcc(EvccConfig(**(values | (evcc or {}))), random=random(2), tls=tls)
        self.secc = Runner(self.evse, self.time, send=lambda d: self._carry(d, "evse"), event=self._station,
                           close=lambda close: self._close("evse", close))  # fmt: skip
        self.evcc = Runner(self.ev, self.time, send=lambda d: self._carry(d, "ev"), event=self._car,
                           close=lambda close: self._close("ev", close))  # fmt: skip
        self.outlet = Outlet(
            self.time, self.secc.command, hardware or Hardware(dc=dc, isolation_ms=300), flow=self._flow
        )
        self.outlet.offering(offer or (DC_OFFER if dc else AC_OFFER))
        self.drive = drive or (DC_DRIVE if dc else AC_DRIVE)
        self.evcc.command(self.drive)

    def run(self, ms: int = 10_000) -> V2gSession:
        self.time.run_for(ms)
        return self

    def begin(self, ms: int = 10_000) -> V2gSession:
        self.evcc.start()
        return self.run(ms)

    def halt(self, ms: int = 10_000) -> V2gSession:
        self.evcc.command(Halt("the driver ends it"))
        return self.run(ms)

    def file(self) -> bytes:
        return self.recording.file()

    def close(self, side: str, how: Any = "fin") -> None:
        """A side's connection goes, whatever its machine thinks."""
        if not self.closed:
            self.closed = True
            self.recording.end(int(self.time.now()) * 1000, side, how)  # type: ignore[arg-type]
            self.time.call_later(0, self.secc.lost)
            self.time.call_later(0, self.evcc.lost)

    def _carry(self, frame: v2gtp.Frame, side: str) -> None:
        for each in [frame] if self.spoil is None else self.spoil(frame, side):
            if self.closed:
                return
            self.recording.add(int(self.time.now()) * 1000, side, v2gtp.write(each))  # type: ignore[arg-type]
            other = self.secc if side == "ev" else self.evcc
            self.time.call_later(2, lambda each=each, other=other: other.received(each))

    def _close(self, side: str, close: Close) -> None:
        self.time.call_later(close.after_ms, lambda: self.close(side))

    def _station(self, event: Any) -> None:
        self.station.append(event)
        if type(event) is AuthorizationAsked and self.authorize is not None:
            self.secc.command(Authorize(accepted=self.authorize, reason="" if self.authorize else "unknown"))
        self.outlet.event(event)
        if type(event) is IsolationAsked:
            return

    def _car(self, event: Any) -> None:
        self.car.append(event)
        if type(event) is ContactsAsked and self.contacts_work:
            self.time.call_later(50, lambda: self.evcc.command(Contacts(event.closed)))

    def _flow(self, mv: int, ma: int) -> Flow:
        return Flow(mv, ma, mv * ma // 1000)
