"""A charger and a vehicle on a simulated bus, with stand-ins for the power stage and the battery."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotwire.core.ev_link import Contacts, ContactsAsked, Drive, Halt, Parted
from pilotwire.core.evse_link import (
    AuthorizationAsked,
    Authorize,
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
from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.gbt27930 import Cc1, Cc2, EvConfig, EvseConfig, GbtEv, GbtEvse, Supply, decode
from pilotwire.protocols.j1939 import Monitor, Packet
from pilotwire.transport.can_sim import SimCanBus

VIN = "LSVAA49J132047371"
OFFER = Offer(max_mv=750_000, min_mv=200_000, max_ma=250_000, max_mw=120_000_000)
DRIVE = Drive(
    soc=500,
    target_soc=900,
    capacity_wh=60_000,
    present_mv=380_000,
    target_mv=400_000,
    target_ma=100_000,
    max_mv=450_000,
    max_ma=200_000,
    remaining_ms=1_800_000,
)


class World:
    def __init__(
        self,
        evse: EvseConfig = EvseConfig(charger=7, region="SHA"),  # noqa: B008
        ev: EvConfig = EvConfig(vin=VIN),  # noqa: B008
        *,
        drive: Drive = DRIVE,
        offer: Offer = OFFER,
        authorize: bool | None = True,
    ) -> None:
        self.time = SimScheduler()
        self.began = int(self.time.now())
        self.bus = SimCanBus(self.time, 250_000, keep_log=True)
        self.charger, self.bms = GbtEvse(evse), GbtEv(ev)
        evse_port, ev_port = self.bus.port(), self.bus.port()
        self.authorize = authorize
        self.evse_events: list[tuple[int, Any]] = []
        self.ev_events: list[tuple[int, Any]] = []
        self.evse = Runner(self.charger, self.time, send=self._from_charger(evse_port.send), event=self._evse_event)
        self.ev = Runner(self.bms, self.time, send=ev_port.send, event=self._ev_event)
        evse_port.subscribe(self.evse.received)
        ev_port.subscribe(self.ev.received)
        self.supply = False
        self.closed = False
        self.contacts = False
        self.asked = Requested()
        self.isolation = "valid"
        self.locks = self.switches = self.powers = True
        self.contactor_works = self.opens = self.current_falls = self.voltage_falls = True
        self.contacts_work = self.contacts_open = True
        self.register = 1_000
        self.evse.command(offer)
        self.ev.command(drive)

    # ── the hands ────────────────────────────────────────────────────────────────────────────────────────────────────
    def plug(self, *, ev: bool = True) -> None:
        self.evse.received(Cc1(4_000))
        if ev:
            self.ev.received(Cc2(6_000))
            self.ev.start()

    def unplug(self) -> None:
        self.evse.received(Cc1(6_000))
        self.ev.received(Cc2(12_000))

    def run(self, ms: int) -> None:
        self.time.run_for(ms)

    def until(self, ready: Callable[[], Any], limit: int = 120_000) -> None:
        end = int(self.time.now()) + limit
        while not ready():
            assert self.time.now() < end, f"it did not come to that: {self.charger.phase}, {self.bms.phase}"
            self.time.run_for(1)

    def charge(self) -> None:
        """To the middle of charging."""
        self.plug()
        self.until(lambda: self.charger.phase == self.bms.phase == "charging" and self.asked.ma)
        self.run(2_000)

    def halt(self, reason: str = "") -> None:
        self.ev.command(Halt(reason))

    # ── the power stage ──────────────────────────────────────────────────────────────────────────────────────────────
    def _from_charger(self, send: Callable[[CanFrame], None]) -> Callable[[Any], None]:
        def out(data: Any) -> None:
            if isinstance(data, Supply):
                self.supply = data.on
                self.time.call_later(1, lambda: self.ev.received(data))
            else:
                send(data)

        return out

    def later(self, ms: int, command: Callable[[], Any]) -> None:
        self.time.call_later(ms, lambda: self.evse.command(command()))

    def _evse_event(self, event: Any) -> None:
        self.evse_events.append((int(self.time.now()) - self.began, event))
        match event:
            case AuthorizationAsked() if self.authorize is not None:
                self.later(200, lambda: Authorize(accepted=bool(self.authorize)))
            case IsolationAsked() if self.isolation:
                self.later(1_000, lambda: Isolation(self.isolation))
            case LockAsked():
                self.later(100, lambda: Locked(event.locked and self.locks))
            case ContactorAsked(closed=True) if self.switches:
                self.later(50, self._close)
            case ContactorAsked(closed=False) if self.opens:
                self.later(20, self._open)
            case Requested():
                self.asked = event
                self.time.call_later(30, self.measure)

    def _close(self) -> Contactor:
        self.closed = self.contactor_works
        return Contactor(self.closed)

    def _open(self) -> Contactor:
        self.closed = False
        self.time.call_later(1, self.measure)
        return Contactor(False)

    def measure(self) -> None:
        flows = self.closed and self.contacts
        mv, ma = self.asked.mv if self.powers else 0, self.asked.ma if flows else 0
        if not ma and not self.current_falls and self.closed:
            ma = 100_000
        if not mv and (not self.voltage_falls or (self.closed and self.contacts)):
            mv = 380_000
        self.evse.command(Measured(mv=mv, ma=ma, mw=mv * ma // 1000, energy_wh=self.register))

    # ── the battery ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _ev_event(self, event: Any) -> None:
        self.ev_events.append((int(self.time.now()) - self.began, event))
        if isinstance(event, ContactsAsked) and (event.closed or self.contacts_open):

            def switch() -> None:
                self.contacts = event.closed and self.contacts_work
                self.ev.command(Contacts(self.contacts))

            self.time.call_later(60, switch)

    # ── what was seen ────────────────────────────────────────────────────────────────────────────────────────────────
    def of(self, kind: type, who: str = "evse") -> list[Any]:
        return [
            event for _, event in (self.evse_events if who == "evse" else self.ev_events) if isinstance(event, kind)
        ]

    @property
    def ended(self) -> Ended | None:
        return next(reversed(self.of(Ended)), None)

    @property
    def parted(self) -> Parted | None:
        return next(reversed(self.of(Parted, "ev")), None)

    def spoken(self, edition: Any = "2015") -> list[tuple[int, str, dict[str, Any], int]]:
        """What was on the bus: ms, name, values, bytes."""
        monitor, told = Monitor(), []
        for now, frame in self.bus.log or []:
            packet = monitor.receive(frame)
            if isinstance(packet, Packet) and (found := decode(packet.pgn, packet.data, edition)):
                told.append((now - self.began, *found, len(packet.data)))
        return told

    def order(self, edition: Any = "2015") -> list[str]:
        """Names in the order of their first coming."""
        return list(dict.fromkeys(name for _, name, _, _ in self.spoken(edition)))

    @property
    def safe(self) -> bool:
        """Nothing is asked for, nothing flows, and the contactor is open."""
        return self.asked == Requested() and not self.closed
