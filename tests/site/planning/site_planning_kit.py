"""A small site in virtual time with a planner beside its loop: plans are made in the test's own process, or by a
stand-in that answers what the test wants."""

from __future__ import annotations

from typing import Any

import msgspec
from tests.site.site_kit import Small

from pilotwire.domain.tariffs.clock import zone
from pilotwire.site.inputs import TickInputs
from pilotwire.site.planning.child import answer
from pilotwire.site.planning.learned import Learned
from pilotwire.site.planning.problem import Known
from pilotwire.site.planning.record import encoded
from pilotwire.site.planning.runner import Runner
from pilotwire.site.planning.worker import Done
from pilotwire.site.ports import EvseStatus
from pilotwire.site.simulated import SimCharger

HOUR = 3_600_000
EVENING = 1_800_032_400_000
"""2027-01-15T17:00:00Z, a Friday."""

TEXT = """
site: {id: small}
nodes:
  - id: grid
    kind: connection
    meter: main
    side_lost_a: 20
    limits: [{source: fuse, current_a: 63}]
  - id: garage
    kind: feeder
    parent: grid
    limits: [{source: fuse, current_a: 40}]
devices:
  - {id: main, kind: meter, file: none, endpoint: none}
failsafe: {current_a: 6, watchdog_s: 60, meter_s: 30}
evses:
  - {id: a, node: garage, rotation: RST, maximum_a: 32, charger: {ocpp: A}}
  - {id: b, node: garage, rotation: STR, maximum_a: 32, charger: {ocpp: B}}
  - {id: c, node: garage, rotation: TRS, maximum_a: 32, phases: 1, charger: {ocpp: C}}
  - {id: d, node: grid, rotation: RST, maximum_a: 32, charger: {ocpp: D}}
steering:
  rates:
    - {import_price: 0.40, span: {from: "16:00", until: "20:00"}}
    - {import_price: 0.20}
planning: {expected_cars: false}
"""


class Asking(SimCharger):
    """A charger whose car says what it wants and until when, and takes no more than that."""

    target_wh: int | None = None
    departure_ms: int | None = None
    token = ""
    car_soc: int | None = None

    def ask(self, energy_wh: int, departure_ms: int | None, wants: int = 32_000, **more: Any) -> None:
        self.target_wh, self.departure_ms = energy_wh, departure_ms
        self.plug(wants, **more)

    def status(self) -> EvseStatus:
        seen = super().status()
        if self.target_wh is not None and self.arrived_ms is not None and self.energy_wh >= self.target_wh:
            self._count()
            self.wants = self.drawn = 0
        if self.arrived_ms is None or not seen.online or seen.pilot == "A":
            return seen
        return msgspec.structs.replace(
            seen, target_energy_wh=self.target_wh, departure_ms=self.departure_ms, id_token=self.token, soc=self.car_soc
        )


class Kept:
    """`runner.Keep` in memory."""

    def __init__(self) -> None:
        self.last: Learned | None = None
        self.plans: list[tuple[bytes, bytes]] = []

    def learned(self, learned: Learned) -> None:
        self.last = learned

    def made(self, record: bytes, answer: bytes) -> None:
        self.plans.append((record, answer))


class Process:
    """What stands for a process; it answers after `takes_ms`, unless it hangs."""

    def __init__(self, room: Spawned, data: bytes, done: Done) -> None:
        self.data, self.done = data, done
        self.killed = False
        self.waits = False
        self._room = room
        if room.takes_ms is not None:
            room.time.call_later(room.takes_ms, self.end)

    def end(self) -> None:
        if self not in self._room.at_work:
            return
        self._room.at_work.remove(self)
        if self.killed:
            self.done(None, "the planning process was killed")
        else:
            self._room.answer(self)

    def kill(self) -> None:
        self.killed = True
        self._room.time.call_later(100, self.end)


class Spawned:
    """`worker.Spawn`. `at_work`: never more than one."""

    def __init__(self, time: Any) -> None:
        self.time = time
        self.takes_ms: int | None = 1_000
        self.asked: list[bytes] = []
        self.at_work: list[Process] = []
        self.says: Any = None
        """What is answered to a record's bytes; None: what the planner makes of it."""

    def __call__(self, record: bytes, done: Done) -> Process:
        assert not self.at_work, "two plans at once"
        self.asked.append(record)
        process = Process(self, record, done)
        self.at_work.append(process)
        return process

    def answer(self, process: Process) -> None:
        said = encoded(answer(process.data)) if self.says is None else self.says(process.data)
        if isinstance(said, str):
            process.done(None, said)
        else:
            process.done(said, "")


class Planned(Small):
    """`runner` begins with the loop; `plans=False`: there is none."""

    def __init__(self, text: str = TEXT, *, plans: bool = True, learned: Learned | None = None, **more: Any) -> None:
        self.ticks: list[TickInputs] = []
        super().__init__(text, start=more.pop("start", EVENING), **more)
        asking: dict[str, Any] = {}
        for id, charger in self.chargers.items():
            made = Asking(charger.evse, self.time, has_failsafe=charger.has_failsafe)
            asking[id] = made
        self.chargers = asking
        self.plant.chargers = dict(asking)
        for below in self.plant._below.values():
            below[:] = [asking[each.id] for each in below]
        self.loop._running = False
        self.loop = self.begin()
        self.spawned = Spawned(self.time)
        self.kept = Kept()
        assert self.config.planning is not None
        self.runner = Runner(
            Known(self.site, self.config.planning, zone(self.config.site.time_zone)),
            self.loop,
            self.time,
            utc=lambda: int(self.time.now()) + self.utc_offset,
            spawn=self.spawned,
            keep=self.kept,
            learned=learned or Learned(),
            report=self.said.append,
        )
        if plans:
            self.runner.start()
