"""Drivers and emulated modules on python-can's virtual bus: every frame goes through a real CAN stack."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from pilotwire.core.runner import Runner
from pilotwire.protocols.power_modules import DRIVERS, EMULATORS, EmulatedBus, Family, Found, Reading, Set, Switch
from pilotwire.protocols.power_modules.rectifier import Rating, Rectifier
from pilotwire.transport.can import open_bus
from pilotwire.transport.runtime import LoopScheduler

QUICK = Rating(start_ms=50, volts_ramp=10_000_000, amperes_ramp=2_000_000)


@pytest.mark.parametrize("family", ["infy", "winline", "huawei"])
async def test_a_module_on_a_virtual_bus(family: Family):
    scheduler = LoopScheduler()
    address = f"virtual:test-power-{family}"
    module = EMULATORS[family](1, Rectifier(QUICK))
    driver = DRIVERS[family]([1])
    events: list[Any] = []
    with contextlib.closing(open_bus(address)) as near, contextlib.closing(open_bus(address)) as far:
        charger = Runner(driver, scheduler, send=near.send, event=events.append)
        modules = Runner(EmulatedBus([module], step_ms=10), scheduler, send=far.send, event=events.append)
        near.subscribe(charger.received)
        far.subscribe(modules.received)

        async def until(ready: Any) -> None:
            async with asyncio.timeout(90):
                while not ready():
                    stage = module.rectifier
                    stage.settle(min(stage.reference_mv, 350_000), stage.limit_ma)
                    await asyncio.sleep(0.01)

        charger.command(Switch(1, False))
        await until(lambda: Found(1) in events)
        charger.command(Set(1, 350_000, 12_500))
        charger.command(Switch(1, True))
        await until(
            lambda: [e for e in events if isinstance(e, Reading) and (e.mv, e.ma, e.running) == (350_000, 12_500, True)]
        )
        charger.command(Switch(1, False))
        await until(lambda: module.rectifier.ma == 0 and events[-1] != Found(1))
        charger.stop()
        modules.stop()
    assert near.counts.dropped == 0
