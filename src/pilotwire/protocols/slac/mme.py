"""Management messages of HomePlug Green PHY as ISO 15118-3 uses them, and those of two makers' modems.

An Ethernet frame of type 88E1: destination, source, type | MMV | MMTYPE, little-endian | FMI, FMSN (only with MMV 1 and
more; we neither send nor take fragments) | the message, zeros up to 60 bytes. Numbers of two bytes are little-endian.
The two lowest bits of MMTYPE say what it is: request, confirmation, indication, response.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import msgspec

from pilotwire.core.errors import RemoteError

ETHERTYPE: Final = 0x88E1
BROADCAST: Final = b"\xff" * 6
LOCAL_MODEM: Final = bytes.fromhex("00b052000001")
"""To the modem at this very cable, whatever its own address is."""
QUALCOMM: Final = bytes.fromhex("00b052")
LUMISSIL: Final = bytes.fromhex("0016e8")
GROUPS: Final = 58
"""Groups of carriers in an attenuation profile."""
LEAST_LENGTH: Final = 60
MOST_LENGTH: Final = 1_514

_ZEROS17 = bytes(17)
_ZEROS8 = bytes(8)
_ZEROS4 = bytes(4)

Field = tuple[str, int | str]
"""A name and a length in bytes, or how it is read: u8, u16, groups (one byte and as many), nibbles (u16 and half)."""
_MATCHING: Final[tuple[Field, ...]] = (("application_type", "u8"), ("security_type", "u8"))


class BadMme(RemoteError):
    """What came is no message of these; it is to be ignored."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message; its subclasses say their MMTYPE and layout."""

    MMTYPE: ClassVar[int]
    LAYOUT: ClassVar[tuple[Field, ...]]
    MMV: ClassVar[int] = 1


# ── CM_SET_KEY (table A.8): host to its own modem ────────────────────────────────────────────────────────────────────
class SetKeyReq(Message, frozen=True, kw_only=True):
    MMTYPE = 0x6008
    LAYOUT = (
        ("key_type", "u8"), ("my_nonce", 4), ("your_nonce", 4), ("pid", "u8"), ("prn", "u16"), ("pmn", "u8"),
        ("cco_capability", "u8"), ("nid", 7), ("new_eks", "u8"), ("new_key", 16),
    )  # fmt: skip
    nid: bytes
    new_key: bytes
    key_type: int = 1
    my_nonce: bytes = _ZEROS4
    your_nonce: bytes = _ZEROS4
    pid: int = 4
    prn: int = 0
    pmn: int = 0
    cco_capability: int = 0
    new_eks: int = 1


class SetKeyCnf(Message, frozen=True, kw_only=True):
    """`result` says nothing: there are modems that count it the other way round."""

    MMTYPE = 0x6009
    LAYOUT = (
        ("result", "u8"), ("my_nonce", 4), ("your_nonce", 4), ("pid", "u8"), ("prn", "u16"), ("pmn", "u8"),
        ("cco_capability", "u8"),
    )  # fmt: skip
    result: int = 0
    my_nonce: bytes = _ZEROS4
    your_nonce: bytes = _ZEROS4
    pid: int = 4
    prn: int = 0
    pmn: int = 0
    cco_capability: int = 0


# ── CM_SLAC_PARM (table A.2) ─────────────────────────────────────────────────────────────────────────────────────────
class SlacParmReq(Message, frozen=True, kw_only=True):
    MMTYPE = 0x6064
    LAYOUT = (*_MATCHING, ("run_id", 8))
    run_id: bytes
    application_type: int = 0
    security_type: int = 0


class SlacParmCnf(Message, frozen=True, kw_only=True):
    MMTYPE = 0x6065
    LAYOUT = (
        ("m_sound_target", 6), ("num_sounds", "u8"), ("time_out", "u8"), ("resp_type", "u8"), ("forwarding_sta", 6),
        *_MATCHING, ("run_id", 8),
    )  # fmt: skip
    forwarding_sta: bytes
    run_id: bytes
    m_sound_target: bytes = BROADCAST
    num_sounds: int = 10
    time_out: int = 6
    """× 100 ms."""
    resp_type: int = 1
    application_type: int = 0
    security_type: int = 0


# ── sounding (table A.4) ─────────────────────────────────────────────────────────────────────────────────────────────
class StartAttenCharInd(Message, frozen=True, kw_only=True):
    MMTYPE = 0x606A
    LAYOUT = (
        *_MATCHING, ("num_sounds", "u8"), ("time_out", "u8"), ("resp_type", "u8"), ("forwarding_sta", 6), ("run_id", 8),
    )  # fmt: skip
    forwarding_sta: bytes
    run_id: bytes
    num_sounds: int = 10
    time_out: int = 6
    resp_type: int = 1
    application_type: int = 0
    security_type: int = 0


class MnbcSoundInd(Message, frozen=True, kw_only=True):
    MMTYPE = 0x6076
    LAYOUT = (*_MATCHING, ("sender_id", 17), ("cnt", "u8"), ("run_id", 8), ("reserved", 8), ("rnd", 16))
    cnt: int
    """How many are still to come."""
    run_id: bytes
    rnd: bytes
    sender_id: bytes = _ZEROS17
    reserved: bytes = _ZEROS8
    application_type: int = 0
    security_type: int = 0


class AttenProfileInd(Message, frozen=True, kw_only=True):
    """From the modem to its host: how one sound was heard."""

    MMTYPE = 0x6086
    LAYOUT = (("pev_mac", 6), ("num_groups", "u8"), ("reserved", 1), ("aag", "rest"))
    pev_mac: bytes
    aag: bytes
    """dB a group."""
    num_groups: int = GROUPS
    reserved: bytes = b"\x00"


class AttenCharInd(Message, frozen=True, kw_only=True):
    MMTYPE = 0x606E
    LAYOUT = (
        *_MATCHING, ("source_address", 6), ("run_id", 8), ("source_id", 17), ("resp_id", 17), ("num_sounds", "u8"),
        ("num_groups", "u8"), ("aag", "rest"),
    )  # fmt: skip
    source_address: bytes
    run_id: bytes
    num_sounds: int
    aag: bytes
    num_groups: int = GROUPS
    source_id: bytes = _ZEROS17
    resp_id: bytes = _ZEROS17
    application_type: int = 0
    security_type: int = 0


class AttenCharRsp(Message, frozen=True, kw_only=True):
    MMTYPE = 0x606F
    LAYOUT = (*_MATCHING, ("source_address", 6), ("run_id", 8), ("source_id", 17), ("resp_id", 17), ("result", "u8"))
    source_address: bytes
    run_id: bytes
    source_id: bytes = _ZEROS17
    resp_id: bytes = _ZEROS17
    result: int = 0
    application_type: int = 0
    security_type: int = 0


# ── CM_VALIDATE (table A.5) ──────────────────────────────────────────────────────────────────────────────────────────
NOT_READY: Final = 0
READY: Final = 1
SUCCESS: Final = 2
FAILURE: Final = 3
NOT_REQUIRED: Final = 4


class ValidateReq(Message, frozen=True, kw_only=True):
    MMTYPE = 0x6078
    LAYOUT = (("signal_type", "u8"), ("timer", "u8"), ("result", "u8"))
    timer: int = 0
    """0: the first step; else the vehicle toggles for (timer + 1) × 100 ms."""
    result: int = READY
    signal_type: int = 0


class ValidateCnf(Message, frozen=True, kw_only=True):
    MMTYPE = 0x6079
    LAYOUT = (("signal_type", "u8"), ("toggle_num", "u8"), ("result", "u8"))
    result: int
    toggle_num: int = 0
    signal_type: int = 0


# ── CM_SLAC_MATCH (table A.7) ────────────────────────────────────────────────────────────────────────────────────────
_PAIR: Final[tuple[Field, ...]] = (
    *_MATCHING, ("mvf_length", "u16"), ("pev_id", 17), ("pev_mac", 6), ("evse_id", 17), ("evse_mac", 6), ("run_id", 8),
    ("reserved", 8),
)  # fmt: skip


class SlacMatchReq(Message, frozen=True, kw_only=True):
    MMTYPE = 0x607C
    LAYOUT = _PAIR
    pev_mac: bytes
    evse_mac: bytes
    run_id: bytes
    mvf_length: int = 0x3E
    pev_id: bytes = _ZEROS17
    evse_id: bytes = _ZEROS17
    reserved: bytes = _ZEROS8
    application_type: int = 0
    security_type: int = 0


class SlacMatchCnf(Message, frozen=True, kw_only=True):
    MMTYPE = 0x607D
    LAYOUT = (*_PAIR, ("nid", 7), ("reserved2", 1), ("nmk", 16))
    pev_mac: bytes
    evse_mac: bytes
    run_id: bytes
    nid: bytes
    nmk: bytes
    mvf_length: int = 0x56
    pev_id: bytes = _ZEROS17
    evse_id: bytes = _ZEROS17
    reserved: bytes = _ZEROS8
    reserved2: bytes = b"\x00"
    application_type: int = 0
    security_type: int = 0


# ── CM_AMP_MAP (table A.9) ───────────────────────────────────────────────────────────────────────────────────────────
class AmpMapReq(Message, frozen=True, kw_only=True):
    """Carriers on which the peer is to send more softly: −2 dB a step, four bits a carrier."""

    MMTYPE = 0x601C
    LAYOUT = (("amdata", "nibbles"),)
    amdata: tuple[int, ...]


class AmpMapCnf(Message, frozen=True, kw_only=True):
    MMTYPE = 0x601D
    LAYOUT = (("result", "u8"),)
    result: int = 0


# ── modems of Qualcomm and Lumissil: no fragmentation bytes, the maker's OUI first ───────────────────────────────────
class ResetDeviceReq(Message, frozen=True, kw_only=True):
    MMTYPE = 0xA01C
    MMV = 0
    LAYOUT = (("oui", 3),)
    oui: bytes = QUALCOMM


class ResetDeviceCnf(Message, frozen=True, kw_only=True):
    MMTYPE = 0xA01D
    MMV = 0
    LAYOUT = (("oui", 3), ("result", "u8"))
    oui: bytes = QUALCOMM
    result: int = 0


class LinkStatusReq(Message, frozen=True, kw_only=True):
    MMTYPE = 0xA0B8
    MMV = 0
    LAYOUT = (("oui", 3),)
    oui: bytes = QUALCOMM


class LinkStatusCnf(Message, frozen=True, kw_only=True):
    MMTYPE = 0xA0B9
    MMV = 0
    LAYOUT = (("oui", 3), ("result", "u8"), ("link_status", "u8"))
    link_status: int
    oui: bytes = QUALCOMM
    result: int = 0


_LMS: Final[tuple[Field, ...]] = (
    ("oui", 3),
    ("version", "u16"),
    ("reserved", 4),
    ("request_id", "u8"),
    ("reserved2", 12),
)


class NscmResetDeviceReq(Message, frozen=True, kw_only=True):
    """Is not answered."""

    MMTYPE = 0xAC70
    MMV = 0
    LAYOUT = (*_LMS, ("mode", "u8"))
    oui: bytes = LUMISSIL
    version: int = 0
    reserved: bytes = _ZEROS4
    request_id: int = 0
    reserved2: bytes = bytes(12)
    mode: int = 0


class NscmGetDLinkStatusReq(Message, frozen=True, kw_only=True):
    MMTYPE = 0xAC9C
    MMV = 0
    LAYOUT = _LMS
    oui: bytes = LUMISSIL
    version: int = 0
    reserved: bytes = _ZEROS4
    request_id: int = 0
    reserved2: bytes = bytes(12)


class NscmGetDLinkStatusCnf(Message, frozen=True, kw_only=True):
    MMTYPE = 0xAC9D
    MMV = 0
    LAYOUT = (*_LMS, ("link_status", "u8"))
    link_status: int
    oui: bytes = LUMISSIL
    version: int = 0
    reserved: bytes = _ZEROS4
    request_id: int = 0
    reserved2: bytes = bytes(12)


MESSAGES: Final[tuple[type[Message], ...]] = (
    SetKeyReq, SetKeyCnf, SlacParmReq, SlacParmCnf, StartAttenCharInd, MnbcSoundInd, AttenProfileInd, AttenCharInd,
    AttenCharRsp, ValidateReq, ValidateCnf, SlacMatchReq, SlacMatchCnf, AmpMapReq, AmpMapCnf, ResetDeviceReq,
    ResetDeviceCnf, LinkStatusReq, LinkStatusCnf, NscmResetDeviceReq, NscmGetDLinkStatusReq, NscmGetDLinkStatusCnf,
)  # fmt: skip
_BY_TYPE: Final[dict[int, type[Message]]] = {kind.MMTYPE: kind for kind in MESSAGES}
_OUI: Final = {kind.MMTYPE: (LUMISSIL if kind.MMTYPE >= 0xAC00 else QUALCOMM) for kind in MESSAGES if kind.MMV == 0}


class MmeFrame(msgspec.Struct, frozen=True):
    """A message on its way. Addresses have six bytes."""

    dst: bytes
    src: bytes
    message: Message


def encode(frame: MmeFrame) -> bytes:
    """The Ethernet frame, without checksum. Raises ValueError for a field that does not fit its place."""
    message = frame.message
    if len(frame.dst) != 6 or len(frame.src) != 6:
        raise ValueError("an address of Ethernet has six bytes")
    out = bytearray(frame.dst + frame.src + ETHERTYPE.to_bytes(2, "big"))
    out.append(message.MMV)
    out += message.MMTYPE.to_bytes(2, "little")
    if message.MMV:
        out += b"\x00\x00"
    for name, kind in message.LAYOUT:
        _write(out, name, kind, getattr(message, name))
    if "num_groups" in message.__struct_fields__ and message.num_groups != len(message.aag):  # type: ignore[attr-defined]
        raise ValueError("num_groups says how many values aag has")
    out += bytes(max(0, LEAST_LENGTH - len(out)))
    return bytes(out)


def _write(out: bytearray, name: str, kind: int | str, value: Any) -> None:
    if kind == "u8":
        out.append(value)
    elif kind == "u16":
        out += value.to_bytes(2, "little")
    elif kind == "rest":
        if len(value) > 255:
            raise ValueError("a profile has at most 255 groups")
        out += value
    elif kind == "nibbles":
        out += len(value).to_bytes(2, "little")
        padded = (*value, 0) if len(value) % 2 else value
        out += bytes(padded[i] | padded[i + 1] << 4 for i in range(0, len(padded), 2))
    elif len(value) != kind:
        raise ValueError(f"{name} has {kind} bytes, not {len(value)}")
    else:
        out += value


def decode(data: bytes) -> MmeFrame:
    """The frame of these bytes; what is left over is padding. Raises BadMme."""
    if not 17 <= len(data) <= MOST_LENGTH:
        raise BadMme(f"a frame of {len(data)} bytes")
    if int.from_bytes(data[12:14], "big") != ETHERTYPE:
        raise BadMme(f"EtherType {data[12:14].hex()} is not 88E1")
    mmtype = int.from_bytes(data[15:17], "little")
    kind = _BY_TYPE.get(mmtype)
    if kind is None:
        raise BadMme(f"MMTYPE {mmtype:04X} is not known here")
    if (data[14] == 0) != (kind.MMV == 0):
        raise BadMme(f"{kind.__name__} with MMV {data[14]}")
    at = 17
    if kind.MMV:
        if len(data) < 19 or data[17] & 0xF0:
            raise BadMme("a fragment" if len(data) >= 19 else "it ends in its header")
        at = 19
    values: dict[str, Any] = {}
    for name, how in kind.LAYOUT:
        at = _read(data, at, name, how, values)
    if mmtype in _OUI and values["oui"] != _OUI[mmtype]:
        raise BadMme(f"{kind.__name__} of the maker {values['oui'].hex()}")
    return MmeFrame(data[:6], data[6:12], kind(**values))


def _read(data: bytes, at: int, name: str, how: int | str, values: dict[str, Any]) -> int:
    size = {"u8": 1, "u16": 2, "nibbles": 2}.get(how) if isinstance(how, str) else how
    if size is None:
        size = values["num_groups"]
    end = at + size
    if end > len(data):
        raise BadMme(f"it ends within {name}")
    raw = data[at:end]
    if how in ("u8", "u16"):
        values[name] = int.from_bytes(raw, "little")
    elif how == "nibbles":
        count = int.from_bytes(raw, "little")
        packed = data[end : end + (count + 1) // 2]
        if len(packed) * 2 < count:
            raise BadMme(f"it ends within {name}")
        values[name] = tuple(nibble for byte in packed for nibble in (byte & 15, byte >> 4))[:count]
        end += len(packed)
    else:
        values[name] = raw
    return end
