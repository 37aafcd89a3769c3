"""Who may read, who may write what, and who did. Modbus itself asks nobody for a name.

Nothing is writable that is not named, and nobody writes who is not named: a guard without settings serves loopback, to
be read. What is refused is told with the standard's exceptions: 1 to who may not write at all, 2 for registers that
cannot be written, 3 for values beyond their limits, 6 for too many writes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from decimal import Decimal
from typing import Literal

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import Scheduler
from pilotwire.protocols.modbus.errors import (
    IllegalDataAddress,
    IllegalDataValue,
    IllegalFunction,
    ModbusException,
    RequestError,
    ServerDeviceBusy,
)
from pilotwire.protocols.modbus.pdu import (
    MaskWriteRegister,
    ReadWriteRegisters,
    Request,
    WriteCoil,
    WriteCoils,
    WriteRegister,
    WriteRegisters,
    writes,
)
from pilotwire.protocols.modbus.values import Field, decode_value, encode_value

from .registers import Caller, Handler, Outcome

SERIAL = "serial"
LOOPBACK = ("127.0.0.0/8", "::1/128")
_MINUTE = 60_000
_CALLERS = 256


class Writable(msgspec.Struct, frozen=True, kw_only=True):
    """A value that may be written, and within which limits."""

    address: int
    table: Literal["holding", "coils"] = "holding"
    unit: int | None = None
    """None: every unit's."""
    field: Field = Field(kind="u16")
    """How it lies in its registers. It is written whole or not at all."""
    low: int | Decimal | None = None
    high: int | Decimal | None = None
    """Limits of the scaled value, both allowed themselves."""
    beyond: Literal["refuse", "clamp"] = "refuse"
    """What becomes of a value beyond them; a clamped one is told as done, as the standard has no other word. Mind that
    clamping lifts what is below the low limit: 0 A would become the minimum current."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one server. Clients are addresses or networks, or "serial" for whoever is on the bus."""

    clients: tuple[str, ...] = LOOPBACK
    """Who may connect and read."""
    writers: tuple[str, ...] = ()
    """Who of them may write."""
    writable: tuple[Writable, ...] = ()
    writes_per_minute: int = 600
    """By one client."""


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to write, or a client that was turned away."""

    at: int
    client: str
    unit: int = 0
    request: Request | None = None
    """As it was asked; None: a connection that was refused."""
    done: Request | None = None
    """As it was carried out, after clamping; None: it was not."""
    refused: str = ""
    """Why it was not, in words."""


class _Clients:
    def __init__(self, names: tuple[str, ...]) -> None:
        self._serial = SERIAL in names
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for name in names:
            if name != SERIAL:
                try:
                    self._networks.append(ipaddress.ip_network(name))
                except ValueError:
                    raise ConfigError(f"{name!r} is no address, no network and not {SERIAL!r}") from None

    def holds(self, name: str) -> bool:
        if name == SERIAL:
            return self._serial
        try:
            address = ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self._networks)


class Guard:
    """A `Handler` before another one. `audit` is told of every attempt to write, before its answer goes out."""

    def __init__(
        self, handler: Handler, access: Access, scheduler: Scheduler, audit: Callable[[Audit], None] | None = None
    ) -> None:
        """Raises ConfigError for what is no address or no network, and for limits the wrong way round."""
        self._handler = handler
        self._scheduler = scheduler
        self._audit = audit
        self._clients = _Clients(access.clients)
        self._writers = _Clients(access.writers)
        self._rate = access.writes_per_minute
        self._writable = {(rule.unit, rule.table, rule.address): rule for rule in access.writable}
        self._recent: dict[str, list[int]] = {}
        for rule in access.writable:
            if rule.low is not None and rule.high is not None and rule.low > rule.high:
                raise ConfigError(f"register {rule.address}: the low limit {rule.low} is above the high, {rule.high}")
            for limit in (rule.low, rule.high):
                try:
                    if limit is not None:
                        encode_value(rule.field, limit)
                except RequestError as error:
                    raise ConfigError(f"register {rule.address}: a limit has to fit into its field: {error}") from None

    def admits(self, client: str) -> bool:
        """Whether a client may connect. One that may not is told to the audit."""
        if self._clients.holds(client):
            return True
        self._tell(Audit(at=int(self._scheduler.now()), client=client, refused="not among the clients"))
        return False

    def handle(self, caller: Caller, unit: int, request: Request, reply: Callable[[Outcome], None]) -> None:
        if not writes(request):
            self._handler.handle(caller, unit, request, reply)
            return
        now = int(self._scheduler.now())
        try:
            allowed = self._judged(caller, unit, request, now)
        except ModbusException as error:
            self._tell(Audit(at=now, client=caller.name, unit=unit, request=request, refused=str(error)))
            reply(error)
            return

        def replied(outcome: Outcome) -> None:
            failed = str(outcome) if isinstance(outcome, ModbusException) else ""
            done = None if failed else allowed
            self._tell(Audit(at=now, client=caller.name, unit=unit, request=request, done=done, refused=failed))
            reply(outcome)

        self._handler.handle(caller, unit, allowed, replied)

    def _tell(self, audit: Audit) -> None:
        if self._audit is not None:
            self._audit(audit)

    def _judged(self, caller: Caller, unit: int, request: Request, now: int) -> Request:
        """The request as it may be carried out. Raises ModbusException."""
        if not self._writers.holds(caller.name):
            raise IllegalFunction(text=f"{caller.name} may not write")
        recent = [at for at in self._recent.pop(caller.name, ()) if at > now - _MINUTE]
        if len(self._recent) >= _CALLERS:
            del self._recent[next(iter(self._recent))]
        self._recent[caller.name] = recent
        if len(recent) >= self._rate:
            raise ServerDeviceBusy(text=f"{caller.name} has written {len(recent)} times in a minute")
        recent.append(now)
        match request:
            case WriteRegister(address, value):
                return WriteRegister(address, self._registers(unit, address, (value,))[0])
            case WriteRegisters(address, values):
                return WriteRegisters(address, self._registers(unit, address, values))
            case ReadWriteRegisters(address, count, at, values):
                return ReadWriteRegisters(address, count, at, self._registers(unit, at, values))
            case MaskWriteRegister(address, _, _):
                rule = self._rule(unit, "holding", address)
                if rule.low is not None or rule.high is not None or rule.field.registers != 1:
                    raise IllegalFunction(text="a register with limits is not written by bits")
            case WriteCoil(address, _):
                self._rule(unit, "coils", address)
            case WriteCoils(address, values):
                for at in range(address, address + len(values)):
                    self._rule(unit, "coils", at)
            case _:
                raise IllegalFunction()
        return request

    def _rule(self, unit: int, table: Literal["holding", "coils"], address: int) -> Writable:
        rule = self._writable.get((unit, table, address)) or self._writable.get((None, table, address))
        if rule is None:
            raise IllegalDataAddress(text=f"{address} cannot be written")
        return rule

    def _registers(self, unit: int, address: int, values: tuple[int, ...]) -> tuple[int, ...]:
        """The values as they may be written: each field whole, within its limits."""
        found: list[int] = []
        while len(found) < len(values):
            rule = self._rule(unit, "holding", address + len(found))
            raw = values[len(found) : len(found) + rule.field.registers]
            if len(raw) < rule.field.registers:
                raise IllegalDataAddress(text=f"the value at {rule.address} has {rule.field.registers} registers")
            found += _limited(rule, raw)
        return tuple(found)


def _limited(rule: Writable, raw: tuple[int, ...]) -> list[int]:
    if rule.low is None and rule.high is None:
        return list(raw)
    value = decode_value(rule.field, raw)
    if value is None or isinstance(value, str):
        raise IllegalDataValue(text=f"no number at {rule.address}")
    limit = rule.low if rule.low is not None and value < rule.low else None
    limit = rule.high if rule.high is not None and value > rule.high else limit
    if limit is None:
        return list(raw)
    if rule.beyond == "refuse":
        raise IllegalDataValue(text=f"{value} at {rule.address} is beyond {limit}")
    return encode_value(rule.field, limit)
