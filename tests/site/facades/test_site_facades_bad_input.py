"""Whatever is asked of a map, the answer is the protocol's own; what is refused has done nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.site.facades.evses import SITE, FakeEvse

from pilotwire.protocols.modbus.errors import ModbusException
from pilotwire.protocols.modbus.pdu import (
    MaskWriteRegister,
    ReadBits,
    ReadIdentification,
    ReadRegisters,
    ReadWriteRegisters,
    WriteCoils,
    WriteRegister,
    WriteRegisters,
)
from pilotwire.site.facades.cells import FacadeHandler
from pilotwire.site.facades.orders import ExternalLimits
from pilotwire.site.facades.serving import MapConfig, ServerOf, units_of

MAPS = ["own", "keba", "keba-p40", "alfen", "alfen-station", "charx", "heidelberg", "sdm630", "sunspec", "single"]
PLACES = (0, 4, 100, 200, 205, 257, 300, 1000, 1080, 1200, 1210, 1300, 1417, 5004, 5014, 40_000, 65_535)
registers = st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=8).map(tuple)
places = st.sampled_from(PLACES) | st.integers(0, 0xFFFF)
requests = (
    st.builds(ReadRegisters, st.sampled_from((3, 4)), places, st.integers(1, 125))
    | st.builds(ReadBits, st.sampled_from((1, 2)), places, st.integers(1, 100))
    | st.builds(WriteRegister, places, st.integers(0, 0xFFFF))
    | st.builds(WriteRegisters, places, registers)
    | st.builds(ReadWriteRegisters, places, st.integers(1, 60), places, registers)
    | st.builds(MaskWriteRegister, places, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
    | st.builds(WriteCoils, places, st.just((True,)))
    | st.builds(ReadIdentification, st.sampled_from((1, 2, 3, 4)), st.integers(0, 255))
)


class Somebody:
    name = "10.0.0.7"


@pytest.mark.parametrize("name", MAPS)
@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(requests, min_size=1, max_size=12))
def test_any_request_is_answered_once(name: str, asked: list[Any]):
    evses = [FakeEvse("bay-1"), FakeEvse("bay-2")]
    evses[0].charges()
    limits = ExternalLimits()
    drivers: dict[str, Any] = {each.id: each for each in evses}
    units = units_of(ServerOf(maps=(MapConfig(map=name),)), drivers, lambda: SITE, limits, 0, "s")
    handler = FacadeHandler(units, lambda: 1000)
    for request in asked:
        before = limits.at(1000)
        outcomes: list[Any] = []
        handler.handle(Somebody(), min(units), request, outcomes.append)
        (outcome,) = outcomes
        if isinstance(outcome, ModbusException) and not isinstance(request, ReadWriteRegisters):
            assert limits.at(1000) == before, f"refused, and yet done: {request}"
        for order in limits.at(1000).evses.values():
            assert order.maximum_ma is None or 0 <= order.maximum_ma <= 80_000
