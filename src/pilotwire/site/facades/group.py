"""Registers by which a whole group is limited: FLEXeCHARGE's single one, and the group (SCN) of Alfen's unit 200."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec

from pilotwire.core.time import to_datetime
from pilotwire.protocols.modbus.errors import IllegalDataValue
from pilotwire.protocols.modbus.values import Field, Value

from .cells import Cell, Context, Unit, text, u16
from .figures import SiteStatus
from .orders import ExternalLimits, Order, each

__all__ = ["GroupConfig", "alfen_station_unit", "single_register_unit"]

_OPEN = 1_000_000_000
"""mA: of a phase of which nothing was said."""


class GroupConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a group's register limits."""

    node: str = "grid"
    maximum_ma: int = 6_553_500
    """More is refused with exception 3."""
    validity_s: int | None = None
    """How long what was written holds; None: the single register until it is written again, the SCN's 60 s."""
    safe_ma: int | None = None
    """What each phase may draw then; None: what the site's own limits allow."""


def single_register_unit(config: GroupConfig, limits: ExternalLimits, *, channel: str) -> Unit:
    """Holding register 0: what the whole group may draw on each phase, in A. 0 suspends it. The site's own limits
    always hold."""
    cell = Cell(address=0, name="limit", field=u16(1000, absent=None), tables=("holding",), write=True, low=0,
                high=config.maximum_ma)  # fmt: skip
    place = f"node {config.node}"

    def shown(context: Context) -> Callable[[Cell], Value]:
        order = limits.order(channel, place)
        alive = order is not None and (order.until_ms is None or context.now < order.until_ms)
        amps = None if order is None else order.phases_ma if alive else order.after_ma
        return lambda cell: config.maximum_ma if amps is None else amps[0]

    def wrote(context: Context, values: Mapping[str, int | Decimal | str]) -> None:
        amps = int(values["limit"])
        until = None if config.validity_s is None else context.now + 1000 * config.validity_s
        after = None if config.safe_ma is None else each(config.safe_ma)
        limits.put(
            Order(channel=channel, client=context.client, node=config.node, phases_ma=each(amps), until_ms=until,
                  after_ma=after), context.now,
        )  # fmt: skip

    return Unit([cell], shown, wrote)


_F32 = Field(kind="f32", factor=Decimal(1000), absent=(0xFFFFFFFF,))
_U32 = Field(kind="u32")
_S16 = Field(kind="s16")
_DATE = ("year", "month", "day", "hour", "minute", "second")


def _at(address: int, name: str, field: Field) -> Cell:
    return Cell(address=address, name=name, field=field, tables=("holding",))


def alfen_station_unit(
    config: GroupConfig,
    sockets: int,
    site: Callable[[], SiteStatus],
    limits: ExternalLimits,
    started: int,
    *,
    channel: str,
) -> Unit:
    """Unit 200 of an Alfen station: who it is, and the group that it is in, with a limit for each phase that holds for
    its validity time. Each phase is written by itself, and expires by itself."""
    validity = 60 if config.validity_s is None else config.validity_s
    place = f"node {config.node}"
    cells = [
        _at(100, "name", text(17)), _at(117, "maker", text(5)), _at(122, "table", Field(kind="s16")),
        _at(123, "firmware", text(17)), _at(140, "platform", text(17)), _at(157, "serial", text(11)),
        *(_at(168 + at, name, _S16) for at, name in enumerate(_DATE)), _at(174, "uptime", Field(kind="u64")),
        _at(178, "timezone", _S16),
        _at(1100, "max_current", _F32), _at(1102, "temperature", _F32), _at(1104, "ocpp", u16(absent=None)),
        _at(1105, "sockets", u16(absent=None)),
        _at(1400, "group", text(4)), _at(1404, "group_sockets", u16(absent=None)),
        *(_at(1403 + 2 * n, f"total_l{n}", _F32) for n in (1, 2, 3)),
        *(_at(1409 + 2 * n, f"actual_l{n}", _F32) for n in (1, 2, 3)),
        *(
            Cell(address=1415 + 2 * n, name=f"max_l{n}", field=_F32, tables=("holding",), write=True, low=0,
                 high=config.maximum_ma)
            for n in (1, 2, 3)
        ),
        *(_at(1421 + 2 * n, f"valid_l{n}", _U32) for n in (1, 2, 3)),
        _at(1429, "safe", _F32), _at(1431, "enabled", u16(absent=None)),
    ]  # fmt: skip

    def order(phase: int) -> Order | None:
        return limits.order(f"{channel}/L{phase}", place)

    def shown(context: Context) -> Callable[[Cell], Value]:
        status = site()

        def show(cell: Cell) -> Value:
            phase = int(cell.name[-1]) if cell.name[-3:-1] == "_l" else 0
            told = order(phase) if phase else None
            left = 0 if told is None or told.until_ms is None else max(0, told.until_ms - context.now)
            own = None if not phase or status.limit_ma is None else status.limit_ma[phase - 1]
            match cell.name.partition("_l")[0]:
                case "total":
                    return status.phases_ma[phase - 1]
                case "max":
                    return config.maximum_ma if told is None or told.phases_ma is None else told.phases_ma[phase - 1]
                case "actual":
                    amps = None if told is None else told.phases_ma if left else told.after_ma
                    mine = None if amps is None else amps[phase - 1]
                    return mine if own is None else own if mine is None else min(own, mine)
                case "valid":
                    return -(-left // 1000)
                case _:
                    if cell.name in _DATE:
                        return int(getattr(to_datetime(context.now), cell.name))
                    return fixed.get(cell.name, context.now - started if cell.name == "uptime" else None)

        return show

    fixed: dict[str, Value] = {
        "name": "Pilotwire site", "maker": "Alfen NV", "table": 1, "firmware": "6.0.0", "platform": "NG910",
        "serial": "PW000001", "max_current": config.maximum_ma, "ocpp": 1, "sockets": sockets, "group": config.node[:8],
        "group_sockets": sockets, "safe": config.safe_ma, "enabled": 1, "timezone": 0,
    }  # fmt: skip

    def wrote(context: Context, values: Mapping[str, int | Decimal | str]) -> None:
        for name, value in values.items():
            if isinstance(value, str):
                raise IllegalDataValue()
            phase, amps = int(name[-1]), int(value)
            one, two, three = (amps if n == phase else _OPEN for n in (1, 2, 3))
            safe = _OPEN if config.safe_ma is None else config.safe_ma
            after = (safe if phase == 1 else _OPEN, safe if phase == 2 else _OPEN, safe if phase == 3 else _OPEN)
            limits.put(
                Order(channel=f"{channel}/L{phase}", client=context.client, node=config.node,
                      phases_ma=(one, two, three), until_ms=context.now + 1000 * validity,
                      after_ma=None if config.safe_ma is None else after), context.now,
            )  # fmt: skip

    return Unit(cells, shown, wrote, gaps=((100, 180), (1100, 1106), (1400, 1432)))
