"""How much power is left for the rest of a demand window. Energy decides, not the power of the moment."""

from typing import NamedTuple


class Budget(NamedTuple):
    """`limit_mw` from now on; `held`: the window is so near its end that nothing told now has an effect in it."""

    limit_mw: int
    held: bool


def budget(
    *,
    target_mw: int,
    lasts_ms: int,
    left_ms: int,
    used_uj: int,
    reserve_uj: int = 0,
    react_ms: int = 10_000,
    burst_permille: int = 1_500,
    rising_mw: int = 0,
    last_mw: int | None = None,
) -> Budget:
    """What may flow on average until the window ends, and so now.

    `reserve_uj` is kept free for side loads that rise faster than cars can fall. `rising_mw`: by how much side loads
    are forecast to be higher for the rest of the window than now. Near the end the division would allow (or demand)
    anything: no more than `burst_permille` of the target is ever given, and in the last `react_ms` what was told last
    stays, for the cars cannot follow any more. `last_mw` stays as long as it is right within 1 % of the target: what
    that is off is made good while there is time, and set-points do not tremble.
    """
    if left_ms <= react_ms and last_mw is not None:
        return Budget(last_mw, held=True)
    left = target_mw * lasts_ms - used_uj - reserve_uj
    limit = left // max(left_ms, react_ms, 1) - max(0, rising_mw)
    limit = min(max(0, limit), target_mw * burst_permille // 1_000)
    if last_mw is not None and limit and abs(limit - last_mw) <= target_mw // 100:
        limit = last_mw
    return Budget(limit, held=False)
