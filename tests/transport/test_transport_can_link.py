"""A machine on a CAN bus: frames and pins go their ways, a bus that dies ends it, a clock that is set does nothing."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import can

from pilotwire.core.machines import Send
from pilotwire.protocols.can import CanFrame
from pilotwire.transport.can import CanBus, open_bus
from pilotwire.transport.can_link import CanLink, open_link
from pilotwire.transport.runtime import SteadyScheduler


class Echo:
    """Sends back what it hears with the next identifier, and a pin; counts its turns."""

    def __init__(self) -> None:
        self.deadline: int | None = None
        self.turns = 0
        self.gone = False

    def receive(self, data: Any, now: int) -> list[Any]:
        self.deadline = now + 20
        return [Send(CanFrame(data.id + 1, data.data)), Send("pin"), "heard"]

    def elapse(self, now: int) -> list[Any]:
        self.turns += 1
        self.deadline = None
        return []

    def lost(self, now: int) -> list[Any]:
        self.gone = True
        self.deadline = None
        return ["lost"]


async def until(ready) -> None:
    async with asyncio.timeout(90):
        while not ready():
            await asyncio.sleep(0.005)


async def test_frames_go_to_the_bus_and_pins_beside_it():
    echo, events, pins, heard = Echo(), [], [], []
    link = open_link("virtual:link", echo, event=events.append, pins=pins.append)
    peer = open_bus("virtual:link")
    peer.subscribe(heard.append)
    peer.send(CanFrame(0x100, b"x"))
    await until(lambda: heard and echo.turns)
    assert heard == [CanFrame(0x101, b"x")] and pins == ["pin"] and events == ["heard"]
    link.close()
    peer.send(CanFrame(0x100, b"y"))
    await asyncio.sleep(0.05)
    assert len(heard) == 1
    peer.close()


class Dead(can.BusABC):
    def __init__(self) -> None:
        super().__init__(channel="dead")
        self.channel_info = "dead"

    def _recv_internal(self, timeout):
        raise can.CanOperationError("Network is down")

    def send(self, msg, timeout=None):
        raise can.CanOperationError("Network is down")


async def test_a_bus_that_dies_is_told_to_the_machine_once():
    echo, events = Echo(), []
    links: list[CanLink] = []
    bus = CanBus(Dead(), lost=lambda why: links[0].lost(why))
    links.append(CanLink(bus, echo, event=events.append))
    await until(lambda: echo.gone)
    await asyncio.sleep(0.05)
    assert events == ["lost"] and links[0].runner.over
    links[0].close()


async def test_a_clock_that_is_set_does_not_move_ours(monkeypatch):
    scheduler = SteadyScheduler()
    before = scheduler.now()
    assert abs(before - time.time() * 1000) < 2_000
    monkeypatch.setattr(time, "time_ns", lambda: 10**18 * 5)
    assert 0 <= scheduler.now() - before < 2_000
