"""Fuzzes SLAC: the decoder of its frames, and both machines with whatever comes in whatever order.

    python fuzz/fuzz_slac.py [--seconds 60] [corpus directory] [libFuzzer options]

An input is a row of steps: one byte that says what (a message of some type with the bytes that follow as its fields, a
raw frame, a command, a while of waiting), one for how much. What is read must be written again and be read as the
same; a machine never raises, never is due for ever, and never listens to more vehicles than it may.
"""

from __future__ import annotations

from typing import Any

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire"]):
    from pilotwire.core.machines import Send
    from pilotwire.protocols.slac import events, mme, timers
    from pilotwire.protocols.slac.ev import SlacEv, SlacEvConfig
    from pilotwire.protocols.slac.evse import SlacEvse, SlacEvseConfig

EVSE, EV, RUN = b"\x02\0\0\0\0\1", b"\x02\0\0\0\0\2", b"\1" * 8
COMMANDS = (events.Begin(), events.Leave(), events.Toggled(), events.Link(True), events.Link(False))
KNOWN = {"run_id": RUN, "evse_mac": EVSE, "pev_mac": EV, "source_address": EV, "forwarding_sta": EV}
"""What both have agreed upon already, so that a message is in place more often than by chance."""


def message_of(kind: type[mme.Message], raw: bytes) -> mme.Message:
    """A message with its fields from `raw`; what is agreed upon stays as it is if `raw` ends before."""
    values: dict[str, Any] = {}
    at = 0
    for name, how in kind.LAYOUT:
        size = how if isinstance(how, int) else {"u8": 1, "u16": 2}.get(how, 0)
        part = raw[at : at + size]
        at += size
        if name == "num_groups" or how == "rest":
            aag = (raw[at:] + bytes(58))[:58]
            values |= {"num_groups": 58, "aag": aag}
        elif how == "nibbles":
            values[name] = tuple(byte & 15 for byte in raw[:9])
        elif name in KNOWN and (len(part) < size or not part[0] & 1):
            values[name] = KNOWN[name]
        elif name in ("application_type", "security_type", "oui"):
            continue
        else:
            values[name] = int.from_bytes(part, "big") if isinstance(how, str) else part.ljust(size, b"\0")
    return kind(**values)


def settle(machine: Any, now: int) -> None:
    """All that is due is done."""
    for _ in range(50):
        if machine.deadline is None or machine.deadline > now:
            return
        machine.elapse(now)
    raise AssertionError("it is always due")


def one(raw: bytes) -> None:
    """One input."""
    evse = SlacEvse(SlacEvseConfig(mac=EVSE, modem="qualcomm", amp_map=(1,)), lambda n: RUN.ljust(n, b"\1")[:n])
    ev = SlacEv(SlacEvConfig(mac=EV, modem="lumissil"), lambda n: RUN.ljust(n, b"\1")[:n])
    now = 0
    evse.command(events.Begin(), now)
    ev.start(now)
    at = 0
    while at + 2 <= len(raw):
        what, size = raw[at] % 40, raw[at + 1]
        part = raw[at + 2 : at + 2 + size % 64]
        at += 2 + len(part)
        if what < len(mme.MESSAGES):
            message = message_of(mme.MESSAGES[what], part)
            for machine, src, dst in ((evse, EV, EVSE), (ev, EVSE, EV)):
                data = mme.encode(mme.MmeFrame(dst, src, message))
                for effect in machine.receive(data, now):
                    if isinstance(effect, Send):
                        assert mme.decode(effect.data).src == machine.config.mac
        elif what < 30:
            data = bytes([*EVSE, *EV, 0x88, 0xE1]) + part
            try:
                frame = mme.decode(data)
            except mme.BadMme:
                pass
            else:
                assert mme.decode(mme.encode(frame)) == frame
            evse.receive(data, now)
            ev.receive(data, now)
        elif what < 36:
            for machine in (evse, ev):
                machine.command(COMMANDS[what % len(COMMANDS)], now)
        elif what < 37:
            ev.start(now)
        else:
            now += size * (what - 36) ** 3 * 10
        settle(evse, now)
        settle(ev, now)
        assert len(evse.runs) <= timers.C_EVSE_MATCH_PARALLEL


if __name__ == "__main__":
    run(one, "-max_len=1024")
