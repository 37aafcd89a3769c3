"""What energy costs now, and which hours are the cheapest until a car leaves."""

from collections.abc import Iterator

from .calendar import holds
from .config import Config
from .inputs import External, Price

QUARTER_MS = 900_000
HORIZON_MS = 48 * 3_600_000


def price_at(config: Config, external: External, at_ms: int) -> tuple[Price, str] | None:
    """(price, who says so): day-ahead prices come before the table of rates; None where neither knows."""
    for price in external.prices:
        if price.from_ms <= at_ms < price.until_ms:
            return price, "day-ahead prices"
    for rate in config.rates:
        if holds(rate.span, at_ms, config.zone):
            begin = at_ms // QUARTER_MS * QUARTER_MS
            return Price(begin, begin + QUARTER_MS, rate.import_micro, rate.export_micro), "time of use"
    return None


def needed_ms(energy_wh: int, power_mw: int) -> int:
    """How long that energy takes at that power, rounded up."""
    return -(-energy_wh * 3_600_000_000 // max(1, power_mw))


def is_cheapest(config: Config, external: External, needs_ms: int, until_ms: int, now_ms: int) -> bool | None:
    """Whether now is among the cheapest quarters that together last `needs_ms` before `until_ms`.

    Of equally cheap ones the earlier come first, so that nothing is left to the end. None: no price is known for some
    of that time and what is known is not enough to wait for, so nobody can say.
    """
    if now_ms + needs_ms >= until_ms:
        return True  # no time to choose
    slots: list[tuple[int, int, int]] = []
    gaps = False
    for begin, end in _quarters(now_ms, min(until_ms, now_ms + HORIZON_MS)):
        known = price_at(config, external, begin)
        if known is None:
            gaps = True
        else:
            slots.append((known[0].import_micro, begin, end - begin))
    left = needs_ms
    for _, begin, lasts in sorted(slots):
        if left <= 0:
            break
        if begin == now_ms:
            return True
        left -= lasts
    if left > 0 and gaps:
        return None
    return False


def _quarters(begin: int, until: int) -> Iterator[tuple[int, int]]:
    at = begin
    while at < until:
        end = min(until, (at // QUARTER_MS + 1) * QUARTER_MS)
        yield at, end
        at = end
