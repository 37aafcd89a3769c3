"""Fuzzes GB/T 27930: both ends are spoken to with any messages in any order, their hardware answers as it likes.

    python fuzz/fuzz_gbt27930.py [--seconds 60] [corpus directory] [libFuzzer options]

Three bytes a step. Whatever comes, nothing raises, current is asked for only while charging, and when nothing more
comes both ends are over.
"""

from __future__ import annotations

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire"]):
    from pilotwire.core import ev_link, evse_link
    from pilotwire.protocols.can import CanFrame
    from pilotwire.protocols.can.logs import frames
    from pilotwire.protocols.gbt27930 import BMS, CHARGER, Cc1, Cc2, GbtEv, GbtEvse, Supply
    from pilotwire.protocols.gbt27930.codec import MESSAGES, group
    from pilotwire.protocols.gbt27930.reader import Reader
    from pilotwire.protocols.j1939 import Limits, Transport, build

NAMES = tuple(MESSAGES["2015"])
TO_EVSE = (
    evse_link.Offer(max_mv=750_000, max_ma=200_000), evse_link.Authorize(accepted=True),
    evse_link.Authorize(accepted=False), evse_link.Isolation("valid"), evse_link.Isolation("fault"),
    evse_link.Locked(True), evse_link.Locked(False), evse_link.Contactor(True), evse_link.Contactor(False),
    evse_link.Measured(mv=380_000), evse_link.Measured(mv=380_000, ma=90_000), evse_link.Measured(),
    evse_link.Pause(), evse_link.Resume(), evse_link.Stop(), evse_link.Stop(emergency=True),
)  # fmt: skip
TO_EV = (
    ev_link.Drive(target_ma=90_000), ev_link.Drive(ready=False), ev_link.Contacts(True), ev_link.Contacts(False),
    ev_link.Halt(), ev_link.Halt(emergency=True), ev_link.Rest(),
)  # fmt: skip
READY = (0x00, 0xAA, 0xFF, 0x55)


def drive(machine: GbtEvse | GbtEv, own: int, peer: int, raw: bytes) -> None:
    """One end alone."""
    other, now, charger = Transport(peer, Limits(pace_ms=0)), 0, isinstance(machine, GbtEvse)
    commands = TO_EVSE if charger else TO_EV

    def deliver(effects) -> None:
        for effect in effects:
            data = getattr(effect, "data", None)
            if isinstance(data, CanFrame):
                for answer in other.receive(data, now):
                    if isinstance(getattr(answer, "data", None), CanFrame):
                        deliver(machine.receive(answer.data, now))

    if charger:
        deliver(machine.command(TO_EVSE[0], now))
        deliver(machine.receive(Cc1(4_000), now))
        deliver(machine.command(evse_link.Locked(True), now))
    else:
        deliver(machine.receive(Cc2(6_000), now))
        deliver(machine.start(now))
        deliver(machine.receive(Supply(True), now))
    for at in range(0, len(raw) - 2, 3):
        kind, a, b = raw[at : at + 3]
        match kind % 8:
            case 0:
                now += a * 20
                deliver(machine.elapse(now))
            case 1:
                deliver(machine.command(commands[a % len(commands)], now))
            case 2:
                wires = (Cc1(a * 50), Cc2(a * 50), Supply(bool(a & 1)))
                deliver(machine.receive(wires[b % 3], now))
            case 3:
                frame = CanFrame(build(6, b << 8, own, peer), raw[at : at + a % 9], True)
                deliver(machine.receive(frame, now))
            case _:
                name = NAMES[a % len(NAMES)]
                length = MESSAGES["2015"][name].length
                data = bytes((READY[b % 4],)) + bytes((b * (number + 1)) & 0xFF for number in range(length - 1))
                other.drop()
                for effect in other.send(group(name)[0], own, data, 6, now):
                    deliver(machine.receive(effect.data, now))
        if charger and machine.phase != "charging":
            assert machine.output.told.ma == 0, machine.phase
    for _ in range(100_000):
        if machine.deadline is None:
            break
        now = max(now, machine.deadline)
        deliver(machine.elapse(now))
    assert machine.deadline is None, machine.phase


def one(raw: bytes) -> None:
    """One input."""
    drive(GbtEvse(), CHARGER, BMS, raw)
    drive(GbtEv(), BMS, CHARGER, raw)
    reader = Reader()
    for at in range(0, len(raw) - 8, 9):
        identifier = build(7, (0xEC00, 0xEB00, raw[at] << 8)[raw[at] % 3], CHARGER, BMS)
        reader.feed(CanFrame(identifier, raw[at + 1 : at + 9], True))
    list(frames(raw.decode("latin-1").splitlines()))


if __name__ == "__main__":
    run(one, "-max_len=1024", "-len_control=0")
