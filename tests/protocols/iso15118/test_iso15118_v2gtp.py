"""V2GTP frames, however the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotwire.protocols.iso15118.v2gtp import MOST, BadHeader, Frame, FrameReader, read, write

frames = st.lists(st.builds(Frame, st.integers(0, 0xFFFF), st.binary(max_size=80)), max_size=6)


@given(frames, st.lists(st.integers(1, 30), min_size=1, max_size=200))
def test_a_stream_gives_the_same_frames_however_it_is_cut(sent: list[Frame], cuts: list[int]) -> None:
    data = b"".join(map(write, sent))
    reader, got, place = FrameReader(), [], 0
    for cut in cuts:
        got += reader.feed(data[place : place + cut])
        place += cut
    got += reader.feed(data[place:])
    assert got == sent
    assert not reader.waiting


def test_the_header_is_what_the_standard_says() -> None:
    assert write(Frame(0x8001, b"\x80\x9a")).hex() == "01fe800100000002809a"


@pytest.mark.parametrize("data", ["02fe800100000001aa", "01fd800100000001aa", "0000", "01ff"])
def test_what_is_no_v2gtp_is_refused_at_once(data: str) -> None:
    with pytest.raises(BadHeader):
        FrameReader().feed(bytes.fromhex(data))


def test_a_length_beyond_all_messages_is_refused_before_it_is_waited_for() -> None:
    header = b"\x01\xfe\x80\x01"
    assert FrameReader().feed(header + MOST.to_bytes(4, "big")) == []
    with pytest.raises(BadHeader, match="65537"):
        FrameReader().feed(header + (MOST + 1).to_bytes(4, "big"))


@pytest.mark.parametrize("data", ["01fe8001000000", "01fe800100000001", "01fe800100000001aabb"])
def test_a_datagram_is_one_frame_exactly(data: str) -> None:
    with pytest.raises(BadHeader):
        read(bytes.fromhex(data))
