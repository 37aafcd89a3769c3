"""How an output's current is shared between its modules: equally, within what each can, none below its least."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """One module's bounds."""

    most: int
    least: int = 0


def share(total: int, parts: Sequence[Part]) -> list[int]:
    """mA for each of `parts`, in their order; the sum is at most `total`, and is `total` if they can.

    If an equal share would be below a module's least current, the last ones get nothing. The first may get less than
    its least: the vehicle's request is a limit, the module's accuracy is not.
    """
    shares = [0] * len(parts)
    if total <= 0:
        return shares
    active = [index for index, part in enumerate(parts) if part.most > 0]
    while len(active) > 1 and total // len(active) < max(parts[i].least for i in active):
        active.pop()
    left = total
    # Who can give the least is served first; what it cannot give the others take over.
    for count, index in enumerate(sorted(active, key=lambda i: parts[i].most)):
        shares[index] = min(parts[index].most, left // (len(active) - count))
        left -= shares[index]
    return shares
