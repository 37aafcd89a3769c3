"""Directed bad luck: for each rule that keeps a site safe a world in which nothing else would.

Random worlds have room to spare nearly always, so that a missing rule rarely shows. Here more cars than capacity are
plugged in, the building takes at the worst moment what its operator has declared, and exactly one thing fails. Seeds
vary how slow cars and chargers are and when it happens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
from tests.simulation.site_faults.world import Memory, World

from pilotwire.domain.energy import Limit
from pilotwire.site.compiled import Site

Blind = Callable[[Site], Site]
"""What the loop believes of its configuration; the oracle goes on with the real one."""

HEAD = """
site: {id: directed}
nodes:
  - {id: grid, kind: connection, meter: m0, side_lost_a: 30, limits: [{source: fuse, current_a: 63}]}
  - {id: f0, kind: feeder, parent: grid, limits: [{source: fuse, current_a: 40}]}
devices: [{id: m0, kind: meter, file: none, endpoint: none}]
failsafe: {current_a: 6, watchdog_s: 20, meter_s: 5, frozen_s: 15}
policy: {hold_s: 30}
sources:
  - {id: cloud, node: grid, lost_after_s: 20, lost_limit: {source: cloud lost, current_a: 56}}
evses:
"""
FOUR = HEAD + "\n".join(
    f"  - {{id: e{at}, node: grid, rotation: RST, maximum_a: 32, charger: {{ocpp: E{at}}}}}" for at in range(4)
)
"""Four cars of 32 A behind 63 A; the building takes up to 30."""
NO_WATCHDOG = HEAD.replace("current_a: 6,", "current_a: 0,") + "\n".join(
    (
        "  - {id: e0, node: f0, rotation: RST, maximum_a: 32, has_failsafe: false, charger: {ocpp: E0}}",
        "  - {id: e1, node: f0, rotation: RST, maximum_a: 32, charger: {ocpp: E1}}",
        "  - {id: e2, node: f0, rotation: RST, maximum_a: 32, charger: {ocpp: E2}}",
    )
)
"""A feeder without a meter, and on it a charger that keeps what it was told last for ever."""
LONG_WORD = FOUR.replace("lost_after_s: 20,", "lost_after_s: 600,")
"""What the cloud says counts for ten minutes."""


class Scene(NamedTuple):
    text: str
    play: Callable[[Directed], None]


class Directed(World):
    """A world without luck: `play` says what happens, the oracle is the same."""

    def __init__(self, scene: Scene, seed: int, blind: Blind | None = None) -> None:
        self.scene = scene
        super().__init__(seed, text=scene.text, blind=blind)
        self.quiet = True

    def played(self) -> Directed:
        """After the scene and as much time as any fault of it may last, twice."""
        self.plant.side.clear()
        for charger in self.chargers.values():
            charger.unplug()
        self.run_s(20)
        self.time.run_for(self.draw.randint(0, 1_500))
        self.scene.play(self)
        self.time.run_for(2 * self.bound_ms)
        return self

    def run_s(self, seconds: int) -> None:
        self.time.run_for(seconds * 1_000)

    def plug_all(self) -> None:
        for charger in self.chargers.values():
            charger.plug(charger.evse.maximum, 3)
        self.run_s(60)

    def hang(self) -> None:
        """The loop alone: its drivers go on, and what is heard still comes in."""
        assert self.loop is not None and self.loop._timer is not None
        self.loop._timer.cancel()

    def building(self, amps: int) -> None:
        self.plant.side["grid"] = (amps * 1_000, amps * 1_000, amps * 1_000)


def _unanswered(world: Directed) -> None:
    """It takes a command up, its answer is lost, and so is the wire; then others come."""
    world.plug_all()
    first, *others = world.chargers.values()
    first.mute = True
    for charger in others:
        charger.unplug()
    world.run_s(60)
    first.link = False
    world.run_s(5)
    for charger in others:
        charger.plug(32_000, 3)


def _not_heard(world: Directed) -> None:
    """The wire to one that has all it wants is cut; then others come."""
    first, *others = world.chargers.values()
    first.plug(32_000, 3)
    world.run_s(60)
    first.link = False
    world.run_s(5)
    for charger in others:
        charger.plug(32_000, 3)


def _killed(world: Directed) -> None:
    """We are gone, and nobody starts us again; then the building takes what was declared."""
    world.plug_all()
    world._end()
    world.building(30)


def _deaf(world: Directed) -> None:
    """Two chargers answer when they are read, and take no command any more; then the building wants its own."""
    world.plug_all()
    for charger in list(world.chargers.values())[2:]:
        charger.unplug()
    world.run_s(60)
    for charger in list(world.chargers.values())[:2]:
        charger.deaf = True
    world.building(30)


def _deaf_for_long(world: Directed) -> None:
    """They stay deaf: whenever they are spoken to again they have what they had."""
    _deaf(world)
    world.time.run_for(4 * world.bound_ms)


def _deaf_at_our_start(world: Directed) -> None:
    """We are killed with all that is stored, and begin again before any watchdog fires; two chargers have gone deaf."""
    world.plug_all()
    for charger in list(world.chargers.values())[2:]:
        charger.unplug()
    world.run_s(60)
    world._end()
    for charger in list(world.chargers.values())[:2]:
        charger.deaf = True
    world.memory = Memory()
    world.run_s(5)
    world._restart()
    world.building(30)


def _hangs(world: Directed) -> None:
    """We hang, and two chargers do not take what our drivers then tell them; then the building wants its own."""
    world.plug_all()
    for charger in list(world.chargers.values())[:2]:
        charger.deaf = True
    world.hang()
    world.run_s(20)
    world.building(30)


def _heard_while_we_hang(world: Directed) -> None:
    """The cloud lowers its limit while we hang, then we are killed, and the cloud is gone when we begin anew."""
    world.plug_all()
    world.hang()
    world.said["cloud"] = Limit(source="cloud", phases_ma=(40_000, 40_000, 40_000))
    world.run_s(6)
    world._end()
    world.reach["cloud"] = False
    world.run_s(2)
    world._restart()


def _frozen(world: Directed) -> None:
    """The meter repeats its last figures; then the building takes what was declared."""
    world.plug_all()
    world.meters["m0"].lie = "frozen"
    world.run_s(2)
    world.building(30)


def _zero(world: Directed) -> None:
    """The meter says 0 A while cars charge."""
    world.plug_all()
    world.building(30)
    world.run_s(30)
    world.meters["m0"].lie = "zero"


def _meter_lost(world: Directed) -> None:
    """The meter is gone; then the building takes what was declared."""
    world.plug_all()
    world.meters["m0"].link = False
    world.building(30)


def _source_lost(world: Directed) -> None:
    """The cloud allows everything, then it is gone; what is written for its loss is less."""
    world.plug_all()
    world.reach["cloud"] = False


SCENES: dict[str, Scene] = {
    "for who is not heard that much is kept free which it may be drawing": Scene(NO_WATCHDOG, _not_heard),
    "fail-safe registers are set when a charger comes": Scene(FOUR, _killed),
    "an unanswered command counts with the most that it may have made of it": Scene(NO_WATCHDOG, _unanswered),
    "a deaf charger is left alone until its watchdog fires": Scene(FOUR, _deaf),
    "it is left alone again for as long as it is deaf": Scene(FOUR, _deaf_for_long),
    "who has been deaf since before our start is left alone too": Scene(FOUR, _deaf_at_our_start),
    "who does not take its fall-back while we hang is not even read": Scene(FOUR, _hangs),
    "a word is kept when it is heard": Scene(LONG_WORD, _heard_while_we_hang),
    "a meter that stands still is not believed": Scene(FOUR, _frozen),
    "a meter that shows less than our cars draw is not believed": Scene(FOUR, _zero),
    "a meter is lost after its deadline": Scene(FOUR, _meter_lost),
    "a source is lost after its deadline": Scene(FOUR, _source_lost),
}


def meter_for_ever(site: Site) -> Site:
    """A loop that believes the last reading whatever its age."""
    return msgspec.structs.replace(site, policy=msgspec.structs.replace(site.policy, stale_ms=10**12))


def source_for_ever(site: Site) -> Site:
    """A loop that believes the last word whatever its age."""
    sources = {id: msgspec.structs.replace(each, lost_after_ms=10**12) for id, each in site.sources.items()}
    return msgspec.structs.replace(site, sources=sources)
