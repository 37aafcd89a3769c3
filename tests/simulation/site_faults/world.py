"""A site in virtual time in which everything fails, again and again: meters, chargers, the broker, the cloud, and we.

The loop, its decisions and its memory are the real ones; chargers, cars, meters and the building are simulated
(`pilotwire.site.simulated`). The oracle knows nothing of them: it adds up what flows through each node and asks for how
long it has been above a limit without a break. What it allows is derived from the configuration's own deadlines:

- A charger that takes no command any more, at the moment at which it should have less: the reading and the tick that
  say so (`NOTICE_MS`), `command_ms` until the command counts as unanswered, one tick more until that is noticed
  (`TICK_MS`) and it is left alone, then its watchdog, which nothing but our silence can make fire.
- A meter that stands still, at the moment at which the building takes more: `same_ms` until it is not believed (what it
  repeats until then is as good as any reading), `stale_ms` until its last good reading is too old, and the same reading
  and tick. A meter that is gone or talks nonsense is the same without `same_ms`; a source that is gone is no delay at
  all, for the oracle knows its deadline and counts the limit for its loss from then on.
- Our own end, and a loop that hangs: the watchdog again, or the end of an offer in the driver, which never outlives it.
- After each of these the car: the slowest of this world's cars, none slower than `LAG_MS`, which is what IEC 61851-1
  grants a car to follow its pilot.

The longer of the first two counts, not their sum: when several things fail at once, each has its deadline from when it
failed itself. The oracle's own second costs nothing: it starts to count with the first second that it has seen.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from tests.simulation.site_faults.worlds import configuration, written

from pilotwire.core.time import SimScheduler
from pilotwire.domain.energy import Limit, Moment
from pilotwire.domain.energy.failsafe import side_bounds
from pilotwire.domain.energy.scale import infeed
from pilotwire.site.compiled import Site, _compile
from pilotwire.site.decide import Decision, SiteState, decide, resumed
from pilotwire.site.inputs import Heard, TickInputs
from pilotwire.site.loop import GAP_MS, LOOK_MS, TICK_MS, Loop
from pilotwire.site.lost import Charger
from pilotwire.site.simulated import Lie, SimCharger, SimMeter, SimSite
from pilotwire.site.store import Words, away_ms, merged, moved

LAG_MS = 5_000
"""No car here takes longer until it follows."""
NOTICE_MS = 1_100 + GAP_MS + LOOK_MS
"""A meter is read each second and answers within 100 ms; then comes the tick, as soon as it may."""
COMPONENTS = ("meter", "charger", "broker", "cloud", "ourselves")
_STATE = msgspec.msgpack.Decoder(SiteState)
_TOLD = msgspec.msgpack.Decoder(dict[str, Charger])
_WORDS = msgspec.msgpack.Decoder(Words)


class Memory:
    """What survives our end."""

    def __init__(self) -> None:
        self.state = b""
        self.now = Moment(0, 0)
        self.chargers = b""
        self.words = b""

    def told(self, chargers: Mapping[str, Charger]) -> None:
        self.chargers = msgspec.msgpack.encode(dict(chargers))

    def heard(self, words: Sequence[Heard], now: Moment) -> None:
        self.words = msgspec.msgpack.encode(Words(now, tuple(words)))

    def keep(self, state: SiteState, now: Moment) -> None:
        self.state, self.now = msgspec.msgpack.encode(state), now

    def load(self, now: Moment) -> SiteState | None:
        if not self.state:
            return None
        told = _TOLD.decode(self.chargers) if self.chargers else {}
        words = _WORDS.decode(self.words) if self.words else None
        return merged(moved(_STATE.decode(self.state), away_ms(self.now, now)), told, words, now)


class World:
    """One site and its bad luck. `faults` says what was above a limit for too long."""

    def __init__(
        self, seed: int, *, gap_ms: int = 12_000, text: str = "", blind: Callable[[Site], Site] | None = None
    ) -> None:
        """`text`: this site, not that of the seed. `blind`: what the loop, not the oracle, takes it for."""
        self.seed, self.gap_ms = seed, gap_ms
        self.draw = random.Random(seed)
        self.config, self.accepted = written(text) if text else configuration(seed)
        self.site = _compile(self.config)
        self.believed = self.site if blind is None else blind(self.site)
        self.time = SimScheduler()
        topology = self.site.topology
        self.chargers = {
            evse.id: SimCharger(
                evse,
                self.time,
                has_failsafe=self.site.outlets[evse.id].has_failsafe,
                latency_ms=self.draw.choice((50, 200, 600)),
                lag_ms=self.draw.randint(1_000, LAG_MS),
            )
            for evse in topology.tree.evses
        }
        for charger in self.chargers.values():
            if charger.evse.rotation is None:
                charger.rotation = self.draw.choice(("RST", "STR", "TRS"))
        self.plant = SimSite(topology.tree, topology, self.time, self.chargers)
        self.meters: dict[str, SimMeter] = {
            device: self.plant.meter(device, node) for node, device in self.site.meters.items()
        }
        self.memory = Memory()
        self.injected: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.faults: list[str] = []
        self.worst_ms = 0
        self.failures = 0
        self.utc_offset = 0
        self.reach = dict.fromkeys(self.site.sources, True)
        self.said: dict[str, Limit | None] = dict.fromkeys(self.site.sources)
        self.heard: dict[str, tuple[Limit | None, int]] = {}
        self.cut: Limit | None = None
        self._since: dict[tuple[str, str], int] = {}
        watchdogs = [out.watchdog_ms for out in self.site.outlets.values() if out.watchdog_ms is not None]
        # The deadline of a charger, and that of a meter that stands still.
        frozen = max((bounds.same_ms or 0 for bounds in self.site.bounds.values()), default=0)
        deadline = max(max(watchdogs, default=0) + self.site.command_ms, frozen + self.site.policy.stale_ms)
        lag = max(charger.lag_ms for charger in self.chargers.values())
        self.bound_ms = NOTICE_MS + deadline + TICK_MS + lag
        self.bounds = dict(zip((node.id for node in topology.tree.nodes), side_bounds(topology), strict=True))
        self.loop: Loop | None = None
        self.quiet = False
        self._begin(None)
        for source in self.site.sources:
            self._speak(source)
        self._live()
        self._watch()

    # --- the site's life ----------------------------------------------------------------------------------------

    def _begin(self, state: SiteState | None) -> None:
        self._host(True)
        self.loop = Loop(
            self.believed,
            list(self.chargers.values()),
            list(self.meters.values()),
            self.time,
            utc=lambda: int(self.time.now()) + self.utc_offset,
            state=None
            if state is None
            else resumed(self.believed, state, Moment(int(self.time.now()), int(self.time.now()) + self.utc_offset)),
            memory=self.memory,
            report=self._reported,
        )
        self.loop.start()

    def _reported(self, text: str) -> None:
        self.failures += 1
        if "on purpose" not in text:
            self.faults.append(f"seed {self.seed}: {text}")

    def _end(self) -> None:
        """As by SIGKILL."""
        if self.loop is not None:
            self.loop._running = False
            if self.loop._timer is not None:
                self.loop._timer.cancel()
        self.loop = None
        self._host(False)

    def _host(self, lives: bool) -> None:
        """The drivers live and die with us."""
        for charger in self.chargers.values():
            charger.host = lives

    def _live(self) -> None:
        """Cars come and go, the building changes what it takes; never more than its operator has declared."""
        draw = self.draw
        if self.quiet:
            return
        self.time.call_later(draw.randint(2_000, 15_000), self._live)
        if draw.random() < 0.5:
            node = draw.choice([node for node in self.site.topology.tree.nodes if node.metered])
            own = self.bounds[node.id]
            below = [self.bounds[child.id] for child in self.site.topology.tree.nodes if child.parent == node.id]
            most = [own[phase] - sum(each[phase] for each in below) for phase in range(3)]
            high = draw.random() < 0.4
            l1, l2, l3 = (max(0, ma if high else draw.randint(0, max(0, ma))) for ma in most)
            self.plant.side[node.id] = (l1, l2, l3)
            return
        charger = draw.choice(list(self.chargers.values()))
        if charger.arrived_ms is not None and draw.random() < 0.4:
            charger.unplug()
        elif charger.powered:
            top = charger.evse.maximum
            charger.plug(draw.choice((top, top, top * 2 // 3)), draw.choice((1, 3, 3)))

    def _speak(self, source: str) -> None:
        """Somebody outside: a word every few seconds, now and then another limit."""
        self.time.call_later(5_000, lambda: self._speak(source))
        if not self.quiet and self.draw.random() < 0.1:
            floor = self._floor()
            ma = floor + self.draw.randint(0, 40_000)
            self.said[source] = self.draw.choice((None, Limit(source=source, phases_ma=(ma, ma, ma))))
        if self.reach[source] and self.loop is not None:
            self.loop.hear(source, self.said[source])
            self.heard[source] = (self.said[source], int(self.time.now()))

    def _floor(self) -> int:
        """What all fall back to: less than that nobody can promise while we are away."""
        total = max(self.bounds["grid"])
        for charger in self.chargers.values():
            out = self.site.outlets[charger.id]
            value = out.failsafe if out.has_failsafe else charger.evse.maximum
            total += infeed(charger.evse, value, 230_000)
        return total

    # --- what fails ---------------------------------------------------------------------------------------------

    def run(self, faults: int) -> World:
        """So many failures, of one component after the other, each for a while; several at once."""
        for at in range(faults):
            component = COMPONENTS[at % len(COMPONENTS)]
            self.time.run_for(self.draw.randint(self.gap_ms // 3, self.gap_ms))
            self.fail(component)
        self.time.run_for(self.bound_ms)
        return self

    def fail(self, component: str) -> None:
        draw = self.draw
        self.injected[component] += 1
        lasts = draw.choice((500, 2_000, 8_000, 30_000, 90_000))
        getattr(self, f"_fail_{component}")(lasts)

    def _kind(self, kind: str) -> None:
        self.kinds[kind] += 1

    def _fail_meter(self, lasts: int) -> None:
        meter = self.draw.choice(list(self.meters.values()))
        kind: Any = self.draw.choice(LIES)
        self._kind(f"meter {kind}")
        if kind == "vanishes":
            meter.link = False
            self.time.call_later(lasts, lambda: setattr(meter, "link", True))
            return
        lie: Lie = kind
        meter.lie = lie
        self.time.call_later(lasts, lambda: setattr(meter, "lie", ""))

    def _fail_charger(self, lasts: int) -> None:
        charger = self.draw.choice(list(self.chargers.values()))
        kind = self.draw.choice(("wire", "deaf", "mute", "power", "late"))
        self._kind(f"charger {kind}")
        if kind == "wire":
            charger.link = False
            self.time.call_later(lasts, lambda: setattr(charger, "link", True))
        elif kind in ("deaf", "mute"):
            setattr(charger, kind, True)
            self.time.call_later(lasts, lambda: setattr(charger, kind, False))
        elif kind == "power":
            if charger.powered:
                charger.power(False)
                self.time.call_later(lasts, lambda: charger.power(True))
        else:
            before, charger.latency_ms = charger.latency_ms, 4_000
            self.time.call_later(lasts, lambda: setattr(charger, "latency_ms", min(before, 600)))

    def _fail_broker(self, lasts: int) -> None:
        self._kind("broker silent")
        self.reach["broker"] = False
        self.time.call_later(lasts, lambda: self.reach.update(broker=True))

    def _fail_cloud(self, lasts: int) -> None:
        self._kind("cloud silent")
        self.reach["cloud"] = False
        self.time.call_later(lasts, lambda: self.reach.update(cloud=True))

    def _fail_ourselves(self, lasts: int) -> None:
        kind = self.draw.choice(("killed", "killed, state lost", "hangs", "is blocked", "tick fails", "clock steps"))
        self._kind(f"ourselves {kind}")
        if kind == "clock steps":
            self.utc_offset += self.draw.choice((-86_400_000, 3_600_000, 500))
            return
        loop = self.loop
        if loop is None:
            return  # already down
        if kind in ("hangs", "is blocked"):
            # Hangs: the loop alone, its drivers go on. Blocked: the whole process.
            if loop._timer is not None:
                loop._timer.cancel()
            self._host(kind == "hangs")

            def goes_on() -> None:
                if loop is self.loop:
                    self._host(True)
                    if loop._timer is not None:
                        loop._timer.cancel()
                    loop._wake()

            self.time.call_later(lasts, goes_on)
        elif kind == "tick fails":

            def fails(site: Site, inputs: TickInputs, state: SiteState) -> Decision:
                raise ArithmeticError("on purpose")

            loop._decide = fails
            self.time.call_later(min(lasts, 8_000), lambda: setattr(loop, "_decide", decide))
        else:
            self._end()
            if kind != "killed":
                self.memory = Memory()
                # Who remembers nothing cannot know what a source said: what is written for its loss counts.
                self.heard.clear()
            self.time.call_later(lasts, self._restart)

    def _restart(self) -> None:
        now = int(self.time.now())
        self._begin(self.memory.load(Moment(now, now + self.utc_offset)))

    # --- the oracle ---------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        self.time.call_later(1_000, self._watch)
        now = int(self.time.now())
        over = self.over(now)
        for key in list(self._since):
            if key not in over:
                del self._since[key]
        for key, text in over.items():
            since = self._since.setdefault(key, now)
            self.worst_ms = max(self.worst_ms, now - since)
            if now - since > self.bound_ms:
                self.faults.append(f"seed {self.seed}, {now % 100_000_000 / 1000:.0f} s: {text} for {now - since} ms")
                self._since[key] = now

    def over(self, now: int) -> dict[tuple[str, str], str]:
        """Where more flows than a limit allows, at this moment."""
        found: dict[tuple[str, str], str] = {}
        for node in self.site.topology.tree.nodes:
            flows = self.plant.flows(node.id)
            limits = list(node.limits)
            if node.id == "grid":
                limits += self._outside(now)
            for limit in limits:
                for phase in range(3):
                    if limit.phases_ma is not None and flows[phase] > limit.phases_ma[phase]:
                        found[node.id, f"L{phase + 1}"] = (
                            f"{node.id} L{phase + 1}: {flows[phase]} mA > {limit.phases_ma[phase]} of {limit.source}"
                        )
                if limit.power_mw is not None and sum(flows) * 230 > limit.power_mw:
                    found[node.id, "power"] = f"{node.id}: {sum(flows) * 230} mW > {limit.power_mw} of {limit.source}"
                if limit.imbalance_ma is not None and max(flows) - min(flows) > limit.imbalance_ma:
                    found[node.id, "imbalance"] = (
                        f"{node.id}: {max(flows) - min(flows)} mA of imbalance > {limit.imbalance_ma}"
                    )
        return found

    def _outside(self, now: int) -> list[Limit]:
        """What has been heard and is still believed, or is written for the case that nothing is heard."""
        found: list[Limit] = []
        for id, source in self.site.sources.items():
            word = self.heard.get(id)
            lost = word is None or now - word[1] >= source.lost_after_ms
            limit = source.lost_limit if lost or word is None else word[0]
            if limit is not None:
                found.append(limit)
        return found


LIES: tuple[str, ...] = ("vanishes", "nan", "frozen", "sign", "jump", "zero")


TARGETS: tuple[str, ...] = (
    "L1",
    "L2",
    "L3",
    "power",
    *(f"L{a} above L{b}" for a in (1, 2, 3) for b in (1, 2, 3) if a != b),
)


def box_switched_off(seed: int) -> tuple[bool, set[tuple[str, str]]]:
    """The worst that can happen to a site without its box, and what flows above a limit then: (accepted, where).

    For each phase, for power and for each pair of phases a set of cars is looked for that loads it most: on one or
    more conductors, on whichever phase where the wiring is not known, or not there. They take all they can get, the
    building takes what was declared, and every charger has been restarted after we went.
    """
    found: set[tuple[str, str]] = set()
    accepted = True
    for target in TARGETS:
        world = World(seed)
        accepted = world.accepted
        if " " in target and not any(
            limit.imbalance_ma for node in world.site.topology.tree.nodes for limit in node.limits
        ):
            continue
        world.quiet = True
        world.time.run_for(16_000)  # its first cars have come and gone
        world._end()
        for charger in world.chargers.values():
            charger.unplug()
            _plug_worst(charger, target)
        _declared(world)
        for charger in world.chargers.values():
            charger.power(False)
        world.time.run_for(1_000)
        for charger in world.chargers.values():
            charger.power(True)
        world.time.run_for(world.bound_ms + LAG_MS)
        # What sources say nobody hears when the box is off: only what stands at the nodes counts.
        world.site = msgspec.structs.replace(world.site, sources={})
        over = world.over(int(world.time.now()))
        found |= {key for key in over if key[1] == target or (key[1] == "imbalance" and " " in target)}
    return accepted, found


def _plug_worst(charger: SimCharger, target: str) -> None:
    """The car that loads the target most."""
    evse = charger.evse
    if target == "power":
        charger.plug(evse.maximum, 3)
        return
    most = int(target[1]) - 1
    least = int(target[-1]) - 1 if " " in target else None
    for rotation in (charger.rotation,) if evse.rotation else ("RST", "STR", "TRS", "RTS", "SRT", "TSR"):
        for phases in (1, 2, 3):
            if evse.current == "DC" and phases < 3:
                continue
            on = {"RST".index(letter) for letter in rotation[: min(phases, evse.phases)]}
            if most in on and least not in on:
                charger.rotation = rotation
                charger.plug(evse.maximum, phases)
                return


def _declared(world: World) -> None:
    tree = world.site.topology.tree
    for node in tree.nodes:
        own = world.bounds[node.id]
        below = [world.bounds[child.id] for child in tree.nodes if child.parent == node.id]
        l1, l2, l3 = (own[phase] - sum(each[phase] for each in below) for phase in range(3))
        world.plant.side[node.id] = (max(0, l1), max(0, l2), max(0, l3))
