"""Fuzzes both ends of CHAdeMO: whatever frames, pins and pauses come, nothing is raised and no current is left on.

    python fuzz/fuzz_chademo.py [--seconds 60] [corpus directory] [libFuzzer options]

The first byte picks the end; then come steps of ten bytes: what it is, how long after the last one, and eight bytes of
data.
"""

from __future__ import annotations

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire"]):
    from pilotwire.core.ev_link import Contacts, Drive
    from pilotwire.core.evse_link import Authorize, Contactor, Isolation, Locked, Measured, Offer
    from pilotwire.protocols.can import CanFrame
    from pilotwire.protocols.chademo import FRAMES, ChademoEv, ChademoEvConfig, ChademoEvse, ChademoEvseConfig, Pin

IDS = [each.id for each in FRAMES.messages]
PINS = ("proximity", "d1", "d2", "k")
STATION = (Locked(True), Isolation("valid"), Contactor(True), Contactor(False), Measured(), Measured(mv=400_000))


def one(raw: bytes) -> None:
    """One input."""
    if len(raw) < 11:
        return
    now = 1_000_000
    if raw[0] & 1:
        end = ChademoEvse(ChademoEvseConfig(discharge=True))
        end.command(Offer(max_mv=500_000, max_ma=125_000, max_discharge_ma=50_000, setpoint_mw=-1_000_000), now)
        end.command(Authorize(accepted=True), now)
        end.receive(Pin("proximity", True), now)
    else:
        end = ChademoEv(ChademoEvConfig(discharge=True))
        end.command(Drive(target_ma=100_000), now)
        end.start(now)
    for place in range(1, len(raw) - 9, 10):
        what, pause, data = raw[place], raw[place + 1], raw[place + 2 : place + 10]
        now += pause * 8
        while end.deadline is not None and end.deadline <= now:
            end.elapse(end.deadline)
        if what < 0x20:
            end.receive(Pin(PINS[what % 4], bool(what & 4)), now)  # type: ignore[arg-type]
        elif what < 0x40:
            answers = STATION if isinstance(end, ChademoEvse) else (Contacts(True), Contacts(False))
            end.command(answers[what % len(answers)], now)  # type: ignore[arg-type]
        else:
            end.receive(CanFrame(IDS[what % len(IDS)], data[: what % 9 or 8], what == 0xFF), now)
        assert end.phase == "power" or end.asked_ma == 0
        assert abs(end.asked_ma) <= 125_000 or isinstance(end, ChademoEv)


if __name__ == "__main__":
    run(one, "-max_len=1024")
