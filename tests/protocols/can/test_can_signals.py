"""Signals in messages: against cantools, bit by bit, and there and back."""

from __future__ import annotations

from fractions import Fraction

import cantools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.protocols.can import (
    CanFrame,
    Message,
    Signal,
    SignalError,
    Table,
    bcd,
    choice,
    flag,
    message,
    number,
    octets,
    text,
)
from pilotwire.protocols.can.dbc import export

SPEED = message(
    0x102,
    "SPEED",
    8,
    period_ms=100,
    sender="ev",
    signals=(
        number("target", 8, 16, unit="mV", factor=1_000, missing=0xFFFF),
        flag("enabled", 40),
        choice("gear", 42, 2, {0: "parked", 1: "other"}, missing=3),
        number("temperature", 48, 8, unit="°C", offset=-50),
        number("given", 56, 8, unit="mA", factor=-1_000, offset=255_000),
    ),
)


def test_values_are_whole_base_units():
    data = SPEED.encode({"target": 410_000, "enabled": True, "gear": 1, "temperature": -3, "given": 20_000})
    assert data.hex() == "009a010000052feb"
    assert SPEED.decode(data) == {"target": 410_000, "enabled": True, "gear": 1, "temperature": -3, "given": 20_000}
    assert SPEED.frame({}) == CanFrame(0x102, bytes.fromhex("00ffff00000c0000"))


def test_a_number_is_rounded_to_the_nearest_step_and_kept_within_its_field():
    for given_, read in ((410_499, 410_000), (410_500, 411_000), (-5, 0), (10**9, 65_534_000)):
        assert SPEED.decode(SPEED.encode({"target": given_}))["target"] == read
    assert SPEED.decode(SPEED.encode({"given": 999_000}))["given"] == 255_000


def test_what_is_not_available_is_none_both_ways():
    assert SPEED.decode(SPEED.encode({"target": None, "gear": None}))["target"] is None
    assert SPEED.decode(bytes.fromhex("00ffff00000c0000"))["gear"] is None
    assert SPEED.words({"target": None, "gear": 1, "enabled": True, "given": 3}) == {
        "gear": "other",
        "enabled": "yes",
        "given": "3 mA",
    }


def test_too_short_is_an_error_and_longer_is_not():
    with pytest.raises(SignalError, match="SPEED has 7 of at least 8 bytes"):
        SPEED.decode(bytes(7))
    assert SPEED.decode(bytes(20))["target"] == 0


def test_what_lies_beyond_the_end_is_not_available():
    short = message(1, "SHORT", 4, least=2, signals=(number("a", 0, 16), number("b", 16, 16)))
    assert short.decode(b"\x01\x00") == {"a": 1, "b": None}
    assert short.decode(b"\x01\x00\x02") == {"a": 1, "b": None}
    assert short.decode(b"\x01\x00\x02\x00") == {"a": 1, "b": 2}


def test_unused_bits_are_filled():
    assert message(1, "ONES", 2, fill=True, signals=(number("a", 4, 4),)).encode({"a": 0}).hex() == "0fff"
    assert message(1, "ZEROS", 2, signals=(number("a", 4, 4),)).encode({"a": 15}).hex() == "f000"


def test_text_bytes_and_digits():
    made = message(
        1, "MADE", 12, fill=True, signals=(text("vin", 0, 5), octets("raw", 5, 3), bcd("second", 8), bcd("year", 9, 2))
    )
    data = made.encode({"vin": "LSV", "raw": b"\x01\x02\x03", "second": 59, "year": 2026})
    assert data.hex() == "4c5356ffff010203592620ff"
    assert made.decode(data) == {"vin": "LSV", "raw": b"\x01\x02\x03", "second": 59, "year": 2026}
    assert made.decode(bytes.fromhex("ffffffffff010203ff2f20ff")) == {
        "vin": None,
        "raw": b"\x01\x02\x03",
        "second": None,
        "year": None,
    }
    assert made.decode(bytes.fromhex("4cc3b60041010203592620ff"))["vin"] == "L???A"


def test_values_that_are_not_allowed_are_named():
    limited = message(1, "L", 2, signals=(number("a", 0, 8, low=1, high=12), choice("b", 8, 8, {0: "no", 1: "yes"})))
    assert limited.faults(limited.decode(b"\x0d\x01")) == ["a"]
    assert limited.faults(limited.decode(b"\x0c\x07")) == ["b"]
    assert limited.faults({"a": None, "b": 1}) == []


@pytest.mark.parametrize(
    ("signals", "why"),
    [
        ((number("a", 0, 8), number("b", 7, 2)), "b lies on a"),
        ((number("a", 60, 8),), "goes beyond byte 8"),
        ((number("a", 0, 4), flag("a", 7)), "two signals of one name"),
        ((number("a", 7, 16, big_endian=True), number("b", 8, 1)), "b lies on a"),
    ],
)
def test_a_wrong_table_is_refused(signals: tuple, why: str):
    with pytest.raises(ValueError, match=why):
        message(1, "X", 8, signals=signals)


def test_a_table_finds_its_messages():
    table = Table("t", (SPEED, message(0x102, "OTHER", 1, extended=True, signals=())))
    assert table.decode(CanFrame(0x102, bytes(8)))[0].name == "SPEED"  # type: ignore[index]
    assert table.find(CanFrame(0x102, b"\x00", True)).name == "OTHER"  # type: ignore[union-attr]
    assert table.decode(CanFrame(0x103, b"")) is None


# ── against cantools ─────────────────────────────────────────────────────────────────────────────────────────────────
@st.composite
def layouts(draw: st.DrawFn) -> Message:
    """Messages with up to eight signals anywhere."""
    length = draw(st.integers(1, 8))
    signals: list[Signal] = []
    for index in range(draw(st.integers(1, 8))):
        candidate = number(
            f"s{index}",
            draw(st.integers(0, length * 8 - 1)),
            draw(st.integers(1, min(32, length * 8))),
            big_endian=draw(st.booleans()),
            signed=draw(st.booleans()),
            factor=draw(st.sampled_from([Fraction(1), Fraction(100), Fraction(1, 2), Fraction(-100), Fraction(7)])),
            offset=draw(st.integers(-500, 500)),
        )
        try:
            message(0x123, "DRAWN", length, signals=(*signals, candidate))
        except ValueError:
            continue  # it does not fit; that overlaps are seen, cantools checks when it loads the file
        signals.append(candidate)
    return message(0x123, "DRAWN", length, signals=signals)


@given(layouts(), st.binary(min_size=8, max_size=8))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_what_we_read_is_what_cantools_reads(layout: Message, data: bytes):
    data = data[: layout.length]
    database = cantools.database.load_string(export(Table("drawn", (layout,))), "dbc")
    theirs = database.get_message_by_frame_id(0x123).decode(data, decode_choices=False)
    ours = layout.decode(data)
    for signal in layout.signals:
        if signal.factor.denominator == 1:
            assert ours[signal.name] == theirs[signal.name], signal
        else:
            assert abs(ours[signal.name] - theirs[signal.name]) < 1  # whole base units: rounded down
    if all(signal.factor.denominator == 1 for signal in layout.signals):
        again = layout.decode(layout.encode(ours))
        assert again == ours
