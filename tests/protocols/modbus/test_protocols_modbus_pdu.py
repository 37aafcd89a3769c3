"""Requests and responses: both ways, their limits, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.protocols.modbus.errors import (
    FrameError,
    IllegalDataAddress,
    IllegalDataValue,
    IllegalFunction,
    ModbusException,
    RequestError,
    ServerDeviceBusy,
)
from pilotwire.protocols.modbus.identification import Identification, identification_part
from pilotwire.protocols.modbus.pdu import (
    DONE,
    Bits,
    MaskWriteRegister,
    ReadBits,
    ReadIdentification,
    ReadRegisters,
    ReadWriteRegisters,
    Registers,
    Request,
    Response,
    WriteCoil,
    WriteCoils,
    WriteRegister,
    WriteRegisters,
    decode_request,
    decode_response,
    encode_exception,
    encode_request,
    encode_response,
    function_of,
    writes,
)

WORD = st.integers(0, 0xFFFF)
LOW = st.integers(0, 60_000)


def words(most: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(WORD, min_size=1, max_size=most).map(tuple)


REQUESTS: st.SearchStrategy[Request] = st.one_of(
    st.builds(ReadBits, st.sampled_from((1, 2)), LOW, st.integers(1, 2000)),
    st.builds(ReadRegisters, st.sampled_from((3, 4)), LOW, st.integers(1, 125)),
    st.builds(WriteCoil, WORD, st.booleans()),
    st.builds(WriteRegister, WORD, WORD),
    st.builds(WriteCoils, LOW, st.lists(st.booleans(), min_size=1, max_size=1968).map(tuple)),
    st.builds(WriteRegisters, LOW, words(123)),
    st.builds(MaskWriteRegister, WORD, WORD, WORD),
    st.builds(ReadWriteRegisters, LOW, st.integers(1, 125), LOW, words(121)),
    st.builds(ReadIdentification, st.sampled_from((1, 2, 3, 4)), st.integers(0, 255)),
)


def answer(request: Request, seed: int) -> Response:
    """Some right answer."""
    if isinstance(request, ReadBits):
        return Bits(tuple(bool((seed + at) * 7 % 3 % 2) for at in range(request.count)))
    if isinstance(request, ReadRegisters | ReadWriteRegisters):
        return Registers(tuple((seed + at * 257) & 0xFFFF for at in range(request.count)))
    if isinstance(request, ReadIdentification):
        return Identification(((0, b"Maker"), (1, b"X" * (seed % 200))), 2 if seed % 2 else None)
    return DONE


@settings(max_examples=40, derandomize=True, deadline=None)
@given(REQUESTS, WORD)
def test_both_ways(request: Request, seed: int):
    pdu = encode_request(request)
    assert len(pdu) <= 253 and pdu[0] == function_of(request)
    assert decode_request(pdu) == request
    response = answer(request, seed)
    back = encode_response(request, response)
    assert len(back) <= 253
    assert decode_response(request, back) == response
    with pytest.raises(ServerDeviceBusy):
        decode_response(request, encode_exception(function_of(request), 6))
    for cut in {0, 1, len(back) // 2, len(back) - 1}:
        with pytest.raises(FrameError):
            decode_response(request, back[:cut])
    with pytest.raises(FrameError):
        decode_response(request, back + b"\0")
    for cut in {0, 1, len(pdu) // 2, len(pdu) - 1}:
        with pytest.raises((IllegalDataValue, IllegalFunction)):
            decode_request(pdu[:cut])


@settings(max_examples=80, derandomize=True, deadline=None)
@given(st.binary(max_size=40), REQUESTS)
def test_any_bytes_are_a_request_or_an_exception(data: bytes, request: Request):
    try:
        assert encode_request(decode_request(data)) == data or data[0] == 15
    except ModbusException as error:
        assert error.code in (1, 2, 3)
    try:
        decode_response(request, data)
    except (FrameError, ModbusException):
        return
    raise AssertionError(f"{data.hex()} passed for an answer to {request}")


def test_bytes_of_the_standard():
    """The examples of clause 6, retyped as figures."""
    assert encode_request(ReadRegisters(3, 0x6B, 3)).hex() == "03006b0003"
    assert decode_response(ReadRegisters(3, 0x6B, 3), bytes.fromhex("0306022b00000064")) == Registers((0x22B, 0, 0x64))
    request = ReadBits(1, 0x13, 0x13)
    bits = decode_response(request, bytes.fromhex("0103cd6b05"))
    assert isinstance(bits, Bits)
    assert [int(bit) for bit in bits.values[:8]] == [1, 0, 1, 1, 0, 0, 1, 1]
    assert len(bits.values) == 19
    assert encode_response(request, bits).hex() == "0103cd6b05"
    assert encode_request(WriteCoil(0xAC, True)).hex() == "0500acff00"
    ten = (True, False, True, True, False, False, True, True, True, False)
    assert encode_request(WriteCoils(0x13, ten)).hex() == "0f0013000a02cd01"
    assert encode_response(WriteCoils(0x13, ten), DONE).hex() == "0f0013000a"
    assert encode_request(WriteRegisters(1, (10, 0x102))).hex() == "100001000204000a0102"
    assert encode_request(MaskWriteRegister(4, 0xF2, 0x25)).hex() == "16000400f20025"
    both = ReadWriteRegisters(3, 6, 14, (255, 255, 255))
    assert encode_request(both).hex() == "1700030006000e00030600ff00ff00ff"


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (ReadRegisters(3, 65411, 125), ReadRegisters(3, 65412, 125)),
        (ReadRegisters(4, 0, 125), ReadRegisters(4, 0, 126)),
        (ReadRegisters(4, 0, 1), ReadRegisters(4, 0, 0)),
        (ReadBits(1, 0, 2000), ReadBits(1, 0, 2001)),
        (WriteRegisters(0, (1,) * 123), WriteRegisters(0, (1,) * 124)),
        (WriteCoils(0, (True,) * 1968), WriteCoils(0, (True,) * 1969)),
        (WriteRegisters(0, (65535,)), WriteRegisters(0, (65536,))),
        (WriteRegister(65535, 0), WriteRegister(65536, 0)),
        (WriteRegister(0, 0), WriteRegister(0, -1)),
        (ReadWriteRegisters(0, 125, 0, (1,) * 121), ReadWriteRegisters(0, 125, 0, (1,) * 122)),
        (MaskWriteRegister(0, 0, 65535), MaskWriteRegister(0, 0, 65536)),
        (ReadIdentification(4, 255), ReadIdentification(4, 256)),
    ],
)
def test_limits(good: Request, bad: Request):
    assert decode_request(encode_request(good)) == good
    with pytest.raises(RequestError):
        encode_request(bad)


@pytest.mark.parametrize(
    ("pdu", "error"),
    [
        ("0300000000", IllegalDataValue),
        ("030000007e", IllegalDataValue),
        ("03ffff0002", IllegalDataAddress),
        ("01000007d1", IllegalDataValue),
        ("0500000001", IllegalDataValue),
        ("10000000010300ff", IllegalDataValue),
        ("10000000020400ff", IllegalDataValue),
        ("0f0000000902ff", IllegalDataValue),
        ("2b0e0500", IllegalDataValue),
        ("2b0d0000", IllegalFunction),
        ("0700", IllegalFunction),
        ("8300000001", IllegalFunction),
    ],
)
def test_bad_requests_have_the_exception_of_the_standard(pdu: str, error: type[ModbusException]):
    with pytest.raises(error):
        decode_request(bytes.fromhex(pdu))


def test_an_answer_to_something_else_is_none():
    request = WriteRegister(5, 100)
    with pytest.raises(FrameError):
        decode_response(request, encode_request(WriteRegister(5, 101)))
    with pytest.raises(FrameError):
        decode_response(ReadRegisters(3, 0, 2), bytes.fromhex("040200010002"))
    with pytest.raises(FrameError):
        decode_response(ReadRegisters(3, 0, 2), bytes.fromhex("84 02"))
    with pytest.raises(FrameError):
        decode_response(ReadRegisters(3, 0, 2), bytes.fromhex("83 00"))
    with pytest.raises(RequestError):
        encode_response(ReadRegisters(3, 0, 2), Registers((1,)))
    with pytest.raises(RequestError):
        encode_response(ReadRegisters(3, 0, 1), DONE)
    with pytest.raises(RequestError):
        encode_response(ReadRegisters(3, 0, 1), Registers((65536,)))


def test_an_exception_of_a_vendors_own_keeps_its_code():
    with pytest.raises(ModbusException) as caught:
        decode_response(ReadRegisters(3, 0, 1), b"\x83\xe0")
    assert caught.value.code == 0xE0 and type(caught.value) is ModbusException


def test_what_writes():
    assert not writes(ReadRegisters(3, 0, 1)) and not writes(ReadIdentification(1)) and not writes(ReadBits(2, 0, 1))
    assert (
        writes(ReadWriteRegisters(0, 1, 0, (1,))) and writes(WriteCoil(0, False)) and writes(MaskWriteRegister(0, 0, 0))
    )


def test_an_identification_comes_in_parts():
    objects = {0: b"A" * 100, 1: b"B" * 100, 2: b"C" * 100, 5: b"model", 0x80: b"own"}
    found: list[tuple[int, bytes]] = []
    first: int | None = 0
    parts = 0
    while first is not None:
        request = ReadIdentification(3, first)
        part = decode_response(request, encode_response(request, identification_part(objects, 3, first)))
        assert isinstance(part, Identification) and part.conformity == 0x83
        found += part.objects
        first = part.more
        parts += 1
    assert dict(found) == objects and parts == 2
    assert [at for at, _ in identification_part({0: b"a", 3: b"b"}, 1, 0).objects] == [0]
    assert identification_part(objects, 4, 5).text(5) == "model"
    with pytest.raises(IllegalDataAddress):
        identification_part(objects, 4, 6)
