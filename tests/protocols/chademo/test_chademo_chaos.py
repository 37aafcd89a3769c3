"""Seeded bad luck at a CHAdeMO plug: frames lost, doubled, bent, wires that flicker. Never a current too much."""

from __future__ import annotations

import random as seeded
from typing import Any

import msgspec
import pytest
from tests.protocols.chademo.chademo_kit import DRIVE, OFFER, Plug

from pilotwire.core.evse_link import Ended, Fault, Requested, Stop
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.chademo import ChademoEvConfig, ChademoEvseConfig, Pin


@pytest.mark.parametrize("seed", range(2))
def test_a_bus_that_loses_a_fifth_of_its_frames_is_lived_with(seed: int) -> None:
    luck = seeded.Random(seed)
    plug = Plug()
    plug.spoil = lambda data, who: [] if isinstance(data, CanFrame) and luck.random() < 0.2 else [data]
    plug.plug().run(40_000)
    assert plug.phases == ("power", "power") and plug.evse.asked_ma == 100_000


@pytest.mark.parametrize("seed", range(10))
def test_whatever_happens_the_output_is_never_above_what_is_wanted(seed: int) -> None:
    luck = seeded.Random(seed)
    offer = msgspec.structs.replace(OFFER, max_discharge_ma=50_000)
    drive = msgspec.structs.replace(DRIVE, max_discharge_ma=40_000)
    plug = Plug(ChademoEvseConfig(discharge=True), ChademoEvConfig(discharge=True), offer=offer, drive=drive)
    begun = plug.time.now() + luck.randrange(20_000)

    def spoil(data: Any, who: str) -> list[Any]:
        if plug.time.now() < begun or luck.random() > 0.02:
            return [data]
        if isinstance(data, Pin):
            return [data, data._replace(on=not data.on)] if luck.random() < 0.5 else []
        bent = bytearray(data.data)
        bent[luck.randrange(8)] ^= 1 << luck.randrange(8)
        return luck.choice([[], [data] * 3, [data._replace(data=bytes(bent))], [data._replace(data=data.data[:3])]])

    plug.spoil = spoil
    plug.plug()
    for step in range(250):
        plug.run(200)
        if step == 100 and plug.evse.phase == "power":
            setpoint = luck.choice([None, -5_000_000, 20_000_000])
            plug.outlet.offering(msgspec.structs.replace(offer, setpoint_mw=setpoint))
        powered = plug.evse.phase == "power"
        assert -50_000 <= plug.evse.asked_ma <= 125_000
        assert powered or (plug.evse.asked_ma == 0 and plug.outlet.ma == 0), plug.phases
        assert abs(plug.outlet.ma) <= max(abs(plug.evse.asked_ma), 0)
    plug.spoil = None
    if plug.evse.phase == "power":
        plug.a.command(Stop())
    plug.run(40_000)
    assert plug.evse.phase in ("over", "unplugged") and plug.ev.phase == "over", plug.phases
    told = [event for _, who, event in plug.log if who == "evse"]
    assert [type(event) for event in told].count(Ended) == 1
    fault = next((place for place, event in enumerate(told) if type(event) is Fault), None)
    flowed = [place for place, event in enumerate(told) if type(event) is Requested and event.ma]
    if fault is not None and flowed:
        assert Requested() in told[flowed[-1] : fault], "the output first, then the reason"
    assert not plug.outlet.closed and not plug.inlet
