"""What a battery can do now, from its configuration, its own limits and its state of charge."""

from collections.abc import Mapping, Sequence

from .config import Battery
from .inputs import Measured
from .site import Site

LAST_SECONDS = 300
"""Its last energy is spread over this, so that it fades instead of falling away and cars can follow."""
REACT_SECONDS = 8
"""So long a car may take to follow."""


def usable_wh(battery: Battery, measured: Measured, reserve_permille: int) -> int:
    """What it can still give to the site above a reserve, its losses taken off; 0 for one that is not heard of."""
    cell = measured.batteries.get(battery.id)
    if cell is None:
        return 0
    return battery.capacity_wh * max(0, cell.soc_permille - reserve_permille) * battery.efficiency // 1_000_000


def free_wh(battery: Battery, measured: Measured) -> int:
    """What it can still take."""
    cell = measured.batteries.get(battery.id)
    if cell is None:
        return 0
    return (
        battery.capacity_wh * max(0, battery.full_permille - cell.soc_permille) * 1_000 // (1_000 * battery.efficiency)
    )


def discharge_most(battery: Battery, measured: Measured, reserve_permille: int) -> int:
    """The power that it can give now without going below a reserve (or the backup)."""
    cell = measured.batteries.get(battery.id)
    if cell is None:
        return 0
    limit = battery.discharge_mw if cell.discharge_mw is None else min(battery.discharge_mw, max(0, cell.discharge_mw))
    energy = usable_wh(battery, measured, max(reserve_permille, battery.backup_permille))
    return min(limit, energy * 3_600_000 // LAST_SECONDS)


def fading_mw(battery: Battery, measured: Measured, gives_mw: int) -> int:
    """By how much it will give less when a car that is lowered now has followed; 0 unless its energy is at an end.

    Its state of charge comes in steps of one per mille, so that may be a step at once.
    """
    if gives_mw <= 0:
        return 0
    energy = usable_wh(battery, measured, battery.backup_permille) * 3_600_000 // LAST_SECONDS
    step = battery.capacity_wh * battery.efficiency * 3_600 // (1_000 * LAST_SECONDS)
    return max(0, gives_mw * REACT_SECONDS // LAST_SECONDS + step + gives_mw - energy)


def charge_most(battery: Battery, measured: Measured) -> int:
    """The power that it can take now."""
    cell = measured.batteries.get(battery.id)
    if cell is None:
        return 0
    limit = battery.charge_mw if cell.charge_mw is None else min(battery.charge_mw, max(0, cell.charge_mw))
    return min(limit, free_wh(battery, measured) * 3_600_000 // LAST_SECONDS)


def mean_soc(site: Site, ids: Sequence[str], measured: Measured) -> int | None:
    """The state of charge of several together, by their capacity."""
    known = [(site.batteries[id].capacity_wh, measured.batteries[id].soc_permille) for id in ids]
    capacity = sum(wh for wh, _ in known)
    return sum(wh * soc for wh, soc in known) // capacity if capacity else None


def split(total_mw: int, most_mw: Mapping[str, int], weight: Mapping[str, int]) -> dict[str, int]:
    """`total_mw` (≥ 0) over several by weight, none above its most; what one cannot take goes to the others."""
    shares: dict[str, int] = dict.fromkeys(sorted(most_mw), 0)
    left = min(total_mw, sum(most_mw.values()))
    open_ids: list[str] = [id for id in shares if most_mw[id] > 0]
    while left > 0 and open_ids:
        weights = {id: max(1, weight.get(id, 0)) for id in open_ids}
        together = sum(weights.values())
        given = 0
        for id in open_ids:
            part = min(most_mw[id] - shares[id], left * weights[id] // together)
            shares[id] += part
            given += part
        left -= given
        open_ids = [id for id in open_ids if shares[id] < most_mw[id]]
        if not given:
            for id in open_ids:  # less than one mW each by weight
                if left <= 0:
                    break
                shares[id] += 1
                left -= 1
            open_ids = [id for id in open_ids if shares[id] < most_mw[id]]
    return shares
