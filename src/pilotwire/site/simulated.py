"""A small site that is not there: cars that take their time, chargers with watchdogs, a building, meters.

Behind the same seams as real devices (`ports`), in whatever time its scheduler keeps: `pilotwire site demo` runs it
in real time, the failure simulation in virtual time. The plant knows nothing of the loop's decisions; what flows
where is its own reckoning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from pilotwire.core.time import Scheduler
from pilotwire.domain.energy import Evse, SiteTree, Topology
from pilotwire.domain.energy.model import Phases
from pilotwire.domain.energy.scale import infeed

from .ports import Abilities, EvseStatus, Points, Quality, Told, Value


class SimCharger:
    """A charger's outlet with a car, or without; an `EvseDriver`.

    `lag_ms`: until the car follows. `latency_ms`: until a command is carried out and answered. The rest are faults
    that a simulation switches on: see the attributes.
    """

    def __init__(
        self,
        evse: Evse,
        scheduler: Scheduler,
        *,
        has_failsafe: bool = True,
        latency_ms: int = 100,
        lag_ms: int = 5_000,
        poll_ms: int = 1_000,
        notice_ms: int = 3_000,
        factory_failsafe: int | None = None,
    ) -> None:
        self.evse = evse
        self.scheduler = scheduler
        self.has_failsafe = has_failsafe
        self.latency_ms, self.lag_ms, self.poll_ms, self.notice_ms = latency_ms, lag_ms, poll_ms, notice_ms
        self.setpoint = 0
        """What it is set to; unless its watchdog has fired."""
        self.failsafe_value = evse.maximum if factory_failsafe is None else factory_failsafe
        self.watchdog_ms: int | None = 600_000 if has_failsafe else None
        self.fed_ms = int(scheduler.now())
        """When it was last spoken to."""
        self.offered = 0
        """What the car is allowed now."""
        self.drawn = 0
        """What the car draws, in the EVSE's unit."""
        self.wants = 0
        """The most that the car takes; 0: no car, or it is full."""
        self.phases: Literal[1, 2, 3] = evse.phases
        """On which current flows, if any does: as many as the car has, and as are connected."""
        self._car_phases: Literal[1, 2, 3] = evse.phases
        self._connected: Literal[1, 2, 3] = evse.phases
        self.switched_under_current = 0
        """How often its relay has moved while current flowed."""
        self.rotation: str = evse.rotation or "RST"
        """How it is wired, whether the configuration knows it or not."""
        self.energy_mwms = 0
        self.arrived_ms: int | None = None
        # --- faults
        self.link = True
        """Whether the wire between it and us carries anything."""
        self.deaf = False
        """It answers when read, and takes no command."""
        self.mute = False
        """It takes commands, and its answers are lost."""
        self.powered = True
        self.host = True
        """Whether the process with its driver lives: if not, nobody reads it either."""
        self._seen = EvseStatus()
        self._seen_ms = int(scheduler.now())
        self._watch = 0
        self._rests_until = 0
        self._alone = False
        """Until the next offer: it did not take what it falls back to, and reading would feed its watchdog."""
        self._offers = 0
        self._since_ms = int(scheduler.now())
        self._feed()
        scheduler.call_later(0, self._poll)

    # --- the driver's side --------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self.evse.id

    @property
    def abilities(self) -> Abilities:
        return Abilities(
            unit="mA" if self.evse.current == "AC" else "mW",
            minimum=self.evse.minimum,
            maximum=self.evse.maximum,
            step=self.evse.step,
            phases=self.evse.phases,
            phase_switching=self.evse.switching is not None,
            failsafe=self.failsafe_value if self.has_failsafe else None,
            watchdog_ms=self.watchdog_ms,
        )

    def status(self) -> EvseStatus:
        if int(self.scheduler.now()) - self._seen_ms > self.notice_ms:
            return EvseStatus(online=False, points=self._seen.points, phases=self._seen.phases)
        return self._seen

    def offer(self, value: int, phases: Literal[1, 3] | None, valid_ms: int, done: Callable[[Told], None]) -> None:
        self._offers += 1
        self._alone, self._rests_until = False, 0
        number = self._offers

        def arrive() -> None:
            arrives = self._write(value)
            if arrives and phases is not None and self.evse.switching is not None:
                self.switched_under_current += phases != self._connected and self.drawn > 0
                self._connected = phases
                self._connect()
            self._answer(done, arrives and not self.mute)

        def lapse() -> None:
            """The driver's own: nobody has told it anything for too long. Who does not take it is left alone."""
            if number == self._offers and self.host and self.has_failsafe and not self._write(self.failsafe_value):
                self._alone = True

        self.scheduler.call_later(self.latency_ms // 2, arrive)
        self.scheduler.call_later(valid_ms, lapse)

    def _write(self, value: int) -> bool:
        if not (self.link and self.powered and self.host) or self.deaf:
            return False
        self.setpoint = value
        self._feed()
        self._obey()
        return True

    def failsafe(self, value: int, watchdog_ms: int, done: Callable[[Told], None]) -> None:
        def arrive() -> None:
            works = self.link and self.powered and not self.deaf and self.has_failsafe
            if works:
                self.failsafe_value, self.watchdog_ms = value, watchdog_ms
                self._feed()
            self._answer(done, works and not self.mute)

        self.scheduler.call_later(self.latency_ms // 2, arrive)

    def rest(self, ms: int) -> None:
        self._rests_until = int(self.scheduler.now()) + ms

    def _answer(self, done: Callable[[Told], None], arrives: bool) -> None:
        if arrives:
            self.scheduler.call_later(self.latency_ms // 2, lambda: done(Told(True)))
        else:
            self.scheduler.call_later(1_000, lambda: done(Told(False, "no answer within 1 s")))

    def _poll(self) -> None:
        self.scheduler.call_later(self.poll_ms, self._poll)
        if self._alone or not (self.link and self.powered and self.host):
            return
        if int(self.scheduler.now()) < self._rests_until:
            return
        now = int(self.scheduler.now())
        self._feed()
        ma = 0 if self.evse.current == "DC" else self.drawn
        points: dict[str, Value] = {"power_mw": Value(self.power_mw, now), "session_wh": Value(self.energy_wh, now)}
        if self.evse.current == "AC":
            for phase in range(1, 4):
                points[f"current_l{phase}_ma"] = Value(ma if phase <= self.phases else 0, now)
        self._seen_ms = now
        self._seen = EvseStatus(
            online=True,
            pilot="A" if self.arrived_ms is None else "C" if self.drawn else "B",
            points=points,
            phases=self.phases if self.evse.switching is None else self._connected,
            session=str(self.arrived_ms or ""),
            arrived_ms=self.arrived_ms,
        )

    # --- the charger's and the car's ----------------------------------------------------------------------------

    voltage_mv = 230_000

    @property
    def power_mw(self) -> int:
        """At the vehicle."""
        return self.drawn if self.evse.current == "DC" else self.drawn * self.voltage_mv * self.phases // 1_000

    @property
    def energy_wh(self) -> int:
        """Of this session."""
        self._count()
        return self.energy_mwms // 3_600_000_000

    def _connect(self) -> None:
        self.phases = self._car_phases if self._car_phases < self._connected else self._connected

    def plug(self, wants: int, phases: Literal[1, 2, 3] = 3) -> None:
        """A car comes that takes up to `wants`, in the EVSE's unit."""
        self.wants = wants
        self._car_phases = phases
        self._connect()
        self.arrived_ms = int(self.scheduler.now())
        self.energy_mwms = 0
        self._obey(again=True)

    def unplug(self) -> None:
        """At once: a contactor opens."""
        self._count()
        self.wants, self.arrived_ms = 0, None
        self.drawn = 0

    def power(self, on: bool) -> None:
        """Off: nothing flows. On again: it begins with its fail-safe value; without one, with its maximum."""
        self.powered = on
        if not on:
            self._count()
            self.drawn = self.offered = 0
            return
        self.setpoint = self.failsafe_value if self.has_failsafe else self.evse.maximum
        self._feed()
        self._obey(again=True)

    def _feed(self) -> None:
        self.fed_ms = int(self.scheduler.now())
        if self.watchdog_ms is not None:
            self._watch += 1
            number = self._watch
            self.scheduler.call_later(self.watchdog_ms, lambda: self._bark(number))
        if self.powered:
            self._obey()

    def _bark(self, number: int) -> None:
        if number == self._watch and self.powered:
            self._obey()

    def _obey(self, again: bool = False) -> None:
        """The pilot says what the set-point, or the watchdog, says; the car follows when it likes."""
        fallen = self.watchdog_ms is not None and int(self.scheduler.now()) - self.fed_ms >= self.watchdog_ms
        offered = self.failsafe_value if fallen else self.setpoint
        if offered == self.offered and not again:
            return
        self.offered = offered

        def follow() -> None:
            if self.powered:
                self._count()
                self.drawn = min(self.wants, offered) if offered >= self.evse.minimum else 0

        self.scheduler.call_later(self.lag_ms, follow)

    def _count(self) -> None:
        now = int(self.scheduler.now())
        self.energy_mwms += self.power_mw * (now - self._since_ms)
        self._since_ms = now


Lie = Literal["", "nan", "frozen", "sign", "zero", "jump"]


class SimMeter:
    """A meter of a node: a `Device` that reads what flows there once in `poll_ms`."""

    def __init__(
        self, id: str, scheduler: Scheduler, flows: Callable[[], Phases], *, poll_ms: int = 1_000, delay_ms: int = 100
    ) -> None:
        self.id = id
        self.link = True
        self.lie: Lie = ""
        self._scheduler, self._flows, self._poll_ms, self._delay_ms = scheduler, flows, poll_ms, delay_ms
        self._points: dict[str, Value] = {}
        self._heard_ms: int | None = None
        scheduler.call_later(0, self._poll)

    @property
    def online(self) -> bool:
        return self._heard_ms is not None and int(self._scheduler.now()) - self._heard_ms <= 3_000

    def points(self) -> Points:
        return self._points

    def command(self, name: str, value: int, done: Callable[[Told], None]) -> None:
        done(Told(False, "a meter takes no commands"))

    def _poll(self) -> None:
        self._scheduler.call_later(self._poll_ms, self._poll)
        if self.link:
            flows, at = self._flows(), int(self._scheduler.now())
            self._scheduler.call_later(self._delay_ms, lambda: self._read(flows, at))

    def _read(self, flows: Phases, at: int) -> None:
        self._heard_ms = int(self._scheduler.now())
        quality: Quality = "good"
        values = list(flows)
        if self.lie == "frozen" and self._points:
            self._points = {name: Value(value.value, at) for name, value in self._points.items()}
            return
        if self.lie == "nan":
            quality, values = "bad", [0, 0, 0]
        elif self.lie == "sign":
            values = [-ma for ma in flows]
        elif self.lie == "zero":
            values = [0, 0, 0]
        elif self.lie == "jump":
            values = [ma * 100 for ma in flows]
        points = {f"current_l{phase}_ma": Value(ma, at, quality) for phase, ma in enumerate(values, start=1)}
        # A line's voltage is never quite still, and sags with what is drawn.
        points |= {
            f"voltage_l{phase}_mv": Value(231_000 - ma // 100 + (at // 1_000 * (7 + phase)) % 23, at, quality)
            for phase, ma in enumerate(values, start=1)
        }
        if self.lie != "sign":
            points |= {f"power_l{phase}_mw": Value(ma * 230, at, quality) for phase, ma in enumerate(values, start=1)}
            points["power_mw"] = Value(sum(values) * 230, at, quality)
        self._points = points


class SimSite:
    """All of it. `side`: what flows beside the EVSEs at each node; nodes above carry it too."""

    def __init__(
        self, tree: SiteTree, topology: Topology, scheduler: Scheduler, chargers: Mapping[str, SimCharger]
    ) -> None:
        self.tree, self.topology = tree, topology
        self.chargers = dict(chargers)
        self.side: dict[str, Phases] = {}
        self._below: dict[str, list[SimCharger]] = {node.id: [] for node in tree.nodes}
        self._sides: dict[str, list[str]] = {node.id: [] for node in tree.nodes}
        for charger in self.chargers.values():
            for place in topology.above[charger.evse.node]:
                self._below[tree.nodes[place].id].append(charger)
        for node in tree.nodes:
            for place in topology.above[node.id]:
                self._sides[tree.nodes[place].id].append(node.id)
        self._scheduler = scheduler

    def flows(self, node: str) -> Phases:
        """What really flows through a node."""
        total = [0, 0, 0]
        for charger in self._below[node]:
            if not charger.drawn:
                continue
            ma = infeed(charger.evse, charger.drawn, self.tree.voltage_mv)
            for phase in self.on(charger):
                total[phase] += ma
        for id in self._sides[node]:
            for phase, ma in enumerate(self.side.get(id, (0, 0, 0))):
                total[phase] += ma
        return total[0], total[1], total[2]

    def on(self, charger: SimCharger) -> tuple[int, ...]:
        """The phases of the grid that its car is really on."""
        if charger.evse.current == "DC" or charger.phases == 3:
            return (0, 1, 2)
        return tuple("RST".index(letter) for letter in charger.rotation[: charger.phases])

    def meter(self, id: str, node: str, **options: int) -> SimMeter:
        """A meter at a node."""
        return SimMeter(id, self._scheduler, lambda: self.flows(node), **options)
