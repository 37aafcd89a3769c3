"""Drives a machine: hands it what comes, carries out what it wants, and wakes it when it asked to be woken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .machines import Close, Machine, Send
from .time import Scheduler, Timer


class Runner:
    """One machine on one carrier.

    `send` is given the data of every `Send`, `close` every `Close`, `event` everything else, in order. What these
    three call back into the runner is done after the effects at hand.
    """

    __slots__ = ("_close", "_due", "_event", "_lost", "_queue", "_scheduler", "_send", "_timer", "machine", "over")

    def __init__(
        self,
        machine: Machine,
        scheduler: Scheduler,
        *,
        send: Callable[[Any], None],
        event: Callable[[Any], None],
        close: Callable[[Close], None] = lambda close: None,
    ) -> None:
        self.machine = machine
        self.over = False
        """The carrier is gone; nothing is done any more."""
        self._scheduler = scheduler
        self._send = send
        self._event = event
        self._close = close
        self._timer: Timer | None = None
        self._due: int | None = None
        self._queue: list[Callable[[], Sequence[Any]]] | None = None
        self._lost = False

    @property
    def now(self) -> int:
        return int(self._scheduler.now())

    def start(self) -> None:
        """For machines that speak first (`EvLink`)."""
        self._do(lambda: self.machine.start(self.now))  # type: ignore[attr-defined]

    def received(self, data: Any) -> None:
        self._do(lambda: self.machine.receive(data, self.now))

    def command(self, command: Any) -> None:
        self._do(lambda: self.machine.command(command, self.now))  # type: ignore[attr-defined]

    def lost(self) -> None:
        """The carrier is gone. The machine hears of it once: after the effects at hand, if it is at work now."""
        if not self.over and not self._lost:
            self._lost = True
            self._do(lambda: self.machine.lost(self.now))
            self._do(self._stopped)

    def stop(self) -> None:
        """Nothing more is to be done, whatever the machine wants."""
        self.over = True
        self._rearm()

    def _stopped(self) -> Sequence[Any]:
        self.stop()
        return ()

    def _do(self, step: Callable[[], Sequence[Any]]) -> None:
        if self.over:
            return
        if self._queue is not None:
            self._queue.append(step)
            return
        self._queue = [step]
        try:
            while self._queue and not self.over:
                for effect in self._queue.pop(0)():
                    self._carry_out(effect)
        finally:
            self._queue = None
        self._rearm()

    def _carry_out(self, effect: Any) -> None:
        if type(effect) is Send:
            self._send(effect.data)
        elif type(effect) is Close:
            self._close(effect)
        else:
            self._event(effect)

    def _rearm(self) -> None:
        due = None if self.over else self.machine.deadline
        if due == self._due and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due = due
        if due is not None:
            self._timer = self._scheduler.call_later(max(0, due - self.now), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._do(lambda: self.machine.elapse(self.now))
