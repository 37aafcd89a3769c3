"""Fuzzes the transport protocol of J1939: frames and time in any order, to both roles, and to who only reads along.

    python fuzz/fuzz_j1939.py [--seconds 60] [corpus directory] [libFuzzer options]

Four bytes a step choose what happens: a frame of the peer, time that goes by, a message of ours. Nothing may raise,
memory stays bounded, and when nothing more comes every connection is over.
"""

from __future__ import annotations

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire"]):
    from pilotwire.protocols.can import CanFrame
    from pilotwire.protocols.j1939 import Limits, Monitor, Transport, build

OWN, PEER = 0x56, 0xF4
CONTROLS = (16, 17, 19, 32, 255, 0)


def one(raw: bytes) -> None:
    """One input."""
    end, monitor = Transport(OWN, Limits(window=1 + (raw[0] if raw else 0) % 255, sessions=4)), Monitor()
    now = 0
    for at in range(1, len(raw) - 3, 4):
        kind, a, b, c = raw[at : at + 4]
        if kind % 8 == 0:
            now += a * 10
            end.elapse(now)
        elif kind % 8 == 1:
            end.send((1 + b % 4) << 8, PEER, bytes(a * 7), 6, now)
        elif kind % 8 == 2:
            end.hold(bool(a & 1), now)
        else:
            sender = PEER if kind & 0x10 else 0x20 + c % 16
            to = OWN if kind & 0x20 else 0xFF
            group = (1 + c % 4) << 8
            if kind & 0x40:
                size = a * 7 + b % 8
                data = (
                    bytes((CONTROLS[kind % 6],))
                    + size.to_bytes(2, "little")
                    + bytes((a, b))
                    + group.to_bytes(3, "little")
                )
                frame = CanFrame(build(7, 0xEC00, to, sender), data[: 8 if kind & 0x80 else b % 9], True)
            else:
                frame = CanFrame(build(7, 0xEB00 if b & 1 else group, to, sender), bytes((a,)) + bytes(7), True)
            end.receive(frame, now)
            monitor.receive(frame)
        counts = end.counts
        assert counts.malformed >= 0 and counts.aborted >= 0
    end.hold(False, now)
    for _ in range(400):
        due = end.deadline
        if due is None:
            return
        now = max(now + 1, due)
        end.elapse(now)
    raise AssertionError("a connection never ends")


if __name__ == "__main__":
    run(one, "-max_len=1024", "-len_control=0")
