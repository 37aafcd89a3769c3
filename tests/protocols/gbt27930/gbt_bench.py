"""One end alone, to the millisecond: the other end's messages are said by hand, and arrive in no time."""

from __future__ import annotations

from typing import Any

from pilotwire.core.ev_link import Contacts, ContactsAsked, Drive, Halt
from pilotwire.core.evse_link import (
    Authorize,
    Contactor,
    ContactorAsked,
    Isolation,
    IsolationAsked,
    LockAsked,
    Locked,
    Measured,
    Offer,
    Requested,
    Stop,
)
from pilotwire.core.machines import Send
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.gbt27930 import (
    BMS,
    CHARGER,
    MESSAGES,
    Cc1,
    Cc2,
    EvConfig,
    EvseConfig,
    GbtEv,
    GbtEvse,
    Supply,
    decode,
    encode,
)
from pilotwire.protocols.gbt27930.codec import group
from pilotwire.protocols.j1939 import Limits, Packet, Transport


def zeros(name: str, **some: int) -> dict[str, int]:
    return {signal.name: some.get(signal.name, 0) for signal in MESSAGES["2015"][name].signals}


BSM = dict.fromkeys(("cell_voltage", "soc", "over_current", "over_temperature", "insulation", "connector"), 0) | {
    "max_cell": 1, "max_temperature": 25, "max_temperature_point": 1, "min_temperature": 20,
    "min_temperature_point": 2, "permitted": 1,
}  # fmt: skip
VALUES: dict[str, dict[str, Any]] = {
    "CHM": {"version": 0x101},
    "BHM": {"max_voltage": 450_000},
    "CRM": {"recognised": 0, "charger": 1},
    "BRM": {"version": 0x101, "battery": 6, "capacity": 150_000, "rated_voltage": 380_000, "vin": "LSVAA49J132047371"},
    "BCP": {
        "max_cell_voltage": 4_200, "max_current": 200_000, "capacity": 60_000, "max_voltage": 450_000,
        "max_temperature": 55, "soc": 500, "voltage": 380_000,
    },
    "CTS": {"second": 1, "minute": 2, "hour": 3, "day": 4, "month": 5, "year": 2026},
    "CML": {"max_voltage": 750_000, "min_voltage": 200_000, "max_current": 250_000, "min_current": 0},
    "BRO": {"ready": 0xAA},
    "CRO": {"ready": 0xAA},
    "BCL": {"voltage": 400_000, "current": 100_000, "mode": 2},
    "BCS": {
        "voltage": 380_000, "current": 100_000, "max_cell_voltage": 3_900, "max_cell_group": 0, "soc": 500,
        "remaining": 1_800_000,
    },
    "BSM": BSM,
    "CCS": {"voltage": 400_000, "current": 100_000, "time": 0, "permitted": 1},
    "BST": zeros("BST", soc_reached=1),
    "CST": zeros("CST", by_hand=1),
    "BSD": {"soc": 900, "min_cell_voltage": 3_900, "max_cell_voltage": 4_000, "min_temperature": 20,
            "max_temperature": 30},
    "CSD": {"time": 60_000, "energy": 3_200, "charger": 1},
    "BEM": zeros("BEM", ccs=1),
    "CEM": zeros("CEM", bcl=1),
    "BMV": {"cells": [(3_900, 0)] * 6},
    "BMT": {"temperatures": [25] * 12},
    "BSP": {"data": bytes(12)},
    "DM1": {"codes": [{"spn": 3522, "mode": 7, "count": 1}]},
    "DM3": {"now": 1, "before": 0},
}  # fmt: skip


class Bench:
    """A machine, and what is said to it."""

    def __init__(self, machine: GbtEvse | GbtEv, own: int, peer: int) -> None:
        self.machine: Any = machine
        self.own = own
        self.now = 0
        self.transport = Transport(peer, Limits(pace_ms=0))
        self.events: list[Any] = []
        self.times: list[int] = []
        self.said: list[str] = []
        self.supply: bool | None = None
        self.deaf = False
        """The stand-ins for hardware do not answer."""
        self.keep: dict[str, tuple[int, dict[str, Any]]] = {}
        self._next: dict[str, int] = {}

    def do(self, effects: Any) -> None:
        for effect in list(effects):
            if not isinstance(effect, Send):
                self.events.append(effect)
                self.times.append(self.now)
                self.answer(effect)
            elif isinstance(effect.data, Supply):
                self.supply = effect.data.on
            else:
                self._back(self.transport.receive(effect.data, self.now))

    def _back(self, effects: list[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.do(self.machine.receive(effect.data, self.now))
            elif isinstance(effect, Packet):
                found = decode(effect.pgn, effect.data)
                assert found is not None
                self.said.append(found[0])

    def say(self, name: str, **some: Any) -> None:
        self.raw(name, encode(name, VALUES[name] | some))

    def raw(self, name: str, data: bytes) -> None:
        pgn, priority = group(name)
        self._back(self.transport.send(pgn, self.own, data, priority, self.now))

    def frame(self, frame: CanFrame) -> None:
        self.do(self.machine.receive(frame, self.now))

    def hear(self, data: Any) -> None:
        self.do(self.machine.receive(data, self.now))

    def command(self, command: Any) -> None:
        self.do(self.machine.command(command, self.now))

    def answer(self, event: Any) -> None:
        """What the hardware does."""

    def keeping(self, **periods: int) -> None:
        """From now on the other end says these again and again."""
        self.keep = {name: (period, {}) for name, period in periods.items()}
        self._next = {name: self.now + period for name, period in periods.items()}

    def run(self, ms: int) -> None:
        end = self.now + ms
        while True:
            dues = [*self._next.values()] + [each for each in (self.machine.deadline,) if each is not None]
            due = min(dues, default=end + 1)
            if due > end:
                break
            self.now = max(self.now, due)
            for name in [name for name, at in self._next.items() if at <= self.now]:
                self._next[name] += self.keep[name][0]
                self.say(name, **self.keep[name][1])
            if self.machine.deadline is not None and self.machine.deadline <= self.now:
                self.do(self.machine.elapse(self.now))
        self.now = end

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def phase(self) -> str:
        return self.machine.phase


class ChargerBench(Bench):
    """A charger with hardware that does at once as it is told."""

    PHASES = (
        "unplugged", "locking", "handshake", "insulation", "identify", "recognised", "configure", "prepare", "ready",
        "charging", "stopping", "statistics", "error", "closing", "ended",
    )  # fmt: skip

    def __init__(self, phase: str = "unplugged", config: EvseConfig = EvseConfig(), **quirks: Any) -> None:  # noqa: B008
        super().__init__(GbtEvse(config), CHARGER, BMS)
        self.quirks = quirks
        self.closed = False
        self.command(Offer(max_mv=750_000, min_mv=200_000, max_ma=250_000))
        self.to(phase)

    def to(self, phase: str) -> None:
        quirks = self.quirks
        steps = {
            "locking": lambda: (quirks.update(lock=False), self.hear(Cc1(4_000))),
            "handshake": lambda: (quirks.pop("lock"), self.command(Locked(True))),
            "insulation": lambda: (quirks.update(isolation=False), self.say("BHM")),
            "identify": lambda: self.command(Isolation("valid")),
            "recognised": lambda: self.say("BRM"),
            "configure": lambda: self.say("BCP"),
            "prepare": lambda: (quirks.update(authorize=False), self.say("BRO")),
            "ready": lambda: self.command(Authorize(accepted=True)),
            "charging": lambda: (self.say("BCS"), self.say("BCL")),
        }
        stop = list(steps)
        if phase in stop:
            for name in stop[: stop.index(phase) + 1]:
                steps[name]()
        elif phase != "unplugged":
            self.to("charging")
            if phase == "stopping":
                self.command(Stop("enough"))
            elif phase == "statistics":
                self.say("BST")
            elif phase == "error":
                self.say("BEM")
            elif phase == "closing":
                self.quirks["open"] = False
                self.hear(Cc1(6_000))
            else:
                self.do(self.machine.lost(self.now))
        assert self.phase == phase, f"{self.phase}, not {phase}"

    def answer(self, event: Any) -> None:
        quirks = self.quirks
        match event:
            case LockAsked() if quirks.get("lock", True):
                self.command(Locked(event.locked))
            case IsolationAsked() if quirks.get("isolation", True):
                self.command(Isolation("valid"))
            case ContactorAsked() if quirks.get("open", True) or event.closed:
                self.closed = event.closed
                self.command(Contactor(event.closed))
                self.measure()
            case Requested():
                self.asked = event
                self.measure()

    asked = Requested()

    def measure(self) -> None:
        if self.quirks.get("stays_ma") and self.closed and not self.asked.ma and self.machine.phase != "prepare":
            return
        mv = self.asked.mv if self.quirks.get("powers", True) else 0
        if self.quirks.get("stays_mv") and not mv and self.phase not in ("prepare",):
            mv = 380_000
        self.command(Measured(mv=mv, ma=self.asked.ma if self.closed else 0))


class VehicleBench(Bench):
    """A vehicle with contactors that do at once as they are told."""

    PHASES = (
        "unplugged", "unpowered", "handshake", "identify", "configure", "ready", "charging", "stopping", "statistics",
        "error", "opening", "ended",
    )  # fmt: skip

    def __init__(self, phase: str = "unplugged", config: EvConfig = EvConfig(), **quirks: Any) -> None:  # noqa: B008
        super().__init__(GbtEv(config), BMS, CHARGER)
        self.quirks = quirks
        self.drive = Drive(max_mv=450_000, target_ma=100_000, capacity_wh=60_000, ready=quirks.get("ready", True))
        self.command(self.drive)
        self.to(phase)

    def to(self, phase: str) -> None:
        steps = {
            "unpowered": lambda: (
                self.hear(Cc2(6_000)),
                self.do(self.machine.start(self.now)),
                self.hear(Supply(True)),
            ),
            "handshake": lambda: self.say("CHM"),
            "identify": lambda: self.say("CRM"),
            "configure": lambda: self.say("CRM", recognised=0xAA),
            "ready": lambda: self.say("CML"),
            "charging": lambda: (self.say("CRO"), self.say("CCS")),
        }
        stop = list(steps)
        if phase in stop:
            for name in stop[: stop.index(phase) + 1]:
                steps[name]()
        elif phase != "unplugged":
            self.to("charging")
            if phase == "stopping":
                self.command(Halt("enough"))
            elif phase == "statistics":
                self.say("CST")
            elif phase == "error":
                self.say("CEM")
            elif phase == "opening":
                self.quirks["open"] = False
                self.hear(Cc2(12_000))
            else:
                self.do(self.machine.lost(self.now))
        assert self.phase == phase, f"{self.phase}, not {phase}"

    def answer(self, event: Any) -> None:
        if isinstance(event, ContactsAsked) and self.quirks.get("close" if event.closed else "open", True):
            self.command(Contacts(event.closed))
