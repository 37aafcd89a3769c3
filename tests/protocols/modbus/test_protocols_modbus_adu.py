"""Frames of TCP and RTU, in pieces, in a row, among noise; beside pymodbus."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU
from tests.protocols.modbus.test_protocols_modbus_pdu import REQUESTS, answer

from pilotwire.protocols.modbus.adu import Adu, RtuDecoder, TcpDecoder, crc16, encode_rtu, encode_tcp, response_length
from pilotwire.protocols.modbus.errors import FrameError
from pilotwire.protocols.modbus.identification import Identification
from pilotwire.protocols.modbus.pdu import (
    ReadIdentification,
    ReadRegisters,
    Registers,
    WriteRegister,
    WriteRegisters,
    encode_request,
    encode_response,
)

READ = ReadRegisters(3, 0, 2)
ASK = encode_rtu(1, encode_request(READ))
TOLD = encode_rtu(1, encode_response(READ, Registers((0x1234, 0x5678))))


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.binary(min_size=1, max_size=80))
def test_the_crc_is_the_one_of_pymodbus(data: bytes):
    assert crc16(data).to_bytes(2, "little") == FramerRTU.compute_CRC(data).to_bytes(2, "big")
    assert crc16(data + crc16(data).to_bytes(2, "little")) == 0


def test_the_crc_of_the_standard():
    assert encode_rtu(2, b"\x07").hex() == "02074112"


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.lists(REQUESTS, min_size=1, max_size=4), st.lists(st.integers(1, 40), min_size=1, max_size=8), st.booleans())
def test_frames_in_pieces(requests: list, cuts: list[int], server: bool):
    pdus = [encode_request(each) if server else encode_response(each, answer(each, 3)) for each in requests]
    tcp = b"".join(encode_tcp(at, at + 1, pdu) for at, pdu in enumerate(pdus))
    rtu = b"".join(encode_rtu(at + 1, pdu) for at, pdu in enumerate(pdus))
    for decoder, stream in ((TcpDecoder(), tcp), (RtuDecoder("server" if server else "client"), rtu)):
        found: list[Adu] = []
        at = turn = 0
        while at < len(stream):
            step = cuts[turn % len(cuts)]
            found += decoder.feed(stream[at : at + step])
            at, turn = at + step, turn + 1
        assert [(each.unit, each.pdu) for each in found] == [(at + 1, pdu) for at, pdu in enumerate(pdus)]
        assert decoder.pending == 0


@pytest.mark.parametrize("header", ["000100010006", "000100000001", "0001000000ff", "485454502f31"])
def test_a_stream_that_is_not_modbus(header: str):
    with pytest.raises(FrameError):
        TcpDecoder().feed(bytes.fromhex(header) + bytes(10))


def test_a_wrong_crc_is_no_answer_and_noise_is_passed_over():
    bent = TOLD[:4] + b"\xff" + TOLD[5:]
    decoder = RtuDecoder("client")
    assert decoder.feed(bent) == []
    assert decoder.silence() == [] and decoder.skipped == len(bent)
    assert decoder.feed(b"\x00\xff\x83" + TOLD) == [Adu(1, TOLD[1:-2])] or decoder.silence() == [Adu(1, TOLD[1:-2])]
    assert decoder.skipped == len(bent) + 3


def test_a_server_drops_the_answers_of_others_whole():
    """Registers of a neighbour that hold a request to us, CRC and all, are no request to us."""
    planted = encode_rtu(7, encode_request(WriteRegister(5, 1)))
    assert len(planted) == 8
    words = Registers(tuple(int.from_bytes(planted[at : at + 2], "big") for at in range(0, 8, 2)))
    ask = ReadRegisters(3, 0, 4)
    decoder = RtuDecoder("server")
    overheard = encode_rtu(9, encode_request(ask)) + encode_rtu(9, encode_response(ask, words))
    found = [each for byte in overheard for each in decoder.feed(bytes((byte,)))]
    assert [each.unit for each in found] == [9]
    assert decoder.foreign == 1 and decoder.silence() == [] and decoder.skipped == 0
    bent = encode_rtu(9, encode_response(ask, words))[:-1] + b"\0"
    assert decoder.feed(bent) == [] and decoder.feed(planted) == [], "nothing is believed before the line was silent"
    assert decoder.silence() == []
    assert [each.unit for each in decoder.feed(planted)] == [7]


def test_a_function_that_only_the_device_knows_ends_with_the_silence():
    decoder = RtuDecoder("server")
    assert decoder.feed(encode_rtu(1, b"\x65abc")) == []
    assert decoder.silence() == [Adu(1, b"\x65abc")]


def test_exceptions_of_others_are_not_for_us():
    decoder = RtuDecoder("server")
    assert decoder.feed(encode_rtu(1, b"\x83\x02")) == [] and decoder.foreign == 1
    assert RtuDecoder("client").feed(encode_rtu(1, b"\x83\x02")) == [Adu(1, b"\x83\x02")]


@pytest.mark.parametrize("cut", [1, 3, 5, 7])
def test_a_request_that_is_cut_off_is_gone_with_the_silence(cut: int):
    decoder = RtuDecoder("server")
    assert decoder.feed(ASK[:cut]) == [] and decoder.silence() == []
    assert decoder.feed(ASK) == [Adu(1, ASK[1:-2])]


def test_the_length_of_an_identification_is_known():
    request = ReadIdentification(1)
    frame = encode_rtu(1, encode_response(request, Identification(((0, b"abc"), (1, b"")))))
    assert response_length(frame) == len(frame)
    assert all(response_length(frame[:cut]) in (-1, len(frame)) for cut in range(len(frame)))


def test_a_flood_without_frames_does_not_grow():
    decoder = RtuDecoder("server")
    for _ in range(100):
        decoder.feed(b"\x41" * 100)
        assert decoder.pending < 1200
    assert encode_request(WriteRegisters(0, (1,)))
