"""Our own map, served: the site, a command that expires, and a block for each EVSE. `docs/guide/modbus-map.md` says
how it is laid out; `own_table` is both.

A client writes what it wants of the command block in as many requests as it likes; nothing counts until `sequence` is
written, which takes all of it at once. What a client has prepared is its own: two that write at the same time never
make a mixture. In an EVSE's block one request is one command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.domain.energy.model import Phases
from pilotwire.protocols.modbus.errors import IllegalDataAddress, IllegalDataValue
from pilotwire.protocols.modbus.values import Value
from pilotwire.site.entered import DEPARTURE, ENERGY, enter, want
from pilotwire.site.ports import EvseDriver

from .cells import ABSENT, Cell, Context, Unit
from .figures import OCPP_STATUS, Figures, SiteStatus, figures_of
from .orders import FIGHT_WINDOW_MS, ExternalLimits, Order, each
from .own_table import (
    COMMAND_END,
    EVSE,
    HEADER_CELLS,
    LAYOUT,
    MAGIC,
    MOST_EVSES,
    SET_NAMES,
    SITE_CELLS,
    STRIDE,
    command_cells,
    evse_cells,
)

__all__ = ["OwnConfig", "own_unit"]

_PREPARING = 32
"""Clients whose unfinished commands are kept."""
_STATES = {None: 0, "A": 1, "B": 2, "C": 3, "D": 4, "E": 5, "F": 6}


class OwnConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be asked of the site by our own map."""

    node: str = "grid"
    """Node of the tree that a command is for."""
    maximum_ma: int = 6_553_400
    """Hard limits: more is refused with exception 3."""
    maximum_mw: int = 4_294_967_294_000
    longest_s: int = 3600
    """Most that a command may hold."""
    default_s: int = 60
    """How long what is written to an EVSE's block holds where no validity was written with it."""


class _Own:
    def __init__(
        self,
        config: OwnConfig,
        drivers: Sequence[EvseDriver],
        site: Callable[[], SiteStatus],
        limits: ExternalLimits,
        started: int,
        channel: str,
    ) -> None:
        self.config = config
        self.drivers = drivers
        self.site = site
        self.limits = limits
        self.started = started
        self.channel = channel
        self.prepared: dict[str, dict[str, int]] = {}
        self.taken: dict[str, int] = dict.fromkeys(SET_NAMES, 0) | {
            "set_power": ABSENT, "set_l1": ABSENT, "set_l2": ABSENT, "set_l3": ABSENT, "fallback": ABSENT,
        }  # fmt: skip
        self.written: dict[int, dict[str, int]] = {}
        self.names: dict[int, tuple[int, str]] = {}
        """By a cell's address: the EVSE's number from 0 (-1: the site's) and what its name is there."""

    def shown(self, context: Context) -> Callable[[Cell], Value | int]:
        blocks: dict[int, Mapping[str, Value | int]] = {}

        def show(cell: Cell) -> Value | int:
            number, name = self.names[cell.address]
            block = blocks.get(number)
            if block is None:
                block = self.head(context) if number < 0 else self.evse(number, context.now)
                blocks[number] = block
            return block[name]

        return show

    def head(self, context: Context) -> dict[str, Value | int]:
        now, site = context.now, self.site()
        order = self.limits.order(self.channel, f"node {self.config.node}")
        alive = order is not None and order.until_ms is not None and now < order.until_ms
        amps = None if order is None else order.phases_ma if alive else order.after_ma
        power = order.power_mw if order is not None and alive else None
        fallen = order is not None and not alive and order.after_ma is not None
        mine = self.prepared.get(context.client, {})
        limit: Sequence[int | None] = site.limit_ma or (None,) * 3
        return {
            "magic": MAGIC, "layout": LAYOUT, "nodes": site.nodes, "evses": len(self.drivers),
            "first": EVSE, "stride": STRIDE, "heartbeat": (now - self.started) // 1000 & 0xFFFF,
            "power": site.power_mw, "trouble": int(bool(site.trouble)), "trouble_text": site.trouble,
            **{f"current_l{n}": site.phases_ma[n - 1] for n in (1, 2, 3)},
            **{f"limit_l{n}": limit[n - 1] for n in (1, 2, 3)},
            "limit_power": site.limit_mw, "limiting": site.limiting, "reason": site.reason,
            **{name: _shown(mine.get(name, self.taken[name])) for name in SET_NAMES},
            "accepted": self.taken["sequence"],
            "remaining": _seconds(order, now),
            "applied": 1 if alive else 2 if fallen else 0,
            "applied_power": power,
            **{f"applied_l{n}": None if amps is None or amps[n - 1] >= _NO_LIMIT else amps[n - 1] for n in (1, 2, 3)},
            "conflict": self.conflict(f"node {self.config.node}", now),
        }  # fmt: skip

    def evse(self, number: int, now: int) -> dict[str, Value | int]:
        driver = self.drivers[number]
        figures = figures_of(driver, now)
        order = self.limits.order(f"{self.channel}/{driver.id}", f"evse {driver.id}")
        alive = order is not None and order.until_ms is not None and now < order.until_ms
        written = self.written.get(number, {}) if alive else {}
        return {
            **_measured(number, driver, figures),
            "set_max": _shown(written.get("set_max", ABSENT)),
            "set_enable": written.get("set_enable", 1),
            "set_priority": written.get("set_priority", 0),
            "set_validity": written.get("set_validity", self.config.default_s),
            "set_power": _shown(written.get("set_power", ABSENT)),
            **self.entered(driver, now),
            "applied": int(alive), "remaining": _seconds(order, now),
            "conflict": self.conflict(f"evse {driver.id}", now),
        }  # fmt: skip

    def entered(self, driver: EvseDriver, now: int) -> dict[str, int | None]:
        """What has been said of the car that is there, by whomever."""
        found, utc = self.limits.at(now).evses.get(driver.id), self.site().utc_ms
        if found is None or found.entered is None or utc is None:
            return {"set_departure": None, "set_energy": None}
        leaves, still = found.entered.departure_ms, want(driver.status(), found.entered, utc)
        return {
            "set_departure": None if leaves is None else max(0, (leaves - utc) // 1000),
            "set_energy": still.energy_wh if still.energy_by == "entered" else None,
        }

    def say(self, context: Context, driver: EvseDriver, told: Mapping[str, int]) -> None:
        """Of the car that is there: when it leaves, and what it still wants. Raises IllegalDataValue."""
        utc = self.site().utc_ms
        place = f"evse {driver.id}"
        leaves, energy = (None if told.get(name, ABSENT) == ABSENT else told[name] for name in _CAR)
        if leaves is not None or energy is not None:
            if utc is None:
                raise IllegalDataValue(text="the site is starting")
            order = Order(channel="", client=context.client, evse=driver.id)
            departure = None if leaves is None else utc + 1000 * leaves
            if why := enter(self.limits, order, driver.status(), context.now, utc, departure, energy):
                raise IllegalDataValue(text=why)
        for name, channel in _CAR.items():
            if told.get(name) == ABSENT:
                self.limits.drop(channel, place)

    def conflict(self, place: str, now: int) -> int:
        return int(any(each.place == place and now - each.at_ms < FIGHT_WINDOW_MS for each in self.limits.fights))

    def wrote(self, context: Context, values: Mapping[str, int | Decimal | str]) -> None:
        found: dict[int, dict[str, int]] = {}
        for key, value in values.items():
            number, _, name = key.rpartition(".")
            found.setdefault(int(number) - 1 if number else -1, {})[name] = int(value)
        if len(found) != 1:
            raise IllegalDataAddress(text="one request is for one block")
        ((number, told),) = found.items()
        if number < 0:
            self.site_told(context, told)
        else:
            self.evse_told(context, number, told)

    def site_told(self, context: Context, told: Mapping[str, int]) -> None:
        mine = {**self.prepared.pop(context.client, {}), **told}
        if "sequence" not in told:
            while len(self.prepared) >= _PREPARING:
                del self.prepared[next(iter(self.prepared))]
            self.prepared[context.client] = mine
            return
        asked = {**self.taken, **mine}
        if asked["validity"] < 1:
            raise IllegalDataValue(text="a command needs a validity")
        fallback = asked["fallback"]
        self.limits.put(
            Order(
                channel=self.channel,
                client=context.client,
                node=self.config.node,
                phases_ma=_phases(asked["set_l1"], asked["set_l2"], asked["set_l3"]),
                power_mw=None if asked["set_power"] == ABSENT else asked["set_power"],
                until_ms=context.now + 1000 * asked["validity"],
                after_ma=None if fallback == ABSENT else each(fallback),
            ),
            context.now,
        )
        self.taken = asked

    def evse_told(self, context: Context, number: int, told: Mapping[str, int]) -> None:
        driver = self.drivers[number]
        self.say(context, driver, told)
        told = {name: value for name, value in told.items() if name not in _CAR}
        if not told:
            return
        channel, place = f"{self.channel}/{driver.id}", f"evse {driver.id}"
        old = self.limits.order(channel, place)
        alive = old is not None and old.until_ms is not None and context.now < old.until_ms
        asked = {**(self.written.get(number, {}) if alive else {}), **told}
        most, power = asked.get("set_max", ABSENT), asked.get("set_power", ABSENT)
        enable = asked.get("set_enable")
        self.limits.put(
            Order(
                channel=channel,
                client=context.client,
                evse=driver.id,
                phases_ma=None if most == ABSENT else each(most),
                power_mw=None if power == ABSENT else power,
                enable=None if enable is None else bool(enable),
                priority=asked.get("set_priority"),
                until_ms=context.now + 1000 * asked.get("set_validity", self.config.default_s),
            ),
            context.now,
        )
        self.written[number] = asked


_CAR = {"set_departure": DEPARTURE, "set_energy": ENERGY}
_NO_LIMIT = 1_000_000_000
"""mA: of a phase of which nothing was said while something was of another."""


def _phases(*amps: int) -> Phases | None:
    if all(each == ABSENT for each in amps):
        return None
    one, two, three = (_NO_LIMIT if each == ABSENT else each for each in amps)
    return one, two, three


def _shown(value: int) -> int | None:
    return None if value == ABSENT else value


def _seconds(order: Order | None, now: int) -> int:
    if order is None or order.until_ms is None:
        return 0
    return min(65_535, max(0, -(-(order.until_ms - now) // 1000)))


def _measured(number: int, driver: EvseDriver, figures: Figures) -> dict[str, Value | int]:
    status, abilities = figures.status, driver.abilities
    amps = abilities.unit == "mA"
    return {
        "number": number + 1, "id": driver.id, "online": int(figures.online), "state": _STATES[status.pilot],
        "ocpp_status": OCPP_STATUS[figures.ocpp], "phases": status.phases or 0,
        "offered": status.offered if amps else None, "offered_power": None if amps else status.offered,
        "unit": 0 if amps else 1,
        "minimum": abilities.minimum if amps else None, "maximum": abilities.maximum if amps else None,
        **{f"current_l{n}": figures.amps_ma[n - 1] for n in (1, 2, 3)},
        **{f"voltage_l{n}": figures.volts_mv[n - 1] for n in (1, 2, 3)},
        "power": figures.power_mw, "energy": figures.energy_wh, "session_energy": figures.session_wh,
        "session_time": figures.session_s, "soc": figures.soc, "age": figures.age_ms,
        "error": int(bool(status.fault)), "error_text": status.fault,
    }  # fmt: skip


def own_unit(
    config: OwnConfig,
    drivers: Sequence[EvseDriver],
    site: Callable[[], SiteStatus],
    limits: ExternalLimits,
    started: int,
    *,
    channel: str = "own",
) -> Unit:
    """The unit that serves our own map; the EVSEs' blocks lie in the order of `drivers`. `started` is when the
    heartbeat was 0. Raises ConfigError for more EVSEs than there is room for."""
    if len(drivers) > MOST_EVSES:
        raise ConfigError(f"{len(drivers)} EVSEs do not fit into the map: {MOST_EVSES} do")
    own = _Own(config, drivers, site, limits, started, channel)
    head = (*HEADER_CELLS, *SITE_CELLS, *command_cells(config.maximum_ma, config.maximum_mw, config.longest_s))
    cells = list(head)
    own.names = {cell.address: (-1, cell.name) for cell in head}
    for number, driver in enumerate(drivers):
        base = EVSE + STRIDE * number
        most = min(config.maximum_ma, driver.abilities.maximum) if driver.abilities.unit == "mA" else config.maximum_ma
        for cell in evse_cells(most, config.maximum_mw, config.longest_s):
            own.names[base + cell.address] = (number, cell.name)
            cells.append(msgspec.structs.replace(cell, address=base + cell.address, name=f"{number + 1}.{cell.name}"))
    return Unit(
        cells, own.shown, own.wrote,
        gaps=((0, COMMAND_END), (EVSE, EVSE + STRIDE * len(drivers))),
        objects={0: b"Pilotwire", 1: b"site", 2: b"%d" % LAYOUT},
    )  # fmt: skip
