"""What both ends share: cyclic messages, waiting, and what is not as it should be."""

from __future__ import annotations

import pytest
from tests.protocols.gbt27930.gbt_bench import VALUES

from pilotwire.core.machines import Send
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.gbt27930 import BMS, CHARGER
from pilotwire.protocols.gbt27930 import timers as t
from pilotwire.protocols.gbt27930.line import Line
from pilotwire.protocols.gbt27930.wires import Cc1, Cc2
from pilotwire.protocols.j1939 import Limits, build


def line() -> Line:
    return Line(BMS, CHARGER, "evse", "2015", Limits())


def test_cyclic_messages_keep_their_grid_however_late_we_are_woken():
    own = line()
    assert len(own.repeat("BCL", lambda: VALUES["BCL"], 0)) == 1
    assert own.deadline == 50
    assert own.cycle(49) == []
    assert len(own.cycle(70)) == 1
    assert own.deadline == 100, "20 ms late once is not 20 ms late for ever"
    assert len(own.cycle(420)) == 1, "turns that are over are not made up for"
    assert own.deadline == 450
    own.quiet("BCL")
    assert own.deadline is None


def test_waiting_is_begun_anew_or_only_once():
    own = line()
    own.wait(t.CCS, 0)
    own.wait(t.CCS, 500)
    own.wait_on(t.CST, 0)
    own.wait_on(t.CST, 4_000)
    assert own.elapse(1_499) == ([], [])
    assert own.elapse(5_000) == ([], [t.CCS, t.CST]), "in the order in which they ran out"
    assert not own.waits(t.CCS) and own.deadline is None


@pytest.mark.parametrize(
    ("frame", "unknown", "malformed"),
    [
        (CanFrame(build(6, 0x1200, BMS, 0x17), bytes(8), True), 1, 0),  # of somebody else
        (CanFrame(build(6, 0x3000, BMS, CHARGER), bytes(8), True), 1, 0),  # no group of the standard
        (CanFrame(build(6, 0x1000, BMS, CHARGER), bytes(5), True), 1, 0),  # a vehicle's message, of the charger
        (CanFrame(build(6, 0x1200, BMS, CHARGER), bytes(3), True), 0, 1),  # too short
        (CanFrame(build(4, 0x0A00, BMS, CHARGER), b"\x55", True), 0, 1),  # a value that is none
        (CanFrame(build(6, 0x1200, CHARGER, CHARGER), bytes(8), True), 0, 0),  # for somebody else
        (CanFrame(0x102, bytes(8)), 0, 0),
    ],
)
def test_what_is_not_for_us_or_cannot_be_is_counted(frame: CanFrame, unknown: int, malformed: int):
    own = line()
    assert own.receive(frame, 0) == ([], [])
    assert (own.counts.unknown, own.counts.malformed) == (unknown, malformed)


def test_a_long_message_that_breaks_off_is_counted():
    own = line()
    (rts,) = own.send("BRM", VALUES["BRM"], 0)
    assert isinstance(rts, Send) and rts.data.data.hex() == "10310007ff000200"
    effects, expired = own.elapse(1_250)
    assert effects[0].data.data[:2] == b"\xff\x03" and expired == []
    assert own.counts.aborted == 1


@pytest.mark.parametrize(
    ("mv", "connected"), [(3_199, False), (3_200, True), (4_000, True), (4_800, True), (4_801, False)]
)
def test_the_chargers_contact(mv: int, connected: bool):
    assert Cc1(mv).connected is connected


@pytest.mark.parametrize(
    ("mv", "connected"), [(5_199, False), (5_200, True), (6_000, True), (6_801, False), (12_000, False)]
)
def test_the_vehicles_contact(mv: int, connected: bool):
    assert Cc2(mv).connected is connected
