"""Carrying out commands on one device: one after the other, each read back, the later of two for one register alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

import msgspec

from pilotwire.core.errors import PilotwireError
from pilotwire.core.time import Scheduler
from pilotwire.protocols.modbus.client import WRITE, Outcome
from pilotwire.protocols.modbus.errors import RequestError
from pilotwire.protocols.modbus.pdu import (
    Bits,
    Registers,
    Request,
    WriteCoil,
    WriteCoils,
    WriteRegister,
    WriteRegisters,
)
from pilotwire.protocols.modbus.planner import Block, Want, plan
from pilotwire.site.ports import Told

from .layout import Layout, Order, Reading, Write, inputs

Done = Callable[[Told], None]


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How often a device is asked."""

    fast_ms: int = 1000
    slow_ms: int = 10_000
    offline_after: int = 3
    """So many cycles in a row without any answer: the device is offline."""
    again_ms: int = 60_000
    """What the device has refused is asked for again after so long."""
    verify_ms: int = 300
    verify_tries: int = 4
    """A device that takes a moment to take a command is read back so often, so far apart."""
    first_ms: int = 0
    """The first cycle begins so much later, so that the devices of a bus do not all begin at once."""


class DriverCounts(msgspec.Struct):
    """What has happened since the driver was made."""

    cycles: int = 0
    failed: int = 0
    """Cycles without any answer."""
    skipped: int = 0
    """Cycles that were not begun because the last was not over."""
    refused: int = 0
    """Reads that the device answered with an exception."""
    written: int = 0
    """Registers or groups of registers that were written."""
    unverified: int = 0
    """Commands that were written and read back otherwise."""
    replaced: int = 0
    """Commands that were not written because a later one took their place."""


class Host(Protocol):
    """The driver that a `Teller` works for."""

    pace: Pace
    counts: DriverCounts
    scales: dict[Want, Sequence[int]]
    """Scale factors that have been read."""

    @property
    def layout(self) -> Layout: ...

    def ask(self, request: Request, done: Callable[[Outcome], None], rank: int) -> None:
        """A request to the device."""
        ...

    def confirmed(self, name: str, value: int) -> None:
        """What was read back after a command."""
        ...


class _Job:
    """A command that waits or is being carried out."""

    __slots__ = ("done", "name", "tries", "value", "verify", "write", "writes")

    def __init__(self, name: str, value: int, done: Done, write: bool, verify: bool) -> None:
        self.name = name
        self.value = value
        self.done = done
        self.write = write
        self.verify = verify
        self.writes: list[Write] = []
        self.tries = 0


class Teller:
    """See the module's head."""

    def __init__(self, host: Host, scheduler: Scheduler) -> None:
        self._host = host
        self._scheduler = scheduler
        self._jobs: list[_Job] = []
        self._job: _Job | None = None
        self._stopped = False

    def begin(self) -> None:
        """Commands may come."""
        self._stopped = False

    def stop(self) -> None:
        """What waits is told that it will not be done; what is on its way ends by itself."""
        self._stopped = True
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            job.done(Told(False, "the driver was stopped"))

    def tell(self, name: str, value: int, done: Done, write: bool, verify: bool) -> None:
        """One command, that the layout has."""
        for at, waiting in enumerate(self._jobs):
            if waiting.name == name:
                self._host.counts.replaced += 1
                self._jobs[at] = _Job(name, value, done, write, verify)
                waiting.done(Told(False, "a later one took its place"))
                return
        self._jobs.append(_Job(name, value, done, write, verify))
        self._next()

    def _next(self) -> None:
        if self._job is not None or not self._jobs or self._stopped:
            return
        job = self._job = self._jobs.pop(0)
        try:
            writes = self._host.layout.writes(job.name, job.value, self._peek)
            job.writes = writes if job.write else []
        except (PilotwireError, KeyError) as error:
            self._finish(Told(False, str(error)))
            return
        self._write()

    def _peek(self, want: Want) -> Sequence[int]:
        got = self._host.scales.get(want)
        if got is None:
            raise RequestError("the device's scale factor has not been read yet")
        return got

    def _write(self) -> None:
        job = self._job
        assert job is not None
        if not job.writes:
            self._verify()
            return
        write = job.writes.pop(0)
        self._host.ask(request_of(write), self._wrote, WRITE)

    def _wrote(self, outcome: Outcome) -> None:
        if isinstance(outcome, Exception):
            self._finish(Told(False, str(outcome)))
            return
        self._host.counts.written += 1
        self._write()

    def _verify(self) -> None:
        job = self._job
        assert job is not None
        order = self._host.layout.orders[job.name]
        if order.verify is None or not job.verify:
            self._finish(Told(True))
            return
        wants = self._verify_wants(order)
        try:
            blocks = plan([want for want in wants if want not in self._host.scales], self._host.layout.limits)
        except RequestError as error:
            self._finish(Told(False, f"it cannot be read back: {error}"))
            return
        got: dict[Want, Sequence[int] | PilotwireError] = {}
        if not blocks:
            self._compare(order, got)
            return

        def answered(block: Block, outcome: Outcome) -> None:
            for want in block.wants:
                if isinstance(outcome, Registers | Bits):
                    got[want] = [int(each) for each in block.take(want, outcome.values)]
                else:
                    got[want] = cast(PilotwireError, outcome)
            if len(got) == sum(len(each.wants) for each in blocks):
                self._compare(order, got)

        for block in blocks:
            self._host.ask(block.request, lambda outcome, block=block: answered(block, outcome), WRITE)

    def _verify_wants(self, order: Order) -> list[Want]:
        if order.verify == "self":
            sides = [side.want for side in (*order.before, *order.after)] if order.command.magnitude else []
            return [order.want, *sides]
        names, wants = [order.verify or ""], list[Want]()
        while names:
            name = names.pop()
            if name in self._host.layout.cells:
                wants += self._host.layout.cells[name].wants
            elif name in self._host.layout.device.points:
                names += inputs(self._host.layout.device.points[name])
        return wants

    def _compare(self, order: Order, got: Mapping[Want, Sequence[int] | PilotwireError]) -> None:
        job = self._job
        if job is None:
            return
        failed = next((each for each in got.values() if isinstance(each, PilotwireError)), None)
        if failed is not None:
            self._finish(Told(False, f"it cannot be read back: {failed}"))
            return
        found = self._found(order, got)
        wanted = self._wanted(order, job.value)
        if isinstance(found, int) and abs(found - wanted) <= order.command.tolerance:
            name = order.name if order.verify == "self" else order.verify or order.name
            if name in self._host.layout.names or order.verify == "self":
                self._host.confirmed(name, found)
            self._finish(Told(True))
            return
        job.tries += 1
        if job.tries < self._host.pace.verify_tries:
            self._scheduler.call_later(self._host.pace.verify_ms, lambda: self._verify() if self._job is job else None)
            return
        self._host.counts.unverified += 1
        self._finish(Told(False, f"{job.name} was told {wanted}, and reads {found}"))

    def _found(self, order: Order, got: Mapping[Want, Sequence[int] | PilotwireError]) -> Reading:
        registers: dict[Want, Sequence[int] | PilotwireError] = {**self._host.scales, **got}
        if order.verify == "self":
            return self._host.layout.told(
                order.name, lambda want: cast(Sequence[int], registers[want]) if want in registers else ()
            )
        return self._host.layout.decode(registers).get(order.verify or "")

    def _wanted(self, order: Order, value: int) -> int:
        """The value as the register could take it: a limit between two steps is lowered to the step."""
        writes = self._host.layout.writes(order.name, value, self._peek)
        own = next(each for each in writes if each.address == order.want.address)

        def peek(want: Want) -> Sequence[int]:
            if want == order.want:
                return own.values
            side = next((each for each in writes if each.address == want.address), None)
            return side.values if side else self._host.scales.get(want, ())

        told = self._host.layout.told(order.name, peek)
        return told if isinstance(told, int) else value

    def _finish(self, told: Told) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.done(told)
        self._next()


def request_of(write: Write) -> Request:
    """A write as a Modbus request."""
    if write.function == 5:
        return WriteCoil(write.address, bool(write.values[0]))
    if write.function == 6:
        return WriteRegister(write.address, write.values[0])
    if write.function == 15:
        return WriteCoils(write.address, tuple(bool(each) for each in write.values))
    return WriteRegisters(write.address, write.values)
