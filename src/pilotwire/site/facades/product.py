"""The map of a product, served for an EVSE of any kind: drivers that know the product just work.

Which registers there are says the same device file that our own driver of that product reads; what they say comes from
the EVSE's status, and what is written becomes an order for the control loop (`orders`). As of the product itself:

- what it is told counts until its watchdog is over, and its fail-safe current then; whoever keeps it content as the
  product wants it (by writing the set-point again, or by reading anything) keeps the order alive;
- values outside of what the product takes are refused with exception 3; less than its minimum is a pause where the
  product knows one;
- the plug is set free where the EVSE can do that, is told 0 and gives nothing; else the answer is exception 4 or 6;
- while the EVSE cannot be reached, reading fails with exception 11: nothing old is shown as new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.protocols.modbus.errors import (
    GatewayTargetFailed,
    IllegalDataValue,
    ModbusException,
    RequestError,
    ServerDeviceBusy,
    ServerDeviceFailure,
)
from pilotwire.site.devices.bank import DeviceBank, access_of
from pilotwire.site.devices.layout import TABLES, Layout, inputs
from pilotwire.site.devices.schema import DeviceFile
from pilotwire.site.ports import Attended, EvseDriver, Told
from pilotwire.transport.modbus.guard import Writable
from pilotwire.transport.modbus.registers import Table

from .cells import Context
from .figures import Figures, figures_of
from .orders import ExternalLimits, Order, each
from .quirks import NO_QUIRKS, QUIRKS, Quirks

__all__ = ["ProductConfig", "ProductUnit", "product_units"]


class ProductConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an installer would have set up in the product."""

    watchdog_ms: int | None = None
    """None: as the product is delivered. 0: it has none until a client sets one."""
    failsafe_ma: int | None = None
    """None: as the product is delivered."""
    node: str = "grid"
    """Of the tree: what a limit for all outlets of a station is for (CHARX 167)."""


class _Socket:
    """One outlet of the imitated product."""

    def __init__(
        self, layout: Layout, driver: EvseDriver, limits: ExternalLimits, channel: str, config: ProductConfig
    ) -> None:
        self.layout = layout
        self.driver = driver
        self.limits = limits
        self.channel = f"{channel}/{driver.id}"
        able = layout.device.abilities
        self.keepalive = able.keepalive if able else None
        delivered = (able.watchdog_ms or 0) if able else 0
        self.watchdog_ms = delivered if config.watchdog_ms is None else config.watchdog_ms
        failsafe = able.failsafe_ma if able and able.failsafe_ma is not None else 0
        self.failsafe_ma = failsafe if config.failsafe_ma is None else config.failsafe_ma
        self.limit_ma: int | None = None
        self.enabled: bool | None = None
        self.phases: int | None = None
        self.client = ""
        """Who has told it something last; empty: nobody has yet."""
        self.until_ms: int | None = None

    @property
    def place(self) -> str:
        return f"evse {self.driver.id}"

    def fallen(self, now: int) -> bool:
        """The watchdog has bitten."""
        return self.until_ms is not None and now >= self.until_ms

    def in_force(self, now: int) -> int | None:
        """The set-point that counts; None: nobody has said one."""
        if self.fallen(now):
            return self.failsafe_ma
        return 0 if self.enabled is False else self.limit_ma

    def told(self, name: str, value: int, context: Context) -> None:
        """A command of a client."""
        match name:
            case "limit_ma":
                self.limit_ma = value
            case "limit_mw":
                self.limit_ma = value * 1000 // (230_000 * max(1, self.driver.abilities.phases))
            case "enable":
                self.enabled = bool(value)
            case "phase_switch":
                self.phases = 1 if value == 1 else 3
            case "failsafe_ma":
                self.failsafe_ma = value
            case "watchdog_ms":
                self.watchdog_ms = value
            case _:
                return  # it stands in its register, and changes nothing for the EVSE
        self.client = context.client
        if self.until_ms is None or self.keepalive in (name, "read") or name == "watchdog_ms" or not self.watchdog_ms:
            self.until_ms = context.now + self.watchdog_ms if self.watchdog_ms else None
        self.order(context.now)

    def unlock(self, now: int) -> None:
        """Set the plug free. Raises ModbusException where that cannot be, or not now."""
        driver = self.driver
        if not isinstance(driver, Attended) or not driver.unlocks:
            raise ServerDeviceFailure(text=f"the plug of {driver.id} cannot be set free from here")
        if self.in_force(now) != 0 or driver.status().pilot in ("C", "D"):
            raise ServerDeviceBusy(text=f"{driver.id} has to be disabled first, and its current to end")
        told: list[Told] = []
        driver.unlock(told.append)
        if told and not told[0].ok:
            raise ServerDeviceFailure(text=f"{driver.id}: {told[0].error}")

    def asked(self, now: int) -> None:
        """Somebody reads or writes something."""
        if self.keepalive == "read" and self.client and self.watchdog_ms:
            self.until_ms = now + self.watchdog_ms
            self.order(now)

    def order(self, now: int) -> None:
        self.limits.put(
            Order(
                channel=self.channel,
                client=self.client,
                evse=self.driver.id,
                phases_ma=None if self.limit_ma is None else each(self.limit_ma),
                enable=self.enabled,
                phases=None if self.phases is None else 1 if self.phases == 1 else 3,
                until_ms=self.until_ms,
                after_ma=None if self.until_ms is None else each(self.failsafe_ma),
            ),
            now,
        )


class ProductUnit:
    """One unit with one outlet of the product or several. Fits `cells.Served`."""

    def __init__(
        self,
        device: DeviceFile,
        unit: int,
        drivers: Mapping[int, EvseDriver],
        limits: ExternalLimits,
        channel: str,
        config: ProductConfig,
    ) -> None:
        """`drivers` by outlet, from 1. Raises ConfigError."""
        self.device = device
        self.unit = unit
        self._bank = DeviceBank()
        self._heard: list[tuple[Layout, str, int]] = []
        self._quirks: Quirks = QUIRKS.get(device.id, NO_QUIRKS)
        self._sockets: dict[int, _Socket] = {}
        self._limits, self._channel, self._node = limits, channel, config.node
        for outlet, driver in drivers.items():
            layout = self._bank.add(device, unit=unit, outlet=outlet, told=self._note)
            self._sockets[outlet] = _Socket(layout, driver, limits, channel, config)
            for fill in self._quirks.fills:
                start, end = (at + self._move(outlet) for at in (fill.first, fill.end))
                for address in range(start, end):
                    if not self._there(fill.table, address):
                        self._bank.poke(unit, fill.table, address, [fill.value])
            for command in self._quirks.commands:
                self._bank.poke(unit, "holding", command.address + self._move(outlet), [command.first])

        for socket in self._sockets.values():
            socket_limit = socket.driver.abilities.maximum if socket.driver.abilities.unit == "mA" else 32_000
            for name, value in (("limit_ma", socket_limit), ("failsafe_ma", socket.failsafe_ma)):
                self._first(socket.layout, name, value)
        for fill in self._quirks.station_fills:
            self._bank.poke(unit, fill.table, fill.first, [fill.value] * (fill.end - fill.first))

    @property
    def objects(self) -> Mapping[int, bytes]:
        wanted = self.device.identify.device_id if self.device.identify else {}
        return {number: text.encode("latin-1", "replace") for number, text in wanted.items()}

    def rules(self, unit: int) -> tuple[Writable, ...]:
        """All that the file's commands write, and the few more that the product has."""
        more = tuple(
            Writable(address=command.address + self._move(outlet), unit=unit)
            for outlet in self._sockets
            for command in self._quirks.commands
        )
        if self._quirks.group_limit is not None:
            more += (Writable(address=self._quirks.group_limit, unit=unit),)
        taken = {rule.address for rule in more}
        return (*(rule for rule in access_of(self._bank).writable if rule.address not in taken), *more)

    def read(self, context: Context, table: Table, address: int, count: int) -> Sequence[int]:
        """Raises GatewayTargetFailed while an EVSE cannot be reached, IllegalDataAddress as the product would."""
        shown: list[Figures] = []
        for outlet, socket in self._sockets.items():
            socket.asked(context.now)
            figures = figures_of(socket.driver, context.now)
            shown.append(figures)
            if not figures.online:
                if self._is_of(socket, address):
                    raise GatewayTargetFailed(text=f"{socket.driver.id} does not answer")
                continue
            self._show(outlet, socket, figures, context.now)
        for place, at, registers in self._quirks.station(shown):
            self._bank.poke(self.unit, place, at, registers)
        return self._bank.read(self.unit, table, address, count)

    def write(self, context: Context, table: Table, address: int, values: Sequence[int]) -> None:
        """Raises ModbusException, and nothing was done then."""
        for socket in self._sockets.values():
            socket.asked(context.now)
        before = self._bank.read(self.unit, table, address, len(values))
        if table == "holding" and address == self._quirks.group_limit and len(values) == 1:
            self._bank.poke(self.unit, table, address, values)
            self._limits.put(
                Order(
                    channel=f"{self._channel}/group",
                    client=context.client,
                    node=self._node,
                    phases_ma=each(1000 * values[0]),
                ),
                context.now,
            )
            return
        self._heard.clear()
        try:
            self._bank.write(self.unit, table, address, values)
            orders = [self._checked(layout, name, value) for layout, name, value in self._heard]
            orders += self._more(table, address, values)
            if not orders and not self._beside(table, address):
                raise IllegalDataValue(text=f"nothing can be made of what was written to {address}")
            for socket in [socket for socket, name, _ in orders if name == "unlock"]:
                socket.unlock(context.now)
        except ModbusException:
            self._bank.poke(self.unit, table, address, before)
            raise
        for socket, name, value in orders:
            socket.told(name, value, context)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _strided(self) -> int:
        outlets = self.device.outlets
        return outlets.stride if outlets else 0

    def _is_of(self, socket: _Socket, address: int) -> bool:
        """Whether a register is of that outlet, where there are several in one unit."""
        if not self._strided:
            return True
        first = min(cell.want.address for cell in socket.layout.cells.values())
        return address // self._strided == first // self._strided

    def _move(self, outlet: int) -> int:
        return self._strided * (outlet - 1)

    def _there(self, table: Table, address: int) -> bool:
        try:
            self._bank.read(self.unit, table, address, 1)
        except ModbusException:
            return False
        return True

    def _first(self, layout: Layout, name: str, value: int) -> None:
        """What a command's register says before a client has written to it."""
        order = layout.orders.get(name)
        if order is None:
            return
        low, high = order.command.range or (value, value)
        try:
            writes = layout.writes(name, max(low, min(high, value)) if value else 0)
        except RequestError:
            return  # it has no word for 0
        for write in writes:
            if write.address == order.want.address:
                self._bank.poke(self.unit, write.table, write.address, write.values)

    def _note(self, layout: Layout, name: str, value: int) -> None:
        self._heard.append((layout, name, value))

    def _socket(self, layout: Layout) -> _Socket:
        return next(each for each in self._sockets.values() if each.layout is layout)

    def _checked(self, layout: Layout, name: str, value: int) -> tuple[_Socket, str, int]:
        command = layout.orders[name].command
        if command.range is not None:
            low, high = command.range
            pause = command.pause is not None and 0 <= value < low
            off = name == "watchdog_ms" and value == 0
            if not pause and not off and not low <= value <= high:
                raise IllegalDataValue(text=f"{name} is from {low} to {high}, not {value}")
            if pause:
                value = 0
        return self._socket(layout), name, value

    def _more(self, table: Table, address: int, values: Sequence[int]) -> list[tuple[_Socket, str, int]]:
        found: list[tuple[_Socket, str, int]] = []
        for outlet, socket in self._sockets.items():
            for command in self._quirks.commands:
                at = command.address + self._move(outlet) - address
                if table != "holding" or not 0 <= at < len(values):
                    continue
                if values[at] not in command.values:
                    raise IllegalDataValue(text=f"{command.name} is none of {sorted(command.values)}")
                found.append((socket, command.name, command.values[values[at]]))
        return found

    def _beside(self, table: Table, address: int) -> bool:
        """A register that is written along with commands: it says nothing by itself."""
        for socket in self._sockets.values():
            for order in socket.layout.orders.values():
                for side in (*order.before, *order.after):
                    if TABLES[side.want.function] == table and side.want.address == address:
                        return True
        return False

    def _show(self, outlet: int, socket: _Socket, figures: Figures, now: int) -> None:
        layout = socket.layout
        for name, value in _points(socket, figures, now).items():
            if value is None or (name not in layout.cells and name not in layout.derived):
                continue
            point = self.device.points[name]
            if name in layout.derived and all(not each.startswith("_") for each in inputs(point)):
                continue  # made of points that are shown themselves
            try:
                self._bank.put(layout, name, value)
            except (RequestError, ValueError, KeyError):
                continue  # the product has no word for it: its register stays as it was
        move = self._move(outlet)
        for table, address, registers in self._quirks.more(figures, socket.in_force(now), socket.until_ms, now):
            self._bank.poke(self.unit, table, address + move, registers)


def _points(socket: _Socket, figures: Figures, now: int) -> dict[str, int | str | None]:
    """What the product would say of the EVSE, in base units; None: nothing."""
    status, able = figures.status, socket.driver.abilities
    amps = [each or 0 for each in figures.amps_ma]
    volts = [each or (230_000 if figures.power_mw is not None else 0) for each in figures.volts_mv]
    force = socket.in_force(now)
    offered = status.offered if able.unit == "mA" else None
    verified = socket.layout.orders.get("limit_ma")
    if force is not None and verified is not None and verified.verify == "offered_ma":
        offered = force  # read back to see whether the set-point was taken
    pilot = status.pilot or "F"
    return {
        "state": "E" if status.fault and pilot not in ("E", "F") else pilot,
        "cable": int(pilot in ("B", "C", "D")),
        **{f"current_l{n}_ma": amps[n - 1] for n in (1, 2, 3)},
        **{f"voltage_l{n}_mv": volts[n - 1] for n in (1, 2, 3)},
        **{f"power_l{n}_mw": amps[n - 1] * volts[n - 1] // 1000 for n in (1, 2, 3)},
        "current_ma": max(amps),
        "power_mw": figures.power_mw or 0,
        "apparent_mva": abs(figures.power_mw or 0),
        "power_factor_permille": 1000,
        "frequency_mhz": figures.get("frequency_mhz") or 50_000,
        "energy_import_wh": figures.energy_wh,
        "energy_export_wh": figures.get("energy_export_wh") or 0,
        "session_wh": figures.session_wh,
        "session_s": figures.session_s,
        "soc_permille": figures.soc,
        "phases": status.phases or able.phases,
        "error": int(bool(status.fault)),
        "offered_ma": able.maximum if offered is None else offered,
        "limit_ma": socket.limit_ma if socket.limit_ma is not None else able.maximum,
        "enable": int(socket.enabled is not False),
        "failsafe_ma": socket.failsafe_ma,
        "watchdog_ms": socket.watchdog_ms,
        "id_token": status.id_token,
        "serial": None,
    }


def product_units(
    device: DeviceFile,
    first: int | None,
    drivers: Sequence[EvseDriver],
    limits: ExternalLimits,
    channel: str,
    config: ProductConfig,
) -> dict[int, ProductUnit]:
    """The units that serve `drivers`, the first at unit `first` (None: the product's own, or 1
    where there is no room behind that). A product with several
    outlets in one unit has them there; otherwise each EVSE is a unit of its own, one after the other.

    Raises ConfigError for more EVSEs than the product has outlets.
    """
    start = device.modbus.unit if first is None else first
    if first is None and start + len(drivers) > 256:
        start = 1  # a product that is unit 255 can be there once only
    outlets = device.outlets
    if outlets is not None and not outlets.units:
        if len(drivers) > outlets.count:
            raise ConfigError(f"{device.id} has {outlets.count} outlets, not {len(drivers)}")
        return {start: ProductUnit(device, start, dict(enumerate(drivers, 1)), limits, channel, config)}
    return {
        start + at: ProductUnit(device, start + at, {1: driver}, limits, channel, config)
        for at, driver in enumerate(drivers)
    }
