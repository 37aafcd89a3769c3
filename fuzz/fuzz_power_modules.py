"""Fuzzes the conversations with power modules: any frames, in any order and at any time, to both ends of each family.

    python fuzz/fuzz_power_modules.py [--seconds 60] [corpus directory] [libFuzzer options]

The first byte picks the family. Then come records: a byte of time, a byte of what comes (a frame to the charger, to the
modules, a command, or only time), four of the identifier, up to eight of data. Whatever comes, both ends answer with
frames and events, ask to be woken in time to come, and believe no reading that no module could give.
"""

from __future__ import annotations

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire"]):
    from pilotwire.core.machines import Send
    from pilotwire.protocols.can import CanFrame
    from pilotwire.protocols.power_modules import (
        DRIVERS,
        EMULATORS,
        FAMILIES,
        Alarms,
        EmulatedBus,
        Found,
        Limits,
        Lost,
        Reading,
        Refused,
        Set,
        Switch,
    )

EVENTS = (Send, Found, Lost, Reading, Limits, Alarms, Refused)
BASES = {
    "infy": (0x0283F001, 0x028301F0),
    "uugreen": (0x02204000, 0x02204000),
    "winline": (0x060F8008, 0x06080F80),
    "dpm1000": (0x060F800B, 0x06080F83),
    "huawei": (0x0681407C, 0x068140FC),
}
"""Identifiers of frames from module 1 and to it: what comes is laid over them, bit by bit, so that much is near."""


def _checked(effects: object, driver: object) -> list[CanFrame]:
    frames: list[CanFrame] = []
    for effect in effects:  # type: ignore[attr-defined]
        assert isinstance(effect, EVENTS), effect
        if isinstance(effect, Send):
            assert len(effect.data.data) <= 8 and 0 <= effect.data.id < 1 << 29
            frames.append(effect.data)
        elif isinstance(effect, Reading):
            assert 0 <= effect.mv <= 1_500_000 and -1000 <= effect.ma <= 400_000
    return frames


def one(raw: bytes) -> None:
    """One input."""
    if not raw:
        return
    family = FAMILIES[raw[0] % len(FAMILIES)]
    driver = DRIVERS[family]((1, 2) if raw[0] < 128 else ())
    bus = EmulatedBus([EMULATORS[family](1), EMULATORS[family](2)])
    now = 1_000_000
    at = 1
    while at + 6 <= len(raw):
        now += raw[at] * 16
        kind, length = raw[at + 1] >> 6, min(raw[at + 1] & 15, 8)
        number = int.from_bytes(raw[at + 2 : at + 6], "big") & 0x1FFF_FFFF
        data = raw[at + 6 : at + 6 + length]
        at += 6 + length
        if kind == 0:
            frames = _checked(driver.receive(CanFrame(number ^ BASES[family][0], data, True), now), driver)
        elif kind == 1:
            frames = []
            for answer in _checked(bus.receive(CanFrame(number ^ BASES[family][1], data, True), now), bus):
                frames += _checked(driver.receive(answer, now), driver)
        elif kind == 2:
            command = Set(number & 3, number >> 8, number >> 10) if number & 4 else Switch(number & 3, bool(number & 8))
            frames = _checked(driver.command(command, now), driver)
        else:
            frames = _checked(driver.elapse(now), driver)
            _checked(bus.elapse(now), bus)
            assert driver.deadline is None or driver.deadline > now
        for frame in frames:
            for answer in _checked(bus.receive(frame, now), bus):
                _checked(driver.receive(answer, now), driver)
    for module in bus.modules.values():
        assert 0 <= module.rectifier.set_ma <= module.rectifier.rating.max_ma


if __name__ == "__main__":
    run(one, "-max_len=512")
