"""The runner: effects in order, one wake-up at the deadline, nothing after the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pilotwire.core.machines import Close, Send
from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler


class Echo:
    """Sends back what it hears; says `late` when it heard nothing for 100 ms."""

    def __init__(self) -> None:
        self.deadline: int | None = None

    def receive(self, data: Any, now: int) -> Sequence[Any]:
        self.deadline = now + 100
        return [Send(data), f"heard {data}"]

    def elapse(self, now: int) -> Sequence[Any]:
        if self.deadline is None or now < self.deadline:
            return []
        self.deadline = None
        return ["late", Close(5)]

    def command(self, command: Any, now: int) -> Sequence[Any]:
        return [f"told {command}"]

    def lost(self, now: int) -> Sequence[Any]:
        return ["lost"]


def test_effects_come_in_order_and_the_machine_is_woken_at_its_deadline() -> None:
    scheduler, done = SimScheduler(), []
    runner = Runner(
        Echo(), scheduler, send=lambda data: done.append(("send", data)), event=done.append, close=done.append
    )
    runner.received("a")
    scheduler.run_for(60)
    runner.received("b")
    scheduler.run_for(99)
    assert done == [("send", "a"), "heard a", ("send", "b"), "heard b"]
    scheduler.run_for(1)
    assert done[4:] == ["late", Close(5)]
    scheduler.run_for(10_000)
    assert len(done) == 6


def test_what_an_event_asks_for_is_done_after_the_effects_at_hand() -> None:
    scheduler, done = SimScheduler(), []

    def event(event: Any) -> None:
        done.append(event)
        if event == "heard a":
            runner.command("x")
            done.append("asked")

    runner = Runner(Echo(), scheduler, send=done.append, event=event)
    runner.received("a")
    assert done == ["a", "heard a", "asked", "told x"]


def test_the_end_is_told_once_and_nothing_comes_after_it() -> None:
    scheduler, done = SimScheduler(), []
    runner = Runner(Echo(), scheduler, send=done.append, event=done.append, close=done.append)
    runner.received("a")
    runner.lost()
    runner.lost()
    runner.received("b")
    scheduler.run_for(1_000)
    assert done == ["a", "heard a", "lost"]


def test_a_carrier_that_breaks_while_it_is_used_is_told_of_too() -> None:
    """The send that fails finds out; the output must go off all the same."""
    scheduler, done = SimScheduler(), []

    def send(data: Any) -> None:
        done.append(data)
        runner.lost()
        runner.lost()
        runner.received("more")

    runner = Runner(Echo(), scheduler, send=send, event=done.append)
    runner.received("a")
    assert done == ["a", "heard a", "lost"]
    scheduler.run_for(10_000)
    assert done == ["a", "heard a", "lost"] and runner.over
