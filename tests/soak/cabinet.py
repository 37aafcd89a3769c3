"""Faults injected into a power cabinet, and an oracle that knows only what was asked for and what really flows.

The oracle never looks at the cabinet's state. It compares the physics of the plant with the requests that the test
itself has made, and listens to what the cabinet says to the station. Figures of IEC 61851-23 that it takes:

* current: no more than the request by more than 2.5 A (below 50 A) or 5 % (2014, 101.2.1); less must be reached within
  1 s and then at 100 A/s or faster (101.2.1);
* voltage: while current flows no more than the request by more than 2 % of the rated 1000 V (101.2.1), without current
  no more than the vehicle's maximum, for longer than 400 ms (2023, 6.3.1.106.3, table 104); never above table 103 for
  more than 9 ms; each and the time in which contactors open;
* off: below 5 A within 1 s after an emergency or a fault (2014, CC.4), after 1.5 s more where it was stopped in order,
  and for as long as nothing is asked for; when it is told that it is off, it is off.

What it allows beyond these, and why:

* `REACT_MS`, 1 s above the request: the standard says nothing of a module that breaks its word. It is seen after 0.5 s
  (EXCESS), and then it is an emergency, whose contactors open after another 0.5 s. `AGAIN_MS`: 0.5 s and 1 s of CC.4.
* `CONTACTORS_MS`: 50 ms until a shutdown begins (6.3.1.106.3), and what follows in the cabinet. For table 103 it is
  `WIRE_MS`, 100 ms: contactors fall by wire, and the cable has to die away over its bleeder.
* `CURRENT_MS`, 0.5 s more of voltage while current flows: contactors first wait for it to fall, within the second of
  CC.4; a vehicle's battery keeps the voltage where it is anyway.
* Without current the vehicle's maximum counts and not its request: table 104 is of limits, and a battery stands where
  it stands; what is above it by less is regulation, of which 101.2.1 speaks for current that flows.
* The vehicle is there without current: the voltage is that of its battery, not ours.
* Off is told, and the vehicle has gone: the over-voltage monitor is stopped then, and of limits there are none. But the
  connector must be dead: no more than 60 V (what may be touched) within `DEAD_MS`, 3 s in which vehicles open their
  contactors (until then a cabinet cannot tell their voltage from its own) and 1 s for what breaks it then.
* One module lies at a time: of two that lie in opposite directions the meter sees nothing, nor would anyone.
* Contactors may open with current where that was announced (`loaded`): they can break it, and in an emergency there is
  nothing better. They are counted.

And ours: no module is ever joined to two outputs, no contactor of the matrix moves with current unless that was said,
and everything that goes off or down has a reason.
"""

from __future__ import annotations

import argparse
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from tests.station.power.cabinet_world import FOUR, World

from pilotwire.protocols.can import CanFrame
from pilotwire.station.power.circuit import Battery
from pilotwire.station.power.messages import Halt, Insulation, OutputFault, OutputOff, OutputOffer, Release, TripAll
from pilotwire.station.power.plant import STEP_MS
from pilotwire.station.power.stage import CabinetConfig
from pilotwire.station.power.unit import UnitId

FOLLOW_MS = 1_000
REACT_MS = 1_000
AGAIN_MS = 1_500
OFF_MS = 1_000
STOP_MS = 1_500
CONTACTORS_MS = 200
"""50 ms until a shutdown begins (6.3.1.106.3), a measurement and a tick of the cabinet, and a contactor."""
WIRE_MS = 100
"""Contactors fall by wire, and the cable dies away over its bleeder: from 1000 V to 550 V in 60 ms."""
CURRENT_MS = 500
DEAD_MS = 4_000
_EPISODE_MS = 40_000


def tolerance(ma: int) -> int:
    """IEC 61851-23:2014, 101.2.1, written down here once more: the oracle shares no code with the cabinet."""
    return 2_500 if ma < 50_000 else ma * 5 // 100


class Watch:
    """One output under the oracle's eyes."""

    def __init__(self) -> None:
        self.mv = 0
        self.ma = 0
        self.lowered_at = 0
        self.volts_lowered_at = 0
        self.most_ma = 0
        self.most_mv = 0
        self.over_ms = 0
        self.high_ms = 0
        self.extreme_ms = 0
        self.live_ms = 0
        self.off_at: int | None = None
        """When it must be off at the latest."""
        self.told_off = False
        self.was_off = False
        self.again_ms = 0
        self.limit_mv = 0
        self.extreme_mv = 0


class Oracle:
    """Looks at every step of the plant."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.watches = {number: Watch() for number in world.plant.outlets}
        self.faults: list[str] = []
        self.kinds: Counter[str] = Counter()
        self.longest_over = 0
        self.largest_over = 0
        self.heard = 0
        self.delivering_ms = 0
        self.steps_ms = 0

    def asked(self, output: int, mv: int, ma: int, limit_mv: int) -> None:
        """The test has asked for this."""
        watch, now = self.watches[output], self.world.now
        if ma < watch.ma:
            watch.lowered_at = now
        if mv < watch.mv:
            watch.volts_lowered_at = now
        watch.mv, watch.ma, watch.limit_mv = mv, ma, limit_mv
        watch.extreme_mv = (
            next((t for m, t in ((500, 550), (750, 825), (850, 935), (1000, 1100)) if limit_mv <= m * 1000), 1375)
            * 1000
        )
        if ma:
            watch.off_at = None
            watch.told_off = watch.was_off = False
            watch.again_ms = 0

    def halted(self, output: int, within_ms: int) -> None:
        """It must be off by then."""
        watch = self.watches[output]
        if watch.ma:
            watch.lowered_at = self.world.now
        watch.ma = 0
        due = self.world.now + within_ms
        watch.off_at = due if watch.off_at is None else min(watch.off_at, due)

    def look(self) -> None:
        """One step of the plant has been made."""
        world = self.world
        now = world.now
        for event in world.said[self.heard :]:
            self._hear(event)
        self.heard = len(world.said)
        for id, outputs in world.plant.joined.items():
            if len(outputs) > 1:
                self._fault(f"{id} is joined to {outputs}")
        for number, outlet in world.plant.outlets.items():
            self._look(number, self.watches[number], outlet.mv, outlet.ma, outlet.battery is not None, now)

    def _hear(self, event: Any) -> None:
        if isinstance(event, OutputFault):
            if not event.text:
                self._fault(f"fault of output {event.output} without a word")
            self.halted(event.output, OFF_MS)
        elif isinstance(event, OutputOff):
            watch = self.watches[event.output]
            if not event.reason:
                self._fault(f"output {event.output} is off and does not say why")
            if not watch.ma:
                watch.told_off = True
                watch.off_at = self.world.now
                self.world.plant.outlets[event.output].monitor.stop()
        elif isinstance(event, OutputOffer) and not event.reason:
            self._fault(f"offer of output {event.output} without a reason")
        elif isinstance(event, TripAll) and not event.reason:
            self._fault("tripped without a reason")

    def _look(self, number: int, watch: Watch, mv: int, ma: int, plugged: bool, now: int) -> None:
        if watch.ma >= watch.most_ma:
            watch.most_ma = watch.ma
        elif now - watch.lowered_at > FOLLOW_MS:
            watch.most_ma = max(watch.ma, watch.most_ma - 100 * STEP_MS)
        if watch.mv >= watch.most_mv or now - watch.volts_lowered_at > FOLLOW_MS:
            watch.most_mv = watch.mv
        self.steps_ms += STEP_MS
        if ma > 1_000:
            self.delivering_ms += STEP_MS
        most = watch.most_ma + tolerance(watch.most_ma)
        if ma > most:
            watch.over_ms += STEP_MS
            self.longest_over = max(self.longest_over, watch.over_ms)
            self.largest_over = max(self.largest_over, ma - most)
            if watch.over_ms > REACT_MS:
                self._fault(f"output {number}: {ma} mA for {watch.over_ms} ms, asked {watch.ma} mA")
        else:
            watch.over_ms = 0
        # A battery may stand above what its vehicle asks for: then nothing flows, and it is not our voltage.
        ours = ma > 1_000 or not (plugged or watch.told_off)
        most_mv = watch.most_mv + 20_000 if ma > 1_000 else max(watch.most_mv, watch.limit_mv)
        watch.high_ms = watch.high_ms + STEP_MS if ours and most_mv and mv > most_mv else 0
        if watch.high_ms > 400 + CONTACTORS_MS + (CURRENT_MS if plugged else 0):
            self._fault(f"output {number}: {mv} mV for {watch.high_ms} ms, asked {watch.mv} mV")
        watch.extreme_ms = watch.extreme_ms + STEP_MS if watch.extreme_mv and ours and mv > watch.extreme_mv else 0
        if watch.extreme_ms > 9 + WIRE_MS:
            self._fault(f"output {number}: {mv} mV, table 103 says {watch.extreme_mv} mV")
        watch.live_ms = watch.live_ms + STEP_MS if watch.told_off and not plugged and mv > 60_000 else 0
        if watch.live_ms > DEAD_MS:
            self._fault(f"output {number}: {mv} mV for {watch.live_ms} ms, though it is off")
        if watch.off_at is None:
            return
        if ma <= 5_000:
            watch.was_off = True
            watch.again_ms = 0
        elif watch.was_off:
            # It was off, and a second fault has brought it back: that must end as soon as the first had to.
            watch.again_ms += STEP_MS
            if watch.again_ms > AGAIN_MS:
                self._fault(f"output {number}: {ma} mA again, for {watch.again_ms} ms, though it is off")
        elif now > watch.off_at:
            self._fault(f"output {number}: {ma} mA though it must be off")

    def _fault(self, text: str) -> None:
        kind = "".join(c for c in text if not c.isdigit())
        self.kinds[kind] += 1
        if self.kinds[kind] <= 2:  # the same again in every step would hide the others
            self.faults.append(f"{self.world.now - 1_000_000} ms: {text}")


class Episode:
    """A cabinet, vehicles that come and go, and faults. Everything from `seed`."""

    def __init__(self, seed: int, *, each: int | None = None, outputs: int | None = None) -> None:
        self.random = draw = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.weather = 0.0
        config = CabinetConfig(
            rise_ma_s=draw.choice((20_000, 50_000, 200_000)),
            hold_ms=draw.choice((2_000, 10_000)),
            reserve=draw.choice((0, 1)),
            altitude_m=draw.choice((0, 0, 3_000)),
            rest_ms=10_000,
        )
        self.world = World(
            FOUR, each or draw.choice((1, 2, 2, 3)), outputs or draw.choice((2, 3, 4)), config=config, wire=self._wire
        )
        self.oracle = Oracle(self.world)
        self.ids = list(self.world.plant.modules)
        self.addresses = sorted({id.address for id in self.ids})
        self.later: list[tuple[int, Callable[[], None]]] = []
        self.stopped_at: dict[int, int] = {}
        self.under_load = 0

    def run(self, ms: int = _EPISODE_MS, heavy_ms: int = 450) -> Episode:
        """`heavy_ms`: one fault that is not of the wire so often, on the average."""
        world, draw = self.world, self.random
        self._quiet(3_000)
        end = world.now + ms
        next_vehicle = next_fault = next_weather = world.now
        while world.now < end:
            now = world.now
            if now >= next_vehicle:
                next_vehicle = now + 250
                for output in world.plant.outlets:
                    self._vehicle(output)
            if now >= next_fault:
                next_fault = now + draw.randrange(100, 2 * heavy_ms)
                self._break()
            if now >= next_weather:
                next_weather = now + draw.randrange(500, 4_000)
                self.weather = draw.choice((0.0, 0.0, 0.0, 0.01, 0.05, 0.2))
            self._mend(now)
            self.step()
        return self

    def step(self) -> None:
        """10 ms, looked at."""
        self.world.step()
        self.oracle.look()
        if self.world.plant.under_load != self.under_load:
            self.under_load = self.world.plant.under_load
            self.oracle._fault("a contactor was opened with current through it, and no one had said so")

    def heal(self) -> None:
        """Everything that was put in is taken out again."""
        self.weather = 0.0
        for _, undo in self.later:
            undo()
        self.later.clear()
        plant = self.world.plant
        plant.repair()
        for module in plant.modules.values():
            module.rectifier.faults.clear()
            module.rectifier.temperature = 300
        for number in plant.outlets:
            self.world.tell(Release(number))

    def _quiet(self, ms: int) -> None:
        for _ in range(ms // STEP_MS):
            self.step()

    def _mend(self, now: int) -> None:
        if self.later and any(due <= now for due, _ in self.later):
            due = [undo for at, undo in self.later if at <= now]
            self.later = [entry for entry in self.later if entry[0] > now]
            for undo in due:
                undo()

    def _undo(self, ms: int, undo: Callable[[], None]) -> None:
        self.later.append((self.world.now + ms, undo))

    # ── vehicles ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _vehicle(self, output: int) -> None:
        """Four times a second each asks for something: what it got as an offer, mostly."""
        world, draw = self.world, self.random
        outlet, watch = world.plant.outlets[output], self.oracle.watches[output]
        stage_says = world.faults.pop(output, None)
        if stage_says is not None:
            outlet.battery = None
            self.stopped_at[output] = world.now
        if world.plant.tripped:
            self.stopped_at.setdefault(output, world.now)
        if output in self.stopped_at:
            if world.now - self.stopped_at[output] > 3_000:
                del self.stopped_at[output]
                if world.plant.tripped:
                    world.plant.repair()
                world.tell(Release(output))
            return
        if outlet.battery is None and watch.ma:
            # Its contactors have opened under load; the pilot says so to the station, and no one plugs in meanwhile.
            world.tell(Halt(output, emergency=True, reason="the vehicle has gone"))
            self.oracle.halted(output, OFF_MS)
            self.stopped_at[output] = world.now
            return
        if outlet.battery is None:
            if draw.random() < 0.1:
                volts = draw.choice((250, 380, 420, 650, 780, 900)) * 1000
                outlet.battery = Battery(volts - 15_000, draw.choice((20, 50, 100)))
                emergency, error = world.cabinet.limits(output, volts + 30_000)
                outlet.monitor.reset()
                outlet.monitor.set_limits(emergency, error)
                outlet.monitor.start()
                watch.mv = volts
                self._ask(output, volts, draw.randrange(2_000, 60_000))
            return
        roll = draw.random()
        if roll < 0.01:
            self.counts["demand jumps"] += 1
            self._ask(output, watch.mv, draw.choice((0, 3_000, 20_000, 500_000)))
        elif roll < 0.02:
            emergency = draw.random() < 0.5
            world.tell(Halt(output, emergency=emergency, reason="the test stops it"))
            self.oracle.halted(output, OFF_MS if emergency else STOP_MS + OFF_MS)
            self.stopped_at[output] = world.now
        elif roll < 0.5 and watch.ma:
            offer = world.offers[output].max_ma
            self._ask(output, watch.mv, max(1_000, min(offer, watch.ma + draw.randrange(-5_000, 15_000))))
        elif not watch.ma:
            self._ask(output, watch.mv, 10_000)
        if output in self.stopped_at and draw.random() < 0.5:
            outlet.battery = None

    def _ask(self, output: int, mv: int, ma: int) -> None:
        monitor = self.world.plant.outlets[output].monitor
        if not monitor.running and not monitor.tripped:
            monitor.start()  # it was stopped when the output was off, and now it is asked for something again
        self.oracle.asked(output, mv, ma, mv + 30_000)
        self.world.charge(output, mv, ma, want_ma=max(ma, 200_000))

    # ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _wire(self, bus: str, frame: CanFrame, down: bool) -> Iterable[tuple[int, CanFrame]]:
        draw = self.random
        if not self.weather or draw.random() >= self.weather:
            return ((0, frame),)
        kind = draw.choice(("lost", "lost", "twice", "late", "corrupted", "wrong sender"))
        self.counts[f"frames {kind}"] += 1
        if kind == "lost":
            return ()
        if kind == "twice":
            return ((0, frame), (draw.randrange(1, 300), frame))
        if kind == "late":
            return ((draw.randrange(20, 600), frame),)
        if kind == "corrupted":
            data = bytearray(frame.data)
            if draw.random() < 0.2:
                return ((0, frame._replace(data=bytes(data[: draw.randrange(8)]))),)
            bit = draw.randrange(len(data) * 8)
            data[bit // 8] ^= 1 << bit % 8
            return ((0, frame._replace(data=bytes(data))),)
        return ((0, frame._replace(id=frame.id ^ 1 << draw.randrange(29))),)

    def _break(self) -> None:
        draw = self.random
        name = draw.choice(tuple(_KINDS))
        if _KINDS[name](self, draw.choice(self.ids), draw.randrange(300, 12_000)) is not False:
            self.counts[name] += 1

    def _dead(self, id: UnitId, ms: int) -> None:
        stage = self.world.plant.modules[id].rectifier
        stage.cut()
        self._undo(ms, lambda: setattr(stage, "alive", not self.world.plant.tripped))

    def _deaf(self, id: UnitId, ms: int) -> None:
        module = self.world.plant.modules[id]
        module.receive = lambda frame, now: ()  # type: ignore[method-assign]
        self._undo(ms, lambda: module.__dict__.pop("receive", None))

    def _late(self, id: UnitId, ms: int) -> None:
        module = self.world.plant.modules[id]
        waiting: list[Any] = []
        behind = self.random.randrange(2, 12)
        plain = type(module).receive

        def slow(frame: CanFrame, now: int) -> Iterable[CanFrame]:
            waiting.append(frame)
            return plain(module, waiting.pop(0), now) if len(waiting) > behind else ()

        module.receive = slow  # type: ignore[method-assign]
        self._undo(ms, lambda: module.__dict__.pop("receive", None))

    def _babbling(self, id: UnitId, ms: int) -> None:
        draw, plant = self.random, self.world.plant
        bus = plant.buses[id.bus]
        real = list(bus.queue)
        for _ in range(draw.randrange(20, 150)):
            number = draw.choice(real)[1].id if real and draw.random() < 0.5 else draw.randrange(1 << 29)
            bus.put(self.world.now, CanFrame(number, draw.randbytes(draw.choice((8, 8, 8, 3))), True), False)

    def _stuck(self, id: UnitId, ms: int) -> None:
        stage = self.world.plant.modules[id].rectifier
        stage.stuck = True
        self._undo(ms, lambda: setattr(stage, "stuck", False))

    def _lying(self, id: UnitId, ms: int) -> bool:
        if any(module.lie_ma or module.lie_mv for module in self.world.plant.modules.values()):
            return False  # two that lie in opposite directions cannot be told from two that do not
        module = self.world.plant.modules[id]
        module.lie_ma = self.random.randrange(-60_000, 60_000)
        module.lie_mv = self.random.choice((0, 0, 60_000, -200_000))

        def honest() -> None:
            module.lie_ma = module.lie_mv = 0

        self._undo(ms, honest)
        return True

    def _wrong(self, id: UnitId, ms: int) -> None:
        stage = self.world.plant.modules[id].rectifier
        stage.offset_mv = self.random.randrange(-50_000, 50_000)
        self._undo(ms, lambda: setattr(stage, "offset_mv", 0))

    def _hot(self, id: UnitId, ms: int) -> None:
        self.world.plant.modules[id].rectifier.temperature = self.random.choice((720, 800, 900))

    def _fan(self, id: UnitId, ms: int) -> None:
        stage = self.world.plant.modules[id].rectifier
        stage.fan_broken = True
        stage.faults.add("fan fault")

        def mended() -> None:
            stage.fan_broken = False
            stage.faults.discard("fan fault")

        self._undo(ms, mended)

    def _fault_inside(self, id: UnitId, ms: int) -> None:
        stage = self.world.plant.modules[id].rectifier
        stage.faults.add("module fault")
        self._undo(ms, lambda: stage.faults.discard("module fault"))

    def _welded(self, id: UnitId, ms: int) -> bool:
        outputs = self.world.plant.joined[id]
        for output in outputs:
            self.world.plant.switches[id, output].welded = True
            # It may fall later than it was told, and must then say so.
            self._undo(ms, lambda: self._fall(id))
        return bool(outputs)

    def _fall(self, id: UnitId) -> None:
        for (unit, number), switch in self.world.plant.switches.items():
            if unit == id and switch.welded:
                switch.welded = False
                if not switch.wanted and switch.closed:
                    self.world.plant._open(unit, number, switch)

    def _open_switch(self, id: UnitId, ms: int) -> None:
        for (unit, _), switch in self.world.plant.switches.items():
            if unit == id and not switch.closed:
                switch.will_not_close = True
                self._undo(ms, lambda switch=switch: setattr(switch, "will_not_close", False))

    def _falls(self, id: UnitId, ms: int) -> bool:
        outputs = list(self.world.plant.joined[id])
        for number in outputs:
            self.world.plant._open(id, number, self.world.plant.switches[id, number])
        return bool(outputs)

    def _bus_off(self, id: UnitId, ms: int) -> None:
        bus = self.world.plant.buses[id.bus]
        bus.down = True
        self._undo(ms, lambda: setattr(bus, "down", False))

    def _meter_silent(self, id: UnitId, ms: int) -> None:
        meter = self.random.choice(list(self.world.plant.outlets.values())).meter
        meter.silent = True
        self._undo(min(ms, 4_000), lambda: setattr(meter, "silent", False))

    def _unplugged(self, id: UnitId, ms: int) -> bool:
        """The vehicle's own contactors open under load."""
        outlet = self.random.choice(list(self.world.plant.outlets.values()))
        flowed = outlet.ma > 1_000
        outlet.battery = None
        return flowed

    def _isolation(self, id: UnitId, ms: int) -> None:
        output = self.random.choice(list(self.world.plant.outlets))
        self.world.tell(Insulation(output, 50_000))


_KINDS: dict[str, Callable[[Episode, UnitId, int], bool | None]] = {
    "modules dead": Episode._dead,
    "modules deaf": Episode._deaf,
    "modules late": Episode._late,
    "modules babbling": Episode._babbling,
    "modules stuck": Episode._stuck,
    "modules lying": Episode._lying,
    "modules regulating wrong": Episode._wrong,
    "modules hot": Episode._hot,
    "fans": Episode._fan,
    "faults inside": Episode._fault_inside,
    "contactors welded": Episode._welded,
    "contactors not closing": Episode._open_switch,
    "contactors falling": Episode._falls,
    "buses off": Episode._bus_off,
    "meters silent": Episode._meter_silent,
    "vehicles gone under load": Episode._unplugged,
    "isolation": Episode._isolation,
}


class Part:
    """What some episodes came to."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.longest = self.largest = 0
        self.ms = self.delivering = self.outputs_ms = 0
        self.trips = self.shutdowns = self.offs = self.announced = 0

    def add(self, seed: int, episode: Episode) -> None:
        oracle = episode.oracle
        self.counts += episode.counts
        self.faults += [f"seed {seed}: {fault}" for fault in oracle.faults]
        self.longest = max(self.longest, oracle.longest_over)
        self.largest = max(self.largest, oracle.largest_over)
        self.ms += episode.world.now - 1_000_000
        self.delivering += oracle.delivering_ms
        self.outputs_ms += oracle.steps_ms
        self.announced += episode.world.plant.announced
        for event in episode.world.said:
            self.trips += isinstance(event, TripAll)
            self.shutdowns += isinstance(event, OutputFault)
            self.offs += isinstance(event, OutputOff)

    @property
    def soft(self) -> int:
        """Faults of single frames."""
        return sum(count for name, count in self.counts.items() if name.startswith("frames"))

    @property
    def hard(self) -> int:
        """All others: `--faults` counts these."""
        return sum(self.counts.values()) - self.soft

    def merge(self, other: Part) -> None:
        self.counts += other.counts
        self.faults += other.faults
        self.longest, self.largest = max(self.longest, other.longest), max(self.largest, other.largest)
        for name in ("ms", "delivering", "outputs_ms", "trips", "shutdowns", "offs", "announced"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def run_episodes(first: int, count: int) -> Part:
    """Episodes of the seeds from `first` on; every hundredth with 60 modules and 4 outputs."""
    part = Part()
    for seed in range(first, first + count):
        large = seed % 100 == 0
        part.add(seed, Episode(seed, each=15 if large else None, outputs=4 if large else None).run())
    return part


def cabinet(options: argparse.Namespace) -> bool:
    """`--faults` faults from `--seed` on, on every core."""
    total = Part()
    first = options.seed * 1_000_000
    workers = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(workers) as pool:
        said = 0
        while total.hard < options.faults:
            batch = 5
            for part in pool.map(run_episodes, range(first, first + batch * workers, batch), [batch] * workers):
                total.merge(part)
                for fault in part.faults:
                    print(f"  {fault}", flush=True)
            first += batch * workers
            done = total.hard
            if done // 10_000 > said:
                said = done // 10_000
                print(f"  {done:,} faults, {len(total.faults)} against the rules", flush=True)
    kinds = ", ".join(f"{count:,} {name}" for name, count in sorted(total.counts.items()))
    print(
        f"cabinet: {total.hard:,} faults of modules, contactors, buses, meters, vehicles and {total.soft:,} of frames "
        f"in {total.ms / 3_600_000:.1f} h: {kinds}"
    )
    print(
        f"  delivering {100 * total.delivering // max(1, total.outputs_ms)} % of the time, {total.offs:,} times off, "
        f"{total.shutdowns:,} of them after a fault, {total.trips} trips, "
        f"{total.announced} contactors opened with current as announced; above tolerance for {total.longest} ms "
        f"at most, by {total.largest / 1000:.1f} A: {len(total.faults)} against the rules"
    )
    for fault in total.faults[:20]:
        print(f"  {fault}")
    return not total.faults
