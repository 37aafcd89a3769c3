"""Our tables as DBC files: cantools loads them, and reads with them what we read."""

from __future__ import annotations

import random

import cantools
import pytest

from pilotwire.protocols.can import Message, Table
from pilotwire.protocols.can.dbc import export, pieces
from pilotwire.protocols.chademo.frames import FRAMES
from pilotwire.protocols.gbt27930.table import TABLE


def raw_of(message: Message, data: bytes, theirs: dict[str, int]) -> None:
    """Each value of ours is what cantools reads from the same bytes."""
    ours = message.decode(data)
    for signal in message.signals:
        value = ours[signal.name]
        if signal.kind in ("text", "bytes", "bcd"):
            at = signal.start // 8
            octets = b"".join(int(theirs[name]).to_bytes(length // 8, "little") for name, _, length in pieces(signal))
            assert octets == data[at : at + signal.length // 8]
        elif value is None:
            assert signal.missing is not None
            step = signal.missing * signal.factor + (signal.offset if signal.kind == "number" else 0)
            assert theirs[signal.name] == step
        else:
            assert theirs[signal.name] == value


@pytest.mark.parametrize("table", [TABLE, FRAMES], ids=lambda table: table.name)
def test_cantools_reads_with_the_file_what_we_read(table: Table):
    database = cantools.database.load_string(export(table), "dbc", strict=True)
    assert {each.name for each in database.messages} == {each.name for each in table.messages}
    chance = random.Random(7)
    for message in table.messages:
        theirs = database.get_message_by_name(message.name)
        assert (theirs.frame_id, theirs.is_extended_frame, theirs.length) == (
            message.id,
            message.extended,
            message.length,
        )
        assert theirs.cycle_time == message.period_ms
        for _ in range(30):
            data = bytes(chance.choice((0, 0xFF, chance.randrange(256))) for _ in range(message.length))
            raw_of(message, data, theirs.decode(data, decode_choices=False))


def test_names_of_values_and_comments_are_in_the_file():
    database = cantools.database.load_string(export(TABLE), "dbc")
    bst = database.get_message_by_name("BST")
    signal = bst.get_signal_by_name("insulation")
    assert signal.choices[2] == "untrusted"
    assert signal.comment == "insulation fault"
    assert bst.senders == ["EV"]
    assert signal.receivers == ["EVSE"]
