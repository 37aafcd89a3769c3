"""Power modules on CAN, both ends: drivers (the charger's) and emulators (the module's), sans-IO.

    driver = InfyDriver([1, 2, 3])            # or without addresses: they are discovered
    driver.receive(frame, now)                # → Send(CanFrame), Found, Lost, Reading, Limits, Alarms, Refused
    driver.command(Set(1, 400_000, 30_000), now); driver.command(Switch(1, True), now)
    driver.elapse(now); driver.deadline

One interface for InfyPower V1.13, UUGreenPower UR1000X0, Winline and DPM1000 (the "0x060" family) and Huawei
R100040Gx; what differs stands in the module of each family, with its sources. `DRIVERS` and `EMULATORS` name them.
"""

from .driver import ModuleDriver
from .emulator import EmulatedBus, ModuleEmulator
from .huawei import HuaweiDriver, HuaweiEmulator
from .infy import InfyDriver, InfyEmulator
from .messages import (
    FAMILIES,
    Alarm,
    Alarms,
    Family,
    Found,
    Limits,
    Lost,
    ModuleCommand,
    ModuleEvent,
    Reading,
    Refused,
    Set,
    Switch,
)
from .rectifier import Rating, Rectifier
from .timers import TIMERS
from .uugreen import UUGreenDriver, UUGreenEmulator
from .winline import DpmDriver, DpmEmulator, WinlineDriver, WinlineEmulator

DRIVERS: dict[Family, type[ModuleDriver]] = {
    "infy": InfyDriver,
    "uugreen": UUGreenDriver,
    "winline": WinlineDriver,
    "dpm1000": DpmDriver,
    "huawei": HuaweiDriver,
}
EMULATORS: dict[Family, type[ModuleEmulator]] = {
    "infy": InfyEmulator,
    "uugreen": UUGreenEmulator,
    "winline": WinlineEmulator,
    "dpm1000": DpmEmulator,
    "huawei": HuaweiEmulator,
}

__all__ = [
    "DRIVERS",
    "EMULATORS",
    "FAMILIES",
    "TIMERS",
    "Alarm",
    "Alarms",
    "DpmDriver",
    "DpmEmulator",
    "EmulatedBus",
    "Family",
    "Found",
    "HuaweiDriver",
    "HuaweiEmulator",
    "InfyDriver",
    "InfyEmulator",
    "Limits",
    "Lost",
    "ModuleCommand",
    "ModuleDriver",
    "ModuleEmulator",
    "ModuleEvent",
    "Rating",
    "Reading",
    "Rectifier",
    "Refused",
    "Set",
    "Switch",
    "UUGreenDriver",
    "UUGreenEmulator",
    "WinlineDriver",
    "WinlineEmulator",
]
