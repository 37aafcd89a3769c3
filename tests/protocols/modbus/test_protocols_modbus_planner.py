"""What is asked for in one go."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.protocols.modbus.errors import RequestError
from pilotwire.protocols.modbus.pdu import ReadBits, ReadRegisters, encode_request
from pilotwire.protocols.modbus.planner import ReadLimits, Want, plan


def ranges(*wants: tuple[int, int], **limits: object) -> list[tuple[int, int]]:
    blocks = plan([Want(3, *want) for want in wants], ReadLimits(**limits))  # type: ignore[arg-type]
    return [(block.request.address, block.request.count) for block in blocks]


def test_what_touches_is_joined_and_gaps_as_far_as_allowed():
    assert ranges((10, 2), (12, 2), (20, 1)) == [(10, 4), (20, 1)]
    assert ranges((10, 2), (12, 2), (20, 1), gap=5) == [(10, 4), (20, 1)]
    assert ranges((10, 2), (12, 2), (20, 1), gap=6) == [(10, 11)]
    assert ranges((10, 4), (11, 1), (12, 6)) == [(10, 8)]


def test_the_devices_limits():
    assert ranges((0, 60), (60, 60), (120, 5)) == [(0, 125)]
    assert ranges((0, 60), (60, 60), (120, 6)) == [(0, 120), (120, 6)]
    assert ranges((0, 8), (8, 8), registers=10) == [(0, 8), (8, 8)]
    assert ranges((0, 2), (4, 2), gap=9, forbidden=((3, 3),)) == [(0, 2), (4, 2)]
    assert ranges((0, 2), (2, 2), gap=9, borders=(2,)) == [(0, 2), (2, 2)]
    assert ranges((0, 2), (2, 2), gap=9, borders=(0, 4), forbidden=((4, 9),)) == [(0, 4)]


@pytest.mark.parametrize(
    ("want", "limits"),
    [
        ((0, 126), {}),
        ((0, 0), {}),
        ((65535, 2), {}),
        ((0, 11), {"registers": 10}),
        ((0, 4), {"borders": (2,)}),
        ((0, 4), {"forbidden": ((3, 7),)}),
    ],
)
def test_what_no_read_can_hold(want: tuple[int, int], limits: dict[str, object]):
    with pytest.raises(RequestError):
        ranges(want, **limits)


WANTS = st.lists(st.builds(Want, st.sampled_from((1, 3, 4)), st.integers(0, 300), st.integers(1, 12)), max_size=25)


@settings(max_examples=80, derandomize=True, deadline=None)
@given(WANTS, st.integers(0, 20), st.integers(12, 40))
def test_every_want_is_in_one_read_and_none_is_too_long(wants: list[Want], gap: int, most: int):
    blocks = plan(wants, ReadLimits(registers=most, bits=most, gap=gap))
    held = [want for block in blocks for want in block.wants]
    assert sorted(held) == sorted(set(wants))
    for block in blocks:
        encode_request(block.request)
        assert isinstance(block.request, ReadBits if block.wants[0].function == 1 else ReadRegisters)
        assert block.request.count <= most
        values = range(block.request.address, block.request.address + block.request.count)
        for want in block.wants:
            assert list(block.take(want, values)) == list(range(want.address, want.address + want.count))
        wanted = {at for want in block.wants for at in range(want.address, want.address + want.count)}
        run = 0
        for at in values:
            run = 0 if at in wanted else run + 1
            assert run <= gap
        assert [part.request.count for part in block.parts()] == [want.count for want in block.wants]
    assert plan(reversed(wants), ReadLimits(registers=most, bits=most, gap=gap)) == blocks
