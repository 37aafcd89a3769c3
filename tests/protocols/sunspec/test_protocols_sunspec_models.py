"""Our tables against the definitions that pysunspec2 ships, and layouts, values and chains made of them."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.core.errors import PilotwireError
from pilotwire.protocols.modbus.errors import FrameError, RequestError
from pilotwire.protocols.sunspec.chain import ModelValues, build_chain, build_model
from pilotwire.protocols.sunspec.models import GroupDef, decode_model, layout, model
from pilotwire.protocols.sunspec.tables import HASHES, MODELS
from pilotwire.protocols.sunspec.walk import Walk

ORIGIN = find_spec("sunspec2")
assert ORIGIN is not None and ORIGIN.origin is not None
FOLDER = Path(ORIGIN.origin).parent / "models" / "json"
WANTED = {
    1, 101, 102, 103, 111, 112, 113, 120, 121, 122, 123, 124, 160, 201, 202, 203, 204, 211, 212, 213, 214,
    *range(701, 716), 802, 803, 804, 805,
}  # fmt: skip


def same(ours: GroupDef, theirs: dict[str, Any]) -> None:
    points = theirs.get("points", [])
    assert list(ours.points) == [point["name"] for point in points]
    for point in points:
        here = ours.points[point["name"]]
        assert (here.type, here.size) == (point["type"], point["size"]), point
        assert here.sf == point.get("sf")
        assert here.units == point.get("units", "").replace("_", " ")
        assert here.writable == (point.get("access") == "RW")
        assert [number for number, _ in here.symbols] == [int(each["value"]) for each in point.get("symbols", ())]
    assert [group.name for group in ours.groups] == [group["name"] for group in theirs.get("groups", [])]
    for group, other in zip(ours.groups, theirs.get("groups", []), strict=True):
        assert group.count == (None if other.get("count", 1) == 0 else other.get("count", 1))
        same(group, other)


@pytest.mark.parametrize("number", sorted(WANTED))
def test_a_model_is_what_the_package_says(number: int) -> None:
    assert set(MODELS) == WANTED
    data = (FOLDER / f"model_{number}.json").read_bytes()
    assert HASHES[number] == hashlib.sha256(data).hexdigest()
    same(model(number), json.loads(data)["group"])


def test_values_are_scaled_and_what_is_not_there_is_none() -> None:
    registers, _ = build_model(
        ModelValues(103, {"W": -1500, "W_SF": 1, "PhVphA": Decimal("230.1"), "V_SF": -1, "Hz_SF": -2})
    )
    values = decode_model(registers)
    assert (values["W"], values["PhVphA"], values["Hz"]) == (-1500, Decimal("230.1"), None)
    assert values["A"] is None, "no scale factor, no value"


def test_a_value_without_its_scale_is_none() -> None:
    registers, where = build_model(ModelValues(103, {"W": 100, "W_SF": 0}))
    registers[where["W_SF"].offset] = 0x8000
    assert decode_model(registers)["W"] is None
    registers[where["W_SF"].offset] = 11  # beyond the ten that SunSpec allows
    assert decode_model(registers)["W"] is None


@given(st.sampled_from(sorted(WANTED)), st.integers(0, 3), st.integers(0, 4))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_whatever_is_built_is_read_back_whole(number: int, outer: int, inner: int) -> None:
    counts: dict[str, int] = {}

    def count(group: GroupDef, often: int) -> None:
        for each in group.groups:
            if each.count != 1:
                counts[each.name] = often
            count(each, inner)

    count(model(number), outer)
    registers, where = build_model(ModelValues(number, {}, counts))
    assert registers[1] == len(registers) - 2
    assert decode_model(registers).keys() == where.keys()
    taken = [at for spot in where.values() for at in range(spot.offset, spot.offset + spot.point.size)]
    assert sorted(taken) == list(range(len(registers))), "each register belongs to one point"


@given(st.sampled_from(sorted(WANTED)), st.lists(st.integers(0, 0xFFFF), max_size=140))
@settings(max_examples=200, derandomize=True, deadline=None)
def test_any_registers_are_values_or_an_error_of_ours(number: int, body: list[int]) -> None:
    with suppress(PilotwireError):
        decode_model([number, len(body), *body])
    with pytest.raises(FrameError):
        decode_model([number, len(body) + 1, *body])


def test_an_older_edition_is_shorter() -> None:
    whole = layout(1, 66)
    assert "Pad" in whole and "Pad" not in layout(1, 65)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(RequestError, match="no point Watts"):
        build_model(ModelValues(103, {"Watts": 1}))
    with pytest.raises(RequestError):
        build_model(ModelValues(103, {"W": 40_000, "W_SF": 0}))
    with pytest.raises(RequestError, match="behind the last address"):
        build_chain([ModelValues(1), ModelValues(103)], base=65_500)


def walk(registers: dict[int, int], bases: tuple[int, ...] = (40000, 0, 50000)) -> Walk:
    found = Walk(bases)
    steps = 0
    while (want := found.want) is not None:
        steps += 1
        assert steps < 500, "a walk ends"
        there = range(want.address, want.address + want.count)
        found.answer([registers[at] for at in there] if all(at in registers for at in there) else None)
    return found


@pytest.mark.parametrize("base", [0, 40000, 50000])
def test_a_chain_is_found_wherever_it_may_begin(base: int) -> None:
    built = build_chain(
        [ModelValues(1, {"Mn": "Pilotwire"}), ModelValues(203), ModelValues(160, {}, {"module": 2})], base
    )
    found = walk(dict(enumerate(built.registers, base)))
    assert found.chain == built.chain
    located = built.chain.locate("160.module[1].DCW")
    assert located is not None and located[1].point.units == "W"
    assert built.chain.locate("160.module[2].DCW") is None
    assert built.chain.locate("103.W") is None and built.chain.locate("nonsense") is None


@pytest.mark.parametrize(
    ("tail", "fault"),
    [
        ([0xFFFF, 0], ""),
        ([], ""),
        ([0, 5], "number 0"),
        ([103, 65_000], "behind the last address"),
    ],
)
def test_a_chain_that_ends_oddly_keeps_what_was_found(tail: list[int], fault: str) -> None:
    built = build_chain([ModelValues(1)])
    registers = dict(enumerate([*built.registers[:-2], *tail], 40000))
    chain = walk(registers).chain
    assert chain is not None and [placed.number for placed in chain.models] == [1]
    assert (fault in chain.faults[0]) if fault else chain.faults == ()


def test_no_marker_no_chain_and_no_end_no_hang() -> None:
    assert walk({}).chain is None
    endless = {at: 700 if at % 2 == 0 else 0 for at in range(2, 0x10000)} | {0: 0x5375, 1: 0x6E53}
    chain = walk(endless).chain
    assert chain is not None and "no end" in chain.faults[0] and len(chain.models) == 100
