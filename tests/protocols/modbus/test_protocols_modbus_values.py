"""Values in registers: exact both ways, in every order, with what means that there is none."""

from __future__ import annotations

import math
import struct
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.protocols.modbus.errors import FrameError, RequestError
from pilotwire.protocols.modbus.values import SUNSPEC, Field, bit_names, decode_value, encode_value

INTEGERS = {
    "u16": (0, 16),
    "s16": (1, 16),
    "u32": (0, 32),
    "s32": (1, 32),
    "u48": (0, 48),
    "u64": (0, 64),
    "s64": (1, 64),
}
ORDERS = st.sampled_from(("big", "little"))


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    st.sampled_from(sorted(INTEGERS)), st.data(), ORDERS, ORDERS, st.integers(-6, 6), st.sampled_from(("1", "0.1", "3"))
)
def test_integers_both_ways(kind: str, data: st.DataObject, words: str, octets: str, scale: int, factor: str):
    signed, bits = INTEGERS[kind]
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    raw = data.draw(st.integers(low, high))
    field = Field(kind=kind, words=words, bytes=octets, factor=Decimal(factor))  # type: ignore[arg-type]
    value = raw * Decimal(factor).scaleb(scale)
    registers = encode_value(field, value, scale)
    assert len(registers) == field.registers == bits // 16
    found = decode_value(field, registers, scale)
    assert found == value
    for beyond in (low - 1, high + 1):
        with pytest.raises(RequestError):
            encode_value(field, beyond * Decimal(factor).scaleb(scale), scale)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False), ORDERS, ORDERS)
def test_f32_both_ways(real: float, words: str, octets: str):
    field = Field(kind="f32", words=words, bytes=octets)  # type: ignore[arg-type]
    value = decode_value(field, encode_value(field, Decimal(real)))
    assert isinstance(value, Decimal)
    assert struct.pack(">f", float(value)) == struct.pack(">f", real)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_f64_both_ways(real: float):
    field = Field(kind="f64", words="little")
    value = decode_value(field, encode_value(field, Decimal(real)))
    assert isinstance(value, Decimal) and float(value) == real


def test_the_orders_are_those_of_the_field():
    cases = {("big", "big"): [0x0102, 0x0304], ("little", "big"): [0x0304, 0x0102]}
    cases |= {("big", "little"): [0x0201, 0x0403], ("little", "little"): [0x0403, 0x0201]}
    for (words, octets), registers in cases.items():
        field = Field(kind="u32", words=words, bytes=octets)  # type: ignore[arg-type]
        assert decode_value(field, registers) == 0x01020304
        assert encode_value(field, 0x01020304) == registers


def test_what_a_meter_meant_and_not_what_its_float_is():
    assert decode_value(Field(kind="f32"), [0x4366, 0x199A]) == Decimal("230.1")
    assert decode_value(Field(kind="f32", exponent=3), [0x4366, 0x199A]) == 230_100
    value = decode_value(Field(kind="u16"), [230])
    assert type(value) is int


@pytest.mark.parametrize("name", SUNSPEC)
def test_what_sunspec_calls_not_implemented(name: str):
    field = SUNSPEC[name]
    if field.kind in ("f32", "f64"):
        patterns = [[0x7FC0, 0, 0, 0][: field.registers] if field.kind == "f32" else [0x7FF8, 0, 0, 0]]
        patterns += [[0x7F80, 0]] if field.kind == "f32" else [[0xFFF0, 0, 0, 0]]
    else:
        wide = field.absent[0].to_bytes(2 * field.registers, "big")
        patterns = [list(struct.unpack(f">{field.registers}H", wide))]
        signed = decode_value(Field(kind=field.kind), patterns[0])
        assert isinstance(signed, int)
        with pytest.raises(RequestError):
            encode_value(field, signed)
    for pattern in patterns:
        assert decode_value(field, pattern) is None
        assert decode_value(field, pattern, -2) is None
    near = [*[0] * (field.registers - 1), 1]
    assert decode_value(field, near) is not None


def test_between_two_steps():
    field = Field(kind="u16", exponent=-1)
    assert encode_value(field, Decimal("16.0")) == [160]
    assert encode_value(field, 16) == [160]
    with pytest.raises(RequestError):
        encode_value(field, Decimal("16.05"))
    assert encode_value(field, Decimal("16.09"), rounding="down") == [160]
    assert encode_value(field, Decimal("16.09"), rounding="nearest") == [161]
    third = Field(kind="u32", factor=Decimal(3))
    assert encode_value(third, 10, rounding="down") == [0, 3]
    assert encode_value(Field(kind="s16", exponent=-1), Decimal("-1.01"), rounding="down") == [0xFFF5]


def test_strings():
    field = Field(kind="string", length=4)
    assert encode_value(field, "EVSE-1") == [0x4556, 0x5345, 0x2D31, 0]
    assert decode_value(field, [0x4556, 0x5345, 0x2D31, 0]) == "EVSE-1"
    assert decode_value(field, [0x4556, 0x5345, 0x2020, 0x2020]) == "EVSE"
    assert decode_value(field, [0, 0, 0, 0]) is None
    assert decode_value(field, [0xFFFF] * 4) == "�" * 8
    assert decode_value(Field(kind="string", length=2, bytes="little"), [0x5645, 0x4553]) == "EVSE"
    with pytest.raises(RequestError):
        encode_value(field, "too long by one")


def test_what_is_refused():
    for bad in (Decimal("NaN"), Decimal("Infinity"), "text"):
        with pytest.raises(RequestError):
            encode_value(Field(kind="u16"), bad)
    for kind, bad in (("f32", Decimal("1e39")), ("f64", Decimal("1e400"))):
        with pytest.raises(RequestError):
            encode_value(Field(kind=kind), bad)  # type: ignore[arg-type]
    with pytest.raises(RequestError):
        encode_value(Field(kind="string", length=1), 5)
    with pytest.raises(FrameError):
        decode_value(Field(kind="u32"), [1])
    for wrong in (
        {"kind": "u8"},
        {"kind": "string"},
        {"kind": "u16", "length": 1},
        {"kind": "u16", "factor": Decimal(0)},
    ):
        with pytest.raises(RequestError):
            Field(**wrong)  # type: ignore[arg-type]
    assert not math.isnan(float(decode_value(Field(kind="f32"), [0, 1]) or 0))


def test_bits_have_names():
    assert bit_names(0b1001, {0: "run"}) == {"run", "bit 3"}
    assert bit_names(None, {}) == frozenset()
