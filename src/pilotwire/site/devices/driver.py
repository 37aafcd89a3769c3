"""A device behind a Modbus link as the control loop sees it: `site.ports.Device`.

    driver = DeviceDriver("grid", load_device(...), link, scheduler)
    driver.listeners.append(loop.sampled)       # called after each fast cycle that brought something
    driver.start()
    driver.points()["power_mw"].value

Nothing here waits: requests go to the link, and what is known grows when the answers come. Fast points are read each
cycle, slow ones each ten seconds, names once a connection. A cycle that is not over when the next is due is left
to end. Commands are carried out one after the other; of two that wait for the same register only the later is
written. Each is read back where its file says how. A unit that is silent costs its bus no more than the link's own
rests allow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, cast

import msgspec

from pilotwire.core.errors import ConfigError, PilotwireError
from pilotwire.core.time import Scheduler, Timer
from pilotwire.protocols.modbus.client import BACKGROUND, READ, ClientConfig, Outcome
from pilotwire.protocols.modbus.errors import (
    IllegalDataAddress,
    IllegalDataValue,
    IllegalFunction,
    NoAnswer,
    RequestError,
)
from pilotwire.protocols.modbus.pdu import (
    Bits,
    ReadRegisters,
    Registers,
    Request,
)
from pilotwire.protocols.modbus.planner import Block, Want, plan
from pilotwire.protocols.sunspec.walk import Walk
from pilotwire.site.ports import Points, Told, Value
from pilotwire.transport.modbus.link import Link

from .layout import TEXTS, Layout, Order, Reading, decode_cell, inputs, resolve
from .schema import DeviceFile
from .teller import Done, DriverCounts, Pace, Teller

__all__ = ["DeviceDriver", "DriverCounts", "Pace", "client_config"]


class DeviceDriver:
    """See the module's head. Not for several threads."""

    def __init__(
        self,
        id: str,
        device: DeviceFile,
        link: Link,
        scheduler: Scheduler,
        *,
        unit: int | None = None,
        outlet: int = 1,
        pace: Pace | None = None,
    ) -> None:
        self._id = id
        self.device = device
        self.pace = pace or Pace()
        self.counts = DriverCounts()
        self.trouble = "not asked yet"
        """Why there is nothing to be had of it, in words; "" while all is well."""
        self.texts: dict[str, str] = {}
        """serial, model, firmware, id_token and state, as the device has said them last."""
        self.listeners: list[Callable[[], None]] = []
        self._link = link
        self._scheduler = scheduler
        self._outlet = outlet
        self._unit = unit
        self._layout = resolve(device, outlet=outlet, unit=unit)
        self._walk: Walk | None = Walk(device.sunspec.base) if device.sunspec else None
        self._raw: dict[str, tuple[Reading, int]] = {}
        self._values: dict[str, Value] = {}
        self.scales: dict[Want, Sequence[int]] = {}
        """Scale factors of commands, as they were read."""
        self._blocks: dict[str, list[Block]] = {}
        self._gone: dict[Want, int] = {}
        self._alone: set[Want] = set()
        self._replan = False
        """The device has refused something: it is to be asked otherwise."""
        self._online = False
        self._missed = 0
        self._open = 0
        self._heard = False
        self._got: dict[Want, Sequence[int] | PilotwireError] = {}
        self._slow_at = 0
        self._once = True
        self._later: list[Block] = []
        """Slow reads that are due."""
        self._asked = 0
        self._timer: Timer | None = None
        self._running = False
        self._teller = Teller(self, scheduler)
        self._plan()

    @property
    def id(self) -> str:
        return self._id

    @property
    def online(self) -> bool:
        return self._online

    @property
    def layout(self) -> Layout:
        """The file's points and commands; a SunSpec device has none until its models are found."""
        return self._layout

    @property
    def waiting(self) -> bool:
        """Whether something is still to be read of what is read seldom."""
        return self._walk is not None or self._once or bool(self._later)

    def points(self) -> Points:
        return self._values

    def confirmed(self, name: str, value: int) -> None:
        """What was read back after a command is known from now on."""
        self._raw[name] = (value, self._now())
        self._values = {**self._values, name: Value(value, self._now())}

    def start(self) -> None:
        """Ask from now on."""
        if not self._running:
            self._running = True
            self._teller.begin()
            self._timer = self._scheduler.call_later(self.pace.first_ms, self._tick)

    def refresh(self) -> None:
        """Let the next cycle read everything, what is slow with it."""
        self._once, self._slow_at, self._later = True, 0, []

    def stop(self) -> None:
        """Ask no more; commands that wait are told so."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
        self._teller.stop()

    def command(self, name: str, value: int, done: Done, *, write: bool = True, verify: bool = True) -> None:
        """As `Device.command`. Without `verify` it is not read back; without `write` that is all that is done."""
        if name not in self._layout.orders:
            missing = self.device.sunspec is not None and name in self.device.commands
            done(Told(False, f"{self.device.id} {'has not shown its models yet' if missing else f'has no {name}'}"))
            return
        if not self._running:
            done(Told(False, "the driver is not started"))
            return
        self._teller.tell(name, value, done, write, verify)

    # reading

    def _plan(self) -> None:
        """Reads by pace; what the device has refused to give jointly is asked for alone."""
        by_poll: dict[str, set[Want]] = {"fast": set(), "slow": set(), "once": set()}
        now = self._now()
        self._gone = {want: until for want, until in self._gone.items() if until > now}
        for cell in self._layout.cells.values():
            for want in cell.wants:
                by_poll[cell.poll].add(want)
        for order in self._layout.orders.values():
            if order.verify == "self" and not order.command.magnitude:
                by_poll["slow"].add(order.want)
            if order.sf is not None:
                by_poll["once"].add(order.sf)
        by_poll["slow"] -= by_poll["fast"]
        by_poll["once"] -= by_poll["fast"] | by_poll["slow"]
        self._blocks = {}
        for poll, wants in by_poll.items():
            usable = {want for want in wants if want not in self._gone}
            joint = plan(usable - self._alone, self._layout.limits)
            alone = [block for want in sorted(usable & self._alone) for block in plan([want], self._layout.limits)]
            self._blocks[poll] = joint + alone

    def _tick(self) -> None:
        if not self._running:
            return
        self._timer = self._scheduler.call_later(self.pace.fast_ms, self._tick)
        if self._open:
            self.counts.skipped += 1
            return
        self.counts.cycles += 1
        self._heard = False
        self._got = {}
        if self._walk is not None:
            self._step()
            return
        now = self._now()
        if self._gone and min(self._gone.values()) <= now:
            self._plan()
        blocks = [(block, self._rank()) for block in self._blocks["fast"]]
        if now >= self._slow_at and not self._later:
            self._slow_at = now + self.pace.slow_ms
            self._later = [*self._blocks["slow"], *(self._blocks["once"] if self._once else [])]
            self._once = False
        # A device that wants long pauses is not asked for everything at once: what is fast would wait for the rest.
        pause = self.device.modbus.pause_ms
        room = len(self._later) if not pause else max(1, self.pace.fast_ms // pause - len(blocks))
        blocks += [(block, BACKGROUND) for block in self._later[:room]]
        del self._later[:room]
        if not blocks:
            blocks = [(block, BACKGROUND) for block in self._blocks["slow"][:1]]
        self._asked = len(blocks)
        self._open = len(blocks)
        for block, rank in blocks:
            self._read(block, rank)
        if not blocks:
            self._cycle_over()

    def _rank(self) -> int:
        """A meter is what the loop waits for: it comes before the state of chargers."""
        return READ if self.device.kind in ("meter", "contacts") else BACKGROUND

    def _patience(self) -> int:
        """A request waits for those before it: each takes the device's pause, and now and then a time-out."""
        modbus = self.device.modbus
        return max(2 * modbus.timeout_ms, 3 * self.pace.fast_ms) + self._asked * (modbus.pause_ms + 50)

    def _read(self, block: Block, rank: int) -> None:
        self.ask(block.request, lambda outcome: self._answered(block, outcome), rank)

    def ask(self, request: Request, done: Callable[[Outcome], None], rank: int) -> None:
        """A request to the device; its outcome comes by the driver's own patience at the latest."""
        try:
            self._link.ask(self._layout.unit, request, done, priority=rank, timeout_ms=self._patience())
        except RequestError as error:
            done(NoAnswer("refused", str(error)))

    def _answered(self, block: Block, outcome: Outcome) -> None:
        if isinstance(outcome, Registers | Bits):
            self._heard = True
            for want in block.wants:
                self._got[want] = [int(each) for each in block.take(want, outcome.values)]
        elif isinstance(outcome, IllegalDataAddress | IllegalDataValue) and len(block.wants) > 1:
            self._heard = True
            self.counts.refused += 1
            self._alone.update(block.wants)
            self._replan = True
            parts = block.parts()
            self._open += len(parts)
            for part in parts:
                self._read(part, BACKGROUND)
        else:
            if isinstance(outcome, IllegalDataAddress | IllegalDataValue | IllegalFunction):
                self._heard = True
                self.counts.refused += 1
                self._gone |= dict.fromkeys(block.wants, self._now() + self.pace.again_ms)
                self._replan = True
            elif not isinstance(outcome, NoAnswer):
                self._heard = True
            error = cast(PilotwireError, outcome)
            self.trouble = str(error)
            self._got |= dict.fromkeys(block.wants, error)
        self._open -= 1
        if self._open == 0:
            self._cycle_over()

    def _cycle_over(self) -> None:
        if self._replan:
            self._replan = False
            self._plan()
        if self._heard:
            self._missed = 0
            if not self._online:
                self._online = True
            if not any(isinstance(each, PilotwireError) for each in self._got.values()):
                self.trouble = ""
            self._take()
        else:
            self.counts.failed += 1
            self._missed += 1
            if self._missed >= self.pace.offline_after and (self._online or self._missed == self.pace.offline_after):
                self._online = False
                self._once = True
                self._slow_at = 0
                self._values = {
                    name: msgspec.structs.replace(each, quality="bad") for name, each in self._values.items()
                }
        for listener in self.listeners:
            listener()

    def _take(self) -> None:
        """What this cycle has brought becomes what is known. A read without an answer leaves its value as it was: the
        value's own time says how old it is."""
        now = self._now()
        silent = {want for want, got in self._got.items() if isinstance(got, NoAnswer)}
        for name, cell in self._layout.cells.items():
            wants = cell.wants
            if all(want in self._got or want in self.scales for want in wants) and any(
                want in self._got for want in wants
            ):
                if silent.intersection(wants):
                    continue
                self._raw[name] = (decode_cell(cell, {**self.scales, **self._got}), now)
        for order in self._layout.orders.values():
            if order.sf is not None and not isinstance(got := self._got.get(order.sf, ()), PilotwireError) and got:
                self.scales[order.sf] = got
            if order.verify == "self" and not isinstance(got := self._got.get(order.want, ()), PilotwireError) and got:
                self._standing(order, got, now)
        made = self._layout.derive({name: value for name, (value, _) in self._raw.items()})
        for name in self._layout.derived:
            if name in made:
                oldest = min(
                    (self._raw[each][1] for each in inputs(self.device.points[name]) if each in self._raw), default=now
                )
                self._raw[name] = (made[name], oldest)
        values = dict(self._values)
        for name, (value, at) in self._raw.items():
            if name.startswith("_"):
                continue
            if name in TEXTS:
                if value is None:
                    self.texts.pop(name, None)
                else:
                    self.texts[name] = str(value)
            elif not isinstance(value, int):
                last = values.get(name)
                values[name] = Value(last.value if last else 0, at, "bad")
            else:
                values[name] = Value(value, at)
        self._values = values

    def _standing(self, order: Order, registers: Sequence[int], at: int) -> None:
        """What a command's own register says is a value like any other, where the file has no point of that name."""
        if order.name not in self.device.points:
            try:
                value = self._layout.told(
                    order.name, lambda want: registers if want == order.want else self.scales[want]
                )
            except (PilotwireError, KeyError):
                value = None
            self._raw[order.name] = (value, at)

    # SunSpec

    def _step(self) -> None:
        """One more step of the walk along the models; when it is over, the file's points have their places."""
        assert self._walk is not None
        want = self._walk.want
        if want is None:
            chain, self._walk = self._walk.chain, None
            if chain is None:
                assert self.device.sunspec is not None
                self._walk = Walk(self.device.sunspec.base)
                self.trouble = "there is no SunSpec marker: " + self.trouble
            else:
                self._layout = resolve(self.device, outlet=self._outlet, unit=self._unit, chain=chain)
                self._once, self._slow_at = True, 0
                self._plan()
                self.trouble = ""
            self._open = 0
            self._cycle_over()
            return
        self._open = 1

        def answered(outcome: Outcome) -> None:
            if isinstance(outcome, NoAnswer):
                assert self.device.sunspec is not None
                self._walk = Walk(self.device.sunspec.base)
                self.trouble = str(outcome)
                self._open = 0
                self._cycle_over()
                return
            self._heard = True
            assert self._walk is not None
            self._walk.answer(outcome.values if isinstance(outcome, Registers) else None)
            self._step()

        self.ask(ReadRegisters(3, want.address, want.count), answered, BACKGROUND)

    def _now(self) -> int:
        return int(self._scheduler.now())


def client_config(devices: Sequence[DeviceFile], framing: Literal["tcp", "rtu"] = "tcp") -> ClientConfig:
    """The settings of a link behind which these devices are: the slowest of them says how fast."""
    if not devices:
        raise ConfigError("a link without devices")
    return ClientConfig(
        framing=framing,
        answer_ms=max(device.modbus.timeout_ms for device in devices),
        gap_ms=max(device.modbus.pause_ms for device in devices),
    )
