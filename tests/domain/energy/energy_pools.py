"""Random worlds in which cars share pools, and an oracle that adds up what each pool gives."""

from __future__ import annotations

import random
from collections.abc import Mapping

import msgspec
from tests.domain.energy.energy_worlds import NOW, Oracle, World, world

from pilotwire.domain.energy import Demand, Limit

PROMISES = (0, 0, 4_000, 8_000, 12_000_000)


def pooled_world(seed: int) -> World:
    """A world whose cars are in one of two pools or in none; the second pool has no limit now and then."""
    here = world(seed)
    draw = random.Random(seed + 1)
    pools = {"pv": (Limit(source="surplus", power_mw=draw.randint(-5_000_000, 60_000_000)),)}
    if draw.random() < 0.6:
        pools["night"] = (
            Limit(source="tariff", phases_ma=(draw.randint(1, 90_000),) * 3, power_mw=draw.randint(1, 60_000_000)),
            Limit(source="over", power_mw=0, until_ms=NOW.utc_ms),
        )
    demands = tuple(
        msgspec.structs.replace(car, pool=draw.choice((None, "pv", "pv", "night")), guaranteed=draw.choice(PROMISES))
        for car in here.demands
    )
    return here._replace(demands=demands, signals=msgspec.structs.replace(here.signals, pools=pools))


class PoolOracle(Oracle):
    """Adds what the pools allow to what the tree allows."""

    def promised(self, id: str, car: Demand) -> int:
        """What does not count against its pool, in its unit."""
        step = self.evses[id].step
        return car.guaranteed // step * step

    def violations(self, values: Mapping[str, int]) -> list[str]:
        found = super().violations(values)
        for pool in sorted({car.pool for car in self.world.demands if car.pool is not None}):
            limits = [
                limit
                for limit in self.world.signals.pools.get(pool, ())
                if limit.until_ms is None or NOW.utc_ms < limit.until_ms
            ] or [Limit(source="unknown", power_mw=0)]
            beyond: dict[str, int] = {}
            for id, car in self.demands.items():
                if car.pool == pool and values.get(id):
                    promised = self.ma(id, self.promised(id, car))
                    beyond[id] = max(0, self.ma(id, values[id]) - promised)
            for limit in limits:
                power = sum(ma * self.used(id) for id, ma in beyond.items()) * self.tree.voltage_mv
                if limit.power_mw is not None and power > max(0, limit.power_mw * 1_000):
                    found.append(f"pool {pool}: {power} µW > {limit.power_mw} mW")
                for phase, most in enumerate(limit.phases_ma or ()):
                    ours = sum(ma for id, ma in beyond.items() if phase in self.may_be_on(id))
                    if ours > max(0, most):
                        found.append(f"pool {pool}: {ours} mA on L{phase + 1} > {most}")
        return found


def faults_with_pools(seed: int) -> list[str]:
    """What is wrong with the first tick of a random world with pools."""
    here = pooled_world(seed)
    result = here.tick()
    found = PoolOracle(here).faults({point.evse: point.value for point in result.set_points})
    found += [f"{id} is not explained" for id, reason in result.reasons.items() if reason.code == "unexplained"]
    draw = random.Random(seed)
    if here._replace(demands=tuple(draw.sample(here.demands, len(here.demands)))).tick() != result:
        found.append("another order of the input gives another result")
    return found
