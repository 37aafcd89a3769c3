"""Management messages: exact bytes, every message both ways, whatever else comes in is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.protocols.slac import mme
from pilotwire.protocols.slac.keys import nid_of, nmk_of
from pilotwire.protocols.slac.mme import BadMme, MmeFrame, decode, encode

DST, SRC, RUN = bytes.fromhex("020000000001"), bytes.fromhex("020000000002"), bytes.fromhex("1122334455667788")


def body(message: mme.Message) -> str:
    return encode(MmeFrame(DST, SRC, message)).hex()


def test_the_header_and_the_padding():
    raw = encode(MmeFrame(DST, SRC, mme.SlacParmReq(run_id=RUN)))
    assert raw.hex() == "02000000000102000000000288e101646000000000" + RUN.hex() + "00" * 31
    assert len(raw) == 60
    vendor = encode(MmeFrame(DST, SRC, mme.LinkStatusReq()))
    assert vendor[14:20].hex() == "00b8a000b052", "no bytes of fragmentation"


@pytest.mark.parametrize(
    ("message", "mmtype", "size"),
    [
        (mme.SetKeyReq(nid=bytes(7), new_key=bytes(16)), "0860", 38),
        (mme.SetKeyCnf(), "0960", 14),
        (mme.SlacParmReq(run_id=RUN), "6460", 10),
        (mme.SlacParmCnf(forwarding_sta=DST, run_id=RUN), "6560", 25),
        (mme.StartAttenCharInd(forwarding_sta=DST, run_id=RUN), "6a60", 19),
        (mme.MnbcSoundInd(cnt=9, run_id=RUN, rnd=bytes(16)), "7660", 52),
        (mme.AttenProfileInd(pev_mac=DST, aag=bytes(58)), "8660", 66),
        (mme.AttenCharInd(source_address=DST, run_id=RUN, num_sounds=10, aag=bytes(58)), "6e60", 110),
        (mme.AttenCharRsp(source_address=DST, run_id=RUN), "6f60", 51),
        (mme.ValidateReq(), "7860", 3),
        (mme.ValidateCnf(result=1), "7960", 3),
        (mme.SlacMatchReq(pev_mac=DST, evse_mac=SRC, run_id=RUN), "7c60", 66),
        (mme.SlacMatchCnf(pev_mac=DST, evse_mac=SRC, run_id=RUN, nid=bytes(7), nmk=bytes(16)), "7d60", 90),
        (mme.AmpMapReq(amdata=(1, 2, 3)), "1c60", 4),
        (mme.AmpMapCnf(), "1d60", 1),
        (mme.ResetDeviceReq(), "1ca0", 3),
        (mme.ResetDeviceCnf(), "1da0", 4),
        (mme.LinkStatusReq(), "b8a0", 3),
        (mme.LinkStatusCnf(link_status=1), "b9a0", 5),
        (mme.NscmResetDeviceReq(), "70ac", 23),
        (mme.NscmGetDLinkStatusReq(), "9cac", 22),
        (mme.NscmGetDLinkStatusCnf(link_status=1), "9dac", 23),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, mme.Message) else "",
)
def test_every_message_has_its_size_and_comes_back(message: Any, mmtype: str, size: int):
    raw = encode(MmeFrame(DST, SRC, message))
    header = 19 if message.MMV else 17
    assert raw[15:17].hex() == mmtype
    assert len(raw) == max(60, header + size)
    assert decode(raw) == MmeFrame(DST, SRC, message)
    for cut in range(14, header + size):
        with pytest.raises(BadMme):
            decode(raw[:cut])
    assert decode(raw + bytes(20)).message == message, "padding is no matter"


def test_all_messages_are_tested():
    assert len(mme.MESSAGES) == 22 and len({kind.MMTYPE for kind in mme.MESSAGES}) == 22


def test_numbers_of_two_bytes_and_nibbles():
    assert "3e00" in body(mme.SlacMatchReq(pev_mac=DST, evse_mac=SRC, run_id=RUN))[38:46]
    assert body(mme.AmpMapReq(amdata=(1, 2, 3)))[38:46] == "03002103"
    assert decode(bytes.fromhex(body(mme.AmpMapReq(amdata=(1, 2, 3))))).message == mme.AmpMapReq(amdata=(1, 2, 3))


def test_keys():
    """The pair that Qualcomm's tools print for the password HomePlugAV0123."""
    assert nmk_of("HomePlugAV0123").hex() == "b59319d7e8157ba001b018669ccee30d"
    assert nid_of(nmk_of("HomePlugAV0123")).hex() == "026bcba5354e08"


MESSAGES: dict[str, st.SearchStrategy[Any]] = {"u8": st.integers(0, 255), "u16": st.integers(0, 65_535)}


@st.composite
def messages(draw: st.DrawFn) -> mme.Message:
    kind = draw(st.sampled_from(mme.MESSAGES))
    values: dict[str, Any] = {}
    for name, how in kind.LAYOUT:
        if name in ("num_groups", "oui"):
            continue
        if how == "rest":
            values[name] = draw(st.binary(max_size=255))
            values["num_groups"] = len(values[name])
        elif how == "nibbles":
            values[name] = tuple(draw(st.lists(st.integers(0, 15), max_size=917)))
        else:
            values[name] = draw(MESSAGES[how] if isinstance(how, str) else st.binary(min_size=how, max_size=how))
    return kind(**values)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(messages(), st.binary(min_size=6, max_size=6), st.binary(min_size=6, max_size=6))
def test_whatever_is_written_is_read(message: mme.Message, dst: bytes, src: bytes):
    assert decode(encode(MmeFrame(dst, src, message))) == MmeFrame(dst, src, message)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(messages(), st.data())
def test_flipped_bits_give_a_message_or_bad_mme(message: mme.Message, data: st.DataObject):
    raw = bytearray(encode(MmeFrame(DST, SRC, message)))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        frame = decode(bytes(raw))
    except BadMme:
        return
    assert decode(encode(frame)) == frame


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((12, 0x08), "EtherType"), ((15, 0xFF), "not known"), ((14, 0x00), "MMV 0"), ((17, 0x10), "fragment"),
    ],
)  # fmt: skip
def test_what_is_refused(change: tuple[int, int], says: str):
    raw = bytearray(encode(MmeFrame(DST, SRC, mme.SlacParmReq(run_id=RUN))))
    raw[change[0]] = change[1]
    with pytest.raises(BadMme, match=says):
        decode(bytes(raw))
    foreign = bytearray(encode(MmeFrame(DST, SRC, mme.LinkStatusReq())))
    foreign[17] = 0x77
    with pytest.raises(BadMme, match="maker"):
        decode(bytes(foreign))


def test_what_cannot_be_written():
    for frame in (
        MmeFrame(b"short", SRC, mme.AmpMapCnf()),
        MmeFrame(DST, SRC, mme.SlacParmReq(run_id=b"short")),
        MmeFrame(DST, SRC, mme.AttenProfileInd(pev_mac=DST, aag=bytes(57))),
        MmeFrame(DST, SRC, mme.AmpMapCnf(result=256)),
    ):
        with pytest.raises(ValueError):
            encode(frame)
