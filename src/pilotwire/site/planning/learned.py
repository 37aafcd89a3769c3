"""What a running site learns of itself: what building and sun do, who comes, how long and how much.

`Watch.look` is shown each tick and keeps means of quarters of an hour; `Learned` is what is kept across restarts.
Without any of it plans go by what flows now, and say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from hashlib import blake2b

import msgspec

from pilotwire.domain.planning.habits import Habits, Visit, remember
from pilotwire.domain.planning.profile import QUARTER_MS, Profile, Values, learn
from pilotwire.domain.steering import Site as SteeredSite

from ..compiled import Site
from ..decide import Decision
from ..inputs import DeviceInput, EvseInput, TickInputs
from ..ports import EvseStatus, trusted

FORMAT = 1
EVERY_MS = 5_000
"""Between two samples."""
ENOUGH = 60
"""Samples that make a quarter: five minutes of it."""
LEAST_SOC = 50
"""Per mille that a car's state of charge has to rise before its battery's size is reckoned from it."""


class Stay(msgspec.Struct, frozen=True):
    """A visit that is not over. Energies are of its session, Wh."""

    arrived_ms: int
    session: str
    driver: str
    energy_wh: int = 0
    register_wh: int | None = None
    """The EVSE's register when it came."""
    soc: int | None = None
    """The first that was heard, and the session's energy then."""
    soc_wh: int = 0


class Learned(msgspec.Struct, frozen=True):
    """`sides` by metered node (mA on each phase, without what lies behind meters below), `suns` by inverter (mW)."""

    format: int = FORMAT
    sides: Mapping[str, Profile] = msgspec.field(default_factory=dict[str, Profile])
    suns: Mapping[str, Profile] = msgspec.field(default_factory=dict[str, Profile])
    habits: Habits = Habits()
    stays: Mapping[str, Stay] = msgspec.field(default_factory=dict[str, Stay])


def present(status: EvseStatus) -> bool:
    """Whether a vehicle is plugged in, as far as anybody knows."""
    if status.pilot is not None:
        return status.pilot in ("B", "C", "D")
    return bool(status.session)


def wants(status: EvseStatus) -> bool:
    """Whether it would take more."""
    return present(status) and not status.ended and not status.fault


def driver_of(site: str, token: str) -> str:
    """A digest: whose token it was can be recognised, not read."""
    return blake2b(token.encode(), digest_size=8, key=site.encode()[:64]).hexdigest() if token else ""


def side_loads(site: Site, inputs: TickInputs, decision: Decision) -> dict[str, Values]:
    """What flows at each metered node beside cars, batteries and inverters, and beside what is below other meters."""
    devices = {device.id: device for device in inputs.devices}
    topology, now = site.topology, inputs.now.tick_ms
    voltage = topology.tree.voltage_mv
    found: dict[str, list[int]] = {}
    for node in topology.tree.nodes:
        reading = decision.state.meters.get(node.id)
        fresh = reading is not None and 0 <= now - reading.at_ms <= site.policy.stale_ms
        side = decision.state.energy.sides.get(node.id)
        if node.metered and fresh and side is not None:
            found[node.id] = list(side)
    whole = {id: tuple(side) for id, side in found.items()}
    for id, node in _own(site.steering):
        ma = _power(devices.get(id)) * 1_000 // (3 * voltage)
        for place in topology.above[node]:
            name = topology.names[place]
            if name in found:
                found[name] = [value - ma for value in found[name]]
    for id, load in topology.loads.items():
        # It is shared out to in the tick, but not planned: for the plan it is a part of the building.
        device = devices.get(id)
        ma = max(0, _power(device)) * 1_000 // (load.phases * voltage)
        on = topology.phases(load, load.phases)
        for place in topology.above[load.node] if device is not None and device.online else ():
            name = topology.names[place]
            if name in found:
                found[name] = [value + (ma if phase in on else 0) for phase, value in enumerate(found[name])]
    own = {id: tuple(side) for id, side in found.items()}
    for id in whole:
        above = [topology.names[place] for place in topology.above[id][1:]]
        nearest = next((name for name in above if name in found), None)
        if nearest is not None:
            found[nearest] = [value - less for value, less in zip(found[nearest], own[id], strict=True)]
    return {id: tuple(side) for id, side in found.items()}


def _own(site: SteeredSite | None) -> list[tuple[str, str]]:
    """(id, node) of batteries and inverters."""
    if site is None:
        return []
    return [(each.id, each.node) for each in (*site.config.batteries, *site.config.inverters)]


def _power(device: DeviceInput | None) -> int:
    if device is None:
        return 0
    battery = trusted(device.points, "battery_mw")
    return (battery if battery is not None else trusted(device.points, "power_mw")) or 0


class Watch:
    """Learns. `learned` is what it knows by now."""

    def __init__(self, site: Site, learned: Learned, zone: tzinfo) -> None:
        self.learned = learned
        self._site, self._zone = site, zone
        self._last_ms: int | None = None
        self._quarter: int | None = None
        self._sums: dict[tuple[str, str], tuple[list[int], int]] = {}

    def look(self, inputs: TickInputs, decision: Decision) -> bool:
        """A tick. Whether a quarter or a visit is over with it, which is worth keeping."""
        now = inputs.now
        news = self._visits(inputs)
        if self._last_ms is not None and 0 <= now.tick_ms - self._last_ms < EVERY_MS:
            return news
        self._last_ms = now.tick_ms
        quarter = now.utc_ms - now.utc_ms % QUARTER_MS
        if self._quarter != quarter:
            news = self._over() or news
            self._quarter = quarter
        for id, values in side_loads(self._site, inputs, decision).items():
            self._add(("side", id), values)
        if self._site.steering is not None:
            devices = {device.id: device for device in inputs.devices}
            for each in self._site.steering.config.inverters:
                device = devices.get(each.id)
                if device is not None and (power := trusted(device.points, "power_mw")) is not None:
                    self._add(("sun", each.id), (min(0, power),))
        return news

    def recent(self) -> dict[str, Values]:
        """What has flowed in the quarter that is not over, by node: nobody's single moment."""
        return {
            id: tuple(value // count for value in total)
            for (kind, id), (total, count) in sorted(self._sums.items())
            if kind == "side" and count
        }

    def _add(self, key: tuple[str, str], values: Values) -> None:
        sums, count = self._sums.get(key, ([0] * len(values), 0))
        self._sums[key] = ([was + value for was, value in zip(sums, values, strict=True)], count + 1)

    def _over(self) -> bool:
        """A quarter is over. What was hardly seen of it is not learned."""
        begun, sums = self._quarter, self._sums
        self._sums = {}
        sides, suns = dict(self.learned.sides), dict(self.learned.suns)
        if begun is None:
            return False
        for (kind, id), (total, count) in sorted(sums.items()):
            if count < ENOUGH:
                continue
            mean = tuple(value // count for value in total)
            if kind == "side":
                sides[id] = learn(sides.get(id, Profile()), begun, mean, self._zone)
            else:
                suns[id] = learn(suns.get(id, Profile(kind="day")), begun, mean, self._zone)
        self.learned = msgspec.structs.replace(self.learned, sides=sides, suns=suns)
        return True

    def _visits(self, inputs: TickInputs) -> bool:
        stays, habits = dict(self.learned.stays), self.learned.habits
        changed = False
        for entry in inputs.evses:
            status = entry.status
            if not status.online:
                continue  # nobody says whether the car is still there
            old = stays.get(entry.id)
            there = present(status)
            if old is not None and (not there or _other(old, status)):
                visit = Visit(
                    entry.id, old.driver, old.arrived_ms, inputs.now.utc_ms, old.energy_wh, self._power_mw(entry.id)
                )
                habits = remember(habits, visit)
                del stays[entry.id]
                old, changed = None, True
            if there:
                new = self._stay(old, entry, inputs.now.utc_ms)
                if new != old:
                    stays[entry.id] = new
        if changed or stays != self.learned.stays or habits is not self.learned.habits:
            self.learned = msgspec.structs.replace(self.learned, stays=stays, habits=habits)
        return changed

    def _power_mw(self, id: str) -> int:
        """The most that its EVSE takes from the grid."""
        topology = self._site.topology
        evse = topology.evses.get(id)
        if evse is None:
            return 0
        if evse.current == "DC":
            return evse.maximum * 1_000 // evse.efficiency
        return evse.maximum * topology.tree.voltage_mv * evse.phases // 1_000

    def _stay(self, old: Stay | None, entry: EvseInput, utc_ms: int) -> Stay:
        status = entry.status
        register = trusted(status.points, "energy_import_wh")
        if old is None:
            arrived = min(status.arrived_ms or utc_ms, utc_ms)
            old = Stay(arrived, status.session, driver_of(self._site.id, status.id_token), register_wh=register)
        energy = trusted(status.points, "session_wh")
        if energy is None and register is not None and old.register_wh is not None:
            energy = register - old.register_wh
        taken = max(old.energy_wh, energy or 0)
        soc = status.soc if status.soc is not None else trusted(status.points, "soc_permille")
        first = old.soc is None and soc is not None
        return msgspec.structs.replace(
            old,
            session=old.session or status.session,
            driver=old.driver or driver_of(self._site.id, status.id_token),
            energy_wh=taken,
            soc=soc if first else old.soc,
            soc_wh=taken if first else old.soc_wh,
        )


def _other(old: Stay, status: EvseStatus) -> bool:
    """Whether that is another visit than the one that was seen last, though nobody saw the car go."""
    if old.session and status.session and old.session != status.session:
        return True
    return status.arrived_ms is not None and status.arrived_ms - old.arrived_ms > 60_000


def battery_wh(stay: Stay, soc: int) -> int | None:
    """The size of a car's battery from what it took and by how much its state of charge rose; None: too little yet."""
    if stay.soc is None or soc - stay.soc < LEAST_SOC:
        return None
    return (stay.energy_wh - stay.soc_wh) * 1_000 // (soc - stay.soc)
