"""Logs of CAN buses, in all the forms in which they come."""

from __future__ import annotations

import can
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.can.logs import Logged, Skipped, frames

TP = CanFrame(0x1CEC56F4, bytes.fromhex("10310007ff000200"), True)
SHORT = CanFrame(0x102, b"\x2a")


@pytest.mark.parametrize(
    ("line", "logged"),
    [
        ("(1436509052.249713) vcan0 1CEC56F4#10310007FF000200", Logged(1_436_509_052_249_713, TP, "vcan0")),
        ("(0.5) can1 102#2A T", Logged(500_000, SHORT, "can1")),
        ("(1.25) can0 102#", Logged(1_250_000, CanFrame(0x102, b""), "can0")),
        ("  can0  1CEC56F4   [8]  10 31 00 07 FF 00 02 00", Logged(0, TP, "can0")),
        (" (000.012345)  can0  102   [1]  2A   '*'", Logged(12_345, SHORT, "can0")),
        (" (1436509052.249713)  can0  102   [1]  2A", Logged(1_436_509_052_249_713, SHORT, "can0")),
        (" (2015-07-10 06:17:32.249713)  can0  102   [1]  2A", Logged(1_436_509_052_249_713, SHORT, "can0")),
        (" (000.000001)  can0  RX - -  102   [01]  2A", Logged(1, SHORT, "can0")),
        ("   0.015991 1  1CEC56F4x       Rx   d 8 10 31 00 07 FF 00 02 00  Length = 1", Logged(15_991, TP, "1")),
        ("0.015991 2  102             Tx   d 1 2A", Logged(15_991, SHORT, "2")),
    ],
)
def test_a_line_of_each_form(line: str, logged: Logged):
    assert list(frames([line])) == [logged]


@pytest.mark.parametrize(
    ("line", "others"),
    [
        ("(1.0) can0 102#R8", True),
        ("(1.0) can0 20000004#0000000000000000", True),
        ("  can0  102   [8]  remote request", True),
        ("   1.000000 1  102  Rx   r", True),
        ("  can0  102   [8]  10 31", True),
        ("(1.0) can0 102##0112233", False),
        ("hello", False),
        ("(x) can0 102#00", False),
        ("(1.0) can0 102#0", True),
        ("(1.0) can0 FFF#00", True),
    ],
)
def test_what_is_no_frame_of_can_2_is_counted(line: str, others: bool):
    skipped = Skipped()
    assert list(frames([line], skipped)) == []
    assert (skipped.others, skipped.unread) == ((1, 0) if others else (0, 1))


def test_heads_of_asc_say_how_it_is_to_be_read():
    lines = [
        "date Fri Jul 10 08:17:32.249 am 2015", "base dec  timestamps relative", "internal events logged",
        "Begin Triggerblock Thu Jan 01 00:00:01.250 1970", "0.000000 Start of measurement",
        "   0.100000 1  258             Rx   d 2 42 255", "   0.250000 1  258             Rx   d 1 16",
        "   0.300000 1  ErrorFrame", "End TriggerBlock",
    ]  # fmt: skip
    skipped = Skipped()
    assert list(frames(lines, skipped)) == [
        Logged(100_000, CanFrame(0x102, b"\x2a\xff"), "1"),
        Logged(350_000, CanFrame(0x102, b"\x10"), "1"),
    ]
    assert skipped == Skipped()


@pytest.mark.parametrize("ending", ["log", "asc"])
def test_what_python_can_writes_is_read(ending: str, tmp_path):
    with can.Logger(str(tmp_path / f"written.{ending}")) as writer:
        for number, frame in enumerate((TP, SHORT, CanFrame(0x7FF, bytes(8)))):
            writer(
                can.Message(
                    timestamp=1.0 + number / 8,
                    arbitration_id=frame.id,
                    is_extended_id=frame.extended,
                    data=frame.data,
                    channel=0,
                )
            )
    with (tmp_path / f"written.{ending}").open() as file:
        read = list(frames(file))
    assert [each.frame for each in read] == [TP, SHORT, CanFrame(0x7FF, bytes(8))]
    assert [each.at_us - read[0].at_us for each in read] == [0, 125_000, 250_000]


@given(st.text(max_size=120))
@settings(max_examples=300, derandomize=True)
def test_no_line_raises(line: str):
    skipped = Skipped()
    read = list(frames([line], skipped))
    assert len(read) + skipped.others + skipped.unread <= 1
