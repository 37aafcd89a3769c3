"""Derived points the other way round: what their parts have to say, that they come out as wanted."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

from pilotwire.protocols.modbus.errors import RequestError

from .cells import inputs, make, whole
from .schema import DeviceFile, Point


def unmake(device: DeviceFile, name: str, value: int | str) -> dict[str, int | str]:
    """Values of what a derived point is made from, so that it comes out as `value`. Raises RequestError."""
    point = device.points[name]
    if point.cases:
        return _uncase(point, name, value)
    if point.product:
        raise RequestError(f"{name} is a product: set {' and '.join(point.product)}")
    plus = [each for each in point.sum if not each.startswith("-")]
    minus = [each[1:] for each in point.sum if each.startswith("-")]
    number = whole((Decimal(-int(value) if point.invert else int(value)) - point.offset) / point.scale)
    if plus and minus:
        found: dict[str, int | str] = dict.fromkeys([*plus, *minus], 0)
        found[plus[0] if number >= 0 else minus[0]] = abs(number)
        return found
    share, rest = divmod(number if plus else -number, len(point.sum))
    return {each: share + (1 if at < rest else 0) for at, each in enumerate(plus or minus)}


def _uncase(point: Point, name: str, value: int | str) -> dict[str, int | str]:
    helpers = sorted(inputs(point))
    choices: list[list[int | str]] = []
    for helper in helpers:
        seen = {each for case in point.cases for each in case.when.get(helper, ())}
        other = next(each for each in range(99) if each not in seen)
        choices.append([*sorted(seen, key=str), other])
    for attempt in product(*choices):
        values = dict(zip(helpers, attempt, strict=True))
        if make(point, values) == value:
            return values
    raise RequestError(f"{name} has no case for {value!r}")
