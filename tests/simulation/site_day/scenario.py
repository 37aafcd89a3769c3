"""The fixed day: 200 EVSEs on four levels behind a connection that is too small, from 06:00 to 06:00 of the next day.

Offices and shops (public profiles), a PV plant behind the second transformer, a battery, commuters, visitors, a fleet
at night, a few DC chargers. Cars that take less than they say, that draw more than they may, that oversleep. Everything
beyond the profiles is made from one seed. All of it is the truth; what a controller may know is in `Known`.
"""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from pilotwire.domain.energy import Evse, Limit, Node, SiteTree

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".venv" / "profiles" / "bin" / "python"
BEGINS_MS = 1_465_963_200_000
"""2016-06-15 06:00 in Germany (04:00 UTC): the day of the profiles."""
HOUR = 3_600
DAY = 24 * HOUR
_LETTERS = {"R": 0, "S": 1, "T": 2}
V = 230


class Session(NamedTuple):
    """A car at an EVSE. Seconds from the begin of the day."""

    evse: int
    arrives: int
    leaves: int
    declared: int
    """When it says that it will leave."""
    need_wh: float
    phases: int
    max_ma: int
    """What it says that it takes, per phase; of DC what that loads each phase of the grid with."""
    true_ma: float
    """What it really takes."""
    capacity_wh: float
    begin_wh: float
    """State of charge; from 80 % on it takes less and less, down to a fifth."""
    overdraws: float
    """1.06: draws 6 % more than it may."""
    sleeps_s: int
    """So long it does not take anything after a pause."""


class Scenario(NamedTuple):
    """`on[evse]`: the phases that its L1, L2, L3 are really wired to."""

    tree: SiteTree
    true_limits: dict[str, float]
    """Of each node: A on each phase, as the breaker has it."""
    on: tuple[tuple[int, int, int], ...]
    delay_s: tuple[int, ...]
    """Until the charger passes a set-point on."""
    lag_s: tuple[float, ...]
    sessions: tuple[Session, ...]
    building_w: tuple[float, ...]
    """By second: three phases together."""
    building_split: tuple[float, float, float]
    pv_w: tuple[float, ...]
    """By second, what it feeds in (positive), evenly on three phases."""
    building_forecast_w: tuple[float, ...]
    """By quarter."""
    pv_forecast_w: tuple[float, ...]
    target_w: float
    battery_wh: float
    battery_w: float
    import_micro: tuple[int, ...]
    seconds: int
    begins_ms: int = BEGINS_MS
    """UTC of its first second."""


_PROFILES: dict[str, Any] = {}


def profiles() -> dict[str, Any]:
    """What `profiles.py` prints, once for each process."""
    if not _PROFILES:
        if not PYTHON.exists():
            raise FileNotFoundError(
                f"{PYTHON} is missing: tools/setup.sh test makes it from requirements/profiles.lock"
            )
        script = Path(__file__).with_name("profiles.py")
        done = subprocess.run([PYTHON, script], capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise RuntimeError(f"the profiles cannot be made: {done.stderr}")
        _PROFILES.update(json.loads(done.stdout))
    return _PROFILES


def scenario(evses: int = 200, *, begins_h: int = 0, hours: int = 24, seed: int = 7) -> Scenario:
    """The day, or `hours` of it from `begins_h` after 06:00 on, for a site of so many EVSEs."""
    draw = random.Random(seed)
    tree, limits = _tree(evses, draw)
    on = tuple(_wiring(evse, draw) for evse in tree.evses)
    first, last = begins_h * HOUR, (begins_h + hours) * HOUR
    scale = evses / 200
    building, building_forecast = _building(draw, scale)
    pv, pv_forecast = _pv(draw, scale)
    cars = sessions(tree, draw)
    kept = [
        each._replace(
            arrives=each.arrives - first, leaves=min(each.leaves, last) - first, declared=each.declared - first
        )
        for each in cars
        if each.arrives < last and each.leaves > first
    ]
    return Scenario(
        tree=tree,
        true_limits=limits,
        on=on,
        delay_s=tuple(draw.choice((1, 1, 2, 3)) for _ in tree.evses),
        lag_s=tuple(draw.choice((1.0, 2.0, 3.0)) for _ in tree.evses),
        sessions=tuple(kept),
        building_w=tuple(building[first:last]),
        building_split=(0.36, 0.33, 0.31),
        pv_w=tuple(pv[first:last]),
        building_forecast_w=tuple(building_forecast[first // 900 :]),
        pv_forecast_w=tuple(pv_forecast[first // 900 :]),
        target_w=400_000 * scale,
        battery_wh=200_000 * scale,
        battery_w=100_000 * scale,
        import_micro=tuple(_price(quarter) for quarter in range(first // 900, 96 + 48)),
        seconds=last - first,
        begins_ms=BEGINS_MS + first * 1000,
    )


def _tree(evses: int, draw: random.Random) -> tuple[SiteTree, dict[str, float]]:
    limits: dict[str, float] = {"grid": 3.6 * evses, "t0": 2.1 * evses, "t1": 2.1 * evses}
    nodes = [("grid", "connection", None), ("t0", "transformer", "grid"), ("t1", "transformer", "grid")]
    groups: list[str] = []
    for t in range(2):
        for f in range(2):
            feeder = f"t{t}f{f}"
            nodes.append((feeder, "feeder", f"t{t}"))
            limits[feeder] = 1.2 * evses
            for g in range(max(1, evses // 40)):
                group = f"{feeder}g{g}"
                nodes.append((group, "group", feeder))
                limits[group] = float(draw.choice((80, 80, 100, 63)))
                groups.append(group)
    made: list[Evse] = []
    for at in range(evses):
        place = groups[at % len(groups)]
        rotation: Any = draw.choice(("RST", "STR", "TRS", "RST", "STR", "TRS", "RTS", None))
        if at % 15 == 14:
            made.append(
                Evse(id=f"e{at:03}", node=place, current="DC", minimum=5_000_000, maximum=50_000_000, step=500_000)
            )
        else:
            phases: Any = 1 if at % 10 == 3 else 3
            maximum = draw.choice((32_000, 32_000, 16_000))
            made.append(Evse(id=f"e{at:03}", node=place, phases=phases, rotation=rotation, maximum=maximum))
    return (
        SiteTree(nodes=tuple(_node(id, kind, parent, limits[id]) for id, kind, parent in nodes), evses=tuple(made)),
        limits,
    )


def _node(id: str, kind: Any, parent: str | None, amps: float) -> Node:
    """Where a building or the sun flows too, 1 % is kept for what they do within a second."""
    metered = kind in ("connection", "transformer")
    ma = int(amps * (990 if metered else 1000))
    lost = (ma, ma, ma) if metered else None
    return Node(
        id=id, kind=kind, parent=parent, limits=(Limit(source="fuse", phases_ma=(ma, ma, ma)),),
        metered=metered, side_lost_ma=lost,
    )  # fmt: skip


def _wiring(evse: Evse, draw: random.Random) -> tuple[int, int, int]:
    if evse.current == "DC":
        return (0, 1, 2)
    letters = evse.rotation or draw.choice(("RST", "STR", "TRS"))
    a, b, c = (_LETTERS[letter] for letter in letters)
    return a, b, c


def _at(quarters: list[float], second: int) -> float:
    """Between the middles of quarters, of the clock (the day begins at 06:00)."""
    place = ((second + 6 * HOUR) % DAY) / 900 - 0.5
    low = int(place // 1) % 96
    share = place - place // 1
    return quarters[low] * (1 - share) + quarters[(low + 1) % 96] * share


def _building(draw: random.Random, scale: float) -> tuple[list[float], list[float]]:
    known = profiles()
    base = [
        150_000 * offices + 60_000 * shops + 15_000 * housing + 12_000
        for offices, shops, housing in zip(known["offices"], known["shops"], known["housing"], strict=True)
    ]
    found: list[float] = []
    wobble = 0.0
    lift = 0
    for second in range(DAY):
        wobble += -wobble / 120 + draw.gauss(0, 120)
        if not lift and draw.random() < 1 / 900:
            lift = draw.randint(30, 400)  # a lift, a chiller: 15 kW from one second to the next
        lift = max(0, lift - 1)
        found.append((max(3_000.0, _at(base, second) + wobble) + (15_000 if lift else 0)) * scale)
    forecast = [base[(quarter + 24) % 96] * scale + 3_000 * scale for quarter in range(96)]
    return found, forecast


def _pv(draw: random.Random, scale: float) -> tuple[list[float], list[float]]:
    known = profiles()
    clear: list[float] = known["clear_sky"]
    peak = 220_000 * scale
    mean = [sum(clear[quarter * 15 : quarter * 15 + 15]) / 15 for quarter in range(96)]
    # How much of the clear sky the measured plant of that day saw, the shape from pvlib, passing clouds from the seed.
    seen = [
        min(1.0, max(0.3, cloud / sky)) if sky > 0.05 else 1.0 for cloud, sky in zip(known["clouds"], mean, strict=True)
    ]
    found: list[float] = []
    cloud, gone = 1.0, 1.0
    for second in range(DAY):
        if draw.random() < 1 / 300:
            gone = draw.choice((1.0, 1.0, 0.8, 0.55))
        cloud += (gone - cloud) / 15
        minute = ((second + 6 * HOUR) % DAY) // 60
        found.append(peak * clear[minute] * _at(seen, second) * cloud)
    forecast = [peak * mean[(quarter + 24) % 96] * seen[(quarter + 24) % 96] * 0.85 for quarter in range(96)]
    return found, forecast


def _price(quarter: int) -> int:
    hour = (quarter // 4 + 6) % 24
    if hour in (7, 8, 18, 19, 20):
        return 340_000
    return 190_000 if 11 <= hour < 15 or hour < 5 else 260_000


def sessions(tree: SiteTree, draw: random.Random) -> list[Session]:
    """The cars of a working day."""
    found: list[Session] = []
    for at, evse in enumerate(tree.evses):
        kind = draw.random()
        if evse.current == "DC":
            begins = draw.randint(0, 2 * HOUR)
            for _ in range(4):
                stay = draw.randint(HOUR // 2, HOUR)
                found.append(_car(draw, evse, at, begins, begins + stay, 25_000, 45_000))
                begins += stay + draw.randint(HOUR, 3 * HOUR)
            continue
        if kind < 0.75:
            arrives = int(min(5 * HOUR, max(0, draw.gauss(2.2 * HOUR, 0.8 * HOUR))))
            leaves = int(max(arrives + 2 * HOUR, draw.gauss(10.5 * HOUR, 1.0 * HOUR)))
            found.append(_car(draw, evse, at, arrives, leaves, 15_000, 45_000))
        else:
            leaves = 0
            for _ in range(2):
                arrives = leaves + draw.randint(HOUR, 4 * HOUR)
                leaves = arrives + draw.randint(HOUR, 3 * HOUR)
                found.append(_car(draw, evse, at, arrives, leaves, 8_000, 25_000))
        if draw.random() < 0.6:
            arrives = max(leaves + HOUR // 4, int(draw.gauss(13 * HOUR, HOUR)))
            found.append(_car(draw, evse, at, arrives, draw.randint(22 * HOUR, 24 * HOUR), 20_000, 50_000))
    return found


def _car(draw: random.Random, evse: Evse, at: int, arrives: int, leaves: int, least: int, most: int) -> Session:
    need = draw.uniform(least, most)
    capacity = draw.choice((40_000, 58_000, 77_000))
    need = min(need, capacity * 0.75)
    begin = min(capacity - need, capacity * draw.uniform(0.1, 0.4))
    if evse.current == "DC":
        phases, max_ma = 3, int(evse.maximum * 1_000_000 / (3 * V * 1000 * evse.efficiency))
    else:
        phases, max_ma = draw.choice(
            ((3, 16_000), (3, 16_000), (3, 16_000), (1, 32_000), (1, 16_000), (2, 16_000), (3, 32_000))
        )
        phases = min(phases, evse.phases)
        max_ma = min(max_ma, evse.maximum)
    odd = draw.random()
    return Session(
        evse=at, arrives=arrives, leaves=leaves, declared=leaves - draw.randint(0, 900), need_wh=need, phases=phases,
        max_ma=max_ma, true_ma=max_ma * (0.75 if odd < 0.06 else 0.98), capacity_wh=capacity, begin_wh=begin,
        overdraws=1.06 if 0.06 <= odd < 0.1 else 1.0, sleeps_s=180 if 0.1 <= odd < 0.15 else 0,
    )  # fmt: skip
