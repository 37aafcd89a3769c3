"""Fuzzes what reads captures: files, packets, streams, V2GTP, CAN; whatever comes, a timeline or a CaptureError.

    python fuzz/fuzz_capture.py [--seconds 60] [corpus directory] [libFuzzer options]

The first byte picks the way: a file of pcap or pcapng as it is, Ethernet frames, pieces of TCP streams, CAN frames.
Every timeline is explained.
"""

from __future__ import annotations

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire"]):
    from pilotwire.protocols.can import CanFrame
    from pilotwire.protocols.capture import (
        CaptureError,
        Packet,
        Recording,
        can_timeline_of,
        explain,
        read_timeline,
        timeline_of,
    )

HEADS = (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a")
LINKS = (1, 0, 101, 113, 276, 227)
IDS = (0x100, 0x102, 0x109, 0x200, 0x1826F456, 0x1CECF456, 0x1CEBF456, 0x101956F4, 0x101AF456, 0x1CEC56F4)


def one(raw: bytes) -> None:
    """One input."""
    if len(raw) < 2:
        return
    way, data = raw[0] % 4, raw[1:]
    if way == 0:
        try:
            timeline = read_timeline(HEADS[data[0] % 3] + data[1:])
        except CaptureError as error:
            assert str(error)
            return
    elif way == 1:
        size = 40 + data[0]
        timeline = timeline_of(
            Packet(place * 1_000, LINKS[(data[0] + place) % 6], data[place : place + size])
            for place in range(1, len(data), size)
        )
    elif way == 2:
        recording = Recording()
        place = 0
        while place + 2 < len(data):
            length = data[place + 1]
            recording.add(place * 1_000, "ev" if data[place] & 1 else "evse", data[place + 2 : place + 2 + length])
            place += 2 + length
        order = sorted(range(len(recording.packets)), key=lambda number: (number // 3, -number))
        timeline = timeline_of(recording.packets[number] for number in order)
    else:
        timeline = can_timeline_of(
            (place * 10_000, CanFrame(IDS[data[place] % len(IDS)], data[place + 1 : place + 9], data[place] % 10 > 3))
            for place in range(0, len(data) - 1, 9)
        )
    found = explain(timeline)
    assert found.sentence and (found.index is None or 1 <= found.index <= len(timeline.entries))


if __name__ == "__main__":
    run(one, "-max_len=2048")
