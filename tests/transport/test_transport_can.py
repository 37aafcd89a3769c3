"""CAN buses: real ones by python-can, and the simulated one."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path

import can
import pytest

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import SimScheduler
from pilotwire.protocols.can import CanFrame
from pilotwire.transport.can import CanBus, open_bus
from pilotwire.transport.can_sim import SimCanBus

MULTICAST = "ip link set lo up && ip link set lo multicast on && ip route add 239.0.0.0/8 dev lo"


def in_own_network(program: str) -> subprocess.CompletedProcess[str]:
    """Runs a Python program where there is only a loopback interface, which carries multicast."""
    can_do = subprocess.run(["unshare", "-n", "sh", "-c", MULTICAST], capture_output=True, text=True)
    if can_do.returncode:
        pytest.fail(f"no network namespace, which needs root: {can_do.stderr.strip()}")
    line = ["unshare", "-n", "sh", "-c", f'{MULTICAST} && exec "$@"', "sh", sys.executable, "-c", program]
    return subprocess.run(line, capture_output=True, text=True, timeout=30)


async def until(ready) -> None:
    async with asyncio.timeout(90):
        while not ready():
            await asyncio.sleep(0.005)


async def both_ways(address: str) -> None:
    with contextlib.closing(open_bus(address, 250_000)) as one, contextlib.closing(open_bus(address)) as other:
        heard: list[CanFrame] = []
        answered: list[CanFrame] = []
        other.subscribe(heard.append)
        one.subscribe(answered.append)
        frames = [CanFrame(0x1CEC56F4, bytes(range(8)), True), CanFrame(0x102, b"", False)]
        for frame in frames:
            one.send(frame)
        await until(lambda: len(heard) == 2)
        other.send(CanFrame(0x108, b"\x01"))
        await until(lambda: answered)
        assert heard == frames
        assert answered == [CanFrame(0x108, b"\x01")]
        assert (one.counts.sent, other.counts.received, one.counts.received) == (2, 2, 1)


async def test_frames_go_over_a_virtual_bus_both_ways():
    await both_ways("virtual:test-transport-can")


def test_frames_go_over_a_multicast_bus_both_ways():
    """Own frames, which multicast hands back, are not heard. In a network of its own."""
    done = in_own_network(
        f"import asyncio, sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_transport_can as t; "
        "asyncio.run(t.both_ways('udp_multicast:239.74.163.17')); print('done')"
    )
    assert done.stdout == "done\n", done.stderr


async def test_who_no_longer_listens_hears_nothing():
    with contextlib.closing(open_bus("virtual:unsub")) as one, contextlib.closing(open_bus("virtual:unsub")) as other:
        kept: list[CanFrame] = []
        gone: list[CanFrame] = []
        other.subscribe(kept.append)
        other.subscribe(gone.append)()
        one.send(CanFrame(1, b"x"))
        await until(lambda: kept)
        assert gone == []


async def test_what_comes_while_the_queue_is_full_is_dropped_and_counted():
    sender = can.Bus(channel="full", interface="virtual")
    bus = CanBus(can.Bus(channel="full", interface="virtual"), queue=10)
    heard: list[CanFrame] = []
    bus.subscribe(heard.append)
    for number in range(50):
        sender.send(can.Message(arbitration_id=number, is_extended_id=False))
    while bus.counts.dropped < 40:
        pass
    await until(lambda: len(heard) == 10)
    assert [frame.id for frame in heard] == list(range(10))
    bus.close()
    sender.shutdown()


class Broken(can.BusABC):
    """A controller that tells of errors, takes nothing, and is gone then."""

    def __init__(self) -> None:
        self.turn = 0
        super().__init__(channel="broken")
        self.channel_info = "broken"

    def _recv_internal(self, timeout):
        self.turn += 1
        if self.turn == 1:
            return can.Message(arbitration_id=0x40, is_error_frame=True, is_extended_id=False), False
        if self.turn == 2:
            return can.Message(arbitration_id=0x04, is_error_frame=True, is_extended_id=False), False
        raise can.CanOperationError("Network is down")

    def send(self, msg, timeout=None):
        raise can.CanOperationError("No buffer space available")


async def test_errors_are_counted_and_a_dead_bus_is_told_once():
    told: list[str] = []
    bus = CanBus(Broken(), lost=told.append)
    bus.send(CanFrame(1, b""))
    await until(lambda: told)
    assert told == ["Network is down"]
    assert bus.counts.send_errors == 1
    assert bus.counts.error_frames == 2
    assert bus.counts.bus_off == 2
    bus.close()


@pytest.mark.parametrize("address", ["can0", "socketcan:", "slcan:ttyS0", "udp_multicast:10.0.0.1"])
async def test_what_is_no_bus_is_said(address: str):
    with pytest.raises(ConfigError, match="CAN bus"):
        open_bus(address)


async def test_cyclic_messages_do_not_drift():
    with contextlib.closing(open_bus("virtual:cycle")) as one, contextlib.closing(open_bus("virtual:cycle")) as other:
        heard: list[CanFrame] = []
        other.subscribe(heard.append)
        turns = 0

        def make() -> CanFrame | None:
            nonlocal turns
            turns += 1
            if turns == 6:
                cycle.cancel()
            return CanFrame(turns, b"") if turns != 2 else None

        cycle = one.every(10, make)
        await until(lambda: len(heard) == 5)
        await asyncio.sleep(0.03)
        assert [frame.id for frame in heard] == [1, 3, 4, 5, 6]


# ── simulated ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_lowest_identifier_goes_first_and_frames_take_their_time():
    time = SimScheduler(0)
    bus = SimCanBus(time, 250_000, keep_log=True)
    one, other = bus.port(), bus.port()
    heard: list[tuple[int, int]] = []
    other.subscribe(lambda frame: heard.append((int(time.now()), frame.id)))
    for number in range(10, 0, -1):
        one.send(CanFrame(number << 18, bytes(8), True))
    time.run_until(1000)
    # The first is already on its way when the others come; 131 bits are 524 µs.
    assert [number >> 18 for _, number in heard] == [10, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert heard[-1][0] == 5
    assert one.counts.sent == other.counts.received == 10
    assert bus.log is not None and len(bus.log) == 10


def test_standard_frames_win_over_extended_ones_of_the_same_first_bits():
    time = SimScheduler(0)
    bus = SimCanBus(time)
    one, other = bus.port(), bus.port()
    heard: list[CanFrame] = []
    other.subscribe(heard.append)
    one.send(CanFrame(0x7FF, b""))
    one.send(CanFrame(0x100 << 18, b"", True))
    one.send(CanFrame(0x100, b""))
    time.run_until(10)
    assert [frame.extended for frame in heard] == [False, False, True]


def test_faults_lose_and_double_frames():
    time = SimScheduler(0)
    bus = SimCanBus(time)
    one, other = bus.port(), bus.port()
    heard: list[int] = []
    other.subscribe(lambda frame: heard.append(frame.id))
    bus.fault = lambda frame: [] if frame.id == 1 else [frame, frame] if frame.id == 2 else [frame]
    for number in (1, 2, 3):
        one.send(CanFrame(number, b""))
    time.run_until(10)
    assert heard == [2, 2, 3]


def test_simulated_cycles_keep_their_grid_and_end():
    time = SimScheduler(0)
    bus = SimCanBus(time, 1_000_000)
    one, other = bus.port(), bus.port()
    heard: list[int] = []
    other.subscribe(lambda frame: heard.append(int(time.now())))
    cycle = one.every(50, lambda: CanFrame(1, b""))
    time.run_until(220)
    cycle.cancel()
    time.run_until(1000)
    assert heard == [0, 50, 100, 150, 200]
    one.every(50, lambda: CanFrame(1, b""))
    one.close()
    time.run_until(2000)
    assert len(heard) == 5
