"""A charger and a vehicle at one plug in simulated time: both machines, a simulated outlet, a battery, and mischief."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotwire.core.ev_link import Contacts, ContactsAsked, Drive
from pilotwire.core.evse_link import Authorize, Offer
from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.chademo import ChademoEv, ChademoEvConfig, ChademoEvse, ChademoEvseConfig
from pilotwire.station.outlet import Flow, Hardware, Outlet

OFFER = Offer(max_mv=500_000, max_ma=125_000, max_mw=50_000_000)
DRIVE = Drive(soc=420, present_mv=380_000, target_mv=410_000, target_ma=100_000, max_mv=420_000, min_mv=260_000)
FAST = Hardware(isolation_ms=300, lock_ms=100, report_ms=500)


class Plug:
    """Both ends. `spoil(data, side)` is given each unit before it is delivered and says what comes of it."""

    def __init__(
        self,
        evse: ChademoEvseConfig | None = None,
        ev: ChademoEvConfig | None = None,
        *,
        offer: Offer = OFFER,
        drive: Drive = DRIVE,
        hardware: Hardware = FAST,
    ) -> None:
        self.time = SimScheduler()
        self.evse, self.ev = ChademoEvse(evse or ChademoEvseConfig()), ChademoEv(ev or ChademoEvConfig())
        self.log: list[tuple[int, str, Any]] = []
        self.wire: list[tuple[int, str, Any]] = []
        self.spoil: Callable[[Any, str], list[Any]] | None = None
        self.drive = drive
        self.battery_mv = drive.present_mv
        self.inlet = False
        self.welded = False
        self.contacts_dead = False
        self.silent = False
        """The inside of the vehicle answers nothing."""
        self.station_hears = True
        self.a = Runner(self.evse, self.time, send=lambda d: self._carry(d, "evse"), event=self._station)
        self.b = Runner(self.ev, self.time, send=lambda d: self._carry(d, "ev"), event=self._vehicle)
        self.outlet = Outlet(self.time, self.a.command, hardware, flow=self._flow)
        self.outlet.offering(offer)
        self.b.command(drive)

    # ── driving ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def plug(self, authorized: bool = True) -> Plug:
        self.b.start()
        self.run(10)
        if authorized:
            self.a.command(Authorize(accepted=True))
        return self

    def run(self, ms: int) -> Plug:
        self.time.run_for(ms)
        return self

    def until(self, phase: str, most: int = 60_000) -> Plug:
        """Runs until the charger is in a phase."""
        end = self.time.now() + most
        while self.evse.phase != phase:
            assert self.time.now() < end, f"still {self.evse.phase}, not {phase}: {self.log[-5:]}"
            self.run(10)
        return self

    def until_ev(self, phase: str, most: int = 60_000) -> Plug:
        end = self.time.now() + most
        while self.ev.phase != phase:
            assert self.time.now() < end, f"still {self.ev.phase}, not {phase}: {self.log[-5:]}"
            self.run(10)
        return self

    def unplug(self) -> None:
        self.b._do(lambda: self.ev.unplug(self.b.now))

    def say(self, data: Any) -> None:
        """Something on the wire that the vehicle did not send."""
        self.a.received(data)

    # ── seen ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def events(self, side: str, kind: type) -> list[Any]:
        return [event for _, who, event in self.log if who == side and type(event) is kind]

    def last(self, side: str, kind: type) -> Any:
        found = self.events(side, kind)
        assert found, f"no {kind.__name__} of {side}: {self.log[-8:]}"
        return found[-1]

    def sent(self, side: str, id: int) -> list[CanFrame]:
        return [data for _, who, data in self.wire if who == side and type(data) is CanFrame and data.id == id]

    @property
    def phases(self) -> tuple[str, str]:
        return self.evse.phase, self.ev.phase

    # ── the world ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _carry(self, data: Any, sender: str) -> None:
        self.wire.append((int(self.time.now()), sender, data))
        for unit in [data] if self.spoil is None else self.spoil(data, sender):
            runner = self.b if sender == "evse" else self.a
            self.time.call_later(1, lambda unit=unit, runner=runner: runner.received(unit))

    def _station(self, event: Any) -> None:
        self.log.append((int(self.time.now()), "evse", event))
        if self.station_hears:
            self.outlet.event(event)

    def _vehicle(self, event: Any) -> None:
        self.log.append((int(self.time.now()), "ev", event))
        if type(event) is ContactsAsked and not self.silent:
            self.time.call_later(100, lambda: self._contacts(event.closed))

    def _contacts(self, closed: bool) -> None:
        if not self.contacts_dead:
            self.inlet = closed
        self.b.command(Contacts(self.inlet))

    def _flow(self, mv: int, ma: int) -> Flow:
        if self.inlet or self.welded:
            flowing = ma if self.outlet.closed else 0
            return Flow(self.battery_mv, flowing, self.battery_mv * flowing // 1000)
        return Flow(mv, 0, 0)
