"""The Modbus client: one connection to one endpoint, for all who want something of the units behind it.

    link = open_link("tcp://10.0.0.5")
    answer = await link.request(1, ReadRegisters(3, 0, 10), timeout_ms=2000)
    found = await link.read(1, [Want(3, 0, 2), Want(3, 6, 2)], ReadLimits(gap=4))
    await link.request(1, WriteRegister(261, 160), priority=WRITE)
    link.close()

The connection is made when the link is started, and anew with growing pauses whenever it is lost. What is asked
meanwhile waits until its deadline. `pilotwire.protocols.modbus.client` says what is asked in which order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from pilotwire.core.errors import PilotwireError
from pilotwire.core.machines import Close, Send
from pilotwire.core.time import Scheduler, Timer
from pilotwire.protocols.modbus.client import READ, Ask, ClientConfig, ClientCounts, Finished, ModbusClient, Outcome
from pilotwire.protocols.modbus.errors import IllegalDataAddress, IllegalDataValue, NoAnswer
from pilotwire.protocols.modbus.pdu import Bits, Registers, Request, Response
from pilotwire.protocols.modbus.planner import Block, ReadLimits, Want, plan
from pilotwire.transport.runtime import SteadyScheduler

from .carriers import Carrier, Dialer, EndpointDialer, SerialEndpoint, parse_endpoint


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """The pauses between attempts to connect: each twice the last."""

    first_ms: int = 500
    most_ms: int = 30_000
    steady_ms: int = 10_000
    """A connection that was used for so long has been a good one: the next pause is the first again."""


class LinkCounts(msgspec.Struct):
    """Of the connection."""

    dialled: int = 0
    connected: int = 0
    failed: int = 0
    lost: int = 0


class Link:
    """One endpoint. Not for several threads."""

    def __init__(
        self, dialer: Dialer, scheduler: Scheduler, config: ClientConfig, backoff: Backoff | None = None
    ) -> None:
        self.machine = ModbusClient(config)
        self.counts = LinkCounts()
        self.trouble = ""
        """Why there is no connection, in words; "" while there is one."""
        self._dialer = dialer
        self._scheduler = scheduler
        self._backoff = backoff or Backoff()
        self._pause = self._backoff.first_ms
        self._since = 0
        self._carrier: Carrier | None = None
        self._attempt = 0
        self._running = False
        self._redial: Timer | None = None
        self._timer: Timer | None = None
        self._due = 0
        self._done: dict[int, Callable[[Outcome], None]] = {}
        self._ticket = 0
        self._effects: deque[Any] = deque()
        self._busy = False

    @property
    def online(self) -> bool:
        """Whether there is a connection now."""
        return self._carrier is not None

    @property
    def requests(self) -> ClientCounts:
        """What became of the requests, all told."""
        return self.machine.counts

    def start(self) -> None:
        """Connect, and stay connected until `close`."""
        if not self._running:
            self._running = True
            self._dial()

    def close(self) -> None:
        """Hang up. Whatever is open or waits fails now, with "offline"."""
        self._running = False
        self._attempt += 1
        for timer in (self._redial, self._timer):
            if timer is not None:
                timer.cancel()
        self._redial = self._timer = None
        if self._carrier is not None:
            self._carrier.close()
            self._carrier = None
        self.trouble = "closed"
        self._do([*self.machine.lost(self._now()), *self.machine.abandon()])

    def ask(
        self,
        unit: int,
        request: Request,
        done: Callable[[Outcome], None],
        *,
        priority: int = READ,
        timeout_ms: int = 5000,
    ) -> int:
        """`done` is called exactly once, by the deadline at the latest. Returns what `withdraw` takes.

        Raises RequestError for what cannot be asked.
        """
        if not self._running:
            done(NoAnswer("offline", "the link is not started"))
            return 0
        now = self._now()
        self._ticket += 1
        ticket = self._ticket
        self._done[ticket] = done
        try:
            effects = self.machine.command(Ask(ticket, unit, request, now + timeout_ms, priority), now)
        except PilotwireError:
            del self._done[ticket]
            raise
        self._do(effects)
        return ticket

    def withdraw(self, ticket: int) -> None:
        """Nobody waits for the outcome any more: what was not sent yet is not sent, and `done` is not called."""
        if self._done.pop(ticket, None) is not None:
            self.machine.withdraw(ticket)

    async def request(self, unit: int, request: Request, *, priority: int = READ, timeout_ms: int = 5000) -> Response:
        """The answer. Raises ModbusException, NoAnswer, FrameError or RequestError.

        A caller that is cancelled takes its request back, if it was not sent yet.
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        ticket = self.ask(
            unit,
            request,
            lambda outcome: None if future.done() else future.set_result(outcome),
            priority=priority,
            timeout_ms=timeout_ms,
        )
        try:
            outcome = await future
        except asyncio.CancelledError:
            self.withdraw(ticket)
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def read(
        self,
        unit: int,
        wants: Iterable[Want],
        limits: ReadLimits | None = None,
        *,
        priority: int = READ,
        timeout_ms: int = 5000,
    ) -> dict[Want, Sequence[int] | PilotwireError]:
        """Everything that is wanted, in as few reads as may be; each want has its values, or what became of it.

        A joint read that the device refuses for its addresses or its length is asked for again in its parts.
        """
        found: dict[Want, Sequence[int] | PilotwireError] = {}
        blocks = plan(wants, limits or ReadLimits())
        while blocks:
            answers = await asyncio.gather(
                *(self.request(unit, block.request, priority=priority, timeout_ms=timeout_ms) for block in blocks),
                return_exceptions=True,
            )
            again: list[Block] = []
            for block, answer in zip(blocks, answers, strict=True):
                if isinstance(answer, IllegalDataAddress | IllegalDataValue) and len(block.wants) > 1:
                    again += block.parts()
                elif isinstance(answer, Registers | Bits):
                    found |= {want: block.take(want, answer.values) for want in block.wants}
                elif isinstance(answer, PilotwireError):
                    found |= dict.fromkeys(block.wants, answer)
                else:
                    assert isinstance(answer, BaseException)
                    raise answer
            blocks = again
        return found

    def _now(self) -> int:
        return int(self._scheduler.now())

    def _dial(self) -> None:
        self._redial = None
        self._attempt += 1
        attempt = self._attempt
        self.counts.dialled += 1

        def done(result: Carrier | str) -> None:
            if attempt != self._attempt:
                if not isinstance(result, str):
                    result.close()
            elif isinstance(result, str):
                self.counts.failed += 1
                self._later(result)
            else:
                self._carrier = result
                self.counts.connected += 1
                self.trouble = ""
                self._since = self._now()
                self._do(self.machine.connected(self._since))

        self._dialer.dial(
            lambda data: self._heard(attempt, data),
            lambda why: self._gone(attempt, why),
            done,
        )

    def _heard(self, attempt: int, data: bytes) -> None:
        if attempt == self._attempt and self._carrier is not None:
            self._do(self.machine.receive(data, self._now()))

    def _gone(self, attempt: int, why: str) -> None:
        if attempt == self._attempt and self._carrier is not None:
            self._drop(why)
            self._do(self.machine.lost(self._now()))

    def _drop(self, why: str) -> None:
        """The connection is over; the next is tried after a pause."""
        self._attempt += 1
        self._carrier = None
        self.counts.lost += 1
        if self._now() - self._since >= self._backoff.steady_ms:
            self._pause = self._backoff.first_ms
        self._later(why)

    def _later(self, why: str) -> None:
        self.trouble = why
        if self._running:
            self._redial = self._scheduler.call_later(self._pause, self._dial)
            self._pause = min(2 * self._pause, self._backoff.most_ms)

    def _do(self, effects: Sequence[Any]) -> None:
        """Carry out effects in order; what they call back comes behind them."""
        self._effects.extend(effects)
        if self._busy:
            return
        self._busy = True
        try:
            while self._effects:
                effect = self._effects.popleft()
                if type(effect) is Send:
                    if self._carrier is not None:
                        self._carrier.write(effect.data)
                elif type(effect) is Finished:
                    done = self._done.pop(effect.ticket, None)
                    if done is not None:
                        done(effect.outcome)
                elif type(effect) is Close and self._carrier is not None:
                    self._carrier.close()
                    self._drop(effect.reason)
        finally:
            self._busy = False
        self._rearm()

    def _rearm(self) -> None:
        """A timer that comes too early is left alone: most answers come in time, and it looks again by itself."""
        due = self.machine.deadline if self._running else None
        if due is None or (self._timer is not None and self._due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._scheduler.call_later(max(0, due - self._now()), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._do(self.machine.elapse(self._now()))


def open_link(address: str, config: ClientConfig | None = None, backoff: Backoff | None = None) -> Link:
    """A started link to an address such as tcp://10.0.0.5:502, in a running event loop. Raises ConfigError.

    The framing follows from the address; on a serial port requests are at least the silent interval apart, and a bus on
    which nobody answers is not opened anew for it.
    """
    endpoint = parse_endpoint(address)
    config = msgspec.structs.replace(config or ClientConfig(), framing=endpoint.framing)
    if isinstance(endpoint, SerialEndpoint):
        config = msgspec.structs.replace(config, gap_ms=max(config.gap_ms, endpoint.gap_ms), give_up=0)
    link = Link(EndpointDialer(endpoint), SteadyScheduler(), config, backoff)
    link.start()
    return link
