"""The register server: one holding register to write, and behind it what became of it.

| Register | | |
|---|---|---|
| +0 | written | the limit in %, kW or W; 65535: none |
| +1 | in force | the same unit; 65535: none |
| +2 | state | 0: never written, 1: as written, 2: the watchdog has run out |
| +3 | left | seconds of the watchdog; 65535: there is none |
| +4, +5 | power | at the node, W, signed, import positive; 0x80000000: not known |

Each write has to come from a client on the list, within its rate and range; a repeated value feeds the watchdog.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from pilotwire.core.time import Scheduler
from pilotwire.domain.telecontrol import NO_LIMIT, RegisterState, in_force, written
from pilotwire.protocols.modbus.errors import IllegalDataValue
from pilotwire.protocols.modbus.server import ServerConfig
from pilotwire.protocols.modbus.values import Field, Value
from pilotwire.site.facades.cells import ABSENT, Cell, Context, FacadeHandler, Unit, u16
from pilotwire.transport.modbus.guard import Access, Audit, Guard
from pilotwire.transport.modbus.server import Server

from .config import RegisterEntry

__all__ = ["RegisterServer"]


class RegisterServer:
    """One register at work. `changed` is called when something has been written, `power` gives mW at the node."""

    def __init__(
        self,
        entry: RegisterEntry,
        state: RegisterState,
        scheduler: Scheduler,
        power: Callable[[str], int | None],
        changed: Callable[[], None],
        audit: Callable[[Audit], None] | None = None,
    ) -> None:
        """Raises ConfigError for clients that are none."""
        self.entry, self.state = entry, state
        self.port: int | None = None
        """Where it listens."""
        self._power, self._changed, self._scheduler = power, changed, scheduler
        at = entry.address

        def shown(address: int, name: str, field: Field) -> Cell:
            return Cell(address=address, name=name, field=field)

        cells = [
            Cell(address=at, name="written", field=u16(), write=True, low=0, high=entry.rules.maximum),
            shown(at + 1, "in_force", u16()), shown(at + 2, "state", u16(absent=None)), shown(at + 3, "left", u16()),
            shown(at + 4, "power", Field(kind="s32", factor=Decimal(1000), absent=(0x8000_0000,))),
        ]  # fmt: skip
        unit = Unit(cells, self._shown, self._wrote)
        access = Access(
            clients=entry.clients, writers=entry.writers, writable=unit.rules(entry.unit),
            writes_per_minute=entry.writes_per_minute,
        )  # fmt: skip
        self.guard = Guard(FacadeHandler({entry.unit: unit}, lambda: int(scheduler.now())), access, scheduler, audit)
        self._server = Server(self.guard, ServerConfig(units=frozenset((entry.unit,))), scheduler, connections=4)

    async def open(self) -> None:
        """Listen. Raises ConfigError."""
        self.port = await self._server.listen(self.entry.host, self.entry.port)

    async def close(self) -> None:
        """Hang up on everybody."""
        await self._server.close()

    def _shown(self, context: Context) -> Callable[[Cell], Value]:
        now = in_force(self.entry.rules, self.state, context.now)
        power = self._power(self.entry.rules.node)
        figures: Mapping[str, int | None] = {
            "written": _limit(self.state.raw),
            "in_force": _limit(now.raw),
            "state": 2 if now.lost else 0 if self.state.raw is None else 1,
            "left": None if now.left_ms is None else min(65_534, now.left_ms // 1_000),
            "power": power,
        }
        return lambda cell: figures[cell.name]

    def _wrote(self, context: Context, values: Mapping[str, int | Decimal | str]) -> None:
        value = values["written"]
        raw = NO_LIMIT if value == ABSENT else int(value)
        try:
            self.state = written(self.entry.rules, raw, context.client, context.now)
        except ValueError as error:
            raise IllegalDataValue(text=str(error)) from None
        self._changed()


def _limit(raw: int | None) -> int | None:
    return None if raw == NO_LIMIT else raw
